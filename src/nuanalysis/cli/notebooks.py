"""``nuanalysis notebooks``: which there are, what they take, whether they are fit to run; and one of them run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nuanalysis.cli._face import JsonFlag, answer, listed, say

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("ls")
def ls(as_json: JsonFlag = False) -> None:
    """List the notebooks in the order in which they run."""
    from nuanalysis.workflow.notebooks import notebook_folder
    from nuanalysis.workflow.parameters import notebooks_in

    folder = notebook_folder()
    listed(notebooks_in(folder), as_json=as_json, under="notebooks", folder=str(folder))


@app.command("params")
def params(name: Annotated[str, typer.Argument(help="Notebook, as 'ls' names it.")], as_json: JsonFlag = False) -> None:
    """Show the parameters of a notebook: type, unit, range, default."""
    from nuanalysis.workflow.parameters import describe

    listed(describe(name), as_json=as_json, under="parameters", notebook=name)


@app.command("run")
def run(
    name: Annotated[str, typer.Argument(help="Notebook, as 'ls' names it.")],
    folder: Annotated[Path, typer.Option("--folder", help="Where the executed copy goes, under notebooks/.")] = Path(
        "runs/default"
    ),
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE, as often as needed; see 'params'.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run it even if it is finished and unchanged.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Run one notebook with papermill; a finished and unchanged one is skipped, with the reason."""
    from nuanalysis.store import refuse_folder
    from nuanalysis.workflow.notebooks import run_all
    from nuanalysis.workflow.parameters import read_values

    refuse_folder(folder, "--folder")
    values = {"run_folder": str(folder), **read_values(name, parameter or [])}
    folder.mkdir(parents=True, exist_ok=True)
    (done,) = run_all([name], folder, {name: values}, force, progress=say)
    copy = folder / "notebooks" / f"{name}.ipynb"
    document = {"notebook": name, "status": done.status, "reason": done.reason, "seconds": done.seconds}
    answer({**document, "executed": str(copy)}, as_json=as_json, text=f"{done.status}: {done.reason}\n{copy}")


@app.command("check")
def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Notebooks; default: all of this installation.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check notebooks without running them: parameters cell, no outputs, short cells, no absolute paths."""
    from nuanalysis.workflow.notebooks import lint_notebook, notebook_folder
    from nuanalysis.workflow.parameters import PARAMETERS

    chosen = paths or [notebook_folder() / f"{name}.ipynb" for name in PARAMETERS]
    faults = [fault for path in chosen for fault in lint_notebook(path)]
    for fault in faults:
        say(fault)
    text = f"{len(chosen)} notebooks checked, {len(faults)} faults"
    answer({"checked": [path.stem for path in chosen], "faults": faults}, as_json=as_json, text=text)
    if faults:
        raise typer.Exit(2)
