"""Threads of this process: they start at once and share its memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from nuanalysis.engine.executors._contract import GRACE_SECONDS, Item, Result, check_workers


@dataclass(frozen=True, slots=True)
class _Outcome:
    position: int
    value: Any
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Threads:
    """A thread for each item, at most ``workers`` at a time; for functions that let go of the GIL, as our kernels do.

    A thread cannot be stopped from outside: whoever leaves waits for the items under way, after a Ctrl-C for at most
    GRACE_SECONDS.  Threads of OpenMP, BLAS and numba are those of the process: their number is set before it starts
    (the command line does so, see ONE_THREAD), not here.
    """

    workers: int
    _started: list[threading.Thread] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_workers(self.workers)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[int, Result]]:
        waiting = enumerate(items)
        done: SimpleQueue[_Outcome] = SimpleQueue()

        def start(n: int) -> int:
            """Start the next n items, or as many as there are, and return their number."""
            return sum(self._start(function, *task, done) for task in islice(waiting, n))

        under_way = start(self.workers)
        while under_way:
            outcome = done.get()
            if outcome.error is not None:
                raise outcome.error
            under_way += start(1) - 1
            yield outcome.position, outcome.value

    def _start(
        self, function: Callable[[Item], Result], position: int, item: Item, done: SimpleQueue[_Outcome]
    ) -> bool:
        thread = threading.Thread(
            target=_work, args=(function, position, item, done), name="nuanalysis-worker", daemon=True
        )
        self._started[:] = [earlier for earlier in self._started if earlier.is_alive()]
        thread.start()
        self._started.append(thread)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        interrupted = kind is not None and not issubclass(kind, Exception)
        until = time.monotonic() + GRACE_SECONDS
        while self._started:
            self._started.pop().join(max(until - time.monotonic(), 0.0) if interrupted else None)


def _work(function: Callable[[Item], Result], position: int, item: Item, done: SimpleQueue[_Outcome]) -> None:
    try:
        done.put(_Outcome(position, function(item), None))
    except BaseException as error:
        done.put(_Outcome(position, None, error))
