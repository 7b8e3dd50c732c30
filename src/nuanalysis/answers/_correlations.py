"""The three tests of ``correlate``: median latitude, pairs with cosmic rays, harmonics of maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from nuanalysis.answers._ensembles import counted
from nuanalysis.answers._neutrinos import Neutrinos
from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import xarray as xr
from nuanalysis.interpret import cosmic_rays, harmonics, latitude
from nuanalysis.library.hypotheses import hypothesis
from nuanalysis.records import Chance, Record, shown
from nuanalysis.schema import Floats
from nuanalysis.trials import smallest_p, tail

SCRAMBLED, ISOTROPIC = "neutrinos moved", "isotropic rays"
_NULLS = {
    SCRAMBLED: "skies with uniform right ascensions of the neutrinos",
    ISOTROPIC: "skies with isotropic cosmic rays as the observatories see them",
}
_NSIDE = 64
_QUANTILES = (0.025, 0.16, 0.5, 0.84, 0.975)


class Correlation(Record):
    """One test on one selection of events, against one kind of sky."""

    against: str = shown("compared with", short="with")
    selection: str = shown("events")
    n_events: int = shown("number", short="n")
    null: str = shown("skies without correlation", short="skies")
    statistic: str = shown("what was found and expected", short="what")
    found: float = shown("found", form=".4g")
    expected: float = shown("mean of the skies", form=".4g", short="mean")
    local: Chance = shown("chance of as much there", short="local p")
    chance: Chance = shown("chance of as much anywhere", short="p")


class Curve(Record):
    """Found and skies against angle in deg or against l, for a figure.

    skies : quantiles 0.025, 0.16, 0.5, 0.84, 0.975 of the skies at each.
    """

    label: str = shown("what")
    null: str = shown("skies without correlation")
    at: tuple[float, ...] = shown("angle, deg, or multipole")
    found: tuple[float, ...] = shown("found")
    skies: tuple[tuple[float, ...], ...] = shown("quantiles of the skies")


Found = tuple[Correlation, Curve]


# --- median latitude --------------------------------------------------------------------------------------------------


def near_plane(events: Neutrinos, selection: str, rng: np.random.Generator, n: int) -> tuple[Correlation, Floats]:
    """The median |b| against skies moved in right ascension, and the medians of those, deg."""
    medians = np.degrees(latitude.scrambled_medians(events.declination, rng, n))
    distance = latitude.distance_from_plane(events.right_ascension, events.declination)
    found = float(np.degrees(np.median(distance)))
    chance = counted(tail(medians <= found), "a median |b| as small", _NULLS[SCRAMBLED])
    row = Correlation(
        against="Galactic plane", selection=selection, n_events=len(events), null=SCRAMBLED,
        statistic="median |b|, deg", found=found, expected=float(np.median(medians)), local=chance, chance=chance,
    )  # fmt: skip
    return row, medians


# --- pairs with cosmic rays -------------------------------------------------------------------------------------------


def pairs(events: Neutrinos, selection: str, rays: xr.Dataset, rng: np.random.Generator, n: int) -> Iterator[Found]:
    """Pairs within 1 to 30 deg, against both kinds of skies.

    rays : of ``ingest.uhecr.read_events``, of one observatory or both.
    """
    ra, dec = (rays[name].values[None] for name in ("right_ascension", "declination"))
    here = events.right_ascension[None], events.declination[None]
    found = cosmic_rays.pair_counts(*here, ra, dec)[0]
    names, counts = np.unique(rays["observatory"].values, return_counts=True)
    moved = rng.uniform(0.0, 2.0 * np.pi, (n, len(events)))
    isotropic = np.concatenate([
        cosmic_rays.isotropic_declinations(cosmic_rays.OBSERVATORIES[name], (n, count), rng)
        for name, count in zip(names.tolist(), counts.tolist(), strict=True)
    ], axis=1)  # fmt: skip
    turned = rng.uniform(0.0, 2.0 * np.pi, isotropic.shape)
    row = partial(Correlation, against=" + ".join(names.tolist()), selection=selection, n_events=len(events))
    for null, skies in (
        (SCRAMBLED, cosmic_rays.pair_counts(moved, np.broadcast_to(here[1], moved.shape), ra, dec)),
        (ISOTROPIC, cosmic_rays.pair_counts(*here, turned, isotropic)),
    ):
        angles = np.degrees(cosmic_rays.ANGLES)
        said = [f"pairs < {angle:.0f} deg" for angle in angles]
        yield _best(row, found, skies, null, said, "as many pairs"), _curve(selection, null, angles, found, skies)


# --- harmonics of maps ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spectra:
    """C_l of one sky of events with several maps: rows and curves of each map, and the chance of the best of all."""

    rows: tuple[Correlation, ...]
    curves: tuple[Curve, ...]
    chance: Chance


def spectra(events: Neutrinos, maps: tuple[object, ...], lmax: int, rng: np.random.Generator, n: int) -> Spectra:
    """C_l from 1 to lmax with each map, in standard deviations of the skies; all maps on the same skies."""
    asked = [hypothesis(one) for one in maps]
    parts = [harmonics.multipoles(harmonics.coefficients(one.target, lmax), _NSIDE) for one in asked]
    seen = (events.weight / events.weight.sum())[:, None] * harmonics.windows(events.error, lmax)
    pixel = hp.ang2pix(_NSIDE, np.pi / 2 - events.declination, events.right_ascension)
    skies = harmonics.scrambled_spectra(parts, seen, events.declination, rng, n)
    found = np.stack([harmonics.cross_spectrum(one, seen, pixel) for one in parts])
    degrees, rows, curves = np.arange(1, lmax + 1), list[Correlation](), list[Curve]()
    for one, mine, sky in zip(asked, found, np.swapaxes(skies, 0, 1), strict=True):
        rms = sky.std(axis=0)
        names = [f"C_{degree} / rms" for degree in degrees]
        row = partial(Correlation, against=one.name, n_events=len(events))
        every, total = partial(row, selection="each l"), partial(row, selection="sum over l")
        rows += [
            _best(every, mine / rms, sky / rms, SCRAMBLED, names, "as large a C_l"),
            _summed(total, *((2 * degrees + 1) @ np.atleast_2d(some).T for some in (mine, sky))),
        ]
        curves.append(_curve(one.name, SCRAMBLED, degrees, mine / rms, sky / rms))
    _, met = smallest_p(found.ravel(), skies.reshape(n, -1))
    of = f"as large a C_l, of {len(maps)} maps and l = 1 to {lmax}"
    return Spectra(tuple(rows), tuple(curves), counted(tail(met), of, _NULLS[SCRAMBLED], scope="global"))


def _summed(row: Callable[..., Correlation], found: Floats, skies: Floats) -> Correlation:
    """The sum of (2 l + 1) C_l: the integral of density times map, which weighs every l as the map itself does.

    found (1,), skies (sky,).
    """
    chance = counted(tail(skies >= found), "as large a sum over l", _NULLS[SCRAMBLED])
    what = {"null": SCRAMBLED, "statistic": "sum / rms", "expected": float(skies.mean() / skies.std())}
    return row(found=float(found[0] / skies.std()), local=chance, chance=chance, **what)


# --- the best of many -------------------------------------------------------------------------------------------------


def _best(
    row: Callable[..., Correlation], found: Floats, skies: Floats, null: str, names: list[str], of: str
) -> Correlation:
    """Where the local p-value is smallest, corrected for having looked everywhere; found (k,), skies (sky, k).

    row : makes a Correlation of what is said here.    names (k,) of the statistics.
    """
    p, met = smallest_p(found, skies)
    k = int(p.argmin())
    local = counted(tail(skies[:, k] >= found[k]), f"{of} there", _NULLS[null])
    chance = counted(tail(met), f"{of} anywhere", _NULLS[null], scope="global")
    what = {"null": null, "statistic": names[k], "found": float(found[k]), "expected": float(skies[:, k].mean())}
    return row(local=local, chance=chance, **what)


def _curve(label: str, null: str, at: Floats, found: Floats, skies: Floats) -> Curve:
    bands = np.quantile(skies, _QUANTILES, axis=0)
    numbers = {"at": at, "found": found}
    return Curve(label=label, null=null, skies=tuple(map(tuple, bands.tolist())),
                 **{key: tuple(map(float, one)) for key, one in numbers.items()})  # fmt: skip
