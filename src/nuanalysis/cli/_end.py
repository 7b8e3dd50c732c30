"""How a command ends that could not do its work: one sentence, an exit code, one document where JSON was asked for."""

from __future__ import annotations

import json
import logging
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nuanalysis.errors import EnvironmentFault, printable

#: Where a fault of ours is told; an address once the project has one that is public.
REPORT_TO = "the issue tracker of the repository that this copy of nuanalysis came from"
USAGE, FAULT, INTERRUPTED, TERMINATED = 2, 70, 130, 143


def refused(kind: str, message: str, code: int, arguments: list[str]) -> int:
    """Say why on stderr, and on stdout as the one document where JSON was asked for; returns the code."""
    print(printable(f"{kind}: {message}"), file=sys.stderr)
    if "--json" in arguments:
        print(json.dumps({"error": {"kind": kind, "message": printable(message), "exit_code": code}}))
    return code


def machine_fault(error: OSError | MemoryError, arguments: list[str]) -> int:
    """The end of a command that the machine stopped, in a place where nobody expected it."""
    if isinstance(error, MemoryError):
        said = "there is not enough memory for this: use fewer workers, fewer trials or coarser maps"
    elif not _here():
        said = "the folder in which this was called is gone: change to one that exists and call again"
    elif isinstance(error, FileNotFoundError):
        said = f"{_of(error)}: was it, or the folder, removed meanwhile? What is left is whole; call again to go on"
    else:
        said = f"{_of(error)}; what was finished is kept; fix this and call again"
    return refused(EnvironmentFault.__name__, said, EnvironmentFault.exit_code, arguments)


def _here() -> bool:
    try:
        return bool(Path.cwd())
    except OSError:
        return False


def _of(error: OSError) -> str:
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return " and ".join(names) + f": {error.strerror}" if names and error.strerror else str(error).rstrip(".")


def own_fault(error: Exception, arguments: list[str]) -> int:
    """The end of a command that met a fault of ours: the details for us, the last word for the user."""
    deep = isinstance(error, RecursionError)  # of its thousand frames the last ones tell as much
    print(printable("".join(traceback.format_exception(error, limit=-8 if deep else None))), file=sys.stderr, end="")
    said = "some input nests too deeply to be read; make it flatter" if deep else str(error)
    message = (
        f"{type(error).__name__}: {said.rstrip('.')}. If the input is sound, this is a fault of nuanalysis: please "
        f"report the lines above and what was called to {REPORT_TO}"
    )
    return refused("Fault", message, FAULT, arguments)


def stopped(came: list[int], arguments: list[str]) -> int:
    """The end of a command that Ctrl-C or SIGTERM ended."""
    kind, code = ("Terminated", TERMINATED) if signal.SIGTERM in came else ("Interrupted", INTERRUPTED)
    return refused(kind, "finished work is kept, call again to go on", code, arguments)


@contextmanager
def terminable() -> Iterator[list[int]]:
    """While open, SIGTERM interrupts as Ctrl-C does: kernels, workers and locks are let go.  Yields what has come."""
    came: list[int] = []

    def stop(number: int, _: Any) -> None:
        came.append(number)
        signal.signal(number, signal.SIG_DFL)  # a second one ends at once
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)


class Clean(logging.Formatter):
    """Lines of a log, fit for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def _warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> str:
    return printable(f"{category.__name__}: {message}") + "\n"


def clean_streams() -> None:
    """What libraries say of names in files of others is cleaned, and a terminal of ASCII can be told every name."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    warnings.formatwarning = _warning
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(Clean())
