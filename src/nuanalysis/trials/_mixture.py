"""Which mixture of tilted scrambles answers a question best: found from a short pilot.

The relative variance of a p-value p(t) from a mixture with shares a_k is E_0[ 1(T >= t) w_a ] / p(t)^2, less 1, with
w_a = 1 / sum_k a_k L_k / L(0) and E_0 the mean under the null.  It is convex in a, and any weighted ensemble gives it:
a pilot of evenly shared candidates is run once, and the shares that make the largest of these variances small follow
without another trial (the cross-entropy idea; Rubinstein and Kroese 2004; balance heuristic: Veach and Guibas 1995).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nuanalysis.errors import PrecisionError
from nuanalysis.likelihood import REACH_TS
from nuanalysis.model import Prepared
from nuanalysis.schema import Floats
from nuanalysis.trials._scrambles import Tilt, correlated_trials, mixture_log_weight
from nuanalysis.trials.streams import Stream, seed_of

PILOT_TRIALS = 400
_TILT_INDEX = (1.2, 2.0, 2.6, 3.2, 3.8)  # a free index fluctuates anywhere in [1, 4]
_LIST_INDEX = (2.0, 3.2)
_LOOKED_AT = 3
_PORTION = 50
# A tail has corners that a short pilot does not visit (a hard index, one energetic event).  Without trials there the
# error would be too small and the next ensemble could be far off: a part of the trials is shared by all candidates.
_EVENLY = 0.25


Trials = tuple[Floats, Floats]
Portion = Callable[[int], Trials]


def in_turn(portion: Portion, first: list[int]) -> Iterable[tuple[int, Trials]]:
    """The portions of a pilot one after the other."""
    return ((k, portion(start)) for k, start in enumerate(first))


def uncertainty(prepared: Prepared) -> Floats:
    """Expected standard deviation of n_s under the null at each spectral node, (node,)."""
    return prepared.spread


def candidates(prepared: Prepared, ts: float, hypothesis: int = 0) -> tuple[Tilt, ...]:
    """Tilts whose scrambles are expected to have sqrt(TS) 1.5, 3, ... up to two that overshoot ``ts``; even shares.

    With a free index there are five spectral indices for each strength.
    """
    nodes = sorted({int(np.argmin(abs(prepared.index - g))) for g in _TILT_INDEX} if len(prepared.index) > 1 else {0})
    steps = np.arange(1.5, np.sqrt(max(ts, 0.0)) + 3.0, 1.5)
    strengths = [prepared.strength_at(min(float(t) ** 2, REACH_TS)) for t in steps]
    found = {(round(float(n[g]), 6), g) for n in strengths for g in nodes}
    return tuple(Tilt(n, g, 1.0 / len(found), hypothesis) for n, g in sorted(found))


@dataclass(frozen=True, slots=True, eq=False)
class Pilot:
    """A short ensemble of evenly shared candidate tilts.

    ts (trial, hypothesis); ratios (trial, tilt) ln L_k / L(0); log_weight (trial,) back to the null.
    """

    tilts: tuple[Tilt, ...]
    ts: Floats
    ratios: Floats
    log_weight: Floats


def pilot_tilts(problems: tuple[Prepared, ...], ts: Floats) -> tuple[Tilt, ...]:
    """Plain scrambles and all candidates in even shares, to reach ``ts`` (hypothesis,) of each hypothesis."""
    found = [t for h, (p, reach) in enumerate(zip(problems, ts, strict=True)) for t in candidates(p, float(reach), h)]
    share = 1.0 / (len(found) + 1)
    return (Tilt(0.0, 0, share), *(Tilt(t.n_signal, t.node, share, t.hypothesis) for t in found))


def pilot(
    problems: tuple[Prepared, ...],
    seed: int,
    ts: Floats,
    smear: float = 0.0,
    each: Callable[[Portion, list[int]], Iterable[tuple[int, Trials]]] = in_turn,
) -> Pilot:
    """Run the pilot of an ensemble of this seed, to reach ``ts`` (hypothesis,) of each hypothesis.

    each : how the portions are worked through; yields the position of each and its trials, in any order.
    """
    tilts = pilot_tilts(problems, ts)
    n = max(PILOT_TRIALS, 20 * len(tilts))
    first = list(range(0, n, _PORTION))

    def portion(start: int) -> Trials:
        last = min(start + _PORTION, n)
        return correlated_trials(problems, seed_of(seed, Stream.PILOT), start, last, tilts, smear)

    done = dict(each(portion, first))
    fits, ratios = (np.concatenate([done[k][part] for k in range(len(first))]) for part in (0, 1))
    return Pilot(tilts, fits[:, :, 0], ratios, mixture_log_weight(ratios, np.array([t.share for t in tilts])))


def _shares(chances: Floats, heavy: Floats) -> Floats:
    """Shares (tilt,) that minimise the sum over questions of E_0[ 1 w_a ] / p^2 by multiplicative steps.

    chances (trial, tilt) L_k / L(0) where some question is met; heavy (trial,) the weight of a trial in that sum.
    """
    shares = np.full(chances.shape[1], 1.0 / chances.shape[1])
    for _ in range(300):
        gradient = (heavy / (chances @ shares) ** 2) @ chances
        new = shares * np.sqrt(gradient / max(float(shares @ gradient), 1e-300))
        new /= new.sum()
        if np.abs(new - shares).max() < 1e-5:
            break
        shares = new
    return shares


def _tail(met: NDArray[np.bool_], log_weight: Floats) -> Floats:
    """Probability under the null of each question, (question,), from met (question, trial)."""
    return np.asarray((met * np.exp(log_weight)).mean(axis=1))


def mixture(run: Pilot, met: NDArray[np.bool_]) -> tuple[tuple[Tilt, ...], Floats]:
    """The best mixture for a set of questions, and the relative variance of one trial for each, (question,).

    met : (question, pilot trial) whether the trial belongs to the tail whose probability is asked.
    Raises PrecisionError where no pilot trial met a question.
    """
    p = _tail(met, run.log_weight)
    if np.any(p <= 0.0):
        raise PrecisionError(
            f"{int((p <= 0).sum())} of {len(p)} test statistics were out of the pilot's reach; "
            "ask for a smaller test statistic"
        )
    weight = np.exp(run.log_weight)
    asked = met.any(axis=0)
    heavy = (weight * (met / p[:, None] ** 2).sum(axis=0))[asked]
    chances = np.exp(run.ratios)
    shares = _shares(chances[asked], heavy)
    signal = np.array([t.n_signal > 0.0 for t in run.tilts])
    shares = (1.0 - _EVENLY) * shares + _EVENLY * signal / signal.sum() if signal.any() else shares
    tilts = tuple(
        Tilt(t.n_signal, t.node, float(a), t.hypothesis) for t, a in zip(run.tilts, shares, strict=True) if a > 1e-3
    )
    total = sum(t.share for t in tilts)
    tilts = tuple(Tilt(t.n_signal, t.node, t.share / total, t.hypothesis) for t in tilts)
    new_weight = 1.0 / (chances @ shares)
    variance = (met * (weight * new_weight)).mean(axis=1) / p**2 - 1.0
    return tilts, np.asarray(np.maximum(variance, 0.0))


def list_tilts(problems: tuple[Prepared, ...], observed: Floats) -> tuple[Tilt, ...]:
    """A mixture for a long list of hypotheses, without a pilot, which would need some twenty trials for each tilt.

    Half of it is plain, a quarter is for the three largest of the observed test statistics (hypothesis,), and a quarter
    for a hard and a soft tilt of each hypothesis.  It is not the best mixture, but its weights are as exact.
    """
    ts = float(max(observed.max(), 1.0))
    first = np.argsort(-observed, kind="stable")[:_LOOKED_AT]
    closely = [t for h in first for t in candidates(problems[int(h)], float(observed[h]), int(h))]
    widely = []
    for h, prepared in enumerate(problems):
        strength = prepared.strength_at(min(ts, REACH_TS))
        nodes = {int(np.argmin(abs(prepared.index - g))) for g in _LIST_INDEX} if len(prepared.index) > 1 else {0}
        widely += [Tilt(float(strength[g]), g, 0.0, h) for g in sorted(nodes)]
    parts = [replace(t, share=0.25 / len(part)) for part in (closely, widely) for t in part]
    return (Tilt(0.0, 0, 0.5), *parts)


def choose_tilts(prepared: Prepared, ts: float, seed: int = 0) -> tuple[Tilt, ...]:
    """A mixture that covers test statistics from 0 to ``ts`` evenly: the null and every whole sigma up to there."""
    run = pilot((prepared,), seed, np.array([ts]))
    sigmas = np.arange(0.0, np.sqrt(max(ts, 0.0)) + 0.5)
    questions = np.minimum(sigmas**2, ts)
    met = run.ts[:, 0] >= questions[:, None]
    return mixture(run, met[met.any(axis=1)])[0]
