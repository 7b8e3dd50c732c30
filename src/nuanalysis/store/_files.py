"""Files at rest: whole writes, locks between processes, checksums.  POSIX only."""

import errno
import fcntl
import hashlib
import io
import os
import socket
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from nuanalysis.errors import DataError, EnvironmentFault, StoreLocked

LOCK_TIMEOUT_S = 60.0
SCRATCH = ".partial"  # ends the names of files that are being written; they begin with a point
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def refusal(path: Path, error: BaseException) -> EnvironmentFault:
    """Return the error for a write that the machine did not let through."""
    return EnvironmentFault(
        f"cannot write {path}: {getattr(error, 'strerror', None) or first_line(error)}. "
        "What was there before is intact; make room on that disk (or allow writing there) and call again."
    )


def is_refusal(error: BaseException) -> bool:
    """Whether the disk is full or closed to us; icechunk's errors carry no errno, only the words '(os error 28)'."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _REFUSALS
    return any(f"(os error {number})" in str(error) for number in _REFUSALS)


def first_line(error: BaseException) -> str:
    lines = [line.strip(" |x-`>") for line in str(error).splitlines()]
    return next((line for line in lines if line), type(error).__name__)


@contextmanager
def beside(path: Path) -> Iterator[IO[bytes]]:
    """Yield a scratch file beside ``path``, open; renamed onto it at the end, removed if the block fails.

    It is locked as long as it is being written, so that ``sweep`` tells what a killed process left from what grows.
    Raises EnvironmentFault where the system refuses the write; ``path`` is then as before.
    """
    scratch = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex[:12]}{SCRATCH}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked_scratch(scratch) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave the new name on an empty file
            scratch.replace(path)
    except OSError as error:
        raise refusal(path, error) from error
    finally:
        with suppress(OSError):  # gone (renamed), or never made
            scratch.unlink()


def _locked_scratch(scratch: Path) -> IO[bytes]:
    while True:
        file = scratch.open("wb+")
        with suppress(OSError):  # a file system without locks: then nothing can be swept either
            fcntl.flock(file, fcntl.LOCK_SH)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # swept between the two calls


def sweep(folder: Path) -> None:
    """Remove what killed processes left of files they were writing, in the folder and all below it.

    A scratch file whose writer lives is locked and stays.  Links are not followed.
    """
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(SCRATCH):
                with suppress(OSError):
                    _remove_if_free(Path(parent) / name)


def _remove_if_free(scratch: Path) -> None:
    handle = os.open(scratch, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        scratch.unlink()
    finally:
        os.close(handle)


def atomic_write(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, which at any moment holds the old bytes or the new ones, whole.

    Folders are made as needed.  Raises EnvironmentFault (disk full, no permission), the old file then untouched.
    """
    with beside(path) as file:
        file.write(data)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits.  Raises DataError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; fetch or make it again.") from error


@contextmanager
def locked(path: Path, timeout_s: float) -> Iterator[bool]:
    """Hold the exclusive lock ``<path>.lock``.  The kernel frees it if the holder is killed.

    Yields whether the last holder was killed while it held the lock, and may have left something to clear away.

    Raises StoreLocked, naming the holder, after ``timeout_s``; EnvironmentFault if no lock file can be made, or
    where the file system has no locks.
    """
    handle = open_lock(path.with_name(path.name + ".lock"))
    try:
        abandoned = _wait_for(handle, path, timeout_s)
        try:
            yield abandoned
        finally:
            with suppress(OSError):
                os.ftruncate(handle, 0)  # the signature goes with its holder
            fcntl.flock(handle, fcntl.LOCK_UN)  # said aloud: a forked child would keep the lock beyond close
    finally:
        os.close(handle)


def open_lock(lock: Path) -> int:
    """Open a lock file, made where it is not there; its folder too.

    It is signed and emptied, so a link would empty the file it leads to, and a pipe be waited for: EnvironmentFault.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO):  # a link (in BSD's words too), a socket
            raise _no_lock(lock) from error
        raise refusal(lock, error) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _no_lock(lock)
    return handle


def _no_lock(lock: Path) -> EnvironmentFault:
    return EnvironmentFault(f"{lock} is a link, device, pipe or socket, expected a lock file; remove it and call again")


def try_lock(handle: int, path: Path) -> None:
    """Take the exclusive lock on an open file, now.    path : what the message calls it.

    Raises BlockingIOError where another process has it, EnvironmentFault where the file system has no locks.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno == errno.EACCES:  # what some network disks say for it
            raise BlockingIOError(error.errno, error.strerror) from error
        if error.errno not in _NO_LOCKS:
            raise refusal(path, error) from error
        raise EnvironmentFault(
            f"{path} cannot be locked ({error.strerror}): its file system has no locks, as some network disks are "
            "mounted; put the run folder, or the cache (NUANALYSIS_CACHE), on a disk of this machine and call again"
        ) from error


def _wait_for(handle: int, path: Path, timeout_s: float) -> bool:
    """Take the lock on ``handle`` and sign it with our process id; whether the last signature was still there."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            try_lock(handle, path)
            break
        except BlockingIOError as error:
            if time.monotonic() >= end:
                holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "an unknown process"
                raise StoreLocked(
                    f"{path} is being written by {holder}; waited {timeout_s:g} s for it. "
                    "Wait for that process or stop it, then call again."
                ) from error
            time.sleep(0.02)
    abandoned = os.fstat(handle).st_size > 0
    with suppress(OSError):  # a full disk: the signature is a courtesy, the lock holds without it
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    return abandoned


def table_ecsv(table: Any) -> bytes:
    """An astropy table, or QTable, as the bytes of an ECSV file: plain columns with units and descriptions."""
    from astropy.table import Table

    text = io.StringIO()
    Table(table, copy=False).write(text, format="ascii.ecsv")
    return text.getvalue().encode()
