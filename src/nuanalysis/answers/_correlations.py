"""The three tests of ``correlate``: median latitude, pairs with cosmic rays, harmonics of maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from nuanalysis.answers._ensembles import counted
from nuanalysis.answers._neutrinos import Neutrinos
from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import xarray as xr
from nuanalysis.interpret import cosmic_rays, harmonics, latitude
from nuanalysis.model import Hypothesis
from nuanalysis.records import Chance, Record, Scope, shown
from nuanalysis.schema import Bools, Floats
from nuanalysis.trials import smallest_p, tail

SCRAMBLED, ISOTROPIC = "moved", "isotropic"  # the neutrinos; the cosmic rays
_NULLS = {
    SCRAMBLED: "skies with uniform right ascensions of the neutrinos",
    ISOTROPIC: "skies with isotropic cosmic rays as the observatories see them",
}
_NSIDE = 64
_QUANTILES = (0.025, 0.16, 0.5, 0.84, 0.975)


class Correlation(Record):
    """One test on one selection of events, against one kind of sky."""

    selection: str = shown("events")
    null: str = shown("skies without correlation: neutrinos moved, or cosmic rays isotropic", short="skies")
    statistic: str = shown("what was found and expected", short="what")
    found: float = shown("found", form=".4g")
    expected: float = shown("mean of the skies", form=".4g", short="mean")
    chance: Chance = shown("chance of as much anywhere", short="p")
    local: Chance = shown("chance of as much there", short="local p")
    n_events: int = shown("number", short="n")
    against: str = shown("compared with", short="with")


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
        statistic="median |b| (deg)", found=found, expected=float(np.median(medians)), local=chance, chance=chance,
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
    angles = np.degrees(cosmic_rays.ANGLES)
    said = [f"pairs < {angle:.0f} deg" for angle in angles]
    for null, skies in (
        (SCRAMBLED, cosmic_rays.pair_counts(moved, np.broadcast_to(here[1], moved.shape), ra, dec)),
        (ISOTROPIC, cosmic_rays.pair_counts(*here, turned, isotropic)),
    ):
        p, met = smallest_p(found, skies)
        one = _best(partial(row, null=null), found, skies, said, (int(p.argmin()), met))
        yield one, _curve(selection, null, angles, found, skies)


# --- harmonics of maps ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spectra:
    """Events against several maps: rows and curves of each map, and the chance of the largest sum over l of any."""

    rows: tuple[Correlation, ...]
    curves: tuple[Curve, ...]
    chance: Chance


def spectra(events: Neutrinos, maps: Sequence[Hypothesis], lmax: int, rng: np.random.Generator, n: int) -> Spectra:
    """C_l from 1 to lmax with each map, in standard deviations of the skies; all maps on the same skies.

    The last of the statistics is the sum of (2 l + 1) C_l, the integral of density times map: it weighs every l as
    the map itself does.
    """
    parts = [harmonics.multipoles(harmonics.coefficients(one.target, lmax), _NSIDE) for one in maps]
    seen = (events.weight / events.weight.sum())[:, None] * harmonics.windows(events.error, lmax)
    pixel = hp.ang2pix(_NSIDE, np.pi / 2 - events.declination, events.right_ascension)
    skies = _with_sum(harmonics.scrambled_spectra(parts, seen, events.declination, rng, n))
    rms = skies.std(axis=0)
    found = _with_sum(np.stack([harmonics.cross_spectrum(one, seen, pixel) for one in parts])) / rms
    skies /= rms
    rows, curves = list[Correlation](), list[Curve]()
    for k, one in enumerate(maps):
        row = partial(Correlation, against=one.target.name, null=SCRAMBLED, n_events=len(events))
        rows += _of_map(row, found[k], skies[:, k])
        curves.append(_curve(one.target.name, SCRAMBLED, np.arange(1.0, lmax + 1), found[k, :-1], skies[:, k, :-1]))
    met = skies[:, :, -1].max(axis=1) >= found[:, -1].max()
    of = f"the largest sum over l of {len(maps)} maps"
    return Spectra(tuple(rows), tuple(curves), counted(tail(met), of, _NULLS[SCRAMBLED], scope="global"))


def _with_sum(spectrum: Floats) -> Floats:
    """(..., l) from l = 1, with the sum of (2 l + 1) C_l at the end."""
    degrees = np.arange(1, spectrum.shape[-1] + 1)
    return np.concatenate([spectrum, (spectrum @ (2.0 * degrees + 1.0))[..., None]], axis=-1)


def _of_map(row: partial[Correlation], found: Floats, skies: Floats) -> Iterator[Correlation]:
    """The largest of C_l, and their sum; found (l + 1,), skies (sky, l + 1) in standard deviations.

    C_l are nearly Gaussian: in standard deviations they compare beyond what single trials reach.
    """
    name, names = row.keywords["against"], [f"C_{k} / rms" for k in range(1, len(found))]
    k, largest = int(found[:-1].argmax()), skies[:, :-1].max(axis=1)
    every, total = (partial(row, selection=f"{which}: {name}") for which in ("each l", "sum"))
    yield _best(every, found[:-1], skies[:, :-1], names, (k, largest >= found[k]))
    yield _best(total, found[-1:], skies[:, -1:], ["sum / rms"], (0, skies[:, -1] >= found[-1]))


# --- the best of many -------------------------------------------------------------------------------------------------


def _best(
    row: partial[Correlation], found: Floats, skies: Floats, names: list[str], looked: tuple[int, Bools]
) -> Correlation:
    """The best of several statistics, corrected for having looked at all; found (k,), skies (sky, k).

    row : a Correlation but for what is said here.    names (k,) of the statistics.
    looked : which of them is the best, and the skies whose best is as extreme.
    """
    k, met = looked
    method = _NULLS[row.keywords["null"]]
    local = counted(tail(skies[:, k] >= found[k]), f"{names[k]} as large", method)
    scope: Scope = "global" if len(names) > 1 else "local"
    chance = counted(tail(met), f"as much, of {len(names)} looked at", method, scope)
    return row(
        statistic=names[k], found=float(found[k]), expected=float(skies[:, k].mean()), local=local, chance=chance
    )


def _curve(label: str, null: str, at: Floats, found: Floats, skies: Floats) -> Curve:
    bands = np.quantile(skies, _QUANTILES, axis=0)
    numbers = {"at": at, "found": found}
    return Curve(label=label, null=null, skies=tuple(map(tuple, bands.tolist())),
                 **{key: tuple(map(float, one)) for key, one in numbers.items()})  # fmt: skip
