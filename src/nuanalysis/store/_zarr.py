"""Datasets as zarr v3 groups, and whole ones in a zip whose bytes depend on the dataset alone."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError, EnvironmentFault, InputError, NuanalysisError
from nuanalysis.store._chunks import unpacked_size
from nuanalysis.store._files import beside, first_line
from nuanalysis.store._foreign import MAP, refuse_size, regular

CHUNK = 65_536  # values a chunk: half a megabyte of float64, so that a time window costs little
_CHUNKS_PER_SHARD = 16
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: bytes must not depend on the clock


def plain(value: object, where: str) -> Any:
    """Return an attribute as JSON holds it: numpy scalars and arrays and tuples become plain.

    Raises InputError for anything else, NaN and infinity included: it would not come back as it went.
    """
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist(), where)
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, where) for item in value]
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and np.isfinite(value)):
        return value
    raise InputError(
        f"attribute '{where}' is {value!r}, which JSON cannot hold; give a text, a finite number, a list or a table."
    )


def for_disk(dataset: xr.Dataset) -> xr.Dataset:
    """Return the dataset with plain attributes, without the encoding of the file it came from.

    Raises InputError for what would not come back as it went: dates, complex numbers, objects other than text.
    """
    out = dataset.drop_encoding()
    out.attrs = {str(key): plain(value, str(key)) for key, value in dataset.attrs.items()}
    for name, variable in out.variables.items():
        variable.attrs = {str(key): plain(value, f"{name}.{key}") for key, value in variable.attrs.items()}
        if variable.dtype.kind not in "biufUT" and not all(isinstance(value, str) for value in variable.values.flat):
            raise InputError(f"'{name}' is {variable.dtype}; store numbers (times as MJD in days, float64) or text.")
    stored = {  # variable-length text (v3 has no other), native byte order (FITS is big-endian)
        name: np.dtype(object) if variable.dtype.kind in "UT" else variable.dtype.newbyteorder("=")
        for name, variable in out.variables.items()
    }
    return out.assign({name: out[name].astype(dtype) for name, dtype in stored.items() if dtype != out[name].dtype})


def write_group(store: object, group: str, dataset: xr.Dataset, *, chunk: int | None = None) -> None:
    """Write a dataset as one new zarr v3 group: no consolidated metadata, which the v3 specification lacks.

    Each chunk has zstd and a checksum; chunks are sharded if ``chunk`` is None.
    """
    from zarr.codecs import Crc32cCodec, ZstdCodec

    encoding: dict[str, dict[str, object]] = {}
    for name, variable in dataset.variables.items():
        described: dict[str, object] = {"compressors": (ZstdCodec(level=3), Crc32cCodec())}
        if variable.dtype.kind in "fiu":
            described["_FillValue"] = None  # NaN is a value like any other here
        if variable.ndim and chunk is not None:
            described["chunks"] = (chunk,) * variable.ndim
        elif variable.ndim:  # whole trailing axes, at most CHUNK values a chunk along the first axis
            length, *trailing = (max(1, n) for n in variable.shape)
            rows = min(length, max(1, CHUNK // math.prod(trailing)))
            described["chunks"] = (rows, *trailing)
            described["shards"] = (rows * min(_CHUNKS_PER_SHARD, -(-length // rows)), *trailing)
        encoding[str(name)] = described
    dataset.to_zarr(
        store,  # type: ignore[call-overload]
        group=group or None,
        mode="w-",
        zarr_format=3,
        consolidated=False,
        encoding=encoding,
    )


def open_group(store: object, group: str) -> xr.Dataset:
    """Open one group lazily: values as stored, no decoding of units named like times, names in order."""
    dataset = xr.open_zarr(
        store,  # type: ignore[arg-type]
        group=group or None,
        consolidated=False,
        zarr_format=3,
        chunks=None,
        mask_and_scale=False,
        decode_times=False,
        decode_timedelta=False,
    )
    in_order = {name: dataset[name] for name in sorted(dataset.data_vars, key=str)}
    return xr.Dataset(in_order, coords=dataset.coords, attrs=dataset.attrs)


def load(dataset: xr.Dataset) -> xr.Dataset:
    """Return the dataset in memory, text as fixed-width numpy text, free of the store's encoding."""
    loaded = dataset.load().drop_encoding()
    texts = {
        name: variable.astype(object).astype(np.str_)
        for name, variable in loaded.variables.items()
        if variable.dtype.kind in "TO"
    }
    return loaded.assign(texts)


def to_buffer(data: bytes) -> Any:
    from zarr.core.buffer import default_buffer_prototype

    return default_buffer_prototype().buffer.from_bytes(data)


def write_buffers(path: Path, files: Mapping[str, Any]) -> Path:
    """Write zarr keys and buffers as a stored zip: sorted, dated 1980, no compression of its own."""
    with beside(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name].to_bytes())
    return path


def write_zip(path: Path, dataset: xr.Dataset) -> Path:
    """Write any dataset of numbers and text as a zarr v3 zip (sharded, zstd, checksums) and return its path.

    Units and all attributes are kept.  Equal datasets give equal bytes (with the same zarr).  Held in memory while
    it is written.  Raises InputError (dates, attributes that JSON cannot hold), EnvironmentFault (disk full).
    """
    from zarr.storage import MemoryStore

    files: dict[str, Any] = {}
    write_group(MemoryStore(files), "", for_disk(dataset))
    return write_buffers(path, files)


def read_zip(path: Path) -> xr.Dataset:
    """Return the dataset of a zarr zip, in memory, variables in alphabetical order.

    Raises DataError if the file is missing, truncated, damaged (every byte is under a checksum) or no zarr v3, and,
    before anything is unpacked, where it holds or declares more than a map may.
    """
    from zarr.storage import MemoryStore

    try:
        if path.exists():
            regular(path, "the zarr zip", error=DataError)  # a pipe would be waited for
        with zipfile.ZipFile(path) as archive:
            _refuse_large(path, sum(entry.file_size for entry in archive.infolist()))
            files = {name: archive.read(name) for name in archive.namelist()}
        _refuse_large(path, unpacked_size(files))
        opened = open_group(MemoryStore({name: to_buffer(part) for name, part in files.items()}, read_only=True), "")
        _refuse_large(path, opened.nbytes)  # a shape is a claim: chunks that are not there cost nothing on disk
        return load(opened)
    except NuanalysisError:
        raise
    except MemoryError as error:
        raise EnvironmentFault(f"there is not enough memory to read {path}; call again where there is more") from error
    except Exception as error:  # whatever zipfile, zarr and xarray raise for bytes that are not theirs
        raise DataError(
            f"{path} is not a readable zarr zip ({first_line(error)}); fetch it again, or run the step that makes it."
        ) from error


def _refuse_large(path: Path, size: int) -> None:
    refuse_size(path, "the zarr zip", size, MAP, error=DataError)
