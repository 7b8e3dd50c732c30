"""How processes are started: one thread each, and deaf to a Ctrl-C that is meant for the coordinator."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from nuanalysis.engine.one_thread import ONE_THREAD


@contextmanager
def one_thread_for_children() -> Iterator[None]:
    """While open, processes that are started get one thread for OpenMP, BLAS and numba each."""
    before = environment(ONE_THREAD)
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        restore_environment(before)


def environment(names: Iterable[str]) -> dict[str, str | None]:
    """These variables as they are now; None for those that are not set."""
    return {name: os.environ.get(name) for name in names}


def restore_environment(before: dict[str, str | None]) -> None:
    """Set the variables back to what ``environment`` returned."""
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Ctrl-C reaches the whole process group; children started here leave it to the coordinator."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
