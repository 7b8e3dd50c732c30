"""The 14-year track release (IceTracks-DR2): fourteen seasons with run and event numbers, neighbours overlapping."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest import _tracks
from nuanalysis.ingest._release import UpstreamFile, UpstreamRelease
from nuanalysis.ingest._table import Table, within
from nuanalysis.schema import Bools

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
    version="3.1",
    archive_url="https://dataverse.harvard.edu/api/access/dataset/:persistentId/"
    "?persistentId=doi:10.7910/DVN/MMIIZA&format=original",
    notes="1,643,355 events in all. Seasons overlap by weeks: read them together with read_seasons. Use version 2 or "
    "later: version 1 had a wrong last energy bin. The smearing matrices are 3.65 GB, which Dataverse may leave out of "
    "its archive: fetch them from the landing page and import them.",
)


_SEASONS = _tracks.Seasons(RELEASE, {season: season if season in RESPONSES else "IC86" for season in SEASONS})
read_uptime, read_effective_area = _SEASONS.read_uptime, _SEASONS.read_effective_area
read_smearing, smearing_path = _SEASONS.read_smearing, _SEASONS.smearing_path


def read_livetime(folder: Path, season: str) -> float:
    """Return the livetime of one season in s, less what earlier seasons cover."""
    uptimes = [read_uptime(folder, name) for name in SEASONS[: SEASONS.index(season) + 1]]
    return _tracks.livetime_beyond(uptimes[-1], uptimes[:-1])


def _first_seen(tables: Sequence[Table]) -> list[Bools]:
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
    tables = []
    for path in (_SEASONS.events(folder, season) for season in seasons):
        tables.append(_tracks.read_event_table(path, rows=None, extra=KEYS))
        # Numbers above 2^53 would not survive the way through floating point.
        within(path, tables[-1], dict.fromkeys(KEYS, (0.0, 2.0**53)))
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
