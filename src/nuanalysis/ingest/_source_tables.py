"""Tables of sources in any common format: FITS, VOTable, ECSV, CSV or TSV, gzipped or not.

Nothing is converted or dropped: every column comes with the unit it states.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nuanalysis.errors import InputError, did_you_mean, printable
from nuanalysis.ingest._source_text import SPARE_LINES, read_delimited, refuse_lines
from nuanalysis.store import TABLE, content, most_rows, parsing, refuse_rows, sha256_file

if TYPE_CHECKING:
    from astropy.table import Table

FITS_ENDINGS = (".fits", ".fit")
VOTABLE_ENDINGS = (".vot", ".votable", ".xml")
TAB_ENDINGS = (".tsv", ".tab")
DELIMITED_ENDINGS = (".csv", *TAB_ENDINGS)
ECSV_ENDING = ".ecsv"
ENDINGS = (*FITS_ENDINGS, *VOTABLE_ENDINGS, *DELIMITED_ENDINGS, ECSV_ENDING)
ECSV_MARK = "# %ECSV"
_OUTSIDE = re.compile(rb"<!ENTITY|<(?:\w+:)?STREAM\b[^<]*\bhref\s*=", re.IGNORECASE)
_ROW = re.compile(rb"<(?:\w+:)?TR\b", re.IGNORECASE)
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
    edition : title and reference of a table with its columns, told by what it lists; None where that is something else.
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
    edition: Callable[[Table], tuple[str, str] | None] | None = None

    def credit(self, table: Table) -> tuple[str, str] | None:
        """Title and reference that a table with these columns deserves; None where it is not this catalogue."""
        if self.edition is not None:
            return self.edition(table)
        return (self.title, self.reference) if len(table) == self.rows else None


def _recognised(columns: Iterable[str], layouts: Iterable[Layout]) -> Layout | None:
    """The catalogue whose columns these are; None where they are a user's own."""
    there = set(columns)
    return next((layout for layout in layouts if layout.marks <= there), None)


def read_table(path: Path, layouts: Sequence[Layout], table: str = "") -> Table:
    """A table with all its columns from FITS, VOTable, ECSV, CSV or TSV, gzipped or not.

    layouts : of the catalogues that are known by their columns.
    table : name or number (from 0) of one of several tables in the file.
    Text: see ``_source_text``; psrcat's too (a line of units in brackets, '*' where there is no value).
    meta : file, sha256 (of the file as it lies), table, format, title, reference, layout (name of the catalogue that
    this is, or ''), columns (the column map of those whose columns it has), frame (as the file states it, or ''), notes
    (what was done, for a person).
    Raises InputError for a file that is missing, damaged, too large, of no known format, no regular file or with
    several tables to choose from.
    """
    what = "the catalogue"
    ending = _ending(path)
    plain, sha256 = content(path, what, most=TABLE), sha256_file(path)
    notes: list[str] = []
    with (
        parsing(path, what, f"it is no sound {ending[1:].upper()}; save it again, or as CSV in UTF-8"),
        warnings.catch_warnings(record=True) as said,
    ):
        warnings.simplefilter("always")
        tables = _tables(path, plain, ending)
        held = _chosen(path, tables, table, layouts)
        refuse_rows(f"{what} {path}", held.rows)
        found = held.load()
        refuse_rows(f"{what} {path}", len(found))
        layout, kept = _recognised(found.colnames, layouts), found.meta
        if layout is not None:  # some writers of FITS change capitals
            by_name = {one.name.lower(): one.load for one in reversed(tables)}
            notes += layout.join(found, lambda other: by_name.get(other.lower(), lambda: None)())
    if said:
        first = printable(str(said[0].message)).partition("\n")[0]
        notes.append(f"the file departs from its format in {len(said)} places, the first: {first[:200]}")
    credit = layout.credit(found) if layout else None
    if layout and not credit:
        notes.insert(0, f"it has the columns of {layout.title}, but is not that list: it is cited by its file")
    title, reference = credit or (path.name, f"user's file {path.name}")
    found.meta = {
        "file": path.name,
        "sha256": sha256,
        "table": held.name,
        "format": ending[1:].upper(),
        "title": title,
        "reference": reference,
        "layout": layout.name if layout and credit else "",
        "columns": dict(layout.columns) if layout else {},
        "frame": held.frame,
        "notes": [*kept.get("notes", ()), *notes],
    }
    return found


def _chosen(path: Path, tables: list[_Held], asked: str, layouts: Sequence[Layout]) -> _Held:
    names = [one.name for one in tables]
    if not tables:
        raise InputError(f"the catalogue {path} holds no table; expected one with a row for each source")
    if asked and names == [""]:
        raise InputError(f"{path} is one table without a name; leave table={asked} out")
    if asked:
        found = [one for one in tables if one.name.lower() == asked.lower()]
        found = found or (tables[int(asked) : int(asked) + 1] if asked.isdigit() and len(asked) < 6 else [])
        if not found:
            raise InputError(f"{path} holds no table '{asked}'.{did_you_mean(asked, names)}")
        return found[0]
    known = [one for one in tables if _recognised(one.columns, layouts)]
    if len(tables) > 1 and not known:
        raise InputError(f"{path} holds {len(names)} tables: {', '.join(names)}; say which, such as table={names[0]}")
    return known[0] if known else tables[0]


@dataclass(frozen=True, slots=True)
class _Held:
    """A table of a file: its name, its columns, its rows as far as its head says, how to read it, its stated frame."""

    name: str
    columns: tuple[str, ...]
    rows: int
    load: Callable[[], Table]
    frame: str = ""


def _ending(path: Path) -> str:
    """The ending that tells the format."""
    name = path.name.lower().removesuffix(".gz")
    ending = next((e for e in sorted(ENDINGS, key=len, reverse=True) if name.endswith(e)), "")
    if not ending:
        raise InputError(
            f"the catalogue {path} ends in none of {', '.join(ENDINGS)} (or with .gz); unpack it, or save it as one"
        )
    return ending


def _tables(path: Path, content: bytes, ending: str) -> list[_Held]:
    if ending in FITS_ENDINGS:
        return _fits_tables(path, content)
    if ending in VOTABLE_ENDINGS:
        return _votables(path, content)
    text = content.decode("utf-8-sig")
    lines = text.count("\n") + text.count("\r")
    if lines > most_rows() + SPARE_LINES:
        refuse_rows(f"the catalogue {path}", lines)
    is_ecsv = ending == ECSV_ENDING or text.startswith(ECSV_MARK)
    table = _ecsv(path, text) if is_ecsv else read_delimited(text, path, tabs=ending in TAB_ENDINGS)
    for name, ucd in table.meta.pop("ucds", {}).items():
        if name in table.colnames:
            table[name].meta["ucd"] = ucd
    frame = _frame_in(str(table.meta.pop("frame", "")), table.meta.get("equinox"))
    return [_Held("", tuple(table.colnames), len(table), lambda: table, frame)]


def _ecsv(path: Path, text: str) -> Table:
    from astropy.table import Table

    lines = text.splitlines()
    refuse_lines(lines, path)
    if (
        sum(map(len, lines)) and len(lines) * max(map(len, lines)) > 64 * TABLE
    ):  # astropy pads every word to the longest
        raise InputError(f"the catalogue {path} has one very long line among {len(lines):,}; cut it")
    return Table.read(lines, format="ascii.ecsv")


def _fits_tables(path: Path, content: bytes) -> list[_Held]:
    from astropy.io import fits

    units = fits.open(io.BytesIO(content), memmap=False)
    found = [(k, unit) for k, unit in enumerate(units) if isinstance(unit, fits.BinTableHDU | fits.TableHDU)]
    for _, unit in found:
        size = unit.header["NAXIS1"] * unit.header["NAXIS2"]
        if not 0 <= size <= len(content):
            raise InputError(
                f"the catalogue {path} says that a table has {size:,} bytes and holds {len(content):,}; copy it again"
            )
    return [
        _Held(
            unit.name or str(k),
            tuple(unit.columns.names),
            unit.header["NAXIS2"],
            lambda unit=unit: _fits_table(unit),  # type: ignore[misc]
            _frame_in(str(unit.header.get("RADESYS", unit.header.get("RADECSYS", ""))), unit.header.get("EQUINOX")),
        )
        for k, unit in found
    ]


def _fits_table(unit: Any) -> Table:
    """A table of FITS.

    TNULL is the value as it lies in the file, before TZERO and TSCAL (FITS 4.0, 7.3.2); astropy takes it after, which
    fails for unsigned numbers, or makes others of missing ones.  It writes such files, too: there it is right.
    """
    from astropy.table import MaskedColumn, Table

    scaled = {one.name: one.null for one in unit.columns if one.null is not None and (one.bzero or one.bscale)}
    gone = {}
    for name, null in scaled.items():
        at = np.asarray(unit.data.view(np.ndarray)[name] == null)
        gone[name] = at if at.any() else np.asarray(unit.data[name] == null)
        unit.columns[name].null = None
    table = Table.read(unit)
    for name, mask in gone.items():
        table[name] = MaskedColumn(np.asarray(table[name]), mask=mask, unit=table[name].unit)
    for k, name in enumerate(unit.columns.names, start=1):
        if (ucd := unit.header.get(f"TUCD{k}")) and hasattr(table[name], "meta"):
            table[name].meta["ucd"] = str(ucd)
    return table


def _frame_in(system: str, equinox: object = None) -> str:
    """'fk4' where a file states this system, or an equinox of 1950; '' otherwise."""
    return "fk4" if "FK4" in system.upper() or str(equinox).strip(" B").startswith("1950") else ""


def _votables(path: Path, content: bytes) -> list[_Held]:
    """The tables of a VOTable.  Nothing outside the file is read: no entity, no stream of another place."""
    from astropy.io import votable

    if b"\0" in content or _OUTSIDE.search(content):
        raise InputError(
            f"the catalogue {path} cannot be read: it names data outside it, or entities, or is no UTF-8; save it with "
            "its data inside (TABLEDATA or BINARY), in UTF-8"
        )
    refuse_rows(f"the catalogue {path}", len(_ROW.findall(content)))
    document = votable.parse(io.BytesIO(content))
    frames = {_frame_in(str(one.system), one.equinox) for one in _systems(document)}
    return [
        _Held(
            str(one.name or one.ID or k),
            tuple(field.name for field in one.fields),
            0,
            lambda one=one: one.to_table(use_names_over_ids=True),  # type: ignore[misc]
            frames.pop() if len(frames) == 1 else "",
        )
        for k, one in enumerate(document.iter_tables())
    ]


def _systems(document: Any) -> list[Any]:
    """Every COOSYS of a VOTable."""
    resources: list[Any] = [document]
    found: list[Any] = []
    while resources:
        one = resources.pop()
        found += getattr(one, "coordinate_systems", [])
        resources += getattr(one, "resources", [])
    return found
