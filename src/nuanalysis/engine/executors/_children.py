"""How processes are started: one thread each, and deaf to a Ctrl-C that is meant for the coordinator."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from nuanalysis.engine import ONE_THREAD


@contextmanager
def environment_restored(*names: str) -> Iterator[None]:
    """While open, these variables may be set; afterwards they are as they were."""
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def one_thread_for_children() -> Iterator[None]:
    """While open, processes that are started get one thread for OpenMP, BLAS and numba each."""
    with environment_restored(*ONE_THREAD):
        os.environ.update(ONE_THREAD)
        yield


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Ctrl-C reaches the whole process group; children started here leave it to the coordinator."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
