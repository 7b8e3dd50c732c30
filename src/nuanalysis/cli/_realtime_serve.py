"""``nuanalysis realtime serve`` and ``token``: the service of sky scans, and who may use it."""

from __future__ import annotations

import inspect
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nuanalysis.cli._end import Clean
from nuanalysis.cli._face import JsonFlag, answer, say
from nuanalysis.cli._questions import given, option
from nuanalysis.realtime.service import RUNNER, Limits, drop_token, make_token, read_tokens
from nuanalysis.records import made

HOME = Path("runs/service")
_FOLDER = typer.Option(HOME, "--folder", help="Folder of the service, on a disk of this machine.")
Folder = Annotated[Path, typer.Option("--folder", help="Folder of the service.")]


def serve(**values: Any) -> None:
    """Serve sky scans over HTTP until interrupted; after a kill at any moment, the next start continues."""
    from nuanalysis.realtime.service import serve as run

    limits = made(Limits, given(Limits, values), "these limits cannot be used")
    _log(quiet=values["quiet"])
    run(
        values["folder"],
        host=values["host"],
        port=values["port"],
        limits=limits,
        runner=values["runner"],
        started=lambda address: say(f"serving at {address}"),
    )


def _log(*, quiet: bool) -> None:
    """What the service does on stderr, a line each; of libraries only what is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Clean("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("nuanalysis.realtime").setLevel(logging.WARNING if quiet else logging.INFO)


def _parameters() -> list[inspect.Parameter]:
    own: dict[str, tuple[Any, Any]] = {
        "folder": (Path, _FOLDER),
        "host": (str, typer.Option("127.0.0.1", "--host", help="Address; any but this machine's needs a token.")),
        "port": (int, typer.Option(8750, "--port", min=0, max=65_535, help="Port; 0 takes a free one.")),
        "runner": (str, typer.Option(RUNNER, "--runner", help="The runner of scans, as MODULE:CLASS.")),
        "quiet": (bool, typer.Option(False, "--quiet", help="Log only what is wrong.")),
    }
    kind = inspect.Parameter.KEYWORD_ONLY
    return [
        *(inspect.Parameter(name, kind, default=default, annotation=type_) for name, (type_, default) in own.items()),
        *(option(name, field) for name, field in Limits.model_fields.items()),
    ]


serve.__signature__ = inspect.Signature(_parameters())  # type: ignore[attr-defined]
serve.__annotations__ = {one.name: one.annotation for one in _parameters()}


def token(
    label: Annotated[str, typer.Argument(help="Who it is for; the same label replaces an earlier token.")] = "",
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="read, submit, realtime or admin; repeatable.")
    ] = None,
    days: Annotated[float, typer.Option("--days", help="Time until it expires, d.")] = 90.0,
    drop: Annotated[bool, typer.Option("--drop", help="Make the token of this label void.")] = False,
    folder: Folder = HOME,
    as_json: JsonFlag = False,
) -> None:
    """Make a token of the service and print it, once; without a label, list what there is."""
    from nuanalysis.realtime.service.tokens import FILE

    if label and not drop:
        secret = make_token(folder, label, scope or ["read", "submit"], days)
        say(f"token for '{label}', {days:g} days; it is not shown again, the service keeps only its sha256")
        answer({"label": label, "token": secret}, as_json=as_json, text=secret)
        return
    if label:
        drop_token(folder, label)
    there = read_tokens(folder / FILE)
    rows = [{"label": one.label, "scopes": list(one.scopes), "expires": one.expires} for one in there]
    text = "\n".join(f"{one.label}  {' '.join(one.scopes)}" for one in there) or "no tokens"
    answer({"tokens": rows}, as_json=as_json, text=text)
