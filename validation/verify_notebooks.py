"""When each notebook was last run from its first cell to its last, and what that took: the line in its header.

    python validation/verify_notebooks.py [NAME ...] [--cores 2] [--write]

Every notebook runs alone: in a copy of notebooks and specs with a home, a cache and a run folder of its own, as in a
fresh clone whose environment stands; data are found where NUANALYSIS_DATA says.  05 collects what 02, 03 and 04 made,
so these run before it in the same folder, unmeasured.  Time of the first figure is when the cell that shows it has
ended; memory is the most that all processes hold together, pages that they may share counted once.
Cells of more than ``LONG_S`` that nothing announces are named.  ``--write`` puts the line into the headers.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psutil

from nuanalysis.workflow.parameters import PARAMETERS

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from small_headers import LEAD, fingerprint  # noqa: E402

NOTEBOOKS = ROOT / "notebooks"
LONG_S = 15.0
BEFORE = {"05_data_release": ("02_event_selection", "03_template_fits", "04_stacking")}
_ANNOUNCED = re.compile(r"\b(seconds?|minutes?|hours?)\b|\d s\b")
_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Verified:
    """What a notebook took, in s of wall clock and MB.

    code : commit of the package.  cells : what was run, see ``fingerprint``.
    first_figure : NaN where it shows none.  unannounced : (number of the cell in the file from 1, seconds).
    """

    name: str
    code: str
    cells: str
    cores: int
    first_figure: float
    seconds: float
    megabytes: float
    unannounced: tuple[tuple[int, float], ...]

    def line(self) -> str:
        """The line of the header."""
        day, cores = datetime.now(UTC).strftime("%Y-%m-%d"), "one core" if self.cores == 1 else f"{self.cores} cores"
        first = "" if math.isnan(self.first_figure) else f"first figure after {_said(self.first_figure)}, "
        took = f"{first}all cells after {_said(self.seconds)}, {self.megabytes / 1000:.1f} GB at most"
        return f"{LEAD}{day} with the code of {self.code} (cells {self.cells}) on {cores}: {took}."


def _is_figure(shown: dict[str, object]) -> bool:
    return "image/png" in shown or "<img" in "".join(map(str, shown.get("text/html", [])))


def _said(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def commit() -> str:
    """That of the checkout.  Raises RuntimeError where the package is not as it is there."""
    git = partial(subprocess.run, cwd=ROOT, check=True, capture_output=True, text=True)
    if changed := git(["git", "status", "--porcelain", "--", "src", "specs"]).stdout:
        raise RuntimeError(f"commit first, the line would name other code: {changed.strip()}")
    return git(["git", "rev-parse", "--short=8", "HEAD"]).stdout.strip()


def measured(name: str, cores: int) -> Verified:
    """Run a notebook alone and say what it took.  Raises RuntimeError with its last words where it fails."""
    with tempfile.TemporaryDirectory(prefix="verify-") as place:
        folder = Path(place)
        for part in ("notebooks", "specs"):
            shutil.copytree(ROOT / part, folder / part)
        for before in BEFORE.get(name, ()):
            _run(before, folder, cores)
        ran = fingerprint(folder / "notebooks" / f"{name}.ipynb")
        seconds, megabytes = _run(name, folder, cores)
        copy = json.loads((folder / "runs/default/notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
        begun, first, unannounced, text = None, float("nan"), [], ""
        kept = (cell for cell in copy["cells"] if "injected-parameters" not in cell["metadata"].get("tags", []))
        for number, cell in enumerate(kept, 1):
            if cell["cell_type"] != "code":
                text += "".join(cell["source"])
                continue
            times = cell["metadata"].get("papermill", {})
            if not times.get("start_time"):
                continue
            start, end = (datetime.fromisoformat(times[key]) for key in ("start_time", "end_time"))
            begun = begun or start
            took = (end - start).total_seconds()
            if took > LONG_S and not _ANNOUNCED.search(text):
                unannounced.append((number, took))
            if math.isnan(first) and any(_is_figure(out.get("data", {})) for out in cell["outputs"]):
                first = (end - begun).total_seconds()
            text = ""
    return Verified(name, commit(), ran, cores, first, seconds, megabytes, tuple(unannounced))


def _run(name: str, folder: Path, cores: int) -> tuple[float, float]:
    """Run a notebook in a folder on so many cores: its seconds, and the most MB of all its processes."""
    environment = os.environ | {"HOME": str(folder), "NUANALYSIS_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    mine = os.sched_getaffinity(0)
    told = folder / "told"
    command = [sys.executable, "-m", "nuanalysis", "notebooks", "run", name]
    os.sched_setaffinity(0, sorted(mine)[:cores])
    try:
        begun, most = time.monotonic(), 0
        with told.open("wb") as log:
            running = psutil.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
            while running.poll() is None:
                most = max(most, _held([running, *_children(running)]))
                time.sleep(_EVERY_S)
    finally:
        os.sched_setaffinity(0, mine)
    if running.returncode:
        raise RuntimeError(f"{name} ended with {running.returncode}: {told.read_text(errors='replace')[-1500:]}")
    return time.monotonic() - begun, most / 1e6


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _held(processes: list[psutil.Process]) -> int:
    """Bytes of some processes together; pages that they may share are counted once, as those of the one with most."""
    own, shared = 0, 0
    for process in processes:
        try:
            held = process.memory_info()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        own, shared = own + held.rss - getattr(held, "shared", 0), max(shared, getattr(held, "shared", 0))
    return own + shared


def write_header(found: Verified) -> None:
    """Put the line into the first cell of the notebook, in place of the one before or below that of its level."""
    path = NOTEBOOKS / f"{found.name}.ipynb"
    document = json.loads(path.read_text(encoding="utf-8"))
    lines = [line.rstrip("\n") for line in document["cells"][0]["source"]]
    kept = [line for line in lines if not line.startswith(LEAD)]
    level = next(k for k, line in enumerate(kept) if line.startswith("**Level**"))
    kept.insert(level + 1, found.line())
    document["cells"][0]["source"] = [f"{line}\n" for line in kept[:-1]] + kept[-1:]
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("names", nargs="*", help="notebooks; without: all")
    asked.add_argument("--cores", type=int, default=2)
    asked.add_argument("--write", action="store_true", help="into the headers")
    given = asked.parse_args()
    failed = False
    for name in given.names or PARAMETERS:
        try:
            found = measured(name, given.cores)
        except RuntimeError as fault:
            print(fault, flush=True)
            failed = True
            continue
        print(f"{name}: {found.line().removeprefix(LEAD)}", flush=True)
        for number, took in found.unannounced:
            print(f"  cell {number} took {took:.0f} s and nothing above it says so", flush=True)
        if given.write:
            write_header(found)
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
