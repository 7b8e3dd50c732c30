"""One kernel for one notebook: it is started, told where it is, and buried when it dies.

papermill executes.  Its metadata is not believed: it marks the cell of a killed kernel as completed.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from nuanalysis.errors import EnvironmentFault
from nuanalysis.store import keep_kernels, parsing

Progress = Callable[[str], None]


class Cells:
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


def run_cells(notebook: Path, partial: Path, values: Mapping[str, Any], kernel: Kernel, cells: Cells) -> str:
    """Run papermill; return the last line of the error in a cell, or '' (a dead kernel counts as none here)."""
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    with parsing(notebook, "the notebook", "it is no notebook of format 4; bring the file anew"):
        source = nbformat().read(notebook, as_version=4)
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


def mark_dead(partial: Path, kernel: Kernel, cells: Cells) -> str:
    """Return '' if the kernel lives; else mend the copy, in which papermill calls the lost cell completed."""
    code = kernel.process.poll()
    if code is None:
        return ""
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    hint = " (out of memory?)" if code == -signal.SIGKILL else ""
    cause = f"the kernel {how}{hint}{kernel.last_words()}"
    copy = nbformat().read(partial, as_version=4)
    copy.metadata.papermill.exception = True
    for index, cell in enumerate(copy.cells):
        if index == cells.index:
            cell.metadata.papermill.update(status="failed", exception=True)
            cell.outputs.append(nbformat().v4.new_output("error", ename="DeadKernel", evalue=cause, traceback=[cause]))
        elif index > cells.index:
            cell.metadata.papermill.update(status="pending")
    nbformat().write(copy, partial)
    return cause


def nbformat() -> Any:
    return import_module("nbformat")


def clean(partial: Path, notebook: str, output: str) -> None:
    """Take this machine's paths out of the executed copy."""
    copy = nbformat().read(partial, as_version=4)
    copy.metadata.papermill.update(input_path=notebook, output_path=output)
    nbformat().write(copy, partial)


# --- its kernel -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kernel:
    manager: Any
    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self) -> str:
        lines = [line for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        return f"; its last line: {lines[-1]}" if lines else ""


@contextmanager
def kernel(keep_open: Sequence[int]) -> Iterator[Kernel]:
    """A kernel of this interpreter on sockets of its own, gone with all its children afterwards.

    No installed kernelspec is asked: the native one of ipykernel names ``sys.executable``.  Nothing is imported from
    the working directory, which may be a release of somebody else's.  Sockets are files in a private folder, so that
    two runs cannot race for ports and nobody else can connect.
    """
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.utils import run_sync

    keep_kernels()  # here, so that all notebooks compile into one folder
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
                extra_arguments=["--HistoryManager.hist_file=:memory:", "--InteractiveShellApp.ignore_cwd=True"],
                env=os.environ | {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "PYTHONSAFEPATH": "1"},
                stdout=stream,
                stderr=stream,
                pass_fds=tuple(keep_open),
            )
        process = manager.provisioner.process
        client = manager.client()
        manager.client = lambda: client  # nbclient asks for one and, the manager being ours, would never close it
        yield Kernel(manager, process, log)
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
