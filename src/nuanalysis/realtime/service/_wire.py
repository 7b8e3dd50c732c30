"""Connections of clients that hang: given up at the wire, where no route would notice."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class Guarded(asyncio.Protocol):
    """Passes everything on to uvicorn's protocol; aborts where a head is not whole, or an answer not read, in time."""

    def __init__(self, inner: H11Protocol, client_s: float) -> None:
        self._inner, self._client_s = inner, client_s
        self._head: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """From now on the head of a request is waited for."""
        assert isinstance(transport, asyncio.Transport)
        self._abort = transport.abort
        # asyncio does this for sockets that say they are of TCP; those of uvicorn do not, and an answer in two pieces
        # then waits 40 ms for the client to confirm the first.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._inner.connection_made(transport)
        self._head = self._inner.loop.call_later(self._client_s, self._abort)

    def data_received(self, data: bytes) -> None:
        """A head that has begun and does not end keeps its clock; one that is whole stops it."""
        self._inner.data_received(data)
        if self._inner.conn.their_state is not h11.IDLE:
            self._stop("_head")
        elif self._head is None:
            self._head = self._inner.loop.call_later(self._client_s, self._abort)

    def pause_writing(self) -> None:
        """The client does not read."""
        self._inner.pause_writing()
        self._stalled = self._inner.loop.call_later(self._client_s, self._abort)

    def resume_writing(self) -> None:
        """It reads again."""
        self._stop("_stalled")
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """No clock outlives its connection."""
        self._stop("_head")
        self._stop("_stalled")
        self._inner.connection_lost(exc)

    def eof_received(self) -> None:
        """The client has said all."""
        self._inner.eof_received()

    def _stop(self, name: str) -> None:
        if (timer := getattr(self, name)) is not None:
            timer.cancel()
            setattr(self, name, None)


def guarded(client_s: float) -> Any:
    """What makes the protocol of a connection, in the place of uvicorn's class."""

    def protocol(**given: Any) -> Guarded:
        return Guarded(H11Protocol(**given), client_s)

    return protocol
