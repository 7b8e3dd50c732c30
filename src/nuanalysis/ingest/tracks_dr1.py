"""The complete 10-year track release (IceTracks-DR1): ten seasons, 1,134,450 events, five sets of response tables."""

from __future__ import annotations

from pathlib import Path

from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest import _tracks
from nuanalysis.ingest._release import UpstreamFile, UpstreamRelease
from nuanalysis.ingest._seasons import Seasons

FLOOR_DEG = 0.2
ROWS = {
    "IC40": 36_900,
    "IC59": 107_011,
    "IC79": 93_133,
    "IC86_I": 136_244,
    "IC86_II": 112_858,
    "IC86_III": 122_541,
    "IC86_IV": 127_045,
    "IC86_V": 129_311,
    "IC86_VI": 123_657,
    "IC86_VII": 145_750,
}
UPTIME_ROWS = {"IC40": 1_420, "IC79": 1_049, "IC86_I": 1_081}  # counted by us; no others
SEASONS = tuple(ROWS)
RESPONSES = ("IC40", "IC59", "IC79", "IC86_I", "IC86_II")
SHA256 = {
    "events/IC40_exp.csv": "23d633925cb22cccb9530376b1de51ccd3fa2696fc49c1955bc8a9dafef035a0",
    "irfs/IC40_effectiveArea.csv": "fccb322a3f3ea453bf3bc06200cc84f5e457e5a5899c78c90e815a1e04bb33cd",
    "irfs/IC59_effectiveArea.csv": "36bcc1e3bd318092f746e9180e8d04d197e3724144cf48fffbe83e1eada9720e",
    "irfs/IC79_effectiveArea.csv": "7a02cb089d6c5fbd7ab3673e1fc39f0607c5d7462c8b2dea5d3ea57db95ed5a2",
    "irfs/IC86_I_effectiveArea.csv": "74913ca3d028bbcdf721f54351c6fab4d3b5f54d479f4d46d093710c639ba13d",
    "irfs/IC86_II_effectiveArea.csv": "43f3ed4b03fcba8a5cdd123c7d8bf957ad559582c0dced9da9834b2d0e031afa",
    "uptime/IC40_exp.csv": "370654c0f8148b9c04f2359f707f5bb73779dac910979ace51d84beaaa34c23d",
    "uptime/IC59_exp.csv": "4e42ddc9c85cfa56878fff01358f065c4906ddf6a641ce8ed46d5604bf969dc4",
    "uptime/IC79_exp.csv": "9c245890ad07bf15d162230565aee9f3f8ed5b0bc6e8b41fb13e237a8711058c",
    "uptime/IC86_I_exp.csv": "f6619fcc927e5d79a53d5f43e34c59de0b1773457386e0bcdb86cfed9b3f9f3f",
    "uptime/IC86_II_exp.csv": "d0c3805604cca12a17f0f5f73d37600b6171cf8aeb16dbf85d17ed0957a95fbd",
    "uptime/IC86_III_exp.csv": "d8d4e27e49a6eb9df0cf2cf47d898eace72582ca486c00f17fe56a4c8dd59213",
    "uptime/IC86_IV_exp.csv": "9d13354974bc50c8bd205ec571a5c571699856665610bbf1857645235959b1be",
    "uptime/IC86_V_exp.csv": "31859504b16a21d5453c60e5fa5c4c2c6465894c802c1944ee92495ad30b78a0",
    "uptime/IC86_VI_exp.csv": "1fbc114a00fbd8abe9be92e035fa0f62d28f808b614a47e0044ec3b9c957c805",
    "uptime/IC86_VII_exp.csv": "dc6f486f0e8f2f3a162b464944adf0d7abd1e92913e690f57d0034fbdb6b2630",
}
NOTES = (
    "Superseded by IceTracks-DR2 (doi:10.7910/DVN/MMIIZA). Its events must not be mixed with other releases of the "
    "same season. Also served as 20210126_PS-IC40-IC86_VII.zip by icecube.wisc.edu."
)


def _file(path: str, kind: str, rows: int | None = None, *, required: bool = True) -> UpstreamFile:
    return UpstreamFile(path, SHA256.get(path, ""), kind=kind, rows=rows, required=required)


RELEASE = UpstreamRelease(
    name="tracks-dr1",
    title="IceCube all-sky point-source tracks 2008-2018 (IceTracks-DR1), complete",
    folder="icecube_ps10yr_2021",
    doi="10.7910/DVN/VKL316",
    doi_confirmed=True,
    licence="CC0-1.0",
    citation="IceCube Collaboration 2021, IceCube Data for Neutrino Point-Source Searches: Years 2008-2018, "
    "arXiv:2101.09836",
    files=(
        *(_file(f"events/{season}_exp.csv", "events", rows) for season, rows in ROWS.items()),
        *(_file(f"uptime/{season}_exp.csv", "uptime", UPTIME_ROWS.get(season)) for season in SEASONS),
        *(_file(f"irfs/{season}_effectiveArea.csv", "effective area", 2_000) for season in RESPONSES),
        *(_file(f"irfs/{season}_smearing.csv", "smearing", required=False) for season in RESPONSES),
    ),
    archive_url="https://dataverse.harvard.edu/api/access/dataset/:persistentId/"
    "?persistentId=doi:10.7910/DVN/VKL316&format=original",
    notes="Row counts of seasons other than IC40 and IC79 are those of the paper, not counted by us; they sum to the "
    "published 1,134,450. Good runs of neighbouring seasons may overlap. One event of IC86_IV (2015) is known to be "
    "duplicated. " + NOTES,
)


_SEASONS = Seasons(RELEASE, {season: season if season in RESPONSES else "IC86_II" for season in SEASONS})
read_uptime, read_effective_area = _SEASONS.read_uptime, _SEASONS.read_effective_area
read_smearing, smearing_path = _SEASONS.read_smearing, _SEASONS.smearing_path


def read_livetime(folder: Path, season: str) -> float:
    """Return the livetime of one season in s."""
    return float(read_uptime(folder, season).attrs["livetime_s"])


def read_events(folder: Path, season: str) -> xr.Dataset:
    """Return the events of one season, schema EVENTS with azimuth and zenith, sorted by time.

    sample is 'tracks-dr1-<season>'.  Raises DataError, InputError for an unknown season.
    """
    table = _tracks.read_event_table(_SEASONS.events(folder, season), rows=None)
    livetime_s = read_livetime(folder, season)
    sample = f"tracks-dr1-{season.lower().replace('_', '-')}"
    return _tracks.events(table, release=RELEASE, sample=sample, livetime_s=livetime_s, floor_deg=FLOOR_DEG)
