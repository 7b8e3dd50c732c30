"""The process that works on one scan: ``python -m nuanalysis.realtime.service._worker RUNNER``.

It imports the runner, reads its order from stdin, says on stdout how far it is, a line of JSON each, and ends at once
when the service has: its stdin closes, and on Linux the kernel kills it.  A lock on the folder keeps a second one out.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from nuanalysis.errors import NuanalysisError
from nuanalysis.realtime.service._book import Progressed
from nuanalysis.realtime.service._results import REQUEST, write_result
from nuanalysis.realtime.service.requests import ScanRequest
from nuanalysis.realtime.service.runner import Found, ScanRunner, find_runner
from nuanalysis.store import locked, sweep

SIGN_S = 2.0  # between two signs of life
LOCK_S = 30.0  # how long a worker before this one may take to die
ORPHANED = 3


class _Line:
    """The pipe to the service.  Whatever else is printed goes to stderr."""

    def __init__(self) -> None:
        self._out = os.dup(1)
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def say(self, **words: Any) -> None:
        """One line; the process ends where nobody listens any more."""
        data = json.dumps(words, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._out, data) :]
            except OSError:
                os._exit(ORPHANED)

    def signs(self) -> None:
        """A sign of life now and then, for ever."""
        while True:
            self.say(sign=True)
            time.sleep(SIGN_S)


class _Wishes:
    """What the service wants: the ``Control`` of the runner."""

    def __init__(self, workers: int) -> None:
        self._workers, self._stop = workers, False

    def stop(self) -> bool:
        return self._stop

    def workers(self) -> int:
        return self._workers

    def listen(self) -> None:
        """Hear wishes until stdin closes; then the service is gone, and so are we."""
        for line in sys.stdin.buffer:
            with suppress(ValueError):
                wish = json.loads(line)
                self._stop = self._stop or bool(wish.get("stop"))
                self._workers = int(wish.get("workers", self._workers))
        os._exit(ORPHANED)


def _die_with_the_service() -> None:
    """Linux: have the kernel kill this process when the thread that made it ends, stopped or not."""
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _work(line: _Line, runner: ScanRunner, order: dict[str, Any], wishes: _Wishes) -> None:
    folder = Path(order["folder"])
    request = ScanRequest.model_validate_json((folder / REQUEST).read_bytes())
    with (folder / "worker.log").open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)

    def report(found: Found) -> None:
        result = write_result(folder, request, found, final=False)
        line.say(found=_columns(found, result))

    with locked(folder / "worker", LOCK_S):
        sweep(folder)
        line.say(runs=True)
        found = runner.run(request, folder, report, wishes)
        stopped = wishes.stop()
        if found is None:
            line.say(stopped=None) if stopped else line.say(failed="its CPU time was used up before the first round")
            return
        result = write_result(folder, request, found, final=not stopped)
        line.say(stopped=_columns(found, result)) if stopped else line.say(done=_columns(found, result))


def _columns(found: Found, result: str) -> dict[str, int | str | None]:
    return Progressed.of(found, result).columns()


def main() -> int:
    """Work on the scan of the first line of stdin; 0 where its end was told."""
    _die_with_the_service()
    line, runner = _Line(), find_runner(sys.argv[1])
    runner.prepare()
    order = json.loads(sys.stdin.buffer.readline() or b"null")
    if order is None:
        return ORPHANED
    if os.getppid() != order["service"]:
        return ORPHANED  # the service ended before the kernel knew of our wish
    wishes = _Wishes(order["workers"])
    for task in (line.signs, wishes.listen):
        threading.Thread(target=task, daemon=True).start()
    try:
        _work(line, runner, order, wishes)
    except NuanalysisError as error:
        line.say(failed=f"{type(error).__name__}: {error}"[:2000])
    except MemoryError:
        line.say(failed="the machine had not enough memory for it")
    except Exception as error:
        import traceback

        traceback.print_exc()
        line.say(failed=f"{type(error).__name__}: {error}"[:2000])
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # threads of libraries shall not hold the process, and the slot in the queue
