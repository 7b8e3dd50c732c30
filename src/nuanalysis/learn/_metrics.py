"""How good scores and directions are, with statistical errors: plain numbers of weighted events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.detector import effective_number, rate, weighted_quantiles
from nuanalysis.errors import InputError
from nuanalysis.schema import Bools, Floats


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
    with its error.  upper : 90 per cent upper limit of the share where fewer than ten effective events pass, see
    ``detector.rate``; the share itself else.  largest : largest share of one event in the weight that passes; 0 where
    none does.
    """

    cut: float
    efficiency: Estimate
    fraction: Estimate
    upper: float
    largest: float


def share(passed: Bools, weight: Floats) -> Estimate:
    """Weighted share of events that pass: error ( sum w^2 (x - f)^2 )^1/2 / sum w, binomial for equal weights."""
    total = float(weight.sum())
    if total <= 0:
        raise InputError("no weight to take a share of; give events with weights above 0")
    f = float(weight[passed].sum()) / total
    error = float(np.sqrt((weight**2 * (passed - f) ** 2).sum())) / total
    return Estimate(f, error, effective_number(weight[passed]))


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
    return Estimate(value, float(np.sqrt(variance)), min(effective_number(wk) for wk in w))


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
    total, found = float(weight[~signal].sum()), rate(left, of=weight[~signal])
    largest = float(left.max()) / float(left.sum()) if len(left) else 0.0
    return Passing(cut, own, other, min((found.value if found.bound is None else found.bound) / total, 1.0), largest)


def angle(a: Floats, b: Floats) -> Floats:
    """Angle between unit vectors (event, 3), (event,) rad; exact for small ones too."""
    return np.asarray(2.0 * np.arcsin(np.minimum(0.5 * np.sqrt(((a - b) ** 2).sum(axis=1)), 1.0)))


def median(values: Floats, rng: np.random.Generator, weight: Floats | None = None, draws: int = 200) -> Estimate:
    """Weighted median and its bootstrap error: the spread over ``draws`` samples drawn with replacement."""
    if len(values) == 0:
        raise InputError("no events to take a median of; widen the bin")
    weight = np.ones(len(values)) if weight is None else weight
    picks = rng.integers(0, len(values), (draws, len(values)))
    found = [weighted_quantiles(values[p], weight[p], (0.5,))[0] for p in picks]
    middle = float(weighted_quantiles(values, weight, (0.5,))[0])
    return Estimate(middle, float(np.std(found)), effective_number(weight))
