"""What every executor promises, and those of this process: one item after the other, or threads."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Protocol, Self, TypeVar

from nuanalysis.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")
Raised = type[BaseException] | None
Outcomes = SimpleQueue[tuple[int, Any, BaseException | None]]

GRACE_SECONDS = 2.0


class Executor(Protocol):
    """A context manager that maps a function over items; leaving it ends every process it started."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[int, Result]]:
        """Yield (position of the item, its result) in the order in which the results arrive.

        Items are taken as they are needed.  An exception of the function is raised as itself; closing the iterator
        early ends the work under way.
        """
        ...

    def __enter__(self) -> Self: ...
    def __exit__(self, kind: Raised, *rest: object) -> None: ...


def check_workers(workers: int) -> None:
    """Raise InputError unless it is a whole number of at least 1."""
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise InputError(f"an executor needs a whole number of workers of at least 1, found {workers!r}")


@dataclass(frozen=True, slots=True)
class Serial:
    """Everything here and now, in the order of the items."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[int, Result]]:
        yield from enumerate(map(function, items))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Raised, *rest: object) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Threads:
    """A thread for each item, at most ``workers`` at a time; for functions that let go of the GIL, as our kernels do.

    They start at once and share the memory of this process.  A thread cannot be stopped from outside: whoever leaves
    waits for the items under way, after a Ctrl-C for at most GRACE_SECONDS.  Threads of OpenMP, BLAS and numba are
    those of the process: their number is set before it starts (the command line does so, see ONE_THREAD), not here.
    """

    workers: int
    _started: list[threading.Thread] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_workers(self.workers)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[int, Result]]:
        waiting, done = enumerate(items), Outcomes()
        under_way, ready = 0, list[tuple[int, Result]]()
        while True:
            while under_way < self.workers and (task := next(waiting, None)) is not None:
                thread = threading.Thread(
                    target=_work, args=(function, *task, done), name="nuanalysis-worker", daemon=True
                )
                self._started[:] = [earlier for earlier in self._started if earlier.is_alive()]
                thread.start()
                self._started.append(thread)
                under_way += 1
            yield from ready
            if not under_way:
                return
            position, value, error = done.get()
            if error is not None:
                raise error
            under_way, ready = under_way - 1, [(position, value)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Raised, *rest: object) -> None:
        interrupted = kind is not None and not issubclass(kind, Exception)
        until = time.monotonic() + GRACE_SECONDS
        while self._started:
            self._started.pop().join(max(until - time.monotonic(), 0.0) if interrupted else None)


def _work(function: Callable[[Item], Result], position: int, item: Item, done: Outcomes) -> None:
    try:
        done.put((position, function(item), None))
    except BaseException as error:
        done.put((position, None, error))
