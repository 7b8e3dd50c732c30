"""SLURM and HTCondor: Dask workers that come as jobs of a batch system.

The Dask scheduler runs in this process, so call where the workers reach it: on a submit node, or in a job of its own.
Jobs start in the working directory; this folder, the run folder and the Python environment must be the same files here
and there.  Why not everything is left to dask-jobqueue: docs/decisions/0010.

The cluster file says what a job asks for, a small strict record read from TOML:

    queue = "short"                 # SLURM alone: the partition
    account = "neutrinos"
    memory = "4 GB"                 # of a job
    cores = 2                       # workers of a job, one core each
    walltime = "02:00:00"
    job_script_prologue = ["module load gcc"]

Keys have the names and meanings they have in dask-jobqueue.  Where one is left out that has no default, the site's own
settings of dask-jobqueue hold, if there are any.
"""

import logging
import math
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nuanalysis.engine import ONE_THREAD
from nuanalysis.engine.executors._contract import check_workers
from nuanalysis.engine.executors.dask import Connection, DaskExecutor, close_in_time, distributed, hush
from nuanalysis.engine.executors.processes import interrupts_blocked
from nuanalysis.errors import EnvironmentFault, InputError, did_you_mean
from nuanalysis.records import in_short
from nuanalysis.store import read_toml

LOOK_SECONDS = 10.0
FIRST_WORKER_SECONDS = 60.0
COMMAND_SECONDS = 120.0

_log = logging.getLogger(__name__)


Word = Annotated[str, Field(pattern=r"^\S+$")]
Lines = Annotated[tuple[str, ...], Field(strict=False)]
Size = Annotated[str, Field(pattern=r"^\d+(\.\d+)? ?[kMGT]i?B$")]

_NO_QUEUE = " HTCondor has no queues; what picks machines there goes into job_extra_directives."


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    memory: Size = Field(description="of a job, for example '4 GB'")
    cores: Annotated[int, Field(ge=1, le=1024)] = Field(1, description="workers of a job, one core and thread each")
    walltime: Annotated[str, Field(pattern=r"^(\d+-)?\d{1,2}:[0-5]\d:[0-5]\d$")] = Field(
        "01:00:00", description="of a job, as hours:minutes:seconds or days-hours:minutes:seconds"
    )
    account: Word | None = Field(None, description="who pays: SLURM's account, HTCondor's accounting group")
    interface: Word | None = Field(None, description="network between here and the workers, for example 'ib0'")
    local_directory: Word | None = Field(None, description="scratch on the worker's own disk, for example '$TMPDIR'")
    log_directory: Word | None = Field(None, description="where the output of the jobs goes")
    job_script_prologue: Lines = Field((), description="list of shell lines before the worker starts")

    def _common(self, *without: str) -> dict[str, Any]:
        given = self.model_dump(exclude={"job_script_prologue", "job_extra_directives", *without})
        return {**given, "processes": self.cores, "job_name": "nuanalysis"}


class SlurmOptions(_Options):
    """A SLURM job."""

    queue: Word | None = Field(None, description="the partition")
    job_extra_directives: Lines = Field((), description="list of what else stands after #SBATCH")

    def arguments(self) -> dict[str, Any]:
        """Arguments of dask-jobqueue's job, but for its prologue; None: as the site has set it."""
        return {**self._common(), "job_extra_directives": list(self.job_extra_directives) or None}


class HTCondorOptions(_Options):
    """An HTCondor job."""

    disk: Size = Field("1 GB", description="of a job, for example '1 GB'")
    job_extra_directives: dict[str, str] = Field(
        default_factory=dict, description="table of what else stands in the submit file, { name = 'value' }"
    )

    def arguments(self) -> dict[str, Any]:
        """Arguments of dask-jobqueue's job, but for its prologue; None: as the site has set it."""
        account = {"accounting_group": self.account} if self.account else {}
        directives = {**account, "allowed_job_duration": _seconds(self.walltime), **self.job_extra_directives}
        return {**self._common("account", "walltime"), "job_extra_directives": directives}


JobOptions = SlurmOptions | HTCondorOptions
_OPTIONS: dict[str, type[SlurmOptions] | type[HTCondorOptions]] = {"slurm": SlurmOptions, "htcondor": HTCondorOptions}


def _seconds(walltime: str) -> int:
    days, _, clock = walltime.rpartition("-")
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return ((24 * int(days or 0) + hours) * 60 + minutes) * 60 + seconds


def read_cluster_file(executor: str, path: Path) -> JobOptions:
    """Read what a job of that executor asks for.  Raises InputError with all faults in one message."""
    said = read_toml(Path(path), "the cluster file", 'it is not TOML; at least: memory = "4 GB"')
    try:
        return _OPTIONS[executor].model_validate(said)
    except ValidationError as error:
        faults = "\n  - ".join(_sentence(executor, dict(fault)) for fault in error.errors())
        raise InputError(
            f"{path} is not a valid cluster file of the executor '{executor}':\n  - {faults}\nNothing was run."
        ) from error


def _sentence(executor: str, fault: dict[str, Any]) -> str:
    fields = _OPTIONS[executor].model_fields
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        no_queue = executor == "htcondor" and key == "queue"
        return f"unknown key '{key}'.{_NO_QUEUE if no_queue else did_you_mean(key, fields)}"
    found = "" if fault["type"] == "missing" else f" (found {in_short(fault.get('input'))})"
    return f"'{key}' ({fields[str(fault['loc'][0])].description}): {fault['msg']}{found}"


@dataclass(frozen=True, slots=True)
class Queue:
    """A batch system: dask-jobqueue's class for it, the command that takes jobs, the one that shows them."""

    cluster_class: str
    submit: str
    show: str


QUEUES = {
    "slurm": Queue("SLURMCluster", "sbatch", "squeue"),
    "htcondor": Queue("HTCondorCluster", "condor_submit", "condor_q"),
}


def queue_executor(name: str, workers: int, cluster: Path | None) -> DaskExecutor:
    """The executor of a batch system; what cannot work is refused here, before anything starts."""
    check_workers(workers)
    if cluster is None:
        raise InputError(
            f"the executor '{name}' needs a cluster file (--cluster FILE.toml) that says what a job asks for, "
            'at least: memory = "4 GB"'
        )
    options = read_cluster_file(name, cluster)
    if missing := [package for package in ("dask_jobqueue", "cryptography") if find_spec(package) is None]:
        raise EnvironmentFault(
            f"the executor '{name}' needs {' and '.join(missing)}, not installed: pip install 'nuanalysis[cluster]'"
        )
    if shutil.which(QUEUES[name].submit) is None:
        raise EnvironmentFault(f"there is no '{QUEUES[name].submit}' on this machine; call on a submit node")
    return DaskExecutor(workers, partial(connect, QUEUES[name], options))


def make_job(queue: Queue, options: JobOptions, scheduler: str, name: str, security: Any = None) -> Any:
    """dask-jobqueue's job, which brings ``cores`` workers to the scheduler; ``job_script()`` is what is handed in."""
    kind = getattr(_dask_jobqueue(), queue.cluster_class).job_cls
    place = f"cd {shlex.quote(str(Path.cwd()))}"
    one_thread = "export " + " ".join(f"{variable}={number}" for variable, number in ONE_THREAD.items())
    return kind(
        scheduler,
        name,
        protocol="tls://" if security else None,
        security=security,
        python=shlex.quote(sys.executable),
        job_script_prologue=[*options.job_script_prologue, place, one_thread],
        **options.arguments(),
    )


def _dask_jobqueue() -> Any:
    """The package, imported on first use, and Ctrl-C as before: importing it makes of a Ctrl-C an exit with code 0."""
    if "dask_jobqueue" in sys.modules:
        return sys.modules["dask_jobqueue"]
    before = signal.getsignal(signal.SIGINT)
    try:
        return import_module("dask_jobqueue")
    finally:
        signal.signal(signal.SIGINT, before)


def connect(queue: Queue, options: JobOptions, workers: int) -> Connection:
    """Start a scheduler here and hand in the jobs; leaving cancels them.

    Returns before any worker is there: jobs may wait in the queue, and items are done as workers come.
    """
    n_jobs, stop = math.ceil(workers / options.cores), threading.Event()
    with ExitStack() as opened:
        ours, theirs = opened.enter_context(_certificates())
        cluster = _scheduler(options, ours)
        opened.callback(close_in_time, cluster)
        jobs = _Jobs(partial(make_job, queue, options, cluster.scheduler_address, security=theirs))
        opened.callback(lambda: jobs.cancel(jobs.names()))
        for _ in range(n_jobs):
            jobs.submit()
        client = distributed().Client(cluster, set_as_default=False)
        opened.callback(close_in_time, client)
        looking = partial(_look_after, jobs, cluster.scheduler, queue, stop)
        thread = threading.Thread(target=looking, name="nuanalysis-jobs", daemon=True)
        thread.start()
        opened.callback(thread.join)
        opened.callback(stop.set)
        opened.callback(hush)
        leave = opened.pop_all()
    return Connection(client, width=lambda: n_jobs * options.cores, close=lambda kill: leave.close(), disposable=False)


@contextmanager
def _certificates() -> Iterator[tuple[Any, Any]]:
    """Encryption for one connection, here and for the workers, who read the key in the shared working directory.

    A Dask scheduler runs what it is sent, and others on the cluster's network reach its port.
    """
    ours = distributed().Security.temporary()
    names = {"ca_file": "tls_ca_file", "cert": "tls_worker_cert", "key": "tls_worker_key"}
    with tempfile.TemporaryDirectory(prefix=".nuanalysis-key-", dir=Path.cwd()) as folder:  # readable by its owner
        files = {name: Path(folder) / name for name in names}
        for name, file in files.items():
            file.write_text(encoding="ascii", data=ours.get_tls_config_for_role("worker")[name])
        paths = {names[name]: f"{file.parent.name}/{file.name}" for name, file in files.items()}  # seen from there
        yield ours, distributed().Security(require_encryption=True, **paths)


def _scheduler(options: JobOptions, security: Any) -> Any:
    settings = {"protocol": "tls://", "interface": options.interface, "dashboard_address": "127.0.0.1:0"}
    kind = {"cls": distributed().Scheduler, "options": {**settings, "security": security}}
    try:
        with interrupts_blocked():
            return distributed().SpecCluster({}, kind, security=security, silence_logs=logging.CRITICAL)
    except RuntimeError as error:
        raise EnvironmentFault(f"no Dask scheduler could be started: {error}") from error


@dataclass(frozen=True, slots=True)
class _Jobs:
    """The jobs that may be in the queue or running, {name: (job, number in the batch system)}."""

    make: Callable[[str], Any]
    _there: dict[str, tuple[Any, str]] = field(default_factory=dict, init=False)
    _numbers: Iterator[int] = field(default_factory=count, init=False)

    def submit(self) -> None:
        """Hand in one more job.  Raises EnvironmentFault with what the batch system says against it."""
        name = f"job{next(self._numbers)}"
        job = self.make(name)
        with job.job_file() as file:
            said = _call([*shlex.split(job.submit_command), file])
        number = re.search(r"(?:batch job|submitted to cluster) (\d+)", said)
        if number is None:
            raise EnvironmentFault(f"'{job.submit_command.strip()}' gave no job number; it said: {said}")
        self._there[name] = job, number[1]

    def names(self) -> set[str]:
        return set(self._there)

    def cancel(self, names: Iterable[str]) -> None:
        jobs = [self._there.pop(name) for name in names]
        if not jobs:
            return
        try:
            _call([*shlex.split(jobs[0][0].cancel_command), *(number for _, number in jobs)])
        except EnvironmentFault as fault:  # ended meanwhile, mostly; otherwise its workers leave with the scheduler
            _log.debug("%s", fault)


def _call(command: list[str]) -> str:
    try:
        run = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=COMMAND_SECONDS,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFault(f"'{command[0]}' cannot be called: {error}") from error
    if run.returncode:
        raise EnvironmentFault(f"'{command[0]}' says: {(run.stderr or run.stdout).strip()}")
    return run.stdout


def _look_after(jobs: _Jobs, scheduler: Any, queue: Queue, stop: threading.Event) -> None:
    """Until it stops, a job whose workers have gone (walltime, preemption, a lost node) is followed by another."""
    seen, gone = set[str](), set[str]()
    patience = time.monotonic() + FIRST_WORKER_SECONDS
    while not stop.wait(LOOK_SECONDS):
        there = {str(worker.name).partition("-")[0] for worker in list(scheduler.workers.values())}
        seen |= there
        gone_before, gone = gone, (seen & jobs.names()) - there  # twice: a worker that starts again is not lost
        for name in gone & gone_before:
            try:
                jobs.submit()
                jobs.cancel([name])
            except EnvironmentFault as fault:
                _log.warning("a job has ended and another is not taken, tried again in %.0f s: %s", LOOK_SECONDS, fault)
        if not seen and time.monotonic() > patience:
            patience = math.inf
            _log.warning(
                "no worker has come yet from %d jobs; '%s' shows whether they wait, and their output "
                "(log_directory in the cluster file) why they ended",
                len(jobs.names()),
                queue.show,
            )
