"""Records of the package at rest, such as a prepared problem or a template: arrays and a JSON record in an .npz file.

Reading one runs no code that the file names: it makes arrays, plain values, datasets, and frozen records whose classes
this program has imported from its own package, through their constructors and the checks there.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError, InputError
from nuanalysis.store._files import beside
from nuanalysis.store._foreign import parsing, regular

PACKAGE = __name__.partition(".")[0]
ENDING = ".npz"
#: Records that hold functions are written as their ``name``; what finds them by it again.
Named = Mapping[type, Callable[[str], object]]
_NOTHING: Named = {}
_RECORD = "record"


def write_object(path: Path, value: object, named: Named = _NOTHING) -> None:
    """Write a record, or plain values, tuples, arrays and datasets of them; what is shared stays shared.

    Raises InputError for what cannot be kept so (functions, classes of others), EnvironmentFault for a full disk.
    """
    packed = _Packed(named)
    document = json.dumps(packed.tree(value)).encode()
    with beside(path) as file:
        arrays: dict[str, Any] = {**packed.arrays, _RECORD: np.frombuffer(document, dtype=np.uint8)}
        np.savez(file, **arrays)


def read_object(path: Path, named: Named = _NOTHING) -> Any:
    """Return the value of ``write_object``.

    Raises DataError where the file is missing, a link to nothing, damaged, or was written by another version.
    """
    size, remedy = regular(path, "the file", error=DataError).st_size, "remove it and call again"
    with parsing(path, "the file", remedy, error=DataError):
        with zipfile.ZipFile(path) as archive:
            if sum(one.file_size for one in archive.infolist()) > size:
                raise ValueError("it is packed, which ours are not")
        with np.load(path, allow_pickle=False) as arrays:
            held = {name: arrays[name] for name in arrays.files}
    document = held.pop(_RECORD, np.empty(0, np.uint8)).tobytes()
    with parsing(path, "the file", remedy, error=DataError):
        return _Unpacked(held, named).value(json.loads(document))


# In the tree a number, a text, a truth value and null stand for themselves, and a list begins with what it is.


class _Packed:
    """Takes values apart: ``arrays`` by name, and the tree that is left."""

    def __init__(self, named: Named) -> None:
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}
        self._named = named
        self._seen: dict[int, tuple[list[Any], object]] = {}  # the value too, so that its id is not given anew

    def tree(self, value: object) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return value
        if id(value) not in self._seen:
            node = self._node(value)
            if node[0] in ("array", "record", "dataset"):
                node = ["shared", len(self._seen), node]
                self._seen[id(value)] = ["again", node[1]], value
            return node
        return self._seen[id(value)][0]

    def _node(self, value: object) -> list[Any]:
        kind = type(value)
        if kind in self._named:
            return ["named", _class_name(kind), value.name]  # type: ignore[attr-defined]
        if isinstance(value, np.ndarray | np.generic):
            return self._array(np.asarray(value), scalar=isinstance(value, np.generic))
        if kind in (tuple, list):
            return [kind.__name__, *map(self.tree, value)]  # type: ignore[call-overload]
        if isinstance(value, dict):
            return ["dict", *([self.tree(key), self.tree(one)] for key, one in value.items())]
        if isinstance(value, slice):
            return ["slice", *map(self.tree, (value.start, value.stop, value.step))]
        if isinstance(value, xr.Dataset):
            return ["dataset", self._variables(value, value.data_vars), self._variables(value, value.coords),
                    self.tree(dict(value.attrs))]  # fmt: skip
        if dataclasses.is_dataclass(value) and _known(_class_name(kind)) is kind:
            held = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
            return ["record", _class_name(kind), self.tree(held)]
        raise InputError(
            f"a {kind.__module__}.{kind.__qualname__} cannot be kept in a file, expected records of {PACKAGE}, arrays "
            "and plain values; run with one process, or put it into a record"
        )

    def _array(self, value: np.ndarray[Any, Any], *, scalar: bool) -> list[Any]:
        if value.dtype.hasobject:
            raise InputError(f"an array of {value.dtype} cannot be kept in a file; expected numbers or text")
        name = f"array-{len(self.arrays)}"
        self.arrays[name] = value
        return ["scalar" if scalar else "array", name]

    def _variables(self, dataset: xr.Dataset, names: Any) -> Any:
        return self.tree({str(n): (dataset[n].dims, dataset[n].values, dict(dataset[n].attrs)) for n in names})


class _Unpacked:
    """Puts together what ``_Packed`` took apart.  Raises whatever a damaged tree leads to."""

    def __init__(self, arrays: Mapping[str, np.ndarray[Any, Any]], named: Named) -> None:
        self._arrays = arrays
        self._named = {_class_name(kind): find for kind, find in named.items()}
        self._shared: dict[int, object] = {}

    def value(self, node: Any) -> Any:
        if not isinstance(node, list):
            return node
        kind, *rest = node
        if kind == "shared":
            self._shared[rest[0]] = self.value(rest[1])
            return self._shared[rest[0]]
        if kind == "again":
            return self._shared[rest[0]]
        return _MAKERS[kind](self, *rest)

    def array(self, name: str) -> Any:
        return self._arrays[name]

    def scalar(self, name: str) -> Any:
        return self._arrays[name][()]

    def tuple(self, *nodes: Any) -> Any:
        return tuple(map(self.value, nodes))

    def list(self, *nodes: Any) -> Any:
        return [self.value(node) for node in nodes]

    def dict(self, *pairs: Any) -> Any:
        return {self.value(key): self.value(one) for key, one in pairs}

    def slice(self, *ends: Any) -> Any:
        return slice(*map(self.value, ends))

    def dataset(self, *parts: Any) -> Any:
        variables, coords, attrs = map(self.value, parts)
        return xr.Dataset(variables, coords=coords, attrs=attrs)

    def named(self, kind: str, name: str) -> Any:
        return self._named[kind](name)

    def record(self, kind: str, held: Any) -> Any:
        found = _known(kind)
        if found is None:
            raise ValueError(f"it holds a {kind!r}, which is no record of this version")
        try:
            return found(**self.value(held))
        except InputError as fault:  # its own checks: here it is the file that is wrong
            raise ValueError(str(fault)) from fault


_MAKERS: dict[str, Callable[..., Any]] = {
    name: getattr(_Unpacked, name)
    for name in ("array", "scalar", "tuple", "list", "dict", "slice", "dataset", "named", "record")
}


def _class_name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _known(name: str) -> Any:
    """A frozen record of the package that this program has imported already; None for anything else."""
    module, _, qualname = name.partition(":")
    if module.partition(".")[0] != PACKAGE or module not in sys.modules:
        return None
    found: Any = vars(sys.modules[module]).get(qualname)
    frozen = dataclasses.is_dataclass(found) and vars(found)["__dataclass_params__"].frozen
    return found if frozen and found.__module__ == module else None
