"""KM3NeT/ARCA with 230 lines, tracks and showers: projections, drawn from the released tables."""

from __future__ import annotations

from functools import cache, partial

import numpy as np

from nuanalysis import simulate
from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest import arca230 as release
from nuanalysis.ingest import find
from nuanalysis.library.samples._recipe import SampleRecipe, Season, Steps
from nuanalysis.library.samples.cascades_2023 import label_of
from nuanalysis.model import Binning, Hypothesis, expected_rate
from nuanalysis.response import BackgroundRate, Response, arca230, cascades_2023
from nuanalysis.selection import NO_RUNS, Runs
from nuanalysis.simulate import YEAR

OWN_YEARS = 1.0
# Edges of the released tables: a bin of ours that divides one of theirs would see steps that are none.
_ENERGIES = np.round(np.arange(1.0, 8.01, 0.35), 2)
BINNINGS = {
    "tracks": Binning(np.linspace(-1.0, 1.0, 41), _ENERGIES, float(np.radians(2.0)), min_count=10),
    "showers": Binning(np.linspace(-1.0, 1.0, 21), _ENERGIES[7:], float(np.radians(5.0)), min_count=3),
}
NSIDES = {"tracks": 128, "showers": 64}


@cache
def _tables(folder: str, channel: str) -> tuple[Response, BackgroundRate]:
    tables = release.read_tables(find(release.RELEASE), channel)
    return arca230.response(tables, channel), arca230.background_rate(tables)


def tables(channel: str) -> tuple[Response, BackgroundRate]:
    """Response and background of 'tracks' or 'showers'.  Raises DataError where the release is not here."""
    return _tables(str(find(release.RELEASE)), channel)


def signal_events(signal: Hypothesis, response: Response, livetime_s: float, n_signal: float) -> float:
    """Expected events of the flux that has ``n_signal`` in the cascades of 2023."""
    theirs = expected_rate(signal, cascades_2023.response(), signal.spectrum) * cascades_2023.LIVETIME_S
    return n_signal * expected_rate(signal, response, signal.spectrum) * livetime_s / theirs


def _events(
    seed: int, signal: Hypothesis | None, n_signal: float, *, channel: str, years: float
) -> dict[str, xr.Dataset]:
    response, background = tables(channel)
    if signal is None:
        return {response.name: simulate.projected(response, background, seed, years * YEAR)}
    source = simulate.emission(signal.target, response, signal.spectrum)
    n = signal_events(signal, response, years * YEAR, n_signal)
    drawn = simulate.projected(response, background, seed, years * YEAR, source, n, label_of(signal))
    return {response.name: drawn}


def _steps(earlier: Runs) -> tuple[Steps, Runs]:
    return (), NO_RUNS


def _sample(channel: str, years: float) -> SampleRecipe:
    name = f"arca230-{channel}"
    return SampleRecipe(
        name=name,
        title=f"KM3NeT/ARCA230 {channel}, SYNTHETIC projection from the released response",
        label=f"KM3NeT/ARCA230 {channel}, {years:g} yr, PROJECTION",
        origin="synthetic",
        releases=(release.RELEASE.name,),
        binning=BINNINGS[channel],
        nside=NSIDES[channel],
        seasons=(Season(name, lambda: tables(channel)[0], lambda: years * YEAR, _steps),),
        events=partial(_events, channel=channel, years=years),
        from_files=True,
        longer=partial(_sample, channel),
    )


SAMPLES = tuple(_sample(channel, OWN_YEARS) for channel in release.CHANNELS)
