"""Alerts found again in a public sample of tracks: the same events, reconstructed for another purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nuanalysis.alerts import Alert
from nuanalysis.deferred import xarray as xr
from nuanalysis.sphere import cos_separation


@dataclass(frozen=True, slots=True)
class Twin:
    """An alert and the energetic event nearest to it on its day.

    apart : rad.  log10_energy : of that event, E/GeV.  days : event minus alert, d; all NaN where there is none.
    """

    name: str
    apart: float
    log10_energy: float
    days: float


def twins(
    alerts: Sequence[Alert], events: xr.Dataset, *, least_log10_energy: float = 4.2, days: int = 0
) -> tuple[Twin, ...]:
    """For each alert between the first and the last day of the events the nearest energetic one, see ``Twin``.

    days : by how many the day of the event, UTC, may differ from that of the alert: 0 where times are whole days that
    were rounded down, as in IC86-2011.
    """
    mjd = events["mjd"].values
    inside = [alert for alert in alerts if mjd.min() <= alert.time < mjd.max() + 1.0]
    return tuple(_twin(alert, events, least_log10_energy, days) for alert in inside)


def _twin(alert: Alert, events: xr.Dataset, least: float, days: int) -> Twin:
    near = np.abs(np.floor(events["mjd"].values) - np.floor(alert.time)) <= days
    chosen = np.flatnonzero(near & (events["log10_energy"].values >= least - 1e-9))
    if not len(chosen):
        return Twin(alert.name, np.nan, np.nan, np.nan)
    place = np.array([alert.region.right_ascension]), np.array([alert.region.declination])
    ra, dec = (events[name].values[chosen] for name in ("right_ascension", "declination"))
    apart = np.arccos(np.clip(cos_separation(*place, ra, dec), -1.0, 1.0))
    best = int(np.argmin(apart))
    event = chosen[best]
    energy, time = (float(events[name].values[event]) for name in ("log10_energy", "mjd"))
    return Twin(alert.name, float(apart[best]), energy, time - alert.time)
