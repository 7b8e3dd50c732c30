"""Pairs of neutrinos and ultra-high-energy cosmic rays, and where an observatory sees cosmic rays that are isotropic.

Published: no correlation (ANTARES, IceCube, Auger and Telescope Array, arXiv:2201.07313); before, p ~ 0.01
(arXiv:1905.03997).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.schema import Floats
from nuanalysis.sphere import cos_separation, pixel_directions

ANGLES = np.radians(np.arange(1.0, 31.0))  # within which pairs are counted
_STEPS = 20_001  # of sin(declination) of a table
_AT_ONCE = 20_000_000  # pairs that are held in memory


@dataclass(frozen=True, slots=True)
class Observatory:
    """An array of detectors that is equally good at all azimuths, up to a largest zenith angle; rad."""

    name: str
    latitude: float
    most_zenith: float


#: Largest zenith angles are those of the lists.  Latitudes follow from the lists, decision 0049: 39.31 +- 0.01 from
#: times and zenith angles of TA, -35.2 to -35.1 from the zenith angles of Auger, which gives days only.
OBSERVATORIES = {
    one.name: one
    for one in (
        Observatory("Auger", np.radians(-35.2), np.radians(80.0)),
        Observatory("TA", np.radians(39.3), np.radians(55.0)),
    )
}


def exposure(declination: Floats, where: Observatory) -> Floats:
    """Relative exposure per solid angle at declinations in rad; any shape.

    The area seen is proportional to the cosine of the zenith angle.  Sommers 2001, Astropart. Phys. 14, 271, eq. 2.
    """
    sines = np.sin(where.latitude) * np.sin(declination)
    cosines = np.cos(where.latitude) * np.cos(declination)
    # Half of the hour angle above the horizon of the list: cos(zenith) = sines + cosines cos(hour angle).
    with np.errstate(divide="ignore", invalid="ignore"):
        a = np.arccos(np.clip((np.cos(where.most_zenith) - sines) / cosines, -1.0, 1.0))
    return np.asarray(np.maximum(cosines * np.sin(a) + a * sines, 0.0))


def _grid(where: Observatory) -> tuple[Floats, Floats]:
    """sin(declination) and the share of isotropic cosmic rays south of it, (step,) each."""
    sines = np.linspace(-1.0, 1.0, _STEPS)
    seen = exposure(np.arcsin(sines), where)
    summed = np.concatenate([[0.0], np.cumsum(0.5 * (seen[1:] + seen[:-1]))])
    return sines, summed / summed[-1]


def isotropic_declinations(where: Observatory, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Declinations of isotropic cosmic rays as an observatory sees them, rad."""
    sines, share = _grid(where)
    return np.asarray(np.arcsin(np.interp(rng.random(shape), share, sines)))


def share_within(where: Observatory, ra: float, dec: float, radius: float, nside: int = 256) -> float:
    """Share of isotropic cosmic rays that an observatory sees within a radius of a direction, rad."""
    right_ascension, declination = pixel_directions(nside)
    seen = exposure(declination, where)
    inside = cos_separation(ra, dec, right_ascension, declination) >= np.cos(radius)
    return float(seen[inside].sum() / seen.sum())


def pair_counts(ra: Floats, dec: Floats, other_ra: Floats, other_dec: Floats, angles: Floats = ANGLES) -> Floats:
    """Pairs nearer than each angle, (sky, angle): events (sky, event) with others (sky, other), all rad.

    One of the two may be the same in all skies, (1, event).    angles (angle,) rising.
    """
    one, two = _vectors(ra, dec), _vectors(other_ra, other_dec)
    n = max(len(one), len(two))
    size = max(1, _AT_ONCE // (one.shape[1] * two.shape[1]))
    parts = [_counted(_some(one, k, size), _some(two, k, size), np.cos(angles)) for k in range(0, n, size)]
    return np.concatenate(parts)


def _some(vectors: Floats, first: int, size: int) -> Floats:
    return vectors if len(vectors) == 1 else vectors[first : first + size]


def _vectors(ra: Floats, dec: Floats) -> Floats:
    """Unit vectors, (sky, event, 3)."""
    across = np.cos(dec)
    return np.stack([across * np.cos(ra), across * np.sin(ra), np.sin(dec) * np.ones_like(ra)], axis=-1)


def _counted(one: Floats, two: Floats, cosines: Floats) -> Floats:
    """Pairs of unit vectors with a cosine above each of (angle,), which fall: (sky, angle)."""
    cosine = np.matmul(one, np.swapaxes(two, -1, -2))
    cosine = cosine.reshape(len(cosine), -1)
    sky, pair = np.nonzero(cosine > cosines[-1])
    smallest = np.searchsorted(-cosines, -cosine[sky, pair], side="right")  # the first angle that holds the pair
    bins = np.bincount(sky * len(cosines) + smallest, minlength=len(cosine) * len(cosines))
    return bins.reshape(len(cosine), -1).cumsum(axis=1).astype(np.float64)
