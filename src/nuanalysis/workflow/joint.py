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
from nuanalysis.errors import InputError
from nuanalysis.interpret import fluxes
from nuanalysis.likelihood import JointFit, JointTerms, joint_maximum, maximise_joint, refuse_flat
from nuanalysis.model import OWN_SPECTRUM, Prepared
from nuanalysis.workflow import inference
from nuanalysis.workflow.ensembles import Progress, _open_problem, problem_path
from nuanalysis.workflow.executors import Executor, Threads
from nuanalysis.workflow.hypotheses import check_name
from nuanalysis.workflow.inference import Problem

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
    return run_trials(_open_problem(problem), plan, batch, k)


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
    if exactly and len(names) != exactly:
        raise InputError(f"{option} holds {len(names)} models; expected {exactly}, for example template:pi0,stack:snr")
    if len(names) < 2:
        raise InputError(f"{option} holds {', '.join(names) or 'nothing'}; expected two or more hypotheses")
    for name in names:
        check_name(name)


def check_trials(n: int) -> None:
    """Raise InputError for too few trials to say anything."""
    if n < FEWEST_TRIALS:
        raise InputError(f"--trials is {n}; expected {FEWEST_TRIALS} or more")


# --- pseudo-experiments -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Signal to inject: n_signal and index of each hypothesis, and the error of the correction, (j,) each."""

    n_signal: Floats
    index: Floats
    error: Floats


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
    return Truth(np.maximum(truth.n_signal + fitted - bias.median, 0.0), truth.index, bias.median_error)


def corrected(bench: Bench, fitted: Floats, index: Floats, model: Model, stage: int, rounds: int = 2) -> Truth:
    """The signal whose median fit, with this model, is the fitted one; from short ensembles, two rounds by default."""
    truth = Truth(fitted, index, np.zeros(len(fitted)))
    if not fitted.any():
        return truth
    n = max(bench.n_trials // _PILOT_PART, _LEAST_PILOT)
    for turn in range(rounds):
        truth = _moved(truth, fitted, bench.draw(truth, (model,), stage + turn, n), model)
    return truth


def _share(found: trials.Share) -> dict[str, Any]:
    return {"p": found.p, "p_error": found.error, "n_trials": found.n_trials, "is_upper_bound": found.is_bound}


def _p_value(found: trials.Share) -> dict[str, Any]:
    """A p-value for people: with its significance, as local."""
    sigma = float(norm.isf(found.p)) if found.p < 1.0 else None
    return {**_share(found), "sigma": sigma, "kind": LOCAL, "method": METHOD}


# --- the joint fit ----------------------------------------------------------------------------------------------------


def _flux_per_event(prepared: Prepared, index: float) -> float:
    """E^2 dN/dE at 100 TeV for one event; between two spectral nodes that of their mixture."""
    if len(prepared.index) == 1:
        return 1.0 / fluxes.prepared_events_per_flux(prepared)
    return float(np.interp(index, prepared.index, fluxes.E2_PER_DNDE / prepared.expected))


def _convention(problem: Problem, index: float) -> str:
    """What the flux is; with a free index at the fitted one."""
    if not problem.hypothesis.index_free:
        return fluxes.convention(problem.hypothesis)
    return fluxes.convention(replace(problem.hypothesis, index=float(np.round(index, 3))))


def _null(bench: Bench, data: JointTerms, ts: float, j: int) -> dict[str, Any]:
    """How often the others alone give a TS as large for hypothesis j.

    The others hold the signal of their own fit with n_j = 0, corrected for its bias.
    """
    if ts <= 0.0:
        return {"p": 1.0, "p_error": 0.0, "n_trials": 0, "is_upper_bound": False, "sigma": None, "kind": LOCAL,
                "method": "the test statistic is zero: every experiment has at least as much"}  # fmt: skip
    others = tuple(k for k in bench.everyone if k != j)
    alone = joint_maximum(data, others)
    stage = 10 * (j + 1)
    truth = corrected(bench, alone.n_signal(data), alone.index(data), others, stage)
    found = bench.draw(truth, (bench.everyone, others), stage + 5)
    each = found["ts_0"].values - found["ts_1"].values
    record = _p_value(trials.share(each >= ts))
    return {
        **record,
        "others_injected": {bench.problems[k].hypothesis.name: float(truth.n_signal[k]) for k in others},
        "share_at_zero": float((each < 1e-9).mean()),
        "not_converged": int((found["converged_0"].values * found["converged_1"].values < 1).sum()),
    }


def _number(value: float) -> float | None:
    """JSON has no infinity: null where a number is not finite."""
    return float(value) if np.isfinite(value) else None


def _matrix(values: Floats) -> list[list[float | None]]:
    return [[_number(v) for v in row] for row in values]


def _row(problem: Problem, fit: JointFit, bias: trials.JointBias, truth: Truth, j: int) -> dict[str, Any]:
    """One hypothesis of a joint fit."""
    n, index = float(fit.n_signal[j]), float(fit.index[j])
    per_event = _flux_per_event(problem.prepared, index)
    injected = float(bias.n_injected[j])
    factor = float(bias.median[j]) / injected if injected > 0 else None
    scale = 1.0 / factor if factor else 1.0
    free = problem.hypothesis.index_free
    described = inference.describe(problem, "")
    return {
        **{key: described[key] for key in ("hypothesis", "label", "model_origin", "model_reference", "fingerprint")},
        "n_s": n,
        "n_s_error": _number(fit.errors[j]),
        "at_bound": fit.names[j] in fit.at_bound,
        "index": index if index != OWN_SPECTRUM and (n > 0 or not free) else None,
        "index_free": free,
        "ts": float(fit.ts_each[j]),
        "n_injected": injected,
        "bias": factor,
        "bias_error": float(bias.median_error[j]) / injected if injected > 0 else None,
        "bias_of_mean": float(bias.mean[j]) / injected if injected > 0 else None,
        "bias_of_mean_error": float(bias.mean_error[j]) / injected if injected > 0 else None,
        "n_fitted_deviation": float(bias.deviation[j]),
        "coverage": float(bias.coverage[j]),
        "coverage_corrected": float(bias.coverage_corrected[j]),
        "coverage_error": float(bias.coverage_error[j]),
        "n_s_corrected": float(truth.n_signal[j]),
        "n_s_corrected_error": float(truth.error[j]) * scale,
        "flux_uncorrected": n * per_event,
        "flux": float(truth.n_signal[j]) * per_event,
        "flux_error": _number(fit.errors[j] * scale * per_event),
        "flux_convention": _convention(problem, index),
    }


_NOTES = (
    "n_s_error is one standard deviation from the curvature of ln L, the other norms free and all indices held; "
    "coverage is how often it holds the truth (stated: 0.683)",
    "bias is the median fit over what was injected; n_s_corrected is the signal whose median fit is that of the data, "
    "and its error that of the correction, without that of the fit",
    "ts of a hypothesis: all free against its n_s = 0, the others fitted again",
)


def _head(problems: tuple[Problem, ...], sample_name: str) -> dict[str, Any]:
    described = [inference.describe(p, sample_name) for p in problems]
    keys = ("sample", "origin", "n_events", "seed", "injected")
    return {
        **{key: described[0][key] for key in keys},
        "notes": sorted({note for d in described for note in d["notes"]}),
    }


def check(problems: tuple[Problem, ...]) -> None:
    """Raise InputError for hypotheses that cannot be fitted together."""
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
        row = _row(problem, fit, bias, truth, j)
        progress(f"{row['hypothesis']}: TS {row['ts']:.2f} with the others profiled")
        rows.append({**row, "p_value": _null(bench, data, row["ts"], j)})
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


def compare(
    problems: tuple[Problem, ...], sample_name: str, n_trials: int, executor: Executor, progress: Progress
) -> dict[str, Any]:
    """Which of two models the events prefer, and how well they could tell: q = TS_B - TS_A."""
    started = time.monotonic()
    check(problems)
    bench = Bench(problems, n_trials, executor, progress)
    data = trials.joint_data(tuple(p.prepared for p in problems))
    models: tuple[Model, ...] = ((0,), (1,))
    best = [joint_maximum(data, model) for model in models]
    truths, qs, lost = [], [], 0
    for k, (model, fit) in enumerate(zip(models, best, strict=True)):
        truth = corrected(bench, fit.n_signal(data), fit.index(data), model, 1000 * (k + 1))
        progress(f"{problems[k].hypothesis.name}: TS {fit.ts:.2f}; experiments with {truth.n_signal[k]:.1f} events")
        found = bench.draw(truth, models, 1000 * (k + 1) + 5)
        truths.append(truth)
        qs.append(found["ts_1"].values - found["ts_0"].values)
        lost += int((found["converged_0"].values * found["converged_1"].values < 1).sum())
    answer = trials.compare_models(best[1].ts - best[0].ts, qs[0], qs[1])
    head = _head(problems, sample_name)
    notes = [
        f"the best fit of {problems[k].hypothesis.name} is n_s = 0: its experiments hold no signal"
        for k in (0, 1)
        if not truths[k].n_signal.any()
    ]
    return {
        **head,
        "notes": [*head["notes"], *notes, "q = TS_B - TS_A on the same events; A is the first model, B the second"],
        "models": [_model(problems[k], best[k].n_signal(data)[k], best[k], data, truths[k], k) for k in (0, 1)],
        "q": answer.q,
        "p_a": {**_p_value(answer.p_a), "of": "P(q >= observed | A)"},
        "p_b": {**_p_value(answer.p_b), "of": "P(q <= observed | B)"},
        "power": {
            "level": 0.05,
            "against_a": {**_share(answer.power_against_a), "of": "experiments of B above the 95 % quantile of q of A"},
            "against_b": {**_share(answer.power_against_b), "of": "experiments of A below the 5 % quantile of q of B"},
        },
        "right_model_has_larger_ts": {"a": _share(answer.right_a), "b": _share(answer.right_b)},
        "q_quantiles": {
            "levels": [0.05, 0.16, 0.5, 0.84, 0.95],
            **{n: np.quantile(q, [0.05, 0.16, 0.5, 0.84, 0.95]).tolist() for n, q in zip("ab", qs, strict=True)},
        },
        "n_trials": n_trials,
        "not_converged": lost,
        "flux_unit": fluxes.UNIT,
        "seconds": time.monotonic() - started,
    }


def _model(problem: Problem, n: float, best: Any, data: JointTerms, truth: Truth, k: int) -> dict[str, Any]:
    """One of two models: its own fit."""
    index, free = float(best.index(data)[k]), problem.hypothesis.index_free
    per_event = _flux_per_event(problem.prepared, index)
    described = inference.describe(problem, "")
    return {
        **{key: described[key] for key in ("hypothesis", "label", "model_origin", "model_reference", "fingerprint")},
        "ts": best.ts,
        "n_s": float(n),
        "n_s_corrected": float(truth.n_signal[k]),
        "index": index if index != OWN_SPECTRUM and (n > 0 or not free) else None,
        "index_free": free,
        "converged": best.converged,
        "flux_uncorrected": float(n) * per_event,
        "flux": float(truth.n_signal[k]) * per_event,
        "flux_convention": _convention(problem, index),
    }
