"""Sensitivity, discovery potential and median significance, from experiments and background trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.errors import InputError, PrecisionError
from nuanalysis.schema import Floats
from nuanalysis.trials._pvalue import PValue, p_value
from nuanalysis.trials._threshold import Threshold
from nuanalysis.trials._threshold import threshold as find_threshold


@dataclass(frozen=True, slots=True)
class Strength:
    """A signal strength in mean injected events, with its statistical error."""

    n_signal: float
    error: float


def strength_for(n_injected: Floats, ts: Floats, *, threshold: Threshold, fraction: float) -> Strength:
    """Mean injected events for which ``fraction`` of the experiments exceed the threshold.

    The error joins that of the experiments and that of the threshold, whose two ends are put in its place.
    Raises PrecisionError if one of the answers lies beyond the injected range.
    """
    found = _crossing(n_injected, ts, threshold.ts, fraction)
    if threshold.low == threshold.high:
        return found
    low, high = (_crossing(n_injected, ts, end, fraction).n_signal for end in (threshold.low, threshold.high))
    return Strength(found.n_signal, float(np.hypot(found.error, 0.5 * (high - low))))


def _crossing(n_injected: Floats, ts: Floats, threshold: float, fraction: float) -> Strength:
    """The same for a TS that is known.

    The fraction is fitted to all experiments as Phi of a cubic of n by maximum likelihood; the error follows from the
    expected information of the fit.  A parabola is too stiff over the strengths that a discovery potential takes
    (docs/decisions/0024-honest-errors.md).
    """
    scale = max(float(n_injected.max()), 1e-300)
    design = _powers(n_injected / scale)
    hit = np.where(ts > threshold, 1.0, -1.0)

    def loss(p: Floats) -> float:
        return -float(scipy.special.log_ndtr(hit * (p @ design)).sum()) + 1e-3 * float(p @ p)

    fit = scipy.optimize.minimize(loss, np.array([-1.0, 3.0, 0.0, 0.0]), method="BFGS")
    target = float(scipy.special.ndtri(fraction))
    grid = np.linspace(0.0, 1.0, 201)
    values = fit.x @ _powers(grid) - target
    crossing = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    if values[0] >= 0 or not len(crossing):
        where = "below the smallest" if values[0] >= 0 else "beyond the largest"
        raise PrecisionError(
            f"the strength at which {fraction:.0%} exceed TS {threshold:g} lies {where} "
            f"injected strength ({scale:.3g} events); inject over a wider range"
        )
    first = int(crossing[0])
    s = float(scipy.optimize.brentq(lambda x: float(fit.x @ _powers(x)) - target, grid[first], grid[first + 1]))
    slope = float(fit.x[1:] @ (np.arange(1, len(fit.x)) * _powers(s)[:-1]))
    z = fit.x @ design
    density = -(z**2) / 2.0 - np.log(np.sqrt(2.0 * np.pi))  # its logarithm
    weight = np.exp(2 * density - scipy.special.log_ndtr(z) - scipy.special.log_ndtr(-z))
    information = (design * weight) @ design.T + 2e-3 * np.eye(len(fit.x))  # the second term is that of the pull
    spread = float(np.sqrt(_powers(s) @ np.linalg.solve(information, _powers(s))))
    return Strength(s * scale, spread / slope * scale)


def _powers(x: Floats | float) -> Floats:
    """1, x, x^2 and x^3, (4, ...)."""
    return np.stack([np.power(x, k) for k in range(4)])


def sigma_threshold(background_ts: Floats, log_weight: Floats, sigma: float) -> Threshold:
    """The TS of a local significance, from weighted background trials (trial,).

    Raises PrecisionError where they do not reach ``sigma``, InputError for one beyond 10.
    """
    if not 0 < sigma <= 10:
        raise InputError(f"sigma is {sigma:g}; expected more than 0, up to 10")
    return find_threshold(background_ts, float(scipy.special.ndtr(-sigma)), log_weight)


@dataclass(frozen=True, slots=True)
class Significance:
    """A local significance in one-sided sigma, with its statistical error, and the TS it belongs to."""

    sigma: float
    error: float
    ts: float


def median_significance(ts: Floats, *backgrounds: tuple[Floats, Floats]) -> Significance:
    """Significance of the median experiment among those of one strength, (trial,).

    backgrounds : ensembles of background trials, TS and log-weight (trial,) each; the one that knows the p-value of the
    median best serves.  Those that do not reach the median are left out.
    The error joins that of the median (order statistics) and that of its p-value.  0 where the median fit is 0: no
    excess.  Raises PrecisionError where no ensemble reaches the median.
    """
    median = float(np.median(ts))
    low, high = np.quantile(ts, 0.5 + np.array([-0.5, 0.5]) / np.sqrt(len(ts)))
    # sigma is close to the root of TS, and its slope to that of the root
    of_median = 0.5 * float(np.sqrt(high) - np.sqrt(low))
    if median <= 0:
        return Significance(0.0, of_median, median)
    middle = _best_known(median, backgrounds)
    return Significance(middle.sigma, float(np.hypot(middle.sigma_error, of_median)), median)


def _best_known(ts: float, backgrounds: tuple[tuple[Floats, Floats], ...]) -> PValue:
    """The p-value with the smallest error of those that ensembles give."""
    found: list[PValue] = []
    missed: list[PrecisionError] = []
    for values, log_weight in backgrounds:
        try:
            found.append(p_value(values, log_weight, ts))
        except PrecisionError as error:
            missed.append(error)
    if not found:
        raise missed[-1]
    return min(found, key=lambda one: one.p_error)
