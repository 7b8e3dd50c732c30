"""Reads number tables of other people's releases; every fault is a DataError that names the file."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, AnyStr, cast

import numpy as np

from nuanalysis.errors import DataError
from nuanalysis.ingest._release import UpstreamFile, UpstreamRelease
from nuanalysis.schema import Floats
from nuanalysis.store import TABLE, largest, npy_array, parsing, read_parts, regular

Table = dict[str, Floats]

LONGEST = 1 << 20  # letters of a row

REPAIR = "Fetch it again, or run 'nuanalysis data verify' to see which files are damaged."


def spoiled(fault: str) -> DataError:
    """The error for a file that is not as published: what is wrong with it, and what to do."""
    return DataError(f"{fault}. {REPAIR}")


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
    with parsing(path, "the file", REPAIR, error=DataError):
        try:
            yield
        except EOFError as error:
            raise spoiled(f"{path} is truncated: its compressed stream ends early ({error})") from error
        except zipfile.BadZipFile as error:
            raise spoiled(f"{path} is truncated or damaged, expected an npz archive: {error}") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise spoiled(f"{path} is damaged: {error}") from error
        except UnicodeDecodeError as error:
            raise spoiled(f"{path} is damaged: not text ({error.reason} at byte {error.start})") from error
        except ValueError as error:
            raise spoiled(f"{path} cannot be read as a table of numbers: {error}") from error


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading its uncompressed bytes.  Raises DataError for a pipe or a device, which may never end."""
    regular(path, "the file", error=DataError)
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def bounded(stream: IO[bytes], path: Path, most: int) -> Iterator[bytes]:
    """The bytes of a stream, some at a time.  Raises DataError beyond ``most`` of them; path : what it is called."""
    return read_parts(stream, most, _too_large(path, most))


def _too_large(path: Path, most: int) -> DataError:
    return spoiled(
        f"{path} unpacks to more than the {most:,} bytes that are read of such a file: it is not the published one "
        "(NUANALYSIS_LARGEST_MB raises the limit)"
    )


def read_bytes(path: Path) -> bytes:
    """Return the uncompressed bytes of a file.  Raises DataError for a damaged or too large one."""
    with faults_named(path), open_bytes(path) as stream:
        return b"".join(bounded(stream, path, largest(TABLE)))


def is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


NAMED, NAMED_LETTERS = 20, 60  # columns of a file that a message names, and letters of each


def all_there(path: Path, wanted: Iterable[str], found: Iterable[str]) -> None:
    """Raise DataError that names the columns, or arrays, that a file lacks."""
    found = list(found)
    missing = [name for name in wanted if name not in found]
    if missing:
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        listed = ", ".join(name[:NAMED_LETTERS] for name in found[:NAMED])
        raise spoiled(f"{path} lacks {', '.join(missing)}; found {listed}{more}")


def read_numbers(path: Path, columns: Sequence[str], *, rows: int | None = None, most: int = TABLE) -> Table:
    """Return the named columns of a text table with a header line: {name: (row,) float64}.

    White space, tab or comma between columns; the header may start with '#'; columns are found by name, in any
    order.  ``rows``: the published number, checked where known.  ``most``: bytes that are read of it.
    Raises DataError for a missing column, an empty or damaged table, NaN or infinite values, a wrong row count.
    """
    with faults_named(path), open_bytes(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig") as whole:
        text = _rows(path, whole, largest(most))
        line = next(text, "")
        delimiter = "," if "," in line else None
        words = [word.strip().strip('"') for word in line.strip().lstrip("#").split(delimiter)]
        header = [word for word in words if word]
        if not header or is_number(header[0]):
            raise spoiled(f"{path} has no header line; expected the columns {', '.join(columns)}")
        all_there(path, columns, header)
        lines = (line for line in text if not line.isspace())
        first = next(lines, None)
        if first is None:
            raise spoiled(f"{path} has a header but no rows")
        used = [header.index(name) for name in columns]
        values = np.loadtxt(chain([first], lines), delimiter=delimiter, usecols=used, ndmin=2)
    return checked(path, dict(zip(columns, values.T, strict=True)), rows=rows)


def _rows(path: Path, text: IO[AnyStr], most: int) -> Iterator[AnyStr]:
    """The lines of a table.  Raises DataError for one without end, and beyond ``most`` bytes, or letters, in all."""
    size = 0
    while line := text.readline(LONGEST):
        size += len(line)
        if size > most:
            raise _too_large(path, most)
        if len(line) == LONGEST:
            raise spoiled(f"{path} has a row of more than {LONGEST:,} letters; expected a table with a line per row")
        yield line


def checked(path: Path, table: Table, *, rows: int | None = None) -> Table:
    """Return the table with contiguous columns if all values are finite and the row count is the published one."""
    found = len(next(iter(table.values())))
    if rows is not None and found != rows:
        raise spoiled(f"{path} holds {found:,} rows, expected {rows:,}: it is truncated or not the published file")
    broken = {name: int(np.count_nonzero(~np.isfinite(values))) for name, values in table.items()}
    bad = ", ".join(f"{count} in {name}" for name, count in broken.items() if count)
    if bad:
        raise spoiled(f"{path} holds values that are NaN or infinite: {bad}; expected numbers only")
    return {name: np.ascontiguousarray(values, dtype=np.float64) for name, values in table.items()}


def within(path: Path, table: Table, limits: dict[str, tuple[float, float]]) -> None:
    """Raise DataError unless every named column lies in its closed range, in the unit of the file."""
    faults = []
    for name, (low, high) in limits.items():
        outside = int(np.count_nonzero((table[name] < low) | (table[name] > high)))
        if outside:
            faults.append(f"{outside} values of {name} outside [{low:g}, {high:g}]")
    if faults:
        raise spoiled(f"{path}: {'; '.join(faults)}. The file is damaged or its columns are not the documented ones")


def read_json(path: Path) -> Table:
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


def read_arrays(path: Path) -> dict[str, Floats]:
    """Return the arrays of an npz archive under their names, as float64.  Raises DataError for a damaged one."""
    with faults_named(path), zipfile.ZipFile(io.BytesIO(read_bytes(path))) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        if sum(info.file_size for info in members) > largest(TABLE):
            raise _too_large(path, largest(TABLE))
        return {info.filename.removesuffix(".npy"): _array(archive.read(info)) for info in members}


def _array(content: bytes) -> Floats:
    return np.asarray(npy_array(content), dtype=np.float64)


@contextmanager
def parquet_faults(path: Path) -> Iterator[None]:
    """Turn what pyarrow raises of a damaged file into a DataError."""
    import pyarrow as pa  # heavy

    with parsing(path, "the file", REPAIR, error=DataError):
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            raise spoiled(f"{path} is truncated or damaged, expected a parquet file: {error}") from error


def count_rows(path: Path, most: int = TABLE) -> int | None:
    """Return the data rows of a table file by its kind; None for files that are not tables of rows.

    ``most``: bytes, unpacked, that are read of it.  Raises DataError for a damaged file.
    """
    match Path(path.name.removesuffix(".gz")).suffix:
        case ".parquet":
            from pyarrow import parquet

            with parquet_faults(path):
                return int(parquet.read_metadata(path).num_rows)
        case ".npy":
            content = read_bytes(path)
            with faults_named(path):
                shape = _array(content).shape
            return int(shape[0]) if shape else 1
        case ".json":
            return len(next(iter(read_json(path).values())))
        case ".csv" | ".tab" | ".txt":
            return _text_rows(path, largest(most))
    return None


def _text_rows(path: Path, most: int) -> int:
    """Lines that are not empty, not comments and not the header (a first line that does not start with a number)."""
    with faults_named(path), open_bytes(path) as stream:
        rows = (line.replace(b",", b" ").split() for line in _rows(path, stream, most))
        lines = (words for words in rows if words and words[0][:1] != b"#")
        first = next(lines, None)
        header = first is None or not is_number(first[0].decode("utf-8").strip('"'))
        return sum(1 for _ in lines) + (not header)
