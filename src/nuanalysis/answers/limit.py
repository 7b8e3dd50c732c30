"""Which flux is excluded?  Upper limit, interval and sensitivity of a hypothesis."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from nuanalysis.answers._ensembles import injections_for_limit, median_of, plain_scrambles
from nuanalysis.answers._flux import Flux, Strength, flux_of, sensitivity_of
from nuanalysis.answers._question import Answer, Fitted, OnHypothesis, Tested, fit_data, fitted, provenance_of, tested
from nuanalysis.answers.fit import reach_of
from nuanalysis.engine.bench import Bench
from nuanalysis.library.samples import Samples
from nuanalysis.plot import Drawn, FluxRow, Sidecar, flux_comparison, slug
from nuanalysis.records import Interval, Measured, Provenance, Unknown, setting, shown


class Limit(OnHypothesis):
    """90 % upper limit on the flux of a hypothesis, its 68 % interval, and the sensitivity."""

    example: ClassVar = {"hypothesis": "stack:snr", "injections": 300}
    injections: int = setting(1500, low=300, high=10_000_000, help="injected skies, and plain scrambles for the median")

    def ask(self, samples: Samples, bench: Bench) -> LimitAnswer:
        problem = self.posed(samples)
        best, data = fit_data(problem)
        median = median_of(plain_scrambles(problem, self.injections, bench))
        reach = reach_of(problem, best)
        injected, _ = injections_for_limit(problem, median, best.ts, self.injections, reach, bench)
        return LimitAnswer(
            provenance=provenance_of(samples, problem),
            tested=tested(problem),
            fitted=fitted(problem, best),
            flux=flux_of(problem, data, best.ts, median, injected),
            sensitivity=sensitivity_of(problem, median, injected),
        )


class LimitAnswer(Answer):
    """Upper limit and interval of a flux."""

    tested: Tested = shown("hypothesis")
    fitted: Fitted = shown("fit")
    flux: Flux = shown("flux")
    sensitivity: Strength | Unknown = shown("sensitivity (90 %)")

    def headline(self) -> tuple[str, ...]:
        return (f"{self.tested.hypothesis}: 90 % upper limit {self.flux.upper_limit_90.words()}.",)

    def drawn(self) -> tuple[Drawn, ...]:
        row = flux_row(self.tested, self.provenance, self.flux, self.sensitivity)
        words = f"{self.tested.label} on {self.provenance.sample} ({self.provenance.origin}): {self.headline()[0]}"
        caption = f"{words} {self.flux.convention}."
        sidecar = Sidecar(f"limit-{slug(self.tested.hypothesis)}", words, caption, self.provenance.origin)
        return (Drawn(flux_comparison([row], {}), sidecar),)


def flux_row(tested: Tested, whose: Provenance, flux: Flux, reach: Strength | Unknown) -> FluxRow:
    """A row of the figure of fluxes; NaN for what is not known."""
    row = FluxRow(tested.hypothesis, tested.label, whose.sample, whose.origin, best=flux.best.value)
    if isinstance(reach, Strength):
        row = replace(row, sensitivity=reach.flux.value)
    if isinstance(flux.interval, Interval):
        row = replace(row, low=flux.interval.low, high=flux.interval.high)
    if isinstance(flux.upper_limit_90, Measured):
        row = replace(row, limit=flux.upper_limit_90.value)
    return row
