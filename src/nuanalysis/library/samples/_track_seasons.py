"""What all samples of tracks share: bins, checks of published seasons, and responses with what resolution is here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError, EnvironmentFault
from nuanalysis.ingest import UpstreamRelease, cache_root, find, irf_plenum
from nuanalysis.library.samples._recipe import SampleRecipe, Season, Steps
from nuanalysis.model import Binning, Hypothesis
from nuanalysis.response import Response
from nuanalysis.response import tracks as track_response
from nuanalysis.response.tracks import Resolution
from nuanalysis.selection import Runs
from nuanalysis.selection import tracks as select_tracks
from nuanalysis.store import ENDING, read_object, sha256_file, write_object

# Edges between the 0.1 steps in which the IC86-2011 energies are released.
BINNING = Binning(np.linspace(-1, 1, 21), np.arange(0.95, 8.0, 0.2), float(np.radians(2.0)), min_count=10)
NSIDE = 128
CACHE_FOLDER = "resolutions"
Reader = Callable[[Path], "xr.Dataset"]


class Archive(Protocol):
    """The reader of a release with many seasons: a module of ``ingest``."""

    RELEASE: UpstreamRelease
    SEASONS: tuple[str, ...]

    def read_uptime(self, folder: Path, season: str) -> xr.Dataset: ...
    def read_livetime(self, folder: Path, season: str) -> float: ...
    def read_effective_area(self, folder: Path, season: str) -> xr.Dataset: ...
    def read_smearing(self, folder: Path, season: str) -> xr.Dataset: ...
    def smearing_path(self, folder: Path, season: str) -> Path | None: ...


def track_season(
    name: str,
    label: str,
    release: UpstreamRelease,
    *,
    area: Reader,
    uptime: Reader,
    livetime: Callable[[Path], float] | None = None,
    resolution: Callable[[Path], Resolution] | None = None,
    resolution_d: float = 0.0,
) -> Season:
    """A published season of tracks; ``area`` and ``uptime`` read the folder of the release.

    livetime : by default that of the uptime.  resolution : by default the stand-in.
    resolution_d : how coarsely its times are released, d.
    """

    def response() -> Response:
        folder = find(release)
        found = stand_in() if resolution is None else resolution(folder)
        return track_response.response(name, label, release.reference, area(folder), found)

    def seconds() -> float:
        folder = find(release)
        return float(uptime(folder).attrs["livetime_s"]) if livetime is None else livetime(folder)

    def steps(earlier: Runs) -> tuple[Steps, Runs]:
        found = uptime(find(release))
        runs = Runs(found["start"].values, found["stop"].values)
        return select_tracks.checks(runs, earlier=earlier, resolution_d=resolution_d), runs

    return Season(name, response, seconds, steps)


def archive_sample(
    archive: Archive, *, title: str, label: str, read: Callable[[Path], Iterable[xr.Dataset]]
) -> SampleRecipe:
    """Every season of a release as one sample, each with its own smearing matrix where that is here.

    read : the events of the seasons, in their order, from the folder of the release.
    """
    name = archive.RELEASE.name
    seasons = tuple(
        track_season(
            f"{name}-{season.lower().replace('_', '-')}",
            f"{season.replace('_', '-')} tracks",
            archive.RELEASE,
            area=partial(archive.read_effective_area, season=season),
            uptime=partial(archive.read_uptime, season=season),
            livetime=partial(archive.read_livetime, season=season),
            resolution=partial(_resolution, archive, season),
        )
        for season in archive.SEASONS
    )

    def events(seed: int, signal: Hypothesis | None, n_signal: float) -> dict[str, xr.Dataset]:
        found = read(find(archive.RELEASE))
        return {season.name: dataset for season, dataset in zip(seasons, found, strict=True)}

    return SampleRecipe(
        name=name,
        title=title,
        label=label,
        origin="real",
        releases=(name, irf_plenum.RELEASE.name),
        binning=BINNING,
        nside=NSIDE,
        seasons=seasons,
        holds=tuple(f"tracks {season}" for season in archive.SEASONS),
        events=events,
    )


def _resolution(archive: Archive, season: str, folder: Path) -> Resolution:
    path = archive.smearing_path(folder, season)
    if path is None:
        return stand_in()
    return resolution_of(path, lambda: track_response.from_smearing(archive.read_smearing(folder, season)))


def stand_in() -> Resolution:
    """The resolution that serves where no smearing matrix is here."""
    folder = find(irf_plenum.RELEASE)
    tables = irf_plenum.read_tables(folder)
    found = resolution_of(folder / irf_plenum.PATH, lambda: track_response.stand_in(tables))
    # In memory as the tables lie, by reconstructed energy: read from the cache or made, sums have the same last bit.
    migration = np.ascontiguousarray(found.migration.swapaxes(1, 2)).swapaxes(1, 2)
    return replace(found, migration=migration, notes=(track_response.STAND_IN,))


def resolution_of(path: Path, make: Callable[[], Resolution]) -> Resolution:
    """The resolution of a smearing matrix, kept in the cache under its checksum and that of the code that makes it.

    path : of the matrix, up to 1 GB of text that takes minutes to read.    make : reads it, and works it out.
    """
    makers = track_response.from_smearing, track_response.stand_in, track_response.fit_mixture
    content = [sha256_file(path), *(sha256_file(Path(one.__code__.co_filename)) for one in makers)]
    kept = cache_root() / CACHE_FOLDER / f"{hashlib.sha256(' '.join(content).encode()).hexdigest()}{ENDING}"
    if kept.is_file():
        with suppress(DataError):
            if isinstance(found := read_object(kept), Resolution):
                return found
    made = make()
    with suppress(EnvironmentFault):  # a cache that cannot be written costs minutes, not the answer
        write_object(kept, made)
    return made
