"""Systematic variations of a response, in what public numbers support: rate, energy scale, point-spread width."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.response._records import Response, detected
from nuanalysis.schema import Floats, Spectrum


@dataclass(frozen=True, slots=True)
class Variation:
    """A detector that differs from the nominal one.

    acceptance : its events over those of the nominal detector at the same light.
    energy_shift : it sees an event of log10 energy E as the nominal detector sees E + energy_shift, in everything:
        selection, reconstructed energy, direction (more light is what a higher energy looks like).
    angular_scale : width of its point spread over the nominal one; the per-event error does not follow.
    """

    acceptance: float = 1.0
    energy_shift: float = 0.0
    angular_scale: float = 1.0


NOMINAL = Variation()


@dataclass(frozen=True, slots=True)
class Systematics:
    """How far detectors may differ from the nominal one: standard deviations of normal numbers g.

    acceptance : of the logarithm of the acceptance.    energy_shift : in log10 E.
    angular_scale : the scale is exp(|g| angular_scale), since wrong ice can only spoil the direction.
    """

    acceptance: float = 0.0
    energy_shift: float = 0.0
    angular_scale: float = 0.0


NONE = Systematics()


def draw_variation(systematics: Systematics, rng: np.random.Generator) -> Variation:
    """One detector."""
    g = rng.standard_normal(3)
    return Variation(
        float(np.exp(systematics.acceptance * g[0])),
        float(systematics.energy_shift * g[1]),
        float(np.exp(systematics.angular_scale * abs(g[2]))),
    )


@dataclass(frozen=True, slots=True)
class Shifted:
    """A spectrum over the energy as the nominal detector sees it: d N / d E' with log10 E' = log10 E + by."""

    spectrum: Spectrum
    by: float

    def shape(self, log10_energy: Floats) -> Floats:
        """Relative dN/dE' at log10(E'/GeV)."""
        return np.asarray(self.spectrum.shape(np.asarray(log10_energy) - self.by) * 10.0**-self.by)


def band_rates(response: Response, spectrum: Spectrum, variation: Variation) -> Floats:
    """Events in each band of the effective area over those of the nominal detector, (band,).

    For a power law this is acceptance x 10^(energy_shift (index - 1)) in every band, up to the ends of the
    effective-area table: the events that a shift brings over the threshold, or takes away, are in it.
    """
    if variation.energy_shift == 0.0:
        return np.full(len(response.array("effective_area")), variation.acceptance)
    nominal = detected(response, spectrum).sum(axis=1)
    seen = detected(response, Shifted(spectrum, variation.energy_shift)).sum(axis=1)
    return np.asarray(variation.acceptance * seen / np.where(nominal > 0, nominal, np.inf))
