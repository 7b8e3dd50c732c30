"""What a map file holds, whatever its format: values by field of the sky, and what the file states about itself."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.schema import Bools, Floats
from nuanalysis.sky.templates._healpix import is_healpix_size, size_faults
from nuanalysis.store import read_toml

FITS_ENDINGS = (".fits", ".fit", ".fits.gz", ".fit.gz")
NPY_ENDINGS = (".npy", ".npy.gz")
HDF5_ENDINGS = (".h5", ".hdf5", ".hd5", "_hd5")
POINT_ENDINGS = (".csv", ".ecsv")
ENDINGS = (*FITS_ENDINGS, *NPY_ENDINGS, *HDF5_ENDINGS, *POINT_ENDINGS)

KEYS = (
    "frame", "ordering", "units", "flavour", "energy", "index", "energies", "energies_unit", "bins", "map", "hdu",
    "column", "nside", "fill", "sure",
)  # fmt: skip
KRA_GAMMA_UNITS = "GeV-1 cm-2 s-1 sr-1"
UNIT_AT_THE_END = re.compile(r"(?:^|[\s_(\[])([a-zA-Z]{1,3})[)\]]?\s*$")
FILL = "put 0 where nothing shines, by fill=0"


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
    uses          : which of map, nside, hdu, column and (as the path of a dataset) energies the reader asks for.
    columns       : by name, where a map was not told from maps at several energies.
    gaps          : which pixels the file has no values for, in words; ``values`` has 0 there, and somebody must say so.
    unchosen      : which of several maps is meant is not known, and so what the file states is not known either.
    mixed         : values are of pixels of several sizes, so that none can be the sum over a pixel of the map.
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
    nodes: Bools = field(default_factory=lambda: np.empty(0, dtype=bool))
    uses: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    unchosen: bool = False
    mixed: bool = False

    def rising(self) -> Stored:
        """The same with the maps in the order of their energies, where the file gives each map its own."""
        energies = self.energies
        if not len(energies) or not np.all(np.isfinite(energies)) or np.all(np.diff(energies) > 0):
            return self
        order: Any = np.argsort(energies, kind="stable")
        if len(energies) == self.n_energies + 1 and np.all(np.diff(energies) < 0):
            of_maps = slice(None, None, -1)  # edges of bins
        elif len(energies) == self.n_energies:
            of_maps = order
        else:
            return self
        return replace(
            self,
            values=lambda a, b: np.asarray(self.values(a, b))[:, of_maps],
            energies=energies[order],
            nodes=self.nodes[order] if len(self.nodes) else self.nodes,
            notes=(*self.notes, "its energies do not rise: sorted, each with its map"),
        )


def sidecar(path: Path) -> dict[str, str]:
    """What the .toml file beside a map says, lists of numbers as text; empty where there is none."""
    name = path.name
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
            break
    beside = path.with_name(name + ".toml")
    if not os.path.lexists(beside):
        return {}
    remedy = 'what stands there is not TOML, expected lines such as frame = "galactic"'
    said = read_toml(beside, "the file beside the map,", remedy)
    for key, value in said.items():
        if key not in KEYS:
            raise InputError(f"{beside} says '{key}'.{did_you_mean(key, KEYS)}")
        if not isinstance(value, str | int | float) and not _is_list(value):
            raise InputError(f"{beside} says {key} = {value!s:.80}; expected a word, a number or a list of numbers")
    return {key: as_text(value).strip() for key, value in said.items()}


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(x, str | float | int) for x in value)


def as_text(value: object) -> str:
    """A value as one writes it in a query: lists of numbers separated by commas."""
    if isinstance(value, str):
        return value
    if isinstance(value, np.ndarray | list | tuple):
        return ",".join(repr(float(x)) if not isinstance(x, str) else x for x in value)
    return repr(float(value)) if isinstance(value, np.floating) else str(value)


def array_like(kind: str, node: Any, n_energies: int) -> Stored:
    """The map in an array, or in a dataset of a file: (pixel,), (pixel, energy) or (energy, pixel).

    n_energies : as far as they are known, 0 if not; of two axes it tells which is theirs where both could be pixels.
    """
    if node.ndim == 1:
        return Stored(kind, len(node), values=lambda a, b: node[a:b][:, None], faults=tuple(size_faults(len(node))))
    if node.ndim != 2:
        fault = f"it has {node.ndim} axes, shape {node.shape}, expected (pixel,), (pixel, energy) or the reverse"
        return Stored(kind, faults=(fault,))
    pixels = [axis for axis in (0, 1) if is_healpix_size(node.shape[axis])]
    if len(pixels) == 2 and n_energies:
        pixels = [axis for axis in pixels if node.shape[1 - axis] in (n_energies, n_energies - 1)] or pixels
    if len(pixels) != 1:
        why = "both could be the pixels: give the energies" if pixels else "neither is 12 nside^2, nside a power of two"
        return Stored(kind, faults=(f"it has 2 axes, shape {node.shape}, and {why}",))
    n_pixels, n_maps = node.shape if pixels == [0] else node.shape[::-1]
    return Stored(kind, n_pixels, n_maps, lambda a, b: node[a:b] if pixels == [0] else node[:, a:b].T)


def unit_in(name: str, known: Iterable[str]) -> str:
    """The unit that a name is, or ends in, as 'MeV', 'Energy [MeV]' or 'energy_MeV'; '' where there is none."""
    found = UNIT_AT_THE_END.search(name)
    return found[1] if found and found[1] in known else ""


def may_be_energies(array: NDArray[Any], n_energies: int, *, rising: bool = True) -> bool:
    """Whether an array could be the energies of so many maps, or the edges of their bins, ``rising`` or not."""
    if array.ndim != 1 or array.dtype.kind not in "fiu" or len(array) not in (n_energies, n_energies + 1):
        return False
    values = array.astype(np.float64) if rising else np.sort(array.astype(np.float64))
    return bool(len(array) > 1 and values[0] > 0 and np.all(np.diff(values) > 0) and np.isfinite(values[-1]))


def pick_energies(lists: Mapping[str, NDArray[Any]], n_energies: int) -> list[str]:
    """Which of the lists could be the energies: those that rise or, where none does, those in any order."""
    for rising in (True, False):
        if found := [name for name, one in lists.items() if may_be_energies(one, n_energies, rising=rising)]:
            return found
    return []
