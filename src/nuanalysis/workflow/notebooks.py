"""The notebook runner: checked parameters, one kernel per notebook, a manifest of our own as the truth.

papermill executes.  Its metadata is not believed: it marks the cell of a killed kernel as completed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from nuanalysis import errors
from nuanalysis.engine.provenance import code_fingerprint
from nuanalysis.errors import EnvironmentFault, InputError, NuanalysisError, StoreLocked
from nuanalysis.workflow.parameters import PARAMETERS, Models, check_notebook, code_cells, model_of, validate

Progress = Callable[[str], None]

MANIFEST = "run.json"
SCHEMA = 1
LOCK_SECONDS = 15.0  # the kernel of a killed runner needs up to about ten to notice


class NotebookFailed(NuanalysisError):
    """A notebook stopped in a cell: read the message or the kept copy, mend the cause, run again.

    ``exit_code`` is that of the error in the cell if it is one of ours.
    """

    def __init__(self, message: str, *, cell: int, cause: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.cell = cell
        self.cause = cause
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the result of a notebook depends on.  ``after``: when the notebook before it was finished."""

    notebook: str
    parameters: str
    spec: str
    version: str
    after: str

    @property
    def key(self) -> str:
        return _sha256(json.dumps(asdict(self), sort_keys=True).encode())


@dataclass(frozen=True, slots=True)
class NotebookRun:
    """One execution of one notebook.  ``status``: running, finished, failed or interrupted.

    ``cell`` is the number n of In[n] in the executed copy (0: before the first), ``cause`` why it is not finished.
    """

    name: str
    status: str
    started: str
    ended: str
    seconds: float
    cell: int
    cause: str
    inputs: Inputs
    key: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What ``run_all`` did with a notebook: ``status`` is finished or skipped, ``reason`` says why."""

    name: str
    status: str
    reason: str
    run: NotebookRun

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}"


def notebook_folder() -> Path:
    """Return the folder of the notebooks: of the source checkout, or the copy inside an installed package."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[1]
    if (checkout / "pyproject.toml").is_file() and (checkout / "notebooks").is_dir():
        return checkout / "notebooks"
    packaged = package / "_notebooks"
    if not packaged.is_dir():
        raise EnvironmentFault("this installation has no notebooks; install the wheel again or work in a checkout")
    return packaged


# --- one notebook -----------------------------------------------------------------------------------------------------


def run_notebook(
    notebook: Path,
    output: Path,
    parameters: Mapping[str, Any],
    progress: Progress,
    *,
    models: Models = PARAMETERS,
    after: str = "",
    keep_open: Sequence[int] = (),
) -> NotebookRun:
    """Execute a notebook into ``output`` and return the record of a finished run.

    Parameters are checked before a kernel starts.  The executed copy is written beside and renamed when finished; of a
    failed run ``<name>.failed.ipynb`` is kept.  The kernel has this interpreter and this working directory.
    Raises InputError (parameters, spec, parameters cell), NotebookFailed, EnvironmentFault (no kernel).
    """
    values, inputs = _checked(notebook, parameters, models, after)
    cells = _Cells(notebook.stem, progress, lambda number: None)
    return _execute(notebook, output, values, _begun(notebook.stem, inputs), cells, keep_open)


def _checked(
    notebook: Path, parameters: Mapping[str, Any], models: Models, after: str
) -> tuple[dict[str, Any], Inputs]:
    """Return all parameters and the hashes of everything the notebook depends on."""
    values = validate(notebook.stem, parameters, models).model_dump(mode="json")
    faults = check_notebook(notebook, models)
    if faults:
        raise InputError("\n".join(faults) + " Nothing was run.")
    return values, Inputs(
        notebook=_sha256(notebook.read_bytes()),
        parameters=_sha256(json.dumps(values, sort_keys=True).encode()),
        spec=_spec_hash(values.get("spec")),
        version=code_fingerprint(),
        after=after,
    )


def _spec_hash(spec: str | None) -> str:
    if spec is None:
        return ""
    try:
        return _sha256(Path(spec).read_bytes())
    except OSError as error:
        raise InputError(f"the spec {spec} cannot be read ({error.strerror}). Nothing was run.") from error


def _execute(
    notebook: Path,
    output: Path,
    values: Mapping[str, Any],
    run: NotebookRun,
    cells: _Cells,
    keep_open: Sequence[int],
) -> NotebookRun:
    partial, failed = (output.with_name(f"{output.stem}.{word}.ipynb") for word in ("partial", "failed"))
    output.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    try:
        with _kernel(keep_open) as kernel:
            cause = _run_cells(notebook, partial, values, kernel, cells)
            cause = cause or _mark_dead(partial, kernel, cells)
    except BaseException:
        with suppress(FileNotFoundError):
            partial.replace(failed)
        raise
    if cause:
        partial.replace(failed)
        raise _failure(notebook.stem, cells.number, cause, failed)
    _clean(partial, notebook.name, output.name)
    partial.replace(output)
    failed.unlink(missing_ok=True)
    seconds = time.monotonic() - start
    cells.progress(f"{notebook.stem}: finished in {seconds:.1f} s")
    return replace(run, status="finished", ended=_now(), seconds=round(seconds, 3), cell=cells.number)


def _failure(name: str, cell: int, cause: str, kept: Path) -> NotebookFailed:
    kind = getattr(errors, cause.partition(":")[0], None)
    ours = isinstance(kind, type) and issubclass(kind, NuanalysisError)
    return NotebookFailed(
        f"notebook {name} failed in cell {cell}: {cause}. The executed copy is kept as {kept}.",
        cell=cell,
        cause=cause,
        exit_code=kind.exit_code if ours and kind is not None else 1,
    )


class _Cells:
    """Where a running notebook is: told by nbclient before every code cell, tells ``progress`` and ``at_cell``."""

    def __init__(self, name: str, progress: Progress, at_cell: Callable[[int], None]) -> None:
        self.name = name
        self.progress = progress
        self.at_cell = at_cell
        self.number = 0
        self.total = 0
        self.index = -1
        self._line = ""

    def begin(self, cell: Any, cell_index: int) -> None:
        self.number += 1
        self.index = cell_index
        self.at_cell(self.number)
        first = next((line.strip() for line in cell.source.splitlines() if line.strip()), "")
        self.progress(f"{self.name}: cell {self.number}/{self.total}  {first[:80]}")

    def write(self, text: str) -> None:
        """Pass on what the notebook prints, line by line."""
        *lines, self._line = (self._line + text.replace("\r", "\n")).split("\n")
        for line in filter(str.strip, lines):
            self.progress(f"{self.name}: {line.rstrip()}")

    def flush(self) -> None:
        """Nothing is held back but an unfinished line."""


def _run_cells(notebook: Path, partial: Path, values: Mapping[str, Any], kernel: _Kernel, cells: _Cells) -> str:
    """Run papermill; return the last line of the error in a cell, or '' (a dead kernel counts as none here)."""
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    source = _nbformat().read(notebook, as_version=4)
    cells.total = 1 + sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in source.cells)
    try:
        with _quiet_papermill():
            papermill.execute_notebook(
                source,
                str(partial).replace("{", "{{").replace("}", "}}"),
                parameters=dict(values),
                kernel_name="python3",
                language="python",
                progress_bar=False,
                km=kernel.manager,
                on_cell_execute=cells.begin,
                stdout_file=cells,
                stderr_file=cells,
            )
    except PapermillExecutionError as error:
        return f"{error.ename}: {error.evalue}".splitlines()[0]
    except (DeadKernelError, RuntimeError) as error:
        if kernel.process.poll() is None:
            raise EnvironmentFault(f"the kernel of {cells.name} does not answer ({error})") from error
    return ""


@contextmanager
def _quiet_papermill() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("papermill", "traitlets")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _mark_dead(partial: Path, kernel: _Kernel, cells: _Cells) -> str:
    """Return '' if the kernel lives; else mend the copy, in which papermill calls the lost cell completed."""
    code = kernel.process.poll()
    if code is None:
        return ""
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    hint = " (out of memory?)" if code == -signal.SIGKILL else ""
    cause = f"the kernel {how}{hint}{kernel.last_words()}"
    copy = _nbformat().read(partial, as_version=4)
    copy.metadata.papermill.exception = True
    for index, cell in enumerate(copy.cells):
        if index == cells.index:
            cell.metadata.papermill.update(status="failed", exception=True)
            cell.outputs.append(_nbformat().v4.new_output("error", ename="DeadKernel", evalue=cause, traceback=[cause]))
        elif index > cells.index:
            cell.metadata.papermill.update(status="pending")
    _nbformat().write(copy, partial)
    return cause


def _nbformat() -> Any:
    return import_module("nbformat")


def _clean(partial: Path, notebook: str, output: str) -> None:
    """Take this machine's paths out of the executed copy."""
    copy = _nbformat().read(partial, as_version=4)
    copy.metadata.papermill.update(input_path=notebook, output_path=output)
    _nbformat().write(copy, partial)


# --- its kernel -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kernel:
    manager: Any
    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self) -> str:
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return f"; its last line: {lines[-1]}" if lines else ""


@contextmanager
def _kernel(keep_open: Sequence[int]) -> Iterator[_Kernel]:
    """A kernel of this interpreter on sockets of its own, gone with all its children afterwards.

    No installed kernelspec is asked: the native one of ipykernel names ``sys.executable``.  Sockets are files in a
    private folder, so that two runs cannot race for ports and nobody else can connect.
    """
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.utils import run_sync

    folder = Path(tempfile.mkdtemp(prefix="nua-"))
    log = folder / "log"
    manager: Any = AsyncKernelManager(
        kernel_name="python3",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True),
        transport="ipc",
        ip=str(folder / "s"),
        connection_file=str(folder / "connection.json"),
    )
    client = process = None
    try:
        with log.open("wb") as stream:
            run_sync(manager.start_kernel)(
                extra_arguments=["--HistoryManager.hist_file=:memory:"],
                env=os.environ | {"PYDEVD_DISABLE_FILE_VALIDATION": "1"},
                stdout=stream,
                stderr=stream,
                pass_fds=tuple(keep_open),
            )
        process = manager.provisioner.process
        client = manager.client()
        manager.client = lambda: client  # nbclient asks for one and, the manager being ours, would never close it
        yield _Kernel(manager, process, log)
        with suppress(Exception):
            run_sync(manager.shutdown_kernel)()
    finally:
        if client is not None:
            client.stop_channels()
        process = process or getattr(manager.provisioner, "process", None)  # interrupted while it started
        if process is not None:
            _end_session(process)
        shutil.rmtree(folder, ignore_errors=True)


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the kernel and its children: it leads a process group of its own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


# --- all notebooks in order -------------------------------------------------------------------------------------------


def run_all(
    order: Sequence[str],
    folder: Path,
    parameters: Mapping[str, Mapping[str, Any]],
    force: bool = False,
    *,
    progress: Progress,
    data: str = "",
    notebooks: Path | None = None,
    models: Models = PARAMETERS,
) -> list[Outcome]:
    """Run notebooks in order into ``folder/notebooks``; skip those that are finished and unchanged.

    parameters : notebook name -> values.  All of them are checked before the first kernel starts.
    data : hash of the files the run reads; where it changed, everything is run again.
    ``folder/run.json`` is written before and after every notebook.  Raises what ``run_notebook`` raises, StoreLocked
    when another process runs notebooks in the same folder; a KeyboardInterrupt is passed on.
    """
    source = notebook_folder() if notebooks is None else notebooks
    for name in parameters:
        model_of(name, models)
    for name in order:
        _checked(source / f"{name}.ipynb", parameters.get(name, {}), models, "")
    with _locked(folder) as lock:
        manifest = _Manifest(folder / MANIFEST)
        manifest.bury_the_dead()
        outcomes: list[Outcome] = []
        for name in order:
            after = outcomes[-1].run.ended if outcomes else data
            values, inputs = _checked(source / f"{name}.ipynb", parameters.get(name, {}), models, after)
            output = folder / "notebooks" / f"{name}.ipynb"
            last = manifest.runs.get(name)
            reason = "forced" if force else _why_again(last, inputs, output)
            if last is not None and not reason:
                outcomes.append(Outcome(name, "skipped", f"unchanged since {last.ended}", last))
                progress(f"{name}: {outcomes[-1]}")
                continue
            progress(f"{name}: runs ({reason})")
            begun = _begun(name, inputs)
            run = _recorded(manifest, begun, source / f"{name}.ipynb", output, values, progress, (lock,))
            outcomes.append(Outcome(name, "finished", reason, run))
        return outcomes


def _recorded(
    manifest: _Manifest,
    begun: NotebookRun,
    notebook: Path,
    output: Path,
    values: Mapping[str, Any],
    progress: Progress,
    keep_open: Sequence[int],
) -> NotebookRun:
    """Run one notebook with its record in the manifest from the first moment to the last."""
    cells = _Cells(begun.name, progress, lambda number: manifest.write(replace(begun, cell=number)))
    manifest.write(begun)
    start = time.monotonic()
    try:
        run = _execute(notebook, output, values, begun, cells, keep_open)
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt)
        manifest.write(
            replace(
                begun,
                status="interrupted" if stopped else "failed",
                ended=_now(),
                seconds=round(time.monotonic() - start, 3),
                cell=cells.number,
                cause="stopped by the user" if stopped else getattr(error, "cause", f"{type(error).__name__}: {error}"),
            )
        )
        raise
    manifest.write(run)
    return run


def _why_again(last: NotebookRun | None, now: Inputs, output: Path) -> str:
    """Return why a notebook runs (again), or '' if its last run still holds."""
    if last is None:
        return "never run"
    if last.status != "finished":
        return f"last run {'was ' if last.status == 'interrupted' else ''}{last.status} in cell {last.cell}"
    for changed, reason in (
        (last.inputs.after != now.after, "earlier step ran again"),
        (last.inputs.notebook != now.notebook, "notebook changed"),
        (last.inputs.parameters != now.parameters, "parameters changed"),
        (last.inputs.spec != now.spec, "spec changed"),
        (last.inputs.version != now.version, "package version changed"),
        (not output.is_file(), "executed copy is missing"),
    ):
        if changed:
            return reason
    return ""


@dataclass(frozen=True, slots=True)
class _Manifest:
    """``run.json``: the last run of every notebook, written beside and renamed."""

    path: Path
    runs: dict[str, NotebookRun] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.runs.update(read_manifest(self.path))

    def bury_the_dead(self) -> None:
        """Whoever holds the lock is the only runner: a record that says running is of one that was killed."""
        for run in list(self.runs.values()):
            if run.status == "running":
                self.write(replace(run, status="interrupted", ended=_now(), cause="the runner was killed"))

    def write(self, run: NotebookRun) -> None:
        self.runs[run.name] = run
        document = {"schema": SCHEMA, "notebooks": {name: asdict(run) for name, run in sorted(self.runs.items())}}
        beside = self.path.with_suffix(".json.new")
        with beside.open("w", encoding="utf-8") as stream:
            json.dump(document, stream, indent=2)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(self.path)


def read_manifest(path: Path) -> dict[str, NotebookRun]:
    """Return the last run of every notebook from ``run.json``; empty if there is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise InputError(
                f"{path} has schema {document['schema']}, this version reads {SCHEMA}; use a new run folder"
            )
        return {
            name: NotebookRun(**(record | {"inputs": Inputs(**record["inputs"])}))
            for name, record in document["notebooks"].items()
        }
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}); remove it to run all notebooks again") from error


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Hold the run folder.  Kernels keep the lock open too, so an orphan of a killed runner is waited for."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".run.lock").open("a") as stream:
        _wait_for_lock(stream, folder)
        yield stream.fileno()


def _wait_for_lock(stream: TextIO, folder: Path) -> None:
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise StoreLocked(f"another process runs notebooks in {folder}; wait for it, or stop it") from error
            time.sleep(0.1)


def _begun(name: str, inputs: Inputs) -> NotebookRun:
    return NotebookRun(name, "running", _now(), "", 0.0, 0, "", inputs, inputs.key)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# --- fit to run and to commit -----------------------------------------------------------------------------------------

MAX_CELL_LINES = 30
_ABSOLUTE = re.compile(r"""["'](?:/[\w.~-]+/|/(?:tmp|home|root)\b|~/|[A-Za-z]:[\\/])""")


def lint_notebook(path: Path, models: Models = PARAMETERS) -> list[str]:
    """Return what is wrong with a committed notebook: parameters cell, outputs, long cells, absolute paths."""
    faults = check_notebook(path, models)
    for cell in code_cells(path):
        lines = len(cell.source.splitlines())
        for wrong, fault in (
            (cell.has_output, "has outputs or a number; clear them before committing"),
            (lines > MAX_CELL_LINES, f"has {lines} lines, at most {MAX_CELL_LINES}: move logic into the package"),
            (_ABSOLUTE.search(cell.source), "names an absolute path; paths are relative to the working directory"),
        ):
            if wrong:
                faults.append(f"{path.name}, cell {cell.number}: {fault}")
    return faults
