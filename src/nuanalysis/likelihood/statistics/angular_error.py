"""The published statistic and the angular error as one more thing that signal and background differ in."""

from nuanalysis.likelihood.statistics._cells import with_errors
from nuanalysis.likelihood.statistics.published import one_part
from nuanalysis.model import Statistic

STATISTIC = Statistic(
    "angular-error",
    "direction, energy with a smooth background, and angular error",
    "docs/decisions/0029-angular-errors.md",
    with_errors,
    one_part,
)
