"""How time and memory are taken: CPU seconds of one process, contenders in turn, best of several rounds.

A busy machine slows whoever runs at that moment, so ours and its reference take turns within a round, and the best
round counts.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from measures.records import Timing
from nuanalysis.errors import EnvironmentFault

Trials = Callable[[int, int], object]
"""Does the trials first..last-1."""
Stopwatch = Callable[[int, int], float]
"""Does the trials first..last-1; returns their CPU seconds."""
_MOST = 5000  # repetitions in a round


def cpu(work: Trials) -> Stopwatch:
    """The work with its CPU seconds: all threads of this process."""

    def timed(first: int, last: int) -> float:
        start = time.process_time()
        work(first, last)
        return time.process_time() - start

    return timed


def repetitions(watch: Stopwatch, seconds: float) -> int:
    """How many trials fill a round of so many CPU seconds, at least 1; what compiles on first use does it here."""
    watch(0, 1)
    if seconds == 0.0:
        return 1
    one = max(watch(0, 1), 1e-6)
    few = min(int(seconds / one) + 1, 10)
    one = watch(0, few) / few
    return max(1, min(int(seconds / max(one, 1e-6)), _MOST))


def race(contenders: Sequence[Stopwatch], *, rounds: int, seconds: float) -> tuple[Timing, ...]:
    """Time of one trial of each contender.  All take turns in every round; a round does the same trials again.

    seconds : CPU seconds that a contender gets in a round, at least one trial.
    """
    counts = [repetitions(watch, seconds) for watch in contenders]
    laps = [[watch(0, n) / n for watch, n in zip(contenders, counts, strict=True)] for _ in range(rounds)]
    columns = list(zip(*laps, strict=True))
    return tuple(Timing(min(lap), statistics.median(lap), rounds, n) for lap, n in zip(columns, counts, strict=True))


def fresh(code: str, arguments: Sequence[str] = ()) -> str:
    """Run Python code, which may import this package, in a process of its own and return its stdout.

    Raises EnvironmentFault where it fails.
    """
    found = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); {code}"
    return call([sys.executable, "-c", found, *arguments])


def call(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return its stdout.  Raises EnvironmentFault with its last words where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise EnvironmentFault(f"a measured process ended with exit code {done.returncode}: {last}")
    return done.stdout


def cpu_of_children() -> float:
    """CPU seconds, user and system, of all ended child processes so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu_of(code: str) -> Stopwatch:
    """CPU seconds of fresh Python processes that run some code, start of the interpreter included."""

    def timed(first: int, last: int) -> float:
        start = cpu_of_children()
        for _ in range(first, last):
            fresh(code)
        return cpu_of_children() - start

    return timed


def peak_megabytes() -> float:
    """Peak resident memory of this process so far, in MB (10^6 bytes).

    Where the system has it, the high-water mark of this program alone: ``getrusage`` of a process started by a larger
    one begins with the peak of that one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
