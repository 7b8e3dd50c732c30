"""Workers and who watches over them: one process a scan, restarted where it is lost, never believed for long."""

from __future__ import annotations

import json
import logging
import os
import selectors
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nuanalysis.errors import NuanalysisError
from nuanalysis.realtime.service._book import Book, Progressed, Row
from nuanalysis.realtime.service._limits import Limits
from nuanalysis.realtime.service._nursery import Nursery, Worker, end
from nuanalysis.realtime.service._results import REQUEST
from nuanalysis.store import atomic_write

LOG = logging.getLogger("nuanalysis.realtime")
TICK_S = 0.2  # how soon a wish is passed on
GRACE_S = 10.0  # from the wish to stop to the kill
LOSSES = 5  # of workers in a row, without a round between, after which a scan has failed
SIGNED_S = 10.0  # a lease is renewed in the book not more often
STOPPED = "the service was stopped while it was worked on"


@dataclass(slots=True)
class Wishes:
    """What clients want of a running scan; passed on to its worker."""

    stop: bool = False
    workers: int = 0
    changed: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker ended without an end of the scan."""

    cause: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The scan, or the service, came to an end."""


class Crew:
    """Works on scans.  ``work`` is what the queue calls, in a thread for each job."""

    def __init__(self, book: Book, folder: Path, runner: str, limits: Limits, counted: Callable[[str], None]) -> None:
        self._book, self._folder, self._limits, self._counted = book, folder, limits, counted
        self._nursery = Nursery(runner)
        self._wishes: dict[str, Wishes] = {}
        self._closing = threading.Event()

    def open(self) -> None:
        """Have a worker ready."""
        self._nursery.open()

    def owns(self, scan: str) -> bool:
        """Whether a thread of this service watches over the scan."""
        return scan in self._wishes

    def wish(self, scan: str) -> None:
        """Look at the book again: somebody wants something of a scan."""
        if wishes := self._wishes.get(scan):
            wishes.changed.set()

    def close(self) -> None:
        """Stop every worker; the scans go back to the queue."""
        self._closing.set()
        latest = time.monotonic() + GRACE_S
        while self._wishes and time.monotonic() < latest:
            time.sleep(0.02)
        self._nursery.close()

    def work(self, job: str) -> None:
        """Work on the scan of a job until it is final; what waits no longer is left alone."""
        scan, _, submission = job.rpartition(".")
        if self._closing.is_set():
            return
        row = self._book.claim(scan, int(submission), self._limits.lease_s)
        if row is None:
            return
        with self._held(scan, row):
            while row is not None:
                row = self._attempt(row)

    @contextmanager
    def _held(self, scan: str, row: Row) -> Iterator[None]:
        self._wishes[scan] = Wishes(workers=row.workers)
        self._wishes[scan].changed.set()  # what was wished before we looked
        try:
            yield
        except NuanalysisError as error:  # a full disk: not even its end can be written; the reaper tries again
            LOG.error("scan %s: %s", scan, error)
        finally:
            del self._wishes[scan]

    def _attempt(self, row: Row) -> Row | None:
        """One worker from beginning to end; the next attempt, or None where there is none."""
        began = time.monotonic()
        try:
            found = self._watch(row)
        except OSError as error:
            found = Lost(f"no worker could be started: {error}")
        LOG.info("scan %s attempt %d: %s after %.1f s", row.id, row.attempt, found, time.monotonic() - began)
        if isinstance(found, Ended):
            return None
        self._counted("workers_lost")
        now = self._book.get(row.id)
        losses = (now or row).losses + 1
        if losses >= LOSSES:
            cause = f"{found.cause}; {losses} workers in a row were lost without a round between"
            self._book.ends(row.id, row.attempt, "failed", cause)
            return None
        return self._book.again(row.id, row.attempt, self._limits.lease_s, found.cause, losses=losses)

    def _watch(self, row: Row) -> Lost | Ended:
        worker = self._nursery.take()
        try:
            place = self._folder / row.id
            atomic_write(place / REQUEST, row.request.encode())  # a worker that hangs would not read it from the pipe
            _tell(worker, folder=str(place), workers=row.workers, service=os.getpid())
            return _Watch(self, row, worker).until_the_end()
        finally:
            end(worker)


class _Watch:
    """One worker being watched."""

    def __init__(self, crew: Crew, row: Row, process: Worker) -> None:
        self._crew, self._row, self._process = crew, row, process
        self._book, self._limits = crew._book, crew._limits
        self._heard = self._began = time.monotonic()
        self._signed = 0.0
        self._stop_at: float | None = None

    def until_the_end(self) -> Lost | Ended:
        """Hear the worker out.  It is killed where it is silent, too long at work, or does not stop when asked."""
        with selectors.DefaultSelector() as ready:
            out = self._process.stdout
            assert out is not None
            os.set_blocking(out.fileno(), False)
            ready.register(out, selectors.EVENT_READ)
            rest = b""
            while True:
                if ready.select(TICK_S):
                    data = out.read()
                    if data == b"":
                        return Lost(f"its worker ended with code {self._process.wait()} and without a result")
                    *lines, rest = (rest + (data or b"")).split(b"\n")
                    for line in lines:
                        if (ended := self._heard_of(json.loads(line))) is not None:
                            return ended
                if (found := self._looked()) is not None:
                    return found

    def _heard_of(self, said: dict[str, Any]) -> Ended | None:
        """Write down what the worker said; an end where it was the last word."""
        scan, attempt, lease = self._row.id, self._row.attempt, self._limits.lease_s
        self._heard = time.monotonic()
        if "runs" in said:
            self._book.runs(scan, attempt, lease)
        elif "found" in said:
            self._book.finds(scan, attempt, lease, Progressed(**said["found"]))
            self._crew._counted("rounds")
        elif "done" in said:
            self._book.ends(scan, attempt, "done", "", Progressed(**said["done"]))
            return Ended()
        elif "stopped" in said:
            progress = said["stopped"] and Progressed(**said["stopped"])  # None before the first round
            self._book.ends(scan, attempt, "cancelled", "cancelled by a client", progress)
            return Ended()
        elif "failed" in said:
            self._book.ends(scan, attempt, "failed", said["failed"])
            return Ended()
        elif self._heard - self._signed > SIGNED_S:
            self._signed = self._heard
            self._book.signs(scan, attempt, lease)
        return None

    def _looked(self) -> Lost | Ended | None:
        """What is to be done without a word of the worker."""
        now, scan, attempt = time.monotonic(), self._row.id, self._row.attempt
        if self._crew._closing.is_set():
            self._book.waits(scan, attempt, STOPPED)
            return Ended()
        if now - self._began > self._limits.duration_s:
            self._book.ends(scan, attempt, "failed", f"it took longer than {self._limits.duration_s:g} s")
            return Ended()
        if now - self._heard > self._limits.lease_s:
            return Lost(f"its worker gave no sign for {self._limits.lease_s:g} s")
        wishes = self._crew._wishes[scan]
        if wishes.changed.is_set():
            wishes.changed.clear()
            self._pass_on(wishes)
        if self._stop_at is not None and now > self._stop_at:
            self._book.ends(scan, attempt, "cancelled", "cancelled by a client; its worker had to be killed")
            return Ended()
        return None

    def _pass_on(self, wishes: Wishes) -> None:
        row = self._book.get(self._row.id)
        if row is not None:
            wishes.stop, wishes.workers = bool(row.cancel), row.workers
        if wishes.stop and self._stop_at is None:
            self._stop_at = time.monotonic() + GRACE_S
        _tell(self._process, stop=wishes.stop, workers=wishes.workers)


def _tell(process: Worker, **words: Any) -> None:
    """A line to the worker; whether it lives is seen elsewhere."""
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.write(json.dumps(words).encode() + b"\n")
        process.stdin.flush()
