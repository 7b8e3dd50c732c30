"""From a file's table to sources: which column is what.

The column map says so in words: of the caller, of the catalogue where it is a known one, or the obvious name of a
column, which is then named in the notes.  Whatever is missing, unknown or looks wrong is reported together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from nuanalysis.deferred import units as u
from nuanalysis.errors import did_you_mean, printable, refuse
from nuanalysis.schema import Floats
from nuanalysis.sky.catalogues._columns import (
    OBVIOUS,
    columns_of,
    described,
    join_parts,
    obvious,
    replace_mixins,
    sexagesimal,
)
from nuanalysis.sky.catalogues._doubts import equinox_doubts, extension_doubts, unit_doubts, width_doubts
from nuanalysis.sky.catalogues._table import STANDARD, Column, SourceTable, Words, some, turned
from nuanalysis.sky.records import WIDEST
from nuanalysis.sphere import R68, cos_separation
from nuanalysis.store import is_missing, is_sexagesimal, numbers_in, refuse_rows

if TYPE_CHECKING:
    from astropy.table import Table

FRAMES = {
    "icrs": "icrs", "equatorial": "icrs", "j2000": "icrs", "fk5": "fk5", "fk4": "fk4", "b1950": "fk4",
    "galactic": "galactic", "gal": "galactic",
}  # fmt: skip
LEFT_OUT = "none"  # in place of a column: nothing of the file is that
UNITS = {"deg": 1.0, "rad": float(np.degrees(1.0)), "hourangle": 15.0, "hour": 15.0, "h": 15.0}
ANGLES = {"deg": 1.0, "rad": float(np.degrees(1.0)), "arcmin": 1.0 / 60.0, "arcsec": 1.0 / 3600.0}
LENGTHS = {"kpc": 1.0, "pc": 1e-3, "Mpc": 1e3}
# Sigma of a round Gaussian per unit of each measure; of a disc, by its radius or diameter, that of its mean square
# radius.  r39 holds 39.3 per cent of a Gaussian.
KINDS = {
    "sigma": 1.0, "r39": 1.0, "r68": 1.0 / R68, "disc": 0.5, "diameter": 0.25,
    "fwhm": float(0.5 / np.sqrt(2.0 * np.log(2.0))),
}  # fmt: skip
SURE = ("unit", "frame", "flux")

COLUMN_KEYS = tuple(OBVIOUS)
KEYS = (
    *COLUMN_KEYS, "frame", "unit", "extension_unit", "extension_kind", "flux_unit", "flux_band", "distance_unit",
    "table", "sure",
)  # fmt: skip
CHOICES: dict[str, Iterable[str]] = {
    "frame": FRAMES, "unit": UNITS, "extension_unit": ANGLES, "extension_kind": KINDS, "distance_unit": LENGTHS,
    "sure": SURE,
}  # fmt: skip

DISAGREEMENT = np.radians(0.05)  # of Galactic and equatorial columns; tables of four decimals agree to 1e-4 deg
_DIRECTIONS = ("unit", "frame", "ra", "dec", "l", "b")
# What a catalogue says no longer holds where the caller names another column.
SUPERSEDED = {
    "flux": ("flux_unit", "flux_band"), "extension": ("extension_unit", "extension_kind"),
    "distance": ("distance_unit",), "ra": _DIRECTIONS, "dec": _DIRECTIONS, "l": _DIRECTIONS, "b": _DIRECTIONS,
}  # fmt: skip


def check_map(said: Mapping[str, str], where: str) -> list[str]:
    """What is wrong with the words of a column map before any file is read."""
    faults = [f"{where} says '{key}'.{did_you_mean(key, KEYS)}" for key in said if key not in KEYS]
    for key, known in CHOICES.items():
        words = said[key].split(",") if key == "sure" and key in said else [said[key]] if key in said else []
        faults += [f"{where} says {key}={word}.{did_you_mean(word, known)}" for word in words if word not in known]
    return faults


def read_sources(table: Table, said: Mapping[str, str] | None = None) -> SourceTable:
    """The sources of a file's table (see ingest.source_catalogues.read_table), with a column map in words.

    said : key -> word, keys as in ``KEYS``: columns by their names; frame 'icrs', 'fk5', 'fk4' or 'galactic'; unit of
        ra and dec or l and b: 'deg', 'rad', or 'hourangle' (of ra; dec in deg); extension_kind 'sigma', 'r39', 'r68',
        'disc' (its radius), 'diameter', 'fwhm'.  'none' for a column: none is read as that.
    Raises InputError that lists all faults: columns that are not there, words where numbers are wanted, units that are
    no such unit, extensions below zero or wider than WIDEST, distances below zero, too many rows.
    """
    refuse_rows(f"the catalogue {table.meta['file']}", len(table))
    replace_mixins(table)
    joined = join_parts(table)
    reading = _Reading(table, dict(said or {}))
    reading.notes += joined
    longitude_latitude = reading.direction()
    name = reading.name()
    classes = reading.words("class")
    extension = np.radians(reading.scaled("extension", ANGLES, "deg", "deg") * reading.kind())
    flux = reading.numbers("flux")
    distance = reading.scaled("distance", LENGTHS, "kpc", "kpc")
    reading.refuse_range("extension", name, extension, WIDEST, f" or above {np.degrees(WIDEST):g} deg as sigma")
    reading.refuse_range("distance", name, distance, np.inf, "")
    refuse(reading.faults, f"the catalogue {table.meta['file']} cannot be used")
    ra, dec, doubts, astray = reading.placed(*longitude_latitude, name)
    used = reading.used
    return SourceTable(
        **{key: printable(table.meta[key]) for key in ("title", "file", "sha256", "reference")},
        name=name,
        right_ascension=ra,
        declination=dec,
        classes=classes,
        extension=extension,
        flux=flux,
        flux_unit=reading.stated_unit("flux"),
        flux_band=reading.said.get("flux_band", ""),
        distance=distance,
        columns={
            f"file_{key}" if key in STANDARD and used.get(key) != key else key: column
            for key, column in reading.columns.items()
            if used.get(key) != key
        },
        vectors=tuple(reading.vectors),
        used=used | {key: word for key, word in reading.said.items() if key not in used},
        notes=tuple(printable(note) for note in (*table.meta["notes"], *reading.notes)),
        faults=(*doubts, *reading.doubts),
        astray=astray,
    )


class _Reading:
    """One reading of one table: what was said, what was found, and the faults and notes on the way."""

    def __init__(self, table: Table, said: dict[str, str]) -> None:
        self.faults = check_map(said, "the column map")
        self.notes: list[str] = []
        self.doubts: list[str] = []
        self.size = len(table)
        self.columns, self.vectors = columns_of(table)
        self.user = said
        self.stated_frame = str(table.meta.get("frame", ""))
        gone = {key for word in said for key in SUPERSEDED.get(word, ())}
        self.known = bool(table.meta["columns"])
        self.layout = {key: word for key, word in table.meta["columns"].items() if key not in gone}
        self.said = self.layout | said
        self.used: dict[str, str] = {}
        for key in COLUMN_KEYS:
            self._settle(key)
        if not self.size:
            self.faults.append("it lists no source")

    def _settle(self, key: str) -> None:
        wanted = self.said.get(key)
        if wanted == LEFT_OUT and wanted not in self.columns:
            return
        if wanted in self.vectors:
            self.faults.append(f"the column '{wanted}' has several values a source, said to be the {key}.")
        elif wanted is not None and wanted not in self.columns:
            self.faults.append(
                f"there is no column {wanted!r}, said to be the {key}.{did_you_mean(wanted, self.columns)}"
            )
        elif wanted is not None:
            self.used[key] = wanted
        elif not self.known:
            self._guess(key)

    def _guess(self, key: str) -> None:
        """The column of a key by its name, or by its UCD; with a note.  Words are not taken for a flux or distance."""
        found, how = obvious(key, self.columns, self.used.get("ra", "") if key == "dec" else ""), "name"
        if not found and (column := described(key, self.columns)):
            found, how = [column], "UCD"
        if not found:
            return
        if key in ("flux", "distance") and self._as_numbers(found[0]) is None:
            self.notes.append(f"the column '{found[0]}' holds words and is not read as the {key}")
            return
        self.used[key] = found[0]
        others = f" (there is {', '.join(found[1:])} too)" if found[1:] else ""
        self.notes.append(f"the {key} is read from the column '{found[0]}', by its {how}{others}")

    def refuse_range(self, key: str, name: Words, values: Floats, most: float, beyond: str) -> None:
        """A fault where values lie below zero, beyond ``most`` or are infinite."""
        bad = np.flatnonzero((values < 0) | np.isinf(values) | (values > most))
        if len(bad):
            self.faults.append(
                f"{len(bad)} values of its {key} are below 0, infinite{beyond} ({some(name[bad])}); say its unit, "
                f"or {key}={LEFT_OUT} to leave the column out, or correct them"
            )

    # --- columns

    def numbers(self, key: str) -> Floats:
        """The column of a key as numbers, NaN where there is none."""
        if key not in self.used:
            return np.full(self.size, np.nan)
        values = self._as_numbers(self.used[key])
        if values is None:
            words = self.columns[self.used[key]].values.tolist()
            row = next(k for k, word in enumerate(words) if word and numbers_in([word]) is None)
            self.faults.append(
                f"its {key} column '{self.used[key]}' holds words ('{words[row]}' in row {row + 1}), expected "
                f"numbers{_decimal_comma(words[row])}; say {key}={LEFT_OUT} to leave the column out, or which "
                "column it is"
            )
            return np.full(self.size, np.nan)
        return values

    def _as_numbers(self, name: str) -> Floats | None:
        """A column as numbers, also where its file holds them as words; None where one of them is a word."""
        values = self.columns[name].values
        return numbers_in(values.tolist()) if values.dtype.kind == "U" else np.asarray(values, dtype=np.float64)

    def words(self, key: str) -> Words:
        """The column of a key as words, '' where there is none."""
        if key not in self.used:
            return np.full(self.size, "", dtype="U1")
        values = self.columns[self.used[key]].values
        if values.dtype.kind == "U":
            return np.asarray(values)
        return np.array([_plain_number(value) for value in values.tolist()], dtype=np.str_)

    def name(self) -> Words:
        """The names, made from the row number where there is none."""
        names = [str(word) for word in self.words("name")]
        missing = sum(not word for word in names)
        if missing:
            self.notes.append(f"{missing} sources have no name and are called by their row")
        return np.array([word or f"row {k}" for k, word in enumerate(names, start=1)], dtype=np.str_)

    def kind(self) -> float:
        """Sigma per unit of the extension; doubtful where a column that nobody spoke for looks like another measure."""
        kind = self.said.get("extension_kind", "")
        if not kind and "extension" in self.used and self.used["extension"] != self.layout.get("extension"):
            self.doubts += extension_doubts(self.used["extension"], self.columns)
            self.notes.append("the extension is read as the sigma of a Gaussian; extension_kind= says otherwise")
        return KINDS.get(kind, 1.0)

    def stated_unit(self, key: str) -> str:
        """The unit that was said or that the file states, '' where neither."""
        column = self.columns.get(self.used.get(key, ""))
        return self.said.get(f"{key}_unit") or (column.unit if column else "")

    def scaled(self, key: str, known: Mapping[str, float], into: str, fallback: str) -> Floats:
        """The column of a key in the unit of this package; the fallback where no unit is stated, with a note."""
        values = self.numbers(key)
        if key not in self.used:
            return values
        unit = self.stated_unit(key) or _unit_in_name(self.used[key], known)
        if not unit:
            self.notes.append(f"no unit of the {key} is stated: read as {fallback}")
            unit = fallback
            self.doubts += width_doubts(self.used[key], values) if key == "extension" else []
        factor = _factor(unit, known, into)
        if factor is None:
            self.faults.append(f"its {key} column '{self.used[key]}' has the unit {unit}.{did_you_mean(unit, known)}")
        return values if factor is None else values * factor

    # --- directions

    def direction(self) -> tuple[str, Floats, Floats, str]:
        """The frame, longitude and latitude in deg, and how their unit is known ('said', 'file', 'name', '')."""
        pairs = [pair for pair in (("ra", "dec"), ("l", "b")) if all(key in self.used for key in pair)]
        asked = [pair for pair in pairs if any(key in self.user for key in pair)]
        frame = FRAMES.get(self.user.get("frame", ""), "")
        if frame == "galactic" and ("l", "b") in pairs and not asked:
            asked = [("l", "b")]
        nothing = np.full(self.size, np.nan)
        if not pairs or len(asked) > 1:
            found = ", ".join([*self.columns, *self.vectors]) or "none"
            wanted = "it needs columns for ra and dec, or for l and b; say which, such as ra=COLUMN&dec=COLUMN; found "
            self.faults.append("ra and dec are said, and l and b too; say one pair" if pairs else wanted + found)
            return "icrs", nothing, nothing, ""
        pair = (asked or pairs)[0]
        frame = frame or ("galactic" if pair == ("l", "b") else FRAMES.get(self.said.get("frame", "icrs"), "icrs"))
        if (frame == "galactic") != (pair == ("l", "b")):
            self.faults.append(f"the frame is said to be {frame}, but the columns are {' and '.join(pair)}")
        if pair == ("ra", "dec") and "frame" not in self.said and "frame" not in self._sure():
            self.doubts += equinox_doubts(self.used, self.columns, self.stated_frame)
        longitude, how = self._angle(pair[0])
        latitude, _ = self._angle(pair[1])
        return frame, longitude, latitude, how

    def _sure(self) -> list[str]:
        return self.user.get("sure", "").split(",")

    def _angle(self, key: str) -> tuple[Floats, str]:
        """One coordinate in deg and how its unit is known."""
        column = self.columns[self.used[key]]
        values = self._as_numbers(self.used[key])
        if values is None:
            return self._sexagesimal(key, column), "said"
        said = self.user.get("unit") or self.said.get("unit")
        if said:
            return values * (1.0 if key in ("dec", "b") and UNITS.get(said) == 15.0 else UNITS.get(said, 1.0)), "said"
        unit = column.unit or _unit_in_name(self.used[key], UNITS)
        if unit:
            factor = _factor(unit, UNITS, "deg")
            if factor is None:
                self.faults.append(f"its column '{self.used[key]}' has the unit {unit}, expected an angle")
            return values if factor is None else values * factor, "file" if column.unit else "name"
        self.notes.append(f"no unit of '{self.used[key]}' is stated: read as deg")
        return values, ""

    def _sexagesimal(self, key: str, column: Column) -> Floats:
        """Words such as 05:34:31.9 and +22:00:52, right ascension in hours, the rest in degrees."""
        words, name = column.values.tolist(), self.used[key]
        bad = [word for word in words if not is_missing(word) and not is_sexagesimal(word)]
        if bad:
            bad = [word for word in bad if numbers_in([word]) is None] or bad
            self.faults.append(
                f"its column '{name}' holds '{bad[0]}' (row {words.index(bad[0]) + 1}), expected such as 05:34:31.9 or "
                f"numbers{_decimal_comma(bad[0])} in every row; leave it empty where there is none"
            )
            return np.full(self.size, np.nan)
        hours = key == "ra" and (self.user.get("unit") != "deg" or _largest_first(words) < 24)
        out, refused = sexagesimal(words, hours=hours)
        if refused:
            self.faults.append(f"its column '{name}' holds '{refused}', expected such as 05:34:31.9 or numbers")
        else:
            self.notes.append(f"'{name}' is read as {'hours' if hours else 'degrees'}, minutes, seconds")
        return out

    def placed(
        self, frame: str, longitude: Floats, latitude: Floats, how: str, name: Words
    ) -> tuple[Floats, Floats, list[str], Words]:
        """Right ascension and declination in rad, ICRS; what is doubtful about them; numbers that are no direction."""
        sure = self._sure()
        lon = "l" if frame == "galactic" else "ra"
        known = np.isfinite(longitude) & np.isfinite(latitude)
        on = (longitude >= -180.0) & (longitude <= 360.0) & (np.abs(latitude) <= 90.0)
        doubts = []
        astray = [f"{x:g}, {y:g}" if off else "" for x, y, off in zip(longitude, latitude, known & ~on, strict=True)]
        ok = known & on
        if how not in ("said", "file") and "unit" not in sure:
            doubts += unit_doubts(lon, longitude[ok], latitude[ok], radians_too=how == "")
        at = np.where(ok, longitude, np.nan), np.where(ok, latitude, np.nan)
        ra, dec = turned(*at, frame, "icrs")
        ra, dec = np.radians(ra) % (2 * np.pi), np.radians(dec)
        ra[ra >= 2 * np.pi] = 0.0  # what % makes of a tiny negative angle
        if frame != "galactic" and "l" in self.used and "b" in self.used and "frame" not in sure:
            doubts += self._disagreement(name, ra, dec)
        return ra, dec, doubts, np.array(astray, dtype=np.str_)

    def _disagreement(self, name: Words, ra: Floats, dec: Floats) -> list[str]:
        """Whether the Galactic columns say something else than the equatorial ones."""
        longitude, latitude = self._angle("l")[0], self._angle("b")[0]
        off = ~((np.abs(latitude) <= 90.0) & (np.abs(longitude) <= 360.0))
        there = turned(np.where(off, np.nan, longitude), np.where(off, np.nan, latitude), "galactic", "icrs")
        apart = np.arccos(np.clip(cos_separation(ra, dec, *np.radians(there)), -1.0, 1.0))
        bad = np.flatnonzero(apart > DISAGREEMENT)
        if not len(bad):
            return []
        return [
            f"its Galactic columns '{self.used['l']}' and '{self.used['b']}' disagree with the equatorial ones for "
            f"{len(bad)} of {np.count_nonzero(np.isfinite(apart))} sources "
            f"({some(f'{name[k]} by {np.degrees(apart[k]):.3g} deg' for k in bad)}): one pair is in another frame or "
            "epoch; correct it, or say sure=frame if ra and dec are right"
        ]


def _plain_number(value: float) -> str:
    """A number as a word: whole ones with all their digits, so that two names stay two."""
    if not np.isfinite(value):
        return ""
    return str(int(value)) if value == int(value) else f"{value:.15g}"


def _decimal_comma(word: str) -> str:
    return " with a decimal point" if "," in word and word.replace(",", "", 1).strip("+-").isdigit() else ""


def _largest_first(words: list[str]) -> int:
    """The largest number before the first sign of words such as 83:37:58."""
    return max((int(found.group()) for word in words if (found := re.search(r"\d+", word))), default=0)


def _factor(unit: str, known: Mapping[str, float], into: str) -> float | None:
    """What a unit, a known one or one of astropy, is in another; None where it is no such unit."""
    if unit in known:
        return known[unit]
    try:
        return float(u.Unit(unit).to(into))
    except (ValueError, TypeError):
        return None


def _unit_in_name(name: str, known: Mapping[str, float]) -> str:
    ending = name.rpartition("_")[2] if "_" in name else {"RAJD": "deg", "DECJD": "deg"}.get(name, "")
    ending = {"hours": "hour", "hrs": "hour", "hr": "hour"}.get(ending.lower(), ending)
    return next((unit for unit in known if unit.lower() == ending.lower()), "")
