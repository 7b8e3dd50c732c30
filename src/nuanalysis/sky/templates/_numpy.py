"""Maps from NumPy files: a plain array, or the pickled tuple of the KRA-gamma ``.tuple.npy`` files.

A pickle is never unpickled: its arrays are read out of it, see ``_pickled``.  What a header promises is compared with
what the file holds before room is made for it.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.sky.templates._bounds import map_bytes
from nuanalysis.sky.templates._formats import KRA_GAMMA_UNITS, Stored, array_like, pick_energies
from nuanalysis.sky.templates._pickled import read_arrays
from nuanalysis.sky.templates._said import Said
from nuanalysis.store import MAP, NPY_MAGIC, content, is_gzipped, npy_header, parsing, refuse_size

PICKLES = tuple(b"(c]}\x80IJKMLFGSTUVXNB\x8c\x8d\x8e")  # what one can begin with
MAPPED_FROM = 1 << 24  # bytes: larger files are not read into memory
WHICH_BINS = (
    "it has as many energies as maps, {}, and does not say what they are; say bins=centres where every map holds at "
    "its energy, or bins=edges where they are the lower edges of its bins"
)
REMEDY = "it is not a plain NumPy array: write it with numpy.save"
Array = NDArray[Any]
Stream = IO[bytes] | gzip.GzipFile


def read_numpy(path: Path, said: Said) -> Stored:
    """The map in an .npy file, gzipped or not, or in a pickled tuple of arrays."""
    size = map_bytes(path)
    with _unpacked(path) as (stream, packed):
        array = _plain(stream, path, None if packed else size)
    return _tuple(_arrays(path), said) if array is None else stored_array(array, said)


@contextmanager
def _unpacked(path: Path) -> Iterator[tuple[Stream, bool]]:
    """The bytes of a file as a stream, unpacked as they are read, and whether they are packed."""
    with parsing(path, "the map", REMEDY), path.open("rb") as raw:
        packed = is_gzipped(raw)
        with gzip.GzipFile(fileobj=raw) if packed else raw as stream:
            yield stream, packed


def _plain(stream: Stream, path: Path, size: int | None) -> Array | None:
    """A plain array, mapped from its file where that is large; None for a pickle, with or without a header.

    size : of the file; None for a packed one, of which no more is unpacked than its header promises.
    """
    head = stream.read(len(NPY_MAGIC))
    if head != NPY_MAGIC:
        if not head or head[0] not in PICKLES:
            raise ValueError("it begins neither as an .npy file nor as a pickle")
        return None
    shape, fortran, dtype = npy_header(stream)
    if dtype.hasobject:
        return None
    promised = prod(shape) * dtype.itemsize
    if size is None:
        refuse_size(path, "the map", promised, MAP)
    elif size - stream.tell() < promised:
        raise ValueError(f"its header promises {promised:,} bytes, the file holds {size - stream.tell():,}")
    elif size > MAPPED_FROM:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    held = stream.read(promised)
    if len(held) < promised or stream.read(1):
        found = "more" if len(held) == promised else "fewer"
        raise ValueError(f"its header promises {promised:,} bytes, the file holds {found}")
    return np.frombuffer(held, dtype).reshape(shape, order="F" if fortran else "C")


def _arrays(path: Path) -> list[Array]:
    """The arrays of a pickled tuple: an .npy object array or a bare pickle."""
    stream = BytesIO(content(path, "the map", most=MAP))
    with parsing(path, "the map", REMEDY):
        if stream.read(len(NPY_MAGIC)) == NPY_MAGIC:
            npy_header(stream)
            return read_arrays(stream)
        stream.seek(0)
        try:
            return read_arrays(stream)
        except ValueError as error:
            raise ValueError(f"it is no .npy file, and as a pickle: {error}") from error


# ---- maps in memory -----------------------------------------------------------------------------------------------


def _tuple(arrays: list[Array], said: Said) -> Stored:
    """The tuple of KRA-gamma: flux (pixel, energy) first, and energies.

    A public reader takes item 0 as the flux and item 3 as the lower edges in GeV, all flavours, per sr; the edges rise
    by ten per cent (physics notes, A4).  A pair does not tell what its energies are.
    """
    kind = "pickled tuple of NumPy arrays"
    cubes = [array for array in arrays if array.ndim == 2 and array.dtype.kind in "fiu"]
    if len(cubes) != 1:
        return Stored(kind, faults=(f"it holds {len(cubes)} arrays of two axes, expected one: the flux",))
    stored = stored_array(cubes[0], said)
    lists = [int(name) for name in pick_energies({str(i): a for i, a in enumerate(arrays)}, stored.n_energies)]
    if len(lists) > 1 and 3 in lists:
        lists = [3]
    faults, bins = stored.faults, {"bins": "edges"} if lists == [3] else {}
    if len(lists) != 1 and not said.n_listed and not faults:
        faults = (f"it holds {len(lists)} lists that could be its {stored.n_energies} energies; say energies=...",)
    energies = np.asarray(arrays[lists[0]], np.float64) if len(lists) == 1 else np.empty(0)
    if len(energies) == stored.n_energies and not (bins or said.n_listed or said.word("bins")):
        faults = (*faults, WHICH_BINS.format(len(energies)))
    return replace(
        stored,
        kind=kind,
        conventions={"units": KRA_GAMMA_UNITS, "flavour": "all-flavours", "energies_unit": "GeV", **bins},
        energies=energies,
        faults=faults,
    )


def stored_array(array: Array, said: Said) -> Stored:
    """A map in memory."""
    kind = "NumPy array"
    if array.dtype.kind not in "fiu":
        return Stored(kind, faults=(f"it holds {array.dtype}, expected real numbers",))
    return array_like(kind, array, said.n_listed)
