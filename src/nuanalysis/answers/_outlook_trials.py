"""Pseudo-experiments of a projection: injected signal, and tilted scrambles that turn TS into significance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis import trials
from nuanalysis.answers._question import pose
from nuanalysis.engine.ensembles import Problem
from nuanalysis.interpret import fluxes
from nuanalysis.library.samples import Samples, joined, load, sample_spec
from nuanalysis.schema import Floats
from nuanalysis.trials.streams import Stream, seed_of

QUANTILES = (0.16, 0.5, 0.84)
_MORE = 6  # scrambles over injections: the tail needs them


def projected_samples(names: tuple[str, ...], years: tuple[float, ...], seed: int) -> Samples:
    """Samples without signal at these livetimes, as one."""
    parts = [load(sample_spec(name=name, years=y, signal="none"), seed) for name, y in zip(names, years, strict=True)]
    return joined(parts) if len(parts) > 1 else parts[0]


@dataclass(frozen=True, slots=True, eq=False)
class Experiments:
    """Experiments with one flux: TS and fitted flux over the injected one, (trial,), and scrambles for their p-values.

    null_ts, log_weight (scramble,).
    """

    ts: Floats
    strength: Floats
    null_ts: Floats
    log_weight: Floats


def experiments(problem: Problem, flux: float, n: int) -> Experiments:
    """n experiments with a flux, E^2 dN/dE at 100 TeV in TeV cm^-2 s^-1, and scrambles that reach their TS."""
    prepared = problem.prepared
    mean = fluxes.prepared_events_per_flux(prepared) * flux
    rows = trials.injection_trials(prepared, seed_of(problem.seed, Stream.INJECTIONS), 0, n, (mean,))
    columns = dict(zip(trials.INJECTION_COLUMNS, rows.T, strict=True))
    reach = float(np.quantile(columns["ts"], QUANTILES[2])) + 1.0
    tilts = trials.choose_tilts(prepared, reach, problem.seed)
    scrambles = trials.scramble_trials((prepared,), seed_of(problem.seed, Stream.SCRAMBLES), 0, _MORE * n, tilts)
    null = dict(zip(trials.columns(1), scrambles.T, strict=True))
    return Experiments(columns["ts"], columns["n_signal"] / mean, null["ts"], null["log_weight"])


def problem_of(hypothesis: object, names: tuple[str, ...], years: tuple[float, ...], seed: int) -> Problem:
    """A hypothesis prepared on projected samples without signal."""
    return pose(hypothesis, projected_samples(names, years, seed))
