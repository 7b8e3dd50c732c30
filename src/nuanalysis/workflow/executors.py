"""Executors: where the work of a step is done (here, in processes, on Dask), never what the work is.

An executor receives a recipe, not data: a function importable from a module (a ``functools.partial`` with small
arguments will do) and small picklable items.  It yields each result as it ends, so that one coordinator can write it.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from nuanalysis.errors import EnvironmentFault, InputError, did_you_mean

Item = TypeVar("Item")
Result = TypeVar("Result")

NAMES = ("serial", "processes", "dask")

#: One thread per worker: workers are the parallelism, threads below them would only fight for the cores.
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "NUMBA_NUM_THREADS",
    ),
    "1",
)
RETRIES = 3
GRACE_SECONDS = 2.0
CONNECT_SECONDS = 5.0
WORKER_SECONDS = 30.0


class Executor(Protocol):
    """A context manager that maps a function over items; leaving it ends every process it started."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[int, Result]]:
        """Yield (position of the item, its result) in the order in which the results arrive.

        Items are taken as they are needed.  An exception of the function is raised as itself; closing the iterator
        early ends the work under way.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_executor(name: str, *, workers: int, scheduler: str | None = None) -> Executor:
    """Return the executor of that name: serial, processes or dask (own cluster, or one at an address)."""
    if name not in NAMES:
        raise InputError(f"no executor is called {name!r}.{did_you_mean(name, NAMES)}")
    if scheduler and name != "dask":
        raise InputError(f"a scheduler address ({scheduler}) goes with the executor 'dask', not with {name!r}")
    if name == "serial":
        return Serial()
    return Processes(workers) if name == "processes" else DaskExecutor(workers, scheduler or None)


def _check_workers(workers: int) -> None:
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise InputError(f"an executor needs a whole number of workers of at least 1, found {workers!r}")


@contextmanager
def one_thread_for_children() -> Iterator[None]:
    """While open, processes that are started get one thread for OpenMP, BLAS and numba each."""
    before = _environment(ONE_THREAD)
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        _restore_environment(before)


def _environment(names: Iterable[str]) -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in names}


def _restore_environment(before: dict[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@dataclass(frozen=True, slots=True)
class Serial:
    """Everything here and now, in the order of the items."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[int, Result]]:
        for position, item in enumerate(items):
            yield position, function(item)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


# --- processes --------------------------------------------------------------------------------------------------------
#
# One pipe for each worker instead of concurrent.futures.  There all workers share one result pipe, and a worker killed
# while it writes a large result leaves the others' results unreadable behind the torn one: the pool hangs (seen with
# Python 3.11).  Here a torn result ends its own pipe and nothing else, and idle workers leave when the pipe closes.


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


@dataclass(frozen=True, slots=True)
class _Task:
    position: int
    message: bytes
    attempt: int


@dataclass(frozen=True, slots=True)
class Processes:
    """Spawned processes on this machine, kept from one map to the next.

    A killed worker is replaced and its item is done again, ``retries`` times at most; then EnvironmentFault.
    """

    workers: int
    retries: int = RETRIES
    _idle: list[_Worker] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_workers(self.workers)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[int, Result]]:
        waiting = (_Task(position, _message(function, item), 0) for position, item in enumerate(items))
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
                    reply = _reply(worker)
                    if reply is None:
                        again.append(self._once_more(worker, task))
                        continue
                    self._idle.append(worker)
                    yield task.position, _result(reply)
        finally:
            for worker, _ in busy.values():
                worker.kill()

    def _once_more(self, worker: _Worker, task: _Task) -> _Task:
        worker.kill()
        if task.attempt >= self.retries:
            raise EnvironmentFault(
                f"item {task.position} lost its worker process {task.attempt + 1} times, "
                f"the last {_end(worker.process)}. "
                "If memory ran out, use fewer workers or smaller batches; if the worker never starts, "
                "put the calling script's top level under \"if __name__ == '__main__':\"."
            )
        return _Task(task.position, task.message, task.attempt + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._idle:
            worker = self._idle.pop()
            worker.stop() if kind is None else worker.kill()


def _end(process: SpawnProcess) -> str:
    code = process.exitcode or 0
    return f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"


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
    with one_thread_for_children(), _interrupts_blocked(), theirs:
        process.start()
    return _Worker(process, ours)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Ctrl-C reaches the whole process group; children started here leave it to the coordinator."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _reply(worker: _Worker) -> bytes | None:
    try:
        return worker.pipe.recv_bytes()
    except (EOFError, OSError):
        return None


def _result(reply: bytes) -> Any:
    error, value = pickle.loads(reply)
    if error is None:
        return value
    error.add_note(value)
    raise error


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
    try:
        function, item = _open(message)
        return pickle.dumps((None, function(item)))
    except Exception as error:
        return _failure(error)


def _open(message: bytes) -> Any:
    try:
        return pickle.loads(message)
    except (AttributeError, ImportError) as error:
        raise InputError(f"a worker process cannot import the function: {error}. Put it into a module.") from error


def _failure(error: Exception) -> bytes:
    """The exception as itself with the worker's traceback; a plain one if it does not survive pickling."""
    trace = "in a worker process:\n" + "".join(traceback.format_exception(error))
    try:
        reply = pickle.dumps((error, trace))
        pickle.loads(reply)
    except Exception:
        return pickle.dumps((RuntimeError(f"{type(error).__name__}: {error}"), trace))
    return reply


# --- Dask -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Connected:
    """A client, the cluster if it is our own, and the environment variables as they were before."""

    client: Any
    cluster: Any
    before: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class DaskExecutor:
    """Dask: a local cluster of spawned processes, or the workers of the scheduler at an address.

    At most two items per worker are under way, so memory stays bounded.  Dask does the item of a lost worker again;
    EnvironmentFault when that goes on, or when the scheduler cannot be reached.
    """

    workers: int
    scheduler: str | None = None
    _open: list[_Connected] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_workers(self.workers)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[int, Result]]:
        client = self._connected().client
        waiting = enumerate(items)
        positions: dict[Any, int] = {}
        done = _distributed().as_completed(loop=client.loop)

        def submit_next() -> None:
            if (following := next(waiting, None)) is not None:
                future = client.submit(function, following[1], pure=False)
                positions[future] = following[0]
                done.add(future)

        try:
            for _ in range(2 * self._width()):
                submit_next()
            while positions:
                future = next(done)
                position = positions.pop(future)
                result = _dask_result(future, position)
                future.release()
                submit_next()
                yield position, result
        finally:
            if positions:
                self._abandon(list(positions))

    def _width(self) -> int:
        return sum(self._connected().client.ncores().values()) if self.scheduler else self.workers

    def _connected(self) -> _Connected:
        if not self._open:
            self._open.append(_connect(self.scheduler) if self.scheduler else _local_cluster(self.workers))
        return self._open[0]

    def _abandon(self, futures: list[Any]) -> None:
        """Stop work under way: Dask cannot, so an own cluster is ended (the next map starts another)."""
        if self.scheduler:
            with suppress(Exception):
                self._connected().client.cancel(futures, force=True)
        else:
            self._close(kill=True)

    def _close(self, *, kill: bool) -> None:
        while self._open:
            _disconnect(self._open.pop(), kill=kill)

    def __enter__(self) -> Self:
        self._connected()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(kill=kind is not None)


def _distributed() -> Any:
    return import_module("distributed")


def _local_cluster(workers: int) -> _Connected:
    import dask

    distributed = _distributed()
    # Nannies write these into the environment of this process and leave them there.
    before = _environment((*ONE_THREAD, "PYTHONHASHSEED", "MALLOC_TRIM_THRESHOLD_"))
    settings = {
        "distributed.worker.multiprocessing-method": "spawn",
        "distributed.nanny.pre-spawn-environ": ONE_THREAD,
    }
    resource_tracker.ensure_running()
    with dask.config.set(settings), one_thread_for_children(), _interrupts_blocked():
        cluster = distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            scheduler_kwargs={
                "dashboard_address": "127.0.0.1:0"
            },  # without it: port 8787, and a warning if it is taken
            silence_logs=logging.CRITICAL,
        )
        return _Connected(distributed.Client(cluster, set_as_default=False), cluster, before)


def _connect(address: str) -> _Connected:
    client = None
    try:
        client = _distributed().Client(address, set_as_default=False, timeout=CONNECT_SECONDS)
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except ValueError as error:
        raise InputError(f"{address!r} is no scheduler address ({error}); write it as tcp://host:port") from error
    except OSError as error:
        if client is not None:
            client.close(timeout=GRACE_SECONDS)
        raise EnvironmentFault(f"no Dask scheduler with a worker answers at {address} ({error})") from error
    return _Connected(client, None, {})


def _dask_result(future: Any, position: int) -> Any:
    try:
        return future.result()
    except _distributed().KilledWorker as error:
        raise EnvironmentFault(
            f"item {position} lost its Dask worker again and again. "
            "If memory ran out, use fewer workers or smaller batches."
        ) from error
    except CancelledError as error:
        raise EnvironmentFault(
            f"the Dask scheduler was lost while item {position} was under way; start it again"
        ) from error


def _disconnect(connected: _Connected, *, kill: bool) -> None:
    try:
        if connected.cluster is None:
            connected.client.close(timeout=GRACE_SECONDS)
        else:
            _end_cluster(connected.client, connected.cluster, kill=kill)
    finally:
        _restore_environment(connected.before)


def _end_cluster(client: Any, cluster: Any, *, kill: bool) -> None:
    """Close in order.  Busy workers (``kill``) and those left after a close that failed are killed: a task is pure."""
    nannies = list(cluster.workers.values())
    workers = {nanny.process for nanny in nannies}  # a nanny whose closing fails forgets its process
    if kill:
        _hush_dask()
        for nanny in nannies:
            nanny.close_gracefully()  # says only: do not start another worker
        _kill_workers(workers)
    until = time.monotonic()
    try:
        client.close(timeout=GRACE_SECONDS)
        cluster.close(timeout=GRACE_SECONDS)
    except Exception:  # a worker may be starting just now, in place of a lost one: wait for its process
        until = time.monotonic() + 1.0
    while workers:
        workers |= {nanny.process for nanny in nannies}
        _kill_workers(workers)
        if time.monotonic() > until:
            break
        time.sleep(0.05)


def _hush_dask() -> None:
    """Keep what Dask's loop says about its killed workers, even after the cluster is closed, off the terminal."""
    for handler in logging.getLogger("distributed").handlers:
        handler.setLevel(logging.CRITICAL)


def _kill_workers(workers: set[Any]) -> None:
    for process_id in filter(None, (worker and worker.pid for worker in workers)):
        with suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)
