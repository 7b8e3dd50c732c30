"""``nuanalysis release``: the report of a run, its data release, and the check of a release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nuanalysis.cli._face import JsonFlag, answer, say

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
RunFolder = Annotated[Path, typer.Argument(help="A run folder, runs/<name>.")]


def _draw(run_folder: Path) -> int:
    """Draw the figures of the run; those that notebooks left stay."""
    from nuanalysis import publish

    return len(publish.draw(publish.load_results(run_folder), run_folder))


@app.command()
def build(
    run_folder: RunFolder,
    version: Annotated[
        str,
        typer.Option("--version", help="DRn.m: n new data or selection, m correction; the recipe's where not given."),
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Build the data release of a run, with manifest and checksums, and verify it."""
    from nuanalysis import publish
    from nuanalysis.errors import DataError
    from nuanalysis.workflow.spec import fingerprint_of

    say(f"drawing figures of {run_folder}")
    _draw(run_folder)
    say("building the release")
    folder = publish.build(run_folder, version, fingerprint=fingerprint_of)
    checked = publish.verify(folder)
    if not checked.ok:
        raise DataError(checked.message())
    document = {
        "release": str(folder),
        "version": folder.name.rsplit("-", 1)[-1],
        "files": checked.files,
        "digest": checked.digest,
    }
    answer(document, as_json=as_json, text=f"{folder}\n{checked.message()}")


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="The folder of a release.")],
    as_json: JsonFlag = False,
) -> None:
    """Compare every file of a release with its manifest; exit code 3 where they differ."""
    from dataclasses import asdict

    from nuanalysis import publish
    from nuanalysis.errors import DataError

    checked = publish.verify(folder)
    if not checked.ok:
        raise DataError(checked.message())
    answer({**asdict(checked), "ok": checked.ok}, as_json=as_json, text=checked.message())


@app.command()
def report(run_folder: RunFolder, as_json: JsonFlag = False) -> None:
    """Draw the figures of a run and write report/index.html, one file with no outside address."""
    from nuanalysis import publish

    drawn = _draw(run_folder)
    say(f"{drawn} figures drawn")
    path = publish.report(run_folder)
    answer({"report": str(path), "figures": drawn}, as_json=as_json, text=str(path))


@app.command()
def schema() -> None:
    """Print the JSON Schema of results.json, made from the records of all answers."""
    from nuanalysis import publish

    print(publish.schema_text(), end="")
