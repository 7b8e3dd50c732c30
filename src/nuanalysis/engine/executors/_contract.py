"""What every executor promises, and the simplest one."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from nuanalysis.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")
Raised = type[BaseException] | None

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
