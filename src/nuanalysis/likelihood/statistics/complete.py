"""Everything that is known of an event: direction with the measured point spread, energy and angular error."""

from nuanalysis.likelihood.statistics._cells import measured, with_errors
from nuanalysis.model import Statistic

STATISTIC = Statistic(
    "complete",
    "measured point spread, energy with a smooth background, and angular error",
    "docs/decisions/0029-angular-errors.md",
    with_errors,
    measured,
)
