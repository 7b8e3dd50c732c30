"""Is a hypothesis seen in a sample?  n_s, TS, local p-value, flux and upper limit."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from nuanalysis.answers import _ensembles as ensembles
from nuanalysis.answers import _flux
from nuanalysis.answers import _question as question
from nuanalysis.answers._question import Answer, Fitted, OnHypothesis, Tested, fit_data, fitted, provenance_of, tested
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.errors import DataError, InputError
from nuanalysis.ingest import find, galactic_templates
from nuanalysis.interpret import fluxes
from nuanalysis.interpret.contributions import ts_density
from nuanalysis.interpret.regions import region_fluxes
from nuanalysis.interpret.template_comparison import seen_by
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import FitResult
from nuanalysis.likelihood import profile as profile_of
from nuanalysis.model import Terms
from nuanalysis.plot import Drawn, PlanePanel, profile_figure
from nuanalysis.plot import Fitted as FittedRegions
from nuanalysis.records import Carried, Chance, Measured, Provenance, Unknown, carried, shown
from nuanalysis.schema import Floats
from nuanalysis.sky.records import Template
from nuanalysis.sky.templates import to_equatorial

_NULL_TRIALS = 400
_LEAST_REACH = 4.0  # standard deviations of n_s that injections reach, more where more was fitted
_FIRST_STEP = 0.5 ** np.arange(1, 7)  # where the first step of a profile is divided
TYPICAL_WIDTH = float(np.radians(7.0))
_SURVEYS = (
    ("hi4pi_nh", "atomic hydrogen, 21 cm (HI4PI)", "N(HI)", "cm⁻²"),
    ("planck13_ebv", "dust (Planck 2013)", "E(B−V)", "mag"),
)


class Fit(OnHypothesis):
    """Is a hypothesis seen in a sample?  n_s, TS, local p-value, flux and upper limit."""

    example: ClassVar = {"hypothesis": "stack:snr", "injections": 300, "precision": 0.3}
    precision: question.Precision = 0.1
    injections: question.Injected = 1500

    def ask(self, samples: Samples, bench: Bench) -> FitAnswer:
        wanted = ensembles.Wanted(precision=self.precision)
        return fit(self.posed(samples), samples, wanted, self.injections, bench)


class FitAnswer(Answer):
    """A hypothesis fitted to a sample."""

    tested: Tested = shown("hypothesis")
    fitted: Fitted = shown("fit")
    n_signal_per_flux: float = shown("events for a flux of 1e-11 TeV cm-2 s-1", form=".1f", hidden=True)
    flux_uncorrected: Measured = shown("flux as fitted, not corrected for its bias", hidden=True)
    chance: Chance | Unknown = shown("chance")
    index_bias: _flux.IndexBias | Unknown | None = shown("index", None)
    flux: _flux.Flux | Unknown = shown("flux")
    energies: tuple[_flux.Energies, ...] = shown("energies that the sensitivity comes from", ())
    share_at_30_tev: float | None = shown("part of the astrophysical flux at 30 TeV", None, form=".3f")
    problem: Carried[Problem] = carried()
    samples: Carried[Samples] = carried()
    background: Carried[xr.Dataset] = carried()

    def headline(self) -> tuple[str, ...]:
        index = "" if self.fitted.index is None else f", index {self.fitted.index:.2f}"
        held = "" if self.tested.index_free or self.fitted.index is None else " (held)"
        return (
            f"{self.tested.hypothesis}: TS {self.fitted.ts:.2f}, n_s {self.fitted.n_signal:.1f}{index}{held}; "
            f"{ensembles.said(self.chance)}.{self.fitted.warning}",
        )

    def drawn(self) -> tuple[Drawn, ...]:
        if self.problem is None:
            return ()
        best, data = fit_data(self.problem)
        n, ts = profile(data, best, ensembles.spread_of(self.problem))
        return (profile_drawn(self.tested, self.provenance, n, ts),)

    def contributions(self) -> Floats:
        """Where the test statistic comes from, (pixel,) sr^-1, RING ICRS: over the sky it adds up to TS."""
        problem = self._posed()
        best, data = fit_data(problem)
        return ts_density(problem.prepared, data, best)

    def plane_panels(self) -> list[PlanePanel]:
        """Gas and dust, the template, the template through the detector, and where TS comes from along the plane."""
        template = self._posed().hypothesis.target
        if not isinstance(template, Template):
            raise TypeError(f"'{self.tested.hypothesis}' is no template")
        problem, sample = self._posed(), self._posed().samples[0]
        seen = seen_by(sample.response, template, spectrum=problem.hypothesis.spectrum, width=TYPICAL_WIDTH)
        density = self.contributions()
        fitted = f"fit to {sample.label}: TS {self.fitted.ts:.1f}"
        return [
            *gas_panels(),
            PlanePanel(
                f"template at 100 TeV, normalised: {template.label}", template.density, "flux", "sr⁻¹", log=True
            ),
            PlanePanel("its detected events, point spread 7°, normalised", seen, "events", "sr⁻¹"),
            PlanePanel(fitted, density, "TS", "sr⁻¹", signed=True, origin=sample.origin),
        ]

    def regions(self) -> FittedRegions | None:
        """The fitted template by region, between the energies that the sensitivity comes from.

        None without a flux and its interval.
        """
        hypothesis = self._posed().hypothesis
        template, flux = hypothesis.target, self.flux
        if isinstance(flux, Unknown) or isinstance(flux.interval, Unknown):
            return None
        if not isinstance(template, Template) or not flux.best.value:
            return None
        best, energies = flux.best.value, self.energies[0]
        at = np.linspace(energies.log10_low, energies.log10_high, 25)
        found = region_fluxes(template, flux=best, log10_energy=at, spectrum=hypothesis.spectrum)
        low, high = flux.interval.low / best, flux.interval.high / best
        return FittedRegions(template.label, found, low, high, origin=self.provenance.origin)

    def _posed(self) -> Problem:
        if self.problem is None:
            raise InputError("this answer was read from a file: its events are not here; ask again")
        return self.problem


def gas_panels() -> list[PlanePanel]:
    """Panels of the surveys that are here; none where 'nuanalysis data fetch galactic-templates' was not run."""
    panels = []
    for name, title, label, unit in _SURVEYS:
        try:
            column = galactic_templates.read_gas_map(find(galactic_templates.RELEASE), name)
        except DataError:
            continue
        values = to_equatorial(np.asarray(column["density"].values, dtype=np.float64))
        panels.append(PlanePanel(title, values, label, unit, log=True, origin="real"))
    return panels


def profile(data: Terms, best: FitResult, spread: float) -> tuple[Floats, Floats]:
    """TS against the number of signal events, from 0 to beyond the fit; (point,) both, where a density is positive.

    The fit is one of the points; a free index is fitted anew at each.  The first step is divided: with
    a free index TS may rise steeply from 0 (a stack of the synthetic cascades takes the hardest index there).
    """
    even = np.linspace(0.0, float(max(3.0 * spread, 2.0 * best.n_signal)), 121)
    grid = np.union1d(even, [best.n_signal, *(even[1] * _FIRST_STEP)])
    values = profile_of(data, grid, best)
    known = np.isfinite(values)
    return grid[known], values[known]


def profile_drawn(tested: Tested, whose: Provenance, n_signal: Floats, ts: Floats) -> Drawn:
    """The likelihood along the number of signal events."""
    return profile_figure(
        n_signal, ts, label=tested.label, sample=whose.sample, origin=whose.origin, hypothesis=tested.hypothesis,
        free_index=tested.index_free,
    )  # fmt: skip


def fit(problem: Problem, samples: Samples, wanted: ensembles.Wanted, n_injections: int, bench: Bench) -> FitAnswer:
    """The answer for a problem that is prepared; without injections the fit alone."""
    best, data = fit_data(problem)
    per_flux, nothing = fluxes.prepared_events_per_flux(problem.prepared), Unknown(reason="asked without injections")
    found = FitAnswer(
        provenance=provenance_of(samples, problem),
        tested=tested(problem),
        fitted=fitted(problem, best),
        n_signal_per_flux=1e-11 * per_flux,
        flux_uncorrected=Measured(value=best.n_signal / per_flux, error=nothing, unit=fluxes.UNIT),
        chance=nothing,
        flux=nothing,
        problem=problem,
        samples=samples,
    )
    if not n_injections:
        return found
    background = background_of(problem, best.ts, wanted, bench)
    median = ensembles.median_of(ensembles.plain_scrambles(problem, n_injections, bench))
    reach = reach_of(problem, best)
    injected, _ = ensembles.injections_for_limit(problem, median, best.ts, n_injections, reach, bench)
    flux = _flux.flux_of(problem, data, best.ts, median, injected)
    more = {
        "chance": ensembles.or_reason(ensembles.chance_of, background, best.ts),
        "index_bias": _flux.index_bias_of(problem, best, injected),
        "flux": flux,
        "energies": _flux.energies_of(problem),
        "share_at_30_tev": _flux.share_at_30_tev(problem, flux.best.value),
        "background": background,
    }
    return found.model_copy(update=more)


def background_of(problem: Problem, ts: float, wanted: ensembles.Wanted, bench: Bench) -> xr.Dataset:
    """Background trials for the p-value of a fit."""
    if ts > 0:
        return ensembles.p_value_ensemble(problem, ts, wanted, bench)
    return ensembles.scrambles(problem, wanted.n_trials or _NULL_TRIALS, 1.0, bench)


def reach_of(problem: Problem, best: FitResult) -> float:
    """Standard deviations of n_s to inject for a limit: with signal the spread grows, so well beyond the fit."""
    spreads = float(np.ceil(1.25 * best.n_signal / ensembles.spread_of(problem) + 2.5))
    return min(max(_LEAST_REACH, spreads), ensembles.MOST_REACH)
