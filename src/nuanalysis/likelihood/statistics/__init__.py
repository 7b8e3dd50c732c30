"""The statistics of the package: one file each, and one line in STATISTICS.

All have the form TS(n_s) = 2 sum_i ln(1 + (n_s / N) x_i) with x_i = (S_i - <S_i>) / B_i, see ``nuanalysis.likelihood``.
A statistic says what S and B are besides the direction.
"""

from __future__ import annotations

from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.likelihood.statistics import angular_error, complete, point_spread, published, smooth_energies
from nuanalysis.model import Statistic

PUBLISHED = published.STATISTIC
STATISTICS: tuple[Statistic, ...] = (
    PUBLISHED,
    smooth_energies.STATISTIC,
    angular_error.STATISTIC,
    point_spread.STATISTIC,
    complete.STATISTIC,
)


def described() -> str:
    """Every statistic with its title, in a line."""
    return ", ".join(f"{one.name} ({one.title})" for one in STATISTICS)


def statistic(name: str) -> Statistic:
    """The statistic of a name.  Raises InputError for an unknown one, with its nearest name."""
    found = next((one for one in STATISTICS if one.name == name), None)
    if found is None:
        raise InputError(f"there is no statistic '{name}'.{did_you_mean(name, [one.name for one in STATISTICS])}")
    return found
