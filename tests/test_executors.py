"""Executors: the same results wherever the work is done, and whoever is killed meanwhile."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import dask
import psutil
import pytest

from nuanalysis.engine.executors import (
    ONE_THREAD,
    DaskExecutor,
    Executor,
    Processes,
    Serial,
    Threads,
    open_executor,
    queues,
)
from nuanalysis.engine.executors import dask as dask_executors
from nuanalysis.engine.executors.queues import QUEUES, make_job, read_cluster_file
from nuanalysis.errors import EnvironmentFault, InputError


class OddError(Exception):
    """An exception with an argument list of its own."""

    def __init__(self, item: int, *, reason: str) -> None:
        super().__init__(item, reason)
        self.item = item

    def __reduce__(self) -> tuple[object, ...]:
        return partial(OddError, reason=self.args[1]), (self.item,)


class Unpicklable(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__("cannot travel")


def square(item: int) -> int:
    return item * item


def late_first(item: int) -> int:
    time.sleep(0.6 if item == 0 else 0.01)
    return item


def process_id(_: int) -> int:
    return os.getpid()


def threads(_: int) -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in ONE_THREAD}


def fail_at_three(item: int) -> int:
    if item == 3:
        raise OddError(item, reason="three")
    return item


def missing_file(_: int) -> str:
    return Path("there-is-no-such-file").read_text()


def untravelled(_: int) -> int:
    raise Unpicklable(1, 2)


def die_once(folder: str, item: int) -> int:
    """Items 2 and 5 kill their process the first time they are done."""
    marker = Path(folder) / str(item)
    if item in (2, 5) and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return item * item


def die_always(item: int) -> int:
    if item == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def torn_result(folder: str, item: int) -> int | bytes:
    """Killed from outside while the large result is on its way, at a moment that depends on the item."""
    marker = Path(folder) / str(item)
    if item % 2 == 0 or marker.exists():
        return item
    marker.touch()
    threading.Timer(0.01 * item, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return bytes(100_000_000)


def wait_for_another(barrier: threading.Barrier, item: int) -> int:
    barrier.wait(timeout=10)
    return item


def where(_: int) -> str:
    return str(Path.cwd())


def sleep_long(item: int) -> int:
    time.sleep(60)
    return item


def with_tests() -> str:
    """PYTHONPATH of a process that is to find these functions."""
    return os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))


def children() -> list[psutil.Process]:
    """All processes started from here, but for multiprocessing's tracker, which lives as long as the interpreter."""
    found = psutil.Process().children(recursive=True)
    return [child for child in found if child.is_running() and "resource_tracker" not in " ".join(command(child))]


def command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.fixture(scope="module")
def dask_executor() -> Iterator[DaskExecutor]:
    with DaskExecutor(2, dask_executors.local_cluster) as executor:
        yield executor


@pytest.fixture
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "dask":
        yield request.getfixturevalue("dask_executor")
    else:
        with open_executor(request.param, workers=2, scheduler=None) as executor:
            yield executor


everywhere = pytest.mark.parametrize("executor", ["serial", "threads", "processes", "dask"], indirect=True)
at_once = pytest.mark.parametrize("executor", ["threads", "processes", "dask"], indirect=True)
in_workers = pytest.mark.parametrize("executor", ["processes", "dask"], indirect=True)


@everywhere
def test_every_executor_gives_the_same_results_with_the_position_of_each_item(executor: Executor) -> None:
    expected = {position: item**2 for position, item in enumerate(range(7, 37))}
    assert dict(executor.map(square, range(7, 37))) == expected
    assert list(executor.map(square, [])) == []


@everywhere
def test_an_executor_serves_several_maps_and_takes_a_generator(executor: Executor) -> None:
    for _ in range(2):
        assert sorted(executor.map(square, (item for item in [3, 1, 2]))) == [(0, 9), (1, 1), (2, 4)]


@at_once
def test_results_arrive_as_they_end_not_in_the_order_of_the_items(executor: Executor) -> None:
    list(executor.map(square, range(4)))  # both workers are up
    arrived = [position for position, _ in executor.map(late_first, range(5))]
    assert arrived[0] != 0
    assert sorted(arrived) == list(range(5))


@in_workers
def test_work_is_done_in_other_processes_with_one_thread_each(executor: Executor) -> None:
    before = os.environ.copy()
    assert os.getpid() not in {result for _, result in executor.map(process_id, range(4))}
    assert all(result == ONE_THREAD for _, result in executor.map(threads, range(4)))
    if isinstance(executor, Processes):
        assert os.environ.copy() == before


@at_once
def test_items_are_taken_as_needed_so_memory_stays_bounded(executor: Executor) -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for item in range(200):
            taken.append(item)
            yield item

    results = executor.map(square, source())
    next(results)
    assert len(taken) <= 2 * 2 + 1
    assert len(list(results)) == 199


@in_workers
@pytest.mark.slow
def test_killed_workers_cost_no_result(executor: Executor, tmp_path: Path) -> None:
    assert dict(executor.map(partial(die_once, str(tmp_path)), range(8))) == {item: item**2 for item in range(8)}
    assert {path.name for path in tmp_path.iterdir()} == {"2", "5"}
    assert all(result == ONE_THREAD for _, result in executor.map(threads, range(4)))


def workers_here() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "nuanalysis-worker"]


def test_threads_share_this_process_and_run_at_once() -> None:
    with Threads(2) as executor:
        assert {result for _, result in executor.map(process_id, range(4))} == {os.getpid()}
        together = executor.map(partial(wait_for_another, threading.Barrier(2)), range(6))
        assert sorted(together) == [(item, item) for item in range(6)]
        assert list(executor.map(lambda item: item, [1])) == [(0, 1)]  # nothing travels


@dataclass(frozen=True)
class Held:
    """Items that wait for ``release``, but for the one that is ``free``; and what has begun and ended so far."""

    free: Callable[[int], int]
    release: threading.Event = field(default_factory=threading.Event)
    began: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)

    def __call__(self, item: int) -> int:
        self.began.append(item)
        if item == 0:
            return self.free(item)
        assert self.release.wait(timeout=10)
        self.ended.append(item)
        return item


def test_a_failing_item_ends_the_threads_map_at_once_and_nothing_more_is_begun() -> None:
    work = Held(missing_file)  # type: ignore[arg-type]
    with Threads(2) as executor:
        with pytest.raises(FileNotFoundError):
            list(executor.map(work, range(100)))
        assert work.ended == []
        work.release.set()
    assert sorted(work.began) == [0, 1]
    assert work.ended == [1]
    assert workers_here() == []


def test_leaving_a_threads_map_early_does_not_wait_but_leaving_the_executor_does() -> None:
    closed, forgotten = Held(square), Held(square)
    with Threads(2) as executor:
        first, second = executor.map(closed, range(100)), executor.map(forgotten, range(100))
        assert next(first) == next(second) == (0, 0)
        first.close()  # type: ignore[attr-defined]
        assert sorted(executor.map(square, range(3))) == [(0, 0), (1, 1), (2, 4)]
        assert closed.ended == forgotten.ended == []
        threading.Timer(0.2, forgotten.release.set).start()
        closed.release.set()
    assert set(closed.ended) == set(forgotten.ended) == {1, 2}
    assert workers_here() == []


def test_threads_take_a_source_of_items_that_fails() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise OddError(2, reason="source")

    with Threads(2) as executor, pytest.raises(OddError):
        list(executor.map(square, source()))
    assert workers_here() == []


@pytest.mark.slow
def test_a_worker_killed_from_outside_in_the_middle_of_its_task_is_replaced() -> None:
    others = {child.pid for child in children()}
    with Processes(2) as executor:
        results = executor.map(late_first, range(30))
        first = next(results)
        for child in children():
            if child.pid not in others:
                child.kill()
        assert dict([first, *results]) == {item: item for item in range(30)}


@pytest.mark.slow
def test_a_worker_killed_while_it_sends_a_large_result_does_not_hang_the_others(tmp_path: Path) -> None:
    with Processes(2) as executor:
        found = dict(executor.map(partial(torn_result, str(tmp_path)), range(10)))
    assert set(found) == set(range(10))
    assert all(value == item or len(value) == 100_000_000 for item, value in found.items())  # type: ignore[arg-type]


def test_an_item_that_always_kills_its_process_is_given_up_with_a_reason() -> None:
    others = {child.pid for child in children()}
    with (
        Processes(2, retries=1) as executor,
        pytest.raises(EnvironmentFault, match=r"item 1 lost its .*2 times.*SIGKILL"),
    ):
        list(executor.map(die_always, range(3)))
    assert [child for child in children() if child.pid not in others] == []


@pytest.mark.slow
def test_dask_gives_up_an_item_that_always_kills_its_process() -> None:
    others = {child.pid for child in children()}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        DaskExecutor(2, dask_executors.local_cluster) as executor,
        pytest.raises(EnvironmentFault, match=r"lost its Dask worker again and again"),
    ):
        list(executor.map(die_always, [1]))
    assert [child for child in children() if child.pid not in others] == []


@everywhere
@pytest.mark.slow
def test_an_exception_in_a_task_surfaces_as_itself(executor: Executor) -> None:
    with pytest.raises(FileNotFoundError, match="there-is-no-such-file"):
        list(executor.map(missing_file, range(3)))
    with pytest.raises(OddError) as caught:
        list(executor.map(fail_at_three, range(9)))
    assert caught.value.item == 3


def test_the_worker_traceback_comes_with_the_exception_and_an_unpicklable_one_as_text() -> None:
    with Processes(1) as executor:
        with pytest.raises(OddError) as caught:
            list(executor.map(fail_at_three, [3]))
        assert "in fail_at_three" in caught.value.__notes__[0]
        with pytest.raises(RuntimeError, match="Unpicklable: cannot travel"):
            list(executor.map(untravelled, [1]))
        assert list(executor.map(square, [4])) == [(0, 16)]


def test_a_function_that_no_worker_can_import_is_refused() -> None:
    with Processes(1) as executor, pytest.raises(InputError, match="importable from a module"):
        list(executor.map(lambda item: item, [1]))


@pytest.mark.parametrize("name", ["processes", "dask"])
@pytest.mark.slow
def test_leaving_early_stops_the_work_and_leaves_no_process(name: str) -> None:
    names = (*ONE_THREAD, "PYTHONHASHSEED")
    before = {name: os.environ.get(name) for name in names}
    others = {child.pid for child in children()}
    with open_executor(name, workers=2, scheduler=None) as executor:
        results = executor.map(late_first, range(1000))
        next(results)
        results.close()  # type: ignore[attr-defined]
        assert sorted(executor.map(square, range(3))) == [(0, 0), (1, 1), (2, 4)]
    assert [child for child in children() if child.pid not in others] == []
    assert {name: os.environ.get(name) for name in names} == before


def test_dask_works_for_an_existing_scheduler(dask_executor: DaskExecutor) -> None:
    address = dask_executor.connection().client.scheduler.address
    with open_executor("dask", workers=2, scheduler=address) as executor:
        assert sorted(executor.map(square, range(5))) == [(item, item**2) for item in range(5)]
        abandoned = executor.map(late_first, range(1000))
        next(abandoned)
        abandoned.close()  # type: ignore[attr-defined]
    assert list(dask_executor.map(square, [6])) == [(0, 36)]


def test_a_scheduler_that_does_not_answer_is_an_environment_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_executors, "CONNECT_SECONDS", 0.5)
    with pytest.raises(EnvironmentFault, match="no Dask scheduler with a worker answers at tcp://127"):
        open_executor("dask", workers=1, scheduler="tcp://127.0.0.1:9").__enter__()


def test_a_scheduler_that_takes_the_connection_and_says_nothing_is_an_environment_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one does that is stopped, or any other program at its port; Dask alone waits for ever."""
    monkeypatch.setattr(dask_executors, "CONNECT_SECONDS", 0.5)
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel takes connections, nobody answers
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with (
            pytest.raises(EnvironmentFault, match=r"no Dask scheduler with a worker answers at tcp://127\.0\.0\.1"),
            open_executor("dask", workers=2, scheduler=address),
        ):
            pytest.fail("connected to nothing")
    assert time.monotonic() - started < 10.0


def kill_starting(times: int) -> None:
    """Kill that many workers, each as soon as its process is there."""
    killed = set[int]()
    while len(killed) < times:
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if child.pid not in killed and "spawn_main" in " ".join(child.cmdline()):
                    child.kill()
                    killed.add(child.pid)
        time.sleep(0.005)


def test_a_worker_killed_while_its_cluster_starts_costs_nothing() -> None:
    threading.Thread(target=kill_starting, args=(1,), daemon=True).start()
    with open_executor("dask", workers=2) as executor:
        assert dict(executor.map(square, range(4))) == {0: 0, 1: 1, 2: 4, 3: 9}


def test_workers_that_never_start_are_an_environment_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**_: object) -> None:
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr(dask_executors.distributed(), "LocalCluster", none)
    with pytest.raises(EnvironmentFault, match="no Dask workers could be started here in 3 attempts"):
        open_executor("dask", workers=2).__enter__()


def test_a_scheduler_address_that_is_none_is_an_input_error() -> None:
    with pytest.raises(InputError, match="no scheduler address"):
        open_executor("dask", workers=1, scheduler="nowhere").__enter__()


def test_open_executor_refuses_what_it_does_not_know() -> None:
    with pytest.raises(InputError, match="Did you mean 'processes'"):
        open_executor("process", workers=2, scheduler=None)
    with pytest.raises(InputError, match="at least 1, found 0"):
        open_executor("processes", workers=0, scheduler=None)
    with pytest.raises(InputError, match="goes with the executor 'dask'"):
        open_executor("processes", workers=1, scheduler="tcp://127.0.0.1:8786")
    assert isinstance(open_executor("serial", workers=1, scheduler=""), Serial)


# --- batch systems ----------------------------------------------------------------------------------------------------

FULL = """
account = "neutrinos"
memory = "4 GiB"
cores = 2
walltime = "02:30:00"
interface = "lo"
local_directory = "$TMPDIR"
log_directory = "logs"
job_script_prologue = ["module load gcc"]
"""
SLURM_FILE = FULL + 'queue = "short"\njob_extra_directives = ["--constraint=avx512"]'
HTCONDOR_FILE = FULL + 'disk = "2 GiB"\njob_extra_directives = { "+JobFlavour" = \'"workday"\' }'


def cluster_file(text: str) -> Path:
    path = Path("cluster.toml")
    path.write_text(text)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory; its name tries the quoting."""
    path = tmp_path / "it's here"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


def job_script(executor: str, text: str) -> str:
    options = read_cluster_file(executor, cluster_file(text))
    return str(make_job(QUEUES[executor], options, "tcp://10.0.0.1:8786", "job0").job_script())


def test_a_slurm_job_asks_for_what_the_cluster_file_says(folder: Path) -> None:
    lines = job_script("slurm", SLURM_FILE).splitlines()
    asked = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")]
    assert {"-p short", "-A neutrinos", "--mem=4G", "-t 02:30:00", "--cpus-per-task=2", "-n 1"} <= set(asked)
    assert {"--constraint=avx512", "-J nuanalysis", "-o logs/nuanalysis-%J.out"} <= set(asked)
    prologue, place, threads, worker = lines[-4:]
    assert prologue == "module load gcc"
    assert place == f"cd '{folder.parent}/it'\"'\"'s here'"
    assert dict(pair.split("=") for pair in threads.removeprefix("export ").split()) == ONE_THREAD
    assert worker.startswith(f"{sys.executable} -m distributed.cli.dask_worker tcp://10.0.0.1:8786 --name job0")
    assert "--nthreads 1 --memory-limit 2.00GiB --nworkers 2 " in worker
    assert worker.endswith("--local-directory $TMPDIR --interface lo")


def test_an_htcondor_job_asks_for_what_the_cluster_file_says(folder: Path) -> None:
    script = job_script("htcondor", HTCONDOR_FILE)
    asked = dict(line.split(" = ", 1) for line in script.splitlines() if " = " in line)
    assert asked["accounting_group"] == "neutrinos"
    assert asked["allowed_job_duration"] == "9000"
    assert asked["MY.DaskWorkerMemory"] == str(4 * 2**30)
    assert asked["MY.DaskWorkerDisk"] == str(2 * 2**30)
    assert asked["MY.DaskWorkerCores"] == "2"
    assert asked["+JobFlavour"] == '"workday"'
    assert asked["Output"].startswith("$(LogDirectory)/")
    assert condor_arguments(asked["Arguments"])[0] == "-c"
    prologue, place, threads, worker = condor_arguments(asked["Arguments"])[1].split("; ")
    assert prologue == "module load gcc"
    assert place.startswith("cd ")
    assert dict(pair.split("=") for pair in threads.removeprefix("export ").split()) == ONE_THREAD
    assert "--nthreads 1 --memory-limit 2.00GiB --nworkers 2 " in worker


def test_a_short_cluster_file_will_do(folder: Path) -> None:
    script = job_script("slurm", 'memory = "2 GB"')
    assert "#SBATCH --cpus-per-task=1\n#SBATCH --mem=2G\n#SBATCH -t 01:00:00\ncd " in script
    assert "allowed_job_duration = 90061\n" in job_script("htcondor", 'memory = "2 GB"\nwalltime = "1-01:01:01"')


def test_all_faults_of_a_cluster_file_are_in_one_message(folder: Path) -> None:
    text = 'memroy = "2 GB"\ncores = "2"\nwalltime = "2h"\naccount = "a b"'
    with pytest.raises(InputError) as caught:
        read_cluster_file("slurm", cluster_file(text))
    message = str(caught.value)
    assert "unknown key 'memroy'. Did you mean 'memory'?" in message
    for key in ("memory", "cores", "walltime", "account"):
        assert f"\n  - '{key}' (" in message
    assert "(found '2h')" in message
    assert message.endswith("Nothing was run.")


@pytest.mark.parametrize(
    ("executor", "text", "fault"),
    [
        ("htcondor", 'memory = "1 GB"\nqueue = "short"', "unknown key 'queue'. HTCondor has no queues"),
        ("slurm", 'memory = "1 GB"\ndisk = "1 GB"', "unknown key 'disk'"),
        ("slurm", "memory = ", "is not TOML"),
        ("slurm", 'memory = "lots"', "'memory' \\(of a job, for example '4 GB'\\): "),
        (
            "slurm",
            'memory = "1 GB"\njob_script_prologue = "module load gcc"',
            "'job_script_prologue' \\(list of shell lines",
        ),
    ],
)
def test_a_wrong_cluster_file_is_refused(executor: str, text: str, fault: str, folder: Path) -> None:
    with pytest.raises(InputError, match=fault):
        open_executor(executor, workers=2, cluster=cluster_file(text))


def test_a_cluster_file_goes_with_a_batch_system_and_must_be_there(folder: Path) -> None:
    with pytest.raises(InputError, match="goes with 'slurm' or 'htcondor', not with 'processes'"):
        open_executor("processes", workers=2, cluster=cluster_file('memory = "1 GB"'))
    with pytest.raises(InputError, match=r"needs a cluster file \(--cluster FILE.toml\)"):
        open_executor("slurm", workers=2)
    with pytest.raises(InputError, match=r"nowhere\.toml cannot be read"):
        open_executor("slurm", workers=2, cluster=Path("nowhere.toml"))
    with pytest.raises(InputError, match="at least 1, found 0"):
        open_executor("slurm", workers=0, cluster=cluster_file('memory = "1 GB"'))


def test_a_machine_without_the_extra_or_the_batch_system_is_told_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cluster_file('memory = "1 GB"')
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(EnvironmentFault, match="no 'condor_submit' on this machine"):
        open_executor("htcondor", workers=2, cluster=path)
    monkeypatch.setattr(queues, "find_spec", lambda name: None if name == "dask_jobqueue" else name)
    with pytest.raises(EnvironmentFault, match=r"needs dask_jobqueue, .*pip install 'nuanalysis\[cluster\]'"):
        open_executor("slurm", workers=2, cluster=path)


def condor_arguments(text: str) -> list[str]:
    """What HTCondor makes of an Arguments line in its newer, double-quoted form."""
    words = re.findall(r"(?:'(?:[^']|'')*'|\S)+", text.removeprefix('"').removesuffix('"').replace('""', '"'))
    return [re.sub(r"'((?:[^']|'')*)'", lambda quoted: quoted[1].replace("''", "'"), word) for word in words]


# Batch systems of one machine: a job is a process group of its own, and its number the leader's.
SUBMIT = """\
#!{python}
import re, subprocess, sys
from pathlib import Path
from test_executors import condor_arguments

text = Path(sys.argv[-1]).read_text()
if "condor" in sys.argv[0]:
    command = ["/bin/sh", *condor_arguments(re.search(r"^Arguments = (.*)$", text, re.M)[1])]
    said = "1 job(s) submitted to cluster {{}}."
else:
    script = Path(r"{folder}") / "script"
    script.write_text(text)
    command = ["/bin/sh", str(script)]
    said = "Submitted batch job {{}}"
with open(r"{folder}/output", "a") as output:
    job = subprocess.Popen(command, start_new_session=True, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
with open(r"{folder}/jobs", "a") as jobs:
    print(job.pid, file=jobs)
print(said.format(job.pid))
"""
CANCEL = "#!/bin/sh\nfor job; do kill -9 -$job; done\n"


@dataclass(frozen=True)
class FakeBatchSystem:
    """What the commands leave in their folder."""

    folder: Path

    def jobs(self) -> list[int]:
        return [int(line) for line in (self.folder / "jobs").read_text().split()]

    def alive(self) -> list[psutil.Process]:
        return [process for job in self.jobs() for process in alive_in_group(job)]

    def ends(self) -> bool:
        """All jobs are gone, or die at this moment."""
        until = time.monotonic() + 5
        while self.alive() and time.monotonic() < until:
            time.sleep(0.05)
        return not self.alive()


@pytest.fixture
def batch_system(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBatchSystem]:
    commands = tmp_path / "commands"
    commands.mkdir()
    submit = SUBMIT.format(python=sys.executable, folder=commands)
    for name, text in {"sbatch": submit, "condor_submit": submit, "scancel": CANCEL, "condor_rm": CANCEL}.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", with_tests())
    yield FakeBatchSystem(commands)
    for process in FakeBatchSystem(commands).alive() if (commands / "jobs").exists() else []:
        process.kill()


@pytest.mark.parametrize("name", ["slurm", "htcondor"])
@pytest.mark.slow
def test_jobs_do_the_work_and_are_cancelled_in_the_end(name: str, batch_system: FakeBatchSystem, folder: Path) -> None:
    executor = open_executor(name, workers=2, cluster=cluster_file('memory = "1 GB"\ncores = 2'))
    with executor:
        assert sorted(executor.map(square, range(20))) == [(item, item**2) for item in range(20)]
        assert os.getpid() not in {result for _, result in executor.map(process_id, range(4))}
        assert all(result == ONE_THREAD for _, result in executor.map(threads, range(4)))
        assert {result for _, result in executor.map(where, range(4))} == {str(folder)}
        with pytest.raises(OddError):
            list(executor.map(fail_at_three, range(9)))
        abandoned = executor.map(late_first, range(1000))
        next(abandoned)
        abandoned.close()  # type: ignore[attr-defined]
        assert list(executor.map(square, [6])) == [(0, 36)]
        assert len(batch_system.jobs()) == 1
    assert batch_system.ends()
    assert [path.name for path in folder.iterdir()] == ["cluster.toml"]  # the key is gone


@pytest.mark.slow
def test_a_lost_job_is_followed_by_another_and_costs_no_result(
    batch_system: FakeBatchSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "LOOK_SECONDS", 0.3)
    with open_executor("slurm", workers=2, cluster=cluster_file('memory = "1 GB"')) as executor:
        results = executor.map(late_first, range(20))
        first = next(results)
        for job in batch_system.jobs():
            os.killpg(job, signal.SIGKILL)
        assert dict([first, *results]) == {item: item for item in range(20)}
        assert len(batch_system.jobs()) >= 3
    assert batch_system.ends()


def test_a_refused_job_is_an_environment_fault_with_the_reason(batch_system: FakeBatchSystem) -> None:
    path = cluster_file('memory = "1 GB"')
    (batch_system.folder / "sbatch").write_text("#!/bin/sh\necho 'Invalid account' >&2\nexit 1\n")
    with pytest.raises(EnvironmentFault, match="'sbatch' says: Invalid account"):
        open_executor("slurm", workers=2, cluster=path).__enter__()
    (batch_system.folder / "sbatch").write_text("#!/bin/sh\necho 'Thank you'\n")
    with pytest.raises(EnvironmentFault, match="no job number; it said: Thank you"):
        open_executor("slurm", workers=2, cluster=path).__enter__()


def test_an_interface_that_is_not_there_is_an_environment_fault(batch_system: FakeBatchSystem) -> None:
    path = cluster_file('memory = "1 GB"\ninterface = "nowhere7"')
    with pytest.raises(EnvironmentFault, match="'nowhere7' is not a valid network interface"):
        open_executor("slurm", workers=2, cluster=path).__enter__()


def test_jobs_that_bring_no_worker_are_spoken_of(
    batch_system: FakeBatchSystem, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(queues, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(queues, "FIRST_WORKER_SECONDS", 0.1)
    path = cluster_file('memory = "1 GB"\njob_script_prologue = ["exit 1"]')
    with open_executor("slurm", workers=2, cluster=path):
        time.sleep(0.5)
    assert [record.getMessage().partition(";")[0] for record in caplog.records if "queues" in record.name] == [
        "no worker has come yet from 2 jobs"
    ]


# --- Ctrl-C and kill -9 of the coordinator ----------------------------------------------------------------------------

SCRIPT = """
    import sys
    from pathlib import Path
    from test_executors import sleep_long, square
    from nuanalysis.engine.executors import open_executor

    if __name__ == "__main__":
        cluster = Path("cluster.toml") if sys.argv[1] == "slurm" else None
        with open_executor(sys.argv[1], workers=2, cluster=cluster) as executor:
            assert len(list(executor.map(square, range(4)))) == 4
            print("ready", flush=True)
            list(executor.map(sleep_long, range(4)))
"""


def coordinator(name: str, folder: Path) -> subprocess.Popen[str]:
    script = folder / "coordinator.py"
    script.write_text(textwrap.dedent(SCRIPT))
    process = subprocess.Popen(
        [sys.executable, str(script), name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": with_tests()},
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(1.0)
    return process


def alive_in_group(group: int) -> list[psutil.Process]:
    def member(process: psutil.Process) -> bool:
        try:
            return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
        except (OSError, psutil.Error):
            return False

    return [process for process in psutil.process_iter() if member(process)]


def seconds_until_gone(process: subprocess.Popen[str]) -> float:
    start = time.monotonic()
    while alive_in_group(process.pid) and time.monotonic() < start + 20:
        time.sleep(0.05)
    return time.monotonic() - start


@pytest.mark.parametrize("name", ["threads", "processes", "dask"])
@pytest.mark.slow
def test_ctrl_c_ends_everything_within_five_seconds_and_quietly(name: str, tmp_path: Path) -> None:
    process = coordinator(name, tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    assert seconds_until_gone(process) < 5
    _, errors = process.communicate(timeout=5)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert errors.count("Traceback") == 1, errors


@pytest.mark.slow
def test_ctrl_c_cancels_the_jobs(batch_system: FakeBatchSystem, tmp_path: Path, folder: Path) -> None:
    cluster_file('memory = "1 GB"')
    process = coordinator("slurm", tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    assert seconds_until_gone(process) < 5
    _, errors = process.communicate(timeout=5)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert errors.count("Traceback") == 1, errors
    assert process.returncode != 0
    assert batch_system.ends()
    assert [path.name for path in folder.iterdir()] == ["cluster.toml"]


@pytest.mark.parametrize("name", ["processes", "dask"])
@pytest.mark.slow
def test_no_worker_outlives_a_killed_coordinator(name: str, tmp_path: Path) -> None:
    process = coordinator(name, tmp_path)
    process.kill()
    process.wait()
    assert seconds_until_gone(process) < 10
    process.communicate(timeout=5)
