"""What work costs, core-seconds of a part, and the cores there are for it."""

import math
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


def usable_cores(root: Path = Path("/")) -> int:
    """The cores that this process may use: those of the machine, less what an affinity or a cgroup takes away.

    A container of one core on a machine of 64 shows 64 of them, and 64 workers then share one.    root : for tests
    """
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    there = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min([there, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Cores that each cgroup above this process grants: version 2 (cpu.max) and 1 (cpu.cfs_quota_us)."""
    with suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, place = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            mounts = [controllers, "cpu"] if controllers else ["", "unified"]
            for top in (root / "sys/fs/cgroup" / mount for mount in mounts):
                folder = top / place.lstrip("/")
                yield from filter(None, map(_quota, (folder, *folder.parents[: len(Path(place).parts) - 1])))


def _quota(folder: Path) -> float:
    """Cores of one cgroup, 0 where it sets no limit."""
    words = []
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        with suppress(OSError):
            words = " ".join((folder / name).read_text(encoding="ascii") for name in names).split()
    with suppress(ValueError, ZeroDivisionError):  # 'max', or nothing read
        quota, period = map(int, words)
        return max(quota / period, 0.0)
    return 0.0


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
