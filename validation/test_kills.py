"""The kills of ``kills.py``: at least 100, at least 30 of them during a write; none tears, loses or leaves anything."""

import csv
import subprocess
import sys
from pathlib import Path


def test_a_hundred_kills_tear_nothing_lose_nothing_and_leave_nothing(tmp_path: Path) -> None:
    script, log = Path(__file__).with_name("kills.py"), tmp_path / "kills.csv"
    done = subprocess.run([sys.executable, script, "--output", log], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    kills = list(csv.DictReader(log.read_text().splitlines()))
    assert len(kills) >= 100
    assert sum(one["writing"] == "True" for one in kills) >= 30
