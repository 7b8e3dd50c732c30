"""Whether this machine can do the work, with a remedy for each thing that stands against it."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from nuanalysis.engine.provenance import versions
from nuanalysis.ingest import RELEASES, holdings
from nuanalysis.records import Record, shown

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
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    data = {release.name: holdings(release)[1] for release in RELEASES}
    remedies = []
    if free < _DISK_GB:
        remedies.append(f"{free:.1f} GB of disk are free; a run wants {_DISK_GB:g}: make room")
    if memory < _MEMORY_GB:
        remedies.append(f"{memory:.1f} GB of memory; a run wants {_MEMORY_GB:g}: use one worker and fewer trials")
    remedies += [
        f"release '{name}' is {state}: 'nuanalysis data fetch {name}' if you want it"
        for name, state in data.items()
        if state != "complete"
    ]
    return Machine(
        python=platform.python_version(),
        cores=os.cpu_count() or 1,
        memory_gb=memory,
        disk_free_gb=free,
        versions=versions(),
        data=data,
        remedies=tuple(remedies),
    )
