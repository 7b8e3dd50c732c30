"""``nuanalysis``: the command line.  Heavy imports live inside the commands."""

from __future__ import annotations

import json
import os
import sys

import click
import typer

from nuanalysis.errors import NuanalysisError
from nuanalysis.workflow.cli import data, inference, notebooks, release, run
from nuanalysis.workflow.executors import ONE_THREAD

app = typer.Typer(
    name="nuanalysis",
    help="Galactic-plane neutrino analyses on public data: samples, fits, significances, limits, releases.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")
app.add_typer(notebooks.app, name="notebooks")
app.add_typer(release.app, name="release")
run.register(app)
inference.register(app)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(version("nuanalysis"))
        raise typer.Exit


@app.callback()
def _root(
    show_version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Options that stand before the verb."""


def _refuse(error: NuanalysisError | OSError, code: int, arguments: list[str]) -> int:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    if "--json" in arguments:
        print(json.dumps({"error": {"kind": type(error).__name__, "message": str(error), "exit_code": code}}))
    return code


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 good, the error's own exit code, 2 usage, 130 interrupted."""
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(arguments, standalone_mode=False) or 0
    except NuanalysisError as error:
        code = _refuse(error, error.exit_code, arguments)
    except click.exceptions.Exit as leave:
        code = leave.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("interrupted; finished work is kept, call again to go on", file=sys.stderr)
        code = 130
    except click.ClickException as error:
        error.show(file=sys.stderr)
        code = error.exit_code
    except OSError as error:
        code = _refuse(error, 4, arguments)
    sys.exit(code)
