"""Maps from HDF5 files; that of KRA-gamma as the reader in IceCube's toise takes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nuanalysis.deferred import h5py
from nuanalysis.errors import InputError
from nuanalysis.sky.templates._formats import KEYS, KRA_GAMMA_UNITS, Stored, array_like, as_text, may_be_energies
from nuanalysis.sky.templates._healpix import is_healpix_size
from nuanalysis.sky.templates._said import Said, read_nside

ATTRIBUTES = tuple(key for key in KEYS if key not in ("energies", "map", "nside"))  # of HDF5 files
KRA_GAMMA_ENERGIES = 171


@contextmanager
def open_hdf5(path: Path, said: Said) -> Iterator[Stored]:
    """The map in an HDF5 file, readable inside the ``with`` block."""
    try:
        with h5py.File(path, "r") as file:
            yield _from_hdf5(file, said)
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"the map {path} is not readable HDF5: {error}; write it with h5py") from error


def _from_hdf5(file: Any, said: Said) -> Stored:
    found: dict[str, Any] = {}
    file.visititems(lambda name, node: found.update({name: node}) if isinstance(node, h5py.Dataset) else None)
    flux, asked_map = found.get("flux"), said.word("map")
    if flux is not None and flux.dtype.names and "value" in flux.dtype.names and not asked_map:
        return _kra_gamma(flux, said)
    uses = ("map", "energies")
    numbers = {name: node for name, node in found.items() if node.dtype.kind in "fiu"}
    maps = {name: node for name, node in numbers.items() if node.ndim <= 2 and any(map(is_healpix_size, node.shape))}
    # The one with the most values: a list of energies may by chance have the length of a small map.
    most = max((node.size for node in maps.values()), default=0)
    largest = [name for name, node in maps.items() if node.size == most]
    name = asked_map.strip("/") or (largest[0] if len(largest) == 1 else "")
    if name not in numbers:
        why = f"it has no dataset '{asked_map}'" if asked_map else "its datasets do not show which of them is the map"
        listed = ", ".join(f"/{n} {node.shape}" for n, node in list(found.items())[:8])
        return Stored("HDF5", faults=(f"{why}; say map=/PATH (found {listed or 'none'})",), uses=uses)
    chosen = numbers[name]
    lists = {
        n: np.asarray(node[()]) for n, node in numbers.items() if n != name and node.ndim == 1 and node.size < 4096
    }
    asked = "" if said.n_listed else said.word("energies").strip("/")
    stored = array_like("HDF5", chosen, said.n_listed or len(lists.get(asked, ())))
    faults, energies, unit = list(stored.faults), np.empty(0), ""
    if stored.n_energies > 1 and not said.n_listed:
        fitting = [n for n, x in lists.items() if may_be_energies(x, stored.n_energies)]
        picked = asked if asked in lists else fitting[0] if len(fitting) == 1 and not asked else ""
        if picked:
            energies, unit = lists[picked].astype(np.float64), _attribute(numbers[picked], "units", "unit")
        elif asked or fitting:
            named = ", ".join(f"/{n}" for n in fitting) or "none"
            faults.append(f"its energies are not clear; say energies=/PATH (fitting: {named})")
    stated = {key: word for key in ATTRIBUTES if (word := _attribute(chosen, key) or _attribute(file, key))}
    stated |= {"energies_unit": unit} if unit else {}
    return replace(stored, stated=stated, energies=energies, faults=tuple(faults), uses=uses)


def _attribute(node: Any, *names: str) -> str:
    for name in names:
        if name in node.attrs:
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
