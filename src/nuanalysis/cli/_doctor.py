"""Whether this machine can do the work, with a remedy for each thing that stands against it."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Mapping

from nuanalysis.engine.cost import usable_cores
from nuanalysis.engine.provenance import versions
from nuanalysis.ingest import RELEASES, holdings
from nuanalysis.records import Record, shown
from nuanalysis.store import is_ours, kernels_kept, user_cache

_DISK_GB, _MEMORY_GB = 4.0, 2.0


class Machine(Record):
    """What was found."""

    python: str = shown("Python")
    cores: int = shown("cores")
    memory_gb: float = shown("memory", unit="GB", form=".1f")
    disk_free_gb: float = shown("free disk", unit="GB", form=".1f")
    versions: dict[str, str] = shown("packages")
    data: dict[str, str] = shown("releases")
    remedies: tuple[str, ...] = shown("to do", ())


def examine() -> Machine:
    """Look at this machine."""
    free, memory = _free_disk_gb(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    data = {release.name: holdings(release)[1] for release in RELEASES}
    return Machine(
        python=platform.python_version(),
        cores=usable_cores(),
        memory_gb=memory,
        disk_free_gb=free,
        versions=versions(),
        data=data,
        remedies=(*_of_machine(free, memory), *_of_home(), *_of_data(data)),
    )


def _free_disk_gb() -> float:
    """Free where results go: in the working directory, 0 where it is not there any more."""
    try:
        return shutil.disk_usage(".").free / 1e9
    except OSError:
        return 0.0


def _of_machine(free: float, memory: float) -> Iterator[str]:
    if free < _DISK_GB:
        yield f"{free:.1f} GB of disk are free; a run needs {_DISK_GB:g}: make room"
    if memory < _MEMORY_GB:
        yield f"{memory:.1f} GB of memory; a run needs {_MEMORY_GB:g}: use one worker and fewer trials"
    if usable_cores() < (there := os.cpu_count() or 1):
        yield f"{usable_cores()} of the {there} cores of this machine may be used: take no more workers than that"


def _of_home() -> Iterator[str]:
    if not kernels_kept():
        yield (
            "neither the installation nor the home can be written: each call compiles its kernels anew, half a minute; "
            "set NUMBA_CACHE_DIR to a folder that only you can write, and run 'nuanalysis compile' once"
        )
    if not os.environ.get("NUANALYSIS_CACHE") and not is_ours(user_cache("nuanalysis")):
        yield (
            "the home cannot be written: what one call could keep for the next is lost; set NUANALYSIS_CACHE to a "
            "folder that only you can write"
        )


def _of_data(data: Mapping[str, str]) -> Iterator[str]:
    for name, state in data.items():
        if state != "complete":
            yield f"release '{name}' is {state}: 'nuanalysis data fetch {name}' if you want it"
