"""Events + hypothesis + response -> Terms: the narrow waist of the package.

``prepare`` does what is fixed under right-ascension scrambles once; ``terms`` reads the signal density where the
events are.  Several samples are joined into one set of Terms with one n_s.
"""

from nuanalysis.model._prepare import Prepared, energy_terms, expected_events, prepare, space_nodes, spectra_of, terms
from nuanalysis.model._records import OWN_SPECTRUM, Binning, Hypothesis, Sample, Terms, own_index

__all__ = [
    "OWN_SPECTRUM",
    "Binning",
    "Hypothesis",
    "Prepared",
    "Sample",
    "Terms",
    "energy_terms",
    "expected_events",
    "own_index",
    "prepare",
    "space_nodes",
    "spectra_of",
    "terms",
]
