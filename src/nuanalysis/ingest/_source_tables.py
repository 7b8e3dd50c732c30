"""Tables of sources in any common format: FITS, VOTable, ECSV, CSV or TSV, gzipped or not.

Nothing is converted or dropped: every column comes with the unit it states.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.ingest._table import is_number

if TYPE_CHECKING:
    from astropy.table import Table

FITS_ENDINGS = (".fits", ".fit")
VOTABLE_ENDINGS = (".vot", ".votable", ".xml")
DELIMITED_ENDINGS = (".csv", ".tsv")
ECSV_ENDING = ".ecsv"
ENDINGS = (*FITS_ENDINGS, *VOTABLE_ENDINGS, *DELIMITED_ENDINGS, ECSV_ENDING)
GZIP_MAGIC = b"\x1f\x8b"
PSRCAT_MISSING = "*"
Other = Callable[[str], "Table | None"]


@dataclass(frozen=True, slots=True)
class Layout:
    """How one catalogue lies in its file, and what its columns mean.

    files   : in the release, the first that is there is read.
    table   : name of the table in a FITS file; '' where it is the only one.
    rows    : the published number.
    columns : the column map, in the words a user would write it in.
    marks   : columns by which a copy of it, or a later data release, is told.
    join    : adds the columns that are made from several; (table, other table of the file by name) -> notes.
    """

    name: str
    title: str
    files: tuple[str, ...]
    table: str
    rows: int
    columns: Mapping[str, str]
    marks: frozenset[str]
    reference: str
    join: Callable[[Table, Other], list[str]]


def _recognised(columns: Iterable[str], layouts: Iterable[Layout]) -> Layout | None:
    """The catalogue whose columns these are; None where they are a user's own."""
    there = set(columns)
    return next((layout for layout in layouts if layout.marks <= there), None)


def read_table(path: Path, layouts: Sequence[Layout], table: str = "") -> Table:
    """A table with all its columns from FITS, VOTable, ECSV, CSV or TSV, gzipped or not.

    layouts : of the catalogues that are known by their columns.
    table : name or number (from 0) of one of several tables in the file.
    CSV: commas, or semicolons where the line of names has them, as psrcat writes it (a line of units in brackets, '*'
    where there is no value).  A column of numbers has no other words in it.
    meta : file, sha256 (of the file as it lies), table, format, title, reference, layout (name of the catalogue whose
    columns these are, or ''), columns (its column map), notes (what was done, for a person).
    Raises InputError for a file that is missing, damaged, of no known format or with several tables to choose from.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"the catalogue {path} cannot be read: {error.strerror}; check the name") from error
    sha256 = hashlib.sha256(content).hexdigest()
    plain, ending = _unpacked(path, content)
    notes: list[str] = []
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            tables = _tables(plain, ending)
            held = _chosen(path, tables, table, layouts)
            found = held.load()
            layout = _recognised(found.colnames, layouts)
            found.meta = {"title": path.name, "reference": f"user's file {path.name}"}
            if layout is not None:
                found.meta |= {"title": layout.title, "reference": layout.reference}
                # Some writers of FITS change capitals.
                by_name = {one.name.lower(): one.load for one in reversed(tables)}
                notes += layout.join(found, lambda other: by_name.get(other.lower(), lambda: None)())
    except InputError:
        raise
    except Exception as error:  # the readers of astropy raise many kinds
        raise InputError(
            f"the catalogue {path} cannot be read as {ending[1:].upper()}: {type(error).__name__}: {error}."
        ) from error
    if said:
        notes.append(f"the file departs from its format in {len(said)} places, the first: {said[0].message}")
    found.meta |= {
        "file": path.name,
        "sha256": sha256,
        "table": held.name,
        "format": ending[1:].upper(),
        "layout": layout.name if layout else "",
        "columns": dict(layout.columns) if layout else {},
        "notes": notes,
    }
    return found


def _chosen(path: Path, tables: list[_Held], asked: str, layouts: Sequence[Layout]) -> _Held:
    names = [one.name for one in tables]
    if not tables:
        raise InputError(f"the catalogue {path} holds no table; expected one with a row for each source")
    if asked:
        found = [one for one in tables if one.name.lower() == asked.lower()]
        found = found or (tables[int(asked) : int(asked) + 1] if asked.isdigit() else [])
        if not found:
            raise InputError(f"{path} holds no table '{asked}'.{did_you_mean(asked, names)}")
        return found[0]
    known = [one for one in tables if _recognised(one.columns, layouts)]
    if len(tables) > 1 and not known:
        raise InputError(f"{path} holds {len(names)} tables: {', '.join(names)}; say which, such as table={names[0]}")
    return known[0] if known else tables[0]


@dataclass(frozen=True, slots=True)
class _Held:
    """A table of a file: its name, its columns, and how to read it."""

    name: str
    columns: tuple[str, ...]
    load: Callable[[], Table]


def _unpacked(path: Path, content: bytes) -> tuple[bytes, str]:
    """The uncompressed bytes and the ending that tells the format."""
    name = path.name.lower().removesuffix(".gz")
    ending = next((e for e in sorted(ENDINGS, key=len, reverse=True) if name.endswith(e)), "")
    if not ending:
        raise InputError(f"the catalogue {path} ends in none of {', '.join(ENDINGS)} (or with .gz); save it as one")
    if not content.startswith(GZIP_MAGIC):
        return content, ending
    try:
        return gzip.decompress(content), ending
    except (EOFError, zlib.error, OSError) as error:
        raise InputError(f"the catalogue {path} is truncated or damaged: {error}; copy it again.") from error


def _tables(content: bytes, ending: str) -> list[_Held]:
    if ending in FITS_ENDINGS:
        return _fits_tables(content)
    if ending in VOTABLE_ENDINGS:
        return _votables(content)
    text = content.decode("utf-8-sig")
    if ending == ECSV_ENDING:
        from astropy.table import Table

        table = Table.read(text.splitlines(), format="ascii.ecsv")
    else:
        table = _delimited(text, "\t" if ending == ".tsv" else "")
    return [_Held("", tuple(table.colnames), lambda: table)]


def _fits_tables(content: bytes) -> list[_Held]:
    from astropy.io import fits
    from astropy.table import Table

    units = fits.open(io.BytesIO(content), memmap=False)
    found = [(k, unit) for k, unit in enumerate(units) if isinstance(unit, fits.BinTableHDU | fits.TableHDU)]
    return [
        _Held(unit.name or str(k), tuple(unit.columns.names), lambda unit=unit: Table.read(unit))  # type: ignore[misc]
        for k, unit in found
    ]


def _votables(content: bytes) -> list[_Held]:
    from astropy.io import votable

    tables = list(votable.parse(io.BytesIO(content)).iter_tables())
    return [
        _Held(
            str(one.name or one.ID or k),
            tuple(field.name for field in one.fields),
            lambda one=one: one.to_table(use_names_over_ids=True),  # type: ignore[misc]
        )
        for k, one in enumerate(tables)
    ]


def _delimited(text: str, delimiter: str) -> Table:
    """A table of text whose first line names the columns."""
    from astropy.table import Table

    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("# ", "##"))]
    if not lines:
        raise InputError("the catalogue is empty; expected a line of column names and one line a source")
    delimiter = delimiter or (";" if ";" in lines[0] else ",")
    rows = [[word.strip() for word in row] for row in csv.reader(lines, delimiter=delimiter)]
    names, rows = [name.lstrip("#").strip() for name in rows[0]], rows[1:]
    psrcat = delimiter == ";" and lines[0].startswith("#")
    if psrcat:
        names[0] = names[0] or "number"
    while names and not names[-1]:  # psrcat ends its lines with the delimiter
        names.pop()
    units = _units_line(rows, len(names)) if psrcat else []
    rows = rows[1:] if units else rows
    ragged = [k for k, row in enumerate(rows, start=1) if len(row) < len(names) or any(row[len(names) :])]
    twice = sorted({name for name in names if names.count(name) > 1})
    numbers = [name for name in names if not np.isnan(number_or_nan(name))]
    if ragged or twice or numbers or "" in names:
        faults = [f"row {ragged[0]} has not {len(names)} values, as the line of names has"] if ragged else []
        faults += [f"its first line has the number {numbers[0]} where the columns are named"] if numbers else []
        faults += [f"the column '{name}' is named twice" for name in twice]
        faults += ["a column has no name"] if "" in names else []
        raise InputError(f"the catalogue cannot be read: {'; '.join(faults)}; correct the file")
    table = Table()
    for k, name in enumerate(names):
        words = [row[k] for row in rows]
        table[name] = _guessed([("" if psrcat and word == PSRCAT_MISSING else word) for word in words])
        if units and units[k]:
            table[name].unit = units[k]
    return table


def _units_line(rows: list[list[str]], columns: int) -> list[str]:
    """The units in psrcat's line of them, '' where it has none that is known; [] where the first row is no such line.

    Directions in hours or degrees, minutes and seconds keep no unit: they are words.
    """
    first = rows[0][:columns] if rows else []
    if not any(word.startswith("(") for word in first) or any(w and not w.startswith("(") for w in first):
        return []
    words = [word.strip("()") for word in first]
    return [word if word in ("deg", "s", "kpc", "mJy", "cm^-3 pc", "ms") else "" for word in words]


def _guessed(words: list[str]) -> Any:
    """Numbers where every word is one or is missing, else the words."""
    try:
        return np.array([float(word) if word else np.nan for word in words], dtype=np.float64)
    except ValueError:
        return np.array(words, dtype=np.str_)


def number_or_nan(word: str) -> float:
    return float(word) if is_number(word) else float("nan")
