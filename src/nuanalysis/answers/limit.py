"""Which flux is excluded?  Upper limit, interval and sensitivity of a hypothesis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from nuanalysis.answers._ensembles import injections, scrambles
from nuanalysis.answers._flux import Flux, Strength, background_median, flux_of, strength_above
from nuanalysis.answers._posed import Fitted, Tested, fit_data, fitted, pose, provenance_of, tested
from nuanalysis.answers._question import Answer, Named, Question
from nuanalysis.answers.fit import FEWEST_INJECTIONS, reach_of
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.library.samples import Samples
from nuanalysis.plot import Drawn, FluxRow, Sidecar, flux_comparison, slug
from nuanalysis.records import Interval, Measured, Unknown, setting, shown


class Limit(Question):
    """90 % upper limit on the flux of a hypothesis, its 68 % interval, and the sensitivity."""

    example: ClassVar[Mapping[str, Any]] = {"hypothesis": "stack:snr", "injections": 300}
    hypothesis: Named = setting(help="template:NAME or FILE, stack:CATALOGUE, or point:RA,DEC in degrees")
    injections: int = setting(
        1500, low=FEWEST_INJECTIONS, high=10_000_000, help="injected skies, and scrambles for the median"
    )
    index: float | None = setting(None, low=1, high=4, help="index of a power law, in place of the hypothesis' own")
    index_free: bool | None = setting(None, help="fit the index; without: for stacks and points alone")

    def ask(self, samples: Samples, bench: Bench) -> LimitAnswer:
        problem = pose(self.hypothesis, samples, index=self.index, index_free=self.index_free)
        return limit(problem, samples, self, bench)


class LimitAnswer(Answer):
    """Upper limit and interval of a flux."""

    name: ClassVar[str] = "limit"
    tested: Tested = shown("hypothesis")
    fitted: Fitted = shown("fit")
    flux: Flux = shown("flux")
    sensitivity: Strength | Unknown = shown("sensitivity (90 %)")

    def headline(self) -> tuple[str, ...]:
        return (f"{self.tested.hypothesis}: 90 % upper limit {self.flux.upper_limit_90.words()}.",)

    def drawn(self) -> tuple[Drawn, ...]:
        row = flux_row(self.tested, self.provenance.sample, self.provenance.origin, self.flux, self.sensitivity)
        words = f"{self.tested.label} on {self.provenance.sample} ({self.provenance.origin}): {self.headline()[0]}"
        caption = f"{words} {self.flux.convention}."
        sidecar = Sidecar(f"limit-{slug(self.tested.hypothesis)}", words, caption, self.provenance.origin)
        return (Drawn(flux_comparison([row], {}), sidecar),)


def flux_row(tested: Tested, sample: str, origin: str, flux: Flux | Unknown, reach: Strength | Unknown) -> FluxRow:
    """A row of the figure of fluxes; NaN for what is not known."""
    row = FluxRow(tested.hypothesis, tested.label, sample, origin)
    if isinstance(reach, Strength):
        row = replace(row, sensitivity=reach.flux.value)
    if isinstance(flux, Unknown):
        return row
    if isinstance(flux.interval, Interval):
        row = replace(row, low=flux.interval.low, high=flux.interval.high)
    if isinstance(flux.upper_limit_90, Measured):
        row = replace(row, limit=flux.upper_limit_90.value)
    return replace(row, best=flux.best.value)


def limit(problem: Problem, samples: Samples, asked: Limit, bench: Bench) -> LimitAnswer:
    """The answer for a problem that is prepared."""
    best, data = fit_data(problem)
    background = scrambles(problem, asked.injections, 1.0, bench)
    injected = injections(problem, asked.injections, reach_of(problem, best), bench)
    return LimitAnswer(
        provenance=provenance_of(samples, problem),
        tested=tested(problem),
        fitted=fitted(problem, best),
        flux=flux_of(problem, data, best.ts, background, injected),
        sensitivity=strength_above(problem, injected, background_median(background), 0.9),
    )


QUESTION = Limit
