"""Discs around known sources that gamma-ray observatories leave out, on a map of ours."""

from __future__ import annotations

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.errors import InputError
from nuanalysis.interpret.regions import Region, covered
from nuanalysis.schema import Floats

SUB_NSIDE = 1024  # of the pixels that a disc takes or leaves: 0.06 deg
WIDTHS = 2.5  # radius of a disc over sqrt(extension^2 + point spread^2); not confirmed as the rule of LHAASO


def radii(extension: Floats, point_spread: float) -> Floats:
    """Radius of the disc around each source, rad; extension (source,) Gaussian sigma in rad, NaN where not given."""
    return np.asarray(WIDTHS * np.hypot(np.nan_to_num(extension), point_spread))


def left_open(nside: int, right_ascension: Floats, declination: Floats, radius: Floats) -> Floats:
    """Fraction of each equatorial RING pixel that no disc covers, (pixel,); directions and radii (source,) rad, ICRS.

    Raises InputError for pixels finer than those the discs are drawn on.
    """
    if nside > SUB_NSIDE:
        raise InputError(f"the map has nside {nside}; discs are drawn on nside {SUB_NSIDE}: give a coarser map")
    masked = np.zeros(12 * SUB_NSIDE**2, dtype=bool)
    vectors = hp.ang2vec(np.pi / 2 - declination, right_ascension)
    for vector, reach in zip(np.atleast_2d(vectors), radius, strict=True):
        masked[hp.query_disc(SUB_NSIDE, vector, reach, nest=True)] = True
    nested = 1.0 - masked.reshape(12 * nside**2, -1).mean(axis=1)
    return np.asarray(nested[hp.ring2nest(nside, np.arange(len(nested)))])


def unmasked_over_whole(density: Floats, part: Region, is_open: Floats) -> tuple[float, float]:
    """Mean of a map over what is left open of a region, in units of its mean over all of it; and the share left open.

    density (pixel,) any unit; is_open (pixel,) of ``left_open``.  Raises InputError where nothing is left.
    """
    inside = covered(part, hp.npix2nside(len(density)))
    seen = inside * is_open
    if not seen.sum():
        raise InputError(f"the discs leave nothing of {part.label}; give a smaller point spread")
    means = (density @ seen) / seen.sum(), (density @ inside) / inside.sum()
    return float(means[0] / means[1]), float(seen.sum() / inside.sum())
