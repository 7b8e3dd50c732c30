"""IC40 (2008-2009) of the 10-year track release: 36,900 events, their good runs and effective area.

Also keeps the good-run lists of IC79 and IC86-2011, which were published with this release only.
"""

from __future__ import annotations

from pathlib import Path

from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest import _tracks
from nuanalysis.ingest._find import find
from nuanalysis.ingest._release import UpstreamFile, UpstreamRelease
from nuanalysis.ingest._table import located

ROWS = 36_900
FLOOR_DEG = 0.2

RELEASE = UpstreamRelease(
    name="tracks-ic40",
    title="IceCube all-sky point-source tracks 2008-2018, season IC40",
    folder="icecube_ps10yr_2021",
    doi="10.7910/DVN/VKL316",
    doi_confirmed=True,
    licence="CC0-1.0",
    citation="IceCube Collaboration 2021, IceCube Data for Neutrino Point-Source Searches: Years 2008-2018, "
    "arXiv:2101.09836",
    files=(
        UpstreamFile(
            "events/IC40_exp.csv",
            "23d633925cb22cccb9530376b1de51ccd3fa2696fc49c1955bc8a9dafef035a0",
            kind="events",
            rows=ROWS,
        ),
        UpstreamFile(
            "uptime/IC40_exp.csv",
            "370654c0f8148b9c04f2359f707f5bb73779dac910979ace51d84beaaa34c23d",
            kind="uptime",
            rows=1_420,
        ),
        UpstreamFile(
            "uptime/IC79_exp.csv",
            "9c245890ad07bf15d162230565aee9f3f8ed5b0bc6e8b41fb13e237a8711058c",
            kind="uptime",
            rows=1_049,
        ),
        UpstreamFile(
            "uptime/IC86_I_exp.csv",
            "f6619fcc927e5d79a53d5f43e34c59de0b1773457386e0bcdb86cfed9b3f9f3f",
            kind="uptime",
            rows=1_081,
        ),
        UpstreamFile(
            "irfs/IC40_effectiveArea.csv",
            "fccb322a3f3ea453bf3bc06200cc84f5e457e5a5899c78c90e815a1e04bb33cd",
            kind="effective area",
            rows=2_000,
        ),
    ),
    archive_url="https://dataverse.harvard.edu/api/access/dataset/:persistentId/"
    "?persistentId=doi:10.7910/DVN/VKL316&format=original",
    notes="Superseded by IceTracks-DR2 (doi:10.7910/DVN/MMIIZA). Its events must not be mixed with other releases "
    "of the same season. Also served as 20210126_PS-IC40-IC86_VII.zip by icecube.wisc.edu.",
)


def read_events(folder: Path) -> xr.Dataset:
    """Return the 36,900 events, schema EVENTS with azimuth and zenith, sorted by time.  Raises DataError."""
    path = located(folder, RELEASE, "events/IC40_exp.csv")
    table = _tracks.read_event_table(path, rows=ROWS)
    livetime_s = float(read_uptime(folder).attrs["livetime_s"])
    return _tracks.events(table, release=RELEASE, sample="tracks-ic40", livetime_s=livetime_s, floor_deg=FLOOR_DEG)


def read_uptime(folder: Path, season: str = "IC40") -> xr.Dataset:
    """Return the good runs of IC40 (or IC79, IC86_I): start, stop (good_run,) MJD; attrs livetime_s, season."""
    path = located(folder, RELEASE, f"uptime/{season}_exp.csv")
    return _tracks.read_good_runs(path, season=season, reference=RELEASE.reference)


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
