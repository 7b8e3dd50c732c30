"""``nuanalysis``: the command line.  Heavy imports live inside the commands."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

import typer

from nuanalysis.cli import (
    bench,
    bias,
    catalogues,
    data,
    declinations,
    extended,
    inference,
    joint,
    kernels,
    leak,
    notebooks,
    release,
    run,
    scan,
    stack,
    templates,
)
from nuanalysis.engine.executors import ONE_THREAD
from nuanalysis.errors import NuanalysisError

app = typer.Typer(
    name="nuanalysis",
    help="Galactic-plane neutrino analyses on public data: samples, fits, significances, limits, releases.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(catalogues.app, name="catalogues")
app.add_typer(data.app, name="data")
app.add_typer(notebooks.app, name="notebooks")
app.add_typer(release.app, name="release")
app.add_typer(templates.app, name="templates")
run.register(app)
inference.register(app)
bias.register(app)
bench.register(app)
kernels.register(app)
joint.register(app)
scan.register(app)
declinations.register(app)
leak.register(app)
extended.register(app)
stack.register(app)


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


_INTERRUPTED = 130
# Newer typer carries a click of its own: its root error is found through a name that both have.
_UsageError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def _refuse(kind: str, message: str, code: int, arguments: list[str]) -> int:
    """Say why on stderr, and on stdout as the one document where JSON was asked for."""
    print(f"{kind}: {message}", file=sys.stderr)
    if "--json" in arguments:
        print(json.dumps({"error": {"kind": kind, "message": message, "exit_code": code}}))
    return code


def _call(arguments: list[str]) -> int:
    """Run the command line and return its exit code: 0 good, the error's own, 2 usage, 130 interrupted."""
    try:
        code = int(app(arguments, standalone_mode=False) or 0)
        if code == _INTERRUPTED:  # newer typer turns Ctrl-C into an exit code of its own
            raise KeyboardInterrupt
        return code
    except NuanalysisError as error:
        return _refuse(type(error).__name__, str(error), error.exit_code, arguments)
    except typer.Exit as leave:
        return int(leave.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return _refuse("Interrupted", "finished work is kept, call again to go on", _INTERRUPTED, arguments)
    except OSError as error:
        return _refuse(type(error).__name__, str(error), 4, arguments)
    except Exception as error:
        if isinstance(error, _UsageError):
            said = error.format_message()  # type: ignore[attr-defined]
            return _refuse("UsageError", f"{said.rstrip('.')}; 'nuanalysis --help' shows how.", 2, arguments)
        traceback.print_exc()  # a fault of ours: the details for us, the last word for the user
        return _refuse(
            "Fault", f"{type(error).__name__}: {error}. Please report it with the lines above.", 1, arguments
        )


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)
    sys.exit(_call(sys.argv[1:] if arguments is None else arguments))
