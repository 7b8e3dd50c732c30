"""Where a release lies, in the local mirror or the cache, and whether it is whole."""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path
from typing import Any

from nuanalysis.errors import DataError, EnvironmentFault, NotHereError
from nuanalysis.ingest._release import UpstreamFile, UpstreamRelease
from nuanalysis.ingest._table import bounded, count_rows, open_bytes, present
from nuanalysis.records import Record, shown
from nuanalysis.store import TABLE, is_ours, is_temporary, largest, private_folder, user_cache

MIRROR = "NUANALYSIS_DATA"
CACHE = "NUANALYSIS_CACHE"


class FileReport(Record):
    """What verify found of one file.  status: 'ok', 'unchecked' (nothing to check against), 'absent', 'damaged'."""

    path: str = shown("path in the release")
    kind: str = shown("what it holds")
    status: str = shown("status")
    message: str = shown("what was checked")
    found: str = shown("where it lies", "")
    rows: int | None = shown("data rows", None)
    rows_expected: int | None = shown("expected rows", None)
    sha256: str = shown("sha256 of the uncompressed bytes", "")
    sha256_expected: str = shown("expected sha256", "")

    @property
    def ok(self) -> bool:
        """Whether the file is there and not known to be damaged."""
        return self.status in ("ok", "unchecked")

    def words(self, form: str = "") -> str:
        rows = "" if self.rows is None else f"{self.rows:,} rows"
        return f"{self.status:<9} {rows:>15}  {self.sha256[:12]:<12}  {self.path}: {self.message}"


class ReleaseReport(Record):
    """What verify found of a release.  status: 'complete', 'partial', 'absent', 'damaged'."""

    name: str = shown("release")
    folder: str = shown("folder", "")
    status: str = shown("status")
    files: tuple[FileReport, ...] = shown("files")

    @property
    def damaged(self) -> tuple[FileReport, ...]:
        """The files that are there and wrong."""
        return tuple(file for file in self.files if file.status == "damaged")

    def words(self, form: str = "") -> str:
        """A line, and one for each file where there are some."""
        head = f"{self.name}: {self.status}" + (f" in {self.folder}" if self.folder else "")
        return "\n  ".join([head, *(file.words() for file in self.files if self.status != "absent")])


class ReleaseCard(Record):
    """A release that can be read, and whether it is here."""

    name: str = shown("release")
    title: str = shown("title")
    status: str = shown("status")
    folder: str = shown("folder", "")
    doi: str = shown("DOI", "")
    doi_confirmed: bool = shown("whether the DOI was confirmed")
    licence: str = shown("licence")
    citation: str = shown("citation")
    archive_url: str | None = shown("address of one archive", None)
    notes: str = shown("notes", "")
    calibrated: str = shown("what per-event errors were calibrated for; empty where it is not said", "")

    def words(self, form: str = "") -> str:
        """Name, status and DOI; below them licence and folder."""
        doi = f"{self.doi}{'' if self.doi_confirmed else ' (unconfirmed)'}" if self.doi else "no DOI"
        more = f"\n{'':<20} {self.folder}" if self.folder else ""
        return f"{self.name:<20} {self.status:<9} {doi:<36} {self.title}\n{'':<20} {self.licence}{more}"


def cache_root() -> Path:
    """Return the folder of the cache: NUANALYSIS_CACHE, or the user's cache folder.  It need not exist.

    Where the home of this user cannot be written it is a private temporary folder, which child processes share.
    Raises EnvironmentFault where there is none of these.
    """
    kept = user_cache("nuanalysis")
    if not os.environ.get(CACHE) and not is_ours(kept):
        os.environ[CACHE] = str(private_folder() / "cache")
    return Path(os.environ.get(CACHE) or str(kept))


def lasting_root() -> Path:
    """The folder of the cache, for downloads.  Raises EnvironmentFault where it would end with this process."""
    root = cache_root()
    if is_temporary(root):
        raise EnvironmentFault(
            f"the home of this user cannot be written, so nothing that is brought would be kept; set {CACHE} to a "
            "folder that only you can write, and call again"
        )
    return root


def places(release: UpstreamRelease) -> tuple[Path, ...]:
    """Return the folders in which a release is looked for, best first."""
    roots = [os.environ.get(MIRROR, ""), os.environ.get(CACHE, "")]
    if not roots[1] or is_temporary(Path(roots[1])):
        roots.append(str(user_cache("nuanalysis") or ""))  # that of a home which is closed to writing may hold some
    return tuple(Path(root) / release.folder for root in roots if root)


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


def release_card(release: UpstreamRelease) -> ReleaseCard:
    """What a release is, and whether it is here."""
    folder, status = holdings(release)
    keys = ("name", "title", "doi", "doi_confirmed", "licence", "citation", "archive_url", "notes", "calibrated")
    said = {key: getattr(release, key) for key in keys}
    return ReleaseCard(status=status, folder=str(folder or ""), **said)


def find(release: UpstreamRelease) -> Path:
    """Return the folder of a release: a complete one where there is one, the mirror before the cache.

    A partial copy is returned too: the reader then names the file that it lacks.
    Raises NotHereError that says how to get the release.
    """
    folder, _ = holdings(release)
    if folder is None:
        looked = ", ".join(str(place) for place in places(release)) or "no folder, since this user has no home"
        mirror = "" if os.environ.get(MIRROR) else f" ({MIRROR} is not set)"
        raise NotHereError(
            f"release '{release.name}' is not here: run 'nuanalysis data fetch {release.name}', or bring it by hand "
            f"with 'nuanalysis data import {release.name} FOLDER'.",
            f"Looked in {looked}{mirror}.",
        )
    return folder


# ---- verify -------------------------------------------------------------------------------------------------------


def digest(path: Path, most: int = TABLE) -> str:
    """Return the sha256 of the uncompressed bytes of a file.  Raises DataError for a damaged gz, or beyond ``most``."""
    found = hashlib.sha256()
    try:
        with open_bytes(path) as stream:
            for part in bounded(stream, path, largest(most)):
                found.update(part)
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(f"{path} is truncated or damaged: {error}. Fetch it again.") from error
    return found.hexdigest()


def examine(path: Path, file: UpstreamFile) -> FileReport:
    """Return the report on one file that is there."""
    try:
        sha256, rows = digest(path, file.most), count_rows(path, file.most)
    except DataError as error:
        return _report(file, "damaged", str(error), found=str(path))
    # Dataverse's .tab spelling of a .csv has the same rows in other bytes.
    known = file.sha256 if not path.name.removesuffix(".gz").endswith(".tab") else ""
    good = sha256 == known if known else rows == file.rows
    if known:
        message = "checksum and published file agree" if good else f"sha256 {sha256}, expected {known}"
    elif file.rows is None:
        message = "checksum not published here; row count and checksum recorded"
    else:
        message = "checksum not published here; row count checked" if good else f"{rows} rows, expected {file.rows}"
    status = "unchecked" if not known and file.rows is None else "ok" if good else "damaged"
    return _report(file, status, message, found=str(path), rows=rows, sha256=sha256)


def verify(release: UpstreamRelease, folder: Path | None = None) -> ReleaseReport:
    """Return what is in the folder of a release (by default where `find` sees it): rows, checksums, damage."""
    folder = holdings(release)[0] if folder is None else folder
    if folder is None:
        files = tuple(_report(file, "absent", _absence(file)) for file in release.files)
        return ReleaseReport(name=release.name, status="absent", files=files)
    paths = [(file, present(folder, file)) for file in release.files]
    held = {file.group for file, path in paths if path}
    files = tuple(
        examine(path, file) if path else _report(file, "absent", _absence(file, other=file.group in held))
        for file, path in paths
    )
    found = {file.status for file in files}
    complete = "partial" if missing(folder, release) else "complete"
    status = "damaged" if "damaged" in found else "absent" if found == {"absent"} else complete
    return ReleaseReport(name=release.name, folder=str(folder), status=status, files=files)


def _report(file: UpstreamFile, status: str, message: str, **found: Any) -> FileReport:
    of_file: dict[str, Any] = {
        "path": file.path, "kind": file.kind, "rows_expected": file.rows, "sha256_expected": file.sha256,
    }  # fmt: skip
    return FileReport(status=status, message=message, **of_file, **found)


def _absence(file: UpstreamFile, *, other: bool = False) -> str:
    return "not here (another form of it is)" if other else "not here" if file.required else "not here (optional)"
