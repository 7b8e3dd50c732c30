"""One table of a FITS file as a map: which columns are its values, and which pixels its rows are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.errors import did_you_mean
from nuanalysis.schema import Ints
from nuanalysis.sky.templates._fits_layout import row_faults
from nuanalysis.sky.templates._formats import Stored
from nuanalysis.sky.templates._healpix import FINEST_PIXELS, is_unseen, size_faults
from nuanalysis.sky.templates._listed import Listed, explicit, multi_order, reordered
from nuanalysis.sky.templates._said import Said, read_units, same_units

HEADER_CARDS = {
    "frame": ("COORDSYS", "FRAME"), "ordering": ("ORDERING",), "units": ("UNITS", "BUNIT"),
    "flavour": ("FLAVOUR", "FLAVOR"), "index": ("INDEX",),
}  # fmt: skip
PIXEL_COLUMNS = ("PIXEL", "PIX", "IPIX")
NUMBERS = re.compile(r"\d*[BIJKED]")  # TFORM of real numbers
KIND = "HEALPix FITS"
USES = ("hdu", "column")
NO_PIXELS = (
    "its header says INDXSCHM = {}: part of the sky, or pixels in an order of their own, but it has no column PIXEL; "
    "write it with healpy.write_map(..., partial=True)"
)
SPARSE = (
    "its rows are single values by pixel and channel (INDXSCHM = SPARSE); write a column for each energy, with "
    "sparse=False in gammapy"
)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Columns of a table.

    values : names of those that are the map, as chosen or all that are left; every : before anybody chose.
    pixels : name of the one that says which pixel a row is, '' where the row number does.
    """

    values: tuple[str, ...]
    every: tuple[str, ...]
    pixels: str
    faults: tuple[str, ...]


def layout_of(table: Any, said: Said) -> Layout:
    """Which columns of a table are what."""
    if faults := row_faults(table):
        return Layout((), (), "", tuple(faults))
    names = list(table.columns.names)
    pixels = next((name for name in names if name.upper() in ("UNIQ", *PIXEL_COLUMNS) and is_number(table, name)), "")
    every = [name for name in names if name != pixels]
    values, faults = _chosen(every, said.word("column"))
    if words := [name for name in values if not is_number(table, name)]:
        rest = ", ".join(name for name in every if is_number(table, name)) or "none"
        faults.append(f"its columns {', '.join(words)} are not real numbers; say column=NAME of the map ({rest})")
    return Layout(tuple(values), tuple(every), pixels, tuple(faults))


def _chosen(names: Sequence[str], said: str) -> tuple[list[str], list[str]]:
    known = {name.upper(): name for name in names}
    wanted = [word.strip() for word in said.split(",") if word.strip()]
    faults = [f"it has no column '{word}'.{did_you_mean(word, names)}" for word in wanted if word.upper() not in known]
    return [known[word.upper()] for word in wanted if word.upper() in known] if wanted else list(names), faults


def is_number(table: Any, name: str) -> bool:
    return NUMBERS.fullmatch(str(table.columns[name].format).strip()) is not None


def _out_of_order(table: Any, layout: Layout) -> list[str]:
    """The fault of a table whose rows another column counts in another order: as pixels, under a name of its own."""
    rest = [name for name in layout.every if name not in layout.values and is_number(table, name)]
    found = [] if layout.pixels else [name for name in rest if reordered(table.data[name])]
    if not found:
        return []
    return [
        f"its column '{found[0]}' counts the rows in another order, as pixels; name it PIXEL (from 0 on), or take it "
        "out if the rows are in the order of their pixels"
    ]


def _units_at_odds(table: Any, layout: Layout) -> list[str]:
    """The fault of a table whose columns and header state different units."""
    header = next((str(table.header[card]) for card in HEADER_CARDS["units"] if table.header.get(card)), "")
    words = [header, *(str(table.columns[name].unit or "") for name in layout.values)]
    known = {word.strip(): units for word in words if word.strip() and (units := read_units(word, [])) is not None}
    first = next(iter(known.values()), None)
    if first is None or first.relative or all(same_units(first, one) for one in known.values()):
        return []
    listed = " and ".join(f"'{word}'" for word in list(known)[:4])
    return [f"its header and columns state the units {listed}; write one unit, or say column= of those of one"]


def cards_of(table: Any, layout: Layout) -> dict[str, str]:
    """What the header states, by key; the unit of the columns where it is one."""
    header = table.header
    found = {
        key: str(header[card]).strip()
        for key, cards in HEADER_CARDS.items()
        for card in cards
        if str(header.get(card, "")).strip()
    }
    units = {unit for name in layout.values if (unit := str(table.columns[name].unit or "").strip())}
    if "units" not in found and len(units) == 1:
        found["units"] = units.pop()
    if layout.pixels.upper() == "UNIQ":
        found["ordering"] = "nested"
    return found


def from_table(table: Any, layout: Layout, said: Said) -> Stored:
    """The map in one table."""
    stated = cards_of(table, layout)
    listed, faults = _pixels(table, layout)
    if not layout.faults and not faults:
        none = [] if layout.values else ["it has no column with values"]
        faults = [*none, *_out_of_order(table, layout), *_units_at_odds(table, layout)]
    if faults or layout.faults:
        return Stored(KIND, stated=stated, faults=(*layout.faults, *faults), uses=USES)
    columns = [np.asarray(table.data[name]) for name in layout.values]
    columns, gaps = _without_nulls(table, layout, columns)
    several = layout.values if len(layout.values) > 1 and not said.word("column") else ()
    if listed is not None and all(column.size == np.size(table.data[layout.pixels]) for column in columns):
        columns = [column.reshape(-1) for column in columns]  # packed in long rows, or vectors of one
    stored = _of_rows(columns, listed, stated) if listed is not None else _of_pixels(table, columns, stated)
    gaps += _gaps(table, listed)
    kind = f"multi-order {KIND}" if layout.pixels.upper() == "UNIQ" else KIND
    return Stored(
        kind, stored.n_pixels, stored.n_energies, stored.values, stated, faults=stored.faults, uses=USES,
        columns=several, gaps=tuple(gaps) if stored.n_pixels else (), notes=_notes(listed, layout),
        mixed=listed is not None and listed.mixed,
    )  # fmt: skip


def _pixels(table: Any, layout: Layout) -> tuple[Listed | None, list[str]]:
    """Which pixels the rows are where they say so, and what is wrong with them."""
    if layout.pixels.upper() == "UNIQ":
        listed = multi_order(table.data[layout.pixels])
        return listed, list(listed.faults)
    nside = _nside(table)
    if not 0 < nside <= FINEST_PIXELS:
        return None, [f"its header has NSIDE = {table.header.get('NSIDE')!r}, expected a power of two such as 64"]
    if faults := size_faults(12 * nside**2):
        return None, faults
    if not layout.pixels:
        scheme = _scheme(table)
        return None, [] if scheme == "IMPLICIT" else [NO_PIXELS.format(scheme)]
    if _scheme(table) == "SPARSE" and "CHANNEL" in map(str.upper, table.columns.names):
        return None, [SPARSE]
    listed = explicit(table.data[layout.pixels], nside)
    return listed, list(listed.faults)


def _nside(table: Any) -> int:
    """The card NSIDE, as a whole number or one with .0; 0 where it is none."""
    said = table.header.get("NSIDE")
    known = (
        isinstance(said, int | float) and not isinstance(said, bool) and said == np.floor(said) and abs(said) < 2**40
    )
    return int(said) if known else 0


def _scheme(table: Any) -> str:
    return str(table.header.get("INDXSCHM", "IMPLICIT")).strip().upper()


def _gaps(table: Any, listed: Listed | None) -> list[str]:
    if listed is not None:
        whole = f"{listed.n_pixels:,} pixels"
        return [f"it covers part of the sky: {listed.gaps:,} of {whole} have no value"] if listed.gaps else []
    partial = str(table.header.get("OBJECT", "")).strip().upper() == "PARTIAL"
    return ["its header says that it covers part of the sky (OBJECT = PARTIAL)"] if partial else []


def _notes(listed: Listed | None, layout: Layout) -> tuple[str, ...]:
    if listed is None or layout.pixels.upper() != "UNIQ":
        return ()
    finer = ", finer pixels averaged" if np.any(listed.share < 1.0) else ""
    return (f"pixels of several sizes read at nside {listed.nside}{finer}",)


def _of_rows(columns: list[NDArray[Any]], listed: Listed, stated: dict[str, str]) -> Stored:
    cube = columns[0] if len(columns) == 1 and columns[0].ndim == 2 else None
    if cube is None and any(column.ndim > 1 for column in columns):
        return Stored(KIND, stated=stated, faults=("its columns hold several values a row; say column=NAME",))

    def rows(some: Ints) -> NDArray[Any]:
        return cube[some] if cube is not None else np.stack([column[some] for column in columns], axis=1)

    n_energies = len(columns) if cube is None else cube.shape[1]
    return Stored(KIND, listed.n_pixels, n_energies, partial(listed.values, rows), stated)


def _of_pixels(table: Any, columns: list[NDArray[Any]], stated: dict[str, str]) -> Stored:
    n_pixels = 12 * _nside(table) ** 2
    if all(column.size == n_pixels for column in columns):
        flat = [column.reshape(-1) for column in columns]
        return Stored(
            KIND, n_pixels, len(flat), lambda a, b: np.stack([column[a:b] for column in flat], axis=1), stated
        )
    if len(columns) == 1 and columns[0].ndim == 2 and len(columns[0]) == n_pixels:
        [cube] = columns
        return Stored(KIND, n_pixels, cube.shape[1], lambda a, b: cube[a:b], stated)
    shapes = ", ".join(str(column.shape) for column in columns[:4])
    fault = f"its columns have shape {shapes}, expected {n_pixels} pixels (NSIDE = {table.header['NSIDE']}) in each"
    return Stored(KIND, stated=stated, faults=(fault,))


def _without_nulls(table: Any, layout: Layout, columns: list[NDArray[Any]]) -> tuple[list[NDArray[Any]], list[str]]:
    """The columns with 0 where TNULL or BAD_DATA marks a value as missing: astropy hands it out as if it were one."""
    n_missing, clean, cards = 0, [], set()
    for name, values in zip(layout.values, columns, strict=True):
        marks = {"TNULL": _null(table.columns[name]), "BAD_DATA": _bad_data(table)}
        for card, mark in marks.items():
            if mark is None:
                continue
            missing = values == np.asarray(mark).astype(values.dtype if values.dtype.kind == "f" else np.float64)
            if missing.any():
                cards.add(card)
                n_missing += int(np.count_nonzero(missing))
                values = np.where(missing, 0, values)
        clean.append(values)
    return clean, [f"{n_missing} pixels are marked as missing ({', '.join(sorted(cards))})"] if n_missing else []


def _bad_data(table: Any) -> float | None:
    """The number that the header says is none; None where it is UNSEEN, which is told anyway, or none, or 0."""
    mark = table.header.get("BAD_DATA")
    return float(mark) if isinstance(mark, int | float) and mark and not is_unseen(np.array([mark]))[0] else None


def _null(column: Any) -> float | None:
    """The value that stands for none, after scale and zero; None where there is none."""
    if not isinstance(column.null, int):
        return None
    zero, scale = (
        x if isinstance(x, int | float) else default for x, default in ((column.bzero, 0), (column.bscale, 1))
    )
    return float(column.null * scale + zero)
