"""How good scores and directions are, with statistical errors: plain numbers of weighted events."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.schema import Bools, Floats

FEW = 10.0  # effective events below which a rate is a limit
_LIMIT_EVENTS = 2.3  # -ln 0.1: the 90 per cent upper limit of no event


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its statistical error, from ``events`` events or as many effective ones."""

    value: float
    error: float
    events: float


@dataclass(frozen=True, slots=True)
class Passing:
    """What of the background passes where a stated part of the signal does.

    cut : score above which events pass.  efficiency : share of the signal.  fraction : weighted share of the background
    with its error.  upper : 90 per cent upper limit of the share where fewer than FEW effective events pass, the share
    itself else.  largest : largest share of one event in the weight that passes; 0 where none does.
    """

    cut: float
    efficiency: Estimate
    fraction: Estimate
    upper: float
    largest: float


def effective_events(weight: Floats) -> float:
    """(sum w)^2 / sum w^2; 0 without weight."""
    square = float((weight**2).sum())
    return float(weight.sum()) ** 2 / square if square > 0 else 0.0


def rate(weight: Floats) -> Estimate:
    """Sum of weights, its error (sum w^2)^1/2, and the effective events."""
    return Estimate(float(weight.sum()), float(np.sqrt((weight**2).sum())), effective_events(weight))


def upper_rate(weight: Floats, all_weights: Floats) -> float:
    """The rate, or where fewer than FEW effective events make it 2.3 times the larger of max w and mean w.

    all_weights : of the events before the cut, whose mean counts where none is left.  Never below the rate itself.
    """
    total = float(weight.sum())
    if effective_events(weight) >= FEW:
        return total
    largest = float(weight.max(initial=0.0))
    return max(total, _LIMIT_EVENTS * max(largest, float(all_weights.mean()) if len(all_weights) else 0.0))


def share(passed: Bools, weight: Floats) -> Estimate:
    """Weighted share of events that pass: error ( sum w^2 (x - f)^2 )^1/2 / sum w, binomial for equal weights."""
    total = float(weight.sum())
    if total <= 0:
        raise InputError("no weight to take a share of; give events with weights above 0")
    f = float(weight[passed].sum()) / total
    error = float(np.sqrt((weight**2 * (passed - f) ** 2).sum())) / total
    return Estimate(f, error, effective_events(weight[passed]))


def area_under_curve(score: Floats, signal: Bools, weight: Floats) -> Estimate:
    """Chance that an event of signal scores higher than one of the rest, ties counted half; weighted.

    The error is that of DeLong et al., Biometrics 44, 837 (1988), each side with its own weights.  events : effective
    ones of the smaller side.  Raises InputError where one side is empty.
    """
    if signal.all() or not signal.any():
        raise InputError("the area under a curve needs signal and background; give events of both")
    w = (weight[signal], weight[~signal])
    placed = (
        _below(score[signal], score[~signal], w[1]),
        1.0 - _below(score[~signal], score[signal], w[0]),
    )
    value = float(np.average(placed[0], weights=w[0]))
    variance = sum(
        float((wk**2 * (p - value) ** 2).sum()) / float(wk.sum()) ** 2 for wk, p in zip(w, placed, strict=True)
    )
    return Estimate(value, float(np.sqrt(variance)), min(effective_events(wk) for wk in w))


def _below(at: Floats, score: Floats, weight: Floats) -> Floats:
    """Weighted share of ``score`` below each of ``at``, ties counted half."""
    order = np.argsort(score, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(weight[order])])
    left, right = (np.searchsorted(score[order], at, side=side) for side in ("left", "right"))
    return np.asarray(0.5 * (sums[left] + sums[right]) / sums[-1])


def passing(score: Floats, signal: Bools, weight: Floats, efficiency: float) -> Passing:
    """Background that scores above the cut which keeps this share of the signal."""
    if not 0.0 < efficiency <= 1.0:
        raise InputError(f"efficiency is {efficiency}, expected above 0 and at most 1")
    order = np.argsort(-score[signal], kind="stable")
    kept = np.cumsum(weight[signal][order])
    at = min(int(np.searchsorted(kept, efficiency * kept[-1] * (1.0 - 1e-12))), len(order) - 1)
    cut = float(score[signal][order][at])
    own, other = (share(score[side] >= cut, weight[side]) for side in (signal, ~signal))
    left = weight[~signal][score[~signal] >= cut]
    total = float(weight[~signal].sum())
    largest = float(left.max()) / float(left.sum()) if len(left) else 0.0
    return Passing(cut, own, other, min(upper_rate(left, weight[~signal]) / total, 1.0), largest)


def angle(a: Floats, b: Floats) -> Floats:
    """Angle between unit vectors (event, 3), (event,) rad; exact for small ones too."""
    return np.asarray(2.0 * np.arcsin(np.minimum(0.5 * np.sqrt(((a - b) ** 2).sum(axis=1)), 1.0)))


def weighted_quantile(values: Floats, weight: Floats, at: float) -> float:
    """Value below which the share ``at`` of the weight lies, linear between the middles of the steps."""
    order = np.argsort(values, kind="stable")
    w = weight[order]
    return float(np.interp(at, (np.cumsum(w) - 0.5 * w) / w.sum(), values[order]))


def median(values: Floats, rng: np.random.Generator, weight: Floats | None = None, draws: int = 200) -> Estimate:
    """Weighted median and its bootstrap error: the spread over ``draws`` samples drawn with replacement."""
    if len(values) == 0:
        raise InputError("no events to take a median of; widen the bin")
    weight = np.ones(len(values)) if weight is None else weight
    picks = rng.integers(0, len(values), (draws, len(values)))
    found = [weighted_quantile(values[p], weight[p], 0.5) for p in picks]
    return Estimate(weighted_quantile(values, weight, 0.5), float(np.std(found)), effective_events(weight))


@dataclass(frozen=True, slots=True)
class Bin:
    """A figure of the events between two edges."""

    low: float
    high: float
    figure: Estimate


def medians(
    values: Floats, by: Floats, edges: Floats, rng: np.random.Generator, weight: Floats | None = None
) -> tuple[Bin, ...]:
    """``median`` of the values in each bin of ``by``; bins without events are left out."""
    weight = np.ones(len(values)) if weight is None else weight
    found = []
    for low, high in pairwise(edges):
        here = (by >= low) & (by < high)
        if here.any():
            found.append(Bin(float(low), float(high), median(values[here], rng, weight[here])))
    return tuple(found)
