"""Tracks of fourteen years, IC40 to IC86-XI: IceTracks-DR2, every event kept once."""

from __future__ import annotations

from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest import find, irf_plenum
from nuanalysis.ingest import tracks_dr2 as release
from nuanalysis.library.samples._recipe import SampleRecipe
from nuanalysis.library.samples._track_seasons import BINNING, NSIDE, archive_seasons
from nuanalysis.model import Hypothesis

SEASONS = archive_seasons(release)


def _events(seed: int, signal: Hypothesis | None, n_signal: float) -> dict[str, xr.Dataset]:
    found = release.read_seasons(find(release.RELEASE))
    return {season.name: events for season, events in zip(SEASONS, found.values(), strict=True)}


SAMPLE = SampleRecipe(
    name=release.RELEASE.name,
    title="IceCube tracks of 2008-2022, fourteen seasons, real",
    label="IceCube tracks, fourteen years",
    origin="real",
    releases=(release.RELEASE.name, irf_plenum.RELEASE.name),
    binning=BINNING,
    nside=NSIDE,
    seasons=SEASONS,
    holds=tuple(f"tracks {season}" for season in release.SEASONS),
    events=_events,
)
