"""The published statistic with the measured point spread of an event in place of one kernel as wide as its error."""

from nuanalysis.likelihood.statistics._cells import measured
from nuanalysis.likelihood.statistics.published import densities
from nuanalysis.model import Statistic

STATISTIC = Statistic(
    "point-spread",
    "direction with the measured point spread, and energy",
    "docs/decisions/0029-angular-errors.md",
    densities,
    measured,
)
