"""What every verb shares: one answer on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; progress stays on stderr.")]


def say(message: str) -> None:
    """Print a line of progress on stderr."""
    print(message, file=sys.stderr, flush=True)


def answer(document: dict[str, Any], *, as_json: bool, text: str) -> None:
    """Print the one answer of a verb on stdout: the document as JSON, or the text for people."""
    print(json.dumps(document, indent=2, sort_keys=False, allow_nan=False) if as_json else text, flush=True)
