"""What events of a time window mean: fluences, and the energies they come from.

A fluence is E^2 F at 1 TeV in GeV cm^-2, F = dN/dE integrated over the window, of nu and nubar of one flavour together.
"""

from __future__ import annotations

import numpy as np

from nuanalysis.response import Response, acceptance, band_of, detected
from nuanalysis.schema import Floats
from nuanalysis.sky.records import PowerLaw
from nuanalysis.sphere import cos_separation

UNIT = "GeV cm-2"
CONVENTION = "E^2 F at 1 TeV, F = dN/dE integrated over the window, of nu and nubar of one flavour together"
_SPREAD = 0.05  # of the expected events lie below the energy range, and as many above


def fluence_per_event(response: Response, index: float, declination: Floats) -> Floats:
    """E^2 F at 1 TeV that brings one event in the mean from each declination, rad; (...,) GeV cm^-2.

    (1 TeV)^2 / integral of A(E) (E / TeV)^-index dE, with the effective area of the response.
    """
    # The acceptance is for dN/dE = 1 at 100 TeV: at 1 TeV that flux is 100^index.
    return np.asarray(1e6 * 100.0**index / acceptance(response, PowerLaw(index), np.sin(declination)))


def mean_fluence_per_event(response: Response, index: float, declination: Floats, probability: Floats) -> float:
    """The same for a burst from one of several places, (place,) each: a fluence brings its mean number of events."""
    events = 1.0 / fluence_per_event(response, index, declination)
    return float(probability.sum() / (events * probability).sum())


def energy_range(response: Response, index: float, declination: Floats, probability: Floats) -> tuple[float, float]:
    """Neutrino energies, GeV, that 5 % of the expected events lie below and above; places (place,) as before."""
    edges = response.array("log10_true_edges")
    band = band_of(np.sin(declination), response.array("sin_dec_edges"))
    seen = (detected(response, PowerLaw(index))[band] * probability[:, None]).sum(axis=0)
    below = np.concatenate([[0.0], np.cumsum(seen)]) / seen.sum()
    low, high = np.interp([_SPREAD, 1.0 - _SPREAD], below, edges)
    return float(10.0**low), float(10.0**high)


def separation(ra: Floats, dec: Floats, other_ra: Floats | float, other_dec: Floats | float) -> Floats:
    """Angle between directions, rad, accurate at small angles; shapes broadcast."""
    haversine = 0.5 * (1.0 - cos_separation(ra, dec, np.asarray(other_ra), np.asarray(other_dec)))
    return np.asarray(2.0 * np.arcsin(np.sqrt(np.clip(haversine, 0.0, 1.0))))
