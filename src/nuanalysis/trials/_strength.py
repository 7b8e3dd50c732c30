"""Sensitivity, discovery potential and median significance, from experiments and background trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.errors import InputError, PrecisionError
from nuanalysis.schema import Floats
from nuanalysis.trials._pvalue import p_value, weighted_quantile


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
        return -float(scipy.special.log_ndtr(hit * (p @ design)).sum()) + 1e-3 * float(p @ p)

    fit = scipy.optimize.minimize(loss, np.array([-1.0, 3.0, 0.0]), method="BFGS")
    target = float(scipy.special.ndtri(fraction))

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
    s = float(scipy.optimize.brentq(gap, grid[crossing[0]], grid[crossing[0] + 1]))
    slope = fit.x[1] + 2 * fit.x[2] * s
    v = np.array([1.0, s, s * s])
    z = fit.x @ design
    density = -(z**2) / 2.0 - np.log(np.sqrt(2.0 * np.pi))  # its logarithm
    weight = np.exp(2 * density - scipy.special.log_ndtr(z) - scipy.special.log_ndtr(-z))
    information = (design * weight) @ design.T + 2e-3 * np.eye(3)  # the second term is that of the pull in the loss
    return Strength(s * scale, float(np.sqrt(v @ np.linalg.solve(information, v)) / slope * scale))


@dataclass(frozen=True, slots=True)
class Potential:
    """Strength at which half of the experiments reach a local significance of ``sigma``.

    The error holds that of the threshold, whose p-value is known to a relative error of p_relative_error.
    """

    sigma: float
    threshold_ts: float
    p_relative_error: float
    n_signal: float
    error: float


def discovery_potential(
    n_injected: Floats, ts: Floats, background_ts: Floats, log_weight: Floats, *, sigma: float
) -> Potential:
    """Discovery potential at any significance from experiments (trial,) and weighted background trials (other trial,).

    Raises PrecisionError where the background trials do not reach ``sigma``, or the strengths the answer.
    """
    if not 0 < sigma <= 10:
        raise InputError(f"sigma is {sigma:g}; expected more than 0, up to 10")
    p = float(scipy.special.ndtr(-sigma))
    threshold = weighted_quantile(background_ts, log_weight, p)
    relative = p_value(background_ts, log_weight, threshold).p_error / p
    edges = [weighted_quantile(background_ts, log_weight, min(p * np.exp(s * relative), 0.5)) for s in (1, -1)]
    low, found, high = (
        strength_for(n_injected, ts, threshold=t, fraction=0.5) for t in (edges[0], threshold, edges[1])
    )
    error = float(np.hypot(found.error, 0.5 * (high.n_signal - low.n_signal)))
    return Potential(sigma, threshold, relative, found.n_signal, error)


@dataclass(frozen=True, slots=True)
class Significance:
    """A local significance in one-sided sigma, with its statistical error, and the TS it belongs to."""

    sigma: float
    error: float
    ts: float


def median_significance(ts: Floats, background_ts: Floats, log_weight: Floats) -> Significance:
    """Significance of the median experiment among those of one strength, (trial,).

    The error joins that of the median (order statistics) and that of its p-value.  0 where the median fit is 0: no
    excess.  Raises PrecisionError where the background trials do not reach the median.
    """
    median = float(np.median(ts))
    if median <= 0:
        return Significance(0.0, 0.0, median)
    middle = p_value(background_ts, log_weight, median)
    low, high = np.quantile(ts, 0.5 + np.array([-0.5, 0.5]) / np.sqrt(len(ts)))
    # sigma is close to the root of TS, and its slope to that of the root
    error = float(np.hypot(middle.sigma_error, 0.5 * (np.sqrt(high) - np.sqrt(low))))
    return Significance(middle.sigma, error, median)
