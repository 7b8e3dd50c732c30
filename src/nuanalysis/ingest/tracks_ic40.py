"""IC40 (2008-2009) of the 10-year track release: 36,900 events, their good runs and effective area.

Also keeps the good-run lists of IC79 and IC86-2011, which were published with this release only.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest import _tracks, tracks_dr1
from nuanalysis.ingest._find import find
from nuanalysis.ingest._table import located

PATHS = (
    "events/IC40_exp.csv", "uptime/IC40_exp.csv", "uptime/IC79_exp.csv", "uptime/IC86_I_exp.csv",
    "irfs/IC40_effectiveArea.csv",
)  # fmt: skip

ROWS = 36_900

RELEASE = replace(
    tracks_dr1.RELEASE,
    name="tracks-ic40",
    title="IceCube all-sky point-source tracks 2008-2018, season IC40",
    files=tuple(file for file in tracks_dr1.RELEASE.files if file.path in PATHS),
    notes=tracks_dr1.NOTES,
)
_SEASONS = _tracks.Seasons(RELEASE, dict.fromkeys(("IC40", "IC79", "IC86_I"), "IC40"))


def read_events(folder: Path) -> xr.Dataset:
    """Return the 36,900 events, schema EVENTS with azimuth and zenith, sorted by time.  Raises DataError."""
    table = _tracks.read_event_table(_SEASONS.events(folder, "IC40"), rows=ROWS)
    livetime_s = float(read_uptime(folder).attrs["livetime_s"])
    return _tracks.events(
        table, release=RELEASE, sample="tracks-ic40", livetime_s=livetime_s, floor_deg=tracks_dr1.FLOOR_DEG
    )


def read_uptime(folder: Path, season: str = "IC40") -> xr.Dataset:
    """Return the good runs of IC40 (or IC79, IC86_I): start, stop (good_run,) MJD; attrs livetime_s, season."""
    return _SEASONS.read_uptime(folder, season)


def beside(folder: Path) -> Path:
    """Return the folder of this release next to that of another one, or wherever it is found.

    The other seasons take their good runs from it.  Raises DataError where it is nowhere.
    """
    neighbour = folder.parent / RELEASE.folder
    return neighbour if neighbour.is_dir() else find(RELEASE)


def read_effective_area(folder: Path) -> xr.Dataset:
    """Return effective_area (sin_dec 50, log10_true 40) in cm^2 with its edges."""
    path = located(folder, RELEASE, "irfs/IC40_effectiveArea.csv")
    return _tracks.read_declination_area(path, name=RELEASE.name, reference=RELEASE.reference)
