"""The region of an alert: which directions lie in it, at which level of containment, and a grid over it.

Two kinds: the errors to each side of a table, as an ellipse with a semi-axis of its own in each quadrant, and a
multi-order map of probability.  Levels of an ellipse grow as those of a two-dimensional Gaussian.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nuanalysis.alerts import Box, Region
from nuanalysis.deferred import healpy as hp
from nuanalysis.errors import DataError, InputError
from nuanalysis.likelihood import Places
from nuanalysis.schema import TWO_PI, Bools, Floats, Ints

_DEEPEST = -60.0  # of a penalty: where the map has no probability


class AlertRegion(Protocol):
    """Where an alert came from."""

    @property
    def right_ascension(self) -> float:
        """Of the best position, rad."""

    @property
    def declination(self) -> float:
        """Of the best position, rad."""

    def level(self, ra: Floats, dec: Floats) -> Floats:
        """Containment at which each direction enters the region, (...,) in [0, 1]."""

    def penalty(self, ra: Floats, dec: Floats) -> Floats:
        """2 ln(P / P_max) of each direction, (...,) <= 0."""

    def reach(self, containment: float) -> float:
        """Angle from the best position that holds all of the region, rad."""


@dataclass(frozen=True, slots=True)
class Ellipse:
    """Errors to each side of the best position, rad: right ascension as such, not times cos(dec).

    containment : of the ellipse through the four errors.
    """

    right_ascension: float
    declination: float
    box: Box

    def radius2(self, ra: Floats, dec: Floats) -> Floats:
        """(dra / err_ra)^2 + (ddec / err_dec)^2 with the error of that side, (...,): 1 on the ellipse."""
        east = np.mod(ra - self.right_ascension + np.pi, TWO_PI) - np.pi
        north = dec - self.declination
        a = np.where(east > 0, self.box.right_ascension_plus, self.box.right_ascension_minus)
        b = np.where(north > 0, self.box.declination_plus, self.box.declination_minus)
        return np.asarray((east / a) ** 2 + (north / b) ** 2)

    def level(self, ra: Floats, dec: Floats) -> Floats:
        """Containment at which each direction enters the region, (...,)."""
        return np.asarray(-np.expm1(self.radius2(ra, dec) * np.log1p(-self.box.containment)))

    def penalty(self, ra: Floats, dec: Floats) -> Floats:
        """2 ln(P / P_max) of each direction, (...,)."""
        return np.asarray(2.0 * np.log1p(-self.box.containment) * self.radius2(ra, dec))

    def scale(self, containment: float) -> float:
        """Semi-axes of the ellipse of another containment over those of this one."""
        return float(np.sqrt(np.log1p(-containment) / np.log1p(-self.box.containment)))

    def reach(self, containment: float) -> float:
        """Angle from the best position that holds all of the region, rad; at most pi."""
        wide = max(self.box.right_ascension_plus, self.box.right_ascension_minus)
        high = max(self.box.declination_plus, self.box.declination_minus)
        return float(min(self.scale(containment) * np.hypot(wide, high), np.pi))


@dataclass(frozen=True, slots=True, eq=False)
class ProbabilityMap:
    """A multi-order map: order, NEST pixel and probability per sr of each leaf, (leaf,); leaves cover the sky once.

    containment : (leaf,) at which each leaf enters the region, densest first; see ``probability_map``.
    """

    right_ascension: float
    declination: float
    order: Ints
    pixel: Ints
    density: Floats
    containment: Floats

    def _leaf(self, ra: Floats, dec: Floats) -> Ints:
        deepest = int(self.order.max())
        first = self.pixel << (2 * (deepest - self.order))
        rank = np.argsort(first)
        there = hp.ang2pix(1 << deepest, 0.5 * np.pi - np.asarray(dec), np.asarray(ra), nest=True)
        return np.asarray(rank[np.searchsorted(first[rank], there, side="right") - 1])

    def level(self, ra: Floats, dec: Floats) -> Floats:
        """Containment at which each direction enters the region, (...,)."""
        return np.asarray(self.containment[self._leaf(ra, dec)])

    def penalty(self, ra: Floats, dec: Floats) -> Floats:
        """2 ln(P / P_max) of each direction, (...,)."""
        found = self.density[self._leaf(ra, dec)] / self.density.max()
        return np.asarray(np.maximum(2.0 * np.log(np.maximum(found, 1e-300)), _DEEPEST))

    def reach(self, containment: float) -> float:
        """Angle from the best position that holds all of the region, rad."""
        inside = np.flatnonzero(self.containment <= containment)
        if not len(inside):
            return 0.0
        theta, phi = np.array([hp.pix2ang(1 << int(self.order[k]), int(self.pixel[k]), nest=True) for k in inside]).T
        apart = hp.rotator.angdist([0.5 * np.pi - self.declination, self.right_ascension], np.stack([theta, phi]))
        widest = np.array([hp.max_pixrad(1 << int(order)) for order in np.unique(self.order[inside])]).max()
        return float(min(apart.max() + widest, np.pi))


def probability_map(uniq: Ints, density: Floats) -> ProbabilityMap:
    """A map from its UNIQ numbers and probabilities per sr, (leaf,).

    Raises DataError for leaves that do not cover the sky once, and for probabilities that do not add to 1 within 1 %.
    """
    order = (np.floor(np.log2(uniq / 4.0)) / 2.0).astype(np.int64)
    pixel = uniq - 4 * 4**order
    area = 4.0 * np.pi / (12.0 * 4.0**order)
    total = float((area * density).sum())
    if abs(area.sum() / (4.0 * np.pi) - 1.0) > 1e-9 or (density < 0).any() or abs(total - 1.0) > 0.01:
        raise DataError(
            f"the map of probability covers {area.sum() / (4.0 * np.pi):.4f} of the sky and adds to {total:.4f}; "
            "expected each pixel once and 1: fetch or make it again"
        )
    falling = np.argsort(-density, kind="stable")
    containment = np.empty(len(uniq))
    containment[falling] = np.cumsum((area * density)[falling]) / total
    best = int(falling[0])
    theta, phi = hp.pix2ang(1 << int(order[best]), int(pixel[best]), nest=True)
    return ProbabilityMap(float(phi), float(0.5 * np.pi - theta), order, pixel, density, containment)


def alert_region(region: Region) -> Ellipse:
    """The four-sided ellipse of an alert; of one with a radius alone, a circle.

    Raises InputError where neither is given.
    """
    if region.box is not None:
        return Ellipse(region.right_ascension, region.declination, region.box)
    if region.radius is None:
        raise InputError("the alert has neither errors to each side nor a radius; give one of them")
    wide = region.radius / max(np.cos(region.declination), 1e-6)
    box = Box(wide, wide, region.radius, region.radius, region.containment)
    return Ellipse(region.right_ascension, region.declination, box)


def ellipse_deg(ra_deg: float, dec_deg: float, box_deg: tuple[float, ...]) -> Ellipse:
    """The 90 % ellipse of a position and its errors, all in deg: RA plus, RA minus, dec plus, dec minus."""
    ra, dec, *sides = np.radians([ra_deg % 360.0, dec_deg, *box_deg]).tolist()
    return Ellipse(ra, dec, Box(*sides))


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Equal pixels over a region: centres, rad, and the level at which each enters it, (pixel,); pixel_sr of each."""

    right_ascension: Floats
    declination: Floats
    level: Floats
    pixel_sr: float

    def inside(self, containment: float) -> Bools:
        """Which pixels lie in the region of a containment, (pixel,)."""
        return np.asarray(self.level <= containment)


def grid(region: AlertRegion, containment: float, nside: int) -> Grid:
    """The pixels of a HEALPix grid whose centres lie in a region, and at least the one of its best position."""
    centre = hp.ang2vec(0.5 * np.pi - region.declination, region.right_ascension)
    radius = min(region.reach(containment) + hp.max_pixrad(nside), np.pi)
    pixel = hp.query_disc(nside, centre, radius, inclusive=True)
    theta, phi = hp.pix2ang(nside, pixel)
    level = region.level(phi, 0.5 * np.pi - theta)
    keep = level <= containment
    found = Grid(phi[keep], 0.5 * np.pi - theta[keep], level[keep], float(hp.nside2pixarea(nside)))
    if not keep.any():
        return Grid(np.array([region.right_ascension]), np.array([region.declination]), np.zeros(1), found.pixel_sr)
    return found


def area_sr(region: AlertRegion, containment: float, *, pixels: int = 2000) -> float:
    """Solid angle of a region, sr, by counting some ``pixels`` of a fine grid."""
    around = 2.0 * np.pi * (1.0 - np.cos(max(region.reach(containment), 1e-4)))
    nside = 1 << int(np.clip(np.ceil(0.5 * np.log2(pixels * np.pi / (3.0 * around))), 6, 15))
    return float(grid(region, containment, nside).inside(containment).sum() * hp.nside2pixarea(nside))


def places_of(region: AlertRegion, containment: float, nside: int) -> tuple[Places, Floats]:
    """Where a signal is looked for in a region, and the probability of each place, (place,): the best one first."""
    found = grid(region, containment, nside)
    ra = np.append(region.right_ascension, found.right_ascension)
    dec = np.append(region.declination, found.declination)
    penalty = np.minimum(region.penalty(ra, dec), 0.0)
    penalty[0] = 0.0
    probability = np.exp(0.5 * penalty)
    probability[0] = 0.0 if len(ra) > 1 else 1.0  # its pixel stands for it
    return Places(ra, dec, penalty), probability
