"""The service as processes: a real server, workers that are killed, clients that hang."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("dbos")

from analytic_scan import AnalyticScan
from small_service import alive, asked, running

from nuanalysis.realtime.service import ScanRequest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]
FILES = ("map.fits", "contours.json", "leaves.ecsv", "leaves.json")


class Wishes:
    def stop(self):
        return False

    def workers(self):
        return 1


def undisturbed(body, folder):
    """The files of a scan that nobody killed, without its waits."""
    request = ScanRequest.model_validate(body)
    return AnalyticScan().run(request, folder, lambda found: None, Wishes()).files


def files_of(service, scan):
    return {name: service.http.get(f"/v1/scans/{scan}/result/{name}").content for name in FILES}


def a_slow_scan(event, round_s=1.0):
    return asked(event, classifiers={"round_s": round_s})


def expected(event, folder):
    """Of the same request with its waits taken out: they are no part of what is computed."""
    return undisturbed(a_slow_scan(event, 0.0), folder)


@pytest.mark.slow
def test_a_scan_survives_the_kill_of_its_worker_and_of_the_service(tmp_path):
    rng = random.Random(20261130)
    with running(tmp_path / "service", "--scans", "3") as service:
        scans = {k: service.post(a_slow_scan(k), f"k{k}").json()["id"] for k in (1, 2, 3)}

        service.until(scans[1], "running", "partial")
        time.sleep(rng.uniform(0.0, 1.0))
        workers = service.workers()
        os.kill(rng.choice(workers), signal.SIGKILL)
        service.wait(lambda: any(service.status(scan)["attempt"] == 2 for scan in scans.values()), 10.0)

        time.sleep(rng.uniform(0.0, 2.0))
        orphans = service.workers()
        assert orphans
        assert service.kill() == -signal.SIGKILL
        end = time.monotonic() + 5.0
        while any(map(alive, orphans)) and time.monotonic() < end:
            time.sleep(0.02)
        assert not any(map(alive, orphans))  # no worker outlives its service

        service.start()
        # The answer to the first POST may have been lost with the service: the client sends it again.
        assert {k: service.post(a_slow_scan(k), f"k{k}").json()["id"] for k in scans} == scans
        for k, scan in scans.items():
            assert service.until(scan, "done", "failed")["state"] == "done"
            assert files_of(service, scan) == expected(k, tmp_path / f"twin-{k}")
            steps = service.http.get(f"/v1/scans/{scan}").json()["steps"]
            assert [step["state"] for step in steps].count("done") == 1
        assert service.http.get("/v1/queue").json()["working"] == []

        # An orderly end: what is under way goes back to the queue, and on at the next start.
        last = service.post(a_slow_scan(4, 2.0), "k4").json()["id"]
        service.until(last, "running", "partial")
        assert service.kill(signal.SIGTERM) == 143
        service.start()
        assert service.until(last, "done", "failed")["state"] == "done"
        causes = [step["cause"] for step in service.http.get(f"/v1/scans/{last}").json()["steps"]]
        assert any("the service was stopped" in cause for cause in causes)


@pytest.mark.slow
def test_a_running_service_under_wishes_hanging_clients_and_load(tmp_path):
    folder = tmp_path / "service"
    options = ("--client-s", "1.5", "--lease-s", "3", "--reap-s", "1", "--scans", "1")
    with running(folder, *options) as service:
        host, port = service.address.removeprefix("http://").split(":")

        def talk(data):
            """Send and read until the other end closes; seconds that took, and what came."""
            began = time.monotonic()
            with socket.create_connection((host, int(port)), timeout=10.0) as one:
                one.sendall(data)
                got = b""
                try:
                    while more := one.recv(65_536):
                        got += more
                except ConnectionResetError:
                    pass
            return time.monotonic() - began, got

        # The second scan waits behind the first; a realtime one has a slot of its own.
        slow = service.post(a_slow_scan(1, 60.0), "slow").json()["id"]
        waits = service.post(a_slow_scan(2, 0.0), "waits").json()["id"]
        service.until(slow, "running")
        urgent = service.post(a_slow_scan(3, 0.0) | {"priority": 100}, "urgent").json()["id"]
        assert service.until(urgent, "done", "failed")["state"] == "done"
        assert service.status(waits)["state"] == "queued"

        # Clients that hang while it scans: half a head, half a body, nothing at all, an answer that is never read.
        half_head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
        half_body = b"POST /v1/scans HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
        for data, answer in ((half_head, b""), (b"", b""), (half_body, b" 408 ")):
            seconds, got = talk(data)
            assert answer in got
            assert seconds < 6.0
        assert b" 400 " in talk(b"\x16\x03\x01 no http\r\n\r\n")[1]
        assert talk(b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n")[1][:12] in (b"HTTP/1.1 400", b"")

        # Status while scanning, and an event of the feed.
        times = []
        for _ in range(60):
            began = time.perf_counter()
            service.status(slow)
            times.append(time.perf_counter() - began)
        assert sorted(times)[30] < 0.5  # the figure is measured by validation/service.py; here: that it answers at all
        with service.http.stream("GET", "/v1/events", headers={"Last-Event-ID": "0"}) as feed:
            assert next(line for line in feed.iter_lines() if line.startswith("data: "))

        # A worker that is stopped gives no sign and is replaced when its lease is over.
        [worker] = service.workers()
        os.kill(worker, signal.SIGSTOP)
        service.wait(lambda: service.status(slow)["attempt"] == 2, 12.0)
        assert not alive(worker)
        service.until(slow, "running")
        cancelled = service.http.delete(f"/v1/scans/{slow}").json()
        assert cancelled["state"] in ("starting", "running", "partial", "cancelled")
        assert service.until(slow, "cancelled", "done", "failed", seconds=15.0)["state"] == "cancelled"
        assert service.until(waits, "done", "failed")["state"] == "done"

        # A second service keeps out of the folder.
        command = [sys.executable, "-m", "nuanalysis", "realtime", "serve", "--folder", str(folder), "--port", "0"]
        other = subprocess.run(command, capture_output=True, text=True, timeout=60.0)
        assert other.returncode == 5
        assert "another service" in other.stderr
        assert Path(folder / "scans.sqlite").exists()


@pytest.mark.slow
def test_a_scan_that_cannot_be_done_fails_and_says_why(tmp_path):
    with running(tmp_path / "service", "--scans", "3", "--runner", "small_service:Deadly") as service:
        ends = {"dies": "5 workers in a row", "disk": "no space left", "breaks": "ZeroDivisionError: a fault"}
        scans = {end: service.post(asked(1, classifiers={"end": end}), end).json()["id"] for end in ends}
        for end, cause in ends.items():
            status = service.until(scans[end], "failed", "done")
            assert status["state"] == "failed"
            assert cause in status["cause"]
        assert service.status(scans["dies"])["attempt"] == 5
        assert service.status(scans["disk"])["attempt"] == 1
        assert "not for the service" in (tmp_path / "service" / "scans" / scans["breaks"] / "worker.log").read_text()


def test_a_scan_that_is_cancelled_before_its_first_round_did_not_fail(tmp_path):
    with running(tmp_path / "service", "--scans", "3", "--runner", "small_service:Deadly") as service:
        scan = service.post(asked(1, classifiers={"end": "stopped"}), "stopped").json()["id"]
        service.until(scan, "running")
        assert service.http.delete(f"/v1/scans/{scan}").status_code in (200, 202, 204)
        status = service.until(scan, "cancelled", "failed", "done")
        assert (status["state"], status["has_result"]) == ("cancelled", False)
