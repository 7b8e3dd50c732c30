"""Maps from FITS files.

Formats were checked against: HEALPix FITS of healpy, whole and partial; the gamma-astro-data-formats HEALPix page
(SKYMAP with EBOUNDS in keV, or ENERGIES); GALPROP's writer in galtoolslib 1.0 (SKYMAP2 with columns Bin0, Bin1, ...,
ENERGIES or EBOUNDS; older files have one vector column); HERMES' writer (one table per energy, Galactic RING, ENERGY in
the SI unit, that is J); multi-order maps (UNIQ) of the IVOA.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from math import prod
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from nuanalysis.deferred import fits
from nuanalysis.errors import InputError
from nuanalysis.sky.templates._bounds import MOST_ENERGIES, guarded
from nuanalysis.sky.templates._fits_layout import REMEDY, fits_source, row_faults
from nuanalysis.sky.templates._fits_table import KIND, USES, Layout, from_table, is_number, layout_of
from nuanalysis.sky.templates._formats import Stored, unit_in
from nuanalysis.sky.templates._said import ENERGY_UNITS, Said, read_energy
from nuanalysis.store import parsing

NODE_COLUMN = "NODE"
UNIT_IN_COMMENT = re.compile(r"\s*\[\s*([^]\s]+)\s*\]")
REPROJECT = (
    'turn it into one, with the pixels outside of it UNSEEN, and say fill=0{more}: python -c "import sys, healpy, '
    "numpy; from astropy import wcs; from astropy.io import fits; h = fits.open(sys.argv[1])[{number}]; lon, lat = "
    "healpy.pix2ang(256, numpy.arange(12 * 256**2), lonlat=True); x, y = (numpy.nan_to_num(p, nan=-1).round()"
    ".astype(int) for p in wcs.WCS(h.header).celestial.wcs_world2pix(lon, lat, 0)); ny, nx = h.data.shape[-2:]; inside "
    "= (x >= 0) & (x < nx) & (y >= 0) & (y < ny); m = numpy.full(({planes}, 12 * 256**2), healpy.UNSEEN); m[:, inside] "
    "= h.data.reshape({planes}, ny, nx)[:, y[inside], x[inside]]; healpy.write_map(sys.argv[2], m, coord='{frame}')\" "
    "{name} {target}"
)
PLANES = ", with the energies of its {} planes in energies="
ENERGY_COLUMNS = ("ENERGY", "ENERGY_TRUE", "ENERGIES", "E")
BOUNDS = (("E_MIN", "E_MAX"), ("ENERGY_MIN", "ENERGY_MAX"), ("ENERGY_TRUE_MIN", "ENERGY_TRUE_MAX"))


@contextmanager
def open_fits(path: Path, said: Said) -> Iterator[Stored]:
    """The map in a FITS file, readable inside the ``with`` block."""
    from astropy.utils.exceptions import AstropyWarning

    with ExitStack() as opened:
        opened.enter_context(warnings.catch_warnings())
        warnings.simplefilter("error", AstropyWarning)
        stream = opened.enter_context(fits_source(path))
        with parsing(path, "the map", REMEDY):
            units = opened.enter_context(fits.open(stream, memmap=True))
            stored = _from_units(path, list(units), said)
        yield guarded(stored, path, REMEDY)


def _from_units(path: Path, units: list[Any], said: Said) -> Stored:
    tables = [unit for unit in units if isinstance(unit, fits.BinTableHDU) and not unit.header.get("ZIMAGE")]
    lists = [t for t in tables if t.name.upper() in ("ENERGIES", "EBOUNDS") or t.name.upper().endswith("_BANDS")]
    maps = [t for t in tables if t not in lists and ("NSIDE" in t.header or t.header.get("PIXTYPE") == "HEALPIX")]
    maps = maps or [t for t in tables if t not in lists and not any(map(_is_image_of_the_sky, units))]
    if word := said.word("hdu"):
        names = [(str(k), unit.name, unit) for k, unit in enumerate(units) if any(unit is table for table in maps)]
        maps = [unit for number, name, unit in names if word.upper() in (number, name.upper())]
        if not maps:
            listed = ", ".join(f"{number} ({name or 'no name'})" for number, name, _ in names) or "none"
            fault = f"it has no map in the table '{word}'; say hdu= one of {listed}"
            return Stored(KIND, faults=(fault,), uses=USES, unchosen=True)
    if not maps:
        raise InputError(_no_table(path, units))
    layouts = [layout_of(table, said) for table in maps]
    if len(maps) > 1 and all(len(layout.values) == 1 for layout in layouts):
        return _one_table_per_energy(maps, layouts, said, hermes=_is_hermes(units[0].header))
    stored = from_table(maps[0], layouts[0], said)
    if lists and not stored.faults:
        named = [t for t in lists if t.name == maps[0].header.get("BANDSHDU")]
        return _with_energies(stored, (named or lists)[0], layouts[0])
    if stored.n_energies == 1 and "ENERGY" in maps[0].header:
        unit = _unit_of_energy(maps[0].header, hermes=_is_hermes(units[0].header))
        stored.stated["energy"] = f"{maps[0].header['ENERGY']} {unit}".strip()
    return stored


def _no_table(path: Path, units: list[Any]) -> str:
    """What to do with a file that has images only: one on a projected sky can be turned into a map."""
    for number, unit in enumerate(units):
        if _is_image_of_the_sky(unit):
            axes, planes = str(unit.header["CTYPE1"]), prod(unit.shape[:-2])
            told = REPROJECT.format(
                name=quote(str(path)), number=number, planes=planes, frame=_letter(axes),
                target=quote(str(path.with_name(path.name.partition(".")[0] + "_healpix.fits"))),
                more=PLANES.format(planes) if planes > 1 else "",
            )  # fmt: skip
            return f"the map {path} is an image ({axes}), and no HEALPix table; {told}"
    return f"the map {path} has no binary table; write it with healpy.write_map"


def _is_image_of_the_sky(unit: Any) -> bool:
    axes = str(unit.header.get("CTYPE1", ""))
    return bool(getattr(unit, "is_image", False) and unit.header.get("NAXIS", 0) >= 2 and axes[4:5] == "-")


def _letter(axis: str) -> str:
    return {"GLON": "G", "GLAT": "G", "ELON": "E", "ELAT": "E"}.get(axis[:4], "C")


def _is_hermes(header: Any) -> bool:
    return str(header.get("SOFTWARE", "")).strip().upper() == "HERMES"


def _unit_of_energy(header: Any, *, hermes: bool) -> str:
    """The unit of the card ENERGY: as its comment begins with it, by the standard; HERMES writes J."""
    found = UNIT_IN_COMMENT.match(str(header.comments["ENERGY"]))
    return found[1] if found else "J" if hermes else ""


def _one_table_per_energy(tables: list[Any], layouts: list[Layout], said: Said, *, hermes: bool) -> Stored:
    kind = f"{KIND}, one table per energy"
    parts = [from_table(table, layout, said) for table, layout in zip(tables, layouts, strict=True)]
    stated = parts[0].stated
    faults = tuple(dict.fromkeys(fault for part in parts for fault in part.faults))
    if len({part.n_pixels for part in parts}) > 1:
        faults = (*faults, "its tables differ in nside")
    if not all("ENERGY" in table.header for table in tables):
        listed = ", ".join(table.name or "no name" for table in tables[:8])
        faults = (
            *faults,
            f"it has {len(tables)} HEALPix tables, not each with the card ENERGY; say hdu=NAME (or number) of one "
            f"({listed}), or add it",
        )
    if faults:
        return Stored(kind, stated=stated, faults=faults, uses=USES)
    if len({tuple(sorted(part.stated.items())) for part in parts}) > 1:
        return Stored(kind, stated=stated, faults=("its tables differ in ordering, frame or units",), uses=USES)
    units = {_unit_of_energy(table.header, hermes=hermes) for table in tables}
    if len(units) > 1:
        return Stored(kind, stated=stated, faults=("its tables differ in the unit of ENERGY",), uses=USES)
    unit, energies = _energies_of(tables, units.pop())
    return Stored(
        "HERMES FITS" if hermes else kind,
        parts[0].n_pixels,
        len(parts),
        lambda a, b: np.concatenate([part.values(a, b) for part in parts], axis=1),
        stated | ({"energies_unit": unit} if unit else {}),
        energies=energies,
        uses=USES,
        gaps=tuple(dict.fromkeys(gap for part in parts for gap in part.gaps)),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def _energies_of(tables: list[Any], unit: str) -> tuple[str, Any]:
    """Unit and values of the cards ENERGY, which may be numbers or words with a unit, such as '100 TeV'."""
    found = [table.header["ENERGY"] for table in tables]
    if all(isinstance(energy, str) for energy in found):
        return "GeV", np.array([read_energy(energy, []) for energy in found])
    return unit, np.array([float(energy) for energy in found])


def _with_energies(stored: Stored, table: Any, layout: Layout) -> Stored:
    """The energies of the second table: one column, or the lower and upper edges of the bins."""
    if faults := row_faults(table) or _too_long(table):
        return replace(stored, faults=(*stored.faults, *faults))
    names = {name.upper(): name for name in table.columns.names}
    found = _energy_columns(table, names)
    if len(found) != 1:
        listed = ", ".join(column for [column] in found) or "none"
        fault = f"its table {table.name} does not show which column has the energies ({listed}); name it ENERGY"
        return replace(stored, faults=(*stored.faults, fault))
    energies, unit = _one_energy_each(table, found[0])
    if any(low in names for low, _ in BOUNDS):
        stored.stated["bins"] = "centres"
    said = names.get(NODE_COLUMN)
    nodes = np.empty(0, dtype=bool) if said is None else np.asarray(table.data[said], dtype=bool)
    if len(energies) == len(layout.every) != len(layout.values):  # some of the columns were chosen
        some = [layout.every.index(name) for name in layout.values]
        energies, nodes = energies[some], nodes[some] if len(nodes) else nodes
    return replace(
        stored,
        kind=stored.kind + f" with {table.name.upper()}",
        stated=stored.stated | ({"energies_unit": unit} if unit else {}),
        energies=energies,
        nodes=nodes,
    )


def _energy_columns(table: Any, names: dict[str, str]) -> list[list[str]]:
    """What may be the energies: one column, or the lower and upper edges of bins; one candidate where it is clear."""
    if found := [[names[name]] for name in ENERGY_COLUMNS if name in names]:
        return found[:1]
    if found := [[names[low], names[high]] for low, high in BOUNDS if low in names and high in names]:
        return found[:1]
    numbers = [name for key, name in names.items() if key not in (NODE_COLUMN, "CHANNEL") and is_number(table, name)]
    with_unit = [name for name in numbers if _unit_of(table, name) in ENERGY_UNITS]
    return [[name] for name in (with_unit if len(with_unit) == 1 else numbers)]


def _one_energy_each(table: Any, columns: list[str]) -> tuple[Any, str]:
    """Energies and their unit, '' where none is stated; of edges their geometric means, each edge in its own unit."""
    unit, *other = [_unit_of(table, name) for name in columns]
    low, *high = [np.asarray(table.data[name], np.float64).ravel() for name in columns]
    if not high:
        return low, unit
    factor = ENERGY_UNITS.get(other[0], 1.0) / ENERGY_UNITS.get(unit, 1.0) if other[0] != unit else 1.0
    return np.sqrt(low * high[0] * factor), unit


def _unit_of(table: Any, name: str) -> str:
    return str(table.columns[name].unit or "").strip() or unit_in(name, ENERGY_UNITS)


def _too_long(table: Any) -> list[str]:
    rows = int(table.header["NAXIS2"])
    return [f"its table {table.name} has {rows} rows, expected at most {MOST_ENERGIES}"] if rows > MOST_ENERGIES else []
