"""What every verb shares: one answer on stdout, everything else on stderr."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nuanalysis.errors import printable

if TYPE_CHECKING:
    from nuanalysis.records import Record


def finite(value: float) -> float:
    """A number of the command line as it is; every range lets NaN through where older libraries read it."""
    if not math.isfinite(value):
        raise typer.BadParameter(f"{value}; expected a finite number")
    return value


JsonFlag = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; progress stays on stderr.")]


def say(message: str) -> None:
    """Print a line of progress on stderr."""
    print(printable(message), file=sys.stderr, flush=True)


def answer(document: dict[str, Any], *, as_json: bool, text: str) -> None:
    """Print the one answer of a verb on stdout: the document as JSON, or the text for people."""
    said = json.dumps(document, indent=2, sort_keys=False, allow_nan=False) if as_json else printable(text)
    print(said, flush=True)


def told(record: Record, *closing: str, as_json: bool, since: float | None = None, **more: Any) -> None:
    """Print a record as the one answer; closing : further lines of the text, more : further keys of the document.

    since : when the work began, of ``time.monotonic``; the text and the document then end with its seconds.
    """
    if since is not None:
        more["seconds"] = time.monotonic() - since
        closing = (*closing, f"{more['seconds']:.2f} s")
    answer({**record.to_dict(), **more}, as_json=as_json, text="\n".join([str(record), *closing]))


def listed(rows: Sequence[Record], *closing: str, as_json: bool, under: str, **more: Any) -> None:
    """Print many records as the one answer, under a key of the document."""
    document = {**more, under: [row.to_dict() for row in rows]}
    answer(document, as_json=as_json, text="\n".join([*map(str, rows), *closing]))
