"""Cuts on what an event is (its quality, energy, declination, whether it is there twice) and on when it was seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.schema import EVENTS, Bools
from nuanalysis.selection._cuts import Runs

RECONSTRUCTED = ("mjd", "right_ascension", "declination", "log10_energy", "angular_error")


@dataclass(frozen=True, slots=True)
class Range:
    """Keeps events with low <= column <= high, in the unit of the EVENTS schema.  For times use ``Span``."""

    column: str
    low: float = -np.inf
    high: float = np.inf

    def __post_init__(self) -> None:
        known = [name for name in EVENTS.columns if name != "mjd"]
        if self.column not in known:
            raise InputError(f"there is no event column '{self.column}' to cut on.{did_you_mean(self.column, known)}")
        if not self.low < self.high:
            raise InputError(f"the cut on '{self.column}' keeps {self.low:g} to {self.high:g}; expected low < high")

    @property
    def name(self) -> str:
        return self.column.replace("_", "-")

    @property
    def label(self) -> str:
        """As people say it: energies in GeV or TeV, angles in degrees."""
        name = "E" if self.column == "log10_energy" else self.column.replace("_", " ")
        low, high = (self._said(end) if np.isfinite(end) else "" for end in (self.low, self.high))
        if low and high:
            return f"{low} <= {name} <= {high}"
        return f"{name} >= {low}" if low else f"{name} <= {high}" if high else f"any {name}"

    def _said(self, value: float) -> str:
        if self.column == "log10_energy":
            return f"{10.0 ** (value - 3.0):.4g} TeV" if value >= 3.0 else f"{10.0**value:.4g} GeV"
        unit = EVENTS.columns[self.column].unit
        return f"{np.degrees(value):.6g} deg" if unit == "rad" else f"{value:.6g} {unit}".rstrip()

    def keep(self, events: xr.Dataset) -> Bools:
        if self.column not in events:
            raise InputError(f"sample '{events.attrs['sample']}' has no column '{self.column}'; leave that cut out")
        values = events[self.column].values
        return np.asarray((values >= self.low) & (values <= self.high))

    def remaining(self, runs: Runs) -> Runs:
        return runs


@dataclass(frozen=True, slots=True)
class Quality:
    """Keeps events that are finite in every reconstructed quantity and whose angular error, rad, is in [low, high]."""

    low: float
    high: float
    name: str = "quality"

    def __post_init__(self) -> None:
        if not 0.0 < self.low < self.high:
            raise InputError(f"the quality cut keeps {self.low:g} to {self.high:g} rad; expected 0 < low < high")

    @property
    def label(self) -> str:
        return f"finite, angular error {np.degrees(self.low):.3g} to {np.degrees(self.high):.3g} deg"

    def keep(self, events: xr.Dataset) -> Bools:
        sigma = events["angular_error"].values
        finite = np.logical_and.reduce([np.isfinite(events[name].values) for name in RECONSTRUCTED])
        return np.asarray(finite & (sigma >= self.low) & (sigma <= self.high))

    def remaining(self, runs: Runs) -> Runs:
        return runs


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Keeps the first of all events that agree exactly in every one of ``columns``.

    All five reconstructed quantities by default; use ('run', 'event_id') where a release has them.
    """

    columns: tuple[str, ...] = RECONSTRUCTED
    name: str = "duplicates"

    @property
    def label(self) -> str:
        what = "time, direction, energy and error" if self.columns == RECONSTRUCTED else ", ".join(self.columns)
        return f"the first of events equal in {what}"

    def keep(self, events: xr.Dataset) -> Bools:
        missing = [name for name in self.columns if name not in events]
        if missing:
            raise InputError(f"sample '{events.attrs['sample']}' has no column {missing} to find duplicates by")
        table = np.stack([np.asarray(events[name].values) for name in self.columns])
        order = np.lexsort(table)  # stable, so that the first in the sample leads its group
        again = np.zeros(table.shape[1], dtype=bool)
        again[order[1:]] = np.all(table[:, order[1:]] == table[:, order[:-1]], axis=0)
        return ~again

    def remaining(self, runs: Runs) -> Runs:
        return runs


# ---- times --------------------------------------------------------------------------------------------------------


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

    def keep(self, events: xr.Dataset) -> Bools:
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

    def keep(self, events: xr.Dataset) -> Bools:
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

    def keep(self, events: xr.Dataset) -> Bools:
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
