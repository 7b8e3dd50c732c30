"""Confidence intervals of the signal strength, and the bias curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nuanalysis.errors import PrecisionError
from nuanalysis.likelihood import scan
from nuanalysis.model import Terms

Floats = NDArray[np.float64]


def critical_values(n_injected: Floats, tau: Floats, level: float) -> tuple[Floats, Floats]:
    """Injected strengths and the tau that ``level`` of the experiments stay below, (strength,) both.

    Each strength above zero borrows the experiments of its two neighbours: tau hardly changes from one to the next.
    """
    strengths = np.unique(n_injected)
    out = []
    for k, n in enumerate(strengths):
        near = strengths[max(1, k - 1) : k + 2] if n > 0 else strengths[:1]
        out.append(np.quantile(tau[np.isin(n_injected, near)], level))
    return strengths, np.array(out)


def interval(
    terms: Terms, best_ts: float, n_injected: Floats, tau: Floats, *, stretch: float, level: float, node: int = 0
) -> tuple[float, float]:
    """Signal strengths whose observed tau is at most what ``level`` of the experiments at that strength give.

    Neyman construction with likelihood-ratio ordering (Feldman and Cousins 1998), tau = TS(best) - TS(stretch n) at
    the spectral node of the flux, where ``best_ts`` is the maximum too: an interval for the strength of that spectrum;
    ``stretch`` moves the ordering onto the biased fit and is the same for data and trials, so coverage holds for any
    value of it.  Critical values are interpolated between injected strengths, and constant below the smallest
    above zero.  0 belongs to the interval when its own critical value accepts it.
    Raises PrecisionError where the interval reaches the largest injected strength.
    """
    strengths, critical = critical_values(n_injected, tau, level)
    grid = np.linspace(0.0, float(strengths[-1]), 801)
    some = strengths > 0
    allowed = np.interp(grid, strengths[some], critical[some])
    if not some[0]:
        allowed[0] = critical[0]
    inside = grid[best_ts - scan(terms, stretch * grid, (node,)) <= allowed]
    if not len(inside):
        raise PrecisionError(
            "no injected strength of this spectrum is compatible with the fit; inject over a wider range"
        )
    if inside[-1] == grid[-1]:
        raise PrecisionError("the interval reaches beyond the largest injected strength; inject over a wider range")
    return float(inside[0]), float(inside[-1])


def median_fit(n_injected: Floats, n_fitted: Floats) -> tuple[Floats, Floats]:
    """The bias curve: median fitted n_s at each injected strength, (strength,) both."""
    strengths = np.unique(n_injected)
    return strengths, np.array([np.median(n_fitted[n_injected == n]) for n in strengths])
