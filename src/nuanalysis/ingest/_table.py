"""Reads number tables of other people's releases; every fault is a DataError that names the file."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import numpy as np

from nuanalysis.errors import DataError
from nuanalysis.ingest._release import UpstreamFile, UpstreamRelease
from nuanalysis.schema import Floats

if TYPE_CHECKING:
    from collections.abc import Iterator

Table = dict[str, Floats]

REPAIR = "Fetch it again, or run 'nuanalysis data verify' to see which files are damaged."


def present(folder: Path, file: UpstreamFile) -> Path | None:
    """Return the path under which the file lies in the folder, or None."""
    return next((folder / name for name in file.spellings if (folder / name).is_file()), None)


def located(folder: Path, release: UpstreamRelease, path: str) -> Path:
    """Return where a file of the release lies.  Raises DataError that says how to get it."""
    file = next((f for f in release.files if f.path == path), UpstreamFile(path))
    found = present(folder, file)
    if found is None:
        raise DataError(
            f"{path} (or {path}.gz) of release '{release.name}' is not in {folder}; "
            f"run 'nuanalysis data fetch {release.name}', or bring it by hand with "
            f"'nuanalysis data import {release.name} FOLDER'."
        )
    return found


@contextmanager
def faults_named(path: Path) -> Iterator[None]:
    """Turn what a damaged file makes other libraries raise into one DataError with its name."""
    try:
        yield
    except EOFError as error:
        raise DataError(f"{path} is truncated: its compressed stream ends early ({error}). {REPAIR}") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}. {REPAIR}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is damaged: not text ({error.reason} at byte {error.start}). {REPAIR}") from error
    except ValueError as error:
        raise DataError(f"{path} cannot be read as a table of numbers: {error}. {REPAIR}") from error


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading its uncompressed bytes."""
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def read_bytes(path: Path) -> bytes:
    """Return the uncompressed bytes of a file.  Raises DataError for a damaged one."""
    with faults_named(path), open_bytes(path) as stream:
        return stream.read()


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def split_header(line: str) -> tuple[list[str], str | None]:
    """Return the names in a header line and the delimiter it uses (None for white space)."""
    delimiter = "," if "," in line else None
    words = [word.strip().strip('"') for word in line.strip().lstrip("#").split(delimiter)]
    return [word for word in words if word], delimiter


def all_there(path: Path, wanted: Iterable[str], found: Iterable[str]) -> None:
    """Raise DataError that names the columns, or arrays, that a file lacks."""
    found = list(found)
    missing = [name for name in wanted if name not in found]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}; found {', '.join(found)}. {REPAIR}")


def _positions(path: Path, header: Sequence[str], columns: Sequence[str]) -> list[int]:
    if not header or _is_number(header[0]):
        raise DataError(f"{path} has no header line; expected the columns {', '.join(columns)}. {REPAIR}")
    all_there(path, columns, header)
    return [header.index(name) for name in columns]


def read_numbers(path: Path, columns: Sequence[str], *, rows: int | None = None) -> Table:
    """Return the named columns of a text table with a header line: {name: (row,) float64}.

    White space, tab or comma between columns; the header may start with '#'; columns are found by name, in any
    order.  ``rows``: the published number, checked where known.
    Raises DataError for a missing column, an empty or damaged table, NaN or infinite values, a wrong row count.
    """
    with faults_named(path), open_bytes(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8")
        header, delimiter = split_header(text.readline())
        positions = _positions(path, header, columns)
        lines = (line for line in text if not line.isspace())
        first = next(lines, None)
        if first is None:
            raise DataError(f"{path} has a header but no rows. {REPAIR}")
        values = np.loadtxt(_chain(first, lines), delimiter=delimiter, usecols=positions, ndmin=2)
    return checked(path, dict(zip(columns, values.T, strict=True)), rows=rows)


def read_words(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a .csv file that holds words too, by the names of its columns.

    Raises DataError for a missing column and for a row that ends early.
    """
    with faults_named(path):
        reader = csv.DictReader(io.StringIO(read_bytes(path).decode("utf-8")))
        all_there(path, columns, reader.fieldnames or ())
        rows = list(reader)
    if any(row[name] is None for row in rows for name in columns):  # csv fills a short row with None
        raise DataError(f"{path} has a row that ends early: it is truncated. {REPAIR}")
    return rows


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def checked(path: Path, table: Table, *, rows: int | None = None) -> Table:
    """Return the table with contiguous columns if all values are finite and the row count is the published one."""
    found = len(next(iter(table.values())))
    if rows is not None and found != rows:
        raise DataError(
            f"{path} holds {found:,} rows, expected {rows:,}: it is truncated or not the published file. {REPAIR}"
        )
    broken = {name: int(np.count_nonzero(~np.isfinite(values))) for name, values in table.items()}
    bad = ", ".join(f"{count} in {name}" for name, count in broken.items() if count)
    if bad:
        raise DataError(f"{path} holds values that are NaN or infinite: {bad}; expected numbers only. {REPAIR}")
    return {name: np.ascontiguousarray(values, dtype=np.float64) for name, values in table.items()}


def within(path: Path, table: Table, limits: dict[str, tuple[float, float]]) -> None:
    """Raise DataError unless every named column lies in its closed range, in the unit of the file."""
    faults = []
    for name, (low, high) in limits.items():
        outside = int(np.count_nonzero((table[name] < low) | (table[name] > high)))
        if outside:
            faults.append(f"{outside} values of {name} outside [{low:g}, {high:g}]")
    if faults:
        raise DataError(
            f"{path}: {'; '.join(faults)}. The file is damaged or its columns are not the documented ones. {REPAIR}"
        )


def read_matrix(path: Path, *, shape: tuple[int, ...] | None = None) -> Floats:
    """Return a headerless table (comma or white space) as float64, 1-d where it has one row or column.

    Raises DataError for a damaged file, NaN, or another shape than the one expected.
    """
    text = read_bytes(path)
    with faults_named(path):
        lines = text.decode("utf-8").splitlines()
        values = np.loadtxt(lines, delimiter="," if b"," in text else None, ndmin=2) if lines else np.empty((0, 0))
    flat = values.ravel() if 1 in values.shape else values
    if flat.size == 0 or (shape is not None and flat.shape != shape):
        raise DataError(f"{path} has shape {flat.shape}, expected {shape}. {REPAIR}")
    if not np.all(np.isfinite(flat)):
        raise DataError(f"{path} holds values that are NaN or infinite. {REPAIR}")
    return np.ascontiguousarray(flat)


def count_rows(path: Path) -> int | None:
    """Return the data rows of a table file by its kind; None for files that are not tables of rows.

    Raises DataError for a damaged file.
    """
    suffix = Path(path.name.removesuffix(".gz")).suffix
    if suffix == ".parquet":
        return _parquet_rows(path)
    if suffix == ".npy":
        return _npy_rows(path)
    if suffix == ".json":
        return _json_rows(path)
    return _text_rows(path) if suffix in (".csv", ".tab", ".txt") else None


def _text_rows(path: Path) -> int:
    """Lines that are not empty, not comments and not the header (a first line that does not start with a number)."""
    with faults_named(path), open_bytes(path) as stream:
        first, rows = True, 0
        for line in stream:
            words = line.replace(b",", b" ").split()
            if not words or words[0].startswith(b"#"):
                continue
            rows += 0 if first and not _is_number(words[0].decode("utf-8").strip('"')) else 1
            first = False
    return rows


def _parquet_rows(path: Path) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return int(parquet.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is truncated or damaged, expected a parquet file: {error}. {REPAIR}") from error


def _npy_rows(path: Path) -> int:
    shape = read_npy(path).shape
    return int(shape[0]) if shape else 1


def read_npy(path: Path) -> Floats:
    """Return the float array of a .npy (or .npy.gz) file; pickles are refused.  Raises DataError."""
    content = read_bytes(path)
    with faults_named(path):
        return np.asarray(np.load(io.BytesIO(content), allow_pickle=False), dtype=np.float64)


def read_json(path: Path) -> dict[str, Floats]:
    """Return the equal-length arrays of numbers in a JSON object: {name: (row,)}.  Raises DataError."""
    content = read_bytes(path)
    with faults_named(path):
        document = json.loads(content)
        if not isinstance(document, dict) or not document:
            raise ValueError("expected an object of equal-length arrays")
        table = {str(name): np.asarray(values, dtype=np.float64) for name, values in document.items()}
        if len({values.shape for values in table.values()}) != 1 or next(iter(table.values())).ndim != 1:
            raise ValueError("the arrays are not of equal length")
    return table


def _json_rows(path: Path) -> int:
    return len(next(iter(read_json(path).values())))
