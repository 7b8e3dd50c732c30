"""Two models told apart: p-values of q = TS_B - TS_A given the fit of a model, and how often a test sees it.

q goes with the strength that is fitted: where a model is true its TS grows with the square of its fit, that of the
other less.  Experiments are drawn at the strength that was fitted, which scatters about the true one, so the place of q
among all of them is no probability: p-values crowd the middle.  Given TS of the model q hardly depends on the true
strength.  So q is compared at that TS, with its mean and its spread there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nuanalysis.likelihood import TS_TOLERANCE
from nuanalysis.schema import Floats
from nuanalysis.trials._joint import Share, as_large, share

_RESAMPLED = 200
_FEWEST = 20  # experiments through which mean and spread are drawn
_LEAST_SPREAD = 0.25  # of the mean spread: the line through the spread is kept from falling below


def _pulls(q: Floats, given: Floats) -> Floats:
    """(q - mean) / spread, (trial,): mean and spread at what is given, (trial, quantity), of the last trial as of all.

    With roots z of TS that are normal, q = z_B^2 - z_A^2 has, given z_A, a mean with z_A and its square, and a spread
    that is a line in z_A.  With the other quantities the mean goes linearly.
    """
    x = (given - given[-1]) / np.maximum(given.std(axis=0), 1e-300)
    line = np.column_stack([np.ones(len(x)), x[:, 0]])
    curve = np.column_stack([line, x[:, 0] ** 2, x[:, 1:]])
    rest = q - curve @ np.linalg.lstsq(curve, q, rcond=None)[0]
    size = np.abs(rest)
    spread = line @ np.linalg.lstsq(line, size, rcond=None)[0]
    return np.asarray(rest / np.maximum(spread, _LEAST_SPREAD * float(size.mean())))


def as_large_given(q: Floats, given: Floats, observed: float, at: Floats) -> Share:
    """p-value of q given the fit of a model: how often experiments with its fit have as much.

    q (trial,), given (trial, quantity) : of experiments; the root of TS of the model, then others that the fit holds.
    observed, at (quantity,) : of the data.  Experiments count where the model has no TS as in the data, or has some as
    in the data.  The data count as one of them, in mean and spread of q too.
    """
    zero = TS_TOLERANCE**0.5
    alike = (given[:, 0] > zero) == (at[0] > zero)
    mine, where = (q[alike], given[alike]) if alike.any() else (q, given)
    if at[0] <= zero or len(mine) < _FEWEST or mine.std() <= TS_TOLERANCE:
        return as_large(mine, observed)
    pulls = _pulls(np.append(mine, observed), np.vstack([where, at]))
    return as_large(pulls[:-1], float(pulls[-1]))


@dataclass(frozen=True, slots=True)
class Separation:
    """How well a model is told from another by q, which is larger where the other fits better.

    power : share of experiments of the other above the 95 % quantile of q of this one, both at their own strengths; its
        error holds that of the quantile.  right : share of the experiments of this model in which it has the larger TS.
    ties : in which neither has, both without events as a rule.
    """

    power: Share
    right: Share
    ties: Share


def _power(null: Floats, other: Floats, level: float) -> Share:
    """Share of ``other`` beyond the value that a part ``level`` of ``null`` exceeds; (trial,) each."""
    rng = np.random.default_rng(0)
    found = share(other > np.quantile(null, 1.0 - level))
    again = [
        float((rng.choice(other, len(other)) > np.quantile(rng.choice(null, len(null)), 1.0 - level)).mean())
        for _ in range(_RESAMPLED)
    ]
    return replace(found, error=max(found.error, float(np.std(again, ddof=1))))


def separation(own: Floats, other: Floats, level: float) -> Separation:
    """From q of experiments (trial,) under a model and under another, at a level of the test."""
    right, ties = own < -TS_TOLERANCE, np.abs(own) <= TS_TOLERANCE
    return Separation(_power(own, other, level), share(right), share(ties))
