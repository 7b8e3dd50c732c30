"""Everything the package says about one hypothesis on one sample: what a run asks of each hypothesis of its spec."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from nuanalysis.answers import _ensembles, _flux
from nuanalysis.answers._flux import Energies, Flux, Strength
from nuanalysis.answers._question import Answer, Fitted, OnHypothesis, Tested, fit_data, fitted, provenance_of, tested
from nuanalysis.answers.bias import Node, bias_drawn, curve_of
from nuanalysis.answers.fit import profile, profile_drawn
from nuanalysis.answers.limit import flux_row
from nuanalysis.answers.sensitivity import MedianExperiment, medians_of
from nuanalysis.answers.significance import ts_drawn
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.interpret import fluxes
from nuanalysis.interpret.contributions import best_fit_terms, ts_density
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import FitResult
from nuanalysis.model import Terms
from nuanalysis.plot import Drawn, FluxRow, StackRow, ts_maps
from nuanalysis.records import Carried, Chance, Unknown, carried, setting, shown
from nuanalysis.response import NONE
from nuanalysis.schema import LIKELIHOOD, TRIALS, dataset


class Measure(OnHypothesis):
    """Everything about one hypothesis: fit, p-value, flux and limit, sensitivity, bias, where TS comes from."""

    example: ClassVar = {"hypothesis": "stack:snr", "scrambles": 400, "injections": 300}
    scrambles: int = setting(4000, low=200, high=100_000_000, help="background trials of p-value and 5 sigma threshold")
    injections: int = setting(1500, low=100, high=10_000_000, help="injected skies, and plain scrambles for the median")

    def ask(self, samples: Samples, bench: Bench) -> MeasureAnswer:
        problem = self.posed(samples)
        best, data = fit_data(problem)
        bench.progress(f"{samples.name} {problem.hypothesis.name}: TS {best.ts:.2f}, n_s {best.n_signal:.1f}")
        background = _ensembles.scrambles(problem, self.scrambles, max(best.ts + 2.0, _ensembles.REACH_TS), bench)
        spread = _ensembles.spread_of(problem)
        reach = min(max(_ensembles.INJECTED_REACH, float(np.ceil(best.n_signal / spread + 2.5))), _ensembles.MOST_REACH)
        plain = _ensembles.plain_scrambles(problem, self.injections, bench)
        median = _ensembles.median_of(plain)
        injected, reach = _ensembles.injections_for_limit(problem, median, best.ts, self.injections, reach, bench)
        known = samples.systematics != NONE
        varied = _ensembles.injections(problem, self.injections, reach, bench, samples.systematics) if known else None
        flux = _flux.flux_of(problem, data, best.ts, median, injected, varied)
        n, ts = profile(data, best, spread)
        return MeasureAnswer(
            provenance=provenance_of(samples, problem),
            tested=tested(problem),
            fitted=fitted(problem, best),
            chance=_ensembles.or_reason(_ensembles.chance_of, background, best.ts),
            flux=flux,
            sensitivity=_flux.sensitivity_of(problem, median, injected),
            discovery_potential=_flux.potential_of(problem, background, injected, 5.0),
            energies=_flux.energies_of(problem),
            share_at_30_tev=_flux.share_at_30_tev(problem, flux.best.value),
            events_per_1e11=1e-11 * fluxes.prepared_events_per_flux(problem.prepared),
            medians=medians_of(injected, plain, background),
            bias=curve_of(injected)[0],
            profile_n_signal=tuple(n.tolist()),
            profile_ts=tuple(ts.tolist()),
            trials=_trials(problem, samples, background),
            map=_map(problem, samples, data, best),
            likelihood=_likelihood(problem, samples, data, best),
        )


class MeasureAnswer(Answer):
    """Everything about one hypothesis on one sample."""

    tested: Tested = shown("hypothesis")
    fitted: Fitted = shown("fit")
    chance: Chance | Unknown = shown("chance")
    flux: Flux = shown("flux")
    sensitivity: Strength | Unknown = shown("sensitivity (90 %)")
    discovery_potential: Strength | Unknown = shown("5 sigma discovery potential")
    energies: tuple[Energies, ...] = shown("energies that the sensitivity comes from")
    share_at_30_tev: float | None = shown("part of the astrophysical flux at 30 TeV", None, form=".3f")
    events_per_1e11: float = shown("events for a flux of 1e-11 TeV cm-2 s-1", form=".1f", hidden=True)
    medians: tuple[MedianExperiment, ...] = shown("significance of the median experiment")
    bias: tuple[Node, ...] = shown("bias curve of n_s")
    profile_n_signal: tuple[float, ...] = shown("numbers of signal events of the profile", hidden=True)
    profile_ts: tuple[float, ...] = shown("TS along them, a free index fitted anew at each", hidden=True)
    trials: Carried[xr.Dataset] = carried()
    map: Carried[xr.Dataset] = carried()
    likelihood: Carried[xr.Dataset] = carried()

    def headline(self) -> tuple[str, ...]:
        return (
            f"{self.tested.hypothesis}: TS {self.fitted.ts:.2f}, n_s {self.fitted.n_signal:.1f}; "
            f"{_ensembles.said(self.chance)}; 90 % limit {self.flux.upper_limit_90.words()}.{self.fitted.warning}",
        )

    def drawn(self) -> tuple[Drawn, ...]:
        whose, tested = self.provenance, self.tested
        out: list[Drawn] = []
        if self.map is not None:
            values = np.asarray(self.map["ts_density"].values, dtype=np.float64)
            out += ts_maps(
                values, label=tested.label, sample=whose.sample, origin=whose.origin, hypothesis=tested.hypothesis
            )
        if self.trials is not None:
            out.append(ts_drawn(tested, whose, self.fitted.ts, self.trials))
        if self.bias:
            out.append(bias_drawn(tested, whose, self.bias, self.flux.n_trials))
        return (*out, profile_drawn(tested, whose, np.array(self.profile_n_signal), np.array(self.profile_ts)))

    def flux_row(self) -> FluxRow:
        """The row of this answer in the figure of fluxes."""
        return flux_row(self.tested, self.provenance, self.flux, self.sensitivity)

    def stack_row(self) -> StackRow:
        """The row of this answer in the figure of stacks."""
        tested, whose, fitted = self.tested, self.provenance, self.fitted
        sigma = self.chance.sigma if isinstance(self.chance, Chance) else None
        found = fitted.n_signal, _ensembles.or_nan(fitted.index), _ensembles.or_nan(sigma)
        return StackRow(tested.hypothesis, tested.label, whose.sample, whose.origin, *found)


def _trials(problem: Problem, samples: Samples, background: xr.Dataset) -> xr.Dataset:
    """The background trials as they are published."""
    values = {name: background[name].values for name in TRIALS.columns}
    attrs = {key: background.attrs[key] for key in ("fingerprint", "seed", "kind")}
    return dataset(TRIALS, values, {**attrs, "origin": samples.origin, "hypothesis": problem.hypothesis.name})


def _map(problem: Problem, samples: Samples, data: Terms, best: FitResult) -> xr.Dataset:
    """Where the test statistic comes from."""
    described = {"units": "sr-1", "description": "contribution to the test statistic per steradian"}
    about = tested(problem)
    return xr.Dataset(
        {"ts_density": (("pixel",), ts_density(problem.prepared, data, best), described)},
        attrs={
            "nside": 64,
            "ordering": "RING",
            "frame": "ICRS",
            "origin": samples.origin,
            "model_origin": about.model_origin,
            "hypothesis": about.hypothesis,
            "sample": samples.name,
            "ts": best.ts,
        },
    )


def _likelihood(problem: Problem, samples: Samples, data: Terms, best: FitResult) -> xr.Dataset:
    """What the likelihood is made of at the best fit, event by event: anybody can work out TS from it."""
    found = best_fit_terms(problem.prepared, data, best)
    values = {
        "season": found.season, "row": found.row, "signal": found.signal, "signal_mean": found.mean,
        "background": found.background, "ratio": found.ratio,
    }  # fmt: skip
    about = tested(problem)
    attrs: dict[str, object] = {
        "sample": samples.name, "origin": samples.origin, "seasons": [s.name for s in samples.seasons],
        "hypothesis": about.hypothesis, "model_origin": about.model_origin,
    }  # fmt: skip
    return dataset(LIKELIHOOD, values, attrs)
