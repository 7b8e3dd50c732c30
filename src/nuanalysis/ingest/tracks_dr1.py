"""The complete 10-year track release (IceTracks-DR1): ten seasons, 1,134,450 events, five sets of response tables."""

from __future__ import annotations

from pathlib import Path

from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest import _tracks
from nuanalysis.ingest._release import UpstreamRelease, files_of

FLOOR_DEG = 0.2
SEASONS = ("IC40", "IC59", "IC79", *(f"IC86_{numeral}" for numeral in ("I", "II", "III", "IV", "V", "VI", "VII")))
RESPONSES = ("IC40", "IC59", "IC79", "IC86_I", "IC86_II")
NOTES = (
    "Superseded by IceTracks-DR2 (doi:10.7910/DVN/MMIIZA). Its events must not be mixed with other releases of the "
    "same season. Also served as 20210126_PS-IC40-IC86_VII.zip by icecube.wisc.edu."
)


RELEASE = UpstreamRelease(
    name="tracks-dr1",
    title="IceCube all-sky point-source tracks 2008-2018 (IceTracks-DR1), complete",
    folder="icecube_ps10yr_2021",
    doi="10.7910/DVN/VKL316",
    doi_confirmed=True,
    licence="CC0-1.0",
    citation="IceCube Collaboration 2021, IceCube Data for Neutrino Point-Source Searches: Years 2008-2018, "
    "arXiv:2101.09836",
    files=files_of("tracks_dr1"),
    archive_url="https://dataverse.harvard.edu/api/access/dataset/:persistentId/"
    "?persistentId=doi:10.7910/DVN/VKL316&format=original",
    notes="Row counts of seasons other than IC40 and IC79 are those of the paper, not counted by us; they sum to the "
    "published 1,134,450. Good runs of neighbouring seasons may overlap. One event of IC86_IV (2015) is known to be "
    "duplicated. " + NOTES,
    calibrated="calibrated on simulated events to cover for a power law E^-2 (readme of the release); for another "
    "spectrum, such as E^-2.7 of the Galactic plane, their coverage is not stated",
)


_SEASONS = _tracks.Seasons(RELEASE, {season: season if season in RESPONSES else "IC86_II" for season in SEASONS})
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
