"""The manifest of a release: every file by its sha256, written last, checked by anyone."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nuanalysis.errors import DataError
from nuanalysis.store import sha256_file

SUMS = "MANIFEST.sha256"
INDEX = "manifest.json"
_LINE = re.compile(r"^([0-9a-f]{64})  (.+)$")


@dataclass(frozen=True, slots=True)
class Verification:
    """What the check of a release found.

    first_bad, expected, found : of the first file, in the order of the manifest, whose bytes differ; '' if none.
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
        return "\n  ".join([*words, "Fetch the release again, or build it anew from its run folder."])


def release_files(folder: Path) -> list[str]:
    """Every path below the folder but the list of sums itself, with '/' and sorted; links count as files."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(name for name in (path.relative_to(folder).as_posix() for path in found) if name != SUMS)


def write_sums(folder: Path) -> Path:
    """Write MANIFEST.sha256, readable by ``sha256sum -c``; the last file of a release."""
    lines = [f"{sha256_file(folder / name)}  {name}\n" for name in release_files(folder)]
    path = folder / SUMS
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    return path


def read_sums(folder: Path) -> dict[str, str]:
    """{path: sha256} of the manifest.  Raises DataError where it is missing, damaged or points outside."""
    path = folder / SUMS
    if not path.is_file():
        raise DataError(f"{folder} has no {SUMS}: it is no release, or was only half copied; fetch or build it again")
    sums: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        match = _LINE.match(line)
        if (
            match is None
            or match[2] in sums
            or PurePosixPath(match[2]).is_absolute()
            or ".." in PurePosixPath(match[2]).parts
        ):
            raise DataError(
                f"{path} line {number} is {line!r}; expected '<sha256>  <path inside the release>', each path once"
            )
        sums[match[2]] = match[1]
    if not sums:
        raise DataError(f"{path} is empty; fetch or build the release again")
    return sums


def _agree_with_index(folder: Path, sums: dict[str, str]) -> None:
    """The JSON manifest must say the same as the list of sums."""
    try:
        listed = {
            item["path"]: item["sha256"] for item in json.loads((folder / INDEX).read_text(encoding="utf-8"))["files"]
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / INDEX} cannot be read ({error!r}); fetch or build the release again") from error
    differ = sorted(name for name in set(listed) | (set(sums) - {INDEX}) if listed.get(name) != sums.get(name))
    if differ:
        raise DataError(
            f"{INDEX} and {SUMS} of {folder} disagree about {', '.join(differ)}; fetch or build the release again"
        )


def verify(folder: Path) -> Verification:
    """Compare every file of a release with its manifest, by content.

    Raises DataError where there is no readable manifest; a difference is a result, not an exception.
    """
    sums = read_sums(folder)
    present = set(release_files(folder))
    found = {
        name: sha256_file(folder / name) if (folder / name).is_file() else "not a file"
        for name in sums
        if name in present
    }
    changed = tuple(name for name, digest in found.items() if digest != sums[name])
    first = changed[0] if changed else ""
    result = Verification(
        folder=folder.name or str(folder),
        files=len(sums),
        digest=sha256_file(folder / SUMS),
        changed=changed,
        missing=tuple(name for name in sums if name not in present),
        unexpected=tuple(sorted(present - set(sums))),
        first_bad=first,
        expected=sums.get(first, ""),
        found=found.get(first, ""),
    )
    if result.ok:
        _agree_with_index(folder, sums)
    return result
