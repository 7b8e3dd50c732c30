"""Rows of whole commands: fresh processes with an empty cache, and the answer read back from their JSON."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from measures import problems
from measures.clock import call, cpu_of_children, race
from measures.records import Row
from measures.rows import TWIN, Effort, twin_trials
from measures.twins import make_twin
from nuanalysis.answers import Answer, answer_of
from nuanalysis.answers.fit import FitAnswer
from nuanalysis.answers.model_card import ModelCardAnswer
from nuanalysis.answers.significance import SignificanceAnswer
from nuanalysis.library.samples import arca230
from nuanalysis.records import Chance, Unknown

_PRECISION = 0.05  # relative error of the p-value


def _asked(verb: str, hypothesis: str, *options: str, cache: Path) -> Answer:
    """The answer of one call of the command line, in a fresh process with a cache of its own."""
    command = [sys.executable, "-m", "nuanalysis", verb, "--sample", "cascades-2023", "--hypothesis", hypothesis]
    document = json.loads(call([*command, *options, "--json"], {**os.environ, "NUANALYSIS_CACHE": str(cache)}))
    return answer_of(verb.replace("-", "_")).from_dict(
        {key: value for key, value in document.items() if key not in ("files", "seconds")}
    )


@dataclass(frozen=True, slots=True)
class _Runs:
    """Calls of one command: wall and CPU seconds of each, and the last answer's chance."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]
    chance: Chance


def _relative(chance: Chance) -> float:
    """Relative error of a p-value."""
    assert not isinstance(chance.error, Unknown)
    return chance.error / chance.p


def _significance_runs(ts: float, n_trials: int, count: int) -> _Runs:
    """Call the command count times; n_trials 0: as many as it takes by itself."""
    times = []
    options = ["--ts", f"{ts:g}", *(["--trials", str(n_trials)] if n_trials else [])]
    for _ in range(count):
        with TemporaryDirectory() as cache:
            start, used = time.monotonic(), cpu_of_children()
            answer = _asked("significance", "template:pi0", *options, cache=Path(cache))
        times.append((time.monotonic() - start, cpu_of_children() - used))
    assert isinstance(answer, SignificanceAnswer)
    wall, cpu_seconds = zip(*times, strict=True)
    return _Runs(wall, cpu_seconds, answer.chance)


def user_map(effort: Effort) -> Row:
    """Row: the command that takes a user's map to TS, p-value, flux and limit."""
    wall: list[float] = []
    for _ in range(effort.processes):
        with TemporaryDirectory() as folder:
            path = problems.map_file(Path(folder))
            start = time.monotonic()
            answer = _asked("fit", f"template:{path}", cache=Path(folder))
            wall.append(time.monotonic() - start)
    assert isinstance(answer, FitAnswer)
    assert isinstance(answer.chance, Chance)
    assert not isinstance(answer.flux, Unknown)
    found, best, error = answer.chance, min(wall), _relative(answer.chance)
    needed, brute = _brute_force(found)
    note = (
        f"TS {answer.fitted.ts:.1f}, p = {found.p:.2g} to {100 * error:.0f} % from {found.n_trials:,} "
        f"scrambles, flux and limit from {answer.flux.n_trials:,} injections; reference: {needed:.2g} plain "
        "scrambles on two cores for that p-value alone"
    )
    what = (
        "nuanalysis fit on a FITS map of nside 128: file in, TS, p-value, flux, limit out; fresh process, empty cache"
    )
    return Row(
        "user-map", what, "synthetic", "wall clock, two workers", "s", best, statistics.median(wall) / best - 1.0,
        f"{TWIN}, brute force", brute, 30.0, len(wall), 1, note,
    )  # fmt: skip


def _brute_force(found: Chance) -> tuple[float, float]:
    """Plain scrambles that a p-value would need for the precision that it has, and their seconds on two cores."""
    (one,) = race((twin_trials(make_twin(problems.template(), problems.cascades())),), rounds=3, seconds=0.1)
    needed = 1.0 / (found.p * _relative(found) ** 2)
    return needed, needed * one.best / 2


def model_card(effort: Effort) -> Row:
    """Row: the command that takes a theorist's cube to its page.  Raises DataError without the tables of ARCA."""
    arca230.tables("tracks")  # without them the page is shorter
    wall: list[float] = []
    cpu: list[float] = []
    for _ in range(effort.processes):
        with TemporaryDirectory() as folder:
            path = problems.cube_file(Path(folder))
            start, used = time.monotonic(), cpu_of_children()
            answer = _asked("model-card", f"template:{path}", "--output", folder, cache=Path(folder))
            wall.append(time.monotonic() - start)
            cpu.append(cpu_of_children() - used)
    assert isinstance(answer, ModelCardAnswer)
    assert isinstance(answer.chance, Chance)
    assert not isinstance(answer.flux, Unknown)
    needed, brute = _brute_force(answer.chance)
    note = (
        f"TS {answer.fitted.ts:.1f}, p = {answer.chance.p:.2g}, flux and limit from {answer.flux.n_trials:,} "
        f"injections, gamma rays, projections; {min(cpu):.0f} s of CPU in all; reference: {needed:.2g} plain scrambles "
        "on two cores for that p-value alone"
    )
    return Row(
        "model-card",
        "nuanalysis model-card on a FITS cube of nside 64: file in, page out; fresh process, empty cache",
        "synthetic", "wall clock, two workers", "s", min(wall), statistics.median(wall) / min(wall) - 1.0,
        f"{TWIN}, brute force", brute, 60.0, len(wall), 1, note,
    )  # fmt: skip


def _trials_wanted(found: Chance) -> int:
    """Trials for 5 per cent of the p-value; 0 where it is precise enough."""
    error = _relative(found)
    return 0 if error <= _PRECISION else int(1.1 * found.n_trials * (error / _PRECISION) ** 2) + 1


def pvalue(ts: float, effort: Effort) -> Row:
    """Row: the command that gives a p-value to 5 per cent, beside as many plain scrambles of the twin as that needs."""
    runs = _significance_runs(ts, 0, effort.processes)
    more = _trials_wanted(runs.chance)
    runs = _significance_runs(ts, more, effort.processes) if more else runs
    twin = make_twin(problems.template(), problems.cascades())
    (one,) = race((twin_trials(twin),), rounds=effort.rounds, seconds=effort.seconds)
    found, best, error = runs.chance, min(runs.wall), _relative(runs.chance)
    needed = 1.0 / (found.p * error**2)
    note = (
        f"p = {found.p:.3g} ({found.sigma:.2f} sigma) to {100 * error:.1f} % from {found.n_trials:,} trials"
        f"{' (--trials)' if more else ''}, {min(runs.cpu):.1f} s of CPU in all; reference: {needed:.2g} plain "
        f"scrambles on two cores, extrapolated from the time of {one.repetitions}"
    )
    return Row(
        f"pvalue-{ts:g}",
        f"nuanalysis significance at TS {ts:g} to 5 %, fresh process, empty cache",
        "synthetic",
        "wall clock, two workers",
        "s",
        best,
        statistics.median(runs.wall) / best - 1.0,
        f"{TWIN}, brute force",
        needed * one.best / 2,
        10.0,
        len(runs.wall),
        1,
        note,
    )
