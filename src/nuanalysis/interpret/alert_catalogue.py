"""What a catalogue of alerts holds: counts and rates by stream and tier, names, gaps, what precedes what."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from nuanalysis.alerts import ORDER, Alert, datetime_of, printed
from nuanalysis.deferred import xarray as xr
from nuanalysis.schema import Floats

ICECAT1_DAYS = 4536.85  # from the first to the last of its 348 alerts
_NAME = re.compile(r"IC(\d{6})([A-Z])")


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """Alerts of a stream, and of those the vetoed ones; medians and ranges of what is published of them."""

    stream: str
    alerts: int
    doubtful: int
    p_median: float
    p_range: tuple[float, float]
    far_range: tuple[float, float]
    energy_median_tev: float


@dataclass(frozen=True, slots=True)
class CatalogueFigures:
    """Figures of a catalogue in the order of its times.

    per_year : by tier, of its span in days.  p_sum : by tier.  shared_dates : alerts not alone on their UTC date.
    gaps_d : shortest, median, longest time between alerts.  gaps_p : of a KS test that they are exponential.
    """

    alerts: int
    days: float
    tiers: Mapping[str, int]
    per_year: Mapping[str, float]
    p_sum: Mapping[str, float]
    streams: tuple[StreamFigures, ...]
    shared_dates: int
    gaps_d: tuple[float, float, float]
    gaps_p: float


def catalogue_figures(alerts: Sequence[Alert]) -> CatalogueFigures:
    """Counts, rates, probabilities and gaps of alerts that are sorted by time.

    The days are those from the first to the last alert.  The p of the gaps is that of a KS test against the
    exponential with their own mean, which makes it somewhat too large.
    """
    from scipy.stats import kstest

    times = np.array([alert.time for alert in alerts])
    gaps = np.diff(times)
    days = float(times[-1] - times[0])
    tiers: Counter[str] = Counter(alert.tier for alert in alerts)
    sums = {tier: math.fsum(alert.p_astro for alert in alerts if alert.tier == tier) for tier in tiers}
    dates = Counter(int(time) for time in times)
    chance = float(kstest(gaps, "expon", args=(0.0, float(gaps.mean()))).pvalue)
    return CatalogueFigures(
        alerts=len(alerts),
        days=days,
        tiers=dict(tiers),
        per_year={tier: count / days * 365.25 for tier, count in tiers.items()},
        p_sum=sums,
        streams=tuple(_figures(stream, alerts) for stream in ORDER if any(a.stream == stream for a in alerts)),
        shared_dates=sum(count for count in dates.values() if count > 1),
        gaps_d=(float(gaps.min()), float(np.median(gaps)), float(gaps.max())),
        gaps_p=chance,
    )


def _figures(stream: str, alerts: Sequence[Alert]) -> StreamFigures:
    mine = [alert for alert in alerts if alert.stream == stream]
    p, far, energy = (np.array([getattr(a, name) for a in mine]) for name in ("p_astro", "far_per_yr", "energy_tev"))
    return StreamFigures(
        stream, len(mine), sum(bool(a.doubt) for a in mine), float(np.median(p)), _ends(p), _ends(far),
        float(np.median(energy)),
    )  # fmt: skip


def _ends(values: Floats) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def name_faults(alerts: Sequence[Alert]) -> list[str]:
    """Names that are not ICYYMMDDX with the UTC date of the event and letters in the order of the day, or not unique.

    ICECAT-1 has one: IC181114B, without an A.  So a name is carried, and never worked out again.
    """
    out = [f"{name} twice" for name, count in Counter(alert.name for alert in alerts).items() if count > 1]
    for date, same in groupby(alerts, key=lambda alert: f"{datetime_of(alert.time):%y%m%d}"):
        for letter, alert in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", same, strict=False):
            if alert.name != f"IC{date}{letter}":
                out.append(f"{alert.name}, expected IC{date}{letter}")
    return out


def order_faults(rows: xr.Dataset) -> list[str]:
    """Alerts of ``icecat1.read_events`` whose printed stream is not the first in our order of those that fired."""
    out = []
    for name, stream, others in zip(*(rows[key].values for key in ("name", "stream", "other_streams")), strict=True):
        firing = [str(stream), *(one for one in str(others).split(",") if one not in ("None", ""))]
        if printed(firing) != stream:
            out.append(f"{name}: {stream} over {', '.join(firing[1:])}")
    return out
