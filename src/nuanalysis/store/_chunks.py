"""What the chunks of a zarr zip unpack to, read off the heads of their zstd frames before any is unpacked."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

_MAGIC = b"\x28\xb5\x2f\xfd"
_HEAD = 18  # bytes of the longest head of a frame
_ABSENT = np.uint64(2**64 - 1)
#: How chunks are packed: numbers, and words.
_PACKED = (["bytes", "zstd", "crc32c"], ["vlen-utf8", "zstd", "crc32c"])
_INDEX = ["bytes", "crc32c"]


def unpacked_size(files: Mapping[str, bytes]) -> int:
    """Bytes that the chunks of all arrays unpack to; files : the entries of the zip by name.

    Raises ValueError for chunks that are packed in another way than ours, or do not say how large they are.
    """
    arrays = {name.removesuffix("zarr.json"): json.loads(text) for name, text in files.items() if _is_record(name)}
    return sum(
        _frame_size(frame)
        for prefix, about in arrays.items()
        if about.get("node_type") == "array"
        for name, data in files.items()
        if name.startswith(f"{prefix}c") and not _is_record(name)
        for frame in _frames(data, about)
    )


def _is_record(name: str) -> bool:
    return name.rpartition("/")[2] == "zarr.json"


def _frames(data: bytes, about: Mapping[str, Any]) -> Iterator[bytes]:
    """The heads of the packed chunks of a shard, or the one chunk of an array without shards."""
    codecs = about["codecs"]
    if _names(codecs) in _PACKED:
        yield data
        return
    if _names(codecs) != ["sharding_indexed"]:
        raise ValueError(f"its chunks are packed by {', '.join(_names(codecs))}")
    inside = codecs[0]["configuration"]
    if _names(inside["codecs"]) not in _PACKED or _names(inside["index_codecs"]) != _INDEX:
        raise ValueError(f"its shards are packed by {', '.join(_names(inside['codecs']))}")
    shape = about["chunk_grid"]["configuration"]["chunk_shape"]
    length = 16 * math.prod(-(-whole // part) for whole, part in zip(shape, inside["chunk_shape"], strict=True))
    if inside.get("index_location", "end") != "end" or length + 4 > len(data):
        raise ValueError("a shard has no index at its end")
    for offset, size in np.frombuffer(data[-length - 4 : -4], dtype="<u8").reshape(-1, 2):
        if offset != _ABSENT:
            yield data[int(offset) : int(offset) + min(int(size), _HEAD)]


def _names(codecs: Any) -> list[str]:
    return [str(one["name"]) for one in codecs]


def _frame_size(frame: bytes) -> int:
    """Bytes that a zstd frame says it unpacks to: RFC 8878, section 3.1.1.1."""
    if not frame.startswith(_MAGIC) or len(frame) < 6:
        raise ValueError("a chunk is no zstd frame")
    flags = frame[4]
    alone, width = bool(flags & 0x20), flags >> 6
    if not alone and not width:
        raise ValueError("a chunk does not say how large it is")
    start = 5 + (not alone) + (0, 1, 2, 4)[flags & 3]
    size = int.from_bytes(frame[start : start + (1, 2, 4, 8)[width]], "little")
    return size + 256 if width == 1 else size
