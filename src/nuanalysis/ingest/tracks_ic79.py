"""IC79 (2010-2011) of the 3-year track release: 93,133 events and their effective area.

The good runs of the season were published with the 10-year release: they are read from its folder beside this one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest import _tracks, tracks_ic40
from nuanalysis.ingest._release import UpstreamRelease, files_of
from nuanalysis.ingest._table import Table, all_there, checked, located, parquet_faults, spoiled, within

ROWS = 93_133
# Four decimals are printed and no zero occurs; the floor is where sigma would be too small for the EVENTS schema.
FLOOR_DEG = 0.01
PARQUET = "IC79-2010-events.parquet"
TEXT = "IC79-2010-events.txt"
PARQUET_COLUMNS = ("mjd", "log10_energy_gev", "angerr_deg", "ra_deg", "dec_deg", "azimuth_deg", "zenith_deg")

RELEASE = UpstreamRelease(
    name="tracks-ic79",
    title="IceCube all-sky point-source tracks 2010-2012, season IC79-2010",
    folder="icecube_ps3yr_ic79",
    doi="10.21234/B4F04V",
    doi_confirmed=False,
    licence="not stated (the season was re-released as CC0-1.0 in doi:10.7910/DVN/VKL316)",
    citation="IceCube Collaboration 2018, All-sky point-source IceCube data: years 2010-2012",
    files=files_of("tracks_ic79"),
    notes="The archive of icecube.wisc.edu has moved more than once and no address of it is confirmed: bring the "
    "events by hand with 'nuanalysis data import'. The parquet file holds the published rows in their order.",
)


def _parquet(path: Path) -> Table:
    from pyarrow import parquet  # heavy

    with parquet_faults(path):
        about = parquet.read_metadata(path)
    all_there(path, PARQUET_COLUMNS, about.schema.names)
    if about.num_rows != ROWS:  # before they are unpacked
        raise spoiled(f"{path} holds {about.num_rows:,} rows, expected {ROWS:,}: it is not the published file")
    with parquet_faults(path):
        columns = parquet.read_table(path, columns=list(PARQUET_COLUMNS))
        values = [np.asarray(columns[name].to_numpy(), dtype=np.float64) for name in PARQUET_COLUMNS]
    table = checked(path, dict(zip(_tracks.EVENT_COLUMNS, values, strict=True)), rows=ROWS)
    within(path, table, _tracks.EVENT_LIMITS)
    return table


def _event_table(folder: Path) -> Table:
    as_text = not (folder / PARQUET).is_file() and any((folder / name).is_file() for name in (TEXT, TEXT + ".gz"))
    if as_text:
        return _tracks.read_event_table(located(folder, RELEASE, TEXT), rows=ROWS)
    return _parquet(located(folder, RELEASE, PARQUET))


def read_events(folder: Path) -> xr.Dataset:
    """Return the 93,133 events, schema EVENTS with azimuth and zenith, sorted by time.  Raises DataError."""
    table = _event_table(folder)
    livetime_s = float(read_uptime(folder).attrs["livetime_s"])
    return _tracks.events(table, release=RELEASE, sample="tracks-ic79", livetime_s=livetime_s, floor_deg=FLOOR_DEG)


def read_uptime(folder: Path) -> xr.Dataset:
    """Return the good runs of IC79: start, stop (good_run,) MJD; attrs livetime_s, season."""
    return tracks_ic40.read_uptime(tracks_ic40.beside(folder), "IC79")


def read_effective_area(folder: Path) -> xr.Dataset:
    """Return effective_area (sin_dec 200, log10_true 70) in cm^2 with its edges."""
    path = located(folder, RELEASE, "IC79-2010-TabulatedAeff.txt")
    return _tracks.read_cos_zenith_area(path, name=RELEASE.name, reference=RELEASE.reference)
