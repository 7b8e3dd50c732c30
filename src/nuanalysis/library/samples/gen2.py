"""Cascades of IceCube-Gen2, a projection: the twin of 2023 with eight times the area above a threshold, all assumed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.library.samples import cascades_2023
from nuanalysis.library.samples._recipe import SampleRecipe, Season, Steps
from nuanalysis.model import Hypothesis
from nuanalysis.response import cascades_2023 as known
from nuanalysis.response import gen2
from nuanalysis.selection import NO_RUNS, Range, Runs
from nuanalysis.simulate import YEAR

OWN_YEARS = 10.0
LEAST_LOG10_ENERGY = float(np.log10(1e3 * gen2.THRESHOLDS_TEV[0]))


def _events(seed: int, signal: Hypothesis | None, n_signal: float, *, years: float) -> dict[str, xr.Dataset]:
    """Background and signal alike are those of so many times the exposure."""
    exposure = gen2.AREA * years * YEAR / known.LIVETIME_S
    drawn = cascades_2023.draw(seed, signal, n_signal, exposure)
    note = (
        f"SYNTHETIC PROJECTION, ASSUMED: IceCube-Gen2 for {years:g} years, drawn as {gen2.AREA:g} times the "
        "cascades of 2023 at every energy, background too; no such detector stands"
    )
    return {gen2.NAME: drawn.assign_attrs(sample=gen2.NAME, livetime_s=years * YEAR, note=note)}


def _steps(earlier: Runs) -> tuple[Steps, Runs]:
    return (Range("log10_energy", low=LEAST_LOG10_ENERGY),), NO_RUNS


def _longer(years: float) -> SampleRecipe:
    return replace(
        cascades_2023.SAMPLE,
        name=gen2.NAME,
        title="IceCube-Gen2 cascades, SYNTHETIC projection: 8 times the cascades of 2023 above 5 TeV, assumed",
        label=f"IceCube-Gen2 cascades, {years:g} years, PROJECTION",
        seasons=(Season(gen2.NAME, gen2.response, lambda: years * YEAR, _steps),),
        events=partial(_events, years=years),
        longer=_longer,
        least_log10_energy=LEAST_LOG10_ENERGY,
    )


SAMPLE = _longer(OWN_YEARS)
