"""Dask: workers of its own on this machine, those of a scheduler at an address, or jobs (see ``queues``)."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import resource_tracker
from queue import Empty, SimpleQueue
from typing import Any, Self

from nuanalysis.engine import ONE_THREAD
from nuanalysis.engine.executors._contract import GRACE_SECONDS, Item, Raised, Result, check_workers
from nuanalysis.engine.executors.processes import environment_restored, interrupts_blocked, one_thread_for_children
from nuanalysis.errors import EnvironmentFault, InputError

CONNECT_SECONDS = 5.0
WORKER_SECONDS = 30.0
STARTS = 3


@dataclass(frozen=True, slots=True)
class Connection:
    """A client of a scheduler, and how one leaves it.

    width : the number of workers that the items under way are meant for
    close : leave, given whether there is work under way; ends whatever was started for this connection
    disposable : True where work under way is stopped by ending the workers; elsewhere they are waited for
    """

    client: Any
    width: Callable[[], int]
    close: Callable[[bool], None]
    disposable: bool


@dataclass(frozen=True, slots=True)
class DaskExecutor:
    """The workers behind a connection, which is made on entering or by the first map.

    At most two items per worker are under way, so memory stays bounded.  Dask does the item of a lost worker again;
    EnvironmentFault when that goes on, or when the scheduler cannot be reached.
    """

    workers: int
    connect: Callable[[int], Connection]
    _open: list[Connection] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_workers(self.workers)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[int, Result]]:
        connection = self.connection()
        client = connection.client
        waiting = enumerate(items)
        positions: dict[Any, int] = {}
        done = distributed().as_completed(loop=client.loop)

        def submit_next() -> None:
            if (following := next(waiting, None)) is not None:
                future = client.submit(function, following[1], pure=False)
                positions[future] = following[0]
                done.add(future)

        try:
            for _ in range(2 * connection.width()):
                submit_next()
            while positions:
                future = next(done)
                position = positions.pop(future)
                try:
                    result = future.result()
                except distributed().KilledWorker as error:
                    raise EnvironmentFault(
                        f"item {position} lost its Dask worker again and again. "
                        "If memory ran out, use fewer workers or smaller batches."
                    ) from error
                except CancelledError as error:
                    raise EnvironmentFault(
                        f"the Dask scheduler was lost while item {position} was under way; start it again"
                    ) from error
                future.release()
                submit_next()
                yield position, result
        finally:
            if positions and connection in self._open:
                # Dask cannot stop work under way, so disposable workers are ended (the next map starts others).
                if connection.disposable:
                    self._close(kill=True)
                else:
                    with suppress(Exception):
                        client.cancel(list(positions), force=True)

    def connection(self) -> Connection:
        """The open connection, made now if there is none."""
        if not self._open:
            self._open.append(self.connect(self.workers))
        return self._open[0]

    def _close(self, *, kill: bool) -> None:
        while self._open:
            self._open.pop().close(kill)

    def __enter__(self) -> Self:
        self.connection()
        return self

    def __exit__(self, kind: Raised, *rest: object) -> None:
        self._close(kill=kind is not None)


def distributed() -> Any:
    """The package, imported on first use: it takes half a second."""
    return import_module("distributed")


def at_address(address: str, workers: int) -> Connection:
    """The workers, as many as there are, of a scheduler that somebody else started."""
    started: list[Any] = []
    try:
        client = answered(
            lambda: distributed().Client(address, set_as_default=False, timeout=CONNECT_SECONDS), CONNECT_SECONDS
        )
        started.append(client)
        answered(lambda: client.wait_for_workers(1, timeout=WORKER_SECONDS), WORKER_SECONDS)
    except ValueError as error:
        raise InputError(f"{address!r} is no scheduler address ({error}); write it as tcp://host:port") from error
    except OSError as error:
        for one in started:
            close_in_time(one)
        raise EnvironmentFault(
            f"no Dask scheduler with a worker answers at {address} ({error}); start it, and a worker, or correct the "
            "address"
        ) from error
    return Connection(
        client,
        width=lambda: sum(client.ncores().values()),
        close=lambda kill: close_in_time(client),
        disposable=False,
    )


def answered(call: Callable[[], Any], patience: float) -> Any:
    """What a call of Dask returns or raises; TimeoutError where it goes on for twice its own patience.

    Dask waits for ever where the other side takes the connection and says nothing: a scheduler that is stopped, or
    another program at its port.  The thread that hangs there ends with this process.
    """
    done: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

    def wait() -> None:
        try:
            done.put((call(), None))
        except BaseException as error:
            done.put((None, error))

    threading.Thread(target=wait, name="nuanalysis-connect", daemon=True).start()
    try:
        found, error = done.get(timeout=2.0 * patience)
    except Empty:
        raise TimeoutError(f"the connection is taken, but nothing is said for {2.0 * patience:g} s") from None
    if error is not None:
        raise error
    return found


def close_in_time(connected: Any) -> None:
    """Close a client or a cluster; what does not manage it in time is left to the end of this process."""
    with suppress(TimeoutError):
        connected.close(timeout=GRACE_SECONDS)


def local_cluster(workers: int) -> Connection:
    """Spawned processes on this machine."""
    import dask

    distributed()  # before dask.config.set, whose end would take away the settings made by a first import within it
    settings = {
        "distributed.worker.multiprocessing-method": "spawn",
        "distributed.nanny.pre-spawn-environ": ONE_THREAD,
    }
    resource_tracker.ensure_running()
    with ExitStack() as opened:
        # Nannies write these into the environment of this process and leave them there.
        opened.enter_context(environment_restored(*ONE_THREAD, "PYTHONHASHSEED", "MALLOC_TRIM_THRESHOLD_"))
        with dask.config.set(settings), one_thread_for_children(), interrupts_blocked():
            cluster = _started(workers)
            client = distributed().Client(cluster, set_as_default=False)
        leave = opened.pop_all()

    def close(kill: bool) -> None:
        with leave:
            _end_workers(client, cluster, kill=kill)

    return Connection(client, width=lambda: workers, close=close, disposable=True)


def _started(workers: int) -> Any:
    """A cluster here.  Dask gives all of it up where one worker dies on the way, so it is begun anew, STARTS times."""
    for attempt in range(STARTS):
        try:
            return distributed().LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # else port 8787, and a warning if it is taken
                silence_logs=logging.CRITICAL,
            )
        except (RuntimeError, OSError) as error:
            if attempt + 1 == STARTS:
                raise EnvironmentFault(
                    f"no Dask workers could be started here in {STARTS} attempts ({error}). If memory ran out, use "
                    "fewer workers; the executor 'processes' needs no network"
                ) from error
    raise AssertionError  # the last attempt returns or raises


def _end_workers(client: Any, cluster: Any, *, kill: bool) -> None:
    """Close in order.  Busy workers (``kill``) and those left after a close that failed are killed: a task is pure."""
    nannies = list(cluster.workers.values())
    workers = {nanny.process for nanny in nannies}  # a nanny whose closing fails forgets its process
    if kill:
        hush()
        for nanny in nannies:
            nanny.close_gracefully()  # says only: do not start another worker
        _kill(workers)
    until = time.monotonic()
    try:
        client.close(timeout=GRACE_SECONDS)
        cluster.close(timeout=GRACE_SECONDS)
    except Exception:  # a worker may be starting just now, in place of a lost one: wait for its process
        until = time.monotonic() + 1.0
    while workers:
        workers |= {nanny.process for nanny in nannies}
        _kill(workers)
        if time.monotonic() > until:
            break
        time.sleep(0.05)


def _kill(workers: set[Any]) -> None:
    for process_id in filter(None, (worker and worker.pid for worker in workers)):
        with suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)


def hush() -> None:
    """Keep what Dask's loop says about its ended workers, even after the cluster is closed, off the terminal.

    A filter, since closing a cluster sets the level of the handlers back while the loop still has something to say.
    """
    for handler in logging.getLogger("distributed").handlers:
        handler.addFilter(_is_critical)


def _is_critical(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.CRITICAL
