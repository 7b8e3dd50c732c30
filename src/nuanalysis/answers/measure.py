"""Everything the package says about one hypothesis on one sample: what a run asks of each hypothesis of its spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from nuanalysis.answers._chance import chance_or_reason
from nuanalysis.answers._ensembles import INJECTED_REACH, MOST_REACH, REACH_TS, injections, scrambles, spread_of
from nuanalysis.answers._flux import Energies, Flux, Strength, energies_of, flux_of, share_at_30_tev
from nuanalysis.answers._posed import Fitted, Tested, fit_data, fitted, pose, provenance_of, tested
from nuanalysis.answers._question import Answer, Named, Question
from nuanalysis.answers.bias import Node, curve_of
from nuanalysis.answers.fit import profile
from nuanalysis.answers.limit import flux_row
from nuanalysis.answers.sensitivity import MedianExperiment, five_sigma_of, medians_of, sensitivity_of
from nuanalysis.answers.significance import ts_drawn
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.interpret import fluxes
from nuanalysis.interpret.contributions import ts_density
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import FitResult
from nuanalysis.model import Terms
from nuanalysis.plot import Drawn, FluxRow, StackRow, profile_figure, ts_maps
from nuanalysis.records import Carried, Chance, Unknown, carried, setting, shown
from nuanalysis.response import NONE
from nuanalysis.schema import TRIALS, dataset


class Measure(Question):
    """Everything about one hypothesis: fit, p-value, flux and limit, sensitivity, bias, where TS comes from."""

    example: ClassVar[Mapping[str, Any]] = {"hypothesis": "stack:snr", "scrambles": 400, "injections": 300}
    hypothesis: Named = setting(help="template:NAME or FILE, stack:CATALOGUE, or point:RA,DEC in degrees")
    scrambles: int = setting(4000, low=200, high=100_000_000, help="background trials")
    injections: int = setting(1500, low=100, high=10_000_000, help="injected skies")
    index: float | None = setting(None, low=1, high=4, help="index of a power law, in place of the hypothesis' own")
    index_free: bool | None = setting(None, help="fit the index; without: for stacks and points alone")

    def ask(self, samples: Samples, bench: Bench) -> MeasureAnswer:
        problem = pose(self.hypothesis, samples, index=self.index, index_free=self.index_free)
        return measure(problem, samples, self, bench)


class MeasureAnswer(Answer):
    """Everything about one hypothesis on one sample."""

    name: ClassVar[str] = "measure"
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
    profile_ts: tuple[float, ...] = shown("TS along them", hidden=True)
    trials: Carried[xr.Dataset] = carried()
    map: Carried[xr.Dataset] = carried()

    def headline(self) -> tuple[str, ...]:
        return (
            f"{self.tested.hypothesis}: TS {self.fitted.ts:.2f}, n_s {self.fitted.n_signal:.1f}; "
            f"{self.chance.words()}; 90 % limit {self.flux.upper_limit_90.words()}."
            + ("" if self.fitted.converged else " The fit did NOT converge."),
        )

    def drawn(self) -> tuple[Drawn, ...]:
        sample, origin = self.provenance.sample, self.provenance.origin
        label, hypothesis = self.tested.label, self.tested.hypothesis
        out: list[Drawn] = []
        if self.map is not None:
            values = np.asarray(self.map["ts_density"].values, dtype=np.float64)
            out += ts_maps(values, label=label, sample=sample, origin=origin, hypothesis=hypothesis)
        if self.trials is not None:
            out.append(ts_drawn(self.tested, sample, origin, self.fitted.ts, self.trials))
        n, ts = np.array(self.profile_n_signal), np.array(self.profile_ts)
        free = self.tested.index_free
        out.append(
            profile_figure(n, ts, label=label, sample=sample, origin=origin, hypothesis=hypothesis, free_index=free)
        )
        return tuple(out)

    def flux_row(self) -> FluxRow:
        """The row of this answer in the figure of fluxes."""
        return flux_row(self.tested, self.provenance.sample, self.provenance.origin, self.flux, self.sensitivity)

    def stack_row(self) -> StackRow:
        """The row of this answer in the figure of stacks."""
        nan = float("nan")
        sigma = self.chance.sigma if isinstance(self.chance, Chance) else None
        return StackRow(
            self.tested.hypothesis,
            self.tested.label,
            self.provenance.sample,
            self.provenance.origin,
            n_signal=self.fitted.n_signal,
            index=nan if self.fitted.index is None else self.fitted.index,
            sigma=nan if sigma is None else sigma,
        )


def measure(problem: Problem, samples: Samples, asked: Measure, bench: Bench) -> MeasureAnswer:
    """The answer for a problem that is prepared."""
    best, data = fit_data(problem)
    bench.progress(f"{samples.name} {problem.hypothesis.name}: TS {best.ts:.2f}, n_s {best.n_signal:.1f}")
    background = scrambles(problem, asked.scrambles, max(best.ts + 2.0, REACH_TS), bench)
    spread = spread_of(problem)
    reach = min(max(INJECTED_REACH, float(np.ceil(best.n_signal / spread + 2.5))), MOST_REACH)
    injected = injections(problem, asked.injections, reach, bench)
    varied = None
    if samples.systematics != NONE:
        varied = injections(problem, asked.injections, reach, bench, samples.systematics)
    flux = flux_of(problem, data, best.ts, background, injected, varied)
    n, ts = profile(data, best.n_signal, spread)
    return MeasureAnswer(
        provenance=provenance_of(samples, problem),
        tested=tested(problem),
        fitted=fitted(problem, best),
        chance=chance_or_reason(background, best.ts),
        flux=flux,
        sensitivity=sensitivity_of(problem, background, injected),
        discovery_potential=five_sigma_of(problem, background, injected),
        energies=energies_of(problem),
        share_at_30_tev=share_at_30_tev(problem, flux.best.value),
        events_per_1e11=1e-11 * fluxes.prepared_events_per_flux(problem.prepared),
        medians=medians_of(background, injected),
        bias=curve_of(injected)[0],
        profile_n_signal=tuple(n.tolist()),
        profile_ts=tuple(ts.tolist()),
        trials=_trials(problem, samples, background),
        map=_map(problem, samples, data, best),
    )


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


QUESTION = Measure
