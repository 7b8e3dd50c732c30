"""Point sources in every direction: the hottest spot of each hemisphere, its local and its global p-value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from nuanalysis import trials
from nuanalysis.answers import _sky
from nuanalysis.answers._question import Answer, Fitted, Question, Smear, direction, position, provenance_of
from nuanalysis.answers._sky import GLOBAL, METHOD, Skies, Sky, look_at
from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench, Kept
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import FIT_COLUMNS, Turned, turned
from nuanalysis.plot import PLANE_LATITUDE, Drawn, HotSpot, Marker, Sidecar, mark, plane_crop, sky_map, sky_page, slug
from nuanalysis.records import Carried, Chance, Position, Record, Unknown, carried, setting, shown
from nuanalysis.schema import Floats, Ints
from nuanalysis.store.sky_maps import map_fits, multi_order_fits, plane_fits, sky_dataset
from nuanalysis.trials.streams import Stream

__all__ = ["Scan", "ScanAnswer", "Sky", "Spot", "direction", "fit_sky", "look_at"]

_LEAST_DEEP = 50
_SKIES_A_BATCH = 20
_PORTIONS = 48
_BOTH = "both hemispheres"


class Scan(Question):
    """Point sources in every direction: the hottest spot of each hemisphere, its local and its global p-value."""

    example: ClassVar = {"nside": 4, "skies": 20, "local_trials": 200}
    nside: _sky.Nside = setting(64, help="HEALPix resolution, a power of 2 up to 256")
    skies: _sky.NSkies = 100
    deep: int = setting(
        0, low=0, high=10_000_000, help="skies tilted towards hot spots, 50 or more, for small global p-values; 0: none"
    )
    smear_declination: Smear = 0.0
    local_trials: _sky.LocalTrials = 2000
    plane: bool = setting(False, help="images of the Galactic plane too")

    def model_post_init(self, context: object) -> None:
        faults = []
        if 0 < self.deep < _LEAST_DEEP:
            faults.append(f"deep is {self.deep}; expected 0, or at least {_LEAST_DEEP} skies")
        if self.deep and self.smear_declination:
            faults.append("deep and smear_declination exclude each other: tilted skies keep their declinations")
        if faults:
            raise ValueError("; ".join(faults))

    def ask(self, samples: Samples, bench: Bench) -> ScanAnswer:
        sky, nside = look_at(samples, bench), self.nside
        fits = fit_sky(sky.kept, nside, bench)
        bench.progress(f"{len(fits):,} pixels fitted, largest TS {fits[:, 0].max():.2f}")
        table, pixels = _sky.sky_table(sky, self.local_trials), np.arange(len(fits))
        log_p = trials.log_p_map(table, nside, pixels, fits[:, 0])
        found = trials.hottest(nside, pixels, log_p, fits)
        smear = math.radians(self.smear_declination)
        skies = plain_skies(sky, table, nside, self.skies, smear) if self.skies else None
        deep = deep_skies(sky, table, nside, self.deep, float(found[:, 1].max())) if self.deep else None

        def of_all(where: str, least: float) -> tuple[Chance | Unknown, Chance | Unknown | None]:
            of = f"{GLOBAL}, {where}"
            return _sky.global_chance(_least(skies, where), least, of), _of_tilted(deep, where, least, of)

        def spot(which: str, row: Floats) -> Spot:
            least, ts, _, _, ra, dec = map(float, row)
            chance, of_deep = of_all(which, least)
            return Spot(
                hemisphere=which,
                at=position(ra, dec),
                fitted=_sky.fitted_row(fits[hp.ang2pix(nside, np.pi / 2 - dec, ra)]),
                local=_sky.local_chance(table, dec, ts, least, self.local_trials),
                chance=chance,
                deep=of_deep,
            )

        whose, (chance, of_deep) = provenance_of(samples, sky.anywhere), of_all(_BOTH, float(found[:, 0].min()))
        columns = dict(zip(FIT_COLUMNS, fits.T, strict=True)) | {"log10_p": 0.0 - log_p / np.log(10.0)}  # not -0
        return ScanAnswer(
            provenance=whose,
            nside=nside,
            hottest=tuple(map(spot, trials.HEMISPHERES, found)),
            chance=chance,
            deep=of_deep,
            n_skies=self.skies,
            n_deep=self.deep,
            smear_declination=self.smear_declination,
            local_trials=self.local_trials,
            n_pixels=len(fits),
            not_converged=int((fits[:, 3] < 1).sum()),
            plane=self.plane,
            sky=sky_dataset(columns, whose, self.local_trials),
        )


class Spot(Record):
    """The direction with the smallest local p-value of a hemisphere."""

    hemisphere: str = shown("hemisphere", short="spot")
    at: Position = shown("where", short="RA   dec")
    fitted: Fitted = shown("fit")
    local: Chance = shown("chance of this direction alone", short="local p")
    chance: Chance | Unknown = shown("chance of a spot like it anywhere in its hemisphere", short="global p")
    deep: Chance | Unknown | None = shown("the same from tilted skies", None, short="tilted skies")

    def sentence(self) -> str:
        said = [self.local.words(), self.chance.words()]
        said += [] if self.deep is None else [f"tilted skies: {self.deep.words()}"]
        return f"Hottest spot of the {self.hemisphere}: {self.at.words()}, TS {self.fitted.ts:.2f}; {'; '.join(said)}."

    def on_page(self) -> HotSpot:
        fit, chances = self.fitted, (_p(self.local), _p(self.chance))
        return HotSpot(self.hemisphere, *self.direction, fit.ts, fit.n_signal, fit.index, *chances)

    @property
    def direction(self) -> tuple[float, float]:
        """Right ascension and declination in rad."""
        return math.radians(self.at.ra_deg), math.radians(self.at.dec_deg)


def _p(chance: Chance | Unknown) -> str:
    """A p-value that begins with its number, for a column that is sorted by it."""
    return chance.words() if isinstance(chance, Unknown) else f"{chance.cell().rstrip('~')} ({chance.words()})"


class ScanAnswer(Answer):
    """A point source fitted in every direction."""

    rows: ClassVar = "hottest"
    nside: int = shown("HEALPix resolution")
    hottest: tuple[Spot, ...] = shown("hottest spots, at declinations up to 82 deg, where local p-values exist")
    chance: Chance | Unknown = shown("chance in both hemispheres")
    deep: Chance | Unknown | None = shown("the same from tilted skies", None)
    n_skies: int = shown("background skies")
    n_deep: int = shown("tilted skies")
    smear_declination: float = shown("declinations smeared by", unit="deg", form="g")
    local_trials: int = shown("scrambles for each local p")
    n_pixels: int = shown("directions fitted")
    not_converged: int = shown("fits that did not converge")
    plane: bool = shown("images of the plane too", hidden=True)
    sky: Carried[xr.Dataset] = carried()

    def headline(self) -> tuple[str, ...]:
        return tuple(spot.sentence() for spot in self.hottest)

    def drawn(self) -> tuple[Drawn, ...]:
        if self.sky is None:
            return ()
        whose, values = self.provenance, self.sky["log10_p"].values
        what = f"Point-source scan of the {whose.stamp} sample {whose.sample}, {whose.n_events:,} events"
        spots = " ".join(self.headline())
        caption = (
            f"{what}: −log₁₀ of the local p-value of every direction, not corrected for the number of directions; "
            f"HEALPix nside {self.nside}; Galactic coordinates, Galactic Centre in the middle, longitude grows to the "
            "left; white: within 8° of a celestial pole, no p-value; dashed: celestial equator. "
            f"{spots} Seed {whose.seed}."
        )
        alt = f"All-sky map of −log₁₀ local p, {what}: up to {np.nanmax(values):.2f}. {spots}"
        stem = f"{slug(whose.sample)}{mark(whose.origin)}"
        about: dict[str, Any] = {"unit": "−log₁₀ of the local p-value", "frame": "icrs", "origin": whose.origin}
        label = f"Point-source scan, {whose.sample}"
        marks = [Marker(f"hottest, {spot.hemisphere}", *spot.direction) for spot in self.hottest]
        whole = sky_map(values, label=label, low=0.0, marks=marks, **about)
        figures = [Drawn(whole, Sidecar(f"sky-{stem}", alt, caption, whose.origin, "maps"), self.to_table())]
        if self.plane:
            crop = plane_crop(values, label=f"{label}, Galactic plane", low=0.0, **about)
            words = f"The Galactic plane, |b| < {PLANE_LATITUDE:g}°. {what}: −log₁₀ of the local p-value."
            figures.append(Drawn(crop, Sidecar(f"sky-plane-{stem}", words, words, whose.origin, "maps")))
        return tuple(figures)

    def page(self) -> str:
        """The map to turn and to ask, as one HTML page; '' without maps."""
        return "" if self.sky is None else sky_page(self.sky, self.provenance, [one.on_page() for one in self.hottest])

    def files(self) -> Mapping[str, bytes]:
        if self.sky is None:
            return {}
        maps = {"skymap.fits": map_fits(self.sky), "skymap.multiorder.fits": multi_order_fits(self.sky)}
        plane = {"plane.fits": plane_fits(self.sky)} if self.plane else {}
        return {**maps, **plane, "sky.html": self.page().encode()}


def _fit_pixels(kept: Kept, data: Turned, nside: int, pixels: Ints) -> Floats:
    return trials.fit_pixels(kept.value, [data], nside, [pixels])[0]


def fit_sky(kept: Kept, nside: int, bench: Bench) -> Floats:
    """Fits of all pixels (RING) on the data, (pixel, FIT_COLUMNS); kept : the SkyEvents."""
    n = 12 * nside**2
    starts = np.append(np.asarray(hp.ringinfo(nside, np.arange(1, 4 * nside))[0]), n)
    # Portions end where circles do, so that no circle is prepared twice.
    edges = np.unique(starts[np.searchsorted(starts, np.linspace(0, n, _PORTIONS + 1).astype(np.int64))])
    portions = [np.arange(a, b) for a, b in pairwise(edges)]
    work = partial(_fit_pixels, kept, turned(kept.value.right_ascension()), nside)
    return np.concatenate(bench.map(work, portions, f"portions of {n:,} pixels", (kept,)))


def plain_skies(sky: Sky, table: trials.LocalP, nside: int, n: int, smear: float) -> xr.Dataset:
    """Hottest spots of n background skies, one variable a column of ``trials.SKY_COLUMNS``; smear in rad."""
    search = trials.search_for(sky.events, nside)
    decides = (_sky.digest(table), search)
    asked = Skies("skies", trials.sky_trials, (table, search), decides, trials.SKY_COLUMNS, _SKIES_A_BATCH, (smear,))
    return _sky.background(sky, asked, n)


def deep_skies(sky: Sky, table: trials.LocalP, nside: int, n: int, ts: float) -> xr.Dataset:
    """Hottest spots of n skies tilted for spots of about this TS, with their weights: ``trials.DEEP_COLUMNS``."""
    search = trials.search_for(sky.events, nside)
    ts = float(np.ceil(ts / 4.0)) * 4.0  # upwards, so that slightly different requests share an ensemble
    about = (table, search, trials.sky_tilts(sky.events, nside, ts))
    decides = (_sky.digest(table), search, ts)
    columns = trials.DEEP_COLUMNS
    asked = Skies(
        "deep-skies", trials.deep_sky_trials, about, decides, columns, _SKIES_A_BATCH, stream=Stream.DEEP_SKIES
    )
    return _sky.background(sky, asked, n)


def _least(skies: xr.Dataset | None, where: str) -> Floats | None:
    """The smallest ln p of each sky in a hemisphere or in both, (sky,)."""
    halves = trials.HEMISPHERES if where == _BOTH else (where,)
    return None if skies is None else np.minimum.reduce([skies[f"log_p_{half}"].values for half in halves])


def _of_tilted(deep: xr.Dataset | None, where: str, log_p: float, of: str) -> Chance | Unknown | None:
    """The chance of as small a local p-value in tilted skies, weighted back to the null; None without such skies."""
    least = _least(deep, where)
    if deep is None or least is None:
        return None
    if not (least <= log_p).any():
        return Unknown(reason=f"none of {len(least):,} tilted skies has as hot a spot")
    weight = np.where(least <= log_p, np.exp(deep["log_weight"].values), 0.0)
    error, ess = float(weight.std(ddof=1) / np.sqrt(len(weight))), float(weight.sum() ** 2 / (weight**2).sum())
    method = f"{METHOD}; tilted skies weighted back to the null"
    return Chance(
        p=float(weight.mean()), error=error, n_trials=len(weight), ess=ess, scope="global", of=of, method=method
    )
