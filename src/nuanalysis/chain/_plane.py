"""How much of a map of probability lies near the Galactic plane."""

from __future__ import annotations

import numpy as np

from nuanalysis.reconstruct import Pixels
from nuanalysis.schema import Floats
from nuanalysis.sky.templates import to_galactic

NEAR = np.radians(5.0)  # |b| of the plane for a cascade, whose region is some degrees wide
_ORDER = 7  # coarser leaves are divided to this, 0.5 deg; finer ones count by their centres


def near_plane(pixels: Pixels, density: Floats) -> float:
    """Probability of |b| < 5 deg.    pixels cover the sky once; density (pixel,) sr^-1, of integral 1."""
    coarse = pixels.order < _ORDER
    fine = pixels.take(~coarse)
    total = _within(fine, density[~coarse])
    for order in np.unique(pixels.order[coarse]):
        mine = pixels.order == order
        parts = 4 ** (_ORDER - int(order))
        index = (pixels.index[mine][:, None] * parts + np.arange(parts)).ravel()
        total += _within(Pixels(np.full(len(index), _ORDER), index), np.repeat(density[mine], parts))
    return min(total, 1.0)


def _within(pixels: Pixels, density: Floats) -> float:
    ra, dec = pixels.directions
    colatitude, _ = to_galactic(np.pi / 2 - dec, ra)
    near = np.abs(np.pi / 2 - np.asarray(colatitude)) < NEAR
    return float((density * pixels.area)[near].sum())
