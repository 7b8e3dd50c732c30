"""Looks after scans that nobody looks after: at the start, and every 30 s."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from nuanalysis.errors import NuanalysisError
from nuanalysis.realtime.service._book import Book, Row
from nuanalysis.realtime.service._crew import Crew
from nuanalysis.realtime.service._limits import Limits
from nuanalysis.realtime.service._queue import JobQueue

LOG = logging.getLogger("nuanalysis.realtime")
FRESH_S = 5.0  # a scan that waits for less may be on its way into the queue
DEAD = "its lease ran out and nobody works on it"


class Reaper:
    """Brings every scan back that is lost between the book, the queue and the crew."""

    def __init__(
        self, book: Book, queue: JobQueue, crew: Crew, folder: Path, limits: Limits, counted: Callable[[str], None]
    ) -> None:
        self._book, self._queue, self._crew = book, queue, crew
        self._folder, self._limits, self._counted = folder, limits, counted
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="reaper", daemon=True)

    def start(self) -> None:
        """A first look now, in which everything counts as lost that has no job; then one now and then."""
        self.look(fresh_s=0.0)
        self._thread.start()

    def close(self) -> None:
        """No more looks."""
        self._end.set()
        self._thread.join(10.0)

    def _loop(self) -> None:
        while not self._end.wait(self._limits.reap_s):
            try:
                self.look(fresh_s=FRESH_S)
            except Exception as error:  # a full disk, a busy file: the next look may do better, none would do worse
                LOG.error("reaper: %s: %s", type(error).__name__, error)

    def look(self, *, fresh_s: float) -> None:
        """Requeue scans without a worker, submit waiting scans without a job, remove what was deleted long ago."""
        now = time.time()
        for row in self._book.working():
            if (row.lease or 0.0) < now and not self._crew.owns(row.id):
                self._book.waits(row.id, row.attempt, DEAD)
                self._counted("requeued")
        jobs = set(self._queue.jobs())
        for row in self._book.waiting():
            if row.job not in jobs and now - row.since >= fresh_s:
                self._submit(row)
        for row in self._book.purgeable(now - 86_400 * self._limits.purge_days):
            self._purge(row)

    def _submit(self, row: Row) -> None:
        """Under a name that the queue has not seen: it takes each once."""
        again = self._book.resubmitted(row)
        if again is not None:
            self._queue.submit(again.job, again.priority)
            self._counted("requeued")

    def _purge(self, row: Row) -> None:
        try:
            shutil.rmtree(self._folder / row.id, ignore_errors=True)
            self._book.purged(row.id)
            self._counted("purged")
        except NuanalysisError as error:
            LOG.error("purge of %s: %s", row.id, error)
