"""Tracks of ten years, IC40 to IC86-VII: the point-source release of 2021."""

from __future__ import annotations

from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest import find, irf_plenum
from nuanalysis.ingest import tracks_dr1 as release
from nuanalysis.library.samples._recipe import SampleRecipe
from nuanalysis.library.samples._track_seasons import BINNING, NSIDE, archive_seasons
from nuanalysis.model import Hypothesis

SEASONS = archive_seasons(release)


def _events(seed: int, signal: Hypothesis | None, n_signal: float) -> dict[str, xr.Dataset]:
    folder, names = find(release.RELEASE), (season.name for season in SEASONS)
    return {name: release.read_events(folder, season) for name, season in zip(names, release.SEASONS, strict=True)}


SAMPLE = SampleRecipe(
    name=release.RELEASE.name,
    title="IceCube tracks of 2008-2018, ten seasons, real",
    label="IceCube tracks, ten years",
    origin="real",
    releases=(release.RELEASE.name, irf_plenum.RELEASE.name),
    binning=BINNING,
    nside=NSIDE,
    seasons=SEASONS,
    holds=tuple(f"tracks {season}" for season in release.SEASONS),
    events=_events,
)
