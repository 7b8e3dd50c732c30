"""p-values and thresholds of weighted ensembles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from nuanalysis.errors import PrecisionError

Floats = NDArray[np.float64]
FIVE_SIGMA = float(norm.sf(5.0))


@dataclass(frozen=True, slots=True)
class PValue:
    """Probability under the null of a test statistic at least as large; local; sigma is one-sided.

    ess : effective number of trials beyond the test statistic.
    """

    ts: float
    p: float
    p_error: float
    sigma: float
    sigma_error: float
    n_trials: int
    ess: float


def p_value(ts: Floats, log_weight: Floats, observed: float) -> PValue:
    """Estimate p and its statistical error from an ensemble, (trial,) each.

    Raises PrecisionError where fewer than ten effective trials lie beyond the observed value.
    """
    if observed <= 0.0:
        return PValue(observed, 1.0, 0.0, -np.inf, 0.0, len(ts), float(len(ts)))
    weight = np.where(ts >= observed, np.exp(log_weight), 0.0)
    p, square = float(weight.mean()), float((weight**2).sum())
    ess = float(weight.sum()) ** 2 / square if square > 0 else 0.0
    if ess < 10.0:
        raise PrecisionError(
            f"{ess:.1f} effective trials of {len(ts)} reach TS {observed:g}; at least 10 are needed for a p-value. "
            "Ask for more trials, or let the tilts be chosen for this TS."
        )
    error = float(weight.std(ddof=1) / np.sqrt(len(ts)))
    p = min(p, 1.0)
    sigma = float(norm.isf(p))
    return PValue(observed, p, error, sigma, error / float(norm.pdf(sigma)) if p < 1 else 0.0, len(ts), ess)


def weighted_quantile(values: Floats, log_weight: Floats, upper: float) -> float:
    """Value exceeded with probability ``upper`` under the null."""
    order = np.argsort(values)[::-1]
    tail = np.cumsum(np.exp(log_weight[order])) / len(values)
    k = min(int(np.searchsorted(tail, upper)), len(values) - 1)
    return float(values[order[k]])
