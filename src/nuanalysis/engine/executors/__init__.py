"""Executors: where the work of a step is done (here, in threads, in processes, on Dask), never what the work is.

An executor receives a recipe, not data: a function importable from a module (a ``functools.partial`` with small
arguments will do) and small picklable items.  It yields each result as it ends, so that one coordinator can write it.
"""

from functools import partial
from pathlib import Path

from nuanalysis.engine import ONE_THREAD
from nuanalysis.engine.executors._contract import Executor, Serial, Threads
from nuanalysis.engine.executors.dask import DaskExecutor, at_address, local_cluster
from nuanalysis.engine.executors.processes import Processes
from nuanalysis.engine.executors.queues import QUEUES, queue_executor
from nuanalysis.errors import InputError, did_you_mean

NAMES = ("serial", "threads", "processes", "dask", *QUEUES)


def open_executor(name: str, *, workers: int, scheduler: str | None = None, cluster: Path | None = None) -> Executor:
    """Return the executor of that name; nothing starts before it is entered or maps.

    scheduler : address of a running Dask scheduler, with 'dask' alone; without it 'dask' starts workers here
    cluster : TOML file that says what a job asks for, with 'slurm' and 'htcondor' alone; see ``queues``
    """
    if name not in NAMES:
        raise InputError(f"no executor is called {name!r}.{did_you_mean(name, NAMES)}")
    if scheduler and name != "dask":
        raise InputError(f"a scheduler address ({scheduler}) goes with the executor 'dask', not with {name!r}")
    if cluster and name not in QUEUES:
        raise InputError(f"a cluster file ({cluster}) goes with {' or '.join(map(repr, QUEUES))}, not with {name!r}")
    if name == "serial":
        return Serial()
    if name == "threads":
        return Threads(workers)
    if name == "processes":
        return Processes(workers)
    if name == "dask":
        return DaskExecutor(workers, partial(at_address, scheduler) if scheduler else local_cluster)
    return queue_executor(name, workers, cluster)
