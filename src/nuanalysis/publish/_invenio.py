"""Requests to an InvenioRDM: a token that goes to one address alone, and patience with faults of line and server."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from nuanalysis.errors import DataError, InputError
from nuanalysis.ingest import Patience, agent, certificates

if TYPE_CHECKING:
    import requests  # type: ignore[import-untyped]

_BUSY = (408, 429, *range(500, 600))  # answers after which another attempt may succeed
_NOT_DONE = (429, 503)  # those of them after which nothing has been made


@dataclass(frozen=True, slots=True)
class Server:
    """Where a release goes.    token : of an account there; it is shown nowhere."""

    address: str
    token: str = field(repr=False)
    progress: Callable[[str], None]
    patience: Patience

    def __post_init__(self) -> None:
        parts = urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise InputError(f"{self.address!r} is no address of a server; expected for example https://zenodo.org")
        if parts.scheme == "http" and not _loopback(parts.hostname):
            raise InputError(f"{self.address} would send the token unencrypted; name its https:// address")
        if not (self.token.isascii() and self.token.isprintable() and self.token.strip() == self.token != ""):
            raise InputError("the token of the server is empty or holds spaces or control characters; set it anew")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _TryAgain(Exception):
    """A fault that another attempt may cure; after : what it says of Retry-After."""

    def __init__(self, reason: str, after: str = "") -> None:
        super().__init__(reason)
        self.after = after


def _patiently(server: Server, what: str, attempt: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answer of the first attempt that has one.  Raises DataError after the last."""
    patience = server.patience
    for number in range(1, patience.attempts + 1):
        try:
            return attempt()
        except _TryAgain as fault:
            if number == patience.attempts:
                raise DataError(
                    f"{what} failed {number} times: {fault}. Call again: what has arrived is not sent again"
                ) from fault
            pause = max(patience.asked(fault.after), patience.pause_s * 2 ** (number - 1))
            if pause > patience.wait_s:
                raise DataError(f"{what}: {fault} and asks for {pause:.0f} s; call again after that") from fault
            server.progress(f"{fault}; attempt {number + 1} of {patience.attempts} in {pause:g} s")
            time.sleep(pause)
    raise AssertionError("no attempt was made")


def _request(
    server: Server, method: str, path: str, *, absent: dict[str, Any] | None = None, once: bool = False, **body: Any
) -> dict[str, Any]:
    """One request.  Raises _TryAgain where another may succeed; with ``once`` only if nothing was made."""
    import requests  # about 0.2 s: not at import

    what, lost = f"{method} {server.address}{path}", "it may have made an empty draft: look there, then call again"
    try:
        reply = requests.request(
            method, server.address.rstrip("/") + path, auth=_Bearer(server.token), timeout=server.patience.timeout_s,
            verify=certificates(), allow_redirects=False, headers={"Accept": "application/json", "User-Agent": agent()},
            **body,
        )  # fmt: skip
    except requests.RequestException as error:
        if once:
            raise DataError(f"{what} got no answer ({type(error).__name__}); {lost}") from error
        raise _TryAgain(f"{type(error).__name__} at {server.address}") from error
    said = f"the server answers {reply.status_code} {reply.reason}"
    if once and reply.status_code in _BUSY and reply.status_code not in _NOT_DONE:
        raise DataError(f"{what}: {said}; {lost}")
    if reply.status_code in _BUSY:
        raise _TryAgain(said, reply.headers.get("Retry-After", ""))
    if reply.status_code == 404 and absent is not None:
        return absent
    return _content(reply, f"{what}: {said}")


def _content(reply: requests.Response, said: str) -> dict[str, Any]:
    """The document of an answer that is none of success or none of JSON is the error."""
    if reply.status_code == 204:
        return {}
    try:
        document = reply.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise DataError(f"{said}, and no JSON document; is that the address of an InvenioRDM?")
    faults = [f"{one.get('field')}: {', '.join(one.get('messages', []))}" for one in document.get("errors") or []]
    if not 200 <= reply.status_code < 300:
        hint = " (token missing, expired or without the scopes deposit:write and deposit:actions)"
        refused = hint if reply.status_code in (401, 403) else ""
        raise DataError(f"{said}{refused}: {'; '.join([str(document.get('message', '')), *faults])}"[:1000])
    if faults:  # a draft is kept with its faults, and told of them
        raise DataError(f"{said}, but does not take the metadata: {'; '.join(faults)}"[:1000])
    return document


def ask(server: Server, method: str, path: str, **how: Any) -> dict[str, Any]:
    """The answer to a request, tried again where that may help; see ``_request``."""
    return _patiently(server, f"{method} {server.address}{path}", lambda: _request(server, method, path, **how))


def upload(server: Server, draft: str, path: Path, size: int, md5: str) -> None:
    """Bring a file into a draft, unless it is there; what a broken attempt left is sent anew."""
    place = f"{draft}/files/{quote(path.name, safe='')}"

    def attempt() -> dict[str, Any]:
        held = _request(server, "GET", place, absent={})
        if held.get("status") == "completed" and held.get("checksum") == f"md5:{md5}":
            return held
        if held.get("status") == "completed":
            _request(server, "DELETE", place, absent={})
            held = {}
        if not held:
            _request(server, "POST", f"{draft}/files", json=[{"key": path.name}])
        with path.open("rb") as body:
            _request(server, "PUT", f"{place}/content", data=body)
        done = _request(server, "POST", f"{place}/commit")
        if done.get("checksum") != f"md5:{md5}" or done.get("size") != size:
            raise _TryAgain(f"of {path.name} the server holds other bytes than were sent")
        return done

    _patiently(server, f"sending {path.name} to {server.address}", attempt)


class _Bearer:
    """The token in a header; said so, no .netrc takes its place."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request
