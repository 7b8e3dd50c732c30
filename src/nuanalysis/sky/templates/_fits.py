"""Maps from FITS files.

Formats were checked against: HEALPix FITS of healpy; the gamma-astro-data-formats HEALPix page (SKYMAP with EBOUNDS in
keV, or ENERGIES); GALPROP's writer in galtoolslib 1.0 (SKYMAP2 with columns Bin0, Bin1, ..., ENERGIES or EBOUNDS; older
files have one vector column); HERMES' writer (one table per energy, Galactic RING, ENERGY in the SI unit, that is J).
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nuanalysis.deferred import fits
from nuanalysis.errors import InputError
from nuanalysis.sky.templates._formats import Stored
from nuanalysis.sky.templates._healpix import size_faults

NODE_COLUMN = "NODE"
HEADER_CARDS = {
    "frame": ("COORDSYS", "FRAME"), "ordering": ("ORDERING",), "units": ("UNITS", "BUNIT"),
    "flavour": ("FLAVOUR", "FLAVOR"), "index": ("INDEX",),
}  # fmt: skip


@contextmanager
def open_fits(path: Path) -> Iterator[Stored]:
    """The map in a FITS file, readable inside the ``with`` block."""
    from astropy.utils.exceptions import AstropyWarning

    broken = (OSError, ValueError, TypeError, KeyError, IndexError, EOFError, zlib.error, AstropyWarning)
    if not path.is_file():
        raise InputError(f"the map {path} cannot be read: No such file or directory; check the name")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", AstropyWarning)
            with fits.open(path, memmap=True) as units:
                stored = _from_units(list(units))
                if stored is None:
                    raise InputError(f"the map {path} has no binary table; write it with healpy.write_map")
                yield stored
    except broken as error:
        raise InputError(f"the map {path} is not readable FITS: {error}; write it with healpy.write_map") from error


def _from_units(units: list[Any]) -> Stored | None:
    tables = [unit for unit in units if isinstance(unit, fits.BinTableHDU)]
    lists = [t for t in tables if t.name.upper() in ("ENERGIES", "EBOUNDS")]
    maps = [t for t in tables if t not in lists and ("NSIDE" in t.header or t.header.get("PIXTYPE") == "HEALPIX")]
    maps = maps or [t for t in tables if t not in lists]
    if not maps:
        return None
    stated = _cards(maps[0].header)
    usual = {"INDXSCHM": "IMPLICIT", "OBJECT": ""}
    scheme, what = (str(maps[0].header.get(card, word)).strip().upper() for card, word in usual.items())
    if scheme != "IMPLICIT" or what == "PARTIAL":
        return Stored("HEALPix FITS", stated=stated, faults=("it covers part of the sky; fill the rest with 0",))
    if len(maps) > 1 and all(len(t.columns) == 1 for t in maps):
        return _one_table_per_energy(maps, stated, hermes=_is_hermes(units[0].header))
    stored = _from_table(maps[0], stated)
    if lists and not stored.faults:
        return _with_energies(stored, lists[0])
    if stored.n_energies == 1 and "ENERGY" in maps[0].header:
        unit = " J" if _is_hermes(units[0].header) else ""
        stored.stated["energy"] = f"{maps[0].header['ENERGY']}{unit}"
    return stored


def _cards(header: Any) -> dict[str, str]:
    found = {
        key: str(header[card]).strip()
        for key, cards in HEADER_CARDS.items()
        for card in cards
        if str(header.get(card, "")).strip()
    }
    units = {str(header[card]).strip() for card in header if card.startswith("TUNIT") and str(header[card]).strip()}
    if "units" not in found and len(units) == 1:
        found["units"] = units.pop()
    return found


def _is_hermes(header: Any) -> bool:
    return str(header.get("SOFTWARE", "")).strip().upper() == "HERMES"


def _from_table(table: Any, stated: dict[str, str]) -> Stored:
    kind, nside = "HEALPix FITS", table.header.get("NSIDE")
    columns = [np.asarray(table.data[name]) for name in table.columns.names]
    n_pixels = 12 * nside**2 if isinstance(nside, int) else -1
    if n_pixels < 0:
        faults = [f"its header has NSIDE = {nside!r}, expected a number"]
    elif any(column.dtype.kind not in "fiu" for column in columns):
        faults = ["it has columns that are not real numbers; keep those of the map"]
    else:
        faults = size_faults(n_pixels) or _missing(table)
    if faults:
        return Stored(kind, stated=stated, faults=tuple(faults))
    if all(column.size == n_pixels for column in columns):
        flat = [column.reshape(-1) for column in columns]
        return Stored(
            kind, n_pixels, len(flat), lambda a, b: np.stack([column[a:b] for column in flat], axis=1), stated
        )
    if len(columns) == 1 and columns[0].ndim == 2 and len(columns[0]) == n_pixels:
        [cube] = columns
        return Stored(kind, n_pixels, cube.shape[1], lambda a, b: cube[a:b], stated)
    shapes = ", ".join(str(column.shape) for column in columns[:4])
    fault = f"its columns have shape {shapes}, expected {n_pixels} pixels (NSIDE = {nside}) in each"
    return Stored(kind, stated=stated, faults=(fault,))


def _missing(table: Any) -> list[str]:
    """The fault of pixels that TNULL marks as missing: astropy hands their number out as if it were a value."""
    n_missing = 0
    for column in table.columns:
        if isinstance(column.null, int):
            zero, scale = (
                x if isinstance(x, int | float) else default for x, default in ((column.bzero, 0), (column.bscale, 1))
            )
            n_missing += int(np.count_nonzero(np.asarray(table.data[column.name]) == column.null * scale + zero))
    return [f"{n_missing} pixels are marked as missing (TNULL); put 0 where nothing shines"] if n_missing else []


def _one_table_per_energy(tables: list[Any], stated: dict[str, str], *, hermes: bool) -> Stored:
    kind = "HEALPix FITS, one table per energy"
    parts = [_from_table(table, stated) for table in tables]
    faults = tuple(dict.fromkeys(fault for part in parts for fault in part.faults))
    if len({part.n_pixels for part in parts}) > 1:
        faults = (*faults, "its tables differ in nside")
    if not all("ENERGY" in table.header for table in tables):
        faults = (*faults, f"it has {len(tables)} HEALPix tables, not each with the card ENERGY; keep one, or add it")
    if faults:
        return Stored(kind, stated=stated, faults=faults)
    if len({tuple(sorted(_cards(t.header).items())) for t in tables}) > 1:
        return Stored(kind, stated=stated, faults=("its tables differ in ordering, frame or units",))
    return Stored(
        "HERMES FITS" if hermes else kind,
        parts[0].n_pixels,
        len(parts),
        lambda a, b: np.concatenate([part.values(a, b) for part in parts], axis=1),
        stated | ({"energies_unit": "J"} if hermes else {}),
        energies=np.array([float(table.header["ENERGY"]) for table in tables]),
    )


def _with_energies(stored: Stored, table: Any) -> Stored:
    """The energies of the second table: one column, or the lower and upper edges of the bins."""
    names = {name.upper(): name for name in table.columns.names}
    bounds = [name for name in ("E_MIN", "E_MAX", "ENERGY_MIN", "ENERGY_MAX") if name in names]
    if len(bounds) == 2:
        low, high = (np.asarray(table.data[names[name]], np.float64).ravel() for name in bounds)
        energies, column = np.sqrt(low * high), names[bounds[0]]
        stored.stated["bins"] = "centres"
    else:
        column = table.columns.names[0]
        energies = np.asarray(table.data[column], np.float64).ravel()
    unit = str(table.columns[column].unit or "").strip()
    said = names.get(NODE_COLUMN)
    return replace(
        stored,
        kind=stored.kind + f" with {table.name.upper()}",
        stated=stored.stated | ({"energies_unit": unit} if unit else {}),
        energies=energies,
        nodes=np.empty(0, dtype=bool) if said is None else np.asarray(table.data[said], dtype=bool),
    )
