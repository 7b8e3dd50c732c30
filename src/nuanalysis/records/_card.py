"""A noun of the house as a card: what it is called, and rows of what it is."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from textwrap import wrap


def card_text(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """Title and rows (name, words) within 80 columns."""
    lines = [title]
    for name, words in rows:
        parts = wrap(words, 66, break_long_words=False)
        lines += [f"  {'' if k else name:<10} {part}" for k, part in enumerate(parts)]
    return "\n".join(lines)


def card_html(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """The same as a table."""
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(words)}</td></tr>" for name, words in rows)
    return f"<table><caption><b>{escape(title)}</b></caption>{cells}</table>"
