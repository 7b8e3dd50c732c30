"""Damaged files of every kind end in an error of ours or in finite numbers, never in a traceback, a hang or NaN.

Each reader is given sound files that were changed at a few places: bytes flipped, cut, doubled, moved; numbers replaced
by those that overflow, lie or are none; what is packed is changed inside and packed again.  The suite tries a few;
``make fuzz`` tries NUANALYSIS_FUZZ of them for each reader, other ones for each NUANALYSIS_FUZZ_SEED.
"""

from __future__ import annotations

import dataclasses
import gzip
import os
import re
import resource
import shutil
import signal
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from fuzz_corpus import NAMES, Reader, readers
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from nuanalysis.errors import NuanalysisError, printable

EXAMPLES = int(os.environ.get("NUANALYSIS_FUZZ", "12"))
SEED = int(os.environ.get("NUANALYSIS_FUZZ_SEED", "1"))
LONGEST_S, ROOM = 10, 4 << 30  # seconds of a reading; bytes of memory that it may take beyond what is there
WORDS = [
    b"nan", b"inf", b"-inf", b"1e308", b"-1e308", b"1e-320", b"-1", b"0", b"-0.0", b"9" * 400, b"1e999", b"4294967296",
    b"18446744073709551616", b"2147483648", b"\x1b]0;x\x07", b"\xff\xfe", b"\0", b"[" * 3000, b"{" * 3000, b"(" * 3000,
    b"../../etc/passwd", b"\r\n", b"\xe2\x80\xae", b"NaN", b"Infinity", b"null", b"true", b"''", b'"', b"<!DOCTYPE x>",
    b"a" * 5000, b"," * 3000, b"?", b"&", b"=", b"#", b"%", b"1D", b"1E", b"**9**9**9", b"not " * 2000, b"\t", b";",
]  # fmt: skip
DOUBLES = [float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 5e-324, -1.0, 0.0, 1e30]
NUMBER = re.compile(rb"-?\d+\.?\d*(?:[eE][-+]?\d+)?")
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "word", "number", "double", "drop", "twice", "swap", "random"]),
        st.floats(0.0, 1.0, exclude_max=True),
        st.integers(0, 1 << 30),
    ),
    min_size=1,
    max_size=4,
)


def changed(content: bytes, kind: str, where: float, how: int) -> bytes:
    """The content with one change; ``where`` is a fraction of its length."""
    at, length = int(where * len(content)), 1 + how % 64
    if kind == "flip" and content:
        return content[:at] + bytes([content[at] ^ (1 + how % 255)]) + content[at + 1 :]
    if kind == "cut":
        return content[:at]
    if kind == "number" and (found := list(NUMBER.finditer(content))):
        one = found[int(where * len(found))]
        return content[: one.start()] + WORDS[how % len(WORDS)] + content[one.end() :]
    if kind == "double":
        at, order = at // 8 * 8, "<>"[how % 2]
        return content[:at] + struct.pack(f"{order}d", DOUBLES[how % len(DOUBLES)]) + content[at + 8 :]
    if kind == "drop":
        return content[:at] + content[at + length :]
    if kind == "twice":
        return content[: at + length] + content[at:]
    if kind == "swap":
        return content[at:] + content[:at]
    if kind == "random":
        return content[:at] + np.random.default_rng(how).bytes(length) + content[at + length :]
    return content[:at] + WORDS[how % len(WORDS)] + content[at:]


def damaged(content: bytes, changes: list[tuple[str, float, int]]) -> bytes:
    """The content with all changes; what is packed is changed inside every second time."""
    packed = content[:2] == b"\x1f\x8b" and changes[0][2] % 2 == 0
    inside = gzip.decompress(content) if packed else content
    for change in changes:
        inside = changed(inside, *change)
    return gzip.compress(inside) if packed else inside


@contextmanager
def bounded() -> Iterator[None]:
    """At most LONGEST_S seconds, and ROOM bytes of memory more than there are."""

    def hangs(*_: object) -> None:
        pytest.fail(f"takes more than {LONGEST_S} s")

    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before, alarm = resource.getrlimit(resource.RLIMIT_AS), signal.signal(signal.SIGALRM, hangs)
    resource.setrlimit(resource.RLIMIT_AS, (held + ROOM, before[1]))
    signal.alarm(LONGEST_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, alarm)
        resource.setrlimit(resource.RLIMIT_AS, before)


def numbers(value: object) -> Iterator[np.ndarray]:
    """Every array of real numbers in a value."""
    if isinstance(value, BaseModel | dict | xr.Dataset):
        held = (
            dict(value).values() if not isinstance(value, xr.Dataset) else (v.values for v in value.variables.values())
        )
        for one in held:
            yield from numbers(one)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from numbers(getattr(value, field.name, None))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from numbers(one)
    elif isinstance(value, float | np.floating | np.ndarray) and np.asarray(value).dtype.kind == "f":
        yield np.asarray(value)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reader]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {one.name: one for one in readers(tmp_path_factory.mktemp("sound"))}


def tried(reader: Reader, content: bytes, folder: Path) -> str:
    """'read', or why the file was refused.  Fails on anything else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / f"file{reader.ending}"
    path.write_bytes(content)
    try:
        with bounded(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = reader.read(path)
    except NuanalysisError as refused:
        said = str(refused)
    else:
        said = ""
    assert said == printable(said)
    assert len(said) < 7_000, "the message is longer than anybody reads"
    if said:
        return said
    for array in numbers(found) if reader.finite else ():
        assert np.isfinite(array).all(), f"{reader.name} gave a number that is not finite"
    return "read"


def test_every_reader_is_in_the_list(corpus: dict[str, Reader]) -> None:
    assert sorted(NAMES) == sorted(corpus)


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_file_is_read(name: str, corpus: dict[str, Reader], tmp_path: Path) -> None:
    assert tried(corpus[name], corpus[name].content, tmp_path / "it") == "read"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_a_damaged_file_ends_in_our_words_or_in_finite_numbers(
    name: str, corpus: dict[str, Reader], tmp_path: Path
) -> None:
    reader = corpus[name]

    @seed(SEED * 100_003 + zlib.crc32(name.encode()))
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(CHANGES)
    def try_one(changes: list[tuple[str, float, int]]) -> None:
        tried(reader, damaged(reader.content, changes), tmp_path / "it")

    try_one()
