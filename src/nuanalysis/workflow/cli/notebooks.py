"""``nuanalysis notebooks``: which there are, what they take, whether they are fit to run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nuanalysis.workflow.cli._face import JsonFlag, answer, say

app = typer.Typer(help="Notebooks: list, parameters, strict check without running.", no_args_is_help=True)


@app.command("ls")
def ls(as_json: JsonFlag = False) -> None:
    """List the notebooks in the order in which they run."""
    from nuanalysis.workflow.notebooks import notebook_folder
    from nuanalysis.workflow.parameters import PARAMETERS

    folder = notebook_folder()
    rows = [
        {"name": name, "about": (model.__doc__ or "").strip(), "present": (folder / f"{name}.ipynb").is_file()}
        for name, model in PARAMETERS.items()
    ]
    lines = [f"{row['name']:<20}  {row['about']}{'' if row['present'] else '  (file is missing)'}" for row in rows]
    answer({"folder": str(folder), "notebooks": rows}, as_json=as_json, text="\n".join(lines))


@app.command("params")
def params(name: Annotated[str, typer.Argument(help="Notebook, as 'ls' names it.")], as_json: JsonFlag = False) -> None:
    """Show the parameters of a notebook: type, unit, range, default."""
    from nuanalysis.workflow.parameters import describe

    rows = describe(name)
    answer({"notebook": name, "parameters": rows}, as_json=as_json, text="\n".join(map(_line, rows)))


def _line(row: dict[str, Any]) -> str:
    kind = ", ".join(part for part in (row["type"], row["unit"], row["range"]) if part)
    return f"{row['name']} = {row['default']!r}  ({kind})  {row['description']}"


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
