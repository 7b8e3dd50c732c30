"""What a number of an answer can be: the guard at the border to results.json that is not in the types of the records.

A value outside is damage or a mistake, whatever the analysis: ranges are as wide as anything that was ever fitted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nuanalysis.records import Chance, Interval, Record

_MOST = 1e15  # of any number: the largest there are count trials or seconds
_TS_AN_EVENT = 100.0  # 2 ln of what one event can add to the likelihood ratio: 1 + 100 x, x below 1e19
_EVENTS_AN_EVENT = 100.0  # fits end where n_s is a hundred times the events
_ROUNDING = 1e-6  # a difference of two likelihoods may lie that far below zero
#: Names of fields that mean the same wherever they stand, and what they can be.
_RANGES: Mapping[str, tuple[float, float]] = {
    "index": (0.0, 10.0), "ra_deg": (0.0, 360.0), "dec_deg": (-90.0, 90.0), "l_deg": (0.0, 360.0),
    "b_deg": (-90.0, 90.0), "livetime_s": (0.0, _MOST), "n_trials": (0.0, _MOST), "not_converged": (0.0, _MOST),
    "extension_deg": (0.0, 180.0),
}  # fmt: skip


def range_faults(record: Record, n_events: int, place: str = "") -> Iterator[str]:
    """Every number of a record, and of those inside, that cannot be; n_events : of the sample it is about."""
    events = float(max(n_events, 1))
    ranges = {
        **_RANGES, "ts": (-_ROUNDING, _TS_AN_EVENT * events), "n_signal": (-_ROUNDING, _EVENTS_AN_EVENT * events)
    }  # fmt: skip
    for name in type(record).model_fields:
        yield from _faults(getattr(record, name), f"{place}{name}", ranges.get(name, (-_MOST, _MOST)), n_events)
    yield from _of_kinds(record, place.rstrip("."))


def _faults(value: Any, place: str, between: tuple[float, float], n_events: int) -> Iterator[str]:
    if isinstance(value, Record):
        yield from range_faults(value, n_events, f"{place}.")
    elif isinstance(value, tuple):
        for number, one in enumerate(value):
            yield from _faults(one, f"{place}.{number}", between, n_events)
    elif isinstance(value, int | float) and not isinstance(value, bool) and not between[0] <= value <= between[1]:
        yield f"{place} is {value:g}, expected {between[0]:g} to {between[1]:g}"


def _of_kinds(record: Record, place: str) -> Iterator[str]:
    """What the small records promise besides their types."""
    if isinstance(record, Interval) and record.low > record.high:
        yield f"{place} goes from {record.low:g} to {record.high:g}, expected the lower end first"
    if isinstance(record, Chance):
        if record.ess is not None and not 0.0 <= record.ess <= record.n_trials * (1.0 + _ROUNDING):
            yield f"{place}.ess is {record.ess:g}, expected 0 to the {record.n_trials} trials"
        if record.bound is not None and not 0.0 <= record.bound <= 1.0:
            yield f"{place}.bound is {record.bound:g}, expected 0 to 1"
