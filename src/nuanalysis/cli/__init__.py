"""``nuanalysis``: the command line.  A verb is built when it is asked for: heavy imports come with the work."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import typer

from nuanalysis.cli import _end
from nuanalysis.cli._questions import doc_of, reading_verb, verb
from nuanalysis.engine import ONE_THREAD
from nuanalysis.errors import NuanalysisError

#: Groups of verbs: file here, and what it is for.
GROUPS = {
    "catalogues": "Catalogues of sources: list, show, select with a rule, check, match.",
    "data": "Public data releases: list, fetch, verify, import.",
    "detector": "Open detector, a parametric simulation: simulate, train, reconstruct, select, benchmark, score.",
    "notebooks": "Notebooks: list, parameters, run one, strict check without running.",
    "realtime": "Alerts of single events: replay, check, scan, follow up, find counterparts, serve, watch.",
    "release": "Build, check and describe data releases.",
    "templates": "Templates of diffuse emission: list, show, build, check, compare.",
}
#: Verbs that are no questions: where each is, and what it is for.
VERBS = {
    "run": ("run.run", "Run a spec: notebooks in order into RUNS/NAME; what is finished is skipped."),
    "resume": ("run.resume", "Continue a run that was stopped, from the spec in its folder."),
    "status": ("run.status", "Say where a run stands."),
    "logs": ("run.logs", "What a run said while it worked, each line with its time."),
    "doctor": ("run.doctor", "Check interpreter, packages, memory, disk and data, each with its remedy."),
    "compile": ("run.compile_kernels", "Compile every kernel now, so that the first question need not."),
    "reproduce": ("reproduce.reproduce", "Make a published table or figure again; 'ls' lists them, 'all' makes all."),
    "official": ("run.official", "Repeat the published template fits on the official per-event file."),
}


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(version("nuanalysis"))
        raise typer.Exit


def _root(
    show_version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Options that stand before the verb."""


def _later() -> None:
    """Stands for a verb that is not asked for now; only its help line is shown."""


def build(arguments: list[str]) -> typer.Typer:
    """The command line with the verb that the arguments name; the others are listed with one line each."""
    from nuanalysis.answers import QUESTIONS, READINGS

    app = typer.Typer(
        name="nuanalysis",
        help="Galactic-plane neutrino analyses on public data: samples, fits, significances, limits, releases.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_root)
    wanted = next((word for word in arguments if not word.startswith("-")), "")
    for name in QUESTIONS:
        word = name.replace("_", "-")
        app.command(word, help=doc_of(name))(verb(name) if word == wanted else _later)
    for name in READINGS:
        app.command(name, help=doc_of(name))(reading_verb(name) if name == wanted else _later)
    for name, (place, said) in VERBS.items():
        module, _, function = place.partition(".")
        found = getattr(import_module(f"nuanalysis.cli.{module}"), function) if name == wanted else _later
        app.command(name, help=said)(found)
    for name, said in GROUPS.items():
        if name == wanted:
            app.add_typer(import_module(f"nuanalysis.cli.{name}").app, name=name, help=said)
        else:
            app.command(name, help=said)(_later)
    return app


# Newer typer carries a click of its own: its root error is found through a name that both have.
_UsageError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def _call(arguments: list[str]) -> int:
    """Run the command line and return its exit code: 0 good, the error's own, or one of ``_end``."""
    with _end.terminable() as came:
        try:
            code = int(build(arguments)(arguments, standalone_mode=False) or 0)
            if code == _end.INTERRUPTED:  # newer typer turns Ctrl-C into an exit code of its own
                raise KeyboardInterrupt
            return code
        except NuanalysisError as error:
            return _end.refused(type(error).__name__, str(error), error.exit_code, arguments)
        except typer.Exit as leave:
            return int(leave.exit_code)
        except (typer.Abort, KeyboardInterrupt):
            return _end.stopped(came, arguments)
        except (OSError, MemoryError) as error:
            return _end.machine_fault(error, arguments)
        except Exception as error:
            if not isinstance(error, _UsageError):
                return _end.own_fault(error, arguments)
            said = error.format_message()  # type: ignore[attr-defined]
            message = f"{said.rstrip('.')}; 'nuanalysis --help' shows how."
            return _end.refused("UsageError", message, _end.USAGE, arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)
    _end.clean_streams()
    sys.exit(_call(sys.argv[1:] if arguments is None else arguments))
