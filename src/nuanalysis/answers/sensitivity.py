"""How weak a signal can be seen?  Sensitivity, discovery potentials, significance of the median experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from nuanalysis import trials
from nuanalysis.answers._ensembles import injections_reaching, reach_ts, scrambles
from nuanalysis.answers._flux import Strength, as_strength, background_median, strength_above
from nuanalysis.answers._posed import Tested, pose, provenance_of, tested
from nuanalysis.answers._question import Answer, Named, Question
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.errors import PrecisionError
from nuanalysis.interpret import fluxes
from nuanalysis.library.samples import Samples
from nuanalysis.plot import Drawn, Sidecar, median_significance, slug
from nuanalysis.records import Measured, Record, Unknown, setting, shown


class Sensitivity(Question):
    """Sensitivity, discovery potentials and the significance of the median experiment, as events and as flux."""

    example: ClassVar[Mapping[str, Any]] = {"hypothesis": "stack:snr", "trials": 300, "sigmas": (3.0,)}
    hypothesis: Named = setting(help="template:NAME or FILE, stack:CATALOGUE, or point:RA,DEC in degrees")
    trials: int = setting(3000, low=200, high=100_000_000, help="scrambles, and as many injections")
    sigmas: tuple[float, ...] = setting((5.0,), help="local significances of the discovery potentials, 1 to 7.5")
    index: float | None = setting(None, low=1, high=4, help="index of a power law, in place of the hypothesis' own")
    index_free: bool | None = setting(None, help="fit the index; without: for stacks and points alone")

    def model_post_init(self, context: Any) -> None:
        if not self.sigmas or not all(1.0 <= sigma <= 7.5 for sigma in self.sigmas):
            raise ValueError(f"sigmas are {', '.join(f'{s:g}' for s in self.sigmas) or 'none'}; expected 1 to 7.5 each")

    def ask(self, samples: Samples, bench: Bench) -> SensitivityAnswer:
        problem = pose(self.hypothesis, samples, index=self.index, index_free=self.index_free)
        return sensitivity(problem, samples, self, bench)


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

    name: ClassVar[str] = "sensitivity"
    rows: ClassVar[str] = "medians"
    tested: Tested = shown("hypothesis")
    sensitivity: Strength | Unknown = shown("sensitivity: 90 % above the median of background")
    potentials: tuple[Potential, ...] = shown("discovery potentials: half of the experiments reach sigma")
    medians: tuple[MedianExperiment, ...] = shown("significance of the median experiment")
    convention: str = shown("what the flux is")

    def headline(self) -> tuple[str, ...]:
        return (f"{self.tested.hypothesis}: sensitivity {self.sensitivity.words()}.",)

    def drawn(self) -> tuple[Drawn, ...]:
        known = [m for m in self.medians if isinstance(m.sigma, Measured)]
        if not known:
            return ()
        label, origin = f"{self.tested.label}, {self.provenance.sample}", self.provenance.origin
        values = [m.sigma.value for m in known if isinstance(m.sigma, Measured)]
        errors = [m.sigma.error for m in known if isinstance(m.sigma, Measured)]
        figure = median_significance(
            np.array([m.n_signal for m in known]),
            np.array(values),
            np.array([0.0 if isinstance(e, Unknown) else e for e in errors]),
            label=label,
            origin=origin,
        )
        words = f"{label} ({origin}): local significance of the median experiment against injected events"
        caption = f"{words}. {self.headline()[0]}"
        return (Drawn(figure, Sidecar(f"sensitivity-{slug(self.tested.hypothesis)}", words, caption, origin)),)


def potential_of(problem: Problem, background: xr.Dataset, injected: xr.Dataset, sigma: float) -> Strength | Unknown:
    """Strength and flux at which half of the experiments reach a local significance, or why there is none.

    Its error holds that of the threshold.
    """
    try:
        found = trials.discovery_potential(
            injected["n_injected"].values,
            injected["ts"].values,
            background["ts"].values,
            background["log_weight"].values,
            sigma=sigma,
        )
    except PrecisionError as error:
        return Unknown(reason=str(error))
    n_trials = injected.sizes["trial"]
    return as_strength(problem, found.n_signal, found.error, found.threshold_ts, n_trials, found.p_relative_error)


def five_sigma_of(problem: Problem, background: xr.Dataset, injected: xr.Dataset) -> Strength | Unknown:
    """The 5 sigma discovery potential with the threshold taken as known, or why there is none."""
    ts, log_weight = background["ts"].values, background["log_weight"].values
    deep = trials.weighted_quantile(ts, log_weight, trials.FIVE_SIGMA)
    found = strength_above(problem, injected, deep, 0.5)
    try:
        relative = trials.p_value(ts, log_weight, deep).p_error / trials.FIVE_SIGMA
    except PrecisionError:
        return Unknown(reason="too few effective trials at 5 sigma")
    return found if isinstance(found, Unknown) else found.model_copy(update={"threshold_p_error": relative})


def sensitivity_of(problem: Problem, background: xr.Dataset, injected: xr.Dataset) -> Strength | Unknown:
    """The strength that lifts 90 % of the experiments above the background median, or why there is none."""
    return strength_above(problem, injected, background_median(background), 0.9)


def _median(background: xr.Dataset, n_signal: float, ts: np.ndarray[Any, np.dtype[np.float64]]) -> MedianExperiment:
    try:
        found = trials.median_significance(ts, background["ts"].values, background["log_weight"].values)
    except PrecisionError as error:
        sigma: Measured | Unknown = Unknown(reason=str(error))
    else:
        sigma = Measured(value=found.sigma, error=found.error)
    return MedianExperiment(n_signal=n_signal, ts=float(np.median(ts)), sigma=sigma, n_trials=len(ts))


def medians_of(background: xr.Dataset, injected: xr.Dataset) -> tuple[MedianExperiment, ...]:
    """Local significance of the median experiment at each injected strength."""
    n_injected, ts = injected["n_injected"].values, injected["ts"].values
    return tuple(_median(background, float(n), ts[n_injected == n]) for n in np.unique(n_injected))


def sensitivity(problem: Problem, samples: Samples, asked: Sensitivity, bench: Bench) -> SensitivityAnswer:
    """The answer for a problem that is prepared."""
    most = max(asked.sigmas)
    background = scrambles(problem, asked.trials, reach_ts(most), bench)
    injected = injections_reaching(problem, background, asked.trials, most, bench)
    return SensitivityAnswer(
        provenance=provenance_of(samples, problem),
        tested=tested(problem),
        sensitivity=sensitivity_of(problem, background, injected),
        potentials=tuple(
            Potential(sigma=sigma, strength=potential_of(problem, background, injected, sigma))
            for sigma in asked.sigmas
        ),
        medians=medians_of(background, injected),
        convention=fluxes.convention(problem.hypothesis),
    )


QUESTION = Sensitivity
