"""Good runs and response tables of a track release of several seasons, some of which share their response tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.ingest import _tracks
from nuanalysis.ingest._release import UpstreamRelease
from nuanalysis.ingest._table import located, present


@dataclass(frozen=True, slots=True)
class Seasons:
    """The tables of a release.  serving : of each season the name of the response tables that serve it."""

    release: UpstreamRelease
    serving: Mapping[str, str]

    def tables(self, season: str) -> str:
        """The name of the response tables that serve a season.  Raises InputError for an unknown one."""
        if season not in self.serving:
            raise InputError(
                f"unknown season '{season}' of release '{self.release.name}'.{did_you_mean(season, self.serving)}"
            )
        return self.serving[season]

    def events(self, folder: Path, season: str) -> Path:
        """Where the events of a season lie."""
        self.tables(season)
        return located(folder, self.release, f"events/{season}_exp.csv")

    def read_uptime(self, folder: Path, season: str) -> xr.Dataset:
        """Return the good runs of one season: start, stop (good_run,) MJD; attrs livetime_s, season."""
        self.tables(season)
        path = located(folder, self.release, f"uptime/{season}_exp.csv")
        return _tracks.read_good_runs(path, season=season, reference=self.release.reference)

    def read_effective_area(self, folder: Path, season: str) -> xr.Dataset:
        """Return effective_area (sin_dec, log10_true) in cm^2 with its edges, of the tables that serve the season."""
        serving = self.tables(season)
        path = located(folder, self.release, f"irfs/{serving}_effectiveArea.csv")
        return _tracks.read_declination_area(
            path, name=f"{self.release.name}-{serving}", reference=self.release.reference
        )

    def read_smearing(self, folder: Path, season: str) -> xr.Dataset:
        """Return the filled cells of the smearing matrix that serves the season; see `_tracks.read_smearing`."""
        serving = self.tables(season)
        path = located(folder, self.release, f"irfs/{serving}_smearing.csv")
        return _tracks.read_smearing(path, name=f"{self.release.name}-{serving}", reference=self.release.reference)

    def smearing_path(self, folder: Path, season: str) -> Path | None:
        """Return where the smearing matrix that serves the season lies, or None: the release is complete without it."""
        wanted = f"irfs/{self.tables(season)}_smearing.csv"
        return present(folder, next(file for file in self.release.files if file.path == wanted))
