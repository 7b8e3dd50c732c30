"""Maps from NumPy files: a plain array, or the pickled tuple of the KRA-gamma ``.tuple.npy`` files.

A pickle may call what it names, so only five names are let through.  Each stands for a thing of ours, of which the
four that can be called build plain arrays of numbers.  None of them can be given attributes, so a pickle can neither
call nor change anything outside the arrays it returns.
"""

from __future__ import annotations

import gzip
import pickle
import zlib
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.errors import InputError
from nuanalysis.sky.templates._formats import KRA_GAMMA_UNITS, Stored, array_like, may_be_energies
from nuanalysis.sky.templates._said import Said

GZIP_MAGIC = b"\x1f\x8b"
NPY_MAGIC = b"\x93NUMPY"
MAPPED_FROM = 1 << 24  # bytes: larger files are not read into memory
Array = NDArray[Any]


def read_numpy(path: Path, said: Said) -> Stored:
    """The map in an .npy file, gzipped or not, or in a pickled tuple of arrays."""
    try:
        with path.open("rb") as stream:
            packed = stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        with BytesIO(gzip.decompress(path.read_bytes())) if packed else path.open("rb") as stream:
            array = _array_or_arrays(stream, None if packed or path.stat().st_size <= MAPPED_FROM else path)
    except OSError as error:
        if error.errno:
            raise InputError(f"the map {path} cannot be read: {error.strerror or error}; check the name") from error
        raise _not_numpy(path, error) from error
    except (ValueError, EOFError, zlib.error, pickle.UnpicklingError) as error:
        raise _not_numpy(path, error) from error
    return _tuple(array, said) if isinstance(array, list) else stored_array(np.asarray(array), said)


def _not_numpy(path: Path, error: Exception) -> InputError:
    return InputError(f"the map {path} is not a plain NumPy array: {error}; write it with numpy.save")


def _array_or_arrays(stream: IO[bytes], mapped: Path | None) -> Array | list[Array]:
    """A plain array, ``mapped`` from its file where that is large, or the arrays of a pickled tuple.

    The tuple is an .npy object array or a bare pickle.
    """
    is_npy = stream.read(len(NPY_MAGIC)) == NPY_MAGIC
    stream.seek(0)
    if not is_npy:
        try:
            return read_arrays(stream)
        except pickle.UnpicklingError as error:
            raise ValueError(f"it is no .npy file, and as a pickle: {error}") from error
    old = np.lib.format.read_magic(stream) == (1, 0)
    read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
    if np.dtype(read(stream)[2]).hasobject:
        return read_arrays(stream)
    stream.seek(0)
    loaded = np.load(mapped, mmap_mode="r") if mapped else np.load(stream, allow_pickle=False)
    return np.asarray(loaded)


# ---- pickles ------------------------------------------------------------------------------------------------------


def _dtype(name: Any, align: Any = False, copy: Any = True) -> np.dtype[Any]:
    """Stands for numpy.dtype: real numbers, or object for the outer array; always a fresh copy."""
    found = np.dtype(name.decode("latin1") if isinstance(name, bytes) else str(name))
    if found.kind not in "fiuO":
        raise pickle.UnpicklingError(f"it holds {found}, expected real numbers")
    return np.dtype(found, copy=True)  # type: ignore[call-overload, no-any-return]


def _reconstruct(kind: Any, shape: Any, typecode: Any) -> Array:
    """Stands for numpy's _reconstruct: an empty array, which the pickle then fills."""
    if kind is not _NDARRAY:
        raise pickle.UnpicklingError("it holds a class of arrays other than numpy.ndarray")
    return np.empty(0, np.int8)


def _from_buffer(buffer: Any, dtype: Any, shape: Any, order: Any) -> Array:
    """Stands for numpy's _frombuffer, by which newer pickles hold an array."""
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """Stands for codecs.encode(text, 'latin1'), by which old protocols of Python 3 hold bytes."""
    if encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}")
    return str(text).encode("latin1")


def _stand_in(function: Callable[..., Any]) -> object:
    """The function as a thing that can be given no attributes."""
    return type(function.__name__, (), {"__slots__": (), "__call__": staticmethod(function)})()


_NDARRAY = object()  # as a mark only
ALLOWED: dict[tuple[str, str], object] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _stand_in(_dtype),
    ("numpy.core.multiarray", "_reconstruct"): _stand_in(_reconstruct),
    ("numpy.core.numeric", "_frombuffer"): _stand_in(_from_buffer),
    ("_codecs", "encode"): _stand_in(_encode),
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = ALLOWED.get((module.replace("numpy._core", "numpy.core"), name))
        if known is None:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not an array of numbers")
        return known


def read_arrays(stream: IO[bytes]) -> list[Array]:
    """The arrays of a pickled tuple, list or object array.

    Raises pickle.UnpicklingError for anything else in it, before it could act, and for a pickle cut short.
    """
    try:
        # Pickles of Python 2 hold arrays as byte strings.
        content = _ArraysOnly(stream, encoding="bytes").load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle raises whatever the step it breaks in raises
        raise pickle.UnpicklingError(f"it is damaged: {error}") from error
    if isinstance(content, np.ndarray) and content.dtype.kind != "O":
        return [content]
    if not isinstance(content, list | tuple | np.ndarray):
        raise pickle.UnpicklingError(f"it holds a {type(content).__name__}, expected arrays")
    return [np.asarray(item) for item in content if isinstance(item, np.ndarray | list | tuple) and len(item)]


# ---- maps in memory -----------------------------------------------------------------------------------------------


def _tuple(arrays: list[NDArray[Any]], said: Said) -> Stored:
    """The tuple of KRA-gamma: flux (pixel, energy) first, and the lower edges of the energy bins.

    A public reader takes item 0 as the flux and item 3 as the lower edges in GeV, all flavours, per sr; the edges rise
    by ten per cent (physics notes, A4).
    """
    kind = "pickled tuple of NumPy arrays"
    cubes = [array for array in arrays if array.ndim == 2 and array.dtype.kind in "fiu"]
    if len(cubes) != 1:
        return Stored(kind, faults=(f"it holds {len(cubes)} arrays of two axes, expected one: the flux",))
    stored = stored_array(cubes[0], said)
    lists = [i for i, array in enumerate(arrays) if may_be_energies(array, stored.n_energies)]
    if len(lists) > 1 and 3 in lists:
        lists = [3]
    faults = stored.faults
    if len(lists) != 1 and not said.n_listed and not faults:
        faults = (f"it holds {len(lists)} lists that could be its {stored.n_energies} energies; say energies=...",)
    return replace(
        stored,
        kind=kind,
        conventions={"units": KRA_GAMMA_UNITS, "flavour": "all-flavours", "energies_unit": "GeV", "bins": "edges"},
        energies=np.asarray(arrays[lists[0]], np.float64) if len(lists) == 1 else np.empty(0),
        faults=faults,
    )


def stored_array(array: NDArray[Any], said: Said) -> Stored:
    """A map in memory."""
    kind = "NumPy array"
    if array.dtype.kind not in "fiu":
        return Stored(kind, faults=(f"it holds {array.dtype}, expected real numbers",))
    return array_like(kind, array, said.n_listed)
