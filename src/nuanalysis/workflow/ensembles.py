"""Trials through an executor into a trial store that survives kills.

A task gets the path of the problem and a batch number, nothing else; the one coordinator writes each batch as it
arrives.  The problem file and the trial store are named by the sha256 of what they were made from.
"""

from __future__ import annotations

import hashlib
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nuanalysis import store, trials
from nuanalysis.errors import DataError
from nuanalysis.model import Hypothesis, Prepared, Sample
from nuanalysis.sky._records import Template
from nuanalysis.workflow.executors import Executor
from nuanalysis.workflow.provenance import code_fingerprint

Progress = Callable[[str], None]
_BATCH_SECONDS = 1.5
_EVENTS_PER_SECOND = 4.0e6  # event-shapes placed and fitted per second, a rough constant: it only sets batch sizes


@dataclass(frozen=True, slots=True)
class Plan:
    """Which trials: plain or tilted scrambles, or injected signal of the given mean strengths.

    stretch : see ``trials.interval``; 1 for scrambles.
    """

    seed: int
    n_trials: int
    tilts: tuple[trials.Tilt, ...] = trials.PLAIN
    n_means: tuple[float, ...] = ()
    stretch: float = 1.0

    @property
    def kind(self) -> str:
        """'scramble' or 'injection'."""
        return "injection" if self.n_means else "scramble"

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the trial store."""
        return trials.INJECTION_COLUMNS if self.n_means else trials.SCRAMBLE_COLUMNS


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
    _feed(digest, target.density if isinstance(target, Template) else (target.sources, target.weights))
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


def _batch_size(prepared: Prepared) -> int:
    """Trials that make about a second and a half of work; a pure function of the problem."""
    work = (
        sum(len(p.active) for p in prepared.parts)
        * (1 + len(prepared.mixing[0]))
        * (1 if len(prepared.index) == 1 else 4)
    )
    return int(np.clip(_BATCH_SECONDS * _EVENTS_PER_SECOND / max(work, 1), 10, 1000))


@lru_cache(maxsize=1)
def _open_problem(path: str) -> Prepared:
    """The problem of a path named by its content: opened once per process."""
    try:
        problem: Prepared = pickle.loads(Path(path).read_bytes())
    except (OSError, EOFError, pickle.UnpicklingError, ValueError, AttributeError, ImportError) as error:
        raise DataError(f"the problem file {path} is damaged ({error}); remove it and call again") from error
    return problem


def run_batch(problem: str, plan: Plan, batch: int, k: int) -> NDArray[np.float64]:
    """Trials of batch k of a plan, (trial, column)."""
    prepared = _open_problem(problem)
    first, last = k * batch, min((k + 1) * batch, plan.n_trials)
    if plan.n_means:
        return trials.injection_trials(prepared, plan.seed, first, last, plan.n_means, plan.stretch)
    return trials.scramble_trials(prepared, plan.seed, first, last, plan.tilts)


def _progress_line(plan: Plan, done: int, started: float, n_new: int) -> str:
    seconds = max(time.monotonic() - started, 1e-6)
    rate = n_new / seconds
    left = (plan.n_trials - done) / rate if rate > 0 else 0.0
    return f"  {plan.kind} trials {done}/{plan.n_trials}, {rate:.0f} a second, {left:.0f} s left"


def problem_path(folder: Path, fingerprint: str) -> Path:
    """Where a prepared problem lies while its trials run."""
    return folder / "cache" / f"{fingerprint}.problem"


def run(
    prepared: Prepared, plan: Plan, folder: Path, executor: Executor, progress: Progress, *, fingerprint: str
) -> xr.Dataset:
    """All trials of a plan, from the store where they are there; returns one variable per column, dim ``trial``.

    fingerprint : of the problem, see ``problem_fingerprint``.  A killed call goes on where it was.
    """
    details = hashlib.sha256(
        repr((fingerprint, plan.seed, plan.tilts, plan.n_means, plan.stretch)).encode()
    ).hexdigest()
    problem = problem_path(folder, fingerprint)
    path = folder / "trials" / f"{plan.kind}-{details[:24]}.zarr"
    batch = _batch_size(prepared)
    attrs = {
        "seed": plan.seed,
        "kind": plan.kind,
        "stretch": plan.stretch,
        "hypothesis": prepared.hypothesis.name,
        "samples": [p.sample.name for p in prepared.parts],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    problem.parent.mkdir(parents=True, exist_ok=True)
    store.create_ensemble(
        path, fingerprint=details, columns=plan.columns, n_trials=plan.n_trials, batch=batch, attrs=attrs
    )
    missing = [k for k in store.missing_batches(path) if k * batch < plan.n_trials]
    if missing:
        if not problem.exists():
            store.atomic_write(problem, pickle.dumps(prepared, protocol=5))
        started, total = time.monotonic(), store.ensemble_layout(path).n_trials
        wanted = replace(plan, n_trials=total)
        done = total - sum(min(batch, total - k * batch) for k in missing)
        new, said = 0, 0.0
        for position, rows in executor.map(partial(run_batch, str(problem), wanted, batch), missing):
            store.write_batch(path, missing[position], rows)
            new += len(rows)
            if time.monotonic() - said > 2.0:
                said = time.monotonic()
                progress(_progress_line(wanted, done + new, started, new))
    return store.read_ensemble(path, n_trials=plan.n_trials)
