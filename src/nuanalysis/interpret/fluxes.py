"""From signal events to a flux and back.

The flux is E^2 dN/dE at 100 TeV in TeV cm^-2 s^-1, per flavour, nu + nubar, integrated over the sky (template) or
summed over the sources (stack), for the spectrum of the hypothesis.
"""

import numpy as np

from nuanalysis.model import OWN_SPECTRUM, Hypothesis, Prepared, Sample, expected_events, own_index
from nuanalysis.response import acceptance
from nuanalysis.sky.records import PowerLaw, Template

UNIT = "TeV cm-2 s-1"
# (1e5 GeV)^2 dN/dE in GeV^-1 is E^2 dN/dE in GeV; 1e-3 turns GeV into TeV.
E2_PER_DNDE = 1.0e7


def convention(hypothesis: Hypothesis) -> str:
    """What a flux of this hypothesis is, in words."""
    over = "summed over the sources" if not isinstance(hypothesis.target, Template) else "integrated over the sky"
    spectrum = "the spectrum of the template" if hypothesis.index == OWN_SPECTRUM else f"E^-{hypothesis.index:g}"
    return f"E^2 dN/dE at 100 TeV, per flavour, nu + nubar, {over}, for {spectrum}"


def model_flux(hypothesis: Hypothesis) -> float:
    """E^2 dN/dE at 100 TeV that the template's own model predicts, TeV cm^-2 s^-1; 0 where it is relative.

    It belongs to the model's own spectrum: with another one there is no such flux.
    """
    target = hypothesis.target
    own = isinstance(target, Template) and hypothesis.index == own_index(target)
    return target.flux if own and isinstance(target, Template) else 0.0


def whose_model(hypothesis: Hypothesis) -> str:
    """Whose model the flux of ``model_flux`` is, in words; '' for sources, which have none."""
    return hypothesis.target.whose if isinstance(hypothesis.target, Template) else ""


def events_per_flux(hypothesis: Hypothesis, samples: tuple[Sample, ...]) -> float:
    """Expected events for E^2 dN/dE(100 TeV) = 1 TeV cm^-2 s^-1."""
    return sum(expected_events(hypothesis, sample, hypothesis.spectrum) for sample in samples) / E2_PER_DNDE


def prepared_events_per_flux(prepared: Prepared) -> float:
    """The same from a prepared problem."""
    return events_per_flux(prepared.hypothesis, tuple(part.sample for part in prepared.parts))


def isotropic_events(samples: tuple[Sample, ...], norm: float, index: float) -> float:
    """Expected events of an isotropic flux norm (E / 100 TeV)^-index, GeV^-1 cm^-2 s^-1 sr^-1 per flavour."""
    # Midpoints that divide the bands of every released effective area evenly.
    sin_dec = (np.arange(20_000) + 0.5) / 10_000 - 1.0
    total = 0.0
    for sample in samples:
        mean = float(acceptance(sample.response, PowerLaw(index), sin_dec).mean())
        total += 4 * np.pi * norm * sample.livetime * mean
    return total
