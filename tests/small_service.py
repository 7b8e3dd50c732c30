"""A service to ask in the same process, and one in a process of its own that can be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from nuanalysis.errors import EnvironmentFault
from nuanalysis.realtime.service import Found, Limits, ScanRequest
from nuanalysis.realtime.service._app import make_app
from nuanalysis.realtime.service._service import Service

AMPLE = Limits(requests_per_minute=1_000_000, free_bytes=0)


def asked(event: int = 2, **more: Any) -> dict[str, Any]:
    """A request for a scan of the stand-in."""
    stored = {"run": 1, "event": event, "collection": "toy"}
    return {"event": stored, "real_or_simulated": "simulated", **more}


class HeldQueue:
    """Holds jobs and begins none."""

    def __init__(self) -> None:
        self.held: dict[str, int] = {}

    def open(self, work: Callable[[str], None]) -> None:
        self.work = work

    def submit(self, job: str, priority: int) -> None:
        self.held.setdefault(job, priority)

    def cancel(self, job: str) -> None:
        self.held.pop(job, None)

    def jobs(self) -> tuple[str, ...]:
        return tuple(self.held)

    def close(self) -> None: ...


class Api:
    """The app asked without a network; nothing is worked on."""

    def __init__(self, folder: Path, limits: Limits = AMPLE, *, loopback: bool = True, **more: Any) -> None:
        self.queue = HeldQueue()
        self.service = Service(folder, self.queue, limits=limits, **{"runner": ANALYTIC, **more})
        self.queue.open(self.service.crew.work)  # no crew: nothing is worked on
        self.service.reaper.start()
        self.service.ready = True
        self.app = make_app(self.service, loopback=loopback)

    def many(self, *requests: tuple[str, str, dict[str, Any]]) -> list[httpx.Response]:
        """All of (method, path, keywords) at once."""

        async def gather() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await asyncio.gather(*(client.request(m, p, **more) for m, p, more in requests))

        return asyncio.run(gather())

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.many((method, path, more))[0]

    def post(self, body: dict[str, Any], key: str = "k1", **more: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key, **more.pop("headers", {})}
        return self("POST", "/v1/scans", json=body, headers=headers, **more)

    def close(self) -> None:
        self.service.close()


ANALYTIC = "analytic_scan:AnalyticScan"  # the stand-in: its rounds take no time


class Deadly:
    """A runner whose process dies, or whose disk is full, or that has a fault, as a classifier says."""

    def faults(self, request: ScanRequest) -> list[str]:
        return []

    def prepare(self) -> None: ...

    def run(self, request: ScanRequest, folder: Path, report: Any, control: Any) -> Found | None:
        if request.classifiers.get("end") == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if request.classifiers.get("end") == "stopped":
            while not control.stop():
                time.sleep(0.02)
            return None
        if request.classifiers.get("end") == "disk":
            raise EnvironmentFault("no space left on device")
        print("what a runner prints is not for the service")
        raise ZeroDivisionError("a fault of the runner")


class Running:
    """A service in a process group of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        stand_in = () if "--runner" in options else ("--runner", ANALYTIC)
        self.options = (*stand_in, "--port", "0", "--requests-per-minute", "1000000", "--free-bytes", "0", *options)
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-u", "-m", "nuanalysis", "realtime", "serve", "--folder", str(self.folder)]
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])  # runners of tests
        self.process = subprocess.Popen(
            [*command, *self.options], stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
        )
        assert self.process.stderr is not None
        self.log: list[str] = []
        for line in self.process.stderr:
            self.log.append(line)
            if line.startswith("serving at "):
                self.address = line.split()[-1].rstrip("/")
                break
        else:
            self.process.stderr.close()
            raise AssertionError("".join(self.log))
        self.reader = threading.Thread(target=self.log.extend, args=(self.process.stderr,), daemon=True)
        self.reader.start()
        self.http = httpx.Client(base_url=self.address, timeout=30.0)
        self.wait(lambda: self._ready(), 30.0)

    def _ready(self) -> bool:
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def post(self, body: dict[str, Any], key: str) -> httpx.Response:
        return self.http.post("/v1/scans", json=body, headers={"Idempotency-Key": key})

    def status(self, scan: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"/v1/scans/{scan}/status").json()
        return found

    def wait(self, true: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(f"not within {seconds:g} s:\n" + "".join(self.log[-40:]))
            time.sleep(0.1)

    def until(self, scan: str, *states: str, seconds: float = 60.0) -> dict[str, Any]:
        self.wait(lambda: self.status(scan)["state"] in states, seconds)
        return self.status(scan)

    def workers(self) -> list[int]:
        """Process ids of its workers that have a scan; one more waits for an order."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                words = (path / "cmdline").read_bytes()
            except (OSError, ValueError, IndexError):
                continue
            if parent == self.process.pid and b"_worker" in words and "worker.lock" in open_files(path):
                found.append(int(path.name))
        return found

    def kill(self, number: int = signal.SIGKILL) -> int:
        assert self.process.stderr is not None
        self.http.close()
        self.process.send_signal(number)
        code = self.process.wait(30.0)
        self.reader.join(10.0)  # at the end of the pipe, which a worker may hold a little longer
        self.process.stderr.close()
        return code


def open_files(process: Path) -> str:
    """The names of the files that a process has open; of its folder in /proc."""
    try:
        return " ".join(str(path.readlink()) for path in (process / "fd").iterdir())
    except OSError:
        return ""


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Running]:
    """A service, and nothing of it afterwards."""
    one = Running(folder, *options)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.kill()


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
