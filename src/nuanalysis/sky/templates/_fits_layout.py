"""What the headers of a FITS file say about its size, read by ourselves before a library makes room for it."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from math import prod
from pathlib import Path
from typing import IO, Any

from nuanalysis.sky.templates._bounds import map_bytes
from nuanalysis.store import MAP, is_gzipped, parsing, refuse_size

BLOCK, CARD = 2880, 80
MOST_HEADER = 1000 * BLOCK
MOST_UNITS = 5000
Stream = IO[bytes] | gzip.GzipFile
REMEDY = "it is not readable FITS: write it with healpy.write_map"
_SIZE_CARD = re.compile(rb"(BITPIX|NAXIS\d*|PCOUNT|GCOUNT) *= *([-+]?\d{1,18}) *(?:/.*)?$")


def fits_source(path: Path) -> IO[bytes]:
    """The file at its beginning, or its unpacked bytes where it is gzipped; to be closed.

    Raises InputError for one that is larger than its limit, or whose headers promise more than it holds.
    """
    size = map_bytes(path)
    with parsing(path, "the map", REMEDY), ExitStack() as opened:
        raw = opened.enter_context(path.open("rb"))
        if is_gzipped(raw):
            return _unpacked(raw, path)
        _refuse_layout(raw, path, size)
        raw.seek(0)
        opened.pop_all()
        return raw


def _unpacked(raw: IO[bytes], path: Path) -> BytesIO:
    with gzip.GzipFile(fileobj=raw) as stream:
        length = _refuse_layout(stream, path, None)
        stream.seek(0)
        return BytesIO(stream.read(length))


def _refuse_layout(stream: Stream, path: Path, size: int | None) -> int:
    """The bytes up to the end of the last unit.  size : of the file; None for a packed one.  Raises ValueError."""
    at = 0
    for number, (header, data) in enumerate(_units(stream)):
        if number >= MOST_UNITS:
            raise ValueError(f"it has more than {MOST_UNITS} units")
        start, at = at + header, at + header + data
        if size is None:
            refuse_size(path, "the map", at, MAP)
            stream.seek(at)
        if (held := stream.tell() if size is None else size) < at:
            raise ValueError(f"its header promises {data:,} bytes, the file holds {max(held - start, 0):,} of them")
        at = start + -(-data // BLOCK) * BLOCK
        stream.seek(at)
    if not at:
        raise ValueError("it does not begin with the card SIMPLE")
    return at


def _units(stream: Stream) -> Iterator[tuple[int, int]]:
    """Bytes of the header and of the data of each unit; raises ValueError where a header cannot be read."""
    first = b"SIMPLE  ="
    while (block := stream.read(BLOCK)).startswith(first):
        cards = _cards(block, stream)
        yield sum(map(len, cards)), _data_bytes(cards)
        first = b"XTENSION="
    if first == b"XTENSION=" and block.strip(b"\0 "):
        raise ValueError("something that is no FITS follows its last unit")


def _cards(block: bytes, stream: Stream) -> list[bytes]:
    cards: list[bytes] = []
    while len(cards) * CARD < MOST_HEADER and len(block) == BLOCK:
        more = [block[k : k + CARD] for k in range(0, BLOCK, CARD)]
        cards += more
        if any(card.rstrip() == b"END" for card in more):
            return cards
        block = stream.read(BLOCK)
    raise ValueError("a header has no end")


def _data_bytes(cards: list[bytes]) -> int:
    found: dict[bytes, int] = {}
    for card in cards:
        if match := _SIZE_CARD.match(card):
            found.setdefault(match[1], int(match[2]))
    names = [b"NAXIS%d" % (k + 1) for k in range(min(found.get(b"NAXIS", 0), 999))]
    if not found.keys() >= set(names):
        raise ValueError("a header gives no size, or none that is a whole number")
    axes = [found[name] for name in names]
    if min([*axes, found.get(b"PCOUNT", 0), found.get(b"GCOUNT", 1)]) < 0:
        raise ValueError("a header has a negative size")
    if axes and axes[0] == 0:  # random groups
        axes = axes[1:]
    elements = prod(axes) if axes else 0
    return abs(found.get(b"BITPIX", 8)) // 8 * found.get(b"GCOUNT", 1) * (found.get(b"PCOUNT", 0) + elements)


def row_faults(table: Any) -> list[str]:
    """The fault of a table whose columns do not fill its rows: a library would read each row at the wrong place."""
    told, found = table.header["NAXIS1"], table.columns.dtype.itemsize
    return [] if told == found else [f"its columns take {found} bytes a row, but its header says NAXIS1 = {told}"]
