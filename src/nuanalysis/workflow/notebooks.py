"""The notebook runner: checked parameters, one kernel per notebook, a manifest of our own as the truth.

papermill executes.  Its metadata is not believed: it marks the cell of a killed kernel as completed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from nuanalysis import errors
from nuanalysis.engine.provenance import code_fingerprint
from nuanalysis.errors import EnvironmentFault, InputError, NuanalysisError, StoreLocked
from nuanalysis.records import Carried, Record, carried, in_short, shown
from nuanalysis.store import DOCUMENT, atomic_write, content, open_lock, own_tree, parsing, read_json, sweep, try_lock
from nuanalysis.workflow._kernel import Cells, Progress, clean, kernel, mark_dead, run_cells
from nuanalysis.workflow.parameters import check_notebook, code_cells, model_of, validate

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


class Outcome(Record):
    """What was done with a notebook: ``status`` is finished or skipped, ``reason`` says why."""

    name: str = shown("notebook")
    status: str = shown("status")
    reason: str = shown("why")
    seconds: float = shown("wall time", unit="s", form=".1f")
    run: Carried[NotebookRun] = carried()


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


def _checked(notebook: Path, parameters: Mapping[str, Any], after: str) -> tuple[BaseModel, Inputs]:
    """All parameters, and the hashes of everything the notebook depends on.

    Raises InputError (parameters, spec, parameters cell).
    """
    chosen = validate(notebook.stem, parameters)
    values = chosen.model_dump(mode="json")
    if faults := check_notebook(notebook):
        raise InputError("\n".join(faults) + " Nothing was run.")
    return chosen, Inputs(
        notebook=_sha256(notebook.read_bytes()),
        spec=_spec_hash(values.pop("spec")),  # by what it says: 'resume' reads the copy in the run folder
        parameters=_sha256(json.dumps(values, sort_keys=True).encode()),
        version=code_fingerprint(),
        after=after,
    )


def _spec_hash(spec: str) -> str:
    try:
        return _sha256(content(Path(spec), "the spec", most=DOCUMENT))
    except InputError as error:
        raise InputError(f"{error}. Nothing was run.") from error


def _execute(notebook: Path, output: Path, values: Mapping[str, Any], cells: Cells, keep_open: Sequence[int]) -> None:
    """Execute a notebook into ``output``, with this interpreter in this working directory.

    The executed copy is written beside and renamed when finished; of a failed run ``<name>.failed.ipynb`` is kept.
    Raises NotebookFailed, EnvironmentFault (no kernel).
    """
    partial, failed = (output.with_name(f"{output.stem}.{word}.ipynb") for word in ("partial", "failed"))
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        with kernel(keep_open) as running:
            cause = run_cells(notebook, partial, values, running, cells)
            cause = cause or mark_dead(partial, running, cells)
    except BaseException:
        with suppress(FileNotFoundError):
            partial.replace(failed)
        raise
    if cause:
        partial.replace(failed)
        raise _failure(notebook.stem, cells.number, cause, failed)
    clean(partial, notebook.name, output.name)
    partial.replace(output)
    failed.unlink(missing_ok=True)


def _failure(name: str, cell: int, cause: str, kept: Path) -> NotebookFailed:
    kind = getattr(errors, cause.partition(":")[0], None)
    ours = isinstance(kind, type) and issubclass(kind, NuanalysisError)
    return NotebookFailed(
        f"notebook {name} failed in cell {cell}: {cause.rstrip('.')}. The executed copy is kept as {kept}.",
        cell=cell,
        cause=cause,
        exit_code=kind.exit_code if ours and kind is not None else 1,
    )


def run_all(
    order: Sequence[str],
    folder: Path,
    parameters: Mapping[str, Mapping[str, Any]],
    force: bool = False,
    *,
    progress: Progress,
    data: str = "",
    notebooks: Path | None = None,
) -> list[Outcome]:
    """Run notebooks in order into ``folder/notebooks``; skip those that are finished and unchanged.

    parameters : notebook name -> values.  All of them are checked before the first kernel starts.
    data : hash of the files the run reads; where it changed, everything is run again.
    ``folder/run.json`` is written before and after every notebook.  Raises InputError (parameters, spec, parameters
    cell), NotebookFailed, EnvironmentFault (no kernel), StoreLocked when another process runs notebooks in the same
    folder; a KeyboardInterrupt is passed on.
    """
    source = notebook_folder() if notebooks is None else notebooks
    check_all(order, parameters, source)
    with _locked(folder) as lock:
        sweep(folder)
        manifest = _Manifest(folder / MANIFEST)
        manifest.bury_the_dead()
        outcomes, run = list[Outcome](), None
        for name in order:
            after = run.ended if run is not None else data
            notebook, output = source / f"{name}.ipynb", folder / "notebooks" / f"{name}.ipynb"
            chosen, inputs = _checked(notebook, parameters.get(name, {}), after)
            last = manifest.runs.get(name)
            reason = "forced" if force else _why_again(last, inputs, output)
            if last is not None and not reason:
                run, status, reason = last, "skipped", f"unchanged since {last.ended}"
                progress(f"{name}: {status}: {reason}")
            else:
                progress(f"{name}: runs ({reason})")
                run, status = _recorded(manifest, inputs, notebook, output, chosen, progress, lock), "finished"
            outcomes.append(Outcome(name=name, status=status, reason=reason, seconds=run.seconds, run=run))
        return outcomes


def check_all(order: Sequence[str], parameters: Mapping[str, Mapping[str, Any]], notebooks: Path) -> None:
    """Raise InputError for a notebook in the folder, a parameter or a spec with which no kernel should start."""
    for name in parameters:
        model_of(name)
    for name in order:
        _checked(notebooks / f"{name}.ipynb", parameters.get(name, {}), "")


def _recorded(
    manifest: _Manifest,
    inputs: Inputs,
    notebook: Path,
    output: Path,
    chosen: BaseModel,
    progress: Progress,
    lock: int,
) -> NotebookRun:
    """Run one notebook with its record in the manifest from the first moment to the last."""
    name, start = notebook.stem, time.monotonic()
    begun = NotebookRun(name, "running", _now(), "", 0.0, 0, "", inputs, inputs.key)
    cells = Cells(name, progress, lambda number: manifest.write(replace(begun, cell=number)))
    manifest.write(begun)

    def ended(status: str, cause: str) -> NotebookRun:
        seconds = round(time.monotonic() - start, 3)
        run = replace(begun, status=status, ended=_now(), seconds=seconds, cell=cells.number, cause=cause)
        manifest.write(run)
        return run

    try:
        _execute(notebook, output, chosen.model_dump(mode="json"), cells, (lock,))
    except KeyboardInterrupt:
        ended("interrupted", "stopped by the user")
        raise
    except BaseException as error:
        ended("failed", getattr(error, "cause", f"{type(error).__name__}: {error}"))
        raise
    run = ended("finished", "")
    progress(f"{name}: finished in {run.seconds:.1f} s")
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
        atomic_write(self.path, manifest_text(self.runs).encode())


def manifest_text(runs: Mapping[str, NotebookRun]) -> str:
    """run.json, in ASCII."""
    document = {"schema": SCHEMA, "notebooks": {name: asdict(run) for name, run in sorted(runs.items())}}
    return json.dumps(document, indent=2, allow_nan=False)


def read_manifest(path: Path) -> dict[str, NotebookRun]:
    """Return the last run of every notebook from ``run.json``; empty if there is none.

    Raises InputError for one that is damaged or of another schema.
    """
    if not path.exists():
        return {}
    remedy = f"{path.name} is damaged; remove it to run all notebooks again"
    document = read_json(path, "the manifest", remedy, error=InputError)
    if document.get("schema") != SCHEMA:
        found = in_short(document.get("schema"))
        raise InputError(f"{path} has schema {found}, this version reads {SCHEMA}; use a new run folder")
    with parsing(path, "the manifest", remedy):
        return TypeAdapter(dict[str, NotebookRun]).validate_python(document.get("notebooks"), strict=None)


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Hold the run folder.  Kernels keep the lock open too, so an orphan of a killed runner is waited for."""
    own_tree(folder, "the run folder")
    handle, until = open_lock(folder / ".run.lock"), time.monotonic() + LOCK_SECONDS
    try:
        while True:
            try:
                try_lock(handle, folder)
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise StoreLocked(f"another process runs notebooks in {folder}; wait for it, or stop it") from error
                time.sleep(0.1)
        yield handle
    finally:
        os.close(handle)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# --- fit to run and to commit -----------------------------------------------------------------------------------------

MAX_CELL_LINES, MAX_WIDTH = 30, 110  # wider lines are cut off on a laptop's screen
_ABSOLUTE = re.compile(r"""["'](?:/[\w.~-]+/|/(?:tmp|home|root)\b|~/|[A-Za-z]:[\\/])""")


def lint_notebook(path: Path) -> list[str]:
    """Return what is wrong with a committed notebook: parameters cell, outputs, long or wide cells, absolute paths."""
    faults = check_notebook(path)
    for cell in code_cells(path):
        lines, width = len(cell.source.splitlines()), max(map(len, cell.source.splitlines()), default=0)
        for wrong, fault in (
            (cell.has_output, "has outputs or a number; clear them before committing"),
            (lines > MAX_CELL_LINES, f"has {lines} lines, at most {MAX_CELL_LINES}: move logic into the package"),
            (width > MAX_WIDTH, f"has a line of {width} letters, at most {MAX_WIDTH}: break it"),
            (_ABSOLUTE.search(cell.source), "names an absolute path; paths are relative to the working directory"),
        ):
            if wrong:
                faults.append(f"{path.name}, cell {cell.number}: {fault}")
    return faults
