"""One question, one answer: does this sample hold this hypothesis?  TS, p-value, flux and limit within half a minute.

The same functions as in a run, with fewer trials; every number says how many there were.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from nuanalysis import trials
from nuanalysis.interpret import fluxes
from nuanalysis.likelihood import FitResult
from nuanalysis.workflow import inference
from nuanalysis.workflow.ensembles import Progress
from nuanalysis.workflow.executors import Executor
from nuanalysis.workflow.inference import Problem, Wanted

_NULL_TRIALS = 400
_LEAST_REACH = 4.0  # standard deviations of n_s that injections reach, more where more was fitted


def answer(
    problem: Problem, sample_name: str, wanted: Wanted, n_injections: int, executor: Executor, progress: Progress
) -> dict[str, Any]:
    """Fit, local p-value, flux with its 68 % interval, and 90 % upper limit of one hypothesis on one sample."""
    started = time.monotonic()
    best, data = inference.fit(problem)
    progress(f"  TS {best.ts:.2f}, n_s {best.n_signal:.1f}")
    if best.ts > 0:
        background = inference.p_value_ensemble(problem, best.ts, wanted, executor, progress)
    else:
        background = inference.scrambles(problem, _NULL_TRIALS, 1.0, executor, progress)
    spread = float(trials.uncertainty(problem.prepared)[trials.flux_node(problem.prepared)])
    reach = max(_LEAST_REACH, float(np.ceil(best.n_signal / spread + 2.5)))
    injected = inference.injections(problem, n_injections, min(reach, 40.0), executor, progress)
    flux = inference.flux_record(problem, best, data, background, injected, injected)
    return {
        **inference.describe(problem, sample_name),
        "n_s": best.n_signal,
        **{k: v for k, v in inference.fit_record(problem, best).items() if k != "n_signal"},
        "p_value": _p_value(best, background),
        "flux": flux,
        "flux_uncorrected": best.n_signal / fluxes.prepared_events_per_flux(problem.prepared),
        "seconds": time.monotonic() - started,
    }


def _p_value(best: FitResult, background: Any) -> dict[str, Any]:
    if best.ts > 0:
        return inference.p_value_or_reason(background, best.ts)
    return {
        "p": 1.0, "p_error": 0.0, "sigma": None, "sigma_error": None, "n_trials": 0, "ess": 0.0, "kind": "local",
        "method": "the test statistic is zero: every scramble has at least as much",
    }  # fmt: skip
