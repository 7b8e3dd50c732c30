"""Does a sample hold a hypothesis?  n_s, TS, local p-value, flux and upper limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from nuanalysis.answers._chance import chance_or_reason
from nuanalysis.answers._ensembles import MOST_REACH, Wanted, injections, p_value_ensemble, scrambles, spread_of
from nuanalysis.answers._flux import (
    Energies,
    Flux,
    IndexBias,
    energies_of,
    flux_of,
    index_bias_of,
    share_at_30_tev,
)
from nuanalysis.answers._plane import fitted_regions, plane_panels_of
from nuanalysis.answers._posed import Fitted, Tested, fit_data, fitted, pose, provenance_of, tested
from nuanalysis.answers._question import Answer, Named, Question
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.errors import InputError
from nuanalysis.interpret import fluxes
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import FitResult, scan
from nuanalysis.model import Terms
from nuanalysis.plot import Drawn, PlanePanel, profile_figure
from nuanalysis.plot import Fitted as FittedRegions
from nuanalysis.records import Carried, Chance, Measured, Unknown, carried, setting, shown

FEWEST_INJECTIONS = 300
_NULL_TRIALS = 400
_LEAST_REACH = 4.0  # standard deviations of n_s that injections reach, more where more was fitted


def check_injections(n: int) -> None:
    """Raise ValueError for too few injections to say anything."""
    if 0 < n < FEWEST_INJECTIONS:
        raise ValueError(f"injections is {n}; expected {FEWEST_INJECTIONS} or more, or 0 for the fit alone")


class Fit(Question):
    """Does a sample hold a hypothesis?  n_s, TS, local p-value, flux and upper limit."""

    example: ClassVar[Mapping[str, Any]] = {"hypothesis": "stack:snr", "injections": 300, "precision": 0.3}
    hypothesis: Named = setting(help="template:NAME or FILE, stack:CATALOGUE, or point:RA,DEC in degrees")
    precision: float = setting(0.1, low=0.001, high=0.3, help="relative statistical error of the p-value")
    injections: int = setting(1500, low=0, high=10_000_000, help="injected skies for flux and limit; 0: the fit alone")
    index: float | None = setting(None, low=1, high=4, help="index of a power law, in place of the hypothesis' own")
    index_free: bool | None = setting(None, help="fit the index; without: for stacks and points alone")

    def model_post_init(self, context: Any) -> None:
        check_injections(self.injections)

    def ask(self, samples: Samples, bench: Bench) -> FitAnswer:
        problem = pose(self.hypothesis, samples, index=self.index, index_free=self.index_free)
        return fit(problem, samples, Wanted(precision=self.precision), self.injections, bench)


class FitAnswer(Answer):
    """A hypothesis fitted to a sample."""

    name: ClassVar[str] = "fit"
    tested: Tested = shown("hypothesis")
    fitted: Fitted = shown("fit")
    n_signal_per_flux: float = shown("events for a flux of 1e-11 TeV cm-2 s-1", form=".1f", hidden=True)
    flux_uncorrected: Measured = shown("flux as fitted, not corrected for its bias", hidden=True)
    chance: Chance | Unknown = shown("chance")
    index_bias: IndexBias | Unknown | None = shown("index", None)
    flux: Flux | Unknown = shown("flux")
    energies: tuple[Energies, ...] = shown("energies that the sensitivity comes from", ())
    share_at_30_tev: float | None = shown("part of the astrophysical flux at 30 TeV", None, form=".3f")
    problem: Carried[Problem] = carried()
    samples: Carried[Samples] = carried()
    background: Carried[xr.Dataset] = carried()

    def headline(self) -> tuple[str, ...]:
        index = "" if self.fitted.index is None else f", index {self.fitted.index:.2f}"
        held = "" if self.tested.index_free or self.fitted.index is None else " (held)"
        return (
            f"{self.tested.hypothesis}: TS {self.fitted.ts:.2f}, n_s {self.fitted.n_signal:.1f}{index}{held}; "
            f"{self.chance.words()}." + ("" if self.fitted.converged else " The fit did NOT converge."),
        )

    def drawn(self) -> tuple[Drawn, ...]:
        if self.problem is None:
            return ()
        _, data = fit_data(self.problem)
        n, ts = profile(data, self.fitted.n_signal, spread_of(self.problem))
        about = (self.tested.label, self.provenance.sample, self.provenance.origin, self.tested.hypothesis)
        label, sample, origin, hypothesis = about
        free = self.tested.index_free
        return (
            profile_figure(n, ts, label=label, sample=sample, origin=origin, hypothesis=hypothesis, free_index=free),
        )

    def plane_panels(self) -> list[PlanePanel]:
        """Gas and dust, the template, the template through the detector, and where TS comes from along the plane."""
        problem = self._posed()
        best, data = fit_data(problem)
        return plane_panels_of(problem, data, best)

    def regions(self) -> FittedRegions | None:
        """The fitted template by region of the plane; None without a flux and its interval."""
        if isinstance(self.flux, Unknown):
            return None
        return fitted_regions(self._posed(), self.flux, self.energies[0], self.provenance.origin)

    def _posed(self) -> Problem:
        if self.problem is None:
            raise InputError("this answer was read from a file: its events are not here; ask again")
        return self.problem


def profile(data: Terms, n_signal: float, spread: float) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """TS against the number of signal events, from 0 to beyond the fit; (point,) both, where a density is positive.

    With a free index each point is that of the best spectral node, and a peak between nodes is missed by a little.
    """
    grid = np.linspace(0.0, float(max(3.0 * spread, 2.0 * n_signal)), 121)
    values = scan(data, grid)
    known = np.isfinite(values)
    return grid[known], values[known]


def fit(problem: Problem, samples: Samples, wanted: Wanted, n_injections: int, bench: Bench) -> FitAnswer:
    """The answer for a problem that is prepared; without injections the fit alone."""
    best, data = fit_data(problem)
    per_flux = fluxes.prepared_events_per_flux(problem.prepared)
    known: dict[str, Any] = {
        "provenance": provenance_of(samples, problem),
        "tested": tested(problem),
        "fitted": fitted(problem, best),
        "n_signal_per_flux": 1e-11 * per_flux,
        "flux_uncorrected": Measured(
            value=best.n_signal / per_flux, error=Unknown(reason="asked without injections"), unit=fluxes.UNIT
        ),
        "problem": problem,
        "samples": samples,
    }
    if not n_injections:
        nothing = Unknown(reason="asked without injections")
        return FitAnswer(**known, chance=nothing, flux=nothing)
    background = background_of(problem, best.ts, wanted, bench)
    injected = injections(problem, n_injections, reach_of(problem, best), bench)
    flux = flux_of(problem, data, best.ts, background, injected)
    return FitAnswer(
        **known,
        chance=chance_or_reason(background, best.ts),
        index_bias=index_bias_of(problem, best, injected),
        flux=flux,
        energies=energies_of(problem),
        share_at_30_tev=share_at_30_tev(problem, flux.best.value),
        background=background,
    )


def background_of(problem: Problem, ts: float, wanted: Wanted, bench: Bench) -> xr.Dataset:
    """Background trials for the p-value of a fit, and for the median that a limit asks for."""
    if ts > 0:
        return p_value_ensemble(problem, ts, wanted, bench)
    return scrambles(problem, wanted.n_trials or _NULL_TRIALS, 1.0, bench)


def reach_of(problem: Problem, best: FitResult) -> float:
    """Standard deviations of n_s to inject for a limit: with signal the spread grows, so well beyond the fit."""
    return min(max(_LEAST_REACH, float(np.ceil(1.25 * best.n_signal / spread_of(problem) + 2.5))), MOST_REACH)


QUESTION = Fit
