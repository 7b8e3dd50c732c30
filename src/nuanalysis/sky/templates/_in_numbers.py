"""A template in a number or two: its slope at 100 TeV, and where it is brightest."""

from __future__ import annotations

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.schema import Spectrum
from nuanalysis.sky.records import GEV_PIVOT_LOG10, PowerLaw, Template
from nuanalysis.sky.templates._healpix import to_galactic

HALF_STEP = 0.05  # in log10 E, of the difference that stands for the slope


def local_index(spectrum: Spectrum) -> float:
    """-dlog(dN/dE)/dlog(E) at 100 TeV; NaN where there is no flux around it.

    From a tenth of a decade around, or the half of it on the side where there is flux.
    """
    if isinstance(spectrum, PowerLaw):
        return spectrum.index
    energies = GEV_PIVOT_LOG10 + HALF_STEP * np.array([-1.0, 0.0, 1.0])
    values = spectrum.shape(energies)
    lit = np.flatnonzero(values > 0)
    if len(lit) < 2:
        return float("nan")
    low, high = lit[0], lit[-1]
    return float(-np.log10(values[high] / values[low]) / (energies[high] - energies[low]))


def brightest(template: Template) -> tuple[float, float]:
    """Galactic longitude in [-180, 180) and latitude of the brightest pixel at 100 TeV, deg."""
    theta, phi = to_galactic(*hp.pix2ang(template.nside, int(np.argmax(template.density))))
    return float(np.degrees(phi) + 180.0) % 360.0 - 180.0, float(90.0 - np.degrees(theta))
