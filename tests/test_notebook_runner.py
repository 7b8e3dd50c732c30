"""The notebook runner: nothing runs with wrong parameters, nothing is lost to a kill, nothing runs twice."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import papermill
import psutil
import pytest
from papermill.exceptions import PapermillExecutionError
from pydantic import BaseModel, ConfigDict, Field
from typer.testing import CliRunner

from nuanalysis.errors import DataError, InputError, StoreLocked
from nuanalysis.workflow import notebooks as runner
from nuanalysis.workflow import parameters as models
from nuanalysis.workflow.notebooks import (
    NotebookFailed,
    lint_notebook,
    notebook_folder,
    read_manifest,
    run_all,
)
from nuanalysis.workflow.parameters import PARAMETERS

pytestmark = pytest.mark.slow


class Tiny(BaseModel):
    """The parameters of the test notebooks."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    number: int = Field(2, ge=1, le=9)
    spec: str = "spec.toml"


MODELS = {"01_first": Tiny, "02_second": Tiny, "03_third": Tiny}
CELL = 'number = 2\nspec = "spec.toml"'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a spec and three small notebooks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "PARAMETERS", MODELS)
    (tmp_path / "spec.toml").write_text("seed = 1\n")
    (tmp_path / "source").mkdir()
    for name in MODELS:
        write(tmp_path, name, f"with open('log', 'a') as log:\n    log.write('{name} ')")
    return tmp_path


def write(folder: Path, name: str, *sources: str) -> Path:
    cells = [
        nbformat.v4.new_markdown_cell(f"# {name}"),
        nbformat.v4.new_code_cell(CELL, metadata={"tags": ["parameters"]}),
        *(nbformat.v4.new_code_cell(source) for source in sources),
    ]
    path = folder / "source" / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def silent(_: str) -> None:
    """Progress that nobody reads."""


def go(folder: Path, order: Sequence[str] = tuple(MODELS), **more: object) -> dict[str, str]:
    parameters = more.pop("parameters", {})
    outcomes = run_all(order, folder / "run", parameters, progress=silent, notebooks=folder / "source", **more)  # type: ignore[arg-type]
    return {outcome.name: f"{outcome.status}: {outcome.reason}" for outcome in outcomes}


def log(folder: Path) -> list[str]:
    path = folder / "log"
    return path.read_text().split() if path.exists() else []


def kernels() -> list[int]:
    def is_kernel(process: psutil.Process) -> bool:
        try:
            return "ipykernel_launcher" in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    return [process.pid for process in psutil.Process().children(recursive=True) if is_kernel(process)]


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


# --- one notebook -----------------------------------------------------------------------------------------------------


def test_a_finished_notebook_has_its_record_its_copy_and_visible_progress(folder: Path) -> None:
    write(
        folder,
        "01_first",
        "import os, sys\nprint(number, sys.executable, os.getcwd())",
        "print('half way', file=sys.stderr, flush=True)",
    )
    lines: list[str] = []
    values = {"01_first": {"number": 7}}
    (done,) = run_all(["01_first"], folder / "run", values, progress=lines.append, notebooks=folder / "source")
    run, copies = done.run, folder / "run" / "notebooks"
    assert (run.name, run.status, run.cell, run.cause) == ("01_first", "finished", 4, "")
    assert 0 < run.seconds < 60
    assert len(run.inputs.notebook) == len(run.inputs.parameters) == len(run.inputs.spec) == len(run.key) == 64
    assert sorted(item.name for item in copies.iterdir()) == ["01_first.ipynb"]
    text = (copies / "01_first.ipynb").read_text()
    assert "7 " + sys.executable + " " + str(folder) in text
    assert "01_first: cell 3/4  import os, sys" in lines
    assert "01_first: half way" in lines
    assert kernels() == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"numbr": 3}, r"01_first has no parameter 'numbr'. Did you mean 'number' \(int, 1\.\.9, default 2\)\?"),
        ({"number": "3"}, r"'number' is '3' \(str\), expected int"),
        ({"number": 10}, r"'number' is 10 \(int\), expected int, 1\.\.9"),
        ({"spec": "none.toml"}, r"the spec none.toml cannot be read"),
    ],
)
def test_wrong_parameters_are_refused_before_a_kernel_starts(
    folder: Path, values: dict[str, object], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess.Popen, "__init__", lambda *a, **k: pytest.fail("a process was started"))
    with pytest.raises(InputError, match=expected) as caught:
        go(folder, ["01_first"], parameters={"01_first": values})
    assert "Nothing was run." in str(caught.value)
    assert not (folder / "run").exists()
    with pytest.raises(InputError, match=expected):
        go(folder, parameters={"03_third": values} if "numbr" not in values else {"01_first": values})
    assert not (folder / "run").exists()


def test_parameters_for_a_notebook_that_does_not_exist_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="Did you mean '01_first'"):
        go(folder, parameters={"01_frist": {"number": 3}})


def test_a_parameters_cell_that_differs_from_the_model_is_refused(folder: Path) -> None:
    path = folder / "source" / "01_first.ipynb"
    path.write_text(path.read_text().replace("number = 2", "number = 3"))
    with pytest.raises(InputError, match="number = 3, expected number = 2"):
        go(folder)


def test_a_failing_cell_is_named_with_its_error_and_the_copy_is_kept(folder: Path) -> None:
    write(folder, "02_second", "1 / 0", "print('never')")
    with pytest.raises(
        NotebookFailed, match=r"02_second failed in cell 3: ZeroDivisionError: division by zero"
    ) as caught:
        go(folder)
    assert caught.value.exit_code == 1
    assert {path.name for path in (folder / "run" / "notebooks").iterdir()} == {
        "01_first.ipynb",
        "02_second.failed.ipynb",
    }
    runs = read_manifest(folder / "run" / "run.json")
    assert {name: run.status for name, run in runs.items()} == {"01_first": "finished", "02_second": "failed"}
    assert (runs["02_second"].cell, runs["02_second"].cause) == (3, "ZeroDivisionError: division by zero")
    assert kernels() == []
    write(folder, "02_second", "print('mended')")
    reasons = go(folder)
    assert reasons["01_first"].startswith("skipped: unchanged since 20")
    assert reasons["02_second"] == "finished: last run failed in cell 3"
    assert reasons["03_third"] == "finished: never run"
    assert not (folder / "run" / "notebooks" / "02_second.failed.ipynb").exists()


def test_an_error_of_ours_in_a_cell_keeps_its_exit_code(folder: Path) -> None:
    write(folder, "01_first", "from nuanalysis.errors import DataError\nraise DataError('bad\\nrow')")
    with pytest.raises(NotebookFailed, match="DataError: bad") as caught:
        go(folder, ["01_first"])
    assert caught.value.exit_code == DataError.exit_code


def test_a_killed_kernel_is_reported_as_killed_not_as_completed(folder: Path) -> None:
    write(folder, "01_first", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "print('never')")
    with pytest.raises(NotebookFailed, match=r"failed in cell 3: the kernel was killed by SIGKILL"):
        go(folder, ["01_first"])
    copy = nbformat.read(folder / "run" / "notebooks" / "01_first.failed.ipynb", as_version=4)
    statuses = [cell.metadata.papermill.status for cell in copy.cells]
    assert statuses == ["completed", "completed", "completed", "failed", "pending"]
    assert copy.metadata.papermill.exception is True
    assert not (folder / "run" / "notebooks" / "01_first.ipynb").exists()


def test_worker_processes_can_be_used_in_a_notebook_and_none_is_left(folder: Path) -> None:
    write(
        folder,
        "01_first",
        "import math\nfrom nuanalysis.engine.executors import open_executor\n"
        "with open_executor('processes', workers=2, scheduler=None) as executor:\n"
        "    print(sorted(executor.map(math.factorial, range(4))))",
    )
    go(folder, ["01_first"])
    assert "[(0, 1), (1, 1), (2, 2), (3, 6)]" in (folder / "run" / "notebooks" / "01_first.ipynb").read_text()
    assert kernels() == []


# --- all of them ------------------------------------------------------------------------------------------------------


def test_notebooks_run_in_order_once_and_again_only_for_a_reason(folder: Path) -> None:
    assert set(go(folder).values()) == {"finished: never run"}
    assert log(folder) == list(MODELS)

    assert all(text.startswith("skipped: unchanged since 20") for text in go(folder).values())
    assert log(folder) == list(MODELS)

    changed = go(folder, parameters={"02_second": {"number": 5}})
    assert changed["01_first"].startswith("skipped")
    assert changed["02_second"] == "finished: parameters changed"
    assert changed["03_third"] == "finished: earlier step ran again"

    write(folder, "03_third", "print('other')")
    changed = go(folder, parameters={"02_second": {"number": 5}})
    assert [text.split(":")[0] for text in changed.values()] == ["skipped", "skipped", "finished"]
    assert changed["03_third"] == "finished: notebook changed"

    (folder / "spec.toml").write_text("seed = 2\n")
    assert go(folder, ["01_first"]) == {"01_first": "finished: spec changed"}
    (folder / "run" / "notebooks" / "01_first.ipynb").unlink()
    assert go(folder, ["01_first"]) == {"01_first": "finished: executed copy is missing"}
    assert go(folder, ["01_first"], force=True) == {"01_first": "finished: forced"}


def test_two_runs_in_one_folder_exclude_each_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LOCK_SECONDS", 0.3)
    with runner._locked(folder / "run"), pytest.raises(StoreLocked, match="another process runs notebooks"):
        go(folder)
    assert log(folder) == []


def test_a_kernel_that_somebody_planted_is_not_started(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = folder / "planted" / "kernels" / "python3"
    planted.mkdir(parents=True)
    argv = ["sh", "-c", f"touch {folder / 'started'}; sleep 60"]
    (planted / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Python", "language": "python"}))
    for name in ("JUPYTER_PATH", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(folder / "planted"))
    write(folder, "01_first", "import sys\nprint(sys.executable)")
    assert go(folder, ["01_first"]) == {"01_first": "finished: never run"}
    assert not (folder / "started").exists()
    assert sys.executable in (folder / "run" / "notebooks" / "01_first.ipynb").read_text(encoding="utf-8")


def test_a_clock_that_is_set_back_decides_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = itertools.count()  # as many as a busy machine may make
    began = datetime(2060, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(
        runner, "_now", lambda: (began - timedelta(hours=next(calls))).isoformat(timespec="microseconds")
    )
    monkeypatch.setattr(time, "time", lambda: began.timestamp() - 3600.0 * next(calls))
    two = ["01_first", "02_second"]
    assert set(go(folder, two).values()) == {"finished: never run"}
    runs = read_manifest(folder / "run" / "run.json")
    assert all(run.ended < run.started and run.seconds >= 0 for run in runs.values())
    assert all(text.startswith("skipped: unchanged since 20") for text in go(folder, two).values())


def test_an_error_of_ours_is_one_line_in_a_notebook(folder: Path) -> None:
    write(folder, "01_first", "from nuanalysis.errors import StepMissing\nraise StepMissing('run it\\x1b[2J first')")
    with pytest.raises(NotebookFailed):
        go(folder, ["01_first"])
    copy = nbformat.read(folder / "run" / "notebooks" / "01_first.failed.ipynb", as_version=4)
    [error] = [out for cell in copy.cells for out in cell.get("outputs", ()) if out.output_type == "error"]
    assert error.traceback == ["StepMissing: run it\\x1b[2J first"]


ALONE = """
name = "alone"
[[sample]]
name = "cascades-2023"
min_log10_energy = 4.0
[[hypothesis]]
name = "template:galactic-plane-box"
trials = { scrambles = 200, injections = 100 }
[[hypothesis]]
name = "stack:snr"
trials = { scrambles = 200, injections = 100 }
"""


@pytest.mark.parametrize("name", ["02_event_selection", "03_template_fits", "04_stacking"])
def test_a_notebook_opened_first_makes_what_it_needs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "alone.toml").write_text(ALONE)
    values = {name: {"spec": str(tmp_path / "alone.toml"), "run_folder": str(tmp_path / "run")}}
    [done] = run_all([name], tmp_path / "run", values, progress=silent)
    assert done.status == "finished"


def test_the_last_notebook_opened_first_says_in_a_line_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "alone.toml").write_text(ALONE)
    values = {"05_data_release": {"spec": str(tmp_path / "alone.toml"), "run_folder": str(tmp_path / "run")}}
    with pytest.raises(NotebookFailed, match=r"StepMissing: no selection\.json in .*; run 'nuanalysis run SPEC'"):
        run_all(["05_data_release"], tmp_path / "run", values, progress=silent)


def test_a_damaged_manifest_is_an_input_error(folder: Path) -> None:
    (folder / "run").mkdir()
    (folder / "run" / "run.json").write_text('{"schema": 1, "notebooks": {"01_first": {}}}')
    with pytest.raises(InputError, match=r"run.json is damaged"):
        go(folder)


# --- the runner itself is killed --------------------------------------------------------------------------------------

SCRIPT = """
    import sys
    from pathlib import Path
    from test_notebook_runner import MODELS
    from nuanalysis.cli import _end
    from nuanalysis.workflow import parameters
    from nuanalysis.workflow.notebooks import run_all

    parameters.PARAMETERS = MODELS
    with _end.terminable():
        run_all(
            list(MODELS), Path("run"), {}, progress=lambda line: print(line, file=sys.stderr, flush=True),
            notebooks=Path("source"),
        )
"""
PATIENT = (
    "import os, time\nopen('kernel', 'w').write(str(os.getpid()))\nif not os.path.exists('quick'):\n    time.sleep(60)"
)


def started_runner(folder: Path) -> subprocess.Popen[str]:
    """A runner in another process, stopped in the second notebook."""
    write(folder, "02_second", PATIENT)
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
    )
    wait_for((folder / "kernel").exists)
    time.sleep(0.3)
    return process


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that has, and that its new parent has not yet asked about, counts as ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_runner_and_kernel_within_five_seconds_and_says_interrupted(
    folder: Path, number: signal.Signals
) -> None:
    process = started_runner(folder)
    start = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=10)
    assert time.monotonic() - start < 5
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert is_gone(int((folder / "kernel").read_text()))
    run = read_manifest(folder / "run" / "run.json")["02_second"]
    assert (run.status, run.cell) == ("interrupted", 3)
    assert (folder / "run" / "notebooks" / "02_second.failed.ipynb").exists()
    (folder / "quick").touch()
    assert go(folder)["02_second"] == "finished: last run was interrupted in cell 3"


def test_a_killed_runner_is_called_interrupted_by_the_next_which_goes_on(folder: Path) -> None:
    process = started_runner(folder)
    process.kill()
    process.communicate()
    record = json.loads((folder / "run" / "run.json").read_text())["notebooks"]["02_second"]
    assert (record["status"], record["cell"]) == ("running", 3)
    (folder / "quick").touch()
    orphan = int((folder / "kernel").read_text())
    reasons = go(folder)
    assert is_gone(orphan)
    assert reasons["01_first"].startswith("skipped")
    assert reasons["02_second"] == "finished: last run was interrupted in cell 3"
    assert log(folder) == ["01_first", "03_third"]
    runs = read_manifest(folder / "run" / "run.json")
    assert {run.status for run in runs.values()} == {"finished"}


# --- committed notebooks and the command line -------------------------------------------------------------------------


def test_a_clean_notebook_passes_the_check(folder: Path) -> None:
    assert lint_notebook(folder / "source" / "01_first.ipynb") == []


def test_outputs_long_cells_and_absolute_paths_are_faults(folder: Path) -> None:
    path = write(
        folder,
        "01_first",
        "x = 1\n" * 31,
        f"open('/{'home'}/me/data')",
        "open('a/b'); 'http://x/y'; '/events'",
        "x = 1" + " + 1" * 30,
    )
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="2")]
    nbformat.write(notebook, path)
    faults = lint_notebook(path)
    assert len(faults) == 4
    assert "cell 2: has outputs" in faults[0]
    assert "cell 3: has 31 lines, at most 30" in faults[1]
    assert "cell 4: names an absolute path" in faults[2]
    assert "cell 6: has a line of 125 letters, at most 110" in faults[3]


def test_the_command_line_lists_shows_and_checks(tmp_path: Path) -> None:
    from nuanalysis.cli.notebooks import app

    command = CliRunner()
    shown = command.invoke(app, ["params", "03_template_fits", "--json"])
    assert shown.exit_code == 0
    assert [row["name"] for row in json.loads(shown.stdout)["parameters"]][-3:] == ["workers", "scheduler", "cluster"]
    listed = json.loads(command.invoke(app, ["ls", "--json"]).stdout)
    assert [row["name"] for row in listed["notebooks"]] == list(PARAMETERS)
    bad = tmp_path / "03_template_fits.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[]), bad)
    checked = command.invoke(app, ["check", str(bad), "--json"])
    assert checked.exit_code == 2
    assert json.loads(checked.stdout)["faults"] == ["03_template_fits.ipynb: 0 cells tagged 'parameters', expected 1"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"templat": "pi0"}, "START_HERE has no parameter 'templat'. Did you mean 'template'"),
        ({"template": "pi00"}, "START_HERE: 'template'"),
    ],
)
def test_papermill_by_itself_is_refused_what_the_runner_is(
    given: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """papermill only warns of a name that the notebook does not have."""
    monkeypatch.chdir(tmp_path)
    written = tmp_path / "copy.ipynb"
    with pytest.raises(PapermillExecutionError, match="Nothing was run") as caught:
        papermill.execute_notebook(notebook_folder() / "START_HERE.ipynb", written, given, progress_bar=False)
    assert said in str(caught.value)
    ran = [cell for cell in nbformat.read(written, as_version=4).cells if cell.get("execution_count")]
    assert len(ran) == 3  # parameters, those injected, and the check


def test_the_notebook_folder_is_that_of_the_checkout() -> None:
    assert notebook_folder().name in ("notebooks", "_notebooks")


# --- a working directory of somebody else -----------------------------------------------------------------------------


def test_nothing_in_the_working_directory_is_imported_or_run(folder: Path) -> None:
    """One works in the folder that one was sent: a planted healpy.py, or a configuration, would run."""
    (folder / "profile_default" / "startup").mkdir(parents=True)
    for name in (
        "healpy", "nuanalysis", "ipykernel_launcher", "ipykernel", "runpy", "ipython_config", "ipython_kernel_config",
        "jupyter_config", "sitecustomize", "profile_default/startup/00",
    ):  # fmt: skip
        (folder / f"{name}.py").write_text(f"open({str(folder / 'planted')!r}, 'a').write({name!r})")
    look = "import healpy, nuanalysis, subprocess, sys\nassert not {'', '.'} & set(sys.path), sys.path"
    write(folder, "01_first", look, "subprocess.run([sys.executable, '-c', 'import healpy'], check=True)")
    assert go(folder, ["01_first"]) == {"01_first": "finished: never run"}
    assert not (folder / "planted").exists()
