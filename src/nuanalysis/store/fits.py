"""Tables as FITS and ECSV for other people's programs: units and origin in every header.

The same columns give the same bytes: dates are handed in, checksums are dated with them.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.store._files import table_ecsv

Card = tuple[str, Any, str]
_TEXT = 68  # characters of a FITS header value
#: What gammapy and its kin go by: https://gamma-astro-data-formats.readthedocs.io, version 0.2.
GADF: tuple[Card, ...] = (
    ("HDUCLASS", "GADF", "data formats for gamma-ray astronomy"),
    ("HDUDOC", "https://github.com/open-gamma-ray-astro/gamma-astro-data-formats", ""),
    ("HDUVERS", "0.2", "version of that document"),
)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every header of a release carries."""

    release: str
    created: str
    origin: str
    licence: str
    code: str

    def cards(self) -> list[tuple[str, str, str]]:
        warning = "not detector data" if self.origin == "synthetic" else "public detector data"
        return [
            ("ORIGIN", self.origin, f"real or synthetic: {warning}"),
            ("DATE", self.created[:19], "UTC, when the results were made"),
            ("CREATOR", self.code[:_TEXT], "program that wrote this file"),
            ("RELEASE", self.release[:_TEXT], "data release this file belongs to"),
            ("LICENCE", self.licence, "of this file; see LICENSE"),
        ]


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a table: name, values, unit in FITS spelling, meaning, UCD."""

    name: str
    values: NDArray[Any]
    unit: str
    meaning: str
    ucd: str = ""


def ascii_words(text: str) -> str:
    """The text as FITS headers hold it."""
    named = {"π": "pi", "⁰": "0", "γ": "gamma", "ν": "nu", "±": "+-", "–": "-", "−": "-", "×": "x", "σ": "sigma"}
    shown = "".join(named.get(c, c if c.isprintable() else " ") for c in text)
    return shown.encode("ascii", "replace").decode()


def table_hdu(name: str, fields: Sequence[Field], cards: Sequence[Card]) -> Any:
    """A binary table of the fields, the cards in its header."""
    from astropy.io import fits

    formats = {"f": "D", "i": "K", "u": "K", "b": "L"}
    columns = []
    for field in fields:
        kind = "I" if field.values.dtype == np.int16 else formats[field.values.dtype.kind]
        shape = field.values.shape[1:]
        size = str(math.prod(shape)) if shape else ""
        dim = f"({','.join(map(str, reversed(shape)))})" if len(shape) > 1 else None
        columns.append(fits.Column(field.name, size + kind, unit=field.unit or None, array=field.values, dim=dim))
    hdu = fits.BinTableHDU.from_columns(columns, name=name)
    for number, field in enumerate(fields, start=1):
        hdu.header.comments[f"TTYPE{number}"] = ascii_words(field.meaning)[:47]
        if field.ucd:
            hdu.header.set(f"TUCD{number}", field.ucd, "IVOA UCD1+")
    add_cards(hdu.header, cards)
    return hdu


def add_cards(header: Any, cards: Sequence[Card]) -> None:
    """Add the cards; a text too long for a card goes on in HISTORY-like COMMENT lines instead of being cut."""
    for key, value, comment in cards:
        if not isinstance(value, str):
            header[key] = value, ascii_words(comment)[:46]
        elif len(words := ascii_words(value)) > _TEXT:
            header.add_comment(f"{key}: {words}")
        else:
            header[key] = words, ascii_words(comment)[: max(0, 64 - len(value))]


def hdu_file(hdus: Sequence[Any], stamp: Stamp) -> bytes:
    """The file: origin and release in every header, checksums dated with the results."""
    from astropy.io import fits

    listed = fits.HDUList([fits.PrimaryHDU(), *hdus])
    listed.update_extend()
    for hdu in listed:
        add_cards(hdu.header, stamp.cards())
        hdu.add_checksum(when=stamp.created[:19])
    buffer = io.BytesIO()
    listed.writeto(buffer, output_verify="exception")
    return buffer.getvalue()


def map_hdu(name: str, fields: Sequence[Field], nside: int, frame: str, cards: Sequence[Card]) -> Any:
    """A table of all pixels in RING order, frame 'C' (ICRS) or 'G' (Galactic), that healpy and gammapy read.

    gammapy takes the one column whose name begins with CHANNEL for the map and BUNIT for its unit, and zeros where
    there is none; the others it reads by name.  QUANTITY says what the first column is called elsewhere.
    """
    first, *others = fields
    about: list[Card] = [
        ("HPX_CONV", "GADF", "convention of the columns"),
        ("QUANTITY", first.name, "what column CHANNEL1 holds"),
        ("BUNIT", first.unit, "unit of CHANNEL1"),
    ]
    columns = [replace(first, name="CHANNEL1"), *others]
    return table_hdu(name, columns, [*healpix_cards(nside, frame), *about, *cards])


def healpix_cards(nside: int, frame: str) -> list[Card]:
    """What a table of all pixels in RING order says of them; frame 'C' (ICRS) or 'G' (Galactic)."""
    return [
        ("PIXTYPE", "HEALPIX", "pixelisation"),
        ("ORDERING", "RING", "pixel order"),
        ("COORDSYS", frame, "C: celestial (ICRS), G: Galactic"),
        ("NSIDE", nside, "resolution parameter"),
        ("FIRSTPIX", 0, "first pixel, from 0"),
        ("LASTPIX", 12 * nside**2 - 1, "last pixel, from 0"),
        ("INDXSCHM", "IMPLICIT", "row number is pixel number"),
    ]


def multi_order_hdu(
    uniq: NDArray[np.integer],
    density: NDArray[np.floating],
    meaning: str,
    fields: Sequence[Field],
    cards: Sequence[Card],
) -> Any:
    """A map in pixels of several orders, ICRS, as alerts of neutrinos and of gravitational waves have it.

    uniq (pixel,) : 4 nside^2 + nested index, covering the sky once.  density (pixel,) : probability, sr^-1, with its
    meaning.  fields, cards : more columns and cards.  mocpy wants PROBDENSITY as the second column, ligo.skymap under
    that name.
    """
    about: list[Card] = [
        ("PIXTYPE", "HEALPIX", "pixelisation"),
        ("ORDERING", "NUNIQ", "pixel order"),
        ("COORDSYS", "C", "C: celestial (ICRS)"),
        ("MOCORDER", (int(uniq.max()).bit_length() - 1) // 2 - 1, "finest order"),
        ("INDXSCHM", "EXPLICIT", "pixels are named by UNIQ"),
    ]
    columns = [
        Field("UNIQ", uniq, "", "pixel and its order, 4 nside^2 + NEST"),
        Field("PROBDENSITY", density, "sr-1", meaning),
        *fields,
    ]
    return table_hdu("SKYMAP", columns, [*about, *cards])


def moc_hdu(uniq: NDArray[np.integer], cards: Sequence[Card]) -> Any:
    """A region as a multi-order coverage map: IVOA recommendation MOC 2.0, section 4.3.1, ICRS; uniq (pixel,)."""
    about: list[Card] = [
        ("MOCVERS", "2.0", "version of the recommendation"),
        ("MOCDIM", "SPACE", "physical dimension"),
        ("ORDERING", "NUNIQ", "pixel order"),
        ("COORDSYS", "C", "C: celestial (ICRS)"),
        ("MOCORD_S", (int(uniq.max()).bit_length() - 1) // 2 - 1, "finest order"),
        ("MOCTOOL", "nuanalysis", "program that wrote it"),
    ]
    return table_hdu("MOC", [Field("UNIQ", uniq, "", "pixel and its order")], [*about, *cards])


def ecsv(columns: Mapping[str, tuple[Any, str, str]], meta: Mapping[str, Any]) -> bytes:
    """A small table as ECSV.  columns : {name: (values, unit, description)}; NaN where there is no number."""
    from astropy.table import Column, Table

    made = [
        Column(values, name=name, unit=unit or None, description=text) for name, (values, unit, text) in columns.items()
    ]
    return table_ecsv(Table(made, meta=dict(meta)))
