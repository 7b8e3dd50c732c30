"""The likelihood along n_s: with a free index fitted anew at each n_s, between spectral nodes too."""

from __future__ import annotations

import numpy as np

from nuanalysis.likelihood import _kernels
from nuanalysis.likelihood._fit import FitResult, scan
from nuanalysis.model import Terms
from nuanalysis.schema import Floats

_LEAST = 0.01  # of 1 + c x, as everywhere
_CLOSE = 1e-7  # of a position between two nodes; the likelihood is flat there, so it is good to the square of that


def profile(terms: Terms, n_signal: Floats, best: FitResult) -> Floats:
    """TS at each n_s, (n,), maximised over the index where that is free; -inf where n_s is too large for a density.

    best : the fit, which the profile is not below at its own n_s.
    """
    if len(terms.index) == 1 or not terms.difference.shape[1]:
        return scan(terms, n_signal)
    nodes = np.array([scan(terms, n_signal, (node,)) for node in range(len(terms.index))])
    values = nodes.max(axis=0)
    for node in range(len(nodes) - 1):
        x, y = terms.x(node), terms.x(node + 1)
        for k in np.flatnonzero(n_signal > 0.0):
            ends = 0.5 * float(nodes[node, k]), 0.5 * float(nodes[node + 1, k])
            between = _between(x, y, float(n_signal[k]) / terms.n_events, ends, 0.5 * float(values[k]))
            values[k] = max(values[k], 2.0 * between)
    return np.asarray(np.where(n_signal == best.n_signal, np.maximum(values, best.ts), values))


def _between(x: Floats, y: Floats, c: float, ends: tuple[float, float], known: float) -> float:
    """Maximum over w of the sum of ln(1 + c ((1 - w) x + w y)), which is ``ends`` at 0 and 1; -inf where that, or one
    already ``known``, is not below it.

    The sum is concave in w, so it lies below its tangents; Newton steps stay between places from which it rises.
    """
    low, high = (0.0, 1.0) if min(ends) > -np.inf else _allowed(x, y, c)
    if not low <= high:
        return -np.inf
    rise, _ = _slope(x, y, c, low)
    if rise <= 0.0 or (low == 0.0 and ends[0] + rise <= known):
        return _value(x, y, c, low) if low > 0.0 else -np.inf
    fall, _ = _slope(x, y, c, high)
    if fall >= 0.0 or (high == 1.0 and ends[1] - fall <= known):
        return _value(x, y, c, high) if high < 1.0 else -np.inf
    w = low + (high - low) * rise / (rise - fall)
    for _ in range(60):
        slope, bend = _slope(x, y, c, w)
        low, high = (w, high) if slope > 0.0 else (low, w)
        new = w - slope / bend
        new = new if low < new < high else 0.5 * (low + high)
        if abs(new - w) <= _CLOSE:
            break
        w = new
    return _value(x, y, c, w)


def _slope(x: Floats, y: Floats, c: float, w: float) -> tuple[float, float]:
    """First and second derivative by w."""
    ga, gb, haa, hab, hbb, _ = _kernels._pair_derivatives(x, y, c * (1.0 - w), c * w)
    return c * float(gb - ga), -c * c * float(haa - 2.0 * hab + hbb)


def _value(x: Floats, y: Floats, c: float, w: float) -> float:
    return float(_kernels._log_pair(x, y, c * (1.0 - w), c * w))


def _allowed(x: Floats, y: Floats, c: float) -> tuple[float, float]:
    """The positions at which every event keeps a density; an empty interval where there are none."""
    spare, change = 1.0 - _LEAST + c * x, c * (y - x)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = -spare / change
    low = float(np.max(at[change > 0.0], initial=0.0))
    high = float(np.min(at[change < 0.0], initial=1.0))
    return (low, high) if (spare[change == 0.0] >= 0.0).all() else (1.0, 0.0)
