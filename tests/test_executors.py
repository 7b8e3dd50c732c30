"""Executors: the same results wherever the work is done, and whoever is killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import dask
import psutil
import pytest

from nuanalysis.errors import EnvironmentFault, InputError
from nuanalysis.workflow import executors
from nuanalysis.workflow.executors import ONE_THREAD, DaskExecutor, Executor, Processes, Serial, open_executor


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


def sleep_long(item: int) -> int:
    time.sleep(60)
    return item


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
    with DaskExecutor(2) as executor:
        yield executor


@pytest.fixture
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "dask":
        yield request.getfixturevalue("dask_executor")
    else:
        with open_executor(request.param, workers=2, scheduler=None) as executor:
            yield executor


everywhere = pytest.mark.parametrize("executor", ["serial", "processes", "dask"], indirect=True)
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


@in_workers
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


@in_workers
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
def test_killed_workers_cost_no_result(executor: Executor, tmp_path: Path) -> None:
    assert dict(executor.map(partial(die_once, str(tmp_path)), range(8))) == {item: item**2 for item in range(8)}
    assert {path.name for path in tmp_path.iterdir()} == {"2", "5"}
    assert all(result == ONE_THREAD for _, result in executor.map(threads, range(4)))


def test_a_worker_killed_from_outside_in_the_middle_of_its_task_is_replaced() -> None:
    others = {child.pid for child in children()}
    with Processes(2) as executor:
        results = executor.map(late_first, range(30))
        first = next(results)
        for child in children():
            if child.pid not in others:
                child.kill()
        assert dict([first, *results]) == {item: item for item in range(30)}


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
        DaskExecutor(2) as executor,
        pytest.raises(EnvironmentFault, match=r"lost its Dask worker again and again"),
    ):
        list(executor.map(die_always, [1]))
    assert [child for child in children() if child.pid not in others] == []


@everywhere
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
    address = dask_executor._connected().cluster.scheduler_address
    with open_executor("dask", workers=2, scheduler=address) as executor:
        assert sorted(executor.map(square, range(5))) == [(item, item**2) for item in range(5)]
        abandoned = executor.map(late_first, range(1000))
        next(abandoned)
        abandoned.close()  # type: ignore[attr-defined]
    assert list(dask_executor.map(square, [6])) == [(0, 36)]


def test_a_scheduler_that_does_not_answer_is_an_environment_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "CONNECT_SECONDS", 0.5)
    with pytest.raises(EnvironmentFault, match="no Dask scheduler with a worker answers at tcp://127"):
        DaskExecutor(1, "tcp://127.0.0.1:9").__enter__()


def test_a_scheduler_address_that_is_none_is_an_input_error() -> None:
    with pytest.raises(InputError, match="no scheduler address"):
        DaskExecutor(1, "nowhere").__enter__()


def test_open_executor_refuses_what_it_does_not_know() -> None:
    with pytest.raises(InputError, match="Did you mean 'processes'"):
        open_executor("process", workers=2, scheduler=None)
    with pytest.raises(InputError, match="at least 1, found 0"):
        open_executor("processes", workers=0, scheduler=None)
    with pytest.raises(InputError, match="goes with the executor 'dask'"):
        open_executor("processes", workers=1, scheduler="tcp://127.0.0.1:8786")
    assert isinstance(open_executor("serial", workers=1, scheduler=""), Serial)


# --- Ctrl-C and kill -9 of the coordinator ----------------------------------------------------------------------------

SCRIPT = """
    import sys
    from test_executors import sleep_long, square
    from nuanalysis.workflow.executors import open_executor

    if __name__ == "__main__":
        with open_executor(sys.argv[1], workers=2, scheduler=None) as executor:
            assert len(list(executor.map(square, range(4)))) == 4
            print("ready", flush=True)
            list(executor.map(sleep_long, range(4)))
"""


def coordinator(name: str, folder: Path) -> subprocess.Popen[str]:
    script = folder / "coordinator.py"
    script.write_text(textwrap.dedent(SCRIPT))
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(
        [sys.executable, str(script), name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
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


@pytest.mark.parametrize("name", ["processes", "dask"])
def test_ctrl_c_ends_everything_within_five_seconds_and_quietly(name: str, tmp_path: Path) -> None:
    process = coordinator(name, tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    assert seconds_until_gone(process) < 5
    _, errors = process.communicate(timeout=5)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert errors.count("Traceback") == 1, errors


@pytest.mark.parametrize("name", ["processes", "dask"])
def test_no_worker_outlives_a_killed_coordinator(name: str, tmp_path: Path) -> None:
    process = coordinator(name, tmp_path)
    process.kill()
    process.wait()
    assert seconds_until_gone(process) < 10
    process.communicate(timeout=5)
