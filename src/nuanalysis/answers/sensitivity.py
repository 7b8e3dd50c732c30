"""How weak a signal can be seen?  Sensitivity, discovery potentials, significance of the median experiment."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import numpy as np

from nuanalysis import trials
from nuanalysis.answers._ensembles import injections_reaching, or_reason, quantile_of, reach_ts, scrambles
from nuanalysis.answers._flux import Strength, as_strength, potential_for, sensitivity_of, strength_above
from nuanalysis.answers._question import Answer, OnHypothesis, Tested, provenance_of, tested
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.interpret import fluxes
from nuanalysis.library.samples import Samples
from nuanalysis.plot import Drawn, Sidecar, median_significance, slug
from nuanalysis.records import Measured, Record, Unknown, setting, shown


class Sensitivity(OnHypothesis):
    """Sensitivity, discovery potentials and the significance of the median experiment, as events and as flux."""

    example: ClassVar = {"hypothesis": "stack:snr", "trials": 300, "sigmas": (3.0,)}
    trials: int = setting(3000, low=200, high=100_000_000, help="scrambles, and as many injections")
    sigmas: tuple[float, ...] = setting((5.0,), help="local significances of the discovery potentials, 1 to 7.5")

    def model_post_init(self, context: object) -> None:
        if not self.sigmas or not all(1.0 <= sigma <= 7.5 for sigma in self.sigmas):
            raise ValueError(f"sigmas are {', '.join(f'{s:g}' for s in self.sigmas) or 'none'}; expected 1 to 7.5 each")

    def ask(self, samples: Samples, bench: Bench) -> SensitivityAnswer:
        problem, most = self.posed(samples), max(self.sigmas)
        background = scrambles(problem, self.trials, reach_ts(most), bench)
        injected = injections_reaching(problem, background, self.trials, most, bench)
        potential = partial(potential_of, problem, background, injected)
        return SensitivityAnswer(
            provenance=provenance_of(samples, problem),
            tested=tested(problem),
            sensitivity=sensitivity_of(problem, background, injected),
            potentials=tuple(Potential(sigma=sigma, strength=potential(sigma)) for sigma in self.sigmas),
            medians=medians_of(background, injected),
            convention=fluxes.convention(problem.hypothesis),
        )


class Potential(Record):
    """The strength at which half of the experiments reach a local significance."""

    sigma: float = shown("local significance", form="g")
    strength: Strength | Unknown = shown("strength")


class MedianExperiment(Record):
    """The median of experiments with one strength."""

    n_signal: float = shown("mean injected events", form=".1f", short="injected")
    ts: float = shown("median TS", form=".2f", short="TS")
    sigma: Measured | Unknown = shown("its local significance")
    n_trials: int = shown("experiments", short="trials")


class SensitivityAnswer(Answer):
    """What a search can see."""

    rows: ClassVar = "medians"
    tested: Tested = shown("hypothesis")
    sensitivity: Strength | Unknown = shown("sensitivity: 90 % above the median of background")
    potentials: tuple[Potential, ...] = shown("discovery potentials: half of the experiments reach sigma")
    medians: tuple[MedianExperiment, ...] = shown("significance of the median experiment")
    convention: str = shown("what the flux is")

    def headline(self) -> tuple[str, ...]:
        return (f"{self.tested.hypothesis}: sensitivity {self.sensitivity.words()}.",)

    def drawn(self) -> tuple[Drawn, ...]:
        known = [
            (m.n_signal, m.sigma.value, 0.0 if isinstance(m.sigma.error, Unknown) else m.sigma.error)
            for m in self.medians
            if isinstance(m.sigma, Measured)
        ]
        if not known:
            return ()
        label, origin = f"{self.tested.label}, {self.provenance.sample}", self.provenance.origin
        figure = median_significance(*np.array(known).T, label=label, origin=origin)
        words = f"{label} ({origin}): local significance of the median experiment against injected events"
        caption = f"{words}. {self.headline()[0]}"
        return (Drawn(figure, Sidecar(f"sensitivity-{slug(self.tested.hypothesis)}", words, caption, origin)),)


def potential_of(problem: Problem, background: xr.Dataset, injected: xr.Dataset, sigma: float) -> Strength | Unknown:
    """Strength and flux at which half of the experiments reach a local significance, or why there is none.

    Its error holds that of the threshold.
    """
    found = or_reason(potential_for, background, injected, sigma)
    if isinstance(found, Unknown):
        return found
    return as_strength(problem, found, found.threshold_ts, injected, found.p_relative_error)


def five_sigma_of(problem: Problem, background: xr.Dataset, injected: xr.Dataset) -> Strength | Unknown:
    """The 5 sigma discovery potential with the threshold taken as known, or why there is none."""
    ts, log_weight = background["ts"].values, background["log_weight"].values
    deep = quantile_of(background, trials.FIVE_SIGMA)
    found, of_threshold = strength_above(problem, injected, deep, 0.5), or_reason(trials.p_value, ts, log_weight, deep)
    if isinstance(of_threshold, Unknown):
        return Unknown(reason="too few effective trials at 5 sigma")
    relative = of_threshold.p_error / trials.FIVE_SIGMA
    return found if isinstance(found, Unknown) else found.model_copy(update={"threshold_p_error": relative})


def medians_of(background: xr.Dataset, injected: xr.Dataset) -> tuple[MedianExperiment, ...]:
    """Local significance of the median experiment at each injected strength."""
    n_injected, null = injected["n_injected"].values, (background["ts"].values, background["log_weight"].values)
    out = []
    for n in np.unique(n_injected):
        ts = injected["ts"].values[n_injected == n]
        found = or_reason(trials.median_significance, ts, *null)
        sigma = found if isinstance(found, Unknown) else Measured(value=found.sigma, error=found.error)
        out.append(MedianExperiment(n_signal=float(n), ts=float(np.median(ts)), sigma=sigma, n_trials=len(ts)))
    return tuple(out)
