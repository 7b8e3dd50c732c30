"""The parts of a running service, and how they are put together and taken apart."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from nuanalysis.realtime.service._alerts import AlertArchive, NoAlerts
from nuanalysis.realtime.service._book import Book, DiskFull
from nuanalysis.realtime.service._crew import Crew
from nuanalysis.realtime.service._limits import Limits, Rates
from nuanalysis.realtime.service._metrics import Metrics
from nuanalysis.realtime.service._queue import JobQueue
from nuanalysis.realtime.service._reaper import Reaper
from nuanalysis.realtime.service.runner import RUNNER, ScanRunner, find_runner
from nuanalysis.realtime.service.tokens import Tokens

SCANS, BOOK, JOBS = "scans", "scans.sqlite", "queue.sqlite"
ENDED = "the service ended while it was worked on"


class Service:
    """Book, queue, crew and reaper over one folder, which nobody else may write."""

    def __init__(
        self,
        folder: Path,
        queue: JobQueue,
        *,
        limits: Limits | None = None,
        runner: str = RUNNER,
        alerts: AlertArchive | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder, self.queue, self.limits = folder, queue, limits or Limits()
        self.runner: ScanRunner = find_runner(runner)
        self.alerts: AlertArchive = alerts or NoAlerts()
        self.metrics = Metrics()
        self.rates = Rates(self.limits.requests_per_minute)
        self.tokens = Tokens(folder)
        self.book = Book(folder / BOOK)
        self.crew = Crew(self.book, self.scans, runner, self.limits, self.metrics.count)
        self.reaper = Reaper(self.book, queue, self.crew, self.scans, self.limits, self.metrics.count)
        self.ready = False
        self.listeners = 0
        self.ending: Callable[[], bool] = lambda: False

    @property
    def scans(self) -> Path:
        """Folder of the scans, one for each."""
        return self.folder / SCANS

    def open(self) -> None:
        """Take up what an earlier service left, and begin."""
        self.book.abandoned(ENDED)
        self.crew.open()
        self.queue.open(self.crew.work)
        self.reaper.start()
        self.ready = True

    def close(self) -> None:
        """Put work back and let everything go."""
        self.ready = False
        self.reaper.close()
        self.crew.close()
        self.queue.close()
        self.book.close()

    def refuse_full_disk(self) -> None:
        """Raises DiskFull where less than the bound is free."""
        free = shutil.disk_usage(self.folder).free
        if free < self.limits.free_bytes:
            raise DiskFull(
                f"{free / 1e6:.0f} MB are free on the disk of the service, expected at least "
                f"{self.limits.free_bytes / 1e6:.0f} MB; nothing was kept, make room and call again"
            )
