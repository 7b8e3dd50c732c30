"""Brings one address to one file: resumes, retries a bounded number of times, never leaves half a file in place."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nuanalysis.errors import DownloadError, EnvironmentFault

if TYPE_CHECKING:
    import requests  # type: ignore[import-untyped]
    from urllib3.util import Retry

Progress = Callable[[str], None]
# Small: what has arrived of a chunk is lost when the line breaks in the middle of it.
ARRIVAL = 1 << 14
_BUSY = (408, 429, *range(500, 600))  # answers after which another attempt may succeed


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try: attempts in all, the first pause between them (doubled each time), silence and pauses allowed.

    wait_s : a server that asks for a longer pause (Retry-After) is not waited for.
    """

    attempts: int = 5
    pause_s: float = 1.0
    timeout_s: float = 30.0
    wait_s: float = 300.0

    def asked(self, header: str) -> float:
        """Seconds that a Retry-After asks for, a number or a date; 0 where it says nothing that can be read."""
        from urllib3.exceptions import InvalidHeader
        from urllib3.util import Retry

        with suppress(InvalidHeader, ValueError, OverflowError):
            return Retry().parse_retry_after(header) if header else 0.0
        return 0.0


class NotFoundError(DownloadError):
    """The server knows no such address."""


class _TryAgain(Exception):
    """A fault of the line or the server that another attempt may cure; ``after``: what it says of Retry-After."""

    def __init__(self, reason: str, *, after: str = "") -> None:
        super().__init__(reason)
        self.after = after


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


def download(url: str, part: Path, *, most: int, progress: Progress, patience: Patience) -> None:
    """Bring the bytes of an address into ``part``, going on where an earlier call stopped.

    ``part`` is complete when this returns; whether the bytes are the right ones is for the caller to check.
    most : bytes that are taken, whatever the server sends.
    Raises DownloadError when the address refuses or the attempts are used up, EnvironmentFault for a full disk.
    """
    from urllib3.util import Retry  # comes with requests

    retry = Retry(patience.attempts - 1, backoff_factor=patience.pause_s / 2, status_forcelist=_BUSY)
    while True:
        try:
            return _attempt(url, part, most=most, retry=retry, progress=progress, patience=patience)
        except _TryAgain as fault:
            retry = _again(retry, fault, url, patience)
            pause = _pause(retry, fault, url, patience)
            attempt = patience.attempts - int(retry.total or 0)
            progress(f"{fault}; attempt {attempt} of {patience.attempts} in {pause:g} s")
            time.sleep(pause)


def _again(retry: Retry, fault: _TryAgain, url: str, patience: Patience) -> Retry:
    """The attempts that are left after one more fault.  Raises DownloadError where there is none."""
    from urllib3.exceptions import MaxRetryError

    try:
        return retry.increment("GET", url, error=fault)
    except MaxRetryError:
        raise DownloadError(
            f"{url} could not be downloaded in {patience.attempts} attempts: {fault}. {_remedy(fault.__cause__)} and "
            "call again (what has arrived is kept), or bring the files by hand with 'nuanalysis data import'."
        ) from fault


def _pause(retry: Retry, fault: _TryAgain, url: str, patience: Patience) -> float:
    """Seconds before the next attempt: what the server asks for, else twice as many each time."""
    asked = patience.asked(fault.after)
    if asked > patience.wait_s:
        raise DownloadError(
            f"{url}: {fault} and asks to be left alone for {asked:.0f} s; call again after that (what has arrived is "
            "kept), or bring the files by hand with 'nuanalysis data import'."
        ) from fault
    return max(asked, retry.get_backoff_time(), patience.pause_s)


def agent() -> str:
    """Who asks: this package, its version and where it is at home, so that a server's owner can tell us."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        about = metadata("nuanalysis")
    except PackageNotFoundError:  # run from its sources
        return "nuanalysis"
    homes = [link.partition(", ")[2] for link in about.get_all("Project-URL") or []]
    return f"nuanalysis/{about['Version']}" + (f" (+{homes[0]})" if homes else "")


def certificates() -> bool | str:
    """What vouches for servers: the bundle that is named, as requests, OpenSSL or curl call it, or that of requests."""
    named = (os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"))
    chosen = next(filter(None, named), "")
    if chosen and not Path(chosen).exists():
        raise EnvironmentFault(
            f"there are no certificates at {chosen}, which REQUESTS_CA_BUNDLE, SSL_CERT_FILE or CURL_CA_BUNDLE names; "
            "correct the name and call again"
        )
    return chosen or True


def _remedy(cause: BaseException | None) -> str:
    """What to do about a fault of the line, by its kind."""
    import requests

    if cause is None:
        return "Wait some minutes"
    if isinstance(cause, requests.exceptions.ProxyError):
        return "Check the proxy that HTTPS_PROXY or HTTP_PROXY names (NO_PROXY leaves addresses out)"
    if isinstance(cause, requests.exceptions.SSLError):
        return (
            "If a proxy of your institute opens TLS, set REQUESTS_CA_BUNDLE or SSL_CERT_FILE to the file with its "
            "certificate (PEM)"
        )
    return "Check the network"


def _attempt(url: str, part: Path, *, most: int, retry: Retry, progress: Progress, patience: Patience) -> None:
    import requests  # about 0.2 s: not at import

    have = part.stat().st_size if part.exists() else 0
    # 'identity': a server that compresses on the way would make sizes and ranges mean something else.
    headers = {"Accept-Encoding": "identity", "User-Agent": agent()} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        trusted = certificates()
        with requests.get(url, stream=True, timeout=patience.timeout_s, headers=headers, verify=trusted) as reply:
            start, total = _agreed(url, reply, part, have, retry)
            if total is not None and start == total:
                return
            _refuse_more(url, part, total or 0, most)
            size = "size not told by the server" if total is None else megabytes(total)
            progress(f"{url}: {size}" + (f", going on at {megabytes(start)}" if start else ""))
            if total is not None:
                need_room(part.parent, total - start)
            _write(reply, part, start=start, total=total, most=most, progress=progress)
    except requests.exceptions.SSLError as error:
        if "certificate" in str(error).lower():  # another attempt meets the same one
            raise DownloadError(f"{url}: {_innermost(error)}. {_remedy(error)} and call again.") from error
        raise _TryAgain(f"{type(error).__name__} ({_innermost(error)})") from error
    except requests.RequestException as error:
        raise _TryAgain(f"{type(error).__name__} ({_innermost(error)})") from error
    arrived = part.stat().st_size
    if total is not None and arrived != total:
        raise _TryAgain(f"the connection ended after {arrived:,} of {total:,} bytes")


def _refuse_more(url: str, part: Path, size: int, most: int) -> None:
    if size > most:
        part.unlink(missing_ok=True)  # of no use to a later call
        raise DownloadError(
            f"{url} brings {size:,} bytes or more, expected at most {most:,}: it is not the published file "
            "(NUANALYSIS_LARGEST_MB raises the limit)"
        )


def _innermost(error: BaseException) -> str:
    """Return the words of the first cause: 'Connection refused' rather than the pool that reports it."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _agreed(url: str, reply: requests.Response, part: Path, have: int, retry: Retry) -> tuple[int, int | None]:
    """Return (first byte the reply brings, size of the whole or None).  Raises for replies without the file."""
    status, said = reply.status_code, f"{reply.status_code} {reply.reason}"
    if status == 206:
        span, _, whole = reply.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        if span.partition("-")[0] == str(have):
            return have, _whole(whole)
    elif status == 200:
        return 0, _whole(reply.headers.get("Content-Length", ""))
    elif status == 416 and reply.headers.get("Content-Range", "") == f"bytes */{have}":
        return have, have
    if status in (206, 416):
        part.unlink(missing_ok=True)
        raise _TryAgain(f"the server does not go on at byte {have:,}; starting afresh")
    if retry.is_retry("GET", status):
        raise _TryAgain(f"the server answers {said}", after=reply.headers.get("Retry-After", ""))
    if status == 407:
        raise DownloadError(f"{url}: the proxy answers {said}; put name and password into HTTPS_PROXY and HTTP_PROXY")
    raise (NotFoundError if status == 404 else DownloadError)(
        f"{url} answers {said}, expected the file. The address may have moved: look for the release "
        "by its DOI ('nuanalysis data ls') and bring the files by hand with 'nuanalysis data import'."
    )


def _write(
    reply: requests.Response, part: Path, *, start: int, total: int | None, most: int, progress: Progress
) -> None:
    done, told = start, 0
    try:
        with part.open("ab" if start else "wb") as stream:
            for chunk in reply.iter_content(ARRIVAL):
                done += len(chunk)
                _refuse_more(reply.url, part, done, most)
                stream.write(chunk)
                tenth = 10 * done // total if total else 0
                if tenth > told:
                    told = tenth
                    progress(f"  {10 * tenth} % ({megabytes(done)})")
    except OSError as error:
        import requests

        if isinstance(error, requests.RequestException):
            raise
        raise full_disk(error, part) from error
