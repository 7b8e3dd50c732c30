"""Maps on the sphere for templates: turn them to equatorial, average sub-pixels, make them integrate to one."""

from __future__ import annotations

from collections.abc import Callable

import healpy as hp
import numpy as np
from numpy.typing import NDArray

from nuanalysis.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
DIRECTIONS_PER_PASS = 1 << 19  # bounds the memory of a pass to some 50 MB

_TO_GALACTIC = hp.Rotator(coord=["C", "G"])


def galactic(nested: Ints, *, nside: int) -> tuple[Floats, Floats]:
    """Galactic longitude and latitude, rad, of the centres of equatorial NESTED pixels; longitude in [-pi, pi]."""
    theta, phi = _TO_GALACTIC(*hp.pix2ang(nside, nested, nest=True))
    return np.asarray((phi + np.pi) % (2 * np.pi) - np.pi), np.asarray(np.pi / 2 - theta)


def reach(nside: int) -> float:
    """Largest distance of a pixel's corner from its centre, rad."""
    return float(hp.max_pixrad(nside))


def subpixel_mean(value: Callable[[Floats, Floats], Floats], parents: Ints, *, nside: int, split: int) -> Floats:
    """Mean of value(longitude, latitude) over the sub-pixels of equatorial NESTED pixels.

    value : function of Galactic longitude and latitude (n,) rad, returns (n,).
    split : number of sub-pixels along a side, a power of two; split^2 in each parent, all of equal area.
    Returns (parent,), in the unit of ``value``.
    """
    children = np.arange(split * split)
    means = np.empty(len(parents))
    step = max(1, DIRECTIONS_PER_PASS // split**2)
    for start in range(0, len(parents), step):
        some = parents[start : start + step]
        fine = (some[:, None] * split**2 + children).ravel()
        means[start : start + step] = value(*galactic(fine, nside=nside * split)).reshape(len(some), -1).mean(axis=1)
    return means


def to_ring(nested: Floats) -> Floats:
    """The same map in RING order."""
    return np.asarray(hp.reorder(nested, n2r=True), dtype=np.float64)


def to_equatorial(galactic_map: Floats, *, split: int = 2) -> Floats:
    """Galactic RING map turned to an equatorial RING map of the same resolution and the same integral.

    Each equatorial pixel is the mean of the Galactic map at the centres of its split^2 sub-pixels: nothing is smeared
    by more than a pixel, and a non-negative map stays non-negative (a rotation of harmonics rings).
    """
    nside = hp.npix2nside(len(galactic_map))
    turned = subpixel_mean(
        lambda longitude, latitude: galactic_map[hp.ang2pix(nside, np.pi / 2 - latitude, longitude)],
        np.arange(len(galactic_map)),
        nside=nside,
        split=split,
    )
    total = turned.sum()
    return to_ring(turned * (galactic_map.sum() / total if total > 0 else 1.0))


def normalised(relative: Floats) -> Floats:
    """The map scaled to integrate to one over the sphere, sr^-1.  Needs a positive sum."""
    return np.asarray(relative / (relative.sum() * 4 * np.pi / len(relative)), dtype=np.float64)


def value_faults(values: Floats) -> list[str]:
    """What keeps values (pixel,) from being a density on the sphere, in words; empty when nothing does."""
    faults = []
    if not is_healpix_size(len(values)):
        faults.append(f"it has {len(values)} pixels, expected 12 nside^2 with nside a power of two (49152 at nside 64)")
    unseen = np.isclose(values, hp.UNSEEN)
    broken = ~np.isfinite(values)
    negative = (values < 0) & ~unseen & ~broken
    if unseen.any():
        count = np.count_nonzero(unseen)
        faults.append(f"{count} pixels are marked UNSEEN ({hp.UNSEEN:g}); put 0 where nothing shines")
    if broken.any():
        faults.append(f"{np.count_nonzero(broken)} pixels are NaN or infinite")
    if negative.any():
        faults.append(f"{np.count_nonzero(negative)} pixels are negative (the lowest is {values[negative].min():g})")
    if len(values) and not np.any(values):
        faults.append("all pixels are zero: nothing shines")
    return faults


def is_healpix_size(n_pixels: int) -> bool:
    """Whether a map of that many pixels is a HEALPix map that can be divided (nside a power of two)."""
    return bool(hp.isnpixok(n_pixels)) and bool(hp.isnsideok(hp.npix2nside(n_pixels), nest=True))


def refuse(source: str, faults: list[str], remedy: str) -> None:
    """Raise InputError with every fault in one message; do nothing when there is none."""
    if faults:
        raise InputError(f"{source} cannot be used as a template:\n  - " + "\n  - ".join(faults) + f"\n{remedy}")
