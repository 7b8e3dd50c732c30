"""The published statistic with energies of the background that vary smoothly from one declination to the next."""

from nuanalysis.likelihood.statistics._cells import smooth_energies
from nuanalysis.likelihood.statistics.published import one_part
from nuanalysis.model import Statistic

STATISTIC = Statistic(
    "smooth-energies",
    "direction and energy, with a smooth background",
    "docs/decisions/0029-angular-errors.md",
    smooth_energies,
    one_part,
)
