"""Observing time as a list of runs: how long, and whether a moment lies inside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.schema import Bools, Floats

DAY = 86400.0


def exposure(starts: Floats, stops: Floats) -> float:
    """Livetime in s of runs that begin and end at these times, MJD in d, (run,); an overlap counts once."""
    return Runs(starts, stops).exposure_s


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
        """Livetime in s."""
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
