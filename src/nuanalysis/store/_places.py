"""Where results shall go: refused before the work, not after it."""

import os
import tempfile
from pathlib import Path

from nuanalysis.errors import EnvironmentFault, InputError

LONGEST_NAME, LONGEST_PATH = 255, 4096  # bytes, of what is in use


def refuse_folder(folder: Path, what: str = "") -> None:
    """Raise where files cannot be made in a folder, which need not be there yet; nothing is left behind.

    what : how the message calls it, such as '--output'.
    Raises InputError where it is, or lies below, a file, or has too long a name, EnvironmentFault where nothing can be
    written there.
    """
    called = f"{what} {folder}".strip()
    there = next((one for one in (folder, *folder.parents) if os.path.lexists(one)), Path())
    if not there.is_dir():
        raise InputError(
            f"{called} cannot be a folder: {there} is a file{_loose(there)}; name a folder, or one that does not exist"
        )
    if too_long := _too_long(folder):
        raise InputError(f"{what or 'the folder'} {too_long}; name one with a shorter path")
    try:
        with tempfile.TemporaryFile(dir=there):  # permissions alone would not tell a disk mounted for reading
            pass
    except OSError as error:
        raise EnvironmentFault(
            f"{called} cannot be written ({error.strerror}); allow writing in {there}, or name another folder"
        ) from error


def _too_long(folder: Path) -> str:
    """What is too long for a file system: a part of the path, or the path with a file in it; '' where nothing is."""
    whole = len(os.fsencode(folder.absolute())) + LONGEST_NAME
    if whole > LONGEST_PATH:
        return f"is {whole - LONGEST_NAME:,} bytes long, expected at most {LONGEST_PATH - LONGEST_NAME:,}"
    part = max(folder.parts, key=lambda one: len(os.fsencode(one)), default="")
    size = len(os.fsencode(part))
    return (
        f"has a part of {size:,} bytes ({part[:40]}...), expected at most {LONGEST_NAME}" if size > LONGEST_NAME else ""
    )


def _loose(path: Path) -> str:
    return " or a link to nothing" if path.is_symlink() else ""


def refuse_file(path: Path, what: str, suffix: str = "") -> None:
    """Raise where a file cannot be written: as ``refuse_folder``, for a folder of that name, or another ending."""
    if suffix and path.suffix != suffix:
        raise InputError(f"{what} is '{path}'; expected a file that ends in {suffix}")
    if too_long := _too_long(path):
        raise InputError(f"{what} {too_long}; name one with a shorter path")
    if path.is_dir():
        raise InputError(f"{what} {path} is a folder; expected the name of a file")
    refuse_folder(path.parent, what)
