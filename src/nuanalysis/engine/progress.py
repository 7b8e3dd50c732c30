"""What a long call says while it works: a bar in a terminal, a line now and then in a log, one line in a notebook."""

import sys
import time
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

_BAR = 24
_TERMINAL_SECONDS, _LOG_SECONDS = 0.2, 10.0


class Progress(Protocol):
    """Called with a line it says it; ``move`` tells how far a piece of work is."""

    def __call__(self, line: str) -> None: ...

    def move(self, what: str, done: int, total: int, note: str = "") -> None:
        """So many of the total are done; note : more words, such as the effective number of trials."""
        ...


def left(seconds: float) -> str:
    """A time left in words: '40 s', '3 min 20 s', '2 h 5 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


@dataclass(slots=True)
class _Pace:
    """When a piece of work began, how much was done then, and when it was last spoken of."""

    what: str = ""
    started: float = 0.0
    first: int = 0
    said: float = 0.0

    def words(self, what: str, done: int, total: int, note: str, *, every: float) -> str | None:
        """The work in words; None where it is too early to speak again."""
        now = time.monotonic()
        if what != self.what or done < self.first:
            self.what, self.started, self.first, self.said = what, now, done, now - 0.7 * every
        if done < total and now - self.said < every:
            return None
        self.said = now
        rate = (done - self.first) / (now - self.started) if now > self.started else 0.0
        rest = f", {left((total - done) / rate)} left" if rate > 0 and done < total else ""
        return f"{what}: {done:,} of {total:,}{rest}" + (f", {note}" if note else "")


@dataclass(slots=True)
class Silent:
    """Says nothing."""

    def __call__(self, line: str) -> None:
        return None

    def move(self, what: str, done: int, total: int, note: str = "") -> None:
        return None


@dataclass(slots=True)
class Lines:
    """Lines on a stream that is no terminal: how far work is every ten seconds."""

    stream: TextIO
    _pace: _Pace = field(default_factory=_Pace)

    def __call__(self, line: str) -> None:
        print(line, file=self.stream, flush=True)

    def move(self, what: str, done: int, total: int, note: str = "") -> None:
        words = self._pace.words(what, done, total, note, every=_LOG_SECONDS)
        if words and done < total:
            self(f"  {words}")


@dataclass(slots=True)
class Bar:
    """A bar on the last line of a terminal, wiped out when the work ends."""

    stream: TextIO
    width: int = 80
    _pace: _Pace = field(default_factory=_Pace)
    _drawn: bool = False

    def __call__(self, line: str) -> None:
        self._wipe()
        print(line, file=self.stream, flush=True)

    def move(self, what: str, done: int, total: int, note: str = "") -> None:
        if done >= total:
            self._wipe()
            return
        words = self._pace.words(what, done, total, note, every=_TERMINAL_SECONDS)
        if words:
            full = int(_BAR * done / max(total, 1))
            line = f"[{'#' * full}{' ' * (_BAR - full)}] {words}"[: self.width - 1]
            self.stream.write(f"\r{line:<{self.width - 1}}")
            self.stream.flush()
            self._drawn = True

    def _wipe(self) -> None:
        if self._drawn:
            self.stream.write("\r" + " " * (self.width - 1) + "\r")
            self._drawn = False


@dataclass(slots=True)
class Cell:
    """One line below the cell of a notebook, rewritten as the work goes on."""

    _pace: _Pace = field(default_factory=_Pace)
    _handle: Any = None

    def __call__(self, line: str) -> None:
        print(line, flush=True)

    def move(self, what: str, done: int, total: int, note: str = "") -> None:
        from IPython.display import display

        words = self._pace.words(what, done, total, note, every=1.0)
        if words is None:
            return
        shown = {"text/plain": words}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(shown, raw=True)


def here() -> Progress:
    """What suits where this runs: a notebook, a terminal, or a log."""
    shell = sys.modules.get("IPython")
    kernel = shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"
    if kernel:
        return Cell()
    if sys.stderr.isatty():
        import shutil

        return Bar(sys.stderr, shutil.get_terminal_size().columns)
    return Lines(sys.stderr)
