"""What work costs: core-seconds of a part."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nuanalysis.engine.executors import Executor, Processes, Serial, Threads


@dataclass(slots=True)
class Cost:
    """Core-seconds and wall time of a part, and how they were measured; filled in when the part ends."""

    core_seconds: float = 0.0
    measured: str = ""
    seconds: float = 0.0


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
    return sum(os.times()[:4]) + _living_children_seconds()


def _living_children_seconds() -> float:
    parent: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):  # it may end while it is read
            words = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            pid = int(stat.parent.name)
            parent[pid], ticks[pid] = int(words[1]), sum(int(w) for w in words[11:15])  # utime stime cutime cstime
    found, fresh = set[int](), {os.getpid()}
    while fresh:
        fresh = {pid for pid, above in parent.items() if above in fresh} - found
        found |= fresh
    return sum(ticks[pid] for pid in found) / os.sysconf("SC_CLK_TCK")
