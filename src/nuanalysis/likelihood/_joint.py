"""Several hypotheses fitted together.

    TS(n_1 .. n_J) = 2 sum_i ln( 1 + sum_j (n_j / N) x_ij )

is concave in all n_j at once: with every index held its maximum over n_j >= 0 is the only one, and Newton steps with an
active set of bounds find it.  As in the single fit every event keeps 1 + sum_j (n_j / N) x_ij >= 0.01, and n_j / N
stays below 100.

A free index is found by turns: one hypothesis is fitted as alone, over all its spectral nodes and the mixtures of the
two intervals beside the best, with the others held; then all norms, mixtures included, are maximised together.  No
turn lowers TS.  The end is a maximum over all norms and mixtures at once between the nodes it stands between, and over
each index alone, as far as the single fit is one; no search over all combinations of nodes is made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.likelihood import _kernels
from nuanalysis.likelihood._fit import FitResult, Proposal, maximise, propose
from nuanalysis.likelihood._joint_terms import JointTerms
from nuanalysis.model import Terms
from nuanalysis.schema import Floats

_LEAST_DENSITY = 0.01
_MOST = 100.0  # of n_j / N, as in the single fit
_SINGULAR = 1e-9  # smallest eigenvalue of the scaled curvature of hypotheses that can be told apart
_TURNS = 30
TS_TOLERANCE = 1e-6  # two maxima of the same likelihood from different starts differ by less
_GAIN = 1e-7  # of the log-ratio in a turn: less ends the search for indices


# --- the maximum ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class JointMaximum:
    """The maximum over the norms, and indices, of some of the hypotheses; the others have no events.

    members : those hypotheses.  nodes (j,) : one or two neighbouring spectral nodes of each hypothesis.
    strengths (j,) : n_j / N that belongs to each of these nodes.  held : some event's density is at its bound.
    """

    ts: float
    members: tuple[int, ...]
    nodes: tuple[tuple[int, ...], ...]
    strengths: tuple[tuple[float, ...], ...]
    converged: bool
    held: bool

    def strength(self, hypothesis: int) -> float:
        """n_j / N."""
        return float(sum(self.strengths[hypothesis]))

    def n_signal(self, data: JointTerms) -> Floats:
        """(j,) events."""
        return np.array([data.n_events * self.strength(j) for j in range(len(self.nodes))])

    def index(self, data: JointTerms) -> Floats:
        """(j,) fitted or held; of a mixture of two nodes the mean."""
        return np.array(
            [
                float(np.average(data.terms[j].index[list(nodes)], weights=c if sum(c) > 0 else None))
                for j, (nodes, c) in enumerate(zip(self.nodes, self.strengths, strict=True))
            ]
        )

    def mixture(self, data: JointTerms, hypothesis: int) -> Floats:
        """(joined event,) x of a hypothesis at its index."""
        nodes, c = self.nodes[hypothesis], self.strengths[hypothesis]
        if len(nodes) == 1:
            return data.row(hypothesis, nodes[0])
        shares = np.array(c) / sum(c) if sum(c) > 0 else np.full(len(c), 1.0 / len(c))
        return np.asarray(sum(s * data.row(hypothesis, g) for g, s in zip(nodes, shares, strict=True)))


def _nothing(data: JointTerms, members: tuple[int, ...]) -> JointMaximum:
    none = tuple((0.0,) for _ in data.terms)
    return JointMaximum(0.0, members, tuple((g,) for g in data.rest), none, True, False)


def _least_distance(gradient: Floats, curvature: Floats, rows: Floats, bound: Floats) -> Floats:
    """The step d that maximises gradient d - d curvature d / 2 where rows d >= bound; bound <= 0.

    By non-negative least squares on the dual (Lawson and Hanson 1974, chapter 23).
    """
    ridge = np.diag(1e-12 * np.diag(curvature) + 1e-300)
    inverse = np.linalg.inv(np.linalg.cholesky(curvature + ridge)).T
    centre = inverse.T @ gradient
    turned = rows @ inverse
    edge = bound - turned @ centre
    size = np.maximum(np.linalg.norm(turned, axis=1), 1e-300)
    dual = np.vstack([(turned / size[:, None]).T, edge / size])
    target = np.zeros(len(dual))
    target[-1] = 1.0
    rest = dual @ scipy.optimize.nnls(dual, target)[0] - target
    return np.asarray(inverse @ (centre - rest[:-1] / rest[-1]))


def _within_bounds(x: Floats, start: Floats) -> tuple[Floats, bool]:
    """The maximum where single events hold the norms: sequential quadratic steps within the bounds of near events.

    x (k, event), start (k,).  Returns (c, converged).
    """
    density = 1.0 + start @ x
    room = (_LEAST_DENSITY - 1.0) / np.minimum(density - 1.0, -1e-300)
    c = start * min(1.0, float(room.min()))
    near = np.zeros(x.shape[1], dtype=np.bool_)
    k = len(c)
    gradient, curvature = np.empty(k), np.empty((k, k))
    for _ in range(100):
        _kernels.joint_derivatives(x, c, gradient, curvature)
        density = 1.0 + c @ x
        near |= density < 2.0 * _LEAST_DENSITY
        while True:
            rows = np.vstack([np.eye(k), -np.eye(k), x[:, near].T])
            bound = np.concatenate([-c, c - _MOST, np.minimum(_LEAST_DENSITY - density[near], 0.0)])
            step = _least_distance(gradient, curvature, rows, bound)
            below = ~near & (density + step @ x < _LEAST_DENSITY)
            if not below.any():
                break
            near |= below
        rise = float(gradient @ step)
        if rise <= 1e-10:
            return c, True
        length, held = 1.0, _kernels.joint_log_ratio(x, c)
        while _kernels.joint_log_ratio(x, c + length * step) < held and length > 1e-9:
            length *= 0.5
        c = np.clip(c + length * step, 0.0, _MOST)
    return c, False


def _norms(data: JointTerms, found: JointMaximum) -> JointMaximum:
    """Maximise over the norms and mixtures of all members with their nodes held."""
    columns = [(j, g) for j in found.members for g in found.nodes[j]]
    x = np.empty((len(columns), data.n_joined))
    for row, (j, g) in zip(x, columns, strict=True):
        row[:] = data.row(j, g)
    c = np.array([s for j in found.members for s in found.strengths[j]])
    least, converged = _kernels.maximise_joint_c(x, c)
    held = least < _LEAST_DENSITY
    if held:
        c, converged = _within_bounds(x, c)
    ts = 2.0 * float(_kernels.joint_log_ratio(x, c)) if c.any() else 0.0
    return _with_strengths(found, columns, c, max(ts, 0.0), bool(converged), bool(held))


def _with_strengths(
    found: JointMaximum, columns: list[tuple[int, int]], c: Floats, ts: float, converged: bool, held: bool
) -> JointMaximum:
    nodes, strengths = list(found.nodes), list(found.strengths)
    for j in found.members:
        mine = [(g, float(s)) for (h, g), s in zip(columns, c, strict=True) if h == j]
        kept = [(g, s) for g, s in mine if s > 0.0] or mine[:1]
        nodes[j], strengths[j] = tuple(g for g, _ in kept), tuple(s for _, s in kept)
    return JointMaximum(ts, found.members, tuple(nodes), tuple(strengths), converged, held)


def _beside(data: JointTerms, found: JointMaximum, hypothesis: int) -> Terms | None:
    """Terms of one hypothesis over the density of the others, which are held; None where that is not positive."""
    terms = data.terms[hypothesis]
    others = [j for j in found.members if j != hypothesis and found.strength(j) > 0.0]
    if not others:
        return terms
    density = np.ones(data.n_joined)
    for j in others:
        density += found.strength(j) * found.mixture(data, j)
    if density.min() <= 0.0:
        return None
    return replace(terms, scale=terms.scale / data.among(hypothesis, density))


def _placed(data: JointTerms, found: JointMaximum, hypothesis: int, alone: FitResult) -> JointMaximum:
    """The nodes and strengths of one hypothesis set to those of its own fit."""
    terms = data.terms[hypothesis]
    position = float(np.interp(alone.index, terms.index, np.arange(len(terms.index))))
    first = min(int(position + 1e-9), len(terms.index) - 1)
    part, c = position - first, alone.n_signal / terms.n_events
    between = part > 1e-9
    nodes, strengths = list(found.nodes), list(found.strengths)
    nodes[hypothesis] = (first, first + 1) if between else (first,)
    strengths[hypothesis] = (c * (1.0 - part), c * part) if between else (c,)
    return replace(found, nodes=tuple(nodes), strengths=tuple(strengths))


def _better(one: JointMaximum, other: JointMaximum) -> JointMaximum:
    return other if other.ts > one.ts else one


def _turn(data: JointTerms, found: JointMaximum, hypothesis: int, alone: Proposal | None) -> JointMaximum:
    """Fit the index of one hypothesis with the others held, then all norms; alone : its fit if the others have none."""
    terms = _beside(data, found, hypothesis)
    if terms is None:
        return found
    again = alone is not None and terms is data.terms[hypothesis]
    fit = (alone if again and alone else propose(terms, alone)).fit
    if fit.n_signal <= 0.0:
        return found
    moved = _placed(data, found, hypothesis, fit)
    # The norms and mixtures of the nodes where it stands are at their maximum already.
    if found.strength(hypothesis) > 0.0 and set(moved.nodes[hypothesis]) <= set(found.nodes[hypothesis]):
        return found
    return _better(found, _norms(data, moved))


def _ascend(data: JointTerms, start: JointMaximum) -> JointMaximum:
    """Maximise over all members from a start, indices in turns, the strongest hypothesis first."""
    best = _norms(data, start)
    free = [j for j in best.members if len(data.terms[j].index) > 1]
    alone = {j: propose(data.terms[j]) for j in free} if len(free) > 1 else {}
    order = sorted(free, key=lambda j: -alone[j].fit.ts) if alone else free
    without_gain = 0
    for turn in range(_TURNS * len(order)):
        before, j = best.ts, order[turn % len(order)]
        best = _turn(data, best, j, alone.get(j))
        without_gain = 0 if best.ts - before > 2.0 * _GAIN else without_gain + 1
        if without_gain == len(order):
            return best
    return replace(best, converged=False) if free else best


def _single(data: JointTerms, hypothesis: int) -> JointMaximum:
    """The maximum of one hypothesis with a free index."""
    nothing, alone = _nothing(data, (hypothesis,)), maximise(data.terms[hypothesis])
    return _norms(data, _placed(data, nothing, hypothesis, alone)) if alone.n_signal > 0.0 else nothing


def joint_maximum(
    data: JointTerms, members: tuple[int, ...] = (), starts: tuple[JointMaximum, ...] = ()
) -> JointMaximum:
    """Maximise TS over the norms, and free indices, of some hypotheses, by default of all; the others have no events.

    starts : maxima over some of the members, or over more, to begin from where an index is free: the answer has at
        least the TS of those over some, and those over some stand in for the beginning from nothing.
    """
    members = members or tuple(range(len(data.terms)))
    held = all(len(data.terms[j].index) == 1 for j in members)
    if len(members) == 1 and not held:
        return _single(data, members[0])
    inside = any(set(start.members) < set(members) for start in starts)
    best = _nothing(data, members) if inside and not held else _ascend(data, _nothing(data, members))
    if held:
        return best
    for start in starts:
        bare = _nothing(data, members)
        nodes = tuple(start.nodes[j] if j in members else bare.nodes[j] for j in range(len(data.terms)))
        strengths = tuple(start.strengths[j] if j in members else (0.0,) for j in range(len(data.terms)))
        best = _better(best, _ascend(data, replace(bare, nodes=nodes, strengths=strengths)))
    return best


# --- errors -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Curvature:
    """What the curvature of ln L at a maximum says about the norms, free indices not held.

    covariance (j, j) of n_j, correlation (j, j), errors (j,) one standard deviation.  Where the curvature is singular
    covariances and errors are infinite, and the correlation is that of the direction in which ln L is flat.
    index_errors (j,) : NaN for an index that is held, or of a hypothesis without events.
    undetermined : names of the hypotheses in such directions.
    """

    covariance: Floats
    correlation: Floats
    errors: Floats
    index_errors: Floats
    undetermined: tuple[str, ...]


def _slope(data: JointTerms, found: JointMaximum, hypothesis: int) -> Floats | None:
    """(joined event,) change of (n_j / N) x per unit of index, from the neighbouring nodes; None for no free index."""
    nodes, index = found.nodes[hypothesis], data.terms[hypothesis].index
    if len(index) == 1 or found.strength(hypothesis) <= 0.0:
        return None
    low, high = nodes if len(nodes) == 2 else (max(nodes[0] - 1, 0), min(nodes[0] + 1, len(index) - 1))
    change = data.row(hypothesis, high) - data.row(hypothesis, low)
    return np.asarray(found.strength(hypothesis) / (index[high] - index[low]) * change)


def curvature_at(data: JointTerms, found: JointMaximum) -> Curvature:
    """The curvature in the norms of all members, and in their free indices; j stands for the members.

    In an index it is the sum of squared slopes: between nodes a density is linear in it.  Norms of members without
    events are there too, their indices held.
    """
    k = len(found.members)
    slopes = {a: slope for a, j in enumerate(found.members) if (slope := _slope(data, found, j)) is not None}
    x = np.array([*(found.mixture(data, j) for j in found.members), *slopes.values()])
    c = np.array([*(found.strength(j) for j in found.members), *(0.0 for _ in slopes)])
    gradient, curvature = np.empty(len(c)), np.empty((len(c), len(c)))
    _kernels.joint_derivatives(x, c, gradient, curvature)
    size = np.sqrt(np.maximum(np.diag(curvature), 1e-300))
    values, vectors = np.linalg.eigh(curvature / np.outer(size, size))
    whole = (vectors / np.maximum(values, 1e-3 * _SINGULAR)) @ vectors.T
    index_errors = np.full(k, np.nan)
    index_errors[list(slopes)] = (np.sqrt(np.diag(whole)) / size)[k:]
    inverse, size = whole[:k, :k], size[:k]
    root = np.sqrt(np.diag(inverse))
    correlation = np.clip(inverse / np.outer(root, root), -1.0, 1.0)
    covariance = inverse / np.outer(size, size) * data.n_events**2
    flat = np.abs(inverse) > 1.0 / _SINGULAR
    covariance[flat] = np.copysign(np.inf, inverse[flat])
    undetermined = tuple(data.names[j] for j, lost in zip(found.members, np.diag(flat), strict=True) if lost)
    return Curvature(covariance, correlation, np.sqrt(np.diag(covariance)), index_errors, undetermined)


@dataclass(frozen=True, slots=True, eq=False)
class JointFit:
    """Hypotheses fitted together.

    names (j,).  ts : all free against none.  n_signal (j,), index (j,) fitted or held.
    ts_each (j,) : all free against n_j = 0 with the others profiled; 0 below what the maximum is found to.
    covariance, correlation (j, j), errors, index_errors (j,) : from the curvature at the maximum, see ``Curvature``.
    undetermined : names of the hypotheses that the events cannot tell apart; their norms are one choice of many.
    at_bound : names of the hypotheses with n_j = 0; their error is that of the curvature, not an interval.
    notes : what a reader must know, in words.
    """

    names: tuple[str, ...]
    ts: float
    n_signal: Floats
    index: Floats
    ts_each: Floats
    covariance: Floats
    correlation: Floats
    errors: Floats
    index_errors: Floats
    undetermined: tuple[str, ...]
    at_bound: tuple[str, ...]
    converged: bool
    notes: tuple[str, ...]


def maximise_joint(data: JointTerms) -> JointFit:
    """Fit all hypotheses together and each one left out in turn."""
    everyone = tuple(range(len(data.terms)))
    best = joint_maximum(data)
    less = [joint_maximum(data, rest, (best,)) for j in everyone if (rest := everyone[:j] + everyone[j + 1 :])]
    best = joint_maximum(data, everyone, (best, *less)) if any(one.ts > best.ts for one in less) else best
    shape = curvature_at(data, best)
    n_signal = best.n_signal(data)
    at_bound = tuple(name for name, n in zip(data.names, n_signal, strict=True) if n == 0.0)
    ts_each = best.ts - (np.array([one.ts for one in less]) if less else np.zeros(1))
    return JointFit(
        data.names,
        best.ts,
        n_signal,
        best.index(data),
        np.where(ts_each > TS_TOLERANCE, ts_each, 0.0),
        shape.covariance,
        shape.correlation,
        shape.errors,
        shape.index_errors,
        shape.undetermined,
        at_bound,
        best.converged and all(one.converged for one in less),
        _notes(best, at_bound, shape.undetermined),
    )


def _notes(best: JointMaximum, at_bound: tuple[str, ...], undetermined: tuple[str, ...]) -> tuple[str, ...]:
    notes = [f"'{name}' is at the bound n_s = 0: its error is that of the curvature there" for name in at_bound]
    if undetermined:
        notes.append(
            f"the curvature is singular: the norms of {', '.join(map(repr, undetermined))} are not determined one by "
            "one, only in sum; they are the same up to a factor, or combinations of one another"
        )
    if best.held:
        notes.append("the norms are held by the bound on the density of single events, as n_s of a single fit can be")
    return tuple(notes)
