"""A watch of simulated alerts with all its steps, killed at 25 drawn moments, against one that nobody killed.

Five folders; in each the watch is killed with SIGKILL five times, the k-th at a time drawn within 0.4 / k of that of a
whole watch (20 kills at least find it at work), and then let through.  Maps and contours of scans, messages,
circulars and the release entry must agree byte for byte; no alert may be lost or stored twice, and no step left out.
Records of steps hold times and are compared by state.
"""

from __future__ import annotations

import json
import os
import signal
import time
import traceback
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from nuanalysis.alerts import AlertStore
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.executors import Serial
from nuanalysis.realtime.steps import CONTOURS, FOLLOW_UP, MAPS, SCANS, all_steps
from nuanalysis.realtime.streams import SimulatedSource
from nuanalysis.realtime.watch import ENTRY, STEPS, STORE, WatchAnswer, watch

pytestmark = pytest.mark.real_data
SEED, ALERTS, FOLDERS, KILLS = 1, 2, 5, 5
NOW = 62_000.0  # MJD, fixed: drafts and revisions hold the time at which they were written


def once(folder: Path) -> WatchAnswer:
    bench = Bench(folder / "scans", Serial())
    return watch(SimulatedSource(bench, SEED, ALERTS), folder, all_steps(bench), now=lambda: NOW)


def tree(folder: Path) -> dict[str, str]:
    """All that was written but records of steps, the bench of scans (batches follow the clock), and locks."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock")
    kept = (path for path in files if path.relative_to(folder).parts[0] not in (STEPS, SCANS))
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in kept}


def states(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): json.loads(path.read_text())["state"]
        for path in sorted((folder / STEPS).rglob("*.json"))
    }


def killed_after(folder: Path, seconds: float) -> bool:
    """A watch in a process of its own, killed after so long; whether it was still at work."""
    pid = os.fork()
    if pid == 0:
        try:
            once(folder)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def test_a_watch_that_was_killed_is_one_that_was_not(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    found = once(tmp_path / "whole")
    assert (found.stored, found.failed) == (ALERTS, 0)
    began = time.monotonic()
    once(tmp_path / "timed")
    lasts, whole, done = time.monotonic() - began, tree(tmp_path / "whole"), states(tmp_path / "whole")
    assert tree(tmp_path / "timed") == whole
    for part in (MAPS, CONTOURS, FOLLOW_UP, ENTRY):
        assert any(part in Path(name).parts for name in whole), part
    rng, hits, between = np.random.default_rng(SEED), 0, 0
    for number in range(FOLDERS):
        folder = tmp_path / f"killed-{number}"
        for k in range(KILLS):
            hits += killed_after(folder, float(rng.uniform(0.02, 0.4)) * lasts / (1 + k))
            between += 0 < len(states(folder)) < len(done)
        once(folder)
        assert len(list(AlertStore(folder / STORE).events())) == ALERTS
        assert states(folder) == done
        assert tree(folder) == whole
        print(f"folder {number}: {hits} kills so far, {len(whole)} files as of the watch that nobody killed")
    print(f"{hits} of {FOLDERS * KILLS} kills found it at work; {between} of them left some steps done and some not")
    assert hits >= 20
    assert between >= 5
