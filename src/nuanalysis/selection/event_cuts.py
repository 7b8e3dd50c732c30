"""Cuts on what an event is: its quality, its energy and declination, and whether it is there twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.schema import EVENTS
from nuanalysis.selection._cuts import Mask
from nuanalysis.selection._runs import Runs

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
        unit = f" {EVENTS.columns[self.column].unit}".rstrip()
        low = f"{self.low:.6g}{unit} <= " if np.isfinite(self.low) else ""
        high = f" <= {self.high:.6g}{unit}" if np.isfinite(self.high) else ""
        return f"{low}{self.column}{high}"

    def keep(self, events: xr.Dataset) -> Mask:
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

    def keep(self, events: xr.Dataset) -> Mask:
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

    def keep(self, events: xr.Dataset) -> Mask:
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
