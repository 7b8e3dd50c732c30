"""What every request passes before a route sees it: host, origin, token, rate, size and time of its body."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nuanalysis.errors import NuanalysisError
from nuanalysis.realtime.service import _records
from nuanalysis.realtime.service._problems import Refused, problem
from nuanalysis.realtime.service._records import SCOPES
from nuanalysis.realtime.service._service import Service

LOG = logging.getLogger("nuanalysis.realtime")
#: What may be seen without a token: nothing of scans or alerts.
OPEN = ("/", "/page.js", "/page.css", "/healthz", "/readyz", "/openapi.json")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
LOCAL = "local"  # label of a client that needs no token
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks, and what for he may."""

    label: str
    scopes: tuple[_records.Scope, ...]


class Border:
    """ASGI, around the app.  ``loopback``: whether only this machine can reach us."""

    def __init__(self, app: ASGIApp, service: Service, *, loopback: bool) -> None:
        self._app, self._service, self._loopback = app, service, loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with a problem."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def sends(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                there = {name.lower() for name, _ in message["headers"]}
                more = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in there]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        try:
            scope.setdefault("state", {})["client"] = self._admitted(scope)
            await self._app(scope, await self._body(scope, receive), sends)
        except Refused as error:
            answer = problem(error.status, error.detail, scope["path"], error.faults, error.headers)
            await answer(scope, receive, sends)
        except NuanalysisError as error:  # a token file that others can write
            LOG.error("%s", error)
            await problem(503, "the service cannot check tokens; see its log", scope["path"])(scope, receive, sends)
        finally:
            self._noted(scope, status, time.perf_counter() - began)

    def _noted(self, scope: Scope, status: int, seconds: float) -> None:
        """Count and log: the route, not the URL, in which a client may have put anything."""
        route = getattr(scope.get("route"), "path", "none")
        self._service.metrics.answered(scope["method"], route, status, seconds)
        client = scope.get("state", {}).get("client")
        who = client.label if client else "nobody"
        LOG.info("%s %s %d %.1f ms %s", scope["method"], route, status, 1000 * seconds, who)

    def _admitted(self, scope: Scope) -> Client:
        """Who asks.  Raises Refused 400, 401, 403, 421 or 429."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        self._refuse_other_sites(scope["method"], headers)
        if scope["path"] in OPEN:
            return Client("nobody", ())
        client = self._identified(headers)
        label = client.label if client else f"from {(scope.get('client') or ('?',))[0]}"
        if wait := self._service.rates.wait(label):
            raise Refused(
                429,
                f"more than {self._service.limits.requests_per_minute} requests in a minute",
                headers={"Retry-After": str(math.ceil(wait))},
            )
        if client is None:
            raise Refused(401, "no token that is known and valid; send one as 'Authorization: Bearer TOKEN'")
        return client

    def _refuse_other_sites(self, method: str, headers: Mapping[bytes, str]) -> None:
        """A page of another site, in a browser on this machine, could reach a service that needs no token."""
        host = headers.get(b"host", "")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if self._loopback and name not in LOOPBACK:
            raise Refused(421, f"host is not one of {', '.join(LOOPBACK)}")
        origin = headers.get(b"origin")
        if origin is not None and origin.partition("://")[2] != host:
            raise Refused(403, "pages of other sites have no access")
        if method not in ("GET", "HEAD") and headers.get(b"sec-fetch-site", "same-origin") not in (
            "same-origin",
            "none",
        ):
            raise Refused(403, "pages of other sites have no access")

    def _identified(self, headers: Mapping[bytes, str]) -> Client | None:
        tokens = self._service.tokens
        if self._loopback and not tokens.all():
            return Client(LOCAL, SCOPES)
        kind, _, secret = headers.get(b"authorization", "").partition(" ")
        found = tokens.find(secret.strip()) if kind.lower() == "bearer" else None
        return None if found is None else Client(found.label, found.scopes)

    async def _body(self, scope: Scope, receive: Receive) -> Receive:
        """The whole body, read within its bounds of size and time.  Raises Refused 408 or 413."""
        limits = self._service.limits
        headers: dict[bytes, bytes] = dict(scope["headers"])
        too_large = Refused(413, f"the body has more than {limits.body_bytes:,} bytes", headers={"Connection": "close"})
        try:
            said = int(headers.get(b"content-length", b"0"))
        except ValueError:
            raise Refused(400, "content-length is not a number") from None
        if said > limits.body_bytes:
            raise too_large
        if not said and b"transfer-encoding" not in headers:
            return receive
        data = bytearray()
        try:
            async with asyncio.timeout(limits.client_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return _replayed(b"", message, receive)
                    data += message.get("body", b"")
                    if len(data) > limits.body_bytes:
                        raise too_large
                    if not message.get("more_body"):
                        return _replayed(bytes(data), None, receive)
        except TimeoutError:
            raise Refused(
                408, f"the body was not there after {limits.client_s:g} s", headers={"Connection": "close"}
            ) from None


def _replayed(data: bytes, end: Message | None, receive: Receive) -> Receive:
    """What the app receives: the body in one piece, then whatever comes."""
    waiting: list[Any] = [end or {"type": "http.request", "body": data, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
