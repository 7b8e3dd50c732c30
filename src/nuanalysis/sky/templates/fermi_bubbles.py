"""The Fermi bubbles as two uniform ellipses.

They stand for the mask of the gamma-ray bubbles of Su, Slatyer & Finkbeiner, ApJ 724, 1044 (2010): two ellipses in
(l cos b, b) fitted to such a mask.  No limb, no cocoon, no jet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.schema import Floats, Spectrum
from nuanalysis.sky.records import CutOffPowerLaw, PowerLaw, Template, factorised
from nuanalysis.sky.templates._healpix import uniform
from nuanalysis.sky.templates._recipe import Recipe, built_in, parameter

INDEX = 2.0
REFERENCE = "nuanalysis: two ellipses in the place of the bubbles of Su, Slatyer & Finkbeiner, ApJ 724, 1044 (2010)"
# deg: latitude of the centre (at l = 0), semi-axes in l cos b and in b; they cover 0.40 sr north and 0.44 sr south.
NORTH, SOUTH = (23.7, 17.2, 24.6), (-26.7, 16.8, 26.6)
# The ellipse's own radius changes by at most this over the shorter semi-axis: l cos b shears where b is large.
STEEPEST = 1.5


@dataclass(frozen=True, slots=True)
class Parameters:
    """Its spectrum."""

    cutoff: float = parameter(0.0, "energy in TeV of an exponential cut-off of E^-2; 0 = none", low=0.0, high=1e6)


def make(parameters: Parameters, nside: int) -> Template:
    """The two ellipses as a template; equally bright."""
    spectrum: Spectrum = PowerLaw(INDEX)
    if parameters.cutoff:
        spectrum = CutOffPowerLaw(INDEX, float(np.log10(parameters.cutoff)) + 3.0)
    density = uniform(lambda lon, lat: np.maximum(_inside(lon, lat, *NORTH), _inside(lon, lat, *SOUTH)), nside)
    label = "two ellipses in the place of the Fermi bubbles"
    return built_in("fermi-bubbles", label, factorised(density), spectrum, REFERENCE)


def _inside(longitude: Floats, latitude: Floats, centre: float, across: float, along: float) -> Floats:
    """At most the distance from the edge of an ellipse, rad; positive inside."""
    a, c = np.radians(across), np.radians(along)
    radius = np.hypot(longitude * np.cos(latitude) / a, (latitude - np.radians(centre)) / c)
    return np.asarray((1.0 - radius) * min(a, c) / STEEPEST)


RECIPE = Recipe("fermi-bubbles", "two ellipses north and south of the Galactic Centre", REFERENCE, Parameters, make)
