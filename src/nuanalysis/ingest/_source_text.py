"""Tables of text as people keep them: any delimiter, a preamble before the names, comments, lines of units.

What is not understood is refused with its line and with what to do; no line is dropped without a note.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import units as u
from nuanalysis.errors import InputError, refuse
from nuanalysis.schema import Floats
from nuanalysis.store import is_sexagesimal, numbers_in

if TYPE_CHECKING:
    from astropy.table import Table

TAB, SEMICOLON = "\t", ";"
DELIMITERS = (SEMICOLON, TAB, ",", "|")
PSRCAT_MISSING = "*"
MOST_COLUMNS, LONGEST_LINE, SPARE_LINES = 5_000, 1 << 20, 10_000  # the last of comments and preambles
_LOOKED_AT = 2000  # lines that tell the delimiter
_WIDE = 1 << 24  # characters of a column that numpy keeps at the length of its longest
_DASHES = re.compile(r"-+")
_IN_BRACKETS = re.compile(r"\s*[(\[]([^()\[\]]+)[)\]]$")
_OLD = re.compile(r"\bFK4\b|\bB1950(\.0*)?(?![\d+-])|\b(equinox|epoch)\W{0,3}(of\W)?1950", re.IGNORECASE)
_NEW = re.compile(r"2000|ICRS|FK5", re.IGNORECASE)
_VIZIER = re.compile(r"#Column\t(\S+)\t.*\[ucd=([^\]\s]+)\]")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the file and its number, from 1."""

    number: int
    text: str

    def fields(self, delimiter: str) -> list[str]:
        row = [word.strip() for word in next(csv.reader([self.text], delimiter=delimiter), [])]
        while row and not row[-1]:
            row.pop()
        return row


@dataclass(frozen=True, slots=True)
class _Lines:
    """The line of names, the lines before it and those after it."""

    names: _Line
    before: list[_Line]
    after: list[_Line]


def read_delimited(text: str, path: Path, *, tabs: bool) -> Table:
    """The table in a text; ``tabs`` where the ending of the file says that they are between its columns.

    The names stand in the first line that has as many fields as the lines after it.  meta: notes, ucds by column.
    Raises InputError for rows of another length, names that are missing or come twice, lines without end.
    """
    lines = [_Line(k, line) for k, line in enumerate(io.StringIO(text, newline=None), start=1) if line.strip()]
    if not lines:
        raise InputError(f"the catalogue {path} is empty; expected a line of column names and one line a source")
    refuse_lines((line.text for line in lines), path)
    delimiter = _delimiter(lines, tabs=tabs)
    found = _divided(lines, delimiter)
    names = [word.lstrip("#").strip() for word in found.names.fields(delimiter)]
    psrcat = delimiter == SEMICOLON and found.names.text.startswith("#")
    if psrcat:
        names[0] = names[0] or "number"
    rows, numbers = _rows(found.after, delimiter)
    units, skipped = _units(rows, names)
    rows, numbers = rows[skipped:], numbers[skipped:]
    refuse(_faults(names, rows, numbers, delimiter), f"the catalogue {path} cannot be read")
    table = _table(names, rows, units, psrcat=psrcat)
    said = [line.text.strip() for line in found.before if not line.text.startswith("#")]
    first = f"{len(said)} lines before the names of the columns are left out, the first: {said[0][:80]}" if said else ""
    described = [match for line in found.before if (match := _VIZIER.match(line.text))]
    table.meta = {"notes": [first] if said else [], "ucds": {match[1]: match[2] for match in described}}
    table.meta["frame"] = _frame_of(line.text for line in found.before if not _VIZIER.match(line.text))
    return table


def _frame_of(comments: Iterable[str]) -> str:
    """'fk4' where lines above a table say that it is of this system or of B1950, and none of J2000."""
    text = " ".join(comments)
    return "fk4" if _OLD.search(text) and not _NEW.search(text) else ""


def refuse_lines(lines: Iterable[str], path: Path) -> None:
    """Raise InputError for a line that is longer than any of a table is."""
    for number, line in enumerate(lines, start=1):
        if len(line) > LONGEST_LINE:
            raise InputError(
                f"the catalogue {path} has {len(line):,} characters in one line ({number}), expected at most "
                f"{LONGEST_LINE:,}; write one line a source"
            )


# ---- where the table begins ---------------------------------------------------------------------------------------


def _delimiter(lines: list[_Line], *, tabs: bool) -> str:
    """What divides most lines into equally many fields, as many as the line of names has."""
    some = [line for line in lines if not line.text.startswith("#")][:_LOOKED_AT] or lines[:_LOOKED_AT]

    def agreement(delimiter: str) -> float:
        width = _width(some, delimiter)
        return sum(len(line.fields(delimiter)) == width for line in some) / len(some) if width > 1 else 0.0

    order = (TAB, *DELIMITERS) if tabs else DELIMITERS
    if lines[0].text.startswith("#;"):
        return SEMICOLON
    best = max(order, key=agreement)
    return best if agreement(best) else TAB if tabs else ","


def _width(lines: list[_Line], delimiter: str) -> int:
    """Fields of most lines; of two equally frequent numbers the larger."""
    times = Counter(len(line.fields(delimiter)) for line in lines[:_LOOKED_AT])
    return max(times, key=lambda width: (times[width], width)) if times else 0


def _divided(lines: list[_Line], delimiter: str) -> _Lines:
    """Which line has the names.  A line that starts with '#' has them where the next is one of numbers."""
    first = next((k for k, line in enumerate(lines) if not line.text.startswith("#")), len(lines))
    body = lines[first:]
    width = _width(body, delimiter) or 1
    start = next((k for k, line in enumerate(body) if len(line.fields(delimiter)) >= width), 0)
    if first and (lines[0].text.startswith("#;") or _is_data(body[start : start + 1], delimiter)):
        wide = [k for k in range(first) if lines[k].text.startswith("#;") or _names_of(lines[k], delimiter) >= width]
        if wide:
            after = [*lines[wide[-1] + 1 : first], *body]
            return _Lines(lines[wide[-1]], lines[: wide[-1]], _uncommented(after, width, delimiter))
    if not body:
        return _Lines(lines[-1], lines[:-1], [])
    names = body[start]
    return _Lines(names, [*lines[:first], *body[:start]], _uncommented(body[start + 1 :], width, delimiter))


def _names_of(line: _Line, delimiter: str) -> int:
    """How many names a line behind '#' has; none where one of them is a sentence."""
    words = line.fields(delimiter)
    return 0 if any(len(word.lstrip("# ").split()) > 4 for word in words) else len(words)


def _is_data(lines: list[_Line], delimiter: str) -> bool:
    """Whether a line has a number or a direction, as a line of names has not."""
    words = [word for line in lines for word in line.fields(delimiter)]
    return any(word and (numbers_in([word]) is not None or is_sexagesimal(word)) for word in words)


def _uncommented(lines: list[_Line], width: int, delimiter: str) -> list[_Line]:
    """The lines that are no comment: '# ..', '## ..', and '#..' with another number of fields than the table."""

    def comment(text: str, fields: int) -> bool:
        return text.startswith(("# ", "##")) or text.strip() == "#" or fields != width

    return [
        line for line in lines if not (line.text.startswith("#") and comment(line.text, len(line.fields(delimiter))))
    ]


# ---- rows ---------------------------------------------------------------------------------------------------------


def _rows(lines: list[_Line], delimiter: str) -> tuple[list[list[str]], list[int]]:
    """Rows of words and the number of the line each begins in; a quoted word may hold line feeds."""
    reader = csv.reader((line.text for line in lines), delimiter=delimiter)
    rows, numbers, read = [], [], 0
    for row in reader:
        rows.append([word.strip() for word in row])
        numbers.append(lines[read].number)
        read = reader.line_num
    return rows, numbers


def _units(rows: list[list[str]], names: list[str]) -> tuple[list[str], int]:
    """Units of the columns and how many rows told them: in a line in brackets, over a line of dashes, in the names."""

    def is_dashes(k: int) -> bool:
        return len(rows) > k and any(rows[k]) and all(_DASHES.fullmatch(word) for word in rows[k] if word)

    in_names = [m.group(1) if (m := _IN_BRACKETS.search(name)) else "" for name in names]
    if is_dashes(0):
        return list(map(_unit, in_names)), 1
    first = rows[0] if rows else []
    if is_dashes(1):
        return [_unit(word) for word in [*first, *[""] * len(names)][: len(names)]], 2
    if any(word.startswith("(") for word in first) and not any(w and not w.startswith("(") for w in first):
        return [_unit(word.strip("()")) for word in [*first, *[""] * len(names)][: len(names)]], 1
    return list(map(_unit, in_names)), 0


def _unit(word: str) -> str:
    """A word where it is a unit; '' where not, as '(hh:mm:ss)': such directions are words."""
    word = word.strip()
    if not word[:1].isalpha() or len(word) > 40:
        return ""
    if word in ("h", "hour", "hourangle"):
        return word
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            u.Unit(word)
    except (ValueError, TypeError):
        return ""
    return word


def _faults(names: list[str], rows: list[list[str]], lines: list[int], delimiter: str) -> list[str]:
    """What stands against reading it, each with what to do."""
    if len(names) > MOST_COLUMNS:
        return [f"it has {len(names):,} columns, expected at most {MOST_COLUMNS:,}; leave some out"]
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    numbers = [name for name in names if name and numbers_in([name]) is not None]
    ragged = [k for k, row in enumerate(rows) if len(row) < len(names) or any(row[len(names) :])]
    faults = [_ragged(rows, lines, ragged, names, delimiter)] if ragged and not numbers else []
    if numbers:
        faults.append(
            f"its first line has the number {numbers[0]} where the columns are named; write their names there"
        )
    faults += [f"the column '{name}' is named twice; name one of them otherwise" for name in twice if name]
    if "" in names:
        faults.append(f"column {names.index('') + 1} has no name; write one")
    return faults


def _ragged(rows: list[list[str]], lines: list[int], ragged: list[int], names: list[str], delimiter: str) -> str:
    """What is said of rows of another length: the first, and how each can be mended."""
    k, sign = ragged[0], {TAB: "a tab"}.get(delimiter, f"'{delimiter}'")
    row = rows[k]
    start = delimiter.join(row)[:60]
    more = f" (and {len(ragged) - 1} rows more)" if len(ragged) > 1 else ""
    what = f"row {k + 1} has not {len(names)} values, as the line of names has, but {len(row)}{more}: line {lines[k]}, "
    if len(row) < len(names):
        return f"{what}'{start}'; end it with {sign} for each value that is missing"
    return f"{what}'{start}'; put a text that holds {sign} between double quotes, or name every column"


def _table(names: list[str], rows: list[list[str]], units: list[str], *, psrcat: bool) -> Table:
    from astropy.table import Table

    table = Table()
    for k, name in enumerate(names):
        words = ["" if psrcat and row[k] == PSRCAT_MISSING else row[k] for row in rows]
        table[name] = _column(words)
        if units[k]:
            table[name].unit = units[k]
    return table


def _column(words: list[str]) -> Floats | NDArray[np.str_] | NDArray[np.object_]:
    """Numbers where every word is one or is missing, else the words."""
    numbers = numbers_in(words)
    if numbers is not None:
        return numbers
    wide = max(map(len, words), default=0) * len(words) > _WIDE
    return np.array(words, dtype=object) if wide else np.array(words, dtype=np.str_)
