"""Spawned processes, a pipe to each.

Not concurrent.futures: there all workers share one result pipe, and a worker killed while it writes a large result
leaves the others' results unreadable behind the torn one: the pool hangs (seen with Python 3.11).  Here a torn result
ends its own pipe and nothing else, and idle workers leave when the pipe closes.
"""

import os
import pickle
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple, Self

from nuanalysis.engine import ONE_THREAD
from nuanalysis.engine.executors._contract import GRACE_SECONDS, Item, Raised, Result, check_workers
from nuanalysis.errors import EnvironmentFault, InputError

RETRIES = 3


@dataclass(frozen=True, slots=True)
class _Worker:
    process: SpawnProcess
    pipe: Connection

    def stop(self) -> None:
        """End an idle worker: it leaves when its pipe closes."""
        self.pipe.close()
        self.process.join(GRACE_SECONDS)
        self.kill()

    def kill(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()


class _Task(NamedTuple):
    position: int
    message: bytes
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Processes:
    """Spawned processes on this machine, kept from one map to the next.

    A killed worker is replaced and its item is done again, ``retries`` times at most; then EnvironmentFault.
    """

    workers: int
    retries: int = RETRIES
    _idle: list[_Worker] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_workers(self.workers)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[int, Result]]:
        waiting = (_Task(position, _message(function, item)) for position, item in enumerate(items))
        again: deque[_Task] = deque()
        busy: dict[Any, tuple[_Worker, _Task]] = {}
        try:
            while True:
                while len(busy) < self.workers and (task := again.popleft() if again else next(waiting, None)):
                    worker = self._idle.pop() if self._idle else _start_worker()
                    busy[worker.pipe] = worker, task
                    with suppress(OSError):  # a worker that died idle: its pipe reads as ended below
                        worker.pipe.send_bytes(task.message)
                if not busy:
                    return
                for pipe in wait(list(busy)):
                    worker, task = busy.pop(pipe)
                    try:
                        reply = worker.pipe.recv_bytes()
                    except (EOFError, OSError):
                        worker.kill()
                        if task.attempt >= self.retries:
                            raise _given_up(task, worker.process.exitcode or 0) from None
                        again.append(task._replace(attempt=task.attempt + 1))
                        continue
                    self._idle.append(worker)
                    error, value = pickle.loads(reply)
                    if error is not None:
                        error.add_note(value)
                        raise error
                    yield task.position, value
        finally:
            for worker, _ in busy.values():
                worker.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Raised, *rest: object) -> None:
        while self._idle:
            worker = self._idle.pop()
            worker.stop() if kind is None else worker.kill()


def _given_up(task: _Task, code: int) -> EnvironmentFault:
    how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    return EnvironmentFault(
        f"item {task.position} lost its worker process {task.attempt + 1} times, the last {how}. "
        "If memory ran out, use fewer workers or smaller batches; if the worker never starts, "
        "put the calling script's top level under \"if __name__ == '__main__':\"."
    )


def _message(function: Callable[[Item], Result], item: Item) -> bytes:
    try:
        return pickle.dumps((function, item))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"a worker process needs a function importable from a module and a small item: {error}"
        ) from error


def _start_worker() -> _Worker:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), name="nuanalysis-worker", daemon=True)
    resource_tracker.ensure_running()  # starting it later would unblock the signal again
    with one_thread_for_children(), interrupts_blocked(), theirs:
        process.start()
    return _Worker(process, ours)


def _work(pipe: Connection) -> None:
    """Serve one task after the other until the coordinator closes the pipe or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):
        while True:
            pipe.send_bytes(_outcome(pipe.recv_bytes()))


def _leave_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _outcome(message: bytes) -> bytes:
    """(None, result), or the exception as itself with its traceback; a plain one if it does not survive pickling."""
    try:
        try:
            function, item = pickle.loads(message)
        except (AttributeError, ImportError) as error:
            raise InputError(f"a worker process cannot import the function: {error}. Put it into a module.") from error
        return pickle.dumps((None, function(item)))
    except Exception as error:
        trace = "in a worker process:\n" + "".join(traceback.format_exception(error))
        try:
            reply = pickle.dumps((error, trace))
            pickle.loads(reply)
        except Exception:
            return pickle.dumps((RuntimeError(f"{type(error).__name__}: {error}"), trace))
        return reply


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
