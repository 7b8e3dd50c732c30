"""Sensitivity and discovery potential: the strength at which a fraction of experiments exceed a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from scipy.special import log_ndtr
from scipy.stats import norm

from nuanalysis.errors import PrecisionError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Strength:
    """A signal strength in mean injected events, with its statistical error."""

    n_signal: float
    error: float


def strength_for(n_injected: Floats, ts: Floats, *, threshold: float, fraction: float) -> Strength:
    """Mean injected events for which ``fraction`` of the experiments exceed the threshold.

    The fraction is fitted to all experiments as Phi(a + b n + c n^2) by maximum likelihood; the error follows from
    the expected information of the fit.  Raises PrecisionError if the answer lies beyond the injected range.
    """
    scale = max(float(n_injected.max()), 1e-300)
    design = np.stack([np.ones(len(ts)), n_injected / scale, (n_injected / scale) ** 2])
    hit = np.where(ts > threshold, 1.0, -1.0)

    def loss(p: Floats) -> float:
        return -float(log_ndtr(hit * (p @ design)).sum()) + 1e-3 * float(p @ p)

    fit = minimize(loss, np.array([-1.0, 3.0, 0.0]), method="BFGS")
    target = float(norm.ppf(fraction))

    def gap(s: float) -> float:
        return float(fit.x @ np.array([1.0, s, s * s])) - target

    grid = np.linspace(0.0, 1.0, 201)
    values = np.array([gap(s) for s in grid])
    crossing = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    if values[0] >= 0 or not len(crossing):
        where = "below the smallest" if values[0] >= 0 else "beyond the largest"
        raise PrecisionError(
            f"the strength at which {fraction:.0%} exceed TS {threshold:g} lies {where} "
            f"injected strength ({scale:.3g} events); inject over a wider range"
        )
    s = float(brentq(gap, grid[crossing[0]], grid[crossing[0] + 1]))
    slope = fit.x[1] + 2 * fit.x[2] * s
    v = np.array([1.0, s, s * s])
    z = fit.x @ design
    weight = np.exp(2 * norm.logpdf(z) - log_ndtr(z) - log_ndtr(-z))
    information = (design * weight) @ design.T + 2e-3 * np.eye(3)  # the second term is that of the pull in the loss
    return Strength(s * scale, float(np.sqrt(v @ np.linalg.solve(information, v)) / slope * scale))
