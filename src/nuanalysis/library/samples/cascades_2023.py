"""The cascades of 2023: a synthetic twin, drawn from the published response and rate tables."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from nuanalysis import simulate
from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest import cascades_2023 as release
from nuanalysis.library.samples._recipe import SampleRecipe, Season, Steps
from nuanalysis.model import OWN_SPECTRUM, Binning, Hypothesis
from nuanalysis.response import cascades_2023
from nuanalysis.selection import NO_RUNS, Runs
from nuanalysis.selection.cascades_2023 import CUTS
from nuanalysis.sky.records import PowerLaw

BINNING = Binning(np.linspace(-1, 1, 20), np.linspace(np.log10(500.0), 8.001, 20), float(np.radians(5.0)), min_count=3)


def shape_of(signal: Hypothesis) -> str:
    """Its spectrum, in words."""
    return "its own spectrum" if signal.index == OWN_SPECTRUM else f"E^-{signal.index:g}"


def label_of(signal: Hypothesis) -> str:
    """A signal with its spectrum, in words."""
    return f"{signal.name} ({signal.target.label}), {shape_of(signal)}"


def draw(seed: int, signal: Hypothesis | None, n_signal: float, exposure: float) -> xr.Dataset:
    """Events of so many times the exposure, signal too; n_signal : expected in that of the sample."""
    if signal is None:
        return simulate.cascades(seed, None, 0.0, spectrum=PowerLaw(2.7), exposure=exposure)
    return simulate.cascades(
        seed, signal.target, exposure * n_signal, spectrum=signal.spectrum, label=label_of(signal), exposure=exposure
    )


def _events(seed: int, signal: Hypothesis | None, n_signal: float, *, exposure: float = 1.0) -> dict[str, xr.Dataset]:
    return {cascades_2023.NAME: draw(seed, signal, n_signal, exposure)}


def _steps(earlier: Runs) -> tuple[Steps, Runs]:
    return CUTS, NO_RUNS


def _longer(years: float) -> SampleRecipe:
    exposure = years * simulate.YEAR / cascades_2023.LIVETIME_S
    season = replace(SAMPLE.seasons[0], livetime=lambda: exposure * cascades_2023.LIVETIME_S)
    label = f"{SAMPLE.label}, PROJECTION to {years:g} years"
    return replace(SAMPLE, label=label, seasons=(season,), events=partial(_events, exposure=exposure))


SAMPLE = SampleRecipe(
    name=cascades_2023.NAME,
    title="IceCube cascades 2011-2021, SYNTHETIC twin of the sample of 2023",
    label="cascades 2023, synthetic twin",
    origin="synthetic",
    releases=(release.RELEASE.name,),
    binning=BINNING,
    nside=64,
    seasons=(Season(cascades_2023.NAME, cascades_2023.response, lambda: cascades_2023.LIVETIME_S, _steps),),
    events=_events,
    systematics=cascades_2023.SYSTEMATICS,
    longer=_longer,
)
