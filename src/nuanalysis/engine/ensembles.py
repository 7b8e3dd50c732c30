"""Trials through an executor into a trial store that survives kills.

A task gets the path of the problem and a batch number, nothing else; the one coordinator writes each batch as it
arrives.  The problem file and the trial store are named by the sha256 of what they were made from.
"""

from __future__ import annotations

import hashlib
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nuanalysis import store, trials
from nuanalysis.engine.executors import Executor, Threads
from nuanalysis.engine.provenance import code_fingerprint
from nuanalysis.errors import DataError
from nuanalysis.model import Hypothesis, Prepared, Sample
from nuanalysis.response import NONE, Systematics
from nuanalysis.sky.records import Template

Progress = Callable[[str], None]
_BATCH_SECONDS = 1.5
_SPECTRUM_AT = np.linspace(2.0, 8.0, 601)  # log10 E/GeV at which the spectrum of a template is told from another
# Event-shapes placed and fitted per second, rough constants: they only set batch sizes.
_WORK_PER_SECOND = {"scramble": 3.0e8, "injection": 3.0e7}


@dataclass(frozen=True, slots=True)
class Plan:
    """Which trials: plain or tilted scrambles, or injected signal of the given mean strengths.

    stretch : see ``trials.interval``; 1 for scrambles.
    systematics : how the detectors of injected signal differ, each trial its own.
    smear : width in rad by which declinations of scrambles are smeared too, see ``trials.correlated_trials``.
    """

    seed: int
    n_trials: int
    tilts: tuple[trials.Tilt, ...] = trials.PLAIN
    n_means: tuple[float, ...] = ()
    stretch: float = 1.0
    smear: float = 0.0
    systematics: Systematics = NONE

    @property
    def kind(self) -> str:
        """'scramble' or 'injection'."""
        return "injection" if self.n_means else "scramble"

    def columns(self, n_hypotheses: int) -> tuple[str, ...]:
        """Columns of the trial store."""
        return trials.INJECTION_COLUMNS if self.n_means else trials.columns(n_hypotheses)


def _feed(digest: Any, value: object) -> None:
    if isinstance(value, np.ndarray):
        digest.update(str((value.dtype, value.shape)).encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, xr.Dataset):
        for name in sorted(str(n) for n in value.variables):
            digest.update(name.encode())
            _feed(digest, np.asarray(value[name].values))
    else:
        digest.update(repr(value).encode())


def problem_fingerprint(hypothesis: Hypothesis, samples: tuple[Sample, ...]) -> str:
    """sha256 of everything a trial of this problem depends on but its seed and its number."""
    digest = hashlib.sha256(code_fingerprint().encode())
    target = hypothesis.target
    if isinstance(target, Template):
        for array in (target.maps, target.log10_energy, target.spectrum.shape(_SPECTRUM_AT)):
            _feed(digest, array)
    else:
        _feed(digest, (target.sources, target.weights))
    _feed(digest, (hypothesis.index, hypothesis.index_free))
    for sample in samples:
        columns = ("right_ascension", "declination", "log10_energy", "angular_error")
        for part in (
            *(sample.array(c) for c in columns),
            sample.response.dataset,
            sample.binning.sin_dec_edges,
            sample.binning.log10_energy_edges,
        ):
            _feed(digest, part)
        response = sample.response
        settings = (response.error_scale, response.error_spread, response.error_floor)
        _feed(
            digest,
            (
                sample.name,
                sample.livetime,
                sample.nside,
                sample.binning.dec_smoothing,
                sample.binning.min_count,
                sample.log10_energy_range,
                sample.declination_range,
                *settings,
            ),
        )
    return digest.hexdigest()


def _batch_size(problems: tuple[Prepared, ...], plan: Plan) -> int:
    """Trials that make about a second and a half of work; a pure function of the problem and the plan."""
    work = sum(
        sum(len(p.active) for p in prepared.parts)
        * (1 + len(prepared.mixing[0]))
        * (1 if len(prepared.index) == 1 else 4)
        * (20 if plan.smear else 1)
        for prepared in problems
    )
    return int(np.clip(_BATCH_SECONDS * _WORK_PER_SECOND[plan.kind] / max(work, 1), 10, 1000))


@lru_cache(maxsize=1)
def open_problem(path: str) -> tuple[Prepared, ...]:
    """The problem of a path named by its content: opened once per process."""
    try:
        problem: tuple[Prepared, ...] = pickle.loads(Path(path).read_bytes())
    except (OSError, EOFError, pickle.UnpicklingError, ValueError, AttributeError, ImportError) as error:
        raise DataError(f"the problem file {path} is damaged ({error}); remove it and call again") from error
    return problem


def run_batch(problem: str, plan: Plan, batch: int, k: int) -> NDArray[np.float64]:
    """Trials of batch k of a plan, (trial, column)."""
    return run_trials(open_problem(problem), plan, batch, k)


def run_trials(problems: tuple[Prepared, ...], plan: Plan, batch: int, k: int) -> NDArray[np.float64]:
    """As run_batch, on problems at hand."""
    first, last = k * batch, min((k + 1) * batch, plan.n_trials)
    if plan.n_means:
        return trials.injection_trials(
            problems[0], plan.seed, first, last, plan.n_means, plan.stretch, plan.systematics
        )
    return trials.scramble_trials(problems, plan.seed, first, last, plan.tilts, plan.smear)


def _progress_line(plan: Plan, done: int, started: float, new: list[NDArray[np.float64]]) -> str:
    """Trials a second, effective sample size of the ensemble as a whole, and time left."""
    seconds, n_new = max(time.monotonic() - started, 1e-6), sum(map(len, new))
    rate = n_new / seconds
    left = (plan.n_trials - done) / rate if rate > 0 else 0.0
    line = f"  {plan.kind} trials {done}/{plan.n_trials}, {rate:.0f} a second, {left:.0f} s left"
    if plan.n_means:
        return line
    column = plan.columns(1).index("log_weight") if new[0].shape[1] == len(plan.columns(1)) else -1
    return line + f", effective {effective(np.concatenate(new)[:, column]):.0f} of {n_new}"


def effective(log_weight: NDArray[np.float64]) -> float:
    """Effective number of trials under the null, (sum w)^2 / sum w^2."""
    weight = np.exp(log_weight - log_weight.max())
    return float(weight.sum() ** 2 / (weight**2).sum())


def problem_path(folder: Path, fingerprint: str) -> Path:
    """Where a prepared problem lies while its trials run."""
    return folder / "cache" / f"{fingerprint}.problem"


def run(
    prepared: Prepared | tuple[Prepared, ...],
    plan: Plan,
    folder: Path,
    executor: Executor,
    progress: Progress,
    *,
    fingerprint: str,
    batch: int = 0,
) -> xr.Dataset:
    """All trials of a plan, from the store where they are there; returns one variable per column, dim ``trial``.

    prepared : one problem, or several for correlated scrambles.
    fingerprint : of the problem, see ``problem_fingerprint``.  A killed call goes on where it was.
    batch : trials of one task, by default about a second's work; the trials do not depend on it.
    Scrambles carry the attribute ``ess``, the effective number of trials under the null.
    """
    problems = prepared if isinstance(prepared, tuple) else (prepared,)
    decides = replace(plan, n_trials=0)
    details = hashlib.sha256(repr((fingerprint, decides)).encode()).hexdigest()
    problem = problem_path(folder, fingerprint)
    path = folder / "trials" / f"{plan.kind}-{details[:24]}.zarr"
    batch = batch or _batch_size(problems, plan)
    attrs = {
        "seed": plan.seed,
        "kind": plan.kind,
        "stretch": plan.stretch,
        "smear": plan.smear,
        "systematics": asdict(plan.systematics),
        "hypothesis": "; ".join(p.hypothesis.name for p in problems),
        "samples": [p.sample.name for p in problems[0].parts],
    }
    if (path / "zarr.json").exists():
        batch = store.ensemble_layout(path).batch
    path.parent.mkdir(parents=True, exist_ok=True)
    problem.parent.mkdir(parents=True, exist_ok=True)
    store.create_ensemble(
        path, fingerprint=details, columns=plan.columns(len(problems)), n_trials=plan.n_trials, batch=batch, attrs=attrs
    )
    missing = [k for k in store.missing_batches(path) if k * batch < plan.n_trials]
    if missing:
        shared = isinstance(executor, Threads)
        if not shared and not problem.exists():
            store.atomic_write(problem, pickle.dumps(problems, protocol=5))
        started, total = time.monotonic(), store.ensemble_layout(path).n_trials
        wanted = replace(plan, n_trials=total)
        done = total - sum(min(batch, total - k * batch) for k in missing)
        new: list[NDArray[np.float64]] = []
        said = 0.0
        work = (
            partial(run_trials, problems, wanted, batch) if shared else partial(run_batch, str(problem), wanted, batch)
        )
        for position, rows in executor.map(work, missing):
            store.write_batch(path, missing[position], rows)
            new.append(rows)
            if time.monotonic() - said > 2.0:
                said = time.monotonic()
                progress(_progress_line(wanted, done + sum(map(len, new)), started, new))
    found = store.read_ensemble(path, n_trials=plan.n_trials)
    return found if plan.n_means else found.assign_attrs(ess=effective(found["log_weight"].values))
