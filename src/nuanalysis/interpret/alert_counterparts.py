"""Sources inside the region of an alert, and how many would lie there by chance.

Two ways, which fail differently: from the density of the catalogue in bands of Galactic latitude, and from the same
region moved in right ascension, which keeps the declination but not the latitude.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nuanalysis.interpret.alert_regions import AlertRegion, Ellipse, Grid
from nuanalysis.schema import TWO_PI, Floats, Ints
from nuanalysis.sky.templates import to_galactic

LATITUDES_DEG = (0.0, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0)  # edges of the bands in |b|
_PAIRS = 4_000_000  # of moved regions and sources that are tested at once


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """Sources of a catalogue that have a direction: rad, flux (NaN where not given); (source,) each."""

    right_ascension: Floats
    declination: Floats
    flux: Floats

    def brighter(self, flux: float) -> Sources:
        """Those at least as bright."""
        bright = np.flatnonzero(self.flux >= flux)
        return Sources(self.right_ascension[bright], self.declination[bright], self.flux[bright])


def inside(region: AlertRegion, sources: Sources, containment: float) -> Ints:
    """Numbers of the sources in a region, the most probable position first."""
    level = region.level(sources.right_ascension, sources.declination)
    found = np.flatnonzero(level <= containment)
    return found[np.argsort(level[found], kind="stable")]


def expected(pixels: Grid, sources: Sources) -> float:
    """Sources that the pixels of a region hold in the mean, by the density of the catalogue in bands of |b|."""
    edges = np.sin(np.radians(LATITUDES_DEG))

    def counted(ra: Floats, dec: Floats) -> Ints:
        return np.histogram(np.abs(np.cos(to_galactic(0.5 * np.pi - dec, ra)[0])), edges)[0]

    density = counted(sources.right_ascension, sources.declination) / (4.0 * np.pi * np.diff(edges))
    return float((counted(pixels.right_ascension, pixels.declination) * density).sum() * pixels.pixel_sr)


def chance(mean: float) -> float:
    """Probability of at least one source where ``mean`` are expected."""
    return float(-np.expm1(-mean))


def brightest_when_moved(region: Ellipse, sources: Sources, turn: Floats, containment: float) -> Floats:
    """Flux of the brightest source in the region moved by each angle, (turn,) rad: -inf where it holds none.

    A source without a flux counts as fainter than all others.
    """
    near = _near(region, sources, containment)
    out = np.full(len(turn), -np.inf)
    flux = np.nan_to_num(sources.flux[near], nan=-1e300)
    for chunk in _chunks(len(turn), len(near)):
        level = _moved_levels(region, sources, near, turn[chunk])
        out[chunk] = np.where(level <= containment, flux, -np.inf).max(axis=1, initial=-np.inf)
    return out


def _near(region: Ellipse, sources: Sources, containment: float) -> Ints:
    """Sources at declinations that the region, moved in right ascension, can hold."""
    scale, north = region.scale(containment), sources.declination - region.declination
    low, high = (scale * side for side in (region.box.declination_minus, region.box.declination_plus))
    return np.flatnonzero((north <= high) & (-north <= low))


def _chunks(n: int, each: int) -> list[slice]:
    step = max(_PAIRS // max(each, 1), 1)
    return [slice(first, first + step) for first in range(0, n, step)]


def _moved_levels(region: Ellipse, sources: Sources, near: Ints, turn: Floats) -> Floats:
    """Level of each near source in the region moved by each angle, (turn, source)."""
    ra = np.mod(sources.right_ascension[near] - turn[:, None], TWO_PI)
    return region.level(ra, np.broadcast_to(sources.declination[near], ra.shape))


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of alerts and sources inside their regions, and alerts that have one: found, and when moved, (trial,)."""

    pairs: int
    with_source: int
    moved_pairs: Ints
    moved_with_source: Ints


def pairs(regions: Sequence[Ellipse], sources: Sources, turns: Floats, containment: float) -> Pairs:
    """Pairs of all regions; turns (region, trial) rad: every region is moved by an angle of its own in each trial."""
    with_none = np.zeros((len(regions), 1))
    found = [_counts(regions, sources, np.asarray(t), containment) for t in (with_none, turns)]
    (pairs_now, some_now), (moved, some) = found
    return Pairs(int(pairs_now[0]), int(some_now[0]), moved, some)


def _counts(regions: Sequence[Ellipse], sources: Sources, turns: Floats, containment: float) -> tuple[Ints, Ints]:
    """Pairs, and regions with a source, in each trial."""
    total, some = np.zeros((2, turns.shape[1]), dtype=np.int64)
    for region, turn in zip(regions, turns, strict=True):
        near = _near(region, sources, containment)
        for chunk in _chunks(len(turn), len(near)):
            held = (_moved_levels(region, sources, near, turn[chunk]) <= containment).sum(axis=1)
            total[chunk] += held
            some[chunk] += held > 0
    return total, some
