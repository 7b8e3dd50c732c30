"""Where a release lies, in the local mirror or the cache, and whether it is whole."""

from __future__ import annotations

import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from nuanalysis.errors import DataError
from nuanalysis.ingest._download import CHUNK
from nuanalysis.ingest._release import UpstreamFile, UpstreamRelease
from nuanalysis.ingest._table import count_rows, open_bytes, present

MIRROR = "NUANALYSIS_DATA"
CACHE = "NUANALYSIS_CACHE"


@dataclass(frozen=True, slots=True)
class FileReport:
    """What verify found of one file.  status: 'ok', 'unchecked' (nothing to check against), 'absent', 'damaged'."""

    path: str
    kind: str
    found: str
    rows: int | None
    rows_expected: int | None
    sha256: str
    sha256_expected: str
    status: str
    message: str

    @property
    def ok(self) -> bool:
        """Whether the file is there and not known to be damaged."""
        return self.status in ("ok", "unchecked")


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """What verify found of a release.  status: 'complete', 'partial', 'absent', 'damaged'."""

    name: str
    folder: str
    status: str
    files: tuple[FileReport, ...]

    @property
    def damaged(self) -> tuple[FileReport, ...]:
        """The files that are there and wrong."""
        return tuple(file for file in self.files if file.status == "damaged")


def cache_root() -> Path:
    """Return the folder of the cache: NUANALYSIS_CACHE, or the user's cache folder.  It need not exist."""
    chosen = os.environ.get(CACHE, "")
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("nuanalysis"))


def places(release: UpstreamRelease) -> tuple[Path, ...]:
    """Return the folders in which a release is looked for, best first."""
    mirror = os.environ.get(MIRROR, "")
    return tuple(root / release.folder for root in ([Path(mirror)] if mirror else []) + [cache_root()])


def missing(folder: Path, release: UpstreamRelease, *, optional: bool = False) -> tuple[str, ...]:
    """Return the required (or with ``optional`` all) files of which the folder holds no spelling, one per group."""
    there = {file.group for file in release.files if present(folder, file)}
    wanted = {file.group: file.path for file in release.files if file.required or optional}
    return tuple(path for group, path in wanted.items() if group not in there)


def holdings(release: UpstreamRelease) -> tuple[Path | None, str]:
    """Return (folder or None, 'complete' | 'partial' | 'absent'): the most complete place, mirror before cache."""
    required = {file.group for file in release.files if file.required}
    best: tuple[Path | None, int] = (None, 0)
    for folder in places(release):
        held = len({file.group for file in release.files if present(folder, file)} & required)
        best = (folder, held) if held > best[1] else best
    folder_found, held = best
    if folder_found is None:
        return None, "absent"
    return folder_found, "complete" if held == len(required) else "partial"


def find(release: UpstreamRelease) -> Path:
    """Return the folder of a release: a complete one where there is one, the mirror before the cache.

    A partial copy is returned too: the reader then names the file that it lacks.
    Raises DataError that says how to get the release.
    """
    folder, _ = holdings(release)
    if folder is None:
        looked = ", ".join(str(place) for place in places(release))
        mirror = "" if os.environ.get(MIRROR) else f" ({MIRROR} is not set)"
        raise DataError(
            f"release '{release.name}' is not here: looked in {looked}{mirror}. Run 'nuanalysis data fetch "
            f"{release.name}', or bring it by hand with 'nuanalysis data import {release.name} FOLDER'."
        )
    return folder


# ---- verify -------------------------------------------------------------------------------------------------------


def digest(path: Path) -> str:
    """Return the sha256 of the uncompressed bytes of a file.  Raises DataError for a damaged gz."""
    sha256 = hashlib.sha256()
    try:
        with open_bytes(path) as stream:
            while block := stream.read(CHUNK):
                sha256.update(block)
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(f"{path} is truncated or damaged: {error}. Fetch it again.") from error
    return sha256.hexdigest()


def examine(path: Path, file: UpstreamFile) -> FileReport:
    """Return the report on one file that is there."""

    def report(status: str, message: str, rows: int | None = None, sha256: str = "") -> FileReport:
        return FileReport(file.path, file.kind, str(path), rows, file.rows, sha256, file.sha256, status, message)

    try:
        sha256, rows = digest(path), count_rows(path)
    except DataError as error:
        return report("damaged", str(error))
    # Dataverse's .tab spelling of a .csv has the same rows in other bytes.
    known = file.sha256 if not path.name.removesuffix(".gz").endswith(".tab") else ""
    if known:
        good = sha256 == known
        message = "checksum and published file agree" if good else f"sha256 {sha256}, expected {known}"
        return report("ok" if good else "damaged", message, rows, sha256)
    if file.rows is None:
        return report("unchecked", "checksum not published here; row count and checksum recorded", rows, sha256)
    good = rows == file.rows
    message = "checksum not published here; row count checked" if good else f"{rows} rows, expected {file.rows}"
    return report("ok" if good else "damaged", message, rows, sha256)


def verify(release: UpstreamRelease, folder: Path | None = None) -> ReleaseReport:
    """Return what is in the folder of a release (by default where `find` sees it): rows, checksums, damage."""
    folder = holdings(release)[0] if folder is None else folder
    if folder is None:
        absent = tuple(_absent(file) for file in release.files)
        return ReleaseReport(release.name, "", "absent", absent)
    paths = [(file, present(folder, file)) for file in release.files]
    held = frozenset(file.group for file, path in paths if path)
    files = tuple(examine(path, file) if path else _absent(file, held) for file, path in paths)
    lacking = missing(folder, release)
    status = "partial" if lacking else "complete"
    if any(file.status == "damaged" for file in files):
        status = "damaged"
    elif all(file.status == "absent" for file in files):
        status = "absent"
    return ReleaseReport(release.name, str(folder), status, files)


def _absent(file: UpstreamFile, others: frozenset[str] = frozenset()) -> FileReport:
    message = "not here" if file.required else "not here (optional)"
    if file.group in others:
        message = "not here (another form of it is)"
    return FileReport(file.path, file.kind, "", None, file.rows, "", file.sha256, "absent", message)
