"""Regions that shine uniformly, as maps with exact fractions at their edges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nuanalysis.schema import Floats
from nuanalysis.sky.templates import _healpix

SUB_NSIDE = 1024  # of the sub-pixels along the edge, and at least so many along a side:
LEAST_SPLIT = 16


def uniform(depth: Callable[[Floats, Floats], Floats], nside: int) -> Floats:
    """Density of a uniform region that integrates to one, equatorial RING, (pixel,).

    depth : function of Galactic longitude in [-pi, pi] and latitude (n,) rad, positive inside the region, negative
        outside, and never larger in size than the distance from its edge (rad), so that pixels deeper than their own
        reach need no sub-pixels.
    """
    pixels = np.arange(12 * nside**2)
    centre = depth(*_healpix.galactic(pixels, nside=nside))
    covered = (centre > 0).astype(np.float64)
    edge = pixels[np.abs(centre) <= _healpix.reach(nside)]
    split = max(LEAST_SPLIT, SUB_NSIDE // nside)
    covered[edge] = _healpix.subpixel_mean(
        lambda longitude, latitude: np.heaviside(depth(longitude, latitude), 0.0), edge, nside=nside, split=split
    )
    density = _healpix.normalised(_healpix.to_ring(covered))
    density.flags.writeable = False
    return density
