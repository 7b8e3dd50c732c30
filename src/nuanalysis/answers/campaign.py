"""What a campaign adds to single fits: p-values at published test statistics, global p-values, and what they cost."""

from __future__ import annotations

import math
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuanalysis import trials
from nuanalysis.answers import bias, inference
from nuanalysis.answers.inference import Problem, Wanted
from nuanalysis.engine.ensembles import Progress
from nuanalysis.engine.executors import Executor, Processes, Serial, Threads
from nuanalysis.errors import PrecisionError

# --- cost -------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Cost:
    """Core-seconds of a part, how they were measured, and its wall time; filled in when the part ends."""

    core_seconds: float = math.nan
    measured: str = ""
    seconds: float = math.nan

    def record(self) -> dict[str, Any]:
        """As kept with the part."""
        return {"core_seconds": self.core_seconds, "measured": self.measured, "seconds": self.seconds}


@contextmanager
def costing(executor: Executor) -> Iterator[Cost]:
    """Measure what is done inside: CPU time of this process, its threads and its children, where they are ours to see.

    Work on a scheduler is counted as wall time times workers, and says so.
    """
    cost, started, before = Cost(), time.monotonic(), cpu_seconds()
    yield cost
    cost.seconds = time.monotonic() - started
    if isinstance(executor, Serial | Threads) or (isinstance(executor, Processes) and Path("/proc/self/stat").exists()):
        cost.core_seconds, cost.measured = cpu_seconds() - before, "CPU time"
    else:
        workers = getattr(executor, "workers", 1)
        cost.core_seconds, cost.measured = cost.seconds * workers, f"wall time x {workers} workers"


def cpu_seconds() -> float:
    """CPU time of this process, of its finished children, and of the living ones where /proc shows them."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + _living_children_seconds()


def _living_children_seconds() -> float:
    parent: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):  # it may end while it is read
            words = stat.read_text().rpartition(")")[2].split()
            pid = int(stat.parent.name)
            parent[pid], ticks[pid] = int(words[1]), sum(int(w) for w in words[11:15])  # utime stime cutime cstime
    found, fresh = set[int](), {os.getpid()}
    while fresh:
        fresh = {pid for pid, above in parent.items() if above in fresh} - found
        found |= fresh
    return sum(ticks[pid] for pid in found) / os.sysconf("SC_CLK_TCK")


# --- at published values ----------------------------------------------------------------------------------------------


def at_published_ts(
    problem: Problem, sample: str, ts: float, n_injections: int, executor: Executor, progress: Progress
) -> dict[str, Any]:
    """The local p-value at a published test statistic; the published fit turned back where there is one."""
    wanted = Wanted()
    progress(f"{sample} {problem.hypothesis.name}: p-value at the published TS {ts:g}")
    try:
        background = inference.p_value_ensemble(problem, ts, wanted, executor, progress)
        p_value = inference.p_value_or_reason(background, ts)
    except PrecisionError as error:
        p_value = _no_p_value(str(error))
    record = {**_head(problem, sample), "hypothesis": problem.hypothesis.name, "ts": ts, "p_value": p_value}
    pair = bias.published_pair(problem.hypothesis.name, sample)
    if pair is not None:
        record["bias"] = _bias(problem, pair, n_injections, executor, progress)
    return record


def _no_p_value(reason: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("p", "p_error", "sigma", "sigma_error", "ess"))
    return {**nothing, "n_trials": 0, "kind": "local", "method": inference.METHOD, "reason": reason}


def _bias(
    problem: Problem, pair: tuple[float, float, str], n_injections: int, executor: Executor, progress: Progress
) -> dict[str, Any]:
    """The published fitted n_s corrected with our bias curve."""
    spread = float(trials.uncertainty(problem.prepared)[trials.flux_node(problem.prepared)])
    injected = inference.injections(problem, n_injections, bias.reach_for((pair[0],), spread), executor, progress)
    curve = bias.curve_record(injected, (pair[0],), pair)
    return {**curve["corrected"][0], "n_trials": curve["n_trials"], "injection_seed": curve["injection_seed"]}


def _head(problem: Problem, sample: str) -> dict[str, Any]:
    described = inference.describe(problem, sample)
    return {key: described[key] for key in ("sample", "origin", "n_events", "seed", "injected")}


# --- together ---------------------------------------------------------------------------------------------------------


def together(
    problems: tuple[Problem, ...], sample: str, wanted: Wanted, executor: Executor, progress: Progress
) -> dict[str, Any]:
    """Local p-values of several hypotheses and the global one of the best, from scrambles that they share.

    Where they are not precise enough the record holds the reason instead.
    """
    observed = tuple(inference.fit(problem)[0].ts for problem in problems)
    try:
        found = inference.global_p_value(problems, observed, wanted, executor, progress)
    except PrecisionError as error:
        names = ("best", "p_local", "p_local_error", "p_global", "p_global_error", "sigma_global", "trials_factor")
        found = {**dict.fromkeys(names), "n_trials": 0, "kind": "global", "reason": str(error)}
    return {
        **_head(problems[0], sample),
        **found,
        "n_hypotheses": len(problems),
        "observed_ts": dict(zip((p.hypothesis.name for p in problems), observed, strict=True)),
        "precision": wanted.precision,
        "smear_declination_deg": math.degrees(wanted.smear),
    }
