"""A box in Galactic coordinates that shines uniformly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.schema import Floats
from nuanalysis.sky.records import PowerLaw, Template, factorised
from nuanalysis.sky.templates._healpix import uniform
from nuanalysis.sky.templates._recipe import Recipe, built_in, index_parameter, parameter

REFERENCE = "nuanalysis: a uniform box in Galactic coordinates"


@dataclass(frozen=True, slots=True)
class Parameters:
    """The box: |b| < latitude, and from l_min eastwards to l_max (through 180 deg where l_min > l_max)."""

    latitude: float = parameter(5.0, "half-width of the box in latitude, deg", low=0.1, high=90.0)
    l_min: float = parameter(-180.0, "where it begins in longitude, deg", low=-180.0, high=360.0)
    l_max: float = parameter(180.0, "where it ends in longitude, deg", low=-180.0, high=360.0)
    index: float = index_parameter(2.7)


def make(parameters: Parameters, nside: int) -> Template:
    """The box as a template.  Raises InputError where it has no width in longitude."""
    p = parameters
    width = p.l_max - p.l_min if p.l_max - p.l_min >= 360.0 else (p.l_max - p.l_min) % 360.0
    if width == 0.0:
        raise InputError(
            f"the box runs from l = {p.l_min:g} to {p.l_max:g} deg, which is no width; expected two longitudes, or "
            "-180 and 180 for the whole plane"
        )

    def depth(longitude: Floats, latitude: Floats) -> Floats:
        return inside(longitude, latitude, p.l_min, p.l_max, p.latitude)

    label = f"|b| < {p.latitude:g} deg" + ("" if width >= 360.0 else f", l from {p.l_min:g} to {p.l_max:g} deg")
    return built_in("galactic-plane-box", label, factorised(uniform(depth, nside)), PowerLaw(p.index), REFERENCE)


def inside(longitude: Floats, latitude: Floats, l_min: float, l_max: float, reach: float) -> Floats:
    """How far inside the box directions (n,) rad lie, rad; negative outside.

    l_min, l_max, reach : deg, as ``Parameters``; all around where they are 360 deg or more apart.
    """
    inside_b = np.asarray(np.radians(reach) - np.abs(latitude))
    if l_max - l_min >= 360.0:
        return inside_b
    half = np.radians((l_max - l_min) % 360.0 / 2)
    off = np.abs((longitude - np.radians(l_min) - half + np.pi) % (2 * np.pi) - np.pi)  # from the middle
    # At most 90 deg away, a meridian is asin(sin(angle) cos(b)) away; beyond, it is farther than that.
    angle = np.clip(half - off, -np.pi / 2, np.pi / 2)
    inside_l = np.arcsin(np.sin(angle) * np.cos(latitude))
    return np.asarray(np.minimum(inside_l, inside_b))


RECIPE = Recipe("galactic-plane-box", "a uniform box in Galactic longitude and latitude", REFERENCE, Parameters, make)
