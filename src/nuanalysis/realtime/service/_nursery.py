"""Worker processes, one of them always made in advance: its imports are done when a scan wants it."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from contextlib import suppress

Worker = subprocess.Popen[bytes]
TRIES_S = 60.0  # how long a worker is waited for


class Nursery:
    """Makes workers, all in one thread: Linux kills them with the thread that made them, which lives as long as we."""

    def __init__(self, runner: str) -> None:
        self._command = [sys.executable, "-m", "nuanalysis.realtime.service._worker", runner]
        self._ready: queue.Queue[Worker | OSError] = queue.Queue(maxsize=1)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._make, name="nursery", daemon=True)

    def open(self) -> None:
        """Make the first worker."""
        self._thread.start()

    def take(self) -> Worker:
        """A worker that waits for its order.  Raises OSError where none can be made."""
        while True:
            try:
                found = self._ready.get(timeout=TRIES_S)
            except queue.Empty:
                raise OSError(f"no process within {TRIES_S:g} s") from None
            if isinstance(found, OSError):
                raise found
            if found.poll() is None:
                return found
            end(found)  # it was killed while it waited

    def close(self) -> None:
        """End the worker that nobody took."""
        self._closing.set()
        while self._thread.is_alive() or not self._ready.empty():
            with suppress(queue.Empty):
                left = self._ready.get(timeout=0.05)
                if not isinstance(left, OSError):
                    end(left)

    def _make(self) -> None:
        pipe = subprocess.PIPE
        while not self._closing.is_set():
            try:
                made: Worker | OSError = subprocess.Popen(
                    self._command, stdin=pipe, stdout=pipe, start_new_session=True
                )
            except OSError as error:
                made = error
            self._ready.put(made)


def end(worker: Worker) -> None:
    """Kill a worker, whatever it does, and wait for it."""
    with suppress(OSError):
        worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
