"""The 14-year track release (IceTracks-DR2): fourteen seasons with run and event numbers, neighbours overlapping."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.ingest import _tracks
from nuanalysis.ingest._release import UpstreamFile, UpstreamRelease
from nuanalysis.ingest._table import Table, located, within

FLOOR_DEG = 0.2
NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI")
SEASONS = ("IC40", "IC59", "IC79", *(f"IC86_{numeral}" for numeral in NUMERALS))
RESPONSES = ("IC40", "IC59", "IC79", "IC86")
KEYS = ("run", "event", "subevent")

RELEASE = UpstreamRelease(
    name="tracks-dr2",
    title="IceCube all-sky point-source tracks 2008-2022 (IceTracks-DR2)",
    folder="icecube_ps14yr",
    doi="10.7910/DVN/MMIIZA",
    doi_confirmed=False,
    licence="CC0-1.0 (by third-party audits; landing page not checked)",
    citation="IceCube Collaboration, IceTracks-DR2, arXiv:2605.19040",
    files=(
        *(UpstreamFile(f"events/{season}_exp.csv", kind="events") for season in SEASONS),
        *(UpstreamFile(f"uptime/{season}_exp.csv", kind="uptime") for season in SEASONS),
        *(UpstreamFile(f"irfs/{season}_effectiveArea.csv", kind="effective area") for season in RESPONSES),
        *(UpstreamFile(f"irfs/{season}_smearing.csv", kind="smearing", required=False) for season in RESPONSES),
    ),
    archive_url="https://dataverse.harvard.edu/api/access/dataset/:persistentId/"
    "?persistentId=doi:10.7910/DVN/MMIIZA&format=original",
    notes="1,643,355 events in all. Seasons overlap by weeks: read them together with read_seasons. Use version 2 or "
    "later: version 1 had a wrong last energy bin. The smearing matrices are 3.65 GB, which Dataverse may leave out of "
    "its archive: fetch them from the landing page and import them.",
)


def response_season(season: str) -> str:
    """Return the season whose response tables serve this one: IC86 serves IC86_I ... IC86_XI."""
    if season not in SEASONS:
        raise InputError(f"unknown season '{season}' of the 14-year release.{did_you_mean(season, SEASONS)}")
    return season if season in RESPONSES else "IC86"


def _event_table(folder: Path, season: str) -> Table:
    response_season(season)
    path = located(folder, RELEASE, f"events/{season}_exp.csv")
    table = _tracks.read_event_table(path, rows=None, extra=KEYS)
    # Numbers above 2^53 would not survive the way through floating point.
    within(path, table, dict.fromkeys(KEYS, (0.0, 2.0**53)))
    return table


def _first_seen(tables: Sequence[Table]) -> list[NDArray[np.bool_]]:
    """Return for each table which rows carry a (run, event, subevent) that no earlier row of any table carries."""
    keys = np.concatenate([np.stack([table[key] for key in KEYS], axis=1) for table in tables])
    # np.unique gives the first place at which each key stands.
    keep = np.zeros(len(keys), dtype=bool)
    keep[np.unique(keys, axis=0, return_index=True)[1]] = True
    return np.split(keep, np.cumsum([len(table["run"]) for table in tables])[:-1])


def read_seasons(folder: Path, seasons: Sequence[str] = SEASONS) -> dict[str, xr.Dataset]:
    """Return {season: events} with every (run, event, subevent) kept once, in the earliest of the seasons asked for.

    Schema EVENTS with azimuth, zenith, run and event_id, each sorted by time; attrs['duplicates'] counts the rows that
    were left out.  livetime_s of a season leaves out time that an earlier one covers, so that the sum is the union.
    Raises DataError, InputError for an unknown season.
    """
    tables = [_event_table(folder, season) for season in seasons]
    uptimes = [read_uptime(folder, season) for season in seasons]
    datasets = {}
    for i, (season, table, keep) in enumerate(zip(seasons, tables, _first_seen(tables), strict=True)):
        unique = {name: values[keep] for name, values in table.items()}
        dropped = int(keep.size - np.count_nonzero(keep))
        note = f"{dropped} of {keep.size:,} rows repeat a (run, event, subevent) and are left out" if dropped else ""
        events = _tracks.events(
            unique,
            release=RELEASE,
            sample=f"tracks-dr2-{season.lower().replace('_', '-')}",
            livetime_s=_tracks.livetime_beyond(uptimes[i], uptimes[:i]),
            floor_deg=FLOOR_DEG,
            note=note,
        )
        datasets[season] = events.assign_attrs(duplicates=dropped)
    return datasets


def read_events(folder: Path, season: str) -> xr.Dataset:
    """Return one season by itself, repeats inside it left out: see `read_seasons` for several."""
    return read_seasons(folder, (season,))[season]


def read_uptime(folder: Path, season: str) -> xr.Dataset:
    """Return the good runs of one season: start, stop (good_run,) MJD; attrs livetime_s, season."""
    response_season(season)
    path = located(folder, RELEASE, f"uptime/{season}_exp.csv")
    return _tracks.read_good_runs(path, season=season, reference=RELEASE.reference)


def read_effective_area(folder: Path, season: str) -> xr.Dataset:
    """Return effective_area (sin_dec, log10_true) in cm^2 with its edges, of the tables that serve the season."""
    serving = response_season(season)
    path = located(folder, RELEASE, f"irfs/{serving}_effectiveArea.csv")
    return _tracks.read_declination_area(path, name=f"{RELEASE.name}-{serving}", reference=RELEASE.reference)


def read_smearing(folder: Path, season: str) -> xr.Dataset:
    """Return the filled cells of the smearing matrix that serves the season; see `_tracks.read_smearing`."""
    serving = response_season(season)
    path = located(folder, RELEASE, f"irfs/{serving}_smearing.csv")
    return _tracks.read_smearing(path, name=f"{RELEASE.name}-{serving}", reference=RELEASE.reference)
