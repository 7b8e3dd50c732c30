"""A user's own map as a template: HEALPix FITS, or a .npy array with its frame and ordering said.

Nothing is guessed: a map whose frame or ordering is not stated is refused, with every other fault in the same message.
The map may be in any unit per solid angle (or per pixel: they are equal): it is scaled to integrate to one.
Maps with an energy axis are refused for now; the message says how to reduce one.
"""

from __future__ import annotations

import gzip
import hashlib
import tomllib
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.sky._records import PowerLaw, Template, factorised
from nuanalysis.sky.templates._healpix import (
    Floats,
    normalised,
    refuse,
    to_equatorial,
    to_ring,
    value_faults,
)

PREFIX = "template:"
DEFAULT_INDEX = 2.7
GZIP_MAGIC = b"\x1f\x8b"
FRAMES = {
    "equatorial": "equatorial", "icrs": "equatorial", "celestial": "equatorial", "equ": "equatorial",
    "c": "equatorial", "q": "equatorial", "galactic": "galactic", "gal": "galactic", "g": "galactic",
}  # fmt: skip
ORDERINGS = {"ring": "ring", "nested": "nested", "nest": "nested"}
HOW_TO_SAY = (
    "Correct the map; say what is missing as frame='equatorial'|'galactic' and ordering='ring'|'nested': as keywords, "
    "in the name ('template:map.npy?frame=galactic&ordering=ring'), in the FITS header (COORDSYS, ORDERING), or, "
    "beside a .npy file, in a .toml file of the same name."
)
HOW_TO_REDUCE = (
    "reduce a (pixel, energy) map to one map per file: the sum over energy of the flux times the width of each energy "
    "bin, or the slice at the energy that matters, map[:, k]; give the spectrum as an index"
)


@dataclass(frozen=True, slots=True)
class MapFile:
    """A map file and what was said about it; '' where nothing was said."""

    path: Path
    frame: str = ""
    ordering: str = ""
    index: float = DEFAULT_INDEX


@dataclass(frozen=True, slots=True, eq=False)
class _Raw:
    """What one file holds: values as stored, and what the file itself states (frame, ordering, nside)."""

    values: NDArray[np.generic]
    stated: dict[str, str]
    faults: tuple[str, ...] = ()


def parse(text: str) -> MapFile:
    """The file named by 'template:FILE?frame=...&ordering=...&index=...'; prefix and query may be absent.

    Raises InputError for an unknown or repeated key, an unknown frame or ordering, or an index that is no number.
    """
    name, _, query = text.removeprefix(PREFIX).partition("?")
    try:
        pairs = parse_qsl(query, strict_parsing=True, keep_blank_values=True) if query else []
    except ValueError as error:
        raise InputError(f"'{text}' cannot be read: {error}; expected FILE?key=value&key=value") from error
    said: dict[str, str] = {}
    for key, value in pairs:
        if key not in ("frame", "ordering", "index"):
            raise InputError(f"'{text}' says '{key}'.{did_you_mean(key, ('frame', 'ordering', 'index'))}")
        if key in said:
            raise InputError(f"'{text}' says '{key}' twice; say it once")
        said[key] = value
    for key, known in (("frame", FRAMES), ("ordering", ORDERINGS)):
        if key in said and said[key].lower() not in known:
            raise InputError(f"'{text}' says {key}={said[key]}.{did_you_mean(said[key], known)}")
    if not name:
        raise InputError(f"'{text}' names no file; expected {PREFIX}FILE")
    return MapFile(
        Path(name), said.get("frame", ""), said.get("ordering", ""), _index(said.get("index", DEFAULT_INDEX))
    )


def read(file: MapFile) -> Template:
    """The template of a parsed file reference; see ``read_template``."""
    return read_template(file.path, frame=file.frame or None, ordering=file.ordering or None, index=file.index)


def read_template(
    path: str | Path, *, frame: str | None = None, ordering: str | None = None, index: float = DEFAULT_INDEX
) -> Template:
    """A template from a user's HEALPix map.

    path     : .fits, .fit or .fits.gz (one full-sky column; ORDERING and COORDSYS in the header) or .npy (one axis).
    frame    : 'equatorial' (ICRS) or 'galactic'; needed where the file does not state it.
    ordering : 'ring' or 'nested'; needed where the file does not state it.
    index    : spectral index of the power law it is tested with, between 0 and 10.
    The map may be in any unit per sr; it is scaled to integrate to one.  A Galactic map is turned to equatorial pixel
    by pixel, keeping its resolution.  Name: the file's stem; sha256: of the file's bytes.
    Raises InputError that lists all faults: unreadable, energy axis, wrong size, NaN, negative or UNSEEN pixels, all
    zero, frame or ordering missing, unknown or contradicted.
    """
    path = Path(path)
    index = _index(index)
    content = _content(path)
    raw = _raw(path, content)
    faults = list(raw.faults)
    values = _one_axis(raw.values, faults)
    settled_frame = _settle("frame", frame, raw.stated.get("frame"), FRAMES, faults)
    settled_ordering = _settle("ordering", ordering, raw.stated.get("ordering"), ORDERINGS, faults)
    refuse(f"the map {path}", faults, HOW_TO_SAY)
    ring = values if settled_ordering == "ring" else to_ring(values)
    density = normalised(ring)
    if settled_frame == "galactic":
        density = normalised(to_equatorial(density))
    density.flags.writeable = False
    name = _stem(path)
    maps, log10_energy = factorised(density)
    return Template(
        name=name,
        label=name,
        maps=maps,
        log10_energy=log10_energy,
        spectrum=PowerLaw(index),
        origin="user file",
        reference=f"user file {path.name}, {settled_frame} {settled_ordering}, relative density scaled to one",
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"the map {path} cannot be read: {error.strerror or error}; check the name") from error


def _raw(path: Path, content: bytes) -> _Raw:
    name = path.name.lower()
    if name.endswith(".npy"):
        return _raw_npy(path, content)
    if name.endswith((".fits", ".fit", ".fits.gz")):
        return _raw_fits(path, content)
    raise InputError(f"the map {path} ends in neither .fits, .fit, .fits.gz nor .npy; save it as one of these")


def _raw_npy(path: Path, content: bytes) -> _Raw:
    try:
        values = np.load(BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"the map {path} is not a plain NumPy array: {error}; write it with numpy.save") from error
    return _Raw(np.asarray(values), _sidecar(path.with_suffix(".toml")))


def _sidecar(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f'{path} is not TOML: {error}; expected frame = "..." and ordering = "..."') from error
    for key in said:
        if key not in ("frame", "ordering"):
            raise InputError(f"{path} says '{key}'.{did_you_mean(key, ('frame', 'ordering'))}")
    return {key: str(value) for key, value in said.items()}


def _raw_fits(path: Path, content: bytes) -> _Raw:
    try:
        plain = gzip.decompress(content) if content.startswith(GZIP_MAGIC) else content
        with warnings.catch_warnings():
            warnings.simplefilter("error", AstropyWarning)
            with fits.open(BytesIO(plain), memmap=False) as units:
                table = next((unit for unit in units if isinstance(unit, fits.BinTableHDU)), None)
                if table is None:
                    raise InputError(f"the map {path} has no binary table; write it with healpy.write_map")
                return _from_table(table)
    except (OSError, ValueError, TypeError, KeyError, IndexError, EOFError, zlib.error, AstropyWarning) as error:
        raise InputError(f"the map {path} is not readable FITS: {error}; write it with healpy.write_map") from error


def _from_table(table: fits.BinTableHDU) -> _Raw:
    header = table.header
    columns = [np.asarray(table.data[name]) for name in table.columns.names]
    stated = {
        key: str(header[card]).strip()
        for key, card in (("frame", "COORDSYS"), ("ordering", "ORDERING"))
        if str(header.get(card, "")).strip()
    }
    if str(header.get("INDXSCHM", "IMPLICIT")).strip().upper() == "EXPLICIT" or header.get("OBJECT") == "PARTIAL":
        return _Raw(np.empty(0), stated, ("it covers part of the sky (INDXSCHM EXPLICIT); fill the rest with 0",))
    nside = header.get("NSIDE")
    if not isinstance(nside, int):
        return _Raw(columns[0].ravel(), stated, (f"its header has NSIDE = {nside!r}, expected a number",))
    n_energies, rest = divmod(sum(column.size for column in columns), 12 * nside**2)
    if rest == 0 and n_energies > 1:
        return _Raw(np.empty((12 * nside**2, n_energies)), stated)
    return _Raw(np.concatenate([column.ravel() for column in columns]), stated)


def _one_axis(values: NDArray[np.generic], faults: list[str]) -> Floats:
    """The values as (pixel,) float64; whatever is wrong with them is added to ``faults``."""
    if values.ndim != 1:
        faults.append(f"it has {values.ndim} axes, shape {values.shape}, expected one value per pixel; {HOW_TO_REDUCE}")
        return np.empty(0)
    if values.dtype.kind not in "fiu":
        faults.append(f"it holds {values.dtype}, expected real numbers")
        return np.empty(0)
    plain = values.astype(np.float64)
    if len(plain) or not faults:
        faults += value_faults(plain)
    return plain


def _settle(key: str, said: str | None, stated: str | None, known: dict[str, str], faults: list[str]) -> str:
    """The one value of 'frame' or 'ordering' that caller and file agree on; a fault where there is none."""
    words = [word for word in (said, stated) if word]
    unknown = [word for word in words if word.lower() not in known]
    faults += [f"its {key} is said to be '{word}', expected one of {', '.join(known)}" for word in unknown]
    found = sorted({known[word.lower()] for word in words if word.lower() in known})
    if not words:
        faults.append(f"its {key} is not stated")
    if len(found) > 1:
        faults.append(f"its {key} is '{stated}' in the file and '{said}' in the call; they must agree")
    return found[0] if found else ""


def _index(value: str | float) -> float:
    try:
        index = float(value)
    except ValueError as error:
        raise InputError(f"the spectral index '{value}' is not a number; expected one between 0 and 10") from error
    if not 0.0 <= index <= 10.0:
        raise InputError(f"the spectral index is {index:g}; expected a number between 0 and 10")
    return index


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return Path(name).stem
