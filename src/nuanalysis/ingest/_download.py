"""Brings one address to one file: resumes, retries a bounded number of times, never leaves half a file in place."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nuanalysis.errors import DownloadError, EnvironmentFault

if TYPE_CHECKING:
    import requests  # type: ignore[import-untyped]

Progress = Callable[[str], None]
# Small: what has arrived of a chunk is lost when the line breaks in the middle of it.
ARRIVAL = 1 << 14


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try: attempts in all, the first pause between them (doubled each time), silence allowed."""

    attempts: int = 5
    pause_s: float = 0.5
    timeout_s: float = 30.0


class _TryAgain(Exception):
    """A fault of the line or the server that another attempt may cure."""


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size:,} bytes"


def need_room(folder: Path, size: int) -> None:
    """Raise EnvironmentFault unless the file system of the folder has room for ``size`` bytes."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise EnvironmentFault(
            f"{folder} has {megabytes(free)} free, {megabytes(size)} are needed: make room, "
            "or point NUANALYSIS_CACHE to a larger disk."
        )


def full_disk(error: OSError, path: Path) -> EnvironmentFault:
    """Return the error for a write that the file system refused."""
    why = "the disk is full" if error.errno == errno.ENOSPC else str(error)
    return EnvironmentFault(f"cannot write {path}: {why}. Make room or point NUANALYSIS_CACHE elsewhere; call again.")


def download(url: str, part: Path, *, progress: Progress, patience: Patience) -> None:
    """Bring the bytes of an address into ``part``, going on where an earlier call stopped.

    ``part`` is complete when this returns; whether the bytes are the right ones is for the caller to check.
    Raises DownloadError when the address refuses or the attempts are used up, EnvironmentFault for a full disk.
    """
    reason = ""
    for attempt in range(patience.attempts):
        if attempt:
            pause = patience.pause_s * 2 ** (attempt - 1)
            progress(f"{reason}; attempt {attempt + 1} of {patience.attempts} in {pause:g} s")
            time.sleep(pause)
        try:
            return _attempt(url, part, progress=progress, patience=patience)
        except _TryAgain as fault:
            reason = str(fault)
    raise DownloadError(
        f"{url} could not be downloaded in {patience.attempts} attempts: {reason}. Check the network and call again "
        "(what has arrived is kept), or bring the files by hand with 'nuanalysis data import'."
    )


def _attempt(url: str, part: Path, *, progress: Progress, patience: Patience) -> None:
    import requests  # about 0.2 s: not at import

    have = part.stat().st_size if part.exists() else 0
    # 'identity': a server that compresses on the way would make sizes and ranges mean something else.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(url, stream=True, timeout=patience.timeout_s, headers=headers) as reply:
            start, total = _agreed(url, reply, part, have)
            if total is not None and start == total:
                return
            size = "size not told by the server" if total is None else megabytes(total)
            progress(f"{url}: {size}" + (f", going on at {megabytes(start)}" if start else ""))
            if total is not None:
                need_room(part.parent, total - start)
            _write(reply, part, start=start, total=total, progress=progress)
    except requests.RequestException as error:
        raise _TryAgain(f"{type(error).__name__} ({_innermost(error)})") from error
    arrived = part.stat().st_size
    if total is not None and arrived != total:
        raise _TryAgain(f"the connection ended after {arrived:,} of {total:,} bytes")


def _innermost(error: BaseException) -> str:
    """Return the words of the first cause: 'Connection refused' rather than the pool that reports it."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__


def _agreed(url: str, reply: requests.Response, part: Path, have: int) -> tuple[int, int | None]:
    """Return (first byte the reply brings, size of the whole or None).  Raises for replies without the file."""
    status = reply.status_code
    if status == 206:
        span, _, whole = reply.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        if span.partition("-")[0] == str(have):
            return have, int(whole) if whole.isdigit() else None
    elif status == 200:
        length = reply.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    elif status == 416 and reply.headers.get("Content-Range", "") == f"bytes */{have}":
        return have, have
    if status in (206, 416):
        part.unlink(missing_ok=True)
        raise _TryAgain(f"the server does not go on at byte {have:,}; starting afresh")
    if status in (408, 429) or status >= 500:
        raise _TryAgain(f"the server answers {status} {reply.reason}")
    raise DownloadError(
        f"{url} answers {status} {reply.reason}, expected the file. The address may have moved: look for the release "
        "by its DOI ('nuanalysis data ls') and bring the files by hand with 'nuanalysis data import'."
    )


def _write(reply: requests.Response, part: Path, *, start: int, total: int | None, progress: Progress) -> None:
    done, told = start, 0
    try:
        with part.open("ab" if start else "wb") as stream:
            for chunk in reply.iter_content(ARRIVAL):
                stream.write(chunk)
                done += len(chunk)
                tenth = 10 * done // total if total else 0
                if tenth > told:
                    told = tenth
                    progress(f"  {10 * tenth} % ({megabytes(done)})")
    except OSError as error:
        import requests

        if isinstance(error, requests.RequestException):
            raise
        raise full_disk(error, part) from error
