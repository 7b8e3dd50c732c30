"""How long the steps of an alert take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nuanalysis.records import Record, shown


class Latency(Record):
    """Seconds of a step, over alerts."""

    step: str = shown("step")
    alerts: int = shown("alerts")
    median_s: float = shown("median", unit="s", form=".3g")
    p95_s: float = shown("95 %", unit="s", form=".3g")
    longest_s: float = shown("longest", unit="s", form=".3g")


def latency(step: str, seconds: Sequence[float]) -> Latency:
    """Of one step; seconds (alert,), at least one."""
    median, p95, longest = np.quantile(seconds, [0.5, 0.95, 1.0])
    return Latency(step=step, alerts=len(seconds), median_s=median, p95_s=p95, longest_s=longest)
