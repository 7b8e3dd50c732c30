"""Tracks of three single-season releases, all events public: IC40, IC79, IC86-2011."""

from __future__ import annotations

from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest import find, irf_plenum, tracks_ic40, tracks_ic79, tracks_ic86_2011
from nuanalysis.library.samples._recipe import SampleRecipe
from nuanalysis.library.samples._track_seasons import BINNING, NSIDE, track_season
from nuanalysis.model import Hypothesis

_READERS = (tracks_ic40, tracks_ic79, tracks_ic86_2011)
_LABELS = ("IC40 tracks", "IC79 tracks", "IC86-2011 tracks")
_RESOLUTION_D = (0.0, 0.0, 1.0)  # the last season has whole days


def _events(seed: int, signal: Hypothesis | None, n_signal: float) -> dict[str, xr.Dataset]:
    return {reader.RELEASE.name: reader.read_events(find(reader.RELEASE)) for reader in _READERS}


SAMPLE = SampleRecipe(
    name="tracks",
    title="IceCube tracks of 2008/09, 2010/11 and 2011/12, real",
    label="IceCube tracks, three seasons",
    origin="real",
    releases=(*(reader.RELEASE.name for reader in _READERS), irf_plenum.RELEASE.name),
    binning=BINNING,
    nside=NSIDE,
    seasons=tuple(
        track_season(
            reader.RELEASE.name,
            label,
            reader.RELEASE,
            area=reader.read_effective_area,
            uptime=reader.read_uptime,
            resolution_d=days,
        )
        for reader, label, days in zip(_READERS, _LABELS, _RESOLUTION_D, strict=True)
    ),
    holds=("tracks IC40", "tracks IC79", "tracks IC86_I"),
    events=_events,
)
