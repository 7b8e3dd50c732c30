"""From fitted events to a flux with its interval and its limit, and strengths that a search reaches."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from nuanalysis import trials
from nuanalysis.answers._ensembles import or_reason, sigma_threshold
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.ensembles import Problem
from nuanalysis.errors import PrecisionError
from nuanalysis.interpret import fluxes
from nuanalysis.interpret.energy_range import energy_range
from nuanalysis.interpret.published import events_of_model
from nuanalysis.interpret.regions import SHARE_LOG10_ENERGY, galactic_fraction
from nuanalysis.likelihood import FitResult, maximise_at
from nuanalysis.model import Terms
from nuanalysis.records import Interval, Measured, Record, Unknown, shown
from nuanalysis.sky.records import Template
from nuanalysis.trials.streams import Stream

MODEL = "x model"
DEGRADED = (0.05, 0.16)
_ALIKE, _LEAST_ALIKE = 1.3, 30  # factor in fitted n_s, and fewest injected skies, behind the shift of an index


class InModels(Record):
    """A flux in units of the one that the template's own model predicts.

    published_events : of the published model that the template is meant for, in all cascades of 2023; null for others.
    """

    model: str = shown("whose model")
    model_flux: float = shown("flux of the model", unit=fluxes.UNIT, form=".3g")
    model_events: float = shown("expected events of one model here", unit="events", form=".1f")
    published_events: float | None = shown("events of one published model", None, unit="events", form=".1f")
    best: Measured = shown("best fit")
    interval: Interval | Unknown = shown("68 % interval")
    upper_limit_90: Measured | Unknown = shown("90 % upper limit")


class Flux(Record):
    """E^2 dN/dE at 100 TeV: best fit corrected for its bias, intervals, upper limit.

    interval_systematics : with the detector's response varied as far as public numbers say; null where none do.
    """

    best: Measured = shown("flux")
    n_signal_corrected: Measured = shown("n_s corrected for its bias")
    interval: Interval | Unknown = shown("68 % interval")
    interval_systematics: Interval | Unknown | None = shown("68 % interval with systematic variations", None)
    upper_limit_90: Measured | Unknown = shown("90 % upper limit")
    in_models: InModels | None = shown("in units of the model", None)
    convention: str = shown("what the flux is")
    systematics: str = shown("what was varied", "", hidden=True)
    n_trials: int = shown("pseudo-experiments behind it", hidden=True)


class Strength(Record):
    """A signal strength that a search reaches, as mean events and as flux.

    The errors hold those of the experiments and of the threshold.  threshold_p_error : relative error of the share of
    background beyond the threshold; null for a TS that is given.
    """

    n_signal: Measured = shown("mean signal events", short="n_s")
    flux: Measured = shown("flux")
    in_models: Measured | None = shown("in units of the model", None)
    threshold_ts: Measured = shown("TS that it lifts the experiments above")
    threshold_p_error: float | None = shown(
        "relative error of the share of background beyond that TS", None, form=".2g", hidden=True
    )
    n_trials: int = shown("pseudo-experiments", hidden=True)

    def words(self, form: str = "") -> str:
        model = "" if self.in_models is None else f" = {self.in_models.words()}"
        return f"n_s {self.n_signal.words()}, flux {self.flux.words()}{model}"

    def cell(self, form: str = "") -> str:
        return self.flux.cell()


def strength_for(injected: xr.Dataset, threshold: trials.Threshold, fraction: float) -> trials.Strength:
    """Mean events that lift a fraction of injected skies above a threshold.  Raises PrecisionError beyond them."""
    n_injected, ts = injected["n_injected"].values, injected["ts"].values
    return trials.strength_for(n_injected, ts, threshold=threshold, fraction=fraction)


def strength_above(
    problem: Problem, injected: xr.Dataset, threshold: trials.Threshold | Unknown, fraction: float
) -> Strength | Unknown:
    """The strength that lifts a fraction of the experiments above a threshold, or why the trials do not tell."""
    if isinstance(threshold, Unknown):
        return threshold
    found = or_reason(strength_for, injected, threshold, fraction)
    if isinstance(found, Unknown):
        return found
    per_flux, model = fluxes.prepared_events_per_flux(problem.prepared), fluxes.model_flux(problem.hypothesis)
    events = Measured(value=found.n_signal, error=found.error)
    flux = events.over(per_flux, fluxes.UNIT)
    return Strength(
        n_signal=events,
        flux=flux,
        in_models=flux.over(model, MODEL) if model else None,
        threshold_ts=Measured(value=threshold.ts, error=threshold.error),
        threshold_p_error=threshold.p_error / threshold.p if threshold.n_trials else None,
        n_trials=injected.sizes["trial"],
    )


def sensitivity_of(problem: Problem, median: trials.Threshold, injected: xr.Dataset) -> Strength | Unknown:
    """The strength that lifts 90 % of the experiments above the background median, or why there is none."""
    return strength_above(problem, injected, median, 0.9)


def potential_of(problem: Problem, background: xr.Dataset, injected: xr.Dataset, sigma: float) -> Strength | Unknown:
    """The strength at which half of the experiments reach a local significance, or why there is none."""
    return strength_above(problem, injected, or_reason(sigma_threshold, background, sigma), 0.5)


def _interval(data: Terms, held: FitResult, node: int, per_flux: float, injected: xr.Dataset) -> Interval:
    """The 68 % interval that these trials give, as flux.  Raises PrecisionError where they give none."""
    n_injected, tau = injected["n_injected"].values, injected["tau"].values
    stretch = float(injected.attrs["stretch"])
    found = trials.interval(data, held.ts, n_injected, tau, stretch=stretch, level=0.68, node=node)
    why = Unknown(reason=found.why)
    low_error, high_error = (why if one is None else one / per_flux for one in (found.low_error, found.high_error))
    return Interval(
        low=found.low / per_flux,
        high=found.high / per_flux,
        low_error=low_error,
        high_error=high_error,
        level=0.68,
        unit=fluxes.UNIT,
    )


def turned_back(curve: trials.BiasCurve, n_signal: float) -> Measured:
    """The signal whose median fit is n_signal.  Raises PrecisionError beyond the curve."""
    found = curve.corrected(n_signal)
    return Measured(value=found.n_signal, error=found.error)


def _corrected(held: FitResult, injected: xr.Dataset) -> Measured:
    """n_s turned back with the bias curve; beyond the curve, with the bias of a pilot, and why."""
    try:
        curve = trials.bias_curve(injected["n_injected"].values, injected["n_signal_held"].values)
        return turned_back(curve, held.n_signal)
    except PrecisionError as error:
        return Measured(value=held.n_signal / float(injected.attrs["stretch"]), error=Unknown(reason=str(error)))


def flux_of(
    problem: Problem,
    data: Terms,
    ts: float,
    median: trials.Threshold,
    injected: xr.Dataset,
    varied: xr.Dataset | None = None,
) -> Flux:
    """Best-fit flux, intervals and 90 % upper limit.

    ts : of the fit; median : of background.  A flux is that of one spectrum: the index is held at the quoted one.
    varied : injection trials with systematics, for the interval that holds them.
    """
    per_flux = fluxes.prepared_events_per_flux(problem.prepared)
    node = trials.flux_node(problem.prepared)
    held = maximise_at(data, node)
    corrected = _corrected(held, injected)
    best = corrected.over(per_flux, fluxes.UNIT)
    interval_of = partial(_interval, data, held, node, per_flux)
    interval = or_reason(interval_of, injected)
    strength = strength_above(problem, injected, median.at_least(ts), 0.9)
    limit = strength if isinstance(strength, Unknown) else strength.flux
    in_models = None
    if model := fluxes.model_flux(problem.hypothesis):
        in_models = InModels(
            model=fluxes.whose_model(problem.hypothesis),
            model_flux=model,
            model_events=model * per_flux,
            published_events=events_of_model(problem.hypothesis.name, problem.samples[0].name),
            best=best.over(model, MODEL),
            interval=interval if isinstance(interval, Unknown) else interval.over(model, MODEL),
            upper_limit_90=limit if isinstance(limit, Unknown) else limit.over(model, MODEL),
        )
    return Flux(
        best=best,
        n_signal_corrected=corrected,
        interval=interval,
        interval_systematics=None if varied is None else or_reason(interval_of, varied),
        systematics="" if varied is None else str(varied.attrs["systematics"]),
        upper_limit_90=limit,
        in_models=in_models,
        convention=fluxes.convention(problem.hypothesis),
        n_trials=injected.sizes["trial"],
    )


class Energies(Record):
    """True energies beyond which signal may be missing before the sensitivity degrades by a fraction."""

    degraded: float = shown("fraction that is lost at each end")
    log10_low: float = shown("lower end, log10 E/GeV", form=".2f")
    log10_high: float = shown("upper end, log10 E/GeV", form=".2f")

    def words(self, form: str = "") -> str:
        low, high = (10.0 ** (end - 3.0) for end in (self.log10_low, self.log10_high))
        return f"{low:.3g} to {high:.3g} TeV ({100 * self.degraded:.0f} % lost)"


def energies_of(problem: Problem) -> tuple[Energies, ...]:
    """True energies that the sensitivity comes from, as published for the 2023 templates."""
    prepared = problem.prepared
    n_signal = 1.28 * float(trials.uncertainty(prepared)[trials.flux_node(prepared)])
    rng = np.random.Generator(np.random.Philox(key=[problem.seed, int(Stream.ENERGIES)]))
    found = energy_range(prepared, n_signal, rng)
    ends = {part: found.bounds(part) for part in DEGRADED}
    return tuple(Energies(degraded=part, log10_low=low, log10_high=high) for part, (low, high) in ends.items())


def share_at_30_tev(problem: Problem, flux: float) -> float | None:
    """Part of the all-sky astrophysical flux at 30 TeV that a fitted template takes; None for sources."""
    target = problem.hypothesis.target
    if not isinstance(target, Template):
        return None
    own = replace(target, spectrum=problem.hypothesis.spectrum)
    return galactic_fraction(own, flux, SHARE_LOG10_ENERGY)


class IndexBias(Record):
    """How a free index comes back in injected skies whose fit has about as many events.

    shift : median fitted minus injected index; spread : half the 68 % range of the fitted one.  The shift is measured
    at the injected index, that of the quoted flux; corrected : the fit less the shift.
    """

    injected: float = shown("index that was injected", form=".2f")
    shift: Measured = shown("fitted minus injected index")
    spread: float = shown("spread of the fitted index", form=".2f")
    corrected: float = shown("fitted index less the shift", form=".2f")
    n_trials: int = shown("injected skies like this fit")


def index_bias_of(problem: Problem, best: FitResult, injected: xr.Dataset) -> IndexBias | Unknown | None:
    """What injected skies say of a free index; None where the index is held or nothing was fitted."""
    if not problem.hypothesis.index_free or best.n_signal <= 0:
        return None
    n_signal, index = injected["n_signal"].values, injected["index"].values
    near = (n_signal > best.n_signal / _ALIKE) & (n_signal < best.n_signal * _ALIKE) & (injected["n_injected"] > 0)
    found, truth = index[np.asarray(near)], problem.hypothesis.index
    if len(found) < _LEAST_ALIKE:
        return Unknown(
            reason=f"{len(found)} injected skies have about as many fitted events; expected at least {_LEAST_ALIKE}"
        )
    low, middle, high = np.quantile(found, [0.16, 0.5, 0.84])
    spread = 0.5 * float(high - low)
    return IndexBias(
        injected=truth,
        shift=Measured(value=float(middle - truth), error=1.2533 * spread / math.sqrt(len(found))),  # of a median
        spread=spread,
        corrected=float(np.clip(best.index - (middle - truth), 1.0, 4.0)),
        n_trials=len(found),
    )
