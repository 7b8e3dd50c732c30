"""Alerts, scans of events, their service and the watch in a network namespace with nothing but the loopback device.

Sockets to the outside are not only refused by a patch there: no address can be reached, of C libraries and child
processes either.  The tests of these rooms and the scan of a simulated event must pass all the same.  Linux, where a
user may open such a namespace; skipped elsewhere.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
UP = 'import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh", b"lo", 0x41))'
ROOMS = (
    "realtime_service", "realtime_processes", "realtime_book", "realtime_sky_runner", "realtime_watch", "event_scan",
    "event_scan_files", "alerts", "alert_store", "alert_notices", "followup", "counterparts", "astro_colibri",
    "realtime_page",
)  # fmt: skip
CLOSED = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"  # of TEST-NET-1


def inside(*command: str) -> subprocess.CompletedProcess[str]:
    """A command in a namespace of its own, whose only device is loopback."""
    shell = f"{shlex.quote(sys.executable)} -c '{UP}' && exec \"$@\""
    return subprocess.run(
        ["unshare", "--map-root-user", "--net", "sh", "-c", shell, "sh", *command],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def permitted() -> None:
    alone = ["unshare", "--map-root-user", "--net", "true"]
    if shutil.which("unshare") is None or subprocess.run(alone, capture_output=True, check=False).returncode:
        pytest.skip("no network namespaces here")


def test_nothing_outside_can_be_reached() -> None:
    found = inside(sys.executable, "-c", CLOSED)
    assert found.returncode == 1
    assert "unreachable" in found.stderr
    devices = inside(sys.executable, "-c", "import socket; print([name for _, name in socket.if_nameindex()])")
    assert devices.stdout.strip() == "['lo']"


@pytest.mark.real_data
def test_a_scan_needs_no_network(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    asked = (sys.executable, "-m", "nuanalysis", "realtime", "scan", "simulated:7?energy=100", "--json")
    found = inside(*asked, "--folder", str(tmp_path))
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["fitted"] > 0


@pytest.mark.real_data
def test_service_watch_and_scans_pass_their_tests(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    files = [f"tests/test_{name}.py" for name in ROOMS]
    pytest_ = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'in'}")
    found = inside(*pytest_, *files)
    print(found.stdout[-600:])
    assert found.returncode == 0, found.stdout[-3000:]
    passed, skipped = (re.search(rf"(\d+) {word}", found.stdout) for word in ("passed", "skipped"))
    assert passed
    assert int(passed[1]) > 20 * (int(skipped[1]) if skipped else 0)
