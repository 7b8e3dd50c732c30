"""The manifest of a release: every file by its sha256, written last, checked by anyone.

There is one way to write it, and anything else is refused: two texts that say the same would have two digests.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from nuanalysis.errors import DataError, printable, refuse
from nuanalysis.store import DOCUMENT, read_json, refuse_size, regular, sha256_file, unlinked

SUMS = "MANIFEST.sha256"
INDEX = "manifest.json"
AGAIN = "Fetch the release again, or build it anew from its run folder."
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


@dataclass(frozen=True, slots=True)
class Verification:
    """What the check of a release found.

    first_bad, expected, found : of the first file, in the order of the manifest, whose bytes differ; '' if none.
    unexpected : files, links, devices and, with '/' at the end, folders that hold nothing of the release.
    digest : sha256 of MANIFEST.sha256 itself: the one number that names the whole release.
    """

    folder: str
    files: int
    digest: str
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    first_bad: str
    expected: str
    found: str

    @property
    def ok(self) -> bool:
        """True where every file is there, unchanged, and nothing else is."""
        return not (self.changed or self.missing or self.unexpected)

    def message(self) -> str:
        """The finding in words."""
        if self.ok:
            return f"{self.folder}: {self.files} files agree with the manifest (release digest {self.digest})"
        words = [f"{self.folder} does not agree with its manifest:"]
        if self.first_bad:
            words.append(f"first bad file {self.first_bad}: expected sha256 {self.expected}, found {self.found}")
            words.append(f"changed ({len(self.changed)}): {', '.join(self.changed)}")
        if self.missing:
            words.append(f"missing ({len(self.missing)}): {', '.join(self.missing)}")
        if self.unexpected:
            words.append(f"unexpected ({len(self.unexpected)}): {', '.join(self.unexpected)}")
        return printable("\n  ".join([*words, AGAIN]))


def _below(folder: Path) -> Iterator[tuple[str, bool]]:
    """Every path below the folder, with '/', and whether it is a folder; links are not followed, and no folders."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent) / name
            yield path.relative_to(folder).as_posix(), name in folders and not path.is_symlink()


def release_files(folder: Path) -> list[str]:
    """Every path below the folder but the list of sums itself, with '/' and sorted; links count as files."""
    return sorted(name for name, is_folder in _below(folder) if not is_folder and name != SUMS)


def _idle_folders(folder: Path, listed: Mapping[str, str]) -> list[str]:
    """Folders that hold no listed file, with '/' at the end."""
    needed = {parent.as_posix() for name in listed for parent in PurePosixPath(name).parents}
    return sorted(f"{name}/" for name, is_folder in _below(folder) if is_folder and name not in needed)


def write_sums(folder: Path) -> Path:
    """Write MANIFEST.sha256, readable by ``sha256sum -c``; the last file of a release."""
    path = folder / SUMS
    path.write_bytes(_sums_text({name: sha256_file(folder / name) for name in release_files(folder)}).encode())
    return path


def _sums_text(sums: Mapping[str, str]) -> str:
    """The one form of the list."""
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))


def json_text(document: object) -> str:
    """The one form of the JSON manifest, and of all JSON documents of a release."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _text(folder: Path, name: str) -> str:
    """A small file of a release, byte for byte.  Raises DataError for links, devices, and what is not UTF-8."""
    path = unlinked(folder, folder / name)
    size = regular(path, "the manifest", error=DataError).st_size
    refuse_size(path, "the manifest", size, DOCUMENT, error=DataError)
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8 ({error.reason} at byte {error.start}). {AGAIN}") from error


def read_sums(folder: Path) -> dict[str, str]:
    """{path: sha256} of the manifest.

    Raises DataError where it is missing, a link, damaged, points outside, or is not written in its one form; the
    message lists every deviation.
    """
    path = folder / SUMS
    if not os.path.lexists(path):
        raise DataError(f"{folder} has no {SUMS}: it is no release, or was only half copied; fetch or build it again")
    return parse_sums(_text(folder, SUMS), str(path))


def parse_sums(text: str, source: str) -> dict[str, str]:
    """{path: sha256} of the text of a manifest; see ``read_sums``."""
    lines = text.split("\n")
    matches = [_LINE.fullmatch(line.rstrip("\r")) for line in lines]
    sums = {match[2]: match[1] for match in matches if match is not None}
    faults = [fault for number, line in enumerate(lines, 1) for fault in _line_faults(number, line, last=len(lines))]
    names = [match[2] for match in matches if match is not None]
    faults += [f"it lists {name!r} {names.count(name)} times" for name in dict.fromkeys(names) if names.count(name) > 1]
    if out_of_order := next((b for a, b in pairwise(names) if b < a), None):
        faults.append(f"its paths are not sorted: {out_of_order!r} comes too late")
    if not sums:
        faults.append("it lists no file")
    elif not faults and text != _sums_text(sums):
        faults.append("it is not written as a release writes it")
    expected = "expected one line '<sha256>  <path inside the release>' for each file, sorted, each with a line feed"
    refuse(faults, f"{source} is damaged, {expected}", AGAIN, error=DataError)
    return sums


def _line_faults(number: int, line: str, *, last: int) -> Iterator[str]:
    """What is wrong with a line of the manifest."""
    if number == last:  # what follows the last line feed
        if line:
            yield "its last line has no line feed at the end"
        else:
            return
    match = _LINE.fullmatch(line.rstrip("\r"))
    if line.endswith("\r"):
        yield f"line {number} ends with a carriage return and a line feed, expected a line feed alone"
    if match is None:
        yield f"line {number} is {line[:100]!r}"
    else:
        yield from (f"line {number}: the path {match[2]!r} {why}" for why in _path_faults(match[2]))


def _path_faults(name: str) -> Iterator[str]:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        yield "leads out of the release"
    elif path.as_posix() != name or name == ".":
        yield f"is not in its shortest form, {path.as_posix()!r}"
    if printable(name) != name or "\t" in name or name != name.strip():
        yield "holds control characters or ends with spaces"
    if name == SUMS:
        yield "is the manifest itself"


def _index_faults(folder: Path, sums: Mapping[str, str]) -> Iterator[str]:
    """Where the JSON manifest says other things than the list of sums, or than the files themselves."""
    index = read_json(unlinked(folder, folder / INDEX), "the manifest", AGAIN)
    if _text(folder, INDEX) != json_text(index):
        yield f"{INDEX} is not written in its one form: indented by 2, keys sorted, each once, one line feed at the end"
    files = index.get("files")
    if not (isinstance(files, list) and all(isinstance(one, dict) and "path" in one for one in files)):
        yield f"{INDEX} has no list 'files' of objects with a 'path'"
        return
    names = [str(one["path"]) for one in files]
    if names != sorted(set(names)):
        yield f"{INDEX} lists files twice, or not sorted"
    listed = {str(one["path"]): one.get("sha256") for one in files}
    if differ := sorted(name for name in set(listed) | (set(sums) - {INDEX}) if listed.get(name) != sums.get(name)):
        yield f"{INDEX} and {SUMS} disagree about {', '.join(differ)}"
    for one in files:
        yield from _entry_faults(folder, one)
    yield from _licence_faults(folder, index)


def _entry_faults(folder: Path, entry: Mapping[str, Any]) -> Iterator[str]:
    """What the JSON manifest says wrongly of a file; the first layout said less of each."""
    name = str(entry["path"])
    size = (folder / name).stat().st_size if (folder / name).is_file() else None
    if "bytes" in entry and entry["bytes"] != size:
        yield f"{INDEX} says that {name} has {entry['bytes']!r} bytes, found {size}"


def _licence_faults(folder: Path, index: Mapping[str, Any]) -> Iterator[str]:
    """The licence is that of LICENSE and of CITATION.cff."""
    if "licence" not in index:
        return
    said = str(index["licence"])
    for name, form in (("LICENSE", f"({said})"), ("CITATION.cff", f"\nlicense: {said}\n")):
        if (folder / name).is_file() and form not in _text(folder, name):
            yield f"{INDEX} says licence {said!r}, which {name} does not name"


def _found(folder: Path, name: str) -> str:
    """The sha256 of a listed file, or what stands in its place; '' where nothing does."""
    try:
        path = unlinked(folder, folder / name)
    except DataError:
        return "a link"
    if not path.exists():
        return ""
    return sha256_file(path) if path.is_file() else "not a file"


def sealed(folder: Path) -> dict[str, bytes]:
    """The files of a folder that its list of sums names, and that list, by path.

    Raises DataError where one is missing, a link or not as the list says.
    """
    sums = read_sums(folder)
    wrong = [name for name, digest in sums.items() if _found(folder, name) != digest]
    refuse(wrong, f"files of {folder} are not as its {SUMS} says", AGAIN, error=DataError)
    return {name: (folder / name).read_bytes() for name in (*sums, SUMS)}


def verify(folder: Path) -> Verification:
    """Compare every file of a release with its manifest, by content.

    Raises DataError where there is no readable manifest in its one form, or where the JSON manifest says other things;
    a difference of the files is a result, not an exception.
    """
    sums = read_sums(folder)
    found = {name: _found(folder, name) for name in sums}
    changed = tuple(name for name, digest in found.items() if digest and digest != sums[name])
    first = changed[0] if changed else ""
    result = Verification(
        folder=folder.name or str(folder),
        files=len(sums),
        digest=sha256_file(folder / SUMS),
        changed=changed,
        missing=tuple(name for name in sums if not found[name]),
        unexpected=tuple(sorted(set(release_files(folder)) - set(sums)) + _idle_folders(folder, sums)),
        first_bad=first,
        expected=sums.get(first, ""),
        found=found.get(first, ""),
    )
    if result.ok:
        what = f"the two manifests of {folder} disagree, or one says what is not so"
        refuse(_index_faults(folder, sums), what, AGAIN, error=DataError)
    return result
