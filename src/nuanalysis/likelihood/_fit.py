"""The maximiser: Terms -> FitResult."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.likelihood import _kernels
from nuanalysis.model import Terms
from nuanalysis.schema import Floats


@dataclass(frozen=True, slots=True)
class FitResult:
    """Maximum of the likelihood: ts >= 0, n_signal >= 0, the index (fitted or fixed), and whether the fit converged."""

    ts: float
    n_signal: float
    index: float
    converged: bool


def maximise_at(terms: Terms, node: int) -> FitResult:
    """Maximise over n_s >= 0 with the index held at one spectral node."""
    return maximise_and_scan(terms, node, np.empty(0))[0]


def maximise_and_scan(terms: Terms, node: int, n_signal: Floats) -> tuple[FitResult, Floats]:
    """``maximise_at`` and ``scan`` at one spectral node: the signal of every event is worked out once for both."""
    x = terms.x(node)
    if not len(x):
        return FitResult(0.0, 0.0, float(terms.index[node]), True), np.zeros(len(n_signal))
    c, converged = _kernels.maximise_c(x)
    ts = 2.0 * _kernels.log_ratio(x, c) if c > 0 else 0.0
    fit = FitResult(max(float(ts), 0.0), float(c * terms.n_events), float(terms.index[node]), bool(converged))
    return fit, _ts_where_positive(x, n_signal, terms.n_events)


def _ts_where_positive(x: Floats, n_signal: Floats, n_events: int) -> Floats:
    """TS at each n_s, (n,); -inf where that is too large for a density."""
    out = np.full(len(n_signal), -np.inf)
    top = float(_kernels.ceiling_of(x)) * n_events if len(x) and len(n_signal) else np.inf
    for k, n in enumerate(n_signal):
        if n <= top:
            out[k] = 2.0 * float(_kernels.log_ratio(x, n / n_events))
    return out


def maximise(terms: Terms) -> FitResult:
    """Maximise over n_s >= 0 and, with more than one node, over the spectral index.

    Between nodes the signal is the linear mixture of its neighbours: a proper density, 0.8 per cent of
    probability or less from the power law for nodes 0.2 apart.  n_s is bounded so that every event keeps
    1 + (n_s / N) x >= 0.01.
    """
    if len(terms.index) == 1 or not terms.difference.shape[1]:
        return maximise_at(terms, 0)
    c, position, value, converged = _kernels.maximise_free(
        terms.ratio, terms.group, terms.scale, terms.mixing, terms.difference
    )
    index = float(np.interp(position, np.arange(len(terms.index)), terms.index))
    return FitResult(max(2.0 * float(value), 0.0), float(c * terms.n_events), index, bool(converged))


def ts_at(terms: Terms, n_signal: float, *, node: int = 0) -> float:
    """TS at a given n_s and spectral node; raises InputError where a density would not be positive."""
    x = terms.x(node)
    c = n_signal / terms.n_events
    if len(x) and 1.0 + c * min(float(x.min()), 0.0) <= 0.0:
        raise InputError(
            f"n_signal {n_signal:g} makes a density negative; "
            f"at most {terms.n_events * float(_kernels.ceiling_of(x)):.6g} here"
        )
    return 2.0 * float(_kernels.log_ratio(x, c))


def scan(terms: Terms, n_signal: Floats, nodes: tuple[int, ...] = ()) -> Floats:
    """TS at each n_s, (n,), at the best of the given spectral nodes (of all by default).

    Where n_s is too large for a density, -inf.
    """
    at = nodes or range(len(terms.index))
    return np.asarray(np.max([_ts_where_positive(terms.x(node), n_signal, terms.n_events) for node in at], axis=0))
