"""Arrays in .npy files of anybody: what a header promises is compared with what is there before room is made for it."""

from io import BytesIO
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

NPY_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000  # bytes, as NumPy allows


def npy_header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in the order of Fortran, and type of an .npy file, read from behind its magic bytes.

    Raises ValueError for a header that is none.
    """
    version = stream.read(2)
    length = int.from_bytes(stream.read(2 if version[:1] == b"\x01" else 4), "little")
    if length > _LONGEST_HEADER:
        raise ValueError(f"its header is {length:,} bytes long, expected at most {_LONGEST_HEADER:,}")
    text = BytesIO(length.to_bytes(2, "little") + stream.read(length))
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(text)
    if not all(n >= 0 for n in shape):
        raise ValueError(f"its header says that its shape is {shape}")
    return shape, fortran, dtype


def npy_array(content: bytes) -> NDArray[Any]:
    """The array of an .npy file.

    Raises ValueError where it is none, holds objects, or its header promises more than it holds.
    """
    if not content.startswith(NPY_MAGIC):
        raise ValueError("it is no .npy file")
    shape, _, dtype = npy_header(BytesIO(content[len(NPY_MAGIC) :]))
    wanted = prod(shape) * max(dtype.itemsize, 1)
    if wanted > len(content):
        raise ValueError(f"its header promises an array of shape {shape}, {wanted:,} bytes; it has {len(content):,}")
    return np.asarray(np.load(BytesIO(content), allow_pickle=False))
