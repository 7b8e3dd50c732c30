"""A record on a screen: rows of label and value, grids of many records, as text of 80 columns or as HTML."""

from __future__ import annotations

import html as _html
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nuanalysis.records._words import WIDTH, number

# Only what a record says of itself is used here (words, cell, stamp, headline): records import this file.
SHOWN_ROWS = 17  # of a grid
_NAME_WIDTH = 26
_LABEL_WIDTH = 34


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled value."""

    label: str
    words: str


@dataclass(frozen=True, slots=True)
class Grid:
    """Many records, one a line; left_out : how many more there are."""

    title: str
    heads: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    left_out: int


def said_of(field: FieldInfo, key: str) -> str:
    """What the field says of itself: 'unit', 'form' or 'short'."""
    extra = field.json_schema_extra
    return str(extra.get(key, "")) if isinstance(extra, dict) else ""


def _words(value: Any, field: FieldInfo) -> str:
    """A value for one line."""
    form, unit = said_of(field, "form") or ".4g", said_of(field, "unit")
    if hasattr(value, "words"):
        return str(value.words(form))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,} {unit}".rstrip()
    if isinstance(value, float):
        return f"{number(value, form)} {unit}".rstrip()
    if isinstance(value, dict):
        return "; ".join(f"{key} {word}" for key, word in value.items())
    if isinstance(value, tuple):
        words = [_words(one, field) for one in value]
        return ("; " if isinstance(value[0], BaseModel) or any("," in one for one in words) else ", ").join(words)
    return str(value)


def _cell(value: Any, field: FieldInfo) -> str:
    """A value for a column: no unit, nothing longer than needed."""
    if value is None or value == ():
        return "-"
    if hasattr(value, "cell"):
        return str(value.cell(said_of(field, "form")))
    unit = said_of(field, "unit")
    return _words(value, field).replace(f" {unit}", "") if unit else _words(value, field)


def _flat(record: BaseModel) -> Iterator[tuple[str, str]]:
    """Heads and cells of a record that is one line of a grid; records inside it without a cell are spread out."""
    for name, field in type(record).model_fields.items():
        value = getattr(record, name)
        if not field.repr or (isinstance(value, tuple) and value and isinstance(value[0], BaseModel)):
            continue
        if isinstance(value, BaseModel) and not hasattr(value, "cell"):
            yield from _flat(value)
        else:
            yield said_of(field, "short") or name, _cell(value, field)


def _grid(title: str, records: Sequence[BaseModel]) -> Grid:
    lines = [dict(_flat(record)) for record in records[:SHOWN_ROWS]]
    every = dict.fromkeys(head for line in lines for head in line)
    heads = tuple(head for head in every if any(line.get(head, "-") != "-" for line in lines))
    cells = tuple(tuple(line.get(head, "-") for head in heads) for line in lines)
    return Grid(title, heads, cells, len(records) - len(lines))


def layout(record: BaseModel) -> list[Row | Grid | str]:
    """What is shown of a record, in the order of its fields; fields that are hidden, None or empty are left out.

    Several records are lines of one grid; where they hold grids themselves, each is shown after the other, with its
    sentences before it.
    """
    out: list[Row | Grid | str] = []
    for name, field in type(record).model_fields.items():
        value, label = getattr(record, name), name if field.description is None else field.description
        if not field.repr or value is None or value in ((), "", {}) or hasattr(value, "stamp"):
            continue
        if isinstance(value, tuple) and isinstance(value[0], BaseModel) and not hasattr(value[0], "words"):
            parts = [part for one in value for part in (*opening(one), *layout(one))]
            out += parts if any(isinstance(part, Grid) for part in parts) else [_grid(label, value)]
        elif isinstance(value, BaseModel) and not hasattr(value, "words"):
            before = f"{label}: " if label else ""
            out += [Row(before + one.label, one.words) if isinstance(one, Row) else one for one in layout(value)]
        else:
            out.append(Row(label, _words(value, field)))
    return out


def opening(record: BaseModel) -> list[str]:
    """The sentences before the values: whose events, and the answer in words, where the record has them."""
    provenance: Any = getattr(record, "provenance", None)
    first = [provenance.words()] if hasattr(provenance, "stamp") else []
    return [*first, *getattr(record, "headline", tuple)()]


def _wrapped(words: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(words, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False) or [first]


def _row_lines(rows: list[Row]) -> list[str]:
    width = min(max((len(row.label) for row in rows), default=0), _LABEL_WIDTH)
    lines: list[str] = []
    for row in rows:
        label = textwrap.wrap(row.label, width, break_on_hyphens=False) or [""]
        lines += [f"  {part}" for part in label[:-1]]
        lines += _wrapped(row.words, f"  {label[-1]:<{width}}  ", " " * (width + 4))
    return lines


def _grid_lines(grid: Grid) -> list[str]:
    widths = [
        min(max(len(head), *(len(line[k]) for line in grid.cells)), _NAME_WIDTH) for k, head in enumerate(grid.heads)
    ]
    kept = len(widths)
    while kept > 1 and sum(widths[:kept]) + 2 * kept > WIDTH:
        kept -= 1

    def line(cells: Sequence[str]) -> str:
        short = [c if len(c) <= w else c[: w - 1] + "~" for c, w in zip(cells, widths, strict=True)]
        first = f"  {short[0]:<{widths[0]}}"
        return first + "".join(f"  {c:>{w}}" for c, w in list(zip(short, widths, strict=True))[1:kept])

    lines = [*_wrapped(grid.title, "", "  "), line(grid.heads), *(line(cells) for cells in grid.cells)]
    if grid.left_out:
        lines.append(f"  ... and {grid.left_out:,} more")
    return lines


def text(record: BaseModel) -> str:
    """The record for a terminal of 80 columns."""
    lines = [line for sentence in opening(record) for line in _wrapped(sentence, "", "  ")]
    rows: list[Row] = []
    for part in layout(record):
        if isinstance(part, Row):
            rows.append(part)
            continue
        lines += [*_row_lines(rows), *(_wrapped(part, "", "  ") if isinstance(part, str) else _grid_lines(part))]
        rows = []
    return "\n".join([*lines, *_row_lines(rows)])


def _html_cells(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{_html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def html(record: BaseModel) -> str:
    """The record for Jupyter: its sentences, then tables; synthetic events are stamped."""
    provenance: Any = getattr(record, "provenance", None)
    out = []
    if hasattr(provenance, "stamp"):
        colour = "#1b5e20" if provenance.origin == "real" else "#b71c1c"
        out.append(f'<span style="border:2px solid {colour};color:{colour};padding:1px 6px">{provenance.stamp}</span> ')
    out += [f"<p>{_html.escape(sentence)}</p>" for sentence in opening(record)]
    for part in layout(record):
        if isinstance(part, Row):
            out.append(f"<table>{_html_cells((part.label, part.words), 'td')}</table>")
            continue
        if isinstance(part, str):
            out.append(f"<p>{_html.escape(part)}</p>")
            continue
        more = f"<p>... and {part.left_out:,} more</p>" if part.left_out else ""
        body = "".join(_html_cells(cells, "td") for cells in part.cells)
        out.append(f"<p>{_html.escape(part.title)}</p><table>{_html_cells(part.heads, 'th')}{body}</table>{more}")
    return "\n".join(out).replace("</table>\n<table>", "").replace(" +- ", " ± ")
