"""The open detector: weighted events of the last level of a parametric simulation, and the response made from them.

No release of others: whoever runs the simulation makes it, and it is read as a release is.
"""

from __future__ import annotations

from pathlib import Path

from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest._release import UpstreamFile, UpstreamRelease
from nuanalysis.ingest._table import located
from nuanalysis.schema import RESPONSE, WEIGHTED, check
from nuanalysis.store import read_zip

EVENTS_FILE, RESPONSE_FILE = "weighted-events.zip", "response.zip"

RELEASE = UpstreamRelease(
    name="open-detector",
    title="Open detector, SYNTHETIC: parametric simulation of a cascade selection; no IceCube simulation or data",
    folder="open_detector",
    licence="CC-BY-4.0, as all products of nuanalysis",
    citation="nuanalysis, open detector: parametric simulation, absolute rates normalised to published ones",
    files=(UpstreamFile(EVENTS_FILE, kind="events"), UpstreamFile(RESPONSE_FILE)),
    notes="Made here, not fetched: 'nuanalysis detector select' puts it into the folder open_detector of the cache.",
)


def read_weighted(folder: Path) -> xr.Dataset:
    """The weighted events, schema WEIGHTED.  Raises DataError where they are missing, damaged or against it."""
    path = located(folder, RELEASE, EVENTS_FILE)
    return check(read_zip(path), WEIGHTED, source=str(path))


def read_response(folder: Path) -> xr.Dataset:
    """The response, schema RESPONSE.  Raises DataError where it is missing, damaged or against it."""
    path = located(folder, RELEASE, RESPONSE_FILE)
    return check(read_zip(path), RESPONSE, source=str(path))
