"""IC86-2011, the first-year point-source release: 138,322 coarse events and their effective area.

The good runs of the season were published with the 10-year release: they are read from its folder beside this one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest import _tracks, tracks_ic40
from nuanalysis.ingest._release import UpstreamRelease, files_of
from nuanalysis.ingest._table import Table, located, read_numbers, within

# Angles are printed to 0.1 deg: the smallest non-zero sigma that the file can say.
FLOOR_DEG = 0.1
UPGOING, DOWNGOING = ("upgoing_events.txt", 69_227), ("downgoing_events.txt", 69_095)
COLUMNS = {"MJD": "MJD[days]", "log10(E)": "log10(E/GeV)", "ang_err": "AngErr[deg]", "RA": "RA[deg]", "Dec": "Dec[deg]"}
NOTE = (
    "Times are whole days (MJD) and energies and angles are rounded to 0.1: fit for right-ascension scrambles, "
    "not for time-dependent work; whether an event lies in a good run can only be told to a day"
)

RELEASE = UpstreamRelease(
    name="tracks-ic86-2011",
    title="IceCube search for point sources with the first year of IC86 data",
    folder="icecube_ps_ic86_2011",
    doi="10.21234/B4159R",
    doi_confirmed=False,
    licence="not stated (the season was re-released as CC0-1.0 in doi:10.7910/DVN/VKL316)",
    citation="IceCube Collaboration (Aartsen et al.) 2014, ApJ 796, 109",
    files=files_of("tracks_ic86_2011"),
    notes="Use with its own effective area only; do not mix with IC86-I events of other releases. No address of the "
    "original archive is confirmed: the files come from icecube/flarestack, held to their checksums.",
)


def _hemisphere(folder: Path, name: str, rows: int) -> Table:
    path = located(folder, RELEASE, name)
    found = read_numbers(path, tuple(COLUMNS), rows=rows)
    table = {COLUMNS[column]: values for column, values in found.items()}
    # Sigma is not held to 180 deg here: a few are larger, and `_tracks.usable_sigma` counts and names them.
    limits = {name: limit for name, limit in _tracks.EVENT_LIMITS.items() if name in table and name != "AngErr[deg]"}
    within(path, table, limits | {"AngErr[deg]": (0.0, 1000.0)})
    return table


def read_events(folder: Path) -> xr.Dataset:
    """Return the 138,322 events, schema EVENTS, sorted by day (upgoing before downgoing).  Raises DataError."""
    parts = [_hemisphere(folder, name, rows) for name, rows in (UPGOING, DOWNGOING)]
    table = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS.values()}
    livetime_s = float(read_uptime(folder).attrs["livetime_s"])
    return _tracks.events(
        table, release=RELEASE, sample="tracks-ic86-2011", livetime_s=livetime_s, floor_deg=FLOOR_DEG, note=NOTE
    )


def read_uptime(folder: Path) -> xr.Dataset:
    """Return the good runs of IC86_I: start, stop (good_run,) MJD; attrs livetime_s, season."""
    return tracks_ic40.read_uptime(tracks_ic40.beside(folder), "IC86_I")


def read_effective_area(folder: Path) -> xr.Dataset:
    """Return effective_area (sin_dec 200, log10_true 70) in cm^2 with its edges."""
    path = located(folder, RELEASE, "TabulatedAeff.txt")
    return _tracks.read_cos_zenith_area(path, name=RELEASE.name, reference=RELEASE.reference)
