"""Arrays out of a pickle, and nothing else: a pickle may call what it names, so only four names are let through.

Each stands for a small callable of ours that builds plain arrays of numbers.  None of them can be given attributes,
so a pickle can neither call nor change anything outside the arrays it returns.
"""

from __future__ import annotations

import pickle
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class _Array:
    """Stands for numpy.ndarray, as a mark only."""

    __slots__ = ()


class _Dtype:
    """Stands for numpy.dtype: real numbers, or object for the outer array; always a fresh copy."""

    __slots__ = ()

    def __call__(self, name: Any, align: Any = False, copy: Any = True) -> np.dtype[Any]:
        found = np.dtype(name.decode("latin1") if isinstance(name, bytes) else str(name))
        if found.kind not in "fiuO":
            raise pickle.UnpicklingError(f"it holds {found}, expected real numbers")
        return np.dtype(found, copy=True)  # type: ignore[call-overload, no-any-return]


class _Reconstruct:
    """Stands for numpy's _reconstruct: an empty array, which the pickle then fills."""

    __slots__ = ()

    def __call__(self, kind: Any, shape: Any, typecode: Any) -> Array:
        if not isinstance(kind, _Array):
            raise pickle.UnpicklingError("it holds a class of arrays other than numpy.ndarray")
        return np.empty(0, np.int8)


class _FromBuffer:
    """Stands for numpy's _frombuffer, by which newer pickles hold an array."""

    __slots__ = ()

    def __call__(self, buffer: Any, dtype: Any, shape: Any, order: Any) -> Array:
        return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


class _Encode:
    """Stands for codecs.encode(text, 'latin1'), by which old protocols of Python 3 hold bytes."""

    __slots__ = ()

    def __call__(self, text: Any, encoding: Any = "latin1") -> bytes:
        if encoding not in ("latin1", b"latin1"):
            raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}")
        return str(text).encode("latin1")


ALLOWED: dict[tuple[str, str], object] = {
    ("numpy", "ndarray"): _Array(),
    ("numpy", "dtype"): _Dtype(),
    ("numpy.core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy.core.numeric", "_frombuffer"): _FromBuffer(),
    ("_codecs", "encode"): _Encode(),
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
