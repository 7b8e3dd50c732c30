"""Do plain and weighted trials have one law of the test statistic?  A test that knows the errors of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.schema import Floats, Ints

_PLACES = 200
_LEAST_BEYOND = 10.0  # plain trials expected beyond the last place
_DRAWN = 1000


@dataclass(frozen=True, slots=True)
class Agreement:
    """The largest difference of two estimates of P(TS >= t) in its standard deviations, and where it is.

    p : how often two ensembles of one law differ as much somewhere.
    """

    ts: float
    pull: float
    p: float


def agreement(plain: Floats, ts: Floats, log_weight: Floats, rng: np.random.Generator) -> Agreement:
    """Compare plain trials with weighted ones, (trial,) each, at 200 places of TS.

    An ordinary Kolmogorov-Smirnov test takes the weighted ensemble for the law itself; its error at p = 1/2, where the
    weights are large, is several times that of as many plain trials.  Here the null law comes from 1,000 pairs: plain
    trials drawn from the weighted law, and the weighted ensemble drawn again, trial by trial.
    Raises InputError where the weighted trials are too few to compare anything.
    """
    weight = np.exp(log_weight)
    at = _places(ts, weight, len(plain))
    cells = np.searchsorted(at, ts, side="right")
    tail = _beyond(cells, weight, len(at))
    spread = _beyond(cells, weight**2, len(at)) - tail**2
    error = np.sqrt(tail * (1.0 - np.minimum(tail, 1.0)) / len(plain) + spread / len(ts))
    seen = _beyond(np.searchsorted(at, plain, side="right"), np.ones(len(plain)), len(at))
    pulls = (seen - tail) / error
    worst = int(np.abs(pulls).argmax())
    drawn = rng.multinomial(len(plain), _parts(tail), size=_DRAWN)[:, 1:]
    of_plain = np.cumsum(drawn[:, ::-1], axis=1)[:, ::-1] / len(plain)
    again = np.array([_beyond(cells, weight * rng.poisson(1.0, len(ts)), len(at)) for _ in range(_DRAWN)])
    largest = np.abs((of_plain - again) / error).max(axis=1)
    p = (1.0 + np.count_nonzero(largest >= abs(pulls[worst]))) / (1.0 + _DRAWN)
    return Agreement(float(at[worst]), float(pulls[worst]), float(p))


def _places(ts: Floats, weight: Floats, n_plain: int) -> Floats:
    """The TS where both are compared, rising, (place,): from just above 0 to where ten plain trials lie beyond."""
    order = np.argsort(ts)[::-1]
    tail = np.cumsum(weight[order]) / len(ts)
    positive = ts[order] > 0.0
    if not positive.any() or tail[positive][-1] * n_plain <= _LEAST_BEYOND:
        raise InputError("too few trials lie above TS 0 for a comparison; take more")
    ends = _LEAST_BEYOND / n_plain, tail[positive][-1]
    wanted = np.union1d(np.geomspace(*ends, _PLACES // 2), np.linspace(*ends, _PLACES // 2))
    k = np.searchsorted(tail[positive], wanted)
    return np.unique(ts[order][positive][np.minimum(k, positive.sum() - 1)])


def _beyond(cells: Ints, weight: Floats, n_places: int) -> Floats:
    """Share of trials at or beyond each place, (place,), from the number of places at or below each trial."""
    held = np.bincount(cells, weights=weight, minlength=n_places + 1)[1:]
    return np.asarray(np.cumsum(held[::-1])[::-1] / len(cells))


def _parts(tail: Floats) -> Floats:
    """Probability between the places, (place + 1,), from that beyond each; sums to 1."""
    steps = -np.diff(np.concatenate([[max(1.0, tail[0])], tail, [0.0]]))
    return np.asarray(steps / steps.sum())
