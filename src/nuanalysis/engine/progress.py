"""What a long call says while it works: a bar in a terminal, a line now and then in a log, one line in a notebook."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TextIO

from nuanalysis.errors import printable

_BAR = 24
_TERMINAL_SECONDS, _CELL_SECONDS, _LOG_SECONDS = 0.2, 1.0, 10.0


class Progress(Protocol):
    """Called with a line it says it; ``move`` tells how far a piece of work is.  Names of others are cleaned."""

    def __call__(self, line: str) -> None: ...

    def move(self, what: str, done: int, total: int, note: str = "") -> None:
        """So many of the total are done; note : more words, such as the effective number of trials."""
        ...


@dataclass(slots=True)
class Silent:
    """Says nothing."""

    def __call__(self, line: str) -> None:
        return None

    def move(self, what: str, done: int, total: int, note: str = "") -> None:
        return None


@dataclass(slots=True)
class Spoken:
    """Says lines by ``say``, and how far work is by ``show`` (words, share that is done) every so many seconds.

    The other fields: the piece of work, when it began, how much was done then, and when it was last spoken of.
    """

    say: Callable[[str], None]
    show: Callable[[str, float], None]
    every: float
    _what: str = ""
    _started: float = 0.0
    _first: int = 0
    _said: float = 0.0

    def __call__(self, line: str) -> None:
        self.say(printable(line))

    def move(self, what: str, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if what != self._what or done < self._first:
            self._what, self._started, self._first, self._said = what, now, done, now - 0.7 * self.every
        if done < total and now - self._said < self.every:
            return
        self._said = now
        rate = (done - self._first) / (now - self._started) if now > self._started else 0.0
        rest = f", {left((total - done) / rate)} left" if rate > 0 and done < total else ""
        words = f"{what}: {done:,} of {total:,}{rest}" + (f", {note}" if note else "")
        self.show(printable(words), done / total if done < total else 1.0)


def left(seconds: float) -> str:
    """A time left in words: '40 s', '3 min 20 s', '2 h 5 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def _log(stream: TextIO) -> Spoken:
    say = partial(print, file=stream, flush=True)
    return Spoken(say, lambda words, share: say(f"  {words}") if share < 1.0 else None, _LOG_SECONDS)


def _terminal(stream: TextIO, width: int) -> Spoken:
    """A bar on the last line of a terminal, wiped out when the work ends."""
    wipe = f"\r{' ' * (width - 1)}\r"

    def show(words: str, share: float) -> None:
        full = int(_BAR * share)
        line = f"[{'#' * full}{' ' * (_BAR - full)}] {words}"[: width - 1]
        stream.write(f"\r{line:<{width - 1}}" if share < 1.0 else wipe)
        stream.flush()

    return Spoken(lambda line: print(f"{wipe}{line}", file=stream, flush=True), show, _TERMINAL_SECONDS)


def _cell() -> Spoken:
    """One line below the cell of a notebook, rewritten as the work goes on."""
    handle: Any = None

    def show(words: str, share: float) -> None:
        from IPython.display import display

        nonlocal handle
        if handle is None:
            handle = display({"text/plain": words}, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            handle.update({"text/plain": words}, raw=True)

    return Spoken(partial(print, flush=True), show, _CELL_SECONDS)


def here() -> Progress:
    """What suits where this runs: a notebook, a terminal, or a log."""
    shell = sys.modules.get("IPython")
    if shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell":
        return _cell()
    return _terminal(sys.stderr, shutil.get_terminal_size().columns) if sys.stderr.isatty() else _log(sys.stderr)


@contextmanager
def compiling(say: Callable[[str], None]) -> Iterator[None]:
    """Say when kernels are compiled meanwhile, which happens once after an installation, and how long it took."""
    from numba.core import event

    class Heard(event.TimingListener):  # type: ignore[misc]
        told = False

        def on_start(self, happened: Any) -> None:
            if not self.told:
                self.told = True
                say("compiling kernels to machine code: once after an installation, about half a minute in all")
            super().on_start(happened)  # type: ignore[no-untyped-call]

    heard = Heard()  # type: ignore[no-untyped-call]
    try:
        with event.install_listener("numba:compile", heard):
            yield
    finally:
        if heard.done:
            say(f"kernels compiled in {heard.duration:.1f} s")
