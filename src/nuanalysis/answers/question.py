"""One question, one answer: does this sample hold this hypothesis?  TS, p-value, flux and limit within half a minute.

The same functions as in a run, with fewer trials; every number says how many there were.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nuanalysis import trials
from nuanalysis.answers import inference
from nuanalysis.answers.inference import Problem, Wanted
from nuanalysis.engine.ensembles import Progress
from nuanalysis.engine.executors import Executor
from nuanalysis.interpret import fluxes
from nuanalysis.likelihood import FitResult

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
    # With signal the spread grows: a limit on a strong one needs injections well beyond it.
    reach = max(_LEAST_REACH, float(np.ceil(1.25 * best.n_signal / spread + 2.5)))
    injected = inference.injections(problem, n_injections, min(reach, 40.0), executor, progress)
    flux = inference.flux_record(problem, best, data, background, injected, injected)
    return {
        **inference.describe(problem, sample_name),
        "n_s": best.n_signal,
        **{k: v for k, v in inference.fit_record(problem, best).items() if k != "n_signal"},
        "p_value": _p_value(best, background),
        "index_bias": inference.index_record(problem, best, injected),
        "flux": flux,
        "energy_range": inference.energy_range_record(problem),
        "share_at_30_tev": inference.share_at_30_tev(problem, flux["best"]),
        "flux_uncorrected": best.n_signal / fluxes.prepared_events_per_flux(problem.prepared),
        "seconds": time.monotonic() - started,
    }


def table(answers: Sequence[Mapping[str, Any]]) -> str:
    """Several answers as a Markdown table."""
    head = (
        "| template | TS | n_s | local p | σ (local) | flux | 68 % | 90 % limit | x model | energies, TeV "
        "| of all-sky flux at 30 TeV |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    )
    return "\n".join([head, *(_table_row(answer) for answer in answers)])


def _shown(value: float | None, form: str = ".3g") -> str:
    return "–" if value is None else format(value, form)


def _table_row(answer: Mapping[str, Any]) -> str:
    p, flux = answer["p_value"], answer["flux"]
    models = (flux["in_models"] or {}).get("best")
    low, high = (10.0 ** (e - 3.0) for e in answer["energy_range"]["log10_energy_gev"][0])
    share = answer["share_at_30_tev"]
    return (
        f"| {answer['label']} ({answer['origin']} events) | {answer['ts']:.2f} | {answer['n_s']:.1f} "
        f"| {_shown(p['p'])} ± {_shown(p['p_error'], '.1g')} | {_shown(p['sigma'], '.2f')} | {_shown(flux['best'])} "
        f"| {_shown(flux['low_68'])} – {_shown(flux['high_68'])} | {_shown(flux['upper_limit_90'])} "
        f"| {_shown(models, '.2f')} | {low:.2g} – {high:.3g} | {'–' if share is None else f'{100 * share:.1f} %'} |"
    )


def _p_value(best: FitResult, background: Any) -> dict[str, Any]:
    if best.ts > 0:
        return inference.p_value_or_reason(background, best.ts)
    return {
        "p": 1.0, "p_error": 0.0, "sigma": None, "sigma_error": None, "n_trials": 0, "ess": 0.0, "kind": "local",
        "method": "the test statistic is zero: every scramble has at least as much",
    }  # fmt: skip
