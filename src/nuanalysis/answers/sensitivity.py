"""How weak a signal can be seen?  Sensitivity, discovery potentials, significance of the median experiment."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from nuanalysis import trials
from nuanalysis.answers import _ensembles
from nuanalysis.answers._ensembles import or_reason
from nuanalysis.answers._flux import Strength, potential_of, sensitivity_of
from nuanalysis.answers._question import Answer, OnHypothesis, Tested, provenance_of, tested
from nuanalysis.answers._twins import Spread, Twins, spread_of
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.interpret import fluxes
from nuanalysis.library.samples import Samples, refuse_twins, twin
from nuanalysis.plot import Drawn, Sidecar, median_significance, slug
from nuanalysis.records import Measured, Record, Unknown, setting, shown


class Sensitivity(OnHypothesis):
    """Sensitivity, discovery potentials and the significance of the median experiment, as events and as flux."""

    example: ClassVar = {"hypothesis": "stack:snr", "trials": 300, "sigmas": (3.0,), "twins": 2}
    trials: int = setting(3000, low=200, high=100_000_000, help="scrambles, as many plain ones, and as many injections")
    sigmas: tuple[float, ...] = setting((5.0,), help="local significances of the discovery potentials, 1 to 7.5")
    twins: Twins = 0

    def model_post_init(self, context: object) -> None:
        if not self.sigmas or not all(1.0 <= sigma <= 7.5 for sigma in self.sigmas):
            raise ValueError(f"sigmas are {', '.join(f'{s:g}' for s in self.sigmas) or 'none'}; expected 1 to 7.5 each")

    def ask(self, samples: Samples, bench: Bench) -> SensitivityAnswer:
        """The answer.  Raises InputError for twins of a sample that cannot be drawn anew."""
        if self.twins:
            refuse_twins(samples)
        problem = self.posed(samples)
        here = self._reach(problem, samples, (), bench)
        strengths, each = tuple(one.n_signal for one in here.medians), list[Reach]()
        for k in range(self.twins):
            bench.progress(f"twin {k + 1} of {self.twins}")
            other = twin(samples, k)
            each.append(self._reach(self.posed(other), other, strengths, bench))
        return SensitivityAnswer(
            provenance=provenance_of(samples, problem),
            tested=tested(problem),
            sensitivity=here.sensitivity,
            potentials=here.potentials,
            medians=here.medians,
            twins=over_twins(tuple(each)) if each else None,
            convention=fluxes.convention(problem.hypothesis),
        )

    def _reach(self, problem: Problem, samples: Samples, strengths: tuple[float, ...], bench: Bench) -> Reach:
        """What a search can see on one sky; strengths : to inject, without: as far as it takes."""
        most = max(self.sigmas)
        background = _ensembles.scrambles(problem, self.trials, _ensembles.reach_ts(most), bench)
        plain = _ensembles.plain_scrambles(problem, self.trials, bench)
        if strengths:
            injected = _ensembles.injections_at(problem, self.trials, strengths, bench)
        else:
            injected = _ensembles.injections_reaching(problem, background, self.trials, most, bench)
        return Reach(
            seed=samples.seed,
            n_events=samples.n_events,
            sensitivity=sensitivity_of(problem, _ensembles.median_of(plain), injected),
            potentials=tuple(
                Potential(sigma=sigma, strength=potential_of(problem, background, injected, sigma))
                for sigma in self.sigmas
            ),
            medians=medians_of(injected, plain, background),
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


class Reach(Record):
    """What a search can see on the sky of one twin."""

    seed: int = shown("seed of its events and trials", form="d")
    n_events: int = shown("events")
    sensitivity: Strength | Unknown = shown("sensitivity")
    potentials: tuple[Potential, ...] = shown("discovery potentials", hidden=True)
    medians: tuple[MedianExperiment, ...] = shown("significance of the median experiment", hidden=True)


class StrengthOverTwins(Record):
    """A strength over twins, as mean events, as flux and in units of the model."""

    n_signal: Spread = shown("mean signal events")
    flux: Spread = shown("flux")
    in_models: Spread | None = shown("in units of the model", None)

    def words(self, form: str = "") -> str:
        return f"flux {self.flux.words()}"

    def cell(self, form: str = "") -> str:
        return self.flux.cell()


class PotentialOverTwins(Record):
    """A discovery potential over twins."""

    sigma: float = shown("local significance", form="g")
    strength: StrengthOverTwins | Unknown = shown("strength")


class MedianOverTwins(Record):
    """The significance of the median experiment with one strength, over twins."""

    n_signal: float = shown("mean injected events", form=".1f", short="injected")
    sigma: Spread | Unknown = shown("its local significance")


class OverTwins(Record):
    """Mean, rms and error of the mean over synthetic twins: a published value holds one sky, these hold many."""

    sensitivity: StrengthOverTwins | Unknown = shown("sensitivity over twins")
    potentials: tuple[PotentialOverTwins, ...] = shown("discovery potentials over twins")
    medians: tuple[MedianOverTwins, ...] = shown("significance of the median experiment over twins")
    each: tuple[Reach, ...] = shown("each twin")


class SensitivityAnswer(Answer):
    """What a search can see."""

    rows: ClassVar = "medians"
    tested: Tested = shown("hypothesis")
    sensitivity: Strength | Unknown = shown("sensitivity: 90 % above the median of background")
    potentials: tuple[Potential, ...] = shown("discovery potentials: half of the experiments reach sigma")
    medians: tuple[MedianExperiment, ...] = shown("significance of the median experiment")
    twins: OverTwins | None = shown("over synthetic twins", None)
    convention: str = shown("what the flux is")

    def headline(self) -> tuple[str, ...]:
        own = f"{self.tested.hypothesis}: sensitivity {self.sensitivity.words()}."
        return (own,) if self.twins is None else (own, f"Over twins: {self.twins.sensitivity.words()}.")

    def drawn(self) -> tuple[Drawn, ...]:
        known = [
            (m.n_signal, m.sigma.value, 0.0 if isinstance(m.sigma.error, Unknown) else m.sigma.error)
            for m in self.medians
            if isinstance(m.sigma, Measured)
        ]
        if not known:
            return ()
        over = () if self.twins is None else self.twins.medians
        twins = [(m.n_signal, m.sigma.mean.value, m.sigma.rms) for m in over if isinstance(m.sigma, Spread)]
        label, origin = f"{self.tested.label}, {self.provenance.sample}", self.provenance.origin
        figure = median_significance(*np.array(known).T, twins=np.array(twins), label=label, origin=origin)
        words = f"{label} ({origin}): local significance of the median experiment against injected events"
        band = "" if self.twins is None else f" Band: mean and rms of {len(self.twins.each)} twins."
        caption = f"{words}; bars are statistical errors.{band} {' '.join(self.headline())}"
        return (Drawn(figure, Sidecar(f"sensitivity-{slug(self.tested.hypothesis)}", words, caption, origin)),)


def medians_of(injected: xr.Dataset, *backgrounds: xr.Dataset) -> tuple[MedianExperiment, ...]:
    """Local significance of the median experiment at each injected strength.

    backgrounds : plain scrambles for small TS, tilted ones for large; at each strength those that know p best.
    """
    n_injected, out = injected["n_injected"].values, []
    nulls = [(one["ts"].values, one["log_weight"].values) for one in backgrounds]
    for n in np.unique(n_injected):
        ts = injected["ts"].values[n_injected == n]
        found = or_reason(trials.median_significance, ts, *nulls)
        sigma = found if isinstance(found, Unknown) else Measured(value=found.sigma, error=found.error)
        out.append(MedianExperiment(n_signal=float(n), ts=float(np.median(ts)), sigma=sigma, n_trials=len(ts)))
    return tuple(out)


def _strength_over(found: list[Strength | Unknown]) -> StrengthOverTwins | Unknown:
    n_signal = spread_of([one if isinstance(one, Unknown) else one.n_signal for one in found])
    known = [one for one in found if isinstance(one, Strength)]
    if isinstance(n_signal, Unknown):
        return n_signal
    flux, models = spread_of([one.flux for one in known]), [one.in_models for one in known if one.in_models is not None]
    in_models = spread_of(models) if models else None
    assert not isinstance(flux, Unknown)
    assert not isinstance(in_models, Unknown)
    return StrengthOverTwins(n_signal=n_signal, flux=flux, in_models=in_models)


def over_twins(each: tuple[Reach, ...]) -> OverTwins:
    """Mean and rms of what twins say; the same strengths were injected into all of them."""
    return OverTwins(
        sensitivity=_strength_over([one.sensitivity for one in each]),
        potentials=tuple(
            PotentialOverTwins(sigma=first.sigma, strength=_strength_over([one.potentials[k].strength for one in each]))
            for k, first in enumerate(each[0].potentials)
        ),
        medians=tuple(
            MedianOverTwins(n_signal=first.n_signal, sigma=spread_of([one.medians[k].sigma for one in each]))
            for k, first in enumerate(each[0].medians)
        ),
        each=each,
    )
