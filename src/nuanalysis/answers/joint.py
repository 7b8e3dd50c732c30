"""Several hypotheses fitted together, and two compared: fits, pseudo-experiments, and the answer as a document.

Pseudo-experiments go through an executor into the trial store like every ensemble: a killed call goes on where it was.
The signal they hold is the fit, corrected for its bias: what was injected is moved until the median fit is the one of
the data.
"""

from __future__ import annotations

import hashlib
import pickle
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import norm

from nuanalysis import store, trials
from nuanalysis.answers import inference
from nuanalysis.answers.inference import Problem
from nuanalysis.engine.ensembles import Progress, open_problem, problem_path
from nuanalysis.engine.executors import Executor, Threads
from nuanalysis.errors import InputError
from nuanalysis.interpret import fluxes
from nuanalysis.library.hypotheses import check_name
from nuanalysis.likelihood import (
    TS_TOLERANCE,
    JointFit,
    JointMaximum,
    JointTerms,
    curvature_at,
    joint_maximum,
    maximise_joint,
    refuse_flat,
)
from nuanalysis.model import OWN_SPECTRUM, Hypothesis, Prepared

Floats = NDArray[np.float64]
Model = tuple[int, ...]
METHOD = "pseudo-experiments: scrambled data and injected signal, background estimated again from both"
LOCAL = "local: of this question alone, not corrected for others asked of the same events"
FEWEST_TRIALS = 100
_SEED_STEP = 15_485_863  # every ensemble has a seed of its own
_PILOT_PART, _LEAST_PILOT = 4, 100
_BATCH_SECONDS, _WORK_PER_SECOND = 1.5, 3.0e7  # as for injections; they only set batch sizes


@dataclass(frozen=True, slots=True)
class JointPlan:
    """Which pseudo-experiments: mean signal events and spectral index of each hypothesis, and the models fitted."""

    seed: int
    n_trials: int
    n_means: tuple[float, ...]
    indices: tuple[float, ...]
    models: tuple[Model, ...]


def run_trials(problems: tuple[Prepared, ...], plan: JointPlan, batch: int, k: int) -> Floats:
    """Trials of batch k of a plan, (trial, column)."""
    first, last = k * batch, min((k + 1) * batch, plan.n_trials)
    injected = tuple(trials.at_index(p, index) for p, index in zip(problems, plan.indices, strict=True))
    return trials.joint_trials(injected, plan.seed, first, last, plan.n_means, plan.models)


def run_batch(problem: str, plan: JointPlan, batch: int, k: int) -> Floats:
    """As run_trials, on the problems of a file."""
    return run_trials(open_problem(problem), plan, batch, k)


def _batch_size(problems: tuple[Prepared, ...], plan: JointPlan) -> int:
    work = sum(
        sum(len(part.active) for part in p.parts) * (1 + len(p.mixing[0])) * (1 if len(p.index) == 1 else 16)
        for p in problems
    )
    return int(np.clip(_BATCH_SECONDS * _WORK_PER_SECOND / max(work * len(plan.models), 1), 5, 1000))


def run(problems: tuple[Problem, ...], plan: JointPlan, executor: Executor, progress: Progress) -> xr.Dataset:
    """All trials of a plan, from the store where they are there; one variable a column of ``joint_columns``."""
    prepared, folder = tuple(p.prepared for p in problems), problems[0].folder
    name = hashlib.sha256(" ".join(["joint", *(p.fingerprint for p in problems)]).encode()).hexdigest()
    details = hashlib.sha256(repr((name, replace(plan, n_trials=0))).encode()).hexdigest()
    problem, path = problem_path(folder, name), folder / "trials" / f"joint-{details[:24]}.zarr"
    batch = _batch_size(prepared, plan)
    if (path / "zarr.json").exists():
        batch = store.ensemble_layout(path).batch
    for file in (problem, path):
        file.parent.mkdir(parents=True, exist_ok=True)
    attrs = {"seed": plan.seed, "kind": "joint", "hypothesis": "; ".join(p.hypothesis.name for p in problems)}
    columns = trials.joint_columns(plan.models)
    store.create_ensemble(path, fingerprint=details, columns=columns, n_trials=plan.n_trials, batch=batch, attrs=attrs)
    wanted = replace(plan, n_trials=store.ensemble_layout(path).n_trials)
    missing = [k for k in store.missing_batches(path) if k * batch < plan.n_trials]
    if missing:
        _fill(path, problem, prepared, wanted, batch, missing, executor, progress)
    return store.read_ensemble(path, n_trials=plan.n_trials)


def _fill(
    path: Path,
    problem: Path,
    prepared: tuple[Prepared, ...],
    plan: JointPlan,
    batch: int,
    missing: list[int],
    executor: Executor,
    progress: Progress,
) -> None:
    """Work through the missing batches; threads share the problem, others open it from its file."""
    shared = isinstance(executor, Threads)
    if not shared and not problem.exists():
        store.atomic_write(problem, pickle.dumps(prepared, protocol=5))
    work = partial(run_trials, prepared, plan, batch) if shared else partial(run_batch, str(problem), plan, batch)
    said = time.monotonic()
    for done, (position, rows) in enumerate(executor.map(work, missing), start=1):
        store.write_batch(path, missing[position], rows)
        if time.monotonic() - said > 2.0:
            said = time.monotonic()
            progress(f"  pseudo-experiments: {done} of {len(missing)} batches of {batch}")


# --- what is asked ----------------------------------------------------------------------------------------------------


def check_names(names: tuple[str, ...], *, exactly: int = 0) -> None:
    """Raise InputError unless these are two or more different hypotheses that we know, or exactly so many."""
    option = "--models" if exactly else "--hypotheses"
    if len(set(names)) < len(names):
        twice = [n for n in dict.fromkeys(names) if names.count(n) > 1]
        raise InputError(f"{option} names {', '.join(twice)} twice; expected different hypotheses")
    for name in names:
        check_name(name)
    if exactly and len(names) != exactly:
        raise InputError(f"{option} holds {len(names)} models; expected {exactly}, for example template:pi0,stack:snr")
    if len(names) < 2:
        raise InputError(f"{option} holds {', '.join(names) or 'nothing'}; expected two or more hypotheses")


def check_trials(n: int) -> None:
    """Raise InputError for too few trials to say anything."""
    if n < FEWEST_TRIALS:
        raise InputError(f"--trials is {n}; expected {FEWEST_TRIALS} or more")


# --- pseudo-experiments -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Signal to inject: n_signal and index of each hypothesis, (j,) each.

    error : Monte Carlo error of the correction that led to n_signal, without that of the fit.
    factor : median fit over injected signal where the correction was read; 1 below two standard deviations of fits,
        where the bound at zero makes that ratio no scale.
    """

    n_signal: Floats
    index: Floats
    error: Floats
    factor: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """Where pseudo-experiments of several problems are done, and how many."""

    problems: tuple[Problem, ...]
    n_trials: int
    executor: Executor
    progress: Progress

    @property
    def everyone(self) -> Model:
        """The model with all hypotheses free."""
        return tuple(range(len(self.problems)))

    def draw(self, truth: Truth, models: tuple[Model, ...], stage: int, n_trials: int = 0) -> xr.Dataset:
        """Pseudo-experiments with this signal; each stage has a seed of its own."""
        seed = (self.problems[0].seed + stage * _SEED_STEP) % 2**63
        means = tuple(float(n) for n in truth.n_signal)
        plan = JointPlan(seed, n_trials or self.n_trials, means, tuple(map(float, truth.index)), models)
        return run(self.problems, plan, self.executor, self.progress)


def _column(found: xr.Dataset, name: str, m: int, model: Model, n_hypotheses: int) -> Floats:
    """(trial, j) of one model, 0 for the hypotheses that it leaves out."""
    out = np.zeros((found.sizes["trial"], n_hypotheses))
    for j in model:
        out[:, j] = found[f"{name}_{m}_{j}"].values
    return out


def _moved(truth: Truth, fitted: Floats, found: xr.Dataset, model: Model) -> Truth:
    """The signal moved by how far the median fit of its pseudo-experiments is from the fit of the data."""
    n_signal = _column(found, "n_signal", 0, model, len(fitted))
    bias = trials.joint_bias(truth.n_signal, n_signal, np.ones_like(n_signal))
    known = (truth.n_signal > 2.0 * bias.deviation) & (bias.median > 0.0)
    factor = np.where(known, bias.median / np.where(known, truth.n_signal, 1.0), 1.0)
    moved = np.maximum(truth.n_signal + fitted - bias.median, 0.0)
    return Truth(moved, truth.index, bias.median_error / factor, factor)


def corrected(bench: Bench, fitted: Floats, index: Floats, model: Model, stage: int, rounds: int = 2) -> Truth:
    """The signal whose median fit, with this model, is the fitted one; from short ensembles, two rounds by default."""
    truth = Truth(fitted, index, np.zeros(len(fitted)), np.ones(len(fitted)))
    if not fitted.any():
        return truth
    n = max(bench.n_trials // _PILOT_PART, _LEAST_PILOT)
    for turn in range(rounds):
        truth = _moved(truth, fitted, bench.draw(truth, (model,), stage + turn, n), model)
    return truth


def _bound(found: trials.Share) -> dict[str, Any]:
    return {
        "n_trials": found.n_trials,
        "is_upper_bound": found.upper_bound is not None,
        "upper_bound_90": found.upper_bound,
    }


def _share(found: trials.Share) -> dict[str, Any]:
    return {"share": found.p, "share_error": found.error, **_bound(found)}


def _p_value(found: trials.Share) -> dict[str, Any]:
    """A p-value for people: with its significance, as local."""
    sigma = float(norm.isf(found.p)) if found.p < 1.0 else None
    return {"p": found.p, "p_error": found.error, **_bound(found), "sigma": sigma, "kind": LOCAL, "method": METHOD}


def _without_trials(p: float | None, why: dict[str, str]) -> dict[str, Any]:
    """The record of a p-value that no trial can change."""
    error = None if p is None else 0.0
    bound = {"n_trials": 0, "is_upper_bound": False, "upper_bound_90": None}
    return {"p": p, "p_error": error, **bound, "sigma": None, "kind": LOCAL, **why}


# --- the joint fit ----------------------------------------------------------------------------------------------------


def _flux_per_event(prepared: Prepared, index: float) -> float:
    """E^2 dN/dE at 100 TeV for one event; between two spectral nodes that of their mixture."""
    if len(prepared.index) == 1:
        return 1.0 / fluxes.prepared_events_per_flux(prepared)
    return float(np.interp(index, prepared.index, fluxes.E2_PER_DNDE / prepared.expected))


def _quoted(problem: Problem, index: float) -> Hypothesis:
    """The hypothesis whose flux is quoted: with a free index at the fitted one."""
    if not problem.hypothesis.index_free:
        return problem.hypothesis
    return replace(problem.hypothesis, index=float(np.round(index, 3)))


def _held(problem: Problem) -> str:
    """What the error of a flux takes as known."""
    if problem.hypothesis.index_free:
        return (
            "errors of n_s hold no index; where events become a flux the fitted index is held, so errors of the flux "
            "are those of n_s alone"
        )
    return "the spectrum is held"


def _strength(problem: Problem, n: float, n_error: float, index: float, truth: Truth, j: int) -> dict[str, Any]:
    """n_s as fitted and corrected for its bias, and both as fluxes.

    Errors of the corrected have two parts: _fit is that of the fit, divided by the bias; _correction is that of the
    trials behind the correction.
    """
    per_event = _flux_per_event(problem.prepared, index)
    flux = float(truth.n_signal[j]) * per_event
    fit, correction = n_error / float(truth.factor[j]), float(truth.error[j])
    errors = {"error_fit": _number(fit * per_event), "error_correction": correction * per_event}
    quoted = _quoted(problem, index)
    return {
        "n_s": n,
        "n_s_error": _number(n_error),
        "n_s_corrected": float(truth.n_signal[j]),
        "n_s_corrected_error_fit": _number(fit),
        "n_s_corrected_error_correction": correction,
        "flux_uncorrected": n * per_event,
        "flux": flux,
        **{f"flux_{name}": value for name, value in errors.items()},
        "flux_convention": fluxes.convention(quoted),
        "flux_held": _held(problem),
        "in_models": inference._in_models(quoted, {"best": flux, **errors}),
    }


def null(bench: Bench, data: JointTerms, ts: float, j: int) -> dict[str, Any]:
    """How often the others alone give a TS as large for hypothesis j; data are the terms of the observed events.

    The others hold the signal of their own fit with n_j = 0, corrected for its bias.
    """
    if ts <= TS_TOLERANCE:
        return _without_trials(1.0, {"method": "the test statistic is zero: every experiment has at least as much"})
    others = tuple(k for k in bench.everyone if k != j)
    alone = joint_maximum(data, others)
    stage = 10 * (j + 1)
    truth = corrected(bench, alone.n_signal(data), alone.index(data), others, stage)
    found = bench.draw(truth, (bench.everyone, others), stage + 5)
    each = found["ts_0"].values - found["ts_1"].values
    return {
        **_p_value(trials.as_large(each, ts)),
        "others_injected": {bench.problems[k].hypothesis.name: float(truth.n_signal[k]) for k in others},
        "share_at_zero": float((each <= TS_TOLERANCE).mean()),
        "not_converged": int((found["converged_0"].values * found["converged_1"].values < 1).sum()),
    }


def _number(value: float) -> float | None:
    """JSON has no infinity: null where a number is not finite."""
    return float(value) if np.isfinite(value) else None


def _matrix(values: Floats) -> list[list[float | None]]:
    return [[_number(v) for v in row] for row in values]


def _named(problem: Problem) -> dict[str, Any]:
    described = inference.describe(problem, "")
    return {key: described[key] for key in ("hypothesis", "label", "model_origin", "model_reference", "fingerprint")}


def _indices(problem: Problem, n: float, index: float, error: float) -> dict[str, Any]:
    free = problem.hypothesis.index_free
    return {
        "index": index if index != OWN_SPECTRUM and (n > 0 or not free) else None,
        "index_error": _number(error),
        "index_free": free,
    }


def _bias(bias: trials.JointBias, j: int) -> dict[str, Any]:
    """What the pseudo-experiments with the fitted signal say about one norm."""
    injected = float(bias.n_injected[j])
    ratios = {
        "bias": bias.median[j],
        "bias_error": bias.median_error[j],
        "bias_of_mean": bias.mean[j],
        "bias_of_mean_error": bias.mean_error[j],
    }
    return {
        "n_injected": injected,
        **{name: float(value) / injected if injected > 0 else None for name, value in ratios.items()},
        "n_fitted_deviation": float(bias.deviation[j]),
        "coverage": float(bias.coverage[j]),
        "coverage_corrected": float(bias.coverage_corrected[j]),
        "coverage_error": float(bias.coverage_error[j]),
    }


def _index_coverage(problem: Problem, found: xr.Dataset, truth: Truth, j: int) -> float | None:
    """How often the fitted index is within its error of the injected one; None where it is held or never fitted."""
    index, error = (found[f"{name}_0_{j}"].values for name in ("index", "index_error"))
    known = np.isfinite(error)
    if not problem.hypothesis.index_free or not known.any():
        return None
    injected = trials.at_index(problem.prepared, float(truth.index[j])).hypothesis.index
    return float((np.abs(index - injected) <= error)[known].mean())


_LOST = "the events cannot tell {names} apart: only the sum of their norms is determined; leave one of them out"
# What has no meaning for a norm that is one choice of many.
_MEANINGLESS = (
    "n_s_error", "n_s_corrected", "n_s_corrected_error_fit", "n_s_corrected_error_correction", "flux_uncorrected",
    "flux", "flux_error_fit", "flux_error_correction", "in_models", "index_error", "index_coverage", "bias",
    "bias_error", "bias_of_mean", "bias_of_mean_error", "coverage", "coverage_corrected", "coverage_error",
)  # fmt: skip


def _row(
    problem: Problem, fit: JointFit, found: xr.Dataset, bias: trials.JointBias, first: Truth, truth: Truth, j: int
) -> dict[str, Any]:
    """One hypothesis of a joint fit: all but its p-value."""
    n, index = float(fit.n_signal[j]), float(fit.index[j])
    row = {
        **_named(problem),
        **_strength(problem, n, float(fit.errors[j]), index, truth, j),
        "at_bound": fit.names[j] in fit.at_bound,
        "undetermined": fit.names[j] in fit.undetermined,
        **_indices(problem, n, index, float(fit.index_errors[j])),
        "index_coverage": _index_coverage(problem, found, first, j),
        "ts": float(fit.ts_each[j]),
        **_bias(bias, j),
    }
    if not row["undetermined"]:
        return row
    why = _LOST.format(names=" and ".join(fit.undetermined))
    return {**row, **dict.fromkeys(_MEANINGLESS), "reason": why, "p_value": _without_trials(None, {"reason": why})}


_ERRORS = (
    "n_s_error is one standard deviation from the curvature of ln L, the other norms and every free index free too",
    "n_s_corrected is the signal whose median fit is that of the data: its error_fit is n_s_error over the bias, its "
    "error_correction that of the experiments behind the correction",
    "p is (k + 1) / (n + 1) for k of n experiments with as much; where k = 0 the probability lies below upper_bound_90",
)
_NOTES = (
    *_ERRORS,
    "coverage is how often fit and error hold the truth in the experiments (stated: 0.683), coverage_corrected the "
    "same after the correction, index_coverage that of an index; bias is the median fit over what was injected",
    "ts of a hypothesis: all free against its n_s = 0, the others fitted again",
    "a free index is as fitted, not corrected for its bias: injected sources of 6 standard deviations come back 0.39 "
    "too hard to 0.23 too soft (validation/test_injected_sources.py)",
)


def _head(problems: tuple[Problem, ...], sample_name: str) -> dict[str, Any]:
    described = [inference.describe(p, sample_name) for p in problems]
    keys = ("sample", "origin", "n_events", "seed", "injected")
    return {
        **{key: described[0][key] for key in keys},
        "notes": sorted({note for d in described for note in d["notes"]}),
    }


def check(problems: tuple[Problem, ...]) -> None:
    """Raise InputError for hypotheses that cannot be fitted together, or told apart."""
    seen: dict[str, str] = {}
    for problem in problems:
        name = problem.hypothesis.name
        if problem.fingerprint in seen:
            raise InputError(
                f"'{seen[problem.fingerprint]}' and '{name}' are one hypothesis under two names: the same map or "
                "sources, and the same spectrum; leave one of them out"
            )
        seen[problem.fingerprint] = name
    prepared = tuple(p.prepared for p in problems)
    trials.check_same_events(prepared)
    refuse_flat(prepared)


def fit_together(
    problems: tuple[Problem, ...], sample_name: str, n_trials: int, executor: Executor, progress: Progress
) -> dict[str, Any]:
    """Everything the package says about hypotheses that are fitted together."""
    started = time.monotonic()
    check(problems)
    data = trials.joint_data(tuple(p.prepared for p in problems))
    fit = maximise_joint(data)
    progress("; ".join(f"{name}: n_s {n:.1f}" for name, n in zip(fit.names, fit.n_signal, strict=True)))
    bench = Bench(problems, n_trials, executor, progress)
    first = corrected(bench, fit.n_signal, fit.index, bench.everyone, 1, rounds=1)
    found = bench.draw(first, (bench.everyone,), 5)
    columns = (_column(found, name, 0, bench.everyone, len(problems)) for name in ("n_signal", "error"))
    bias = trials.joint_bias(first.n_signal, *columns)
    truth = _moved(first, fit.n_signal, found, bench.everyone)
    rows = []
    for j, problem in enumerate(problems):
        row = _row(problem, fit, found, bias, first, truth, j)
        progress(f"{row['hypothesis']}: TS {row['ts']:.2f} with the others profiled")
        rows.append(row if row["undetermined"] else {**row, "p_value": null(bench, data, row["ts"], j)})
    head = _head(problems, sample_name)
    return {
        **head,
        "notes": [*head["notes"], *_NOTES, *fit.notes],
        "ts": fit.ts,
        "converged": fit.converged,
        "hypotheses": rows,
        "correlation": {
            "names": list(fit.names),
            "curvature": _matrix(fit.correlation),
            "measured": _matrix(bias.correlation),
            "measured_error": _matrix(bias.correlation_error),
        },
        "covariance": _matrix(fit.covariance),
        "flux_unit": fluxes.UNIT,
        "n_trials": n_trials,
        "not_converged": int((found["converged_0"].values < 1).sum()),
        "seconds": time.monotonic() - started,
    }


# --- two models -------------------------------------------------------------------------------------------------------

_ALONE: tuple[Model, ...] = ((0,), (1,))


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of two models: its own fit of the data, and experiments with that signal, corrected for its bias.

    q (trial,) : TS_B - TS_A of the experiments.  not_converged : how many of them.
    """

    best: JointMaximum
    truth: Truth
    q: Floats
    not_converged: int


def side(bench: Bench, data: JointTerms, k: int) -> Side:
    """Fit model k, 0 for A and 1 for B, and draw experiments of it; data are the terms of the observed events."""
    best, stage = joint_maximum(data, _ALONE[k]), 1000 * (k + 1)
    truth = corrected(bench, best.n_signal(data), best.index(data), _ALONE[k], stage)
    bench.progress(
        f"{bench.problems[k].hypothesis.name}: TS {best.ts:.2f}; experiments with {truth.n_signal[k]:.1f} events"
    )
    found = bench.draw(truth, _ALONE, stage + 5)
    lost = int((found["converged_0"].values * found["converged_1"].values < 1).sum())
    return Side(best, truth, found["ts_1"].values - found["ts_0"].values, lost)


def compare(
    problems: tuple[Problem, ...], sample_name: str, n_trials: int, executor: Executor, progress: Progress
) -> dict[str, Any]:
    """Which of two models the events prefer, and how well they could tell: q = TS_B - TS_A."""
    started = time.monotonic()
    check(problems)
    bench = Bench(problems, n_trials, executor, progress)
    data = trials.joint_data(tuple(p.prepared for p in problems))
    a, b = side(bench, data, 0), side(bench, data, 1)
    answer = trials.compare_models(b.best.ts - a.best.ts, a.q, b.q)
    head = _head(problems, sample_name)
    notes = [
        f"the best fit of {problem.hypothesis.name} is n_s = 0: its experiments hold no signal"
        for problem, one in zip(problems, (a, b), strict=True)
        if not one.truth.n_signal.any()
    ]
    levels = [0.05, 0.16, 0.5, 0.84, 0.95]
    return {
        **head,
        "notes": [*head["notes"], *notes, *_NOTES_OF_TWO],
        "models": [_model(problems[k], data, one, k) for k, one in enumerate((a, b))],
        "q": answer.q,
        "p_a": {**_p_value(answer.p_a), "of": "P(q >= observed | A)"},
        "p_b": {**_p_value(answer.p_b), "of": "P(q <= observed | B)"},
        "power": {
            "level": 0.05,
            "against_a": {**_share(answer.power_against_a), "of": "experiments of B above the 95 % quantile of q of A"},
            "against_b": {**_share(answer.power_against_b), "of": "experiments of A below the 5 % quantile of q of B"},
        },
        "right_model_has_larger_ts": {"a": _share(answer.right_a), "b": _share(answer.right_b)},
        "ties": {"a": _share(answer.ties_a), "b": _share(answer.ties_b)},
        "q_quantiles": {
            "levels": levels,
            **{name: np.quantile(one.q, levels).tolist() for name, one in (("a", a), ("b", b))},
        },
        "n_trials": n_trials,
        "not_converged": a.not_converged + b.not_converged,
        "flux_unit": fluxes.UNIT,
        "seconds": time.monotonic() - started,
    }


_NOTES_OF_TWO = (
    "q = TS_B - TS_A on the same events; A is the first model, B the second",
    "ties: experiments in which both have the same TS, as a rule zero; they count as equal for p-values, and as right "
    "for neither",
    *_ERRORS,
    "p-values are those at the fitted strength of each model; checked on small samples they are not uniform "
    "(docs/decisions/0013-joint-fits.md)",
)


def _model(problem: Problem, data: JointTerms, one: Side, k: int) -> dict[str, Any]:
    """One of two models: its own fit."""
    n, index = float(one.best.n_signal(data)[k]), float(one.best.index(data)[k])
    shape = curvature_at(data, one.best)
    return {
        **_named(problem),
        "ts": one.best.ts,
        **_strength(problem, n, float(shape.errors[0]), index, one.truth, k),
        **_indices(problem, n, index, float(shape.index_errors[0])),
        "converged": one.best.converged,
    }
