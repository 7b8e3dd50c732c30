"""Maps from HDF5 files; that of KRA-gamma as the reader in IceCube's toise takes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nuanalysis.deferred import h5py
from nuanalysis.sky.templates._bounds import MAPPED, MOST_ENERGIES, guarded, map_bytes
from nuanalysis.sky.templates._formats import KEYS, KRA_GAMMA_UNITS, Stored, array_like, as_text, pick_energies, unit_in
from nuanalysis.sky.templates._healpix import is_healpix_size
from nuanalysis.sky.templates._listed import reordered
from nuanalysis.sky.templates._said import ENERGY_UNITS, Said, read_nside, read_numbers
from nuanalysis.store import MAP, hdf5_datasets, holds_numbers, parsing, refuse_size

ATTRIBUTES = tuple(key for key in KEYS if key not in ("energies", "map", "hdu", "column", "nside"))  # of HDF5 files
OTHER_NAMES = {"units": ("unit",), "flavour": ("flavor",), "frame": ("coordsys",), "energies_unit": ("energy_unit",)}
LONGEST_ATTRIBUTE = 4096  # values
KRA_GAMMA_ENERGIES = 171
UNPACKED = {"scale_factor": 1.0, "add_offset": 0.0}  # of attributes, as netCDF has them
USES = ("map", "energies")
REMEDY = "it is not readable HDF5: write it with h5py"


@contextmanager
def open_hdf5(path: Path, said: Said) -> Iterator[Stored]:
    """The map in an HDF5 file, readable inside the ``with`` block."""
    map_bytes(path)
    with parsing(path, "the map", REMEDY):
        file = h5py.File(path, "r")
    with file:
        with parsing(path, "the map", REMEDY):
            found = hdf5_datasets(file, path)
            stored = _from_hdf5(found, file, path, said)
        yield guarded(stored, path, REMEDY)


def refuse_extent(node: Any, path: Path) -> None:
    """Raise InputError for a dataset that declares more than is read of one, packed or not."""
    size = int(node.size) * node.dtype.itemsize
    refuse_size(path, "the map", size, MAPPED if node.id.get_storage_size() >= size else MAP)


def _from_hdf5(found: dict[str, Any], file: Any, path: Path, said: Said) -> Stored:
    flux = found.get("flux")
    if flux is not None and flux.dtype.names and "value" in flux.dtype.names and not said.word("map"):
        refuse_extent(flux, path)
        return _kra_gamma(flux, said)
    numbers = {name: node for name, node in found.items() if holds_numbers(node)}
    name = _map_among(numbers, said.word("map"))
    if name not in numbers:
        return Stored("HDF5", faults=(_no_map(found, said.word("map")),), uses=USES, unchosen=True)
    chosen = numbers[name]
    refuse_extent(chosen, path)
    lists = {
        n: np.asarray(node[()])
        for n, node in numbers.items()
        if n != name and node.ndim == 1 and node.size < MOST_ENERGIES
    }
    asked = "" if said.n_listed else said.word("energies").strip("/")
    stored = array_like("HDF5", chosen, said.n_listed or len(lists.get(asked, ())))
    faults, energies, unit = list(stored.faults), np.empty(0), ""
    if stored.n_energies > 1 and not said.n_listed:
        fitting = pick_energies(lists, stored.n_energies)
        picked = asked if asked in lists else fitting[0] if len(fitting) == 1 and not asked else ""
        if picked:
            energies, unit = lists[picked].astype(np.float64), _unit_of(numbers[picked], picked)
        elif asked or fitting:
            named = ", ".join(f"/{n}" for n in fitting) or "none"
            faults.append(f"its energies are not clear; say energies=/PATH (fitting: {named})")
    stated = _stated(chosen, file) | ({"energies_unit": unit} if unit else {})
    faults += _packed(chosen, name) + _out_of_order(numbers, name, stored.n_pixels)
    return replace(_with_missing(stored, chosen), stated=stated, energies=energies, faults=tuple(faults), uses=USES)


def _packed(chosen: Any, name: str) -> list[str]:
    """The fault of a dataset whose attributes say that its numbers are no values yet (the conventions of netCDF)."""
    words = {key: _attribute(chosen, key) for key in UNPACKED}
    packed = [key for key, word in words.items() if word and float(word) != UNPACKED[key]]
    return [f"/{name} is packed by its attribute {' and '.join(packed)}; write the values themselves"] * bool(packed)


def _out_of_order(numbers: dict[str, Any], name: str, n_pixels: int) -> list[str]:
    """The fault of a map beside which a list counts its values in another order: as pixels."""
    lists = [n for n, node in numbers.items() if n != name and node.shape == (n_pixels,)]
    return [
        f"/{n} counts the values of /{name} in another order, as pixels; write map[order] in place of the map, with "
        f"order = numpy.argsort(file['{n}']), and take /{n} out"
        for n in lists
        if reordered(np.asarray(numbers[n][()]))
    ]


def _with_missing(stored: Stored, chosen: Any) -> Stored:
    """The same with NaN where an attribute says that a number stands for no value (the conventions of netCDF)."""
    words = (_attribute(chosen, key) for key in ("_FillValue", "missing_value"))
    gone = [one for word in words if word and (one := read_numbers(word)) is not None]
    if not gone:
        return stored

    def values(start: int, stop: int) -> Any:
        found = np.asarray(stored.values(start, stop), dtype=np.float64)
        return np.where(np.isin(found, np.concatenate(gone)), np.nan, found)

    return replace(stored, values=values)


def _map_among(numbers: dict[str, Any], asked: str) -> str:
    """The path of the map: the one that is asked for, or else the one with the most values; '' where several have."""
    maps = {name: node for name, node in numbers.items() if node.ndim <= 2 and any(map(is_healpix_size, node.shape))}
    # A list of energies may by chance have the length of a small map.
    most = max((node.size for node in maps.values()), default=0)
    largest = [name for name, node in maps.items() if node.size == most]
    return asked.strip("/") or (largest[0] if len(largest) == 1 else "")


def _no_map(found: dict[str, Any], asked: str) -> str:
    listed = ", ".join(f"/{n} {node.shape}" for n, node in list(found.items())[:8])
    why = f"it has no dataset '{asked}'" if asked else "its datasets do not show which of them is the map"
    if asked.strip("/") in found:
        why = f"its dataset '{asked}' holds no plain real numbers (an enumeration, text, lists, references?)"
    return f"{why}; say map=/PATH (found {listed or 'none'})"


def _unit_of(energies: Any, name: str) -> str:
    return _attribute(energies, "units", "unit") or unit_in(name.rpartition("/")[2], ENERGY_UNITS)


def _stated(chosen: Any, file: Any) -> dict[str, str]:
    """What attributes of the map, or else of the file, say by key."""
    names = {key: (key, *OTHER_NAMES.get(key, ())) for key in ATTRIBUTES}
    return {
        key: word for key, known in names.items() if (word := _attribute(chosen, *known) or _attribute(file, *known))
    }


def _attribute(node: Any, *names: str) -> str:
    for name in names:
        if name in node.attrs and (
            node.attrs.get_id(name).get_space().get_simple_extent_npoints() <= LONGEST_ATTRIBUTE
        ):
            value = node.attrs[name]
            return (value.decode() if isinstance(value, bytes) else as_text(value)).strip()
    return ""


def _kra_gamma(flux: Any, said: Said) -> Stored:
    """The KRA-gamma file of Gaggero et al.: a flat table, index = energy bin * n_pixels + pixel, 10 GeV * 1.1^bin."""
    kind, size, nside = "KRA-gamma HDF5", flux.shape[0], read_nside(said, 0)
    n_energies = said.n_listed or (size // (12 * nside**2) if nside else KRA_GAMMA_ENERGIES)
    n_pixels, rest = divmod(size, max(n_energies, 1))
    if rest or not is_healpix_size(n_pixels):
        fault = f"/flux has {size} values, expected {n_energies} energies times 12 nside^2; say nside=..."
        return Stored(kind, faults=(fault,), uses=("nside",))
    if flux.ndim != 1 or flux.dtype["value"].kind != "f":
        return Stored(kind, faults=(f"/flux has shape {flux.shape} of {flux.dtype}, expected one row a value",))
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
