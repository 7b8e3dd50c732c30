"""Confidence intervals of the signal strength: by the Neyman construction from trials, and by Wilks' theorem.

Both are read from tau(n) = TS(best fit) - TS(stretch n) at the spectral node of the flux: intervals for the strength of
that spectrum.  ``stretch``, fitted over injected n_s, moves the ordering onto the biased fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.errors import PrecisionError
from nuanalysis.likelihood import FitResult, scan
from nuanalysis.model import Terms
from nuanalysis.schema import Floats
from nuanalysis.trials._smooth import Smooth, smooth

_LARGEST_TAU = 1e5  # tau is cut off at 1e6 where the likelihood ends before the strength
_STEPS = 120


def _bounded_probability(critical: Floats, mean: Floats) -> Floats:
    """Probability that tau <= critical for z ~ normal(mean, 1) and a fit max(z, 0)."""
    beyond = (mean**2 + critical) / (2 * np.maximum(mean, 1e-300))  # below mean - beyond the fit is 0 and tau too large
    root = np.sqrt(critical)
    return np.asarray(scipy.special.ndtr(root) - scipy.special.ndtr(-np.where(critical <= mean**2, root, beyond)))


def _chi_square(level: float) -> float:
    """Quantile of a chi-square with one degree of freedom."""
    return 2.0 * float(scipy.special.gammaincinv(0.5, level))


def bounded_critical(mean: Floats, level: float) -> Floats:
    """Critical tau of a Gaussian of unit width whose mean, (...,), cannot be negative.

    Feldman and Cousins 1998, section IV B, in closed form but for one root.
    """
    low, high = np.zeros(np.shape(mean)), np.full(np.shape(mean), _chi_square(level) + 1.0)
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = _bounded_probability(middle, mean) < level
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(0.5 * (low + high))


@dataclass(frozen=True, slots=True)
class Ends:
    """An interval in mean events, with the statistical errors of its ends.

    low_error, high_error : None where the trials do not tell, and why.
    """

    low: float
    high: float
    low_error: float | None
    high_error: float | None
    why: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class CriticalCurve:
    """The tau that ``level`` of the experiments stay below, as a function of the strength.

    Between 0 and one standard deviation the critical value climbs steeply, since the fit cannot be negative.  A
    bounded Gaussian of width ``spread`` climbs almost alike: the curve is its critical value times a smooth factor.

    at_zero : the experiments' own value without signal.  Where more than ``level`` of them fit exactly 0 it is 0, and
        the interval holds a true 0 more often than it says; nothing between 0 and more can be had from a fit of 0.
    logarithm : of the factor, over the square root of the strength.
    largest : injected strength.    open_from : no strength from here on can be excluded.
    """

    level: float
    spread: float
    at_zero: float
    logarithm: Smooth
    largest: float
    open_from: float

    def at(self, n_signal: Floats) -> Floats:
        """(n,) critical tau."""
        factor = np.exp(self.logarithm.value(np.sqrt(n_signal)))
        value = np.where(
            n_signal < self.open_from, bounded_critical(n_signal / self.spread, self.level) * factor, np.inf
        )
        return np.where(n_signal > 0, value, self.at_zero)


def critical_curve(n_injected: Floats, tau: Floats, level: float, spread: float, shift: float = 0.0) -> CriticalCurve:
    """Fit the critical values of injection trials, (trial,) each.

    spread : standard deviation of n_s without signal; it need not be exact, the factor takes up the difference.
    shift : how many of its own standard deviations are added to the curve: how an interval hangs on the trials.
    A quantile's error is that of the bounded Gaussian: its own, from few trials, would favour small values.
    """
    strengths, count = np.unique(n_injected, return_counts=True)
    # k of n experiments lie below the next one with probability k / (n + 1): the plain quantile covers 1 % less
    # of the others where 90 of 100 are counted.
    quantile = np.array([np.quantile(tau[n_injected == n], level, method="weibull") for n in strengths])
    open_from = float(strengths[quantile > _LARGEST_TAU].min(initial=np.inf))
    use = (strengths > 0) & (strengths < open_from) & (quantile > 0)
    mean = strengths[use] / spread
    model = bounded_critical(mean, level)
    step = 1e-3 * model
    density = (_bounded_probability(model + step, mean) - _bounded_probability(model - step, mean)) / (2 * step)
    error = np.sqrt(level * (1 - level) / count[use]) / (density * model)
    factor = smooth(np.sqrt(strengths[use]), np.log(quantile[use] / model), error)
    factor = replace(factor, values=factor.values + shift * factor.spread(np.sqrt(strengths[use])))
    at_zero = float(bounded_critical(np.zeros(1), level)[0])
    if strengths[0] == 0:
        moved = level + shift * np.sqrt(level * (1 - level) / count[0])
        at_zero = float(np.quantile(tau[n_injected == 0], np.clip(moved, 0.0, 1.0), method="weibull"))
    return CriticalCurve(level, spread, at_zero, factor, float(strengths[-1]), open_from)


def _crossing(excess: Callable[[float], float], inside: float, outside: float) -> float:
    """Where excess turns positive between a strength with at most 0 and one with more; infinity is allowed."""
    for _ in range(30):
        middle = 0.5 * (inside + outside)
        inside, outside = (middle, outside) if excess(middle) <= 0 else (inside, middle)
    return inside


def accepted(
    terms: Terms, best_ts: float, critical: CriticalCurve, *, stretch: float, node: int = 0
) -> tuple[float, float]:
    """Smallest and largest strength whose tau is at most critical; ``best_ts`` is the maximum at the node.

    0 belongs to the interval where its own critical value accepts it.
    Raises PrecisionError where the interval reaches the largest injected strength.
    """

    def excess(n: float) -> float:
        at = np.array([n])
        return float((best_ts - scan(terms, stretch * at, (node,)) - critical.at(at))[0])

    tiny = 1e-6 * critical.largest
    grid = np.concatenate([[0.0, tiny], np.linspace(0.0, critical.largest, _STEPS + 1)[1:]])
    inside = np.flatnonzero(best_ts - scan(terms, stretch * grid, (node,)) <= critical.at(grid))
    if not len(inside):
        raise PrecisionError(
            "no injected strength of this spectrum is compatible with the fit; inject over a wider range"
        )
    first, last = int(inside[0]), int(inside[-1])
    if last == len(grid) - 1:
        raise PrecisionError("the interval reaches beyond the largest injected strength; inject over a wider range")
    low = _crossing(excess, float(grid[first]), float(grid[first - 1])) if first > 1 else float(grid[first])
    high = _crossing(excess, float(grid[last]), float(grid[last + 1])) if last > 0 else 0.0
    return low, high


def interval(
    terms: Terms, best_ts: float, n_injected: Floats, tau: Floats, *, stretch: float, level: float, node: int = 0
) -> Ends:
    """Signal strengths whose observed tau is at most what ``level`` of the experiments at that strength give.

    Neyman construction with likelihood-ratio ordering (Feldman and Cousins 1998).  ``stretch`` is the same for data
    and trials, so coverage holds for any value of it.  Errors: the ends with the critical values one standard
    deviation lower and higher, half of the way between them.  Raises PrecisionError, see ``accepted``.
    """
    x = terms.x(node)
    spread = float(terms.n_events / np.sqrt(max(float((x**2).sum()), 1e-300)))

    def ends(shift: float) -> tuple[float, float]:
        critical = critical_curve(n_injected, tau, level, spread, shift)
        return accepted(terms, best_ts, critical, stretch=stretch, node=node)

    low, high = ends(0.0)
    try:
        narrow, wide = ends(-1.0), ends(1.0)
    except PrecisionError as error:
        return Ends(low, high, None, None, str(error))
    return Ends(low, high, 0.5 * abs(narrow[0] - wide[0]), 0.5 * abs(wide[1] - narrow[1]))


def likelihood_interval(
    terms: Terms, best: FitResult, *, stretch: float, level: float, node: int = 0
) -> tuple[float, float]:
    """Signal strengths whose tau is at most the quantile of a chi-square with one degree of freedom (Wilks 1938).

    best : the maximum at the node.  Needs no trials but those behind ``stretch``; its coverage is measured, not exact
    (docs/decisions/0011-injection-and-intervals.md).
    Raises PrecisionError where the likelihood ends, at its largest possible n_s, before tau is large enough.
    """
    critical = _chi_square(level)

    def excess(n: float) -> float:
        return best.ts - float(scan(terms, np.array([n]), (node,))[0]) - critical

    above = max(best.n_signal, 1.0)  # TS is concave: walk outwards in doubling steps, then halve
    while excess(above) <= 0:
        above *= 2.0
    high = _crossing(excess, best.n_signal, above)
    if excess(high) < -1e-3 * critical:
        raise PrecisionError(f"the likelihood ends at n_s {high:.4g}, inside the interval; take more events")
    low = 0.0 if excess(0.0) <= 0 else _crossing(excess, best.n_signal, 0.0)
    return low / stretch, high / stretch
