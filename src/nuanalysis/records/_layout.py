"""What is shown of a noun or a record: numbers in words, rows of label and value, grids, as text or as HTML."""

import html as _html
import math
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nuanalysis.errors import printable

# Only what a record says of itself is used here (words, cell, stamp, headline): records import this file.
WIDTH = 80  # columns of a terminal that everything fits into
SHOWN_ROWS = 17  # of a grid
_NAME_WIDTH = 26
_LABEL_WIDTH = 34


def with_error(value: float, error: float) -> str:
    """'748.0 +- 3.1' or '(2.18 +- 0.05)e-11': two digits of the error, the value to the same place."""
    if not (math.isfinite(value) and math.isfinite(error)) or error <= 0.0:
        return f"{value:.4g} +- {error:.2g}"
    size = max(abs(value), error)
    exponent = 0 if 1e-3 <= size < 1e5 else math.floor(math.log10(size))
    scale = 10.0**exponent
    digits = min(max(1 - math.floor(math.log10(error / scale)), 0), 9)
    body = f"{value / scale:.{digits}f} +- {error / scale:.{digits}f}"
    return f"({body})e{exponent:+03d}" if exponent else body


def number(value: float, form: str = ".4g") -> str:
    """A number in this form, without a minus before zero."""
    words = format(value, form)
    return words[1:] if words.startswith("-") and not words.strip("-0.") else words


class Card(ABC):
    """A noun of the house that shows itself: what it is called, and rows of what it is."""

    __slots__ = ()
    name: str
    label: str

    @abstractmethod
    def rows(self) -> Sequence[tuple[str, str]]:
        """Names and words; rows without words are left out."""

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.label}"]
        for name, words in self.rows():
            parts = textwrap.wrap(words, 66, break_long_words=False)
            lines += [f"  {'' if k else name:<10} {part}" for k, part in enumerate(parts)]
        return printable("\n".join(lines))

    def _repr_html_(self) -> str:
        escape = _html.escape
        lines = [f"<tr><th>{escape(name)}</th><td>{escape(words)}</td></tr>" for name, words in self.rows() if words]
        title = escape(f"{self.name}: {self.label}")
        return printable(f"<table><caption><b>{title}</b></caption>{''.join(lines)}</table>")


Row = tuple[str, str]  # label and value, in words


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
    """A value for a column, in one line: no unit, nothing longer than needed."""
    return printable(_short(value, field)).replace("\n", "\\n").replace("\t", "\\t")


def _short(value: Any, field: FieldInfo) -> str:
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
            out += [(before + one[0], one[1]) if isinstance(one, tuple) else one for one in layout(value)]
        else:
            out.append((label, _words(value, field)))
    return out


def opening(record: BaseModel) -> list[str]:
    """The sentences before the values: whose events, and the answer in words, where the record has them."""
    provenance: Any = getattr(record, "provenance", None)
    first = [provenance.words()] if hasattr(provenance, "stamp") else []
    return [*first, *getattr(record, "headline", tuple)()]


def _wrapped(words: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(words, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False) or [first]


def _row_lines(rows: list[Row]) -> list[str]:
    width = min(max((len(label) for label, _ in rows), default=0), _LABEL_WIDTH)
    lines: list[str] = []
    for label, words in rows:
        *before, last = textwrap.wrap(label, width, break_on_hyphens=False) or [""]
        lines += [f"  {part}" for part in before]
        lines += _wrapped(words, f"  {last:<{width}}  ", " " * (width + 4))
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
        if isinstance(part, tuple):
            rows.append(part)
            continue
        lines += [*_row_lines(rows), *(_wrapped(part, "", "  ") if isinstance(part, str) else _grid_lines(part))]
        rows = []
    return printable("\n".join([*lines, *_row_lines(rows)]))


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
        if isinstance(part, tuple):
            out.append(f"<table>{_html_cells(part, 'td')}</table>")
        elif isinstance(part, str):
            out.append(f"<p>{_html.escape(part)}</p>")
        else:
            more = f"<p>... and {part.left_out:,} more</p>" if part.left_out else ""
            body = "".join(_html_cells(cells, "td") for cells in part.cells)
            caption = f"<caption>{_html.escape(part.title)}</caption>"
            out.append(f"<table>{caption}{_html_cells(part.heads, 'th')}{body}</table>{more}")
    return printable("\n".join(out).replace("</table>\n<table>", "").replace(" +- ", " ± "))
