"""Events + hypothesis + response -> Terms: the narrow waist of the package.

``prepare`` does what is fixed under right-ascension scrambles once; ``terms`` reads the signal density where the
events are.  Several samples are joined into one set of Terms with one n_s.
"""

from nuanalysis.model._background import Background, background, cells, counted
from nuanalysis.model._place import in_reading_order, place
from nuanalysis.model._prepare import (
    EnergyTerms,
    Prepared,
    PreparedSample,
    energy_terms,
    energy_terms_in,
    expected_events,
    join,
    prepare,
    space_nodes,
    spectra_of,
    terms,
)
from nuanalysis.model._records import OWN_SPECTRUM, Binning, Hypothesis, Sample, Terms, own_index
from nuanalysis.model._space import REACH, StackSpace

__all__ = [
    "OWN_SPECTRUM", "REACH", "Background", "Binning", "EnergyTerms", "Hypothesis", "Prepared", "PreparedSample",
    "Sample", "StackSpace", "Terms", "background", "cells", "counted", "energy_terms", "energy_terms_in",
    "expected_events", "in_reading_order", "join", "own_index", "place", "prepare", "space_nodes", "spectra_of",
    "terms",
]  # fmt: skip
