"""Maps of diffuse emission, one file per template.

To add one: write the file, add a line to ``PUBLISHED`` (made from a fetched file) or ``BUILT_IN`` (made from formulas).
A user's own map needs no line: ``read_template``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nuanalysis.sky._records import Template
from nuanalysis.sky.templates import pi0_like, pi0_published
from nuanalysis.sky.templates._file import MapFile, parse, read, read_template

PUBLISHED: dict[str, Callable[[Path], Template]] = {
    "pi0": pi0_published.read_template,
}
BUILT_IN: dict[str, Callable[[int], Template]] = {
    "pi0-like": pi0_like.make_template,
}
STAND_IN: dict[str, str] = {
    "pi0": "pi0-like",
}

__all__ = ["BUILT_IN", "PUBLISHED", "STAND_IN", "MapFile", "parse", "read", "read_template"]
