"""Maps on the sphere for templates: turn to equatorial, average sub-pixels, integrate to one, read field by field."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import healpy as hp
from nuanalysis.schema import Floats, Ints

VALUES_PER_FIELD = 1 << 21  # 16 MB in float64
DIRECTIONS_PER_PASS = 1 << 19  # bounds the memory of a pass to some 50 MB
SUB_NSIDE = 1024  # of the sub-pixels along the edge of a region, and at least so many along a side:
LEAST_SPLIT = 16
FINEST_NSIDE = 512  # of users' maps; its pixels, 0.11 deg, are finer than any event is measured
FINEST_PIXELS = 12 * 4**29  # what 64 bits can number

HEALPIX_FRAMES = {"equatorial": "C", "galactic": "G", "ecliptic": "E"}


@cache
def rotator(from_frame: str, to_frame: str) -> hp.Rotator:
    """Turns colatitude and longitude, rad, between equatorial ('C') and Galactic ('G')."""
    return hp.Rotator(coord=[from_frame, to_frame])


def to_galactic(theta: Floats, phi: Floats) -> tuple[Floats, Floats]:
    """Galactic colatitude and longitude, rad, of equatorial ones; (direction,) each."""
    colatitude, longitude = rotator("C", "G")(theta, phi)
    return colatitude, longitude


def galactic(nested: Ints, *, nside: int) -> tuple[Floats, Floats]:
    """Galactic longitude and latitude, rad, of the centres of equatorial NESTED pixels; longitude in [-pi, pi]."""
    theta, phi = to_galactic(*hp.pix2ang(nside, nested, nest=True))
    return np.asarray((phi + np.pi) % (2 * np.pi) - np.pi), np.asarray(np.pi / 2 - theta)


def sub_pixels(parents: Ints, split: int) -> Iterator[tuple[slice, Ints]]:
    """NESTED pixels in passes: a slice of them, and their split^2 sub-pixels (pixel x sub-pixel,), all of equal area.

    split : number of sub-pixels along a side, a power of two.
    """
    step = max(1, DIRECTIONS_PER_PASS // split**2)
    for start in range(0, len(parents), step):
        some = slice(start, start + step)
        yield some, (parents[some, None] * split**2 + np.arange(split**2)).ravel()


def uniform(depth: Callable[[Floats, Floats], Floats], nside: int) -> Floats:
    """Density of a uniform region that integrates to one, equatorial RING, (pixel,), with exact fractions at its edge.

    depth : function of Galactic longitude in [-pi, pi] and latitude (n,) rad, positive inside the region, negative
        outside, and never larger in size than the distance from its edge (rad), so that pixels deeper than their own
        reach need no sub-pixels.
    """
    pixels = np.arange(12 * nside**2)
    centre = depth(*galactic(pixels, nside=nside))
    covered = (centre > 0).astype(np.float64)
    edge = pixels[np.abs(centre) <= hp.max_pixrad(nside)]
    split = max(LEAST_SPLIT, SUB_NSIDE // nside)
    for some, fine in sub_pixels(edge, split):
        inside = np.heaviside(depth(*galactic(fine, nside=nside * split)), 0.0)
        covered[edge[some]] = inside.reshape(-1, split**2).mean(axis=1)
    density = normalised(to_ring(covered))
    density.flags.writeable = False
    return density


def to_ring(nested: Floats) -> Floats:
    return np.asarray(hp.reorder(nested, n2r=True), dtype=np.float64)


def to_equatorial(galactic_map: Floats, *, split: int = 2) -> Floats:
    """Galactic RING map turned to an equatorial RING map of the same resolution and the same integral.

    Each equatorial pixel is the mean of the Galactic map at the centres of its split^2 sub-pixels: nothing is smeared
    by more than a pixel, and a non-negative map stays non-negative (a rotation of harmonics rings).
    """
    return turned(galactic_map, sources(hp.npix2nside(len(galactic_map)), split=split))


def sources(nside: int, *, split: int = 2, frame: str = "galactic") -> NDArray[np.int32]:
    """Where the sub-pixels of equatorial pixels lie: RING pixels in the frame, (equatorial RING pixel, split^2)."""
    rotation = hp.Rotator(coord=["C", HEALPIX_FRAMES[frame]]).mat
    parents = hp.ring2nest(nside, np.arange(12 * nside**2))
    found = np.empty((len(parents), split**2), dtype=np.int32)
    for some, fine in sub_pixels(parents, split):
        # By vectors: angles in between would cost three times as much.
        there = rotation @ np.array(hp.pix2vec(nside * split, fine, nest=True))
        found[some] = hp.vec2pix(nside, *there).reshape(-1, split**2)
    return found


def turned(ring: Floats, where: NDArray[np.int32]) -> Floats:
    """A RING map of another frame read at the sub-pixels that ``sources`` gives, with its integral kept."""
    mean = ring[where].mean(axis=1)
    total = mean.sum()
    return np.asarray(mean * (ring.sum() / total if total > 0 else 1.0), dtype=np.float64)


def as_ring(values: Floats, *, nested: bool, finest: int) -> Floats:
    """A map in RING order, as it is up to nside ``finest``, else averaged down to it."""
    nside = hp.npix2nside(len(values))
    if nside <= finest:
        return to_ring(values) if nested else values
    children = values if nested else hp.reorder(values, r2n=True)
    return to_ring(children.reshape(-1, (nside // finest) ** 2).mean(axis=1))


def normalised(relative: Floats) -> Floats:
    """The map scaled to integrate to one over the sphere, sr^-1.  Needs a positive sum."""
    return np.asarray(relative / (relative.sum() * 4 * np.pi / len(relative)), dtype=np.float64)


def value_faults(values: NDArray[np.generic]) -> list[str]:
    """What keeps values (pixel,) from being a density on the sphere, in words; empty when nothing does."""
    return size_faults(len(values)) + Census().add(values).faults()


def size_faults(n_pixels: int) -> list[str]:
    """The fault of a map of that many pixels, or none."""
    if is_healpix_size(n_pixels):
        return []
    return [f"it has {n_pixels} pixels, expected 12 nside^2 with nside a power of two (49152 at nside 64)"]


OVERFLOWN = "; infinite ones overflowed: write the map in a larger unit"
FAINT = "; write 0 there if they are noise or rounding: numpy.maximum(map, 0)"


@dataclass(frozen=True, slots=True)
class Census:
    """What keeps values from being a flux on the sphere, counted field by field."""

    seen: int = 0
    unseen: int = 0
    broken: int = 0
    negative: int = 0
    lowest: float = 0.0
    shining: int = 0
    infinite: int = 0

    def add(self, values: NDArray[np.generic]) -> Census:
        """The census with these values, of any shape, counted too."""
        numbers = np.asarray(values, dtype=np.float64)
        unseen = is_unseen(numbers)
        broken = ~np.isfinite(numbers)
        negative = (numbers < 0) & ~unseen & ~broken
        return Census(
            self.seen + numbers.size,
            self.unseen + int(np.count_nonzero(unseen)),
            self.broken + int(np.count_nonzero(broken)),
            self.negative + int(np.count_nonzero(negative)),
            min(self.lowest, float(numbers[negative].min())) if negative.any() else self.lowest,
            self.shining + int(np.count_nonzero(numbers)),
            self.infinite + int(np.count_nonzero(np.isinf(numbers))),
        )

    def faults(self, remedy: str = "") -> list[str]:
        """What is wrong in words; ``remedy``: of pixels without a value."""
        found = (
            (self.unseen, f"{self.unseen} pixels are marked UNSEEN ({hp.UNSEEN:g}){remedy}"),
            (self.broken, f"{self.broken} pixels are NaN or infinite{OVERFLOWN if self.infinite else remedy}"),
            (self.negative, f"{self.negative} pixels are negative (the lowest is {self.lowest:g}){FAINT}"),
            (self.seen and not self.shining, "all pixels are zero: nothing shines"),
        )
        return [words for bad, words in found if bad]


def is_unseen(numbers: Floats) -> NDArray[np.bool_]:
    """Which values are the mark of HEALPix for none, to the digits of float32."""
    return np.asarray(np.isclose(numbers, hp.UNSEEN))


def without_gaps(values: Floats) -> tuple[Floats, int]:
    """The values with 0 in place of NaN and UNSEEN, and how many there were."""
    gaps = np.isnan(values) | is_unseen(values)
    return (np.where(gaps, 0.0, values), int(np.count_nonzero(gaps))) if gaps.any() else (values, 0)


def is_healpix_size(n_pixels: int) -> bool:
    """Whether a map of that many pixels is a HEALPix map that can be divided (nside a power of two)."""
    if not 0 < n_pixels <= FINEST_PIXELS:
        return False
    return bool(hp.isnpixok(n_pixels)) and bool(hp.isnsideok(hp.npix2nside(n_pixels), nest=True))


@dataclass(frozen=True, slots=True, eq=False)
class Summed:
    """A cube after one reading.

    maps   : (node, pixel) as ordered in the file, in no particular unit.
    totals : (energy,) sum over the pixels, in the file's unit.
    filled : how many values were none and became 0.
    """

    maps: Floats
    totals: Floats
    census: Census
    filled: int = 0


def sum_up(field: Callable[[int, int], Floats], weights: Floats, n_pixels: int, *, fill: bool = False) -> Summed:
    """Read maps at many energies once, in fields of the sky: a large file never lies in memory as float64.

    field   : (first pixel, last pixel + 1) -> values (pixel, energy).
    weights : (node, energy), of the values as stored.
    fill    : put 0 where there is no value.
    """
    n_nodes, n_energies = weights.shape
    maps, totals, census = np.empty((n_nodes, n_pixels)), np.zeros(n_energies), Census()
    step, filled = max(1, VALUES_PER_FIELD // n_energies), 0
    for start in range(0, n_pixels, step):
        stop = min(n_pixels, start + step)
        values, n_gaps = np.asarray(field(start, stop), dtype=np.float64), 0
        if fill:
            values, n_gaps = without_gaps(values)
        filled += n_gaps
        census = census.add(values)
        with np.errstate(invalid="ignore", over="ignore"):
            maps[:, start:stop] = weights @ values.T
            totals += values.sum(axis=0)
    return Summed(maps, totals, census, filled)
