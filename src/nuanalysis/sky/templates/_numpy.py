"""Maps from NumPy files: a plain array, or the pickled tuple of the KRA-gamma ``.tuple.npy`` files."""

from __future__ import annotations

import gzip
import pickle
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.errors import InputError
from nuanalysis.sky.templates._formats import KRA_GAMMA_UNITS, Hints, Stored, array_like, may_be_energies
from nuanalysis.sky.templates._pickled import read_arrays

GZIP_MAGIC = b"\x1f\x8b"
NPY_MAGIC = b"\x93NUMPY"


def read_numpy(path: Path, hints: Hints) -> Stored:
    """The map in an .npy file, gzipped or not, or in a pickled tuple of arrays."""
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
    return _tuple(array, hints) if isinstance(array, list) else stored_array(np.asarray(array), hints)


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


def _tuple(arrays: list[NDArray[Any]], hints: Hints) -> Stored:
    """The tuple of KRA-gamma: flux (pixel, energy) first, and the lower edges of the energy bins.

    A public reader takes item 0 as the flux and item 3 as the lower edges in GeV, all flavours, per sr; the edges rise
    by ten per cent (physics notes, A4).
    """
    kind = "pickled tuple of NumPy arrays"
    cubes = [array for array in arrays if array.ndim == 2 and array.dtype.kind in "fiu"]
    if len(cubes) != 1:
        return Stored(kind, faults=(f"it holds {len(cubes)} arrays of two axes, expected one: the flux",))
    stored = stored_array(cubes[0], hints)
    lists = [i for i, array in enumerate(arrays) if may_be_energies(array, stored.n_energies)]
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


def stored_array(array: NDArray[Any], hints: Hints) -> Stored:
    """A map in memory."""
    kind = "NumPy array"
    if array.dtype.kind not in "fiu":
        return Stored(kind, faults=(f"it holds {array.dtype}, expected real numbers",))
    return array_like(kind, array, hints.n_energies)
