"""IC79 (2010-2011) of the 3-year track release: 93,133 events and their effective area.

The good runs of the season were published with the 10-year release: they are read from its folder beside this one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError
from nuanalysis.ingest import _tracks, tracks_ic40
from nuanalysis.ingest._release import UpstreamFile, UpstreamRelease
from nuanalysis.ingest._table import REPAIR, Table, all_there, checked, located, within

ROWS = 93_133
# Four decimals are printed and no zero occurs; the floor is where sigma would be too small for the EVENTS schema.
FLOOR_DEG = 0.01
FLARESTACK = (
    "https://raw.githubusercontent.com/icecube/flarestack/2af6cb5b802cb52c4b87e7960d7a0b00d6ee596c/flarestack/data/"
    "icecube/public/all_sky_point_source/raw_data"
)
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
    files=(
        UpstreamFile(
            PARQUET, "e25535d37170d6348a11fec2d6cd1f94fbb919c05e1f4b35c44106f7273a23a0", "events", ROWS, either="events"
        ),
        UpstreamFile(TEXT, kind="events", rows=ROWS, either="events"),
        UpstreamFile(
            "IC79-2010-TabulatedAeff.txt",
            "4223e25319ebd2407139b96def956cedf5b6581c9ecc239f79acb5dbc3932c98",
            "effective area",
            14_000,
            url=f"{FLARESTACK}/IC79-2010-TabulatedAeff.txt",
        ),
        UpstreamFile(
            "IC79-2010-AngRes.txt",
            "311a5231bd682a7f4de6e97aef2279c297b5eef8f633c9ee49d005bf6f99f5db",
            kind="resolution",
            url=f"{FLARESTACK}/IC79-2010-AngRes.txt",
            required=False,
        ),
    ),
    notes="The archive of icecube.wisc.edu has moved more than once and no address of it is confirmed: bring the "
    "events by hand with 'nuanalysis data import'. The parquet file holds the published rows in their order.",
)


def _parquet(path: Path) -> Table:
    # pyarrow is heavy and only this one file needs it
    import pyarrow as pa
    from pyarrow import parquet

    try:
        columns = parquet.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is truncated or damaged, expected a parquet file: {error}. {REPAIR}") from error
    all_there(path, PARQUET_COLUMNS, columns.column_names)
    values = [np.asarray(columns[name].to_numpy(), dtype=np.float64) for name in PARQUET_COLUMNS]
    return checked(path, dict(zip(_tracks.EVENT_COLUMNS, values, strict=True)), rows=ROWS)


def _event_table(folder: Path) -> Table:
    as_text = not (folder / PARQUET).is_file() and any((folder / name).is_file() for name in (TEXT, TEXT + ".gz"))
    if as_text:
        return _tracks.read_event_table(located(folder, RELEASE, TEXT), rows=ROWS)
    path = located(folder, RELEASE, PARQUET)
    table = _parquet(path)
    within(path, table, _tracks.EVENT_LIMITS)
    return table


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


def read_median_resolution(folder: Path) -> Table:
    """Return the released median angular resolution: E_min, E_max in GeV, median in deg."""
    return _tracks.read_median_resolution(located(folder, RELEASE, "IC79-2010-AngRes.txt"))
