"""How a release gets here: downloads, archives, and files brought by hand; each checked before it is put in place."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO

from nuanalysis.errors import DataError
from nuanalysis.ingest._download import Patience, Progress, download, full_disk, need_room
from nuanalysis.ingest._find import MIRROR, ReleaseReport, cache_root, examine, holdings, lasting_root, missing, verify
from nuanalysis.ingest._release import UpstreamFile, UpstreamRelease
from nuanalysis.ingest._table import bounded, present
from nuanalysis.store import largest, locked, parsing, regular

INCOMING, FRESH = ".incoming", "fresh"  # where downloads grow, and what is unpacked or copied
ARCHIVE = 64 << 30  # bytes of the archive of a release
MANY = 1_000_000  # files of a folder that are looked through


def quarantine(path: Path, target: Path) -> Path:
    """Set a bad file aside beside its target under the target's name + '.quarantine'; return where.

    A second one replaces the first: one is enough to look at.
    """
    return path.replace(target.with_name(target.name + ".quarantine"))


def fetch(
    release: UpstreamRelease, progress: Progress = lambda message: None, *, patience: Patience = Patience()
) -> Path:
    """Bring a release into the cache unless a complete, undamaged copy is at hand; return its folder.

    Downloads resume; files are checked, written beside and renamed; a file with a wrong checksum is kept as
    *.quarantine and never used.  Raises DownloadError, DataError, EnvironmentFault, StoreLocked.
    """
    held, status = holdings(release)
    if held is not None and held != cache_root() / release.folder and status == "complete":
        return _sound(release, held, progress)
    folder = lasting_root() / release.folder
    with _writing(folder):
        for bad in verify(release, folder).damaged:
            progress(f"{bad.path} is damaged ({bad.message}): kept as {quarantine(Path(bad.found), Path(bad.found))}")
        if not missing(folder, release):
            progress(f"{release.name} is complete in {folder}")
            return folder
        for file in release.files:
            if file.url and file.path in missing(folder, release, optional=True):
                part = _part(folder / file.path)
                download(file.url, part, most=file.most, progress=progress, patience=patience)
                _admit(file, part, folder / file.path)
                progress(f"{file.path}: checked")
        _fetch_archive(release, folder, progress, patience)
    return folder


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Hold the folder of a release; what is unpacked or copied there and not admitted is removed, now and at the end.

    What has arrived of a download stays in .incoming, from where a later call goes on.
    """
    with locked(folder / ".fetch", 0.0):
        _tidy(folder)
        try:
            yield
        finally:
            _tidy(folder)


def _tidy(folder: Path) -> None:
    for incoming in list(folder.rglob(INCOMING)):
        shutil.rmtree(incoming / FRESH, ignore_errors=True)
        with suppress(OSError):  # it holds a download
            incoming.rmdir()


def _sound(release: UpstreamRelease, held: Path, progress: Progress) -> Path:
    bad = verify(release, held).damaged
    if bad:
        raise DataError(
            f"the local mirror {held} holds damaged files of '{release.name}': "
            + "; ".join(f"{file.path}: {file.message}" for file in bad)
            + f". A mirror is never changed from here: repair it, or unset {MIRROR} and fetch again."
        )
    progress(f"{release.name} is complete in {held}; nothing to download")
    return held


def _fetch_archive(release: UpstreamRelease, folder: Path, progress: Progress, patience: Patience) -> None:
    """Download the archive if anything is missing still, and unpack what belongs to the release."""
    lacking = missing(folder, release)
    if not lacking:
        return
    if release.archive_url is None:
        raise DataError(
            f"release '{release.name}' has no confirmed address for {', '.join(lacking)}. Download it by hand "
            f"(doi:{release.doi_text}) and run 'nuanalysis data import {release.name} FOLDER_OR_ZIP'. {release.notes}"
        )
    archive = folder / "archive.zip"
    part = _part(archive)
    download(release.archive_url, part, most=largest(ARCHIVE), progress=progress, patience=patience)
    try:
        _unpack(part, release, folder, progress)
    except DataError as error:
        raise DataError(f"{error} The archive is kept as {quarantine(part, archive)}.") from error
    part.unlink()


def import_files(release: UpstreamRelease, source: Path, progress: Progress = lambda message: None) -> ReleaseReport:
    """Copy files that a user has brought (a folder or a zip) into the cache, checked first; return the report.

    Files are looked for by their path inside the release, at any depth of the source.  A link is copied as the file
    that it leads to.  Nothing is copied if one of them is damaged.
    Raises DataError, EnvironmentFault, StoreLocked.
    """
    if not source.exists():
        raise DataError(f"{source} does not exist: give the folder (or the zip) that holds '{release.name}'.")
    if not source.is_dir():
        regular(source, "the archive", error=DataError)
    folder = lasting_root() / release.folder
    with _writing(folder):
        if source.is_file():
            _unpack(source, release, folder, progress)
        else:
            _copy_in(source, release, folder, progress)
        return verify(release, folder)


def _copy_in(source: Path, release: UpstreamRelease, folder: Path, progress: Progress) -> None:
    listing = _listing(source)
    found = [(file, path) for file in release.files if (path := _search(source, listing, file)) is not None]
    if not found:
        expected = ", ".join(file.path for file in release.files)
        raise DataError(f"{source} holds no file of '{release.name}'; expected any of {expected} (or with .gz).")
    bad = [report for file, path in found if not (report := examine(path, file)).ok]
    if bad:
        faults = "; ".join(f"{report.found}: {report.message}" for report in bad)
        raise DataError(f"nothing was imported, damaged files in {source}: {faults}. Download them again.")
    for file, path in found:
        with path.open("rb") as stream:
            _take_in(_chunks(stream, path, file.most), file, folder / _stored_as(file, path.name))
        progress(f"{file.path}: imported from {path}")


def _listing(source: Path) -> list[str]:
    """Every file below a folder, by its path in it; links to folders are not followed.

    Raises DataError where there are more than MANY: a whole disk was given, and looking through it would not end.
    """
    names: list[str] = []
    for parent, _, files in os.walk(source):
        place = Path(parent).relative_to(source)
        names += ((place / name).as_posix() for name in files)
        if len(names) > MANY:
            raise DataError(f"{source} holds more than {MANY:,} files; give the folder of the release itself.")
    return sorted(names)


def _search(source: Path, listing: list[str], file: UpstreamFile) -> Path | None:
    """Where a file of the release lies, best spelling first; pipes and devices are passed over."""
    fits = (name for spelling in file.spellings for name in listing if f"/{name}".endswith(f"/{spelling}"))
    deeper = (path for name in fits if (path := source / name).is_file())
    return present(source, file) or next(deeper, None)


def _stored_as(file: UpstreamFile, spelling: str) -> str:
    """Return the path in the cache for a file that was found under one of its spellings."""
    plain = spelling.removesuffix(".gz")
    path = file.path.removesuffix(".csv") + ".tab" if plain.endswith(".tab") else file.path
    return path + (".gz" if spelling.endswith(".gz") else "")


def _part(target: Path, *further: str) -> Path:
    """Return where the target grows: the same name in a folder beside it, so that a rename puts it in place."""
    incoming = target.parent.joinpath(INCOMING, *further)
    try:
        incoming.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise full_disk(error, incoming) from error
    return incoming / target.name


def _chunks(stream: IO[bytes], path: Path, most: int) -> Iterator[bytes]:
    """The bytes of a file or a member, counted.  Raises DataError for a damaged one, and beyond ``most`` of them."""
    with parsing(path, "the file", "it is damaged: download it again", error=DataError):
        yield from bounded(stream, path, most)


def _take_in(chunks: Iterator[bytes], file: UpstreamFile, target: Path) -> None:
    """Write what comes, force it to the disk and admit it.  Raises EnvironmentFault if the disk refuses."""
    part = _part(target, FRESH)
    try:
        with part.open("wb") as output:
            for chunk in chunks:
                output.write(chunk)
            output.flush()
            os.fsync(output.fileno())
    except OSError as error:
        raise full_disk(error, part) from error
    _admit(file, part, target)


def _admit(file: UpstreamFile, part: Path, target: Path) -> None:
    """Check a file that has arrived and rename it into place; a bad one is quarantined and DataError raised."""
    report = examine(part, file)
    if not report.ok:
        arrived = quarantine(part, target)
        raise DataError(
            f"{file.path} is not the published file: {report.message}. It is kept as {arrived}; fetch again."
        )
    part.replace(target)


# ---- archives -----------------------------------------------------------------------------------------------------


def _open_archive(archive: Path) -> zipfile.ZipFile:
    try:
        opened = zipfile.ZipFile(archive)
    except Exception as error:  # zipfile raises many kinds
        with archive.open("rb") as stream:
            start = stream.read(16)
        raise DataError(f"{archive} is not a whole zip archive ({error}); it starts with {start!r}.") from error
    # Names that would leave the folder into which a careless tool unpacks them.
    paths = {name: PurePosixPath(name.replace("\\", "/")) for name in opened.namelist()}
    unsafe = [name for name, p in paths.items() if p.is_absolute() or ".." in p.parts or ":" in "".join(p.parts[:1])]
    if unsafe:
        opened.close()
        raise DataError(
            f"{archive} holds members that point outside it ({', '.join(unsafe[:3])}): it was not unpacked."
        )
    return opened


def _member(archive: zipfile.ZipFile, file: UpstreamFile) -> zipfile.ZipInfo | None:
    """Return the member that is the file: by path, in whatever folder the archive puts the release."""
    members = [info for info in archive.infolist() if not info.is_dir()]
    for spelling in file.spellings:
        fits = [info for info in members if info.filename == spelling or info.filename.endswith("/" + spelling)]
        if fits:
            return min(fits, key=lambda info: (info.filename.count("/"), info.filename))
    return None


def _unpack(path: Path, release: UpstreamRelease, folder: Path, progress: Progress) -> None:
    """Bring the members that belong to the release into the folder, each one checked.  Raises DataError."""
    with _open_archive(path) as archive:
        found = [(file, info) for file in release.files if (info := _member(archive, file)) is not None]
        if not found:
            names = ", ".join(archive.namelist()[:5])
            raise DataError(f"{path} holds no file of '{release.name}'; it starts with {names or 'nothing'}.")
        large = [info.filename for file, info in found if info.file_size > file.most]
        if large:
            raise DataError(
                f"{path} holds members that unpack to more than such a file has ({', '.join(large[:3])}): it was not "
                "unpacked. NUANALYSIS_LARGEST_MB raises the limit."
            )
        need_room(folder, sum(info.file_size for _, info in found))
        for file, info in found:
            _unpack_member(archive, info, file, folder / _stored_as(file, info.filename))
            progress(f"{file.path}: unpacked and checked")
    lacking = missing(folder, release)
    if lacking:
        progress(f"not in the archive: {', '.join(lacking)}")


def _unpack_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: UpstreamFile, target: Path) -> None:
    path = Path(str(archive.filename), info.filename)
    with parsing(path, "the member", "it is damaged: download it again", error=DataError):
        stream = archive.open(info)
    with stream:
        _take_in(_chunks(stream, path, file.most), file, target)
