"""The replay of ICECAT-1, killed at 25 drawn moments, against one that nobody killed.

Five folders; in each the program is killed with SIGKILL five times, at a time drawn within that of a whole replay, each
time going on from what the kill left, and then let through.  The folders must agree byte for byte: an alert that was
lost, stored twice or half written would show.  Also the times of the stages: a notice is written and checked in less
than 10 ms (design; the median of a shared machine).
"""

from __future__ import annotations

import os
import signal
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from nuanalysis.alerts import AlertStore
from nuanalysis.realtime.replay import replay

SEED, FOLDERS, KILLS = 1, 5, 5


def tree(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}


def child(folder: Path) -> int:
    """Start a replay in a process of its own; what it has imported it need not import again."""
    pid = os.fork()
    if pid == 0:
        try:
            replay(folder)
        finally:
            os._exit(0)
    return pid


def test_a_replay_that_was_killed_is_one_that_was_not(mirror: Path, tmp_path: Path) -> None:
    os.environ["NUANALYSIS_DATA"] = str(mirror)
    found = replay(tmp_path / "whole")
    began = time.monotonic()
    replay(tmp_path / "timed")
    lasts, whole = time.monotonic() - began, tree(tmp_path / "whole")
    assert tree(tmp_path / "timed") == whole
    rng, killed = np.random.default_rng(SEED), 0
    for number in range(FOLDERS):
        folder = tmp_path / f"killed-{number}"
        for _ in range(KILLS):
            pid = child(folder)
            time.sleep(float(rng.uniform(0.02, 0.5)) * lasts)
            os.kill(pid, signal.SIGKILL)
            killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        last = replay(folder)
        print(f"folder {number}: {last.kept} of 348 alerts were there, {last.stored} came at the end")
        assert len(list(AlertStore(folder / "store").events())) == 348
        assert tree(folder) == whole
    print(
        f"{killed} kills within {lasts:.1f} s; ms of each step: "
        f"{[(step.step, round(1e3 * step.median_s, 2)) for step in found.latencies]}"
    )
    assert killed >= 15
    for step in found.latencies:
        if step.step in ("notice", "check"):
            assert step.median_s < 0.01, step


pytestmark = pytest.mark.real_data
