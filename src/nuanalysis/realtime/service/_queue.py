"""The seam to whatever orders the scans: a queue of jobs that survives a kill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class JobQueue(Protocol):
    """Durable jobs, begun in order of priority, then of submission.

    A job may be begun more than once (after a kill), never by two threads at a time; who does the work decides whether
    it still is to be done.
    """

    def open(self, work: Callable[[str], None]) -> None:
        """Begin: jobs of an earlier process are begun again.  ``work(job)`` is called in a thread of its own."""
        ...

    def submit(self, job: str, priority: int) -> None:
        """Add a job once; a name that was used before is ignored."""
        ...

    def cancel(self, job: str) -> None:
        """Take a job out that was not begun.  What is not there is ignored."""
        ...

    def jobs(self) -> tuple[str, ...]:
        """Jobs that wait or are being worked on."""
        ...

    def close(self) -> None:
        """End; what waits is kept."""
        ...
