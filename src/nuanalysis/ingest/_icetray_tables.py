"""Tables that icetray's hdfwriter writes: a row an event, or rows of modules; read with the care that files deserve."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import h5py
from nuanalysis.errors import DataError
from nuanalysis.ingest._table import REPAIR, all_there, read_bytes, spoiled
from nuanalysis.schema import Bools, Floats, Ints
from nuanalysis.store import LARGEST_CHUNK, TABLE, chunk_bytes, hdf5_datasets, parsing, refuse_size

Columns = dict[str, NDArray[Any]]

STRINGS, MODULES_EACH = 86, 60
MODULES = STRINGS * MODULES_EACH
WHOLE = -1  # number of an exclusion that means the whole module


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of an open file."""

    path: Path
    nodes: dict[str, Any]

    def has(self, name: str, columns: Sequence[str]) -> bool:
        """Whether there is a table with these columns."""
        return name in self.nodes and set(columns) <= set(self.nodes[name].dtype.names or ())

    def read(self, name: str, columns: Sequence[str]) -> Columns:
        """Named columns of a table and the key of the event of each row, (row,) each.

        Raises DataError for a table or a column that is not there, holds no numbers, or is larger than is read.
        """
        all_there(self.path, [name], self.nodes)
        node, wanted = self.nodes[name], ["Run", "Event", *columns]
        all_there(self.path, wanted, node.dtype.names or ())
        plain = all(node.dtype[column].kind in "fiu" for column in wanted)
        if node.ndim != 1 or not plain or chunk_bytes(node) > LARGEST_CHUNK:
            raise spoiled(f"{self.path}: table {name} has no plain numbers in {', '.join(wanted)}")
        refuse_size(self.path, f"table {name} of", int(node.size) * node.dtype.itemsize, TABLE, error=DataError)
        with parsing(self.path, "the file", REPAIR, error=DataError):
            rows = node.fields(wanted)[()]
        broken = [column for column in columns if not np.all(np.isfinite(rows[column]))]
        if broken:
            raise spoiled(f"{self.path}: table {name} holds NaN or infinite values in {', '.join(broken)}")
        key = rows["Run"].astype(np.int64) * 2**32 + rows["Event"].astype(np.int64)
        return {"key": key, **{column: np.ascontiguousarray(rows[column]) for column in wanted}}


@contextmanager
def open_tables(path: Path) -> Iterator[Tables]:
    """The tables of an HDF5 file, readable inside the ``with`` block.

    Raises DataError for what is no HDF5 file, larger than is read of one, or leads to other files.
    """
    content = io.BytesIO(read_bytes(path))
    with parsing(path, "the file", REPAIR, error=DataError):
        file = h5py.File(content, "r")
    with file:
        with parsing(path, "the file", REPAIR, error=DataError):
            nodes = hdf5_datasets(file, path, "the file", error=DataError)
        yield Tables(path, nodes)


def per_event(tables: Tables, name: str, columns: Sequence[str], key: Ints) -> Columns:
    """Columns of a table with one row an event.  Raises DataError where its events are others, or in another order."""
    found = tables.read(name, columns)
    if not np.array_equal(found["key"], key):
        raise spoiled(f"{tables.path}: table {name} has other events, or in another order, than the truth")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class ModuleRows:
    """Rows of modules, in each event by module and number.

    start (event + 1,) : rows of event i from start[i] to start[i + 1].  module (row,) : 60 (string - 1) + om - 1.
    number (row,) : which value it is.  value (row,).
    """

    start: Ints
    module: Ints
    number: Ints
    value: Floats


def module_rows(tables: Tables, values: str, numbers: str, key: Ints) -> ModuleRows:
    """Rows of two tables, of values and of their numbers, that agree row by row.  Raises DataError."""
    columns = ("string", "om", "item")
    value = tables.read(values, columns)
    number = value if numbers == values else tables.read(numbers, columns)
    if any(not np.array_equal(value[name], number[name]) for name in ("key", "string", "om")):
        raise spoiled(f"{tables.path}: tables {values} and {numbers} do not agree row by row")
    string, om = value["string"].astype(np.int64), value["om"].astype(np.int64)
    if not np.all((string >= 1) & (string <= STRINGS) & (om >= 1) & (om <= MODULES_EACH)):
        raise spoiled(f"{tables.path}: table {values} names modules that there are not")
    order = np.argsort(key)
    event = order[np.minimum(np.searchsorted(key[order], value["key"]), len(key) - 1)]
    if not np.array_equal(key[event], value["key"]):
        raise spoiled(f"{tables.path}: table {values} has events of which there is no truth")
    module, item = MODULES_EACH * (string - 1) + om - 1, number["item"].astype(np.int64)
    rows = np.lexsort((item, module, event))
    start = np.concatenate([[0], np.cumsum(np.bincount(event, minlength=len(key)))])
    return ModuleRows(start, module[rows], item[rows], value["item"].astype(np.float64)[rows])


def at_modules(rows: ModuleRows) -> Bools:
    """Which modules the rows name, (event, module)."""
    found = np.zeros((len(rows.start) - 1, MODULES), dtype=np.bool_)
    found[np.repeat(np.arange(len(found)), np.diff(rows.start)), rows.module] = True
    return found


def chosen(rows: ModuleRows, kept: Bools) -> ModuleRows:
    """Some of the rows; kept (row,)."""
    before = np.concatenate([[0], np.cumsum(kept)])
    return ModuleRows(before[rows.start], rows.module[kept], rows.number[kept], rows.value[kept])


def motion(zenith: Floats, azimuth: Floats) -> Floats:
    """Unit vectors of motion, (event, 3): the angles say where a particle comes *from*."""
    level = np.sin(zenith)
    return -np.stack([level * np.cos(azimuth), level * np.sin(azimuth), np.cos(zenith)], axis=1)
