"""Columns of a table of a file: as numbers or words, fit to be shown, and which of them says what by its name."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nuanalysis.deferred import units as u
from nuanalysis.errors import InputError, printable
from nuanalysis.schema import Floats
from nuanalysis.sky.catalogues._table import Column
from nuanalysis.store import MINUS, is_missing

if TYPE_CHECKING:
    from astropy.table import Table

_EXACT = 2**53  # to here a float64 holds every whole number
_LONGEST, _MOST_CHARACTERS = 1000, 1 << 24  # of a word; of a column at the length of its longest
_USUAL = re.compile(r"([+-]?)(\d{1,3})[:hd ]([0-5]?\d)[:m ]([0-5]?\d(?:\.\d*)?)s?")  # what Angle reads to the same bits
_BRACKETS = re.compile(r"\s*[(\[].*[)\]]$")

OBVIOUS = {
    "name": (
        "name", "source_name", "src_name", "source", "src", "common_name", "psrj", "jname", "object", "main_id",
        "designation", "id", "snr", "psr", "g",
    ),
    "ra": (
        "ra", "ra_deg", "right_ascension", "raj2000", "_raj2000", "ra_icrs", "rajd", "raj", "ra_rad", "ra_j2000",
        "j2000_ra", "ra2000", "_ra_icrs", "_ra", "radeg", "ra_d", "alpha_j2000", "alphaj2000", "ra_fk5", "rab1950",
        "ra_b1950", "b1950_ra", "ra1950",
    ),
    "dec": (
        "dec", "dec_deg", "declination", "dej2000", "_dej2000", "dec_icrs", "de_icrs", "decjd", "decj", "dec_rad",
        "decj2000", "_decj2000", "dec_j2000", "de_j2000", "j2000_dec", "j2000_de", "dec2000", "de2000", "_de_icrs",
        "_dec_icrs", "_de", "_dec", "decdeg", "dedeg", "de_deg", "de", "decl", "dec_d", "delta_j2000", "deltaj2000",
        "dec_fk5", "deb1950", "decb1950", "dec_b1950", "de_b1950", "b1950_dec", "b1950_de", "dec1950", "de1950",
    ),
    "l": ("l", "glon", "l_deg", "gl", "lii", "galactic_longitude", "_glon", "glon_deg", "gal_lon"),
    "b": ("b", "glat", "b_deg", "gb", "bii", "galactic_latitude", "_glat", "glat_deg", "gal_lat"),
    "class": ("class", "source_class", "classes", "class1", "type", "otype", "types"),
    "extension": ("extension", "extension_deg", "extension_sigma"),
    "flux": ("flux",),
    "distance": ("distance", "distance_kpc", "dist", "dist_kpc", "distance_pc"),
}  # fmt: skip
_IF_WORDS = ("designation", "id", "snr", "psr", "g")  # names where they hold words: 'g' may be a magnitude
# Unified content descriptors, of today and of the first kind; the main column of a meaning before any other.
_UCDS = {
    "name": ("meta.id;meta.main", "id_main"),
    "ra": ("pos.eq.ra;meta.main", "pos_eq_ra_main", "pos.eq.ra"),
    "dec": ("pos.eq.dec;meta.main", "pos_eq_dec_main", "pos.eq.dec"),
    "l": ("pos.galactic.lon;meta.main", "pos_gal_lon", "pos.galactic.lon"),
    "b": ("pos.galactic.lat;meta.main", "pos_gal_lat", "pos.galactic.lat"),
}
# Parts of a direction in columns of their own, as in tables of the CDS.
_PARTS = (("ra", ("rah", "ram", "ras")), ("dec", ("de-", "ded", "dem", "des")))
_AXES = re.compile("right_ascension|declination|alpha|delta|decl|dec|ra|de")


def replace_mixins(table: Table) -> None:
    """Put columns of numbers and words in the place of a SkyCoord (``ra`` and ``dec``, ICRS), a Time and the like.

    What is masked stays missing.  Raises InputError for a frame that has no place on the sky of the ICRS.
    """
    from astropy.table import Column
    from astropy.units import Quantity

    for key in [key for key in table.colnames if not isinstance(table[key], Column | Quantity)]:
        column = table[key]
        table.remove_column(key)
        if not hasattr(column, "frame"):
            table[key] = [str(one) for one in column]
            continue
        try:
            place = column.icrs
        except Exception as error:  # a frame of a place and a time that are not said
            raise InputError(f"its column '{key}' cannot be turned into ICRS: {error}") from error
        for axis, angle in (("ra", place.ra), ("dec", place.dec)):
            table[axis if axis not in table.colnames else f"{key}.{axis}"] = _values(angle.deg, np.float64)
            table[table.colnames[-1]].unit = "deg"


def join_parts(table: Table) -> list[str]:
    """Add ``ra`` and ``dec`` where a table has their hours, degrees, minutes and seconds apart; returns notes."""
    by_name = {name.lower(): name for name in table.colnames}
    found = {axis: [by_name[part] for part in parts if part in by_name] for axis, parts in _PARTS}
    if any(len(found[axis]) < len(parts) or by_name.keys() & set(OBVIOUS[axis]) for axis, parts in _PARTS):
        return []
    for axis, names in found.items():
        columns = [_column(table[name]) for name in names]
        sign, rest = (columns[:1], columns[1:]) if axis == "dec" else ([[""] * len(table)], columns)
        table[axis] = [_joined(plus, *numbers) for plus, *numbers in zip(*sign, *rest, strict=True)]
    return [f"{axis} is joined of {', '.join(names)}" for axis, names in found.items()]


def _joined(sign: str, *numbers: Any) -> str:
    """One direction in words, '' where a part is missing."""
    words = [one if isinstance(one, str) else f"{one:.15g}" for one in numbers]
    return "" if any(word in ("", "nan") for word in words) else f"{sign}{':'.join(words)}"


def _values(column: Any, kind: type) -> np.ndarray[Any, Any]:
    """A column as an array of its own; numbers are NaN where they are masked."""
    out: np.ndarray[Any, Any] = np.array(getattr(column, "unmasked", column), dtype=kind)
    if np.issubdtype(kind, np.floating):
        out[np.broadcast_to(np.asarray(getattr(column, "mask", False)), out.shape)] = np.nan
    return out


def columns_of(table: Table) -> tuple[dict[str, Column], list[str]]:
    """The columns with one value a source, (source,) each; and the names of those with several.

    Names and words have no control characters; words are cut where they would fill the memory.
    """
    columns, vectors = {}, []
    for name in table.colnames:
        column = table[name]
        if column.ndim > 1 or column.dtype.kind == "V":
            vectors.append(printable(str(name)))
            continue
        unit = getattr(column, "unit", None)
        info = getattr(column, "meta", None) or getattr(getattr(column, "info", None), "meta", None) or {}
        about = str(getattr(getattr(column, "info", None), "description", None) or "")
        values = _column(column)
        columns[printable(str(name))] = Column(
            values, "" if unit is None else printable(str(unit)), printable(about), str(info.get("ucd", "")).lower()
        )
    return columns, vectors


def _column(column: Any) -> Any:
    """Numbers with NaN, or words with '', (source,); whole numbers that a float64 does not hold are words."""
    kind = column.dtype.kind
    mask = np.broadcast_to(np.asarray(getattr(column, "mask", False)), (len(column),))
    held = np.asarray(getattr(column, "unmasked", column))
    if kind == "O" and (numbers := _numbers_of_objects(held, mask)) is not None:
        return numbers
    if kind in "fb" or (kind in "iu" and _are_exact(held[~mask])):
        return _values(column, np.float64)
    longest = max(min(_LONGEST, _MOST_CHARACTERS // max(len(column), 1)), 1)
    return np.array([_word(one, longest) if not gone else "" for one, gone in zip(held, mask, strict=True)], np.str_)


def _are_exact(whole: Any) -> bool:
    """Whether a float64 holds every one of these whole numbers."""
    large = whole[(whole > _EXACT) | (whole < -_EXACT)].tolist()
    return all(int(float(one)) == one for one in large)


def _numbers_of_objects(held: Any, mask: Any) -> Any:
    """Numbers among which some are None, as Python's lists hold them; None where there is a word."""
    known = [one is not None and not gone for one, gone in zip(held, mask, strict=True)]
    if not any(known) or not all(
        isinstance(one, int | float | np.number) for one, there in zip(held, known, strict=True) if there
    ):
        return None
    return np.array([float(one) if there else np.nan for one, there in zip(held, known, strict=True)])


def _word(one: Any, longest: int) -> str:
    if one is None or one is np.ma.masked:
        return ""
    word = (one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one)).strip()
    if not word.isprintable():
        word = printable(" ".join(word.split()))
    return word if len(word) <= longest else word[:longest]


def sexagesimal(words: list[str], *, hours: bool) -> tuple[Floats, str]:
    """Words such as 05:34:31.9 or 22d00m52s in deg, (source,), NaN where one is missing; and the first that is none."""
    from astropy.coordinates import Angle

    unit = u.hourangle if hours else u.deg
    factor, out = float(unit.to(u.deg)), np.full(len(words), np.nan)
    for k, word in enumerate(one.replace(MINUS, "-") for one in words):
        if is_missing(word):
            continue
        if (parts := _USUAL.fullmatch(word)) and not (hours and "d" in word):
            sign, first, minutes, seconds = parts.groups()
            out[k] = (-1.0 if sign == "-" else 1.0) * (int(first) + int(minutes) / 60.0 + float(seconds) / 3600.0)
            out[k] *= factor
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # 60 seconds are a minute
                out[k] = Angle(word, unit=unit).deg
        except Exception:  # its parser raises many kinds
            return out, word
    return out, ""


# ---- what a column is called --------------------------------------------------------------------------------------


def canonical(name: str) -> str:
    """A name in small letters, without a unit in brackets, with '_' between its words."""
    return re.sub(r"[\s.\-]+", "_", _BRACKETS.sub("", name.strip()).lower())


def obvious(key: str, columns: Mapping[str, Column], beside: str = "") -> list[str]:
    """Columns that are what a key asks for by their names, the most likely first.

    beside : the column of right ascension where dec is asked for: one that is called alike comes first.
    """
    exact = {name.lower(): name for name in reversed(list(columns))}
    loose = {canonical(name): name for name in reversed(list(columns))} | exact
    found = list(dict.fromkeys(loose[name] for name in _fitting(key, loose, columns)))
    return sorted(found, key=lambda name: _family(name) != _family(beside)) if beside else found


def _fitting(key: str, loose: Mapping[str, str], columns: Mapping[str, Column]) -> Iterator[str]:
    for name in OBVIOUS[key]:
        if name in loose and not (name in _IF_WORDS and columns[loose[name]].values.dtype.kind != "U"):
            yield name


def _family(name: str) -> str:
    """What is left of the name of a coordinate without the word for its axis: 'j2000' of RAJ2000 and DEJ2000."""
    return _AXES.sub("", canonical(name), count=1)


def described(key: str, columns: Mapping[str, Column]) -> str:
    """The column that is what a key asks for by its UCD; '' where there is none, or several are alike."""
    for ucd in _UCDS.get(key, ()):
        found = [name for name, column in columns.items() if column.ucd == ucd]
        if found:
            return found[0] if len(found) == 1 or ";meta.main" in ucd else ""
    return ""
