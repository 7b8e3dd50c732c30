"""A point source in every direction: maps, the hottest spot of each hemisphere, local and global chances."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import xarray as xr
from pydantic import AfterValidator

from nuanalysis import trials
from nuanalysis.answers._posed import provenance_of
from nuanalysis.answers._question import Answer, Question
from nuanalysis.answers._sky import (
    FEWEST_LOCAL_TRIALS,
    GLOBAL,
    NOT_ASKED,
    Sky,
    Spot,
    check_nside,
    digest,
    fit_sky,
    kept_skies,
    look_at,
    of_skies,
    sky_table,
    spot_of,
)
from nuanalysis.engine.bench import Bench
from nuanalysis.library.samples import Samples
from nuanalysis.plot import Drawn, HotSpot, scan_figure, sky_page
from nuanalysis.records import Carried, Chance, Unknown, carried, setting, shown
from nuanalysis.schema import Bools, Floats
from nuanalysis.store.sky_maps import (
    SkyMap,
    map_fits,
    multi_order_fits,
    plane_fits,
    sky_map_of,
    sky_product,
)
from nuanalysis.trials.streams import Stream, seed_of

LEAST_DEEP = 50
_SKIES_A_BATCH = 20


class Scan(Question):
    """Fit a point source in every direction; the hottest spot of each hemisphere, local and global p-values."""

    example: ClassVar[Mapping[str, Any]] = {"nside": 4, "skies": 20, "local_trials": 200}
    nside: Annotated[int, AfterValidator(check_nside)] = setting(64, help="HEALPix resolution; a power of 2 up to 256")
    skies: int = setting(100, low=0, high=10_000_000, help="background skies for global p-values; 0: local ones alone")
    deep: int = setting(0, low=0, high=10_000_000, help="skies tilted to hot spots, for small global p; 50 or more")
    plane: bool = setting(False, help="write images of the Galactic plane too")
    smear_declination: float = setting(
        0.0, low=0, high=10, unit="deg", help="smear declinations of background skies too (IceCube 2023: 3)"
    )
    local_trials: int = setting(
        2000, low=FEWEST_LOCAL_TRIALS, high=10_000_000, help="tilted scrambles at each declination of local p-values"
    )

    def model_post_init(self, context: Any) -> None:
        faults = []
        if 0 < self.deep < LEAST_DEEP:
            faults.append(f"deep is {self.deep}; expected 0, or at least {LEAST_DEEP} skies")
        if self.deep and self.smear_declination:
            faults.append("deep and smear_declination exclude each other: tilted skies keep their declinations")
        if faults:
            raise ValueError("; ".join(faults))

    def ask(self, samples: Samples, bench: Bench) -> ScanAnswer:
        return scan(look_at(samples), self, bench)


class HottestSpot(Spot):
    """The hottest spot of a hemisphere."""

    hemisphere: str = shown("hemisphere")
    deep: Chance | Unknown = shown("the same from tilted skies", short="tilted")


class ScanAnswer(Answer):
    """The sky of a sample."""

    name: ClassVar[str] = "scan"
    rows: ClassVar[str] = "spots"
    nside: int = shown("HEALPix nside")
    pixels: int = shown("pixels fitted")
    not_converged: int = shown("fits that did not converge")
    skies: int = shown("background skies")
    smear_declination: float = shown("declinations of skies smeared by", unit="deg", form="g")
    local_trials: int = shown("scrambles at each declination of local p-values")
    spots: tuple[HottestSpot, ...] = shown("hottest spots, at declinations up to 82 deg; local p-values end there")
    chance: Chance | Unknown = shown("chance of the better one")
    deep: Chance | Unknown = shown("the same from tilted skies", hidden=True)
    plane: bool = shown("whether images of the plane are written", False, hidden=True)
    sky: Carried[xr.Dataset] = carried()

    def headline(self) -> tuple[str, ...]:
        return tuple(
            f"Hottest spot, {one.hemisphere}: {one.at.words()}, TS {one.ts:.2f}; {one.local.words()}; "
            f"{one.chance.words()}."
            for one in self.spots
        )

    def drawn(self) -> tuple[Drawn, ...]:
        if self.sky is None:
            return ()
        whose, said = self.provenance, " ".join(self.headline())
        values = np.asarray(self.sky["log10_p"].values, dtype=np.float64)
        about = (whose.sample, whose.n_events, whose.seed)
        return (
            scan_figure(values, self._hot_spots(), about=about, said=said, origin=whose.origin, table=self.to_table()),
        )

    def files(self) -> Mapping[str, bytes]:
        if self.sky is None:
            return {}
        found, whose = sky_map_of(self.sky), self.provenance
        out = {
            "sky.html": sky_page(found, whose, self._hot_spots()).encode(),
            "skymap.fits": map_fits(found, whose),
            "skymap.multiorder.fits": multi_order_fits(found, whose),
        }
        return {**out, "plane.fits": plane_fits(found, whose)} if self.plane else out

    def _hot_spots(self) -> list[HotSpot]:
        return [
            HotSpot(
                one.hemisphere,
                math.radians(one.at.ra_deg),
                math.radians(one.at.dec_deg),
                one.ts,
                one.n_signal,
                one.index,
                one.local.words(),
                one.chance.words(),
            )
            for one in self.spots
        ]


def background_skies(sky: Sky, table: trials.LocalP, nside: int, n: int, smear: float, bench: Bench) -> xr.Dataset:
    """Hottest spots of n background skies, one variable a column of ``trials.SKY_COLUMNS``; smear in rad."""
    search = trials.search_for(sky.events, nside)

    def rows(first: int, last: int) -> Floats:
        return trials.sky_trials(sky.events, table, search, sky.seed, first, last, smear)

    decides = (digest(table), search, smear)
    return kept_skies(sky, "skies", decides, trials.SKY_COLUMNS, n, _SKIES_A_BATCH, rows, bench)


def deep_skies(sky: Sky, table: trials.LocalP, nside: int, n: int, ts: float, bench: Bench) -> xr.Dataset:
    """Hottest spots of n skies tilted for spots of about this TS, with their weights: ``trials.DEEP_COLUMNS``."""
    search, seed = trials.search_for(sky.events, nside), seed_of(sky.samples.seed, Stream.DEEP_SKIES)
    ts = float(np.ceil(ts / 4.0)) * 4.0  # upwards, so that slightly different requests share an ensemble
    tilts = trials.sky_tilts(sky.events, nside, ts)

    def rows(first: int, last: int) -> Floats:
        return trials.deep_sky_trials(sky.events, table, search, tilts, seed, first, last)

    decides = (digest(table), search, ts)
    return kept_skies(sky, "deep-skies", decides, trials.DEEP_COLUMNS, n, _SKIES_A_BATCH, rows, bench)


def _deep_chance(met: Bools, log_weight: Floats, what: str) -> Chance:
    """The chance of what happened in some of the tilted skies, weighted back to the null."""
    weight = np.where(met, np.exp(log_weight), 0.0)
    return Chance(
        p=float(weight.mean()),
        error=float(weight.std(ddof=1) / np.sqrt(len(weight))),
        n_trials=len(weight),
        ess=float(weight.sum() ** 2 / max((weight**2).sum(), 1e-300)),
        scope="global",
        of=f"{GLOBAL}, {what}",
        method="tilted skies weighted back to the null",
    )


def _least(skies: xr.Dataset) -> Floats:
    """The smaller ln p of both hemispheres, (sky,)."""
    return np.asarray(np.minimum(*(skies[f"log_p_{which}"].values for which in trials.HEMISPHERES)))


def scan(sky: Sky, asked: Scan, bench: Bench) -> ScanAnswer:
    """The answer for a sky that is prepared."""
    fits = fit_sky(sky, asked.nside, bench)
    bench.progress(f"{sky.samples.name}: {len(fits):,} pixels fitted, largest TS {fits[:, 0].max():.2f}")
    table = sky_table(sky, asked.local_trials, bench)
    pixels = np.arange(len(fits))
    log_p = trials.log_p_map(table, asked.nside, pixels, fits[:, 0])
    found = trials.hottest(asked.nside, pixels, log_p, fits)
    smear = float(np.radians(asked.smear_declination))
    skies = background_skies(sky, table, asked.nside, asked.skies, smear, bench) if asked.skies else None
    tilted = None
    if asked.deep:
        tilted = deep_skies(sky, table, asked.nside, asked.deep, float(found[:, 1].max()), bench)
    spots = tuple(
        _hottest(which, row, table, asked.local_trials, skies, tilted)
        for which, row in zip(trials.HEMISPHERES, found, strict=True)
    )
    map_ = SkyMap(
        asked.nside, fits[:, 0], fits[:, 1], fits[:, 2], 0.0 - log_p / np.log(10.0), asked.local_trials
    )  # no minus before 0
    least, provenance = found[:, 0].min(), provenance_of(sky.samples, sky.anywhere)
    deep: Chance | Unknown = NOT_ASKED
    if tilted is not None:
        deep = _deep_chance(_least(tilted) <= least, tilted["log_weight"].values, "both hemispheres")
    return ScanAnswer(
        provenance=provenance,
        nside=asked.nside,
        pixels=len(fits),
        not_converged=int((fits[:, 3] < 1).sum()),
        skies=asked.skies,
        smear_declination=asked.smear_declination,
        local_trials=asked.local_trials,
        spots=spots,
        chance=NOT_ASKED if skies is None else of_skies(_least(skies) <= least, "both hemispheres"),
        deep=deep,
        plane=asked.plane,
        sky=sky_product(map_, provenance),
    )


def _hottest(
    which: str, row: Floats, table: trials.LocalP, n_trials: int, skies: xr.Dataset | None, tilted: xr.Dataset | None
) -> HottestSpot:
    chance: Chance | Unknown = NOT_ASKED
    deep: Chance | Unknown = NOT_ASKED
    if skies is not None:
        chance = of_skies(skies[f"log_p_{which}"].values <= row[0], which)
    if tilted is not None:
        deep = _deep_chance(tilted[f"log_p_{which}"].values <= row[0], tilted["log_weight"].values, which)
    spot = spot_of(row, table, n_trials, chance)
    return HottestSpot(**dict(spot), hemisphere=which, deep=deep)


QUESTION = Scan
