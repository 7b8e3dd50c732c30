"""Thresholds: the test statistic that a share of background skies exceeds, and how well trials know it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nuanalysis.schema import Floats
from nuanalysis.trials._pvalue import effective_trials, refuse_imprecise

MEDIAN = 0.5


@dataclass(frozen=True, slots=True)
class Threshold:
    """The TS that a share p of background skies exceeds.

    p_error : one standard deviation of the share of trials beyond ts.
    low, high : the TS that p exp(+r) and p exp(-r) of the trials exceed, r = p_error / p.  They are order statistics:
        no density enters, which TS does not have at 0, where half of the fits may lie.
    """

    ts: float
    p: float
    p_error: float
    low: float
    high: float
    n_trials: int

    @property
    def error(self) -> float:
        """Statistical error of ts: half of the way from low to high."""
        return 0.5 * (self.high - self.low)

    def at_least(self, ts: float) -> Threshold:
        """The larger of this and a known TS, as a limit asks for; no error where the known one is beyond doubt."""
        return replace(self, ts=max(self.ts, ts), low=max(self.low, ts), high=max(self.high, ts))


def known_threshold(ts: float) -> Threshold:
    """A TS that is given, such as that of the data: it has no error."""
    return Threshold(ts, np.nan, 0.0, ts, ts, 0)


def weighted_quantile(values: Floats, log_weight: Floats, upper: float) -> float:
    """Value exceeded with probability ``upper`` under the null."""
    order = np.argsort(values)[::-1]
    tail = np.cumsum(np.exp(log_weight[order])) / len(values)
    k = min(int(np.searchsorted(tail, upper)), len(values) - 1)
    return float(values[order[k]])


def threshold(ts: Floats, p: float, log_weight: Floats | None = None) -> Threshold:
    """The threshold of background trials.

    ts (trial,), or (trial, place) where one scramble was looked at from several places: these are not independent, and
    the error comes from whole trials.  log_weight (trial,) : of tilted scrambles; None for plain ones.
    Raises PrecisionError where fewer than ten effective trials lie beyond.
    """
    each = ts.reshape(len(ts), -1)
    weight = np.zeros(len(each)) if log_weight is None else log_weight
    flat, repeated = each.ravel(), np.repeat(weight, each.shape[1])
    at = weighted_quantile(flat, repeated, p)
    share = np.exp(weight)[:, None]
    reach = (share * (each >= at)).mean(axis=1)
    refuse_imprecise(f"the TS that {p:.3g} of background exceeds", effective_trials(reach), len(each))
    # All fits are at least 0, where many lie: the share beyond it is what is known with an error.
    beyond = reach if at > 0.0 else (share * (each > at)).mean(axis=1)
    error = float(beyond.std(ddof=1) / np.sqrt(len(each)))
    low, high = (weighted_quantile(flat, repeated, min(p * np.exp(s * error / p), 1.0)) for s in (1.0, -1.0))
    return Threshold(at, p, error, low, high, len(each))
