"""Speed and memory, each row beside a reference measured in the same run.

``run`` measures and returns a frozen ``Report``; ``text``, ``markdown`` and ``draw`` say it.  Nothing
here is asserted: a busy machine must not turn a right program red.
"""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from nuanalysis.benchmarks._clock import Stopwatch, cpu, race
from nuanalysis.benchmarks._commands import pvalue, user_map
from nuanalysis.benchmarks._page import markdown, text
from nuanalysis.benchmarks._records import Curve, Machine, NotMeasured, Report, Row, Timing
from nuanalysis.benchmarks._rows import (
    ELSEWHERE,
    FULL,
    FULL_ROWS,
    QUICK,
    QUICK_ROWS,
    Effort,
    Progress,
    measure,
    memory,
    point_beside,
    work_of_a_worker,
)
from nuanalysis.benchmarks._scaling import curves
from nuanalysis.benchmarks._sky_rows import ROWS as SKY_ROWS
from nuanalysis.benchmarks._twins import (
    Twin,
    TwinFit,
    data_fit,
    fit,
    fit_without_subtraction,
    make_twin,
    scramble,
    tilted_scramble,
)

__all__ = [
    "FULL",
    "QUICK",
    "Curve",
    "Effort",
    "Machine",
    "NotMeasured",
    "Report",
    "Row",
    "Stopwatch",
    "Timing",
    "Twin",
    "TwinFit",
    "cpu",
    "data_fit",
    "draw",
    "fit",
    "fit_without_subtraction",
    "machine",
    "make_twin",
    "markdown",
    "memory",
    "point_beside",
    "pvalue",
    "race",
    "run",
    "scramble",
    "text",
    "tilted_scramble",
    "work_of_a_worker",
]
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
    rows, missing = measure(QUICK_ROWS if quick else (*FULL_ROWS, *SKY_ROWS), effort, say)
    for ts in (_PUBLISHED_TS,) if quick else (_PUBLISHED_TS, _FIVE_SIGMA_TS):
        say(f"  p-value at TS {ts:g}")
        rows.append(pvalue(ts, effort))
    if quick:
        return Report(here, tuple(rows), (*missing, *ELSEWHERE))
    say("  a user's map")
    rows.append(user_map(effort))
    say("  memory")
    rows.append(memory())
    return Report(here, tuple(rows), (*missing, *ELSEWHERE), curves(effort, say))


def draw(report: Report, folder: Path) -> dict[str, str]:
    """Write the figures of a report into a folder; returns {file name: caption}."""
    from nuanalysis.benchmarks import _figures

    return _figures.draw(report, folder)
