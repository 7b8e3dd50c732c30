"""The maximiser: Terms -> FitResult."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.likelihood import _kernels
from nuanalysis.model import EnergyTerms, Terms
from nuanalysis.schema import Bools, Floats, Ints

FAR = 1.0 / 16.0  # largest |c x| of an event that enters by its powers, with a free index
_REACHES = (10.0, 30.0)  # deviations of n_s that power sums serve: few reach beyond the first, and far events are cheap
_FEW = 2000  # events that need no power sums


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


def add_far(
    difference: Floats, energy: EnergyTerms, limit: Floats, ratio: Floats, mixing: Floats, to: tuple[Floats, Floats]
) -> Ints:
    """Add the far events of a sample to power and cross; numbers of the near ones.

    Of four spatial shapes, or of one, the same at every node.
    """
    moments, near = far_moments(difference, energy.group, energy.scale, limit, ratio.shape[1])
    add_moments(moments, ratio, mixing, *to)
    return near


def far_moments(difference: Floats, group: Ints, scale: Floats, limit: Floats, n_groups: int) -> tuple[Floats, Ints]:
    """Moments of the far events in each group of energy, (group, 34) or (group, 4), and numbers of the near ones."""
    near = np.empty(len(limit) + 1, dtype=np.int64)
    if len(difference) > 1:
        moments = np.zeros((n_groups, 34))
        n = _kernels.sum_free(difference, group, scale, limit, moments, near)
    else:
        moments = np.zeros((n_groups, 4))
        n = _kernels.sum_free_one(difference[0], group, scale, limit, moments, near)
    return moments, near[:n]


def add_moments(moments: Floats, ratio: Floats, mixing: Floats, power: Floats, cross: Floats) -> None:
    """Add the sums at each node, that ``far_moments`` make, to power (node, 4) and cross (node - 1, 6)."""
    if moments.shape[1] > 4:
        _kernels.node_sums(moments, ratio, mixing, power, cross)
        return
    powers = [ratio**k for k in range(4)]
    for k in range(4):
        power[:, k] += (powers[k] * ratio) @ moments[:, k]
    for column, (j, k) in enumerate(((1, 1), (2, 1), (1, 2), (3, 1), (2, 2), (1, 3))):
        cross[:, column] += (powers[j][:-1] * powers[k][1:]) @ moments[:, j + k - 1]


@dataclass(frozen=True, slots=True, eq=False)
class _Powers:
    """near (node, near event) x; power (node, 4) and cross (node - 1, 6) sums of the far events.

    largest (node,) : the largest n_s / N that the sums serve.
    """

    near: Floats
    power: Floats
    cross: Floats
    largest: Floats


def _deviation(terms: Terms) -> Floats:
    """Standard deviation of n_s / N without signal, (node,): roughly, and at every node the largest of all.

    That of a hard spectrum is a few events, and its fit may lie many of these away.
    """
    some = slice(None, None, 4)  # enough to tell how far the series has to reach
    squares = [
        np.bincount(terms.group[some], (terms.scale * d)[some] ** 2, terms.ratio.shape[1]) for d in terms.difference
    ]
    total = 4.0 * (terms.ratio**2 * (terms.mixing @ squares)).sum(axis=1)
    return np.full(len(total), 1.0 / np.sqrt(max(float(total.min()), 1e-300)))


def _powers(terms: Terms, largest: Floats) -> _Powers:
    """One pass over the events; largest (node,) : n_s / N that the power sums have to serve."""
    group, scale, ratio, nodes = terms.group, terms.scale, terms.ratio, len(terms.index)
    limit = (FAR / np.maximum((largest[:, None] * ratio).max(axis=0), 1e-300))[group]
    energy, power, cross = EnergyTerms(ratio, group, scale), np.zeros((nodes, 4)), np.zeros((nodes - 1, 6))
    chosen = add_far(terms.difference, energy, limit, ratio, terms.mixing, (power, cross))
    near = np.empty((nodes, len(chosen)))
    _kernels.near_x(terms.difference, group, scale, chosen, ratio, terms.mixing, near)
    return _Powers(near, power, cross, largest)


def _worth_fitting(terms: Terms) -> Bools:
    """Which spectral nodes may hold the largest maximum, (node,): from one pass over the events, not ten a node.

    Left out are nodes whose maximum, with all that the series of far events leaves out, lies below another's.
    """
    nodes = len(terms.index)
    if len(terms.group) < _FEW:
        return np.ones(nodes, dtype=np.bool_)
    value, error, deviation = np.zeros(nodes), np.full(nodes, np.inf), _deviation(terms)
    for reach in _REACHES:
        value, error = _bounds(_powers(terms, reach * deviation))
        if np.isfinite(error).all():
            break
    best = (value - error)[np.isfinite(error)].max(initial=0.0)
    return np.asarray((value + error >= best) & ((value > 0.0) | np.isinf(error)))


def _bounds(found: _Powers) -> tuple[Floats, Floats]:
    """Largest log-ratio at each spectral node, and its error, (node,): infinite where it may lie beyond the sums."""
    value, error = np.zeros(len(found.near)), np.full(len(found.near), np.inf)
    for node, (x, power) in enumerate(zip(found.near, found.power, strict=True)):
        c, _, inside = _kernels.maximise_sums(x, power, found.largest[node])
        value[node] = _kernels.log_ratio_sums(x, power, c) if c else 0.0
        if inside:  # the series leaves out at most FAR^3 / 5 of the sum of (c x)^2; the maximum lies within 2 c
            error[node] = 1e-9 + 0.8 * FAR**3 * c * c * power[1]
    return value, error


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A fit that says which index to look at, and no answer; TS is good to 1e-5.

    largest (node,) : n_s / N that its power sums served; None where the fit was done from all events.
    """

    fit: FitResult
    largest: Floats | None


def propose(terms: Terms, before: Proposal | None = None) -> Proposal:
    """The fit of ``maximise`` from one pass over the events, from all events where the power sums do not reach it.

    before : that of the same hypothesis on the same events, beside other densities.
    """
    reaches: list[Floats] = []
    if before is not None:
        reaches = [] if before.largest is None else [before.largest]
    elif len(terms.index) > 1 and len(terms.group) >= _FEW:
        deviation = _deviation(terms)
        reaches = [reach * deviation for reach in _REACHES]
    for largest in reaches:
        found = _powers(terms, largest)
        c, position, value, converged, inside = _kernels.maximise_free_sums(
            found.near, found.power, found.cross, largest
        )
        if inside:
            index = float(np.interp(position, np.arange(len(terms.index)), terms.index))
            fit = FitResult(max(2.0 * float(value), 0.0), float(c * terms.n_events), index, bool(converged))
            return Proposal(fit, largest)
    return Proposal(maximise(terms), None)


def maximise(terms: Terms) -> FitResult:
    """Maximise over n_s >= 0 and, with more than one node, over the spectral index.

    Between nodes the signal is the linear mixture of its neighbours: a proper density, 0.8 per cent of
    probability or less from the power law for nodes 0.2 apart.  n_s is bounded so that every event keeps
    1 + (n_s / N) x >= 0.01.
    """
    if len(terms.index) == 1 or not terms.difference.shape[1]:
        return maximise_at(terms, 0)
    c, position, value, converged = _kernels.maximise_free(
        terms.ratio, terms.group, terms.scale, terms.mixing, terms.difference, _worth_fitting(terms)
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
