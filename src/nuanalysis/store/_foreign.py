"""Files that anybody may have written: regular, bounded, without links; their parsers' faults in our words."""

import gzip
import json
import math
import os
import re
import stat
import tomllib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

from nuanalysis.errors import DataError, EnvironmentFault, InputError, NuanalysisError, printable, refuse
from nuanalysis.store._files import first_line

MIB = 1 << 20
#: Bytes, unpacked, that are read from one file into memory, by what it is.
DOCUMENT, TABLE, MAP = 16 * MIB, 256 * MIB, 4096 * MIB
RAISED = "NUANALYSIS_LARGEST_MB"  # raises all of them, where a machine and its user can afford it
DEEPEST = 100  # levels of a document: ours have five
_STEP = MIB
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_HEADER = re.compile(r"\s*\[[^,]*$")  # of a table; a row of numbers holds commas


def largest(usual: int) -> int:
    """The bytes that are read of one file: ``usual``, or what NUANALYSIS_LARGEST_MB raises it to.

    Raises InputError where that is no whole number.
    """
    said = os.environ.get(RAISED, "")
    if not said:
        return usual
    if not (said.isascii() and said.isdigit() and len(said) < 12):
        raise InputError(f"{RAISED} is '{said}', expected a whole number of MB such as 8192")
    return max(usual, int(said) * MIB)


def regular(path: Path, what: str, *, error: type[NuanalysisError] = InputError) -> os.stat_result:
    """The state of a file that can be read from beginning to end.

    Raises ``error`` for what is missing, closed to us, a folder, or a device, pipe or socket, which may never end.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as fault:  # ValueError: a name with a null byte
        why = getattr(fault, "strerror", None) or str(fault)
        raise error(f"{what} {path} cannot be read: {why}; check the name") from fault
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a device, pipe or socket"
        raise error(f"{what} {path} is {kind}, expected a file")
    return found


def refuse_size(path: Path, what: str, size: int, most: int, *, error: type[NuanalysisError] = InputError) -> None:
    """Raise where a file, its header or its listing says that it is larger than ``most`` bytes, or the raised limit."""
    if size > (allowed := largest(most)):
        raise error(
            f"{what} {path} holds {size:,} bytes unpacked, expected at most {allowed:,}; "
            f"if that is meant, set {RAISED}={-(-size // MIB)} and call again"
        )


def content(path: Path, what: str, *, most: int, error: type[NuanalysisError] = InputError) -> bytes:
    """The bytes of a file, unpacked where it is gzipped.

    Raises ``error`` for what is no regular file, damaged, or larger than ``most`` bytes: nothing beyond that is read.
    """
    refuse_size(path, what, regular(path, what, error=error).st_size, most, error=error)
    allowed = largest(most)
    beyond = error(
        f"{what} {path} unpacks to more than {allowed:,} bytes; if that is meant, set {RAISED} to its size in MB and "
        "call again"
    )
    try:
        with path.open("rb") as stream:
            return b"".join(
                read_parts(gzip.GzipFile(fileobj=stream) if is_gzipped(stream) else stream, allowed, beyond)
            )
    except (OSError, EOFError, zlib.error) as fault:
        why = getattr(fault, "strerror", None) or str(fault)
        raise error(f"{what} {path} cannot be read: {why}; fetch or write it again") from fault


def is_gzipped(stream: IO[bytes]) -> bool:
    """Whether a file is packed by gzip, by its first bytes; it is left at its beginning."""
    packed = stream.read(2) == b"\x1f\x8b"
    stream.seek(0)
    return packed


def read_parts(stream: IO[bytes] | gzip.GzipFile, most: int, beyond: NuanalysisError) -> Iterator[bytes]:
    """The bytes of a stream, some at a time.  Raises ``beyond`` after ``most`` of them: a few MB unpack to many GB."""
    size = 0
    while part := stream.read(_STEP):
        size += len(part)
        if size > most:
            raise beyond
        yield part


@contextmanager
def parsing(path: Path, what: str, remedy: str, *, error: type[NuanalysisError] = InputError) -> Iterator[None]:
    """While a parser of others reads a file: whatever it raises becomes ``error`` with the path and the remedy.

    A parser raises whatever the byte that it stumbles on leads to (KeyError, RecursionError, MemoryError, ..).  Put
    only the call of the parser inside, or faults of ours are taken for faults of the file.
    """
    try:
        yield
    except (NuanalysisError, GeneratorExit):
        raise
    except MemoryError as fault:
        raise EnvironmentFault(f"there is not enough memory to read {what} {path}; {remedy}") from fault
    except Exception as fault:
        raise error(f"{what} {path} cannot be read: {printable(first_line(fault))}; {remedy}") from fault


def text_of(path: Path, what: str, *, most: int = DOCUMENT, error: type[NuanalysisError] = InputError) -> str:
    """The text of a file in UTF-8, whatever the locale; a byte order mark is left out.  Raises as ``content``."""
    with parsing(path, what, "save it as text in UTF-8", error=error):
        return content(path, what, most=most, error=error).decode("utf-8-sig")


def read_json(path: Path, what: str, remedy: str, *, error: type[NuanalysisError] = DataError) -> dict[str, Any]:
    """The object in a JSON document.

    Raises ``error`` for what is damaged, too large or too deep, holds NaN or Infinity, or is no object.
    """
    data = content(path, what, most=DOCUMENT, error=error)
    with parsing(path, what, remedy, error=error):
        text = data.decode("utf-8-sig")
        refuse_depth(text)
        found = json.loads(text, parse_constant=_no_number, parse_float=_finite)
        if not isinstance(found, dict):
            raise ValueError(f"it holds a {type(found).__name__}, expected an object")
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"it holds {word}, which is no number")


def _finite(word: str) -> float:
    """The number; 1e999 is infinite, and cannot be written again."""
    return number if math.isfinite(number := float(word)) else _no_number(word[:40])


def read_toml(path: Path, what: str, remedy: str, *, error: type[NuanalysisError] = InputError) -> dict[str, Any]:
    """The table in a TOML document.  Raises ``error`` for what is damaged, too large or too deep."""
    return parse_toml(text_of(path, what, error=error), path, what, remedy, error=error)


def parse_toml(
    text: str, path: Path, what: str, remedy: str, *, error: type[NuanalysisError] = InputError
) -> dict[str, Any]:
    """The table in a TOML text; ``path`` is what the message calls it.  Raises as ``read_toml``."""
    with parsing(path, what, remedy, error=error):
        refuse_depth(text)
        return tomllib.loads(text)


def refuse_depth(text: str) -> None:
    """Raise ValueError for a document that nests deeper than DEEPEST: parsers recurse, and a header is as deep.

    What stands between quotes does not nest, and points separate keys only before a '=' and in the header of a table.
    """
    bare = _QUOTED.sub("", text)
    depth = deepest = 0
    for letter in bare:
        if letter in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in "]}":
            depth = max(depth - 1, 0)
    keys = (line.partition("=")[0] for line in bare.splitlines() if "=" in line or _HEADER.match(line))
    if max(deepest, max((key.count(".") for key in keys), default=0)) > DEEPEST:
        raise ValueError(f"it nests deeper than {DEEPEST} levels")


def unlinked(root: Path, path: Path, *, error: type[NuanalysisError] = DataError) -> Path:
    """A path below ``root`` that no symbolic link, and no '..', leads out of; returned as it was given.

    Wherever bytes are hashed, packed or trusted: a link would bring a file of which nobody said anything.
    Raises ``error`` where one is on the way from ``root`` (which itself may be a link) to the path.
    """
    try:
        parts = path.relative_to(root).parts
    except ValueError as fault:
        raise error(f"{path} is not in {root}; copy it there") from fault
    if ".." in parts:
        raise error(f"{path} leads out of {root}; copy the file there")
    here = root
    for part in parts:
        here = here / part
        if _is_link(here, error):
            raise error(f"{here} is a link to {printable(str(here.readlink()))}; put a copy of the file in its place")
    return path


def own_tree(folder: Path, what: str, *, error: type[NuanalysisError] = DataError) -> None:
    """Raise where anything below a folder is a link, device, pipe or socket; the folder itself may be a link.

    Before a folder that somebody may have sent is written to or read: what is written would follow a link out, to
    empty, replace or remove files of its user, and a pipe would be waited for without end.  A folder that is not
    there holds nothing of the kind.
    """
    found = list(islice(_not_its_own(folder), 8))
    refuse(found, f"{what} {folder} holds what is not its own", "Put copies in the place of links, or remove them.",
           error=error)  # fmt: skip


def _not_its_own(folder: Path) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(parent) / name
            with suppress(FileNotFoundError):  # a scratch file of another process, renamed meanwhile
                kind = path.lstat().st_mode
                if stat.S_ISLNK(kind):
                    yield f"{path.relative_to(folder)} is a link to {path.readlink()}"
                elif not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
                    yield f"{path.relative_to(folder)} is a device, pipe or socket"


def _is_link(path: Path, error: type[NuanalysisError]) -> bool:
    try:
        return path.is_symlink()
    except (OSError, ValueError) as fault:  # a name that no file can have
        raise error(f"{path} cannot be the name of a file: {getattr(fault, 'strerror', None) or fault}") from fault
