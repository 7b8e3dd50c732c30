"""Cuts in time: good runs, the overlap with an earlier season, and a span of dates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError
from nuanalysis.selection._cuts import Mask
from nuanalysis.selection._runs import Runs


@dataclass(frozen=True, slots=True, eq=False)
class GoodRuns:
    """Keeps events inside good runs, whose sum becomes the exposure.

    resolution_d : how coarsely times were released; 1 for whole days, where an event is kept if its day has any run.
    """

    runs: Runs
    resolution_d: float = 0.0
    name: str = "good-runs"

    @property
    def label(self) -> str:
        return "inside good runs" + _how_coarse(self.resolution_d)

    def keep(self, events: xr.Dataset) -> Mask:
        return self.runs.touch(events["mjd"].values, length_d=self.resolution_d)

    def remaining(self, runs: Runs) -> Runs:
        return self.runs


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """Keeps events outside the runs of an earlier season, so that an event released twice counts once.

    resolution_d : as for ``GoodRuns``; at 1, an event is dropped if the earlier season has a run on its day.
    """

    earlier: Runs
    resolution_d: float = 0.0
    name: str = "overlap"

    @property
    def label(self) -> str:
        return "outside the runs of the season before" + _how_coarse(self.resolution_d)

    def keep(self, events: xr.Dataset) -> Mask:
        return ~self.earlier.touch(events["mjd"].values, length_d=self.resolution_d)

    def remaining(self, runs: Runs) -> Runs:
        return _known(runs, self.name).without(self.earlier)


@dataclass(frozen=True, slots=True)
class Span:
    """Keeps events from ``start`` up to but not including ``stop``, MJD in d.

    resolution_d : as for ``GoodRuns``; both ends must be multiples of it, or events and exposure would not match.
    """

    start: float
    stop: float
    resolution_d: float = 0.0
    name: str = "time"

    def __post_init__(self) -> None:
        if not self.start < self.stop:
            raise InputError(
                f"the cut '{self.name}' keeps {self.start:g} <= MJD < {self.stop:g}; expected start < stop"
            )
        if self.resolution_d > 0 and (self.start % self.resolution_d or self.stop % self.resolution_d):
            raise InputError(
                f"the cut '{self.name}' keeps {self.start:.10g} <= MJD < {self.stop:.10g}, but times are known to "
                f"{self.resolution_d:g} d only; cut at multiples of that"
            )

    @property
    def label(self) -> str:
        return f"{self.start:.10g} <= MJD < {self.stop:.10g}"

    def keep(self, events: xr.Dataset) -> Mask:
        mjd = events["mjd"].values
        return np.asarray((mjd >= self.start) & (mjd < self.stop))

    def remaining(self, runs: Runs) -> Runs:
        return _known(runs, self.name).within(self.start, self.stop)


def _known(runs: Runs, name: str) -> Runs:
    if not len(runs.starts):
        raise InputError(f"the cut '{name}' changes the exposure, but no good runs are given; put GoodRuns before it")
    return runs


def _how_coarse(resolution_d: float) -> str:
    return "" if resolution_d == 0.0 else " (told to a day)" if resolution_d == 1.0 else f" (to {resolution_d:g} d)"
