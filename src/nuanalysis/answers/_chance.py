"""From ensembles and counts to chances."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nuanalysis import trials
from nuanalysis.answers._ensembles import METHOD
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import PrecisionError
from nuanalysis.records import Chance, Scope, Unknown, certain

T = TypeVar("T")
LOCAL = "of this hypothesis alone, not corrected for others that were asked"


def chance_of(background: xr.Dataset, ts: float, *, precision: float = math.inf) -> Chance:
    """Local p-value of a test statistic from weighted trials.  Raises PrecisionError where they do not reach it."""
    if ts <= 0.0:
        return certain()
    found = trials.p_value(background["ts"].values, background["log_weight"].values, ts, precision)
    return Chance(
        p=found.p,
        error=found.p_error,
        n_trials=found.n_trials,
        ess=found.ess,
        of=LOCAL,
        method=METHOD,
        not_converged=int((background["converged"].values < 1).sum()),
    )


def or_reason(work: Callable[[], T]) -> T | Unknown:
    """What the work returns, or why its trials do not give it."""
    try:
        return work()
    except PrecisionError as error:
        return Unknown(reason=str(error))


def chance_or_reason(background: xr.Dataset, ts: float) -> Chance | Unknown:
    """The local p-value, or why the trials do not give one."""
    return or_reason(lambda: chance_of(background, ts))


def counted(found: trials.Share, of: str, method: str, scope: Scope = "local") -> Chance:
    """A share of plain trials, with its bound where none was counted."""
    return Chance(
        p=found.p,
        error=found.error,
        n_trials=found.n_trials,
        bound=found.upper_bound,
        of=of,
        method=method,
        scope=scope,
    )


def share_of(met: NDArray[np.bool_], of: str, method: str = "") -> Chance:
    """The share k / n of trials in which something happened."""
    return counted(trials.share(met), of, method)


def tail_of(met: NDArray[np.bool_], of: str, method: str, scope: Scope = "local") -> Chance:
    """A p-value (k + 1) / (n + 1), the data counted as one of the experiments."""
    return counted(trials.tail(met), of, method, scope)
