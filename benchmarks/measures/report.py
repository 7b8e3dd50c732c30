"""All measurements of one run, in order, on this machine."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from measures.commands import model_card, pvalue, user_map
from measures.detector_rows import ROWS as DETECTOR_ROWS
from measures.records import Machine, Report
from measures.rows import ELSEWHERE, FULL, FULL_ROWS, QUICK, QUICK_ROWS, Progress, measure, memory
from measures.scaling import curves
from measures.sky_rows import ROWS as SKY_ROWS

_VERSIONS = ("nuanalysis", "numpy", "numba", "scipy", "healpy")
_PUBLISHED_TS, _FIVE_SIGMA_TS = 22.19, 26.0


def machine() -> Machine:
    """This machine, and the versions that matter for speed."""
    return Machine(
        datetime.now(UTC).strftime("%Y-%m-%d"),
        f"{platform.system()} {platform.machine()}",
        _cpu_model(),
        os.cpu_count() or 1,
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        os.getloadavg()[0],
        (("Python", platform.python_version()), *((name, version(name)) for name in _VERSIONS)),
    )


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def run(*, quick: bool, say: Progress) -> Report:
    """Measure.  quick : some rows only, less than a minute; else all rows, memory and the curves, some minutes."""
    here, effort = machine(), QUICK if quick else FULL
    rows, missing = measure(QUICK_ROWS if quick else (*FULL_ROWS, *SKY_ROWS, *DETECTOR_ROWS), effort, say)
    for ts in (_PUBLISHED_TS,) if quick else (_PUBLISHED_TS, _FIVE_SIGMA_TS):
        say(f"  p-value at TS {ts:g}")
        rows.append(pvalue(ts, effort))
    if quick:
        return Report(here, tuple(rows), (*missing, *ELSEWHERE))
    say("  a user's map")
    rows.append(user_map(effort))
    more, absent = measure((model_card,), effort, say)
    say("  memory")
    rows.append(memory())
    return Report(here, (*rows, *more), (*missing, *absent, *ELSEWHERE), curves(effort, say))
