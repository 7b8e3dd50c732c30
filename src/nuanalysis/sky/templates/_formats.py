"""What a map file holds, whatever its format: values by field of the sky, and what the file states about itself.

Formats were checked against: HEALPix FITS of healpy; the gamma-astro-data-formats HEALPix page (SKYMAP with EBOUNDS in
keV, or ENERGIES); GALPROP's writer in galtoolslib 1.0 (SKYMAP2 with columns Bin0, Bin1, ..., ENERGIES or EBOUNDS; older
files have one vector column); HERMES' writer (one table per energy, Galactic RING, ENERGY in the SI unit, that is J);
the reader of the KRA-gamma HDF5 file in IceCube's toise; a public reader of the KRA-gamma ``.tuple.npy`` files.
"""

from __future__ import annotations

import gzip
import pickle
import tomllib
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import fits, h5py
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.sky.templates._healpix import Floats, is_healpix_size, size_faults
from nuanalysis.sky.templates._pickled import read_arrays

FITS_ENDINGS = (".fits", ".fit", ".fits.gz", ".fit.gz")
NPY_ENDINGS = (".npy", ".npy.gz")
HDF5_ENDINGS = (".h5", ".hdf5", ".hd5", "_hd5")
POINT_ENDINGS = (".csv", ".ecsv")
ENDINGS = (*FITS_ENDINGS, *NPY_ENDINGS, *HDF5_ENDINGS, *POINT_ENDINGS)
GZIP_MAGIC = b"\x1f\x8b"
NPY_MAGIC = b"\x93NUMPY"
NODE_COLUMN = "NODE"

KEYS = (
    "frame", "ordering", "units", "flavour", "energy", "index", "energies", "energies_unit", "bins", "map", "nside",
    "sure",
)  # fmt: skip
ATTRIBUTES = tuple(key for key in KEYS if key not in ("energies", "map", "nside"))  # of HDF5 files
HEADER_CARDS = {
    "frame": ("COORDSYS", "FRAME"), "ordering": ("ORDERING",), "units": ("UNITS", "BUNIT"),
    "flavour": ("FLAVOUR", "FLAVOR"), "index": ("INDEX",),
}  # fmt: skip
KRA_GAMMA_ENERGIES = 171
KRA_GAMMA_UNITS = "GeV-1 cm-2 s-1 sr-1"


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A map file.

    kind          : the format, in words.
    n_pixels      : 0 where the shape is at fault; no HEALPix size where the length is.
    n_energies    : 1 for a map without an energy axis.
    values        : (first pixel, last pixel + 1) -> (pixel, energy).
    stated        : what the file itself states, by key.
    conventions   : what holds in this format unless somebody says otherwise.
    energies      : (energy,) or the (energy + 1,) edges of their bins; empty where the file has none.
    nodes         : (energy,) whether the map of an energy is one of those the template was made of, as our own files
        say; empty where nothing is said.
    uses          : which of map, nside and (as the path of a dataset) energies the reader asks for.
    """

    kind: str
    n_pixels: int = 0
    n_energies: int = 1
    values: Callable[[int, int], NDArray[Any]] = lambda start, stop: np.empty((stop - start, 1))
    stated: dict[str, str] = field(default_factory=dict)
    conventions: dict[str, str] = field(default_factory=dict)
    energies: Floats = field(default_factory=lambda: np.empty(0))
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    nodes: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=bool))
    uses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hints:
    """What a reader has to be told where the file leaves it open: paths inside HDF5, nside and number of energies."""

    map: str = ""
    energies: str = ""
    nside: int = 0
    n_energies: int = 0


@contextmanager
def opened(path: Path, hints: Hints) -> Iterator[Stored]:
    """The map in a file, readable inside the ``with`` block.

    Raises InputError for a file that is missing, cut short, of no known format or holds no map.
    """
    name = path.name.lower()
    if not name.endswith(ENDINGS):
        raise InputError(f"the map {path} ends in neither {', '.join(ENDINGS[:-1])} nor {ENDINGS[-1]}; save it as one")
    if name.endswith(FITS_ENDINGS):
        with _fits(path) as stored:
            yield stored
    elif name.endswith(HDF5_ENDINGS):
        with _hdf5(path, hints) as stored:
            yield stored
    else:
        yield _npy(path, hints)


def sidecar(path: Path) -> dict[str, str]:
    """What the .toml file beside a map says, lists of numbers as text; empty where there is none."""
    name = path.name
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
            break
    beside = path.with_name(name + ".toml")
    if not beside.is_file():
        return {}
    try:
        said = tomllib.loads(beside.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f'{beside} is not TOML: {error}; expected frame = "..." and ordering = "..."') from error
    for key in said:
        if key not in KEYS:
            raise InputError(f"{beside} says '{key}'.{did_you_mean(key, KEYS)}")
    return {key: as_text(value).strip() for key, value in said.items()}


def as_text(value: object) -> str:
    """A value as one writes it in a query: lists of numbers separated by commas."""
    if isinstance(value, str):
        return value
    if isinstance(value, np.ndarray | list | tuple):
        return ",".join(repr(float(x)) if not isinstance(x, str) else x for x in value)
    return repr(float(value)) if isinstance(value, np.floating) else str(value)


# --- NumPy -------------------------------------------------------------------------------------------------------


def _npy(path: Path, hints: Hints) -> Stored:
    try:
        with path.open("rb") as stream:
            magic = stream.read(len(NPY_MAGIC))
        if magic.startswith(GZIP_MAGIC):
            content = BytesIO(gzip.decompress(path.read_bytes()))
            array = _array_or_arrays(content)
        elif magic == NPY_MAGIC and not _is_object_array(path):
            array = np.load(path, mmap_mode="r" if path.stat().st_size > 1 << 24 else None, allow_pickle=False)
        else:
            with path.open("rb") as stream:
                array = _array_or_arrays(BytesIO(stream.read()))
    except OSError as error:
        if error.errno:
            raise InputError(f"the map {path} cannot be read: {error.strerror or error}; check the name") from error
        raise _not_numpy(path, error) from error
    except (ValueError, EOFError, zlib.error, pickle.UnpicklingError) as error:
        raise _not_numpy(path, error) from error
    return _tuple(array, hints) if isinstance(array, list) else _array(np.asarray(array), hints)


def _not_numpy(path: Path, error: Exception) -> InputError:
    return InputError(f"the map {path} is not a plain NumPy array: {error}; write it with numpy.save")


def _is_object_array(path: Path) -> bool:
    with path.open("rb") as stream:
        return bool(_header_dtype(stream).hasobject)


def _header_dtype(stream: Any) -> np.dtype[Any]:
    """The type in the header of an .npy stream, which is left at its first value."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return np.dtype(read(stream)[2])


def _array_or_arrays(content: BytesIO) -> NDArray[Any] | list[NDArray[Any]]:
    """A plain array, or the arrays of a pickled tuple (an .npy object array or a bare pickle)."""
    if content.getvalue()[: len(NPY_MAGIC)] == NPY_MAGIC:
        if not _header_dtype(content).hasobject:
            content.seek(0)
            return np.asarray(np.load(content, allow_pickle=False))
        return read_arrays(content)
    try:
        return read_arrays(content)
    except pickle.UnpicklingError as error:
        raise ValueError(f"it is no .npy file, and as a pickle: {error}") from error


def _array(array: NDArray[Any], hints: Hints) -> Stored:
    kind = "NumPy array"
    if array.dtype.kind not in "fiu":
        return Stored(kind, faults=(f"it holds {array.dtype}, expected real numbers",))
    if array.ndim == 1:
        faults = tuple(size_faults(len(array)))
        return Stored(kind, len(array), 1, lambda a, b: array[a:b, None], faults=faults)
    return _two_axes(kind, array.shape, lambda a, b: array[a:b], lambda a, b: array[:, a:b].T, hints.n_energies)


def _two_axes(
    kind: str, shape: tuple[int, ...], rows: Callable[[int, int], Any], columns: Callable[[int, int], Any], known: int
) -> Stored:
    """A (pixel, energy) or (energy, pixel) array: the pixels are the axis whose length a HEALPix map can have."""
    if len(shape) != 2:
        return Stored(
            kind,
            faults=(f"it has {len(shape)} axes, shape {shape}, expected (pixel,), (pixel, energy) or the reverse",),
        )
    pixels = [axis for axis in (0, 1) if is_healpix_size(shape[axis])]
    if len(pixels) == 2:
        # The number of energies tells which axis is theirs.
        pixels = [axis for axis in pixels if shape[1 - axis] in (known, known - 1) and known] or pixels
    if len(pixels) != 1:
        why = "both could be the pixels: give the energies" if pixels else "neither is 12 nside^2, nside a power of two"
        return Stored(kind, faults=(f"it has 2 axes, shape {shape}, and {why}",))
    [axis] = pixels
    return Stored(kind, shape[axis], shape[1 - axis], columns if axis else rows)


def _tuple(arrays: list[NDArray[Any]], hints: Hints) -> Stored:
    """The tuple of KRA-gamma: flux (pixel, energy) first, and the lower edges of the energy bins.

    A public reader takes item 0 as the flux and item 3 as the lower edges in GeV, all flavours, per sr; the edges rise
    by ten per cent (physics notes, A4).
    """
    kind = "pickled tuple of NumPy arrays"
    cubes = [array for array in arrays if array.ndim == 2 and array.dtype.kind in "fiu"]
    if len(cubes) != 1:
        return Stored(kind, faults=(f"it holds {len(cubes)} arrays of two axes, expected one: the flux",))
    stored = _array(cubes[0], hints)
    lists = [i for i, array in enumerate(arrays) if _may_be_energies(array, stored.n_energies)]
    if len(lists) > 1 and 3 in lists:
        lists = [3]
    faults = stored.faults
    if len(lists) != 1 and not hints.n_energies and not faults:
        faults = (f"it holds {len(lists)} lists that could be its {stored.n_energies} energies; say energies=...",)
    return Stored(
        kind,
        stored.n_pixels,
        stored.n_energies,
        stored.values,
        conventions={"units": KRA_GAMMA_UNITS, "flavour": "all-flavours", "energies_unit": "GeV", "bins": "edges"},
        energies=np.asarray(arrays[lists[0]], np.float64) if len(lists) == 1 else np.empty(0),
        faults=faults,
    )


def _may_be_energies(array: NDArray[Any], n_energies: int) -> bool:
    if array.ndim != 1 or array.dtype.kind not in "fiu" or len(array) not in (n_energies, n_energies + 1):
        return False
    return bool(len(array) > 1 and array[0] > 0 and np.all(np.diff(array.astype(np.float64)) > 0))


# --- FITS --------------------------------------------------------------------------------------------------------


@contextmanager
def _fits(path: Path) -> Iterator[Stored]:
    from astropy.utils.exceptions import AstropyWarning  # with astropy, 0.2 s that no other format has to wait for

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
    if _is_partial(maps[0].header):
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


def _is_partial(header: Any) -> bool:
    scheme = str(header.get("INDXSCHM", "IMPLICIT")).strip().upper()
    return scheme != "IMPLICIT" or str(header.get("OBJECT", "")).strip().upper() == "PARTIAL"


def _is_hermes(header: Any) -> bool:
    return str(header.get("SOFTWARE", "")).strip().upper() == "HERMES"


def _from_table(table: Any, stated: dict[str, str]) -> Stored:
    kind, nside = "HEALPix FITS", table.header.get("NSIDE")
    columns = [np.asarray(table.data[name]) for name in table.columns.names]
    if not isinstance(nside, int):
        return Stored(kind, stated=stated, faults=(f"its header has NSIDE = {nside!r}, expected a number",))
    if any(column.dtype.kind not in "fiu" for column in columns):
        return Stored(kind, stated=stated, faults=("it has columns that are not real numbers; keep those of the map",))
    n_pixels = 12 * nside**2
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
    return Stored(
        stored.kind + f" with {table.name.upper()}",
        stored.n_pixels,
        stored.n_energies,
        stored.values,
        stored.stated | ({"energies_unit": unit} if unit else {}),
        energies=energies,
        nodes=np.empty(0, dtype=bool) if said is None else np.asarray(table.data[said], dtype=bool),
    )


# --- HDF5 --------------------------------------------------------------------------------------------------------


@contextmanager
def _hdf5(path: Path, hints: Hints) -> Iterator[Stored]:
    try:
        with h5py.File(path, "r") as file:
            yield _from_hdf5(file, hints)
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"the map {path} is not readable HDF5: {error}; write it with h5py") from error


def _from_hdf5(file: Any, hints: Hints) -> Stored:
    found: dict[str, Any] = {}
    file.visititems(lambda name, node: found.update({name: node}) if isinstance(node, h5py.Dataset) else None)
    flux = found.get("flux")
    if flux is not None and flux.dtype.names and "value" in flux.dtype.names and not hints.map:
        return _kra_gamma(flux, hints)
    numbers = {name: node for name, node in found.items() if node.dtype.kind in "fiu"}
    maps = {name: node for name, node in numbers.items() if node.ndim <= 2 and any(map(is_healpix_size, node.shape))}
    name = hints.map.strip("/") or (next(iter(_largest(maps))) if len(_largest(maps)) == 1 else "")
    if name not in numbers:
        why = f"it has no dataset '{hints.map}'" if hints.map else "its datasets do not show which of them is the map"
        listed = ", ".join(f"/{n} {node.shape}" for n, node in list(found.items())[:8])
        return Stored("HDF5", faults=(f"{why}; say map=/PATH (found {listed or 'none'})",), uses=("map", "energies"))
    chosen = numbers[name]
    lists = {
        n: np.asarray(node[()]) for n, node in numbers.items() if n != name and node.ndim == 1 and node.size < 4096
    }
    n_known = hints.n_energies or next((len(x) for n, x in lists.items() if n == hints.energies.strip("/")), 0)
    stored = _array_like(chosen, n_known)
    faults, energies, unit = list(stored.faults), np.empty(0), ""
    if stored.n_energies > 1 and not hints.n_energies:
        fitting = [n for n, x in lists.items() if _may_be_energies(x, stored.n_energies)]
        asked = hints.energies.strip("/")
        picked = asked if asked in lists else fitting[0] if len(fitting) == 1 and not asked else ""
        if picked:
            energies, unit = lists[picked].astype(np.float64), _attribute(numbers[picked], "units", "unit")
        elif asked or fitting:
            named = ", ".join(f"/{n}" for n in fitting) or "none"
            faults.append(f"its energies are not clear; say energies=/PATH (fitting: {named})")
    stated = {key: word for key in ATTRIBUTES if (word := _attribute(chosen, key) or _attribute(file, key))}
    return Stored(
        "HDF5",
        stored.n_pixels,
        stored.n_energies,
        stored.values,
        stated | ({"energies_unit": unit} if unit else {}),
        energies=energies,
        faults=tuple(faults),
        uses=("map", "energies"),
    )


def _largest(maps: dict[str, Any]) -> list[str]:
    """The datasets with the most values: a list of energies may by chance have the length of a small map."""
    most = max((node.size for node in maps.values()), default=0)
    return [name for name, node in maps.items() if node.size == most]


def _array_like(node: Any, n_energies: int) -> Stored:
    if node.ndim == 1:
        return _array_1d(node)
    return _two_axes("HDF5", node.shape, lambda a, b: node[a:b], lambda a, b: node[:, a:b].T, n_energies)


def _array_1d(node: Any) -> Stored:
    faults = tuple(size_faults(node.shape[0]))
    return Stored("HDF5", node.shape[0], 1, lambda a, b: node[a:b][:, None], faults=faults)


def _attribute(node: Any, *names: str) -> str:
    for name in names:
        if name in node.attrs:
            value = node.attrs[name]
            return (value.decode() if isinstance(value, bytes) else as_text(value)).strip()
    return ""


def _kra_gamma(flux: Any, hints: Hints) -> Stored:
    """The KRA-gamma file of Gaggero et al.: a flat table, index = energy bin * n_pixels + pixel, 10 GeV * 1.1^bin."""
    kind, size = "KRA-gamma HDF5", flux.shape[0]
    n_energies = hints.n_energies or (size // (12 * hints.nside**2) if hints.nside else KRA_GAMMA_ENERGIES)
    n_pixels, rest = divmod(size, max(n_energies, 1))
    if rest or not is_healpix_size(n_pixels):
        return Stored(
            kind,
            faults=(f"/flux has {size} values, expected {n_energies} energies times 12 nside^2; say nside=...",),
            uses=("nside",),
        )
    column = flux.fields("value")
    return Stored(
        kind,
        n_pixels,
        n_energies,
        lambda a, b: np.stack([column[k * n_pixels + a : k * n_pixels + b] for k in range(n_energies)], axis=1),
        conventions={
            "frame": "galactic", "ordering": "ring", "units": KRA_GAMMA_UNITS, "flavour": "all-flavours",
            "energies_unit": "GeV", "bins": "centres",
        },
        energies=10.0 * 1.1 ** np.arange(n_energies),
        uses=("nside",),
    )  # fmt: skip
