"""The replay of ICECAT-1, killed at 25 drawn moments, against one that nobody killed.

Five folders; in each the program is killed with SIGKILL five times, at a time drawn within that of a whole replay, each
time going on from what the kill left, and then let through.  The folders must agree byte for byte: an alert that was
lost, stored twice or half written would show.  Also the time of each of the 348 notices, the longest too: written, read
back by our model and checked against the official schema in less than 10 ms (design).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from nuanalysis.alerts import AlertStore, notice_json, notice_of, read_message
from nuanalysis.library.icecat import known_alerts
from nuanalysis.realtime.replay import replay

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from small_alerts import official

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
    replay(tmp_path / "whole")
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
    print(f"{killed} kills within {lasts:.1f} s")
    assert killed >= 15


def test_each_notice_is_written_and_checked_within_ten_milliseconds(mirror: Path) -> None:
    """In processor time: on a machine that others use, the clock also counts them; it is printed beside."""
    os.environ["NUANALYSIS_DATA"] = str(mirror)
    validate = official(mirror, "icecube")
    alerts = known_alerts()
    validate(
        json.loads(notice_json(notice_of(alerts[0], sent=alerts[0].time)))
    )  # the schema is compiled with the first
    spent = np.zeros((len(alerts), 3))  # ours, the official schema; and both by the clock
    for k, alert in enumerate(alerts):
        clock, began = time.perf_counter(), time.thread_time()
        data = notice_json(notice_of(alert, sent=alert.time))
        read_message(data, alert.name)
        ours = time.thread_time()
        validate(json.loads(data))
        spent[k] = ours - began, time.thread_time() - ours, time.perf_counter() - clock
    both = 1e3 * spent[:, :2].sum(axis=1)
    for name, ms in (("ours", 1e3 * spent[:, 0]), ("official schema", 1e3 * spent[:, 1]), ("both", both),
                     ("both, by the clock", 1e3 * spent[:, 2])):  # fmt: skip
        print(f"{name:20s} ms: median {np.median(ms):.2f}, 95 % {np.quantile(ms, 0.95):.2f}, longest {ms.max():.2f}")
    assert len(alerts) == 348
    assert both.max() < 10.0


pytestmark = pytest.mark.real_data
