"""Events + hypothesis + response -> Terms: the narrow waist of the package.

``prepare`` does what is fixed under right-ascension scrambles once; ``terms`` reads the signal density where the
events are.  Several samples are joined into one set of Terms with one n_s.
"""

from nuanalysis.model._background import Background, Binning, Counts, Grouping, Where, row_groups, smoother
from nuanalysis.model._densities import Densities, EnergyTerms, energy_column
from nuanalysis.model._place import Reached, in_reading_order, place
from nuanalysis.model._prepare import (
    Prepared,
    PreparedSample,
    binned,
    expected_events,
    expected_rate,
    join,
    prepare,
    space_nodes,
    spectra_of,
    terms,
)
from nuanalysis.model._records import OWN_SPECTRUM, Hypothesis, Sample, Statistic, Terms, own_index
from nuanalysis.model._space import REACH, StackSpace
