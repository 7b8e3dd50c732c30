"""Pseudo-experiments of several hypotheses on the same events: signal corrected for its bias, nulls, and what is said.

The signal of an experiment is a fit, corrected for its bias: what is injected is moved until the median fit is the one
of the data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Annotated, Any

import numpy as np

from nuanalysis import trials
from nuanalysis.answers._ensembles import LOCAL, counted
from nuanalysis.answers._question import name_of, repeated
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import JointExperiments, Problem, run
from nuanalysis.errors import InputError
from nuanalysis.interpret import fluxes
from nuanalysis.likelihood import TS_TOLERANCE, JointTerms, joint_maximum, refuse_flat
from nuanalysis.model import OWN_SPECTRUM
from nuanalysis.records import Chance, Interval, Measured, Record, Unknown, certain, known, setting, shown
from nuanalysis.schema import Floats
from nuanalysis.sky.records import Catalogue
from nuanalysis.trials.streams import joint_null, seed_of

Model = tuple[int, ...]
METHOD = "pseudo-experiments: scrambled data and injected signal, background estimated again from both"
LEVEL = 0.05  # of tests
CRITICAL = "TS that 5 % of the experiments without it exceed"
HELD = "the index is held"
ERRORS = (
    "the error of n_s is one standard deviation from the curvature of ln L, the other norms and every free index free "
    "too",
    "near a pole, for sources with half of their weight within 15 deg of one, the curvature promises too much and no "
    "error is read from it: there the 68 % interval of n_s is the central range of the fits of the experiments, in "
    "proportion to the root of the signal",
    "n_s corrected is the signal whose median fit is that of the data: its error is that of n_s over the bias, and the "
    "correction has the error of the experiments behind it",
    "p is (k + 1) / (n + 1) for k of n experiments with as much; where k = 0 the probability lies below the 90 % bound",
)
_INDEX_HELD = (
    "errors of n_s hold no index; where events become a flux the fitted index is held, so errors of the flux are those "
    "of n_s alone"
)
_NEAR_POLE = float(np.radians(15.0))
_RESAMPLED = 100  # drawings behind the errors of the ends of an interval
NEAR_POLE = "none from the curvature within 15 deg of a pole"
_PILOT_PART, _LEAST_PILOT = 4, 100
Trials = Annotated[int, setting(low=100, high=10_000_000, help="pseudo-experiments of each kind")]


def different(names: tuple[object, ...], *, exactly: int = 0) -> tuple[Any, ...]:
    """The names, two or more or exactly so many different hypotheses, or ValueError with all faults."""
    said = [name_of(one) for one in names]
    many = [name for name in said if name.startswith("each:")]
    faults = [f"{', '.join(many)} stands for many hypotheses; name each of them"] if many else []
    faults += repeated(said, "hypotheses")
    if exactly and len(said) != exactly:
        faults.append(f"{len(said)} named; expected {exactly}, for example template:pi0 and stack:snr")
    elif len(said) < 2:
        faults.append(f"{', '.join(said) or 'nothing'} named; expected two or more hypotheses")
    if faults:
        raise ValueError("; ".join(faults))
    return names


def check_apart(problems: tuple[Problem, ...]) -> None:
    """Raise InputError for hypotheses that cannot be fitted together, or told apart."""
    for one, other in combinations(problems, 2):
        if one.fingerprint == other.fingerprint:
            raise InputError(
                f"'{one.hypothesis.name}' and '{other.hypothesis.name}' are one hypothesis under two names: the same "
                "map or sources, and the same spectrum; leave one of them out"
            )
    prepared = tuple(p.prepared for p in problems)
    trials.check_same_events(prepared)
    refuse_flat(prepared)


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """Signal to inject: n_signal and index of each hypothesis, (j,) each.

    error : Monte Carlo error of the correction that led to n_signal, without that of the fit.
    factor : median fit over injected signal where the correction was read; 1 below two standard deviations of fits,
        where the bound at zero makes that ratio no scale.
    """

    n_signal: Floats
    index: Floats
    error: Floats
    factor: Floats


def as_it_is(n_signal: Floats, index: Floats) -> Signal:
    """A signal that is not corrected."""
    return Signal(n_signal, index, np.zeros(len(n_signal)), np.ones(len(n_signal)))


@dataclass(frozen=True, slots=True, eq=False)
class Experiments:
    """Pseudo-experiments of several problems on the same events, and how many of each kind."""

    problems: tuple[Problem, ...]
    n_trials: int
    bench: Bench

    @property
    def everyone(self) -> Model:
        """The model with all hypotheses free."""
        return tuple(range(len(self.problems)))

    def draw(self, signal: Signal, models: tuple[Model, ...], stream: int, n_trials: int = 0) -> xr.Dataset:
        """Experiments with this signal, each model fitted; one variable a column of ``trials.joint_columns``."""
        seed, means = seed_of(self.problems[0].seed, stream), tuple(map(float, signal.n_signal))
        plan = JointExperiments(seed, n_trials or self.n_trials, means, tuple(map(float, signal.index)), models)
        return run(self.problems, plan, self.bench)


def columns(found: xr.Dataset, name: str, model: Model, n_hypotheses: int) -> Floats:
    """A column of the first model, (trial, j), 0 for the hypotheses that it leaves out."""
    out = np.zeros((found.sizes["trial"], n_hypotheses))
    for j in model:
        out[:, j] = found[f"{name}_0_{j}"].values
    return out


def moved(signal: Signal, fitted: Floats, found: xr.Dataset, model: Model) -> Signal:
    """The signal moved by how far the median fit of its pseudo-experiments is from the fit of the data."""
    n_signal = columns(found, "n_signal", model, len(fitted))
    bias = trials.joint_bias(signal.n_signal, n_signal, np.ones_like(n_signal))
    scale = (signal.n_signal > 2.0 * bias.deviation) & (bias.median > 0.0)
    factor = np.where(scale, bias.median / np.where(scale, signal.n_signal, 1.0), 1.0)
    there = np.maximum(signal.n_signal + fitted - bias.median, 0.0)
    return Signal(there, signal.index, bias.median_error / factor, factor)


def corrected(held: Experiments, fitted: Floats, index: Floats, model: Model, streams: tuple[int, ...]) -> Signal:
    """The signal whose median fit, with this model, is the fitted one; from short ensembles, one a stream."""
    signal = as_it_is(fitted, index)
    if not fitted.any():
        return signal
    n = max(held.n_trials // _PILOT_PART, _LEAST_PILOT)
    for stream in streams:
        signal = moved(signal, fitted, held.draw(signal, (model,), stream, n), model)
    return signal


def lost(found: xr.Dataset) -> int:
    """Experiments in which a fit did not converge."""
    flags = [found[name].values for name in found.data_vars if str(name).startswith("converged_")]
    return int((np.prod(flags, axis=0) < 1).sum())


class Injected(Record):
    """Signal of a hypothesis in pseudo-experiments."""

    hypothesis: str = shown("hypothesis")
    n_signal: float = shown("mean injected events", form=".1f")


class Profiled(Record):
    """How often the others alone give a test statistic as large."""

    chance: Chance = shown("local p-value, the others profiled", short="local p")
    others_injected: tuple[Injected, ...] = shown("signal of the others in the experiments", (), hidden=True)
    share_at_zero: float | None = shown("share of the experiments with a test statistic of zero", None, hidden=True)
    critical: Measured | None = shown(CRITICAL, None, form=".2f", short="5 % above")


def critical(ts: Floats) -> Measured:
    """The test statistic (trial,) that LEVEL of the experiments exceed: the critical value of a test at that level."""
    value, error = trials.exceeded_by(ts, LEVEL)
    return Measured(value=value, error=error)


def profiled(held: Experiments, data: JointTerms, ts: float, j: int) -> Profiled:
    """How often the others alone give a TS as large for hypothesis j; data are the terms of the observed events.

    The others hold the signal of their own fit with n_j = 0, corrected for its bias.
    """
    if ts <= TS_TOLERANCE:
        return Profiled(chance=certain())
    others, streams = tuple(k for k in held.everyone if k != j), joint_null(j)
    alone = joint_maximum(data, others)
    signal = corrected(held, alone.n_signal(data), alone.index(data), others, streams.rounds)
    found = held.draw(signal, (held.everyone, others), streams.experiments)
    each = found["ts_0"].values - found["ts_1"].values
    chance = counted(trials.as_large(each, ts), LOCAL, METHOD).model_copy(update={"not_converged": lost(found)})
    names = [problem.hypothesis.name for problem in held.problems]
    injected = tuple(Injected(hypothesis=names[k], n_signal=float(signal.n_signal[k])) for k in others)
    at_zero = float((each <= TS_TOLERANCE).mean())
    return Profiled(chance=chance, others_injected=injected, share_at_zero=at_zero, critical=critical(each))


class Unbiased(Record):
    """A value corrected for its bias: with the error of the fit, and that of the experiments behind the correction."""

    best: Measured = shown("corrected for its bias, with the error of the fit")
    correction_error: float = shown("error of the correction, in the same unit")

    def words(self, form: str = "") -> str:
        return f"{self.best.words()} (correction +- {self.correction_error:.2g})"

    def cell(self, form: str = "") -> str:
        return self.best.cell()

    def times(self, factor: float, unit: str) -> Unbiased:
        """Value and errors in another unit."""
        return Unbiased(best=self.best.times(factor, unit), correction_error=self.correction_error * factor)


def near_pole(problem: Problem) -> bool:
    """Whether half of a hypothesis of sources lies within 15 deg of a pole, where the curvature promises too much.

    A declination there has few background events, and most of a source is subtracted again as its background.
    """
    target = problem.hypothesis.target
    if not isinstance(target, Catalogue):
        return False
    close = np.array([abs(s.declination) > np.pi / 2 - _NEAR_POLE for s in target.sources])
    weights = np.array(target.weights)
    return bool(weights[close].sum() >= 0.5 * weights.sum())


def unbiased(fits: Floats, injected: float) -> Floats:
    """Fitted n_s, (trial,), scaled so that their median is the injected signal."""
    middle = float(np.median(fits))
    return fits * (injected / middle) if middle > 0.0 else fits


def central_ends(corrected: float, fits: Floats) -> tuple[float, float]:
    """Ends of the 68 % interval of a signal from ``unbiased`` n_s, (trial,), of experiments with about that signal.

    The spread is taken to grow as the root of the signal, as that of a number of events: it is constant in the root.
    """
    low, middle, high = np.sqrt(np.quantile(fits, [0.16, 0.5, 0.84]))
    root = math.sqrt(corrected)
    return max(root - float(high - middle), 0.0) ** 2, (root + float(middle - low)) ** 2


def central_interval(corrected: float, fits: Floats) -> Interval:
    """``central_ends`` with their errors, which come from drawing the experiments again."""
    rng = np.random.default_rng(0)
    again = [central_ends(corrected, rng.choice(fits, len(fits))) for _ in range(_RESAMPLED)]
    (low, high), (low_error, high_error) = central_ends(corrected, fits), np.std(again, axis=0, ddof=1).tolist()
    return Interval(low=low, low_error=low_error, high=high, high_error=high_error, level=0.68)


class Norm(Record):
    """How much of a hypothesis was fitted beside others: events, corrected for the bias, and as a flux.

    index : null where the spectrum is the template's own, or where nothing was fitted.
    """

    n_signal: Measured = shown("fitted events n_s", short="n_s")
    index: Measured | None = shown("spectral index", None)
    corrected: Unbiased | Unknown = shown("n_s corrected for its bias")
    flux: Unbiased | Unknown = shown("flux, from the corrected n_s")
    interval: Interval | None = shown("68 % interval of n_s, from experiments", None)
    flux_interval: Interval | None = shown("68 % interval of the flux, from experiments", None)
    flux_uncorrected: float | Unknown = shown("flux as fitted", unit=fluxes.UNIT, hidden=True)
    model_flux: float | None = shown("flux of the template's own model", None, unit=fluxes.UNIT, hidden=True)
    in_models: Unbiased | Unknown | None = shown("flux in units of the model", None, hidden=True)
    convention: str = shown("what the flux is", hidden=True)
    held: str = shown("what the error of the flux takes as known", hidden=True)


def flux_per_event(problem: Problem, index: float) -> float:
    """E^2 dN/dE at 100 TeV for one event; between two spectral nodes that of their mixture."""
    if len(problem.prepared.index) == 1:
        return 1.0 / fluxes.prepared_events_per_flux(problem.prepared)
    return float(fluxes_per_event(problem, np.array(index)))


def fluxes_per_event(problem: Problem, index: Floats) -> Floats:
    """The same for free indices of any shape."""
    return np.asarray(np.interp(index, problem.prepared.index, fluxes.E2_PER_DNDE / problem.prepared.expected))


def index_of(problem: Problem, n: float, index: float, error: float) -> Measured | None:
    """The index as it is published."""
    free, polar = problem.hypothesis.index_free, near_pole(problem)
    if index == OWN_SPECTRUM or (free and n <= 0):
        return None
    why = (NEAR_POLE if polar else "the events do not tell") if free else HELD
    return Measured(value=index, error=known(np.nan if polar else error, why))


def fitted_events(problem: Problem, n: tuple[float, float], why: str = "") -> Measured:
    """n_s with its error; why : the reason where the events do not determine it."""
    if not why and near_pole(problem):
        return Measured(value=n[0], error=Unknown(reason=NEAR_POLE))
    return Measured(value=n[0], error=known(n[1], why or "the curvature of ln L is singular"))


def norm_of(
    problem: Problem,
    n: tuple[float, float],
    index: tuple[float, float],
    signal: Signal,
    fits: Floats,
    j: int,
    why: str = "",
) -> Norm:
    """Hypothesis j as fitted and as corrected.

    n, index : value and error.  signal : the corrected one.  fits : (trial,) its ``unbiased`` n_s in experiments
    with about that signal.  why : the reason where the events do not determine n.
    """
    hypothesis, free = problem.hypothesis, problem.hypothesis.index_free
    # With a free index the flux that is quoted is that of the fitted one.
    quoted = replace(hypothesis, index=float(np.round(index[0], 3))) if free else hypothesis
    about: dict[str, Any] = {
        "index": index_of(problem, n[0], index[0], np.nan if why else index[1]),
        "convention": fluxes.convention(quoted),
        "held": _INDEX_HELD if free else "the spectrum is held",
    }
    fitted = fitted_events(problem, n, why)
    if why:
        nothing = Unknown(reason=why)
        return Norm(n_signal=fitted, corrected=nothing, flux=nothing, flux_uncorrected=nothing, **about)
    per_event, model = flux_per_event(problem, index[0]), fluxes.model_flux(quoted)
    best = fitted_events(problem, (float(signal.n_signal[j]), n[1] / float(signal.factor[j])))
    interval = central_interval(best.value, fits) if near_pole(problem) else None
    events = Unbiased(best=best, correction_error=float(signal.error[j]))
    flux = events.times(per_event, fluxes.UNIT)
    return Norm(
        n_signal=fitted,
        corrected=events,
        flux=flux,
        interval=interval,
        flux_interval=None if interval is None else interval.over(1.0 / per_event, fluxes.UNIT),
        flux_uncorrected=n[0] * per_event,
        model_flux=model or None,
        in_models=flux.times(1.0 / model, "x model") if model else None,
        **about,
    )


class Quantiles(Record):
    """Quantiles of a distribution."""

    levels: tuple[float, ...] = shown("probabilities below")
    values: tuple[float, ...] = shown("quantiles")

    def words(self, form: str = ".3g") -> str:
        """For one line: the median and the central 68 %."""
        low, middle, high = (format(value, form) for value in self.values[1:4])
        return f"{middle} ({low} to {high})"

    cell = words


def quantiles(values: Floats, ends: float) -> Quantiles:
    """Those below ``ends``, 0.16, 0.5, 0.84 and above as much as ``ends``."""
    levels = (ends, 0.16, 0.5, 0.84, 1.0 - ends)
    return Quantiles(levels=levels, values=tuple(np.quantile(values, levels).tolist()))


def origin_of_skies(origin: str) -> str:
    """Experiments hold simulated signal: 'synthetic', or 'mixed' where the events that are scrambled are real."""
    return "mixed" if origin == "real" else "synthetic"
