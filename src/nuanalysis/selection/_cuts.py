"""The machinery of a selection: observing time, what a cut is, and the cut flow that a chain of them leaves behind.

Observing time is a list of runs.  A cut is a frozen record that says which events it keeps and what it leaves of the
observing time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError
from nuanalysis.schema import Bools, Floats

DAY = 86400.0


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Runs that begin at ``starts`` and end at ``stops``, MJD in d, (run,), in any order; both ends belong to a run.

    They are kept sorted, and runs that touch or overlap are joined, so that no moment counts twice.
    Raises InputError for lists of different length, times that are not finite, or a run that ends before it starts.
    """

    starts: Floats
    stops: Floats

    def __post_init__(self) -> None:
        starts, stops = np.asarray(self.starts, dtype=np.float64), np.asarray(self.stops, dtype=np.float64)
        if starts.ndim != 1 or starts.shape != stops.shape:
            raise InputError(f"good runs have {starts.shape} starts and {stops.shape} stops; expected as many of each")
        broken = int(np.count_nonzero(~(np.isfinite(starts) & np.isfinite(stops) & (starts <= stops))))
        if broken:
            raise InputError(f"{broken} of {len(starts)} good runs end before they start, or are NaN; correct the list")
        starts, stops = _joined(starts, stops)
        object.__setattr__(self, "starts", starts)
        object.__setattr__(self, "stops", stops)

    @property
    def exposure_s(self) -> float:
        return float(np.sum(self.stops - self.starts)) * DAY

    def touch(self, mjd: Floats, *, length_d: float = 0.0) -> Bools:
        """Whether some run holds a moment of [mjd, mjd + length_d); with no length, the moment mjd itself. (event,)"""
        mjd = np.asarray(mjd, dtype=np.float64)
        if not len(self.starts):
            return np.zeros(mjd.shape, dtype=bool)
        begun = np.searchsorted(self.starts, mjd + length_d, side="left" if length_d > 0.0 else "right")
        return np.asarray((begun > 0) & (mjd <= self.stops[np.maximum(begun - 1, 0)]))

    def within(self, low: float, high: float) -> Runs:
        """What of the runs lies between two times, MJD in d."""
        starts, stops = np.clip(self.starts, low, high), np.clip(self.stops, low, high)
        return Runs(starts[stops > starts], stops[stops > starts])

    def without(self, other: Runs) -> Runs:
        """What of the runs lies outside those of the other list."""
        gap_starts = np.concatenate([[-np.inf], other.stops])
        gap_stops = np.concatenate([other.starts, [np.inf]])
        parts = [self.within(low, high) for low, high in zip(gap_starts, gap_stops, strict=True)]
        return Runs(np.concatenate([p.starts for p in parts]), np.concatenate([p.stops for p in parts]))


def _joined(starts: Floats, stops: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(stops[order]) if len(stops) else stops
    first = np.ones(len(starts), dtype=bool)
    first[1:] = starts[1:] > ends[:-1]
    last = np.append(first[1:], True) if len(starts) else first
    return starts[first], ends[last]


NO_RUNS = Runs(np.empty(0), np.empty(0))


class Cut(Protocol):
    """One cut.  Add one by writing a frozen dataclass with these members."""

    @property
    def name(self) -> str:
        """Short name for machines, as 'good-runs'."""

    @property
    def label(self) -> str:
        """What is kept, in words, as 'inside good runs'."""

    def keep(self, events: xr.Dataset) -> Bools:
        """Which events (event,) are kept; events keep the EVENTS schema."""

    def remaining(self, runs: Runs) -> Runs:
        """What is left of the observing time; the same runs for a cut that has nothing to do with time."""


@dataclass(frozen=True, slots=True)
class Check:
    """A cut that is only measured: its row says how many events would fail, and all of them stay."""

    cut: Cut


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a cut flow.

    kept       : number of events after this line.
    failed     : number of events that do not pass this cut, of those that reached it.
    rate_hz    : kept / exposure.
    exposure_d : livetime after this line, d.
    applied    : False where the cut was only measured, so that ``failed`` events are still among ``kept``.
    """

    name: str
    label: str
    kept: int
    failed: int
    rate_hz: float
    exposure_d: float
    applied: bool = True


@dataclass(frozen=True, slots=True)
class CutFlow:
    """The lines of a selection from 'as released' to the final sample."""

    sample: str
    rows: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @property
    def kept(self) -> int:
        return self.rows[-1].kept


def apply(events: xr.Dataset, cuts: Iterable[Cut | Check], *, runs: Runs = NO_RUNS) -> tuple[xr.Dataset, CutFlow]:
    """The events that pass every cut, with their livetime, and the cut flow.

    events : schema EVENTS; attribute 'livetime_s' is the exposure before any cut.
    cuts   : applied in this order; a ``Check`` removes nothing.
    runs   : the observing time, where it is known; a cut in time needs it here or from a ``GoodRuns`` before it.
    The attribute 'livetime_s' of what is returned is the exposure after the cuts; the events given are untouched.
    Raises InputError for a cut in time without runs, and for cuts that leave no event or no time.
    """
    livetime = float(events.attrs["livetime_s"])
    rows = [_row("as-released", "as released", events, 0, livetime, applied=True)]
    for step in cuts:
        cut, applied = (step.cut, False) if isinstance(step, Check) else (step, True)
        mask = cut.keep(events)
        failed = int(np.count_nonzero(~mask))
        if applied:
            events = events.isel(event=mask)
            left = cut.remaining(runs)
            livetime, runs = (left.exposure_s if left is not runs else livetime), left
        if not events.sizes["event"] or livetime <= 0:
            raise InputError(
                f"the cut '{cut.name}' ({cut.label}) leaves {events.sizes['event']} events in {livetime / DAY:g} d of "
                f"sample '{events.attrs['sample']}'; loosen it"
            )
        rows.append(_row(cut.name, cut.label, events, failed, livetime, applied=applied))
    return events.assign_attrs(livetime_s=livetime), CutFlow(str(events.attrs["sample"]), tuple(rows))


def _row(name: str, label: str, events: xr.Dataset, failed: int, livetime_s: float, *, applied: bool) -> Row:
    kept = int(events.sizes["event"])
    return Row(name, label, kept, failed, kept / livetime_s, livetime_s / DAY, applied)
