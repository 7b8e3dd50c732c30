"""A real HTTP server on the loopback address that does wrong what it is told to."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Served:
    """A server of HTTP that runs while it is entered; ``http`` is the server itself."""

    http: ThreadingHTTPServer

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()


class Server(Served):
    """Serves bytes by path; ``script`` holds what to do wrong with the next requests, in order."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.script: list[str] = []
        self.requests: list[tuple[str, str]] = []
        self.agents: list[str] = []
        self.headers: dict[str, str] = {}  # of answers that are no file
        self.ranges = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                outer.answer(self)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range", "")
        self.requests.append((handler.path, asked))
        self.agents.append(handler.headers.get("User-Agent", ""))
        action = self.script.pop(0) if self.script else ""
        if action == "drop":
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        if action.isdigit() or handler.path not in self.content:
            handler.send_response(int(action) if action.isdigit() else 404)
            for name, value in {**self.headers, "Content-Length": "0"}.items():
                handler.send_header(name, value)
            handler.end_headers()
            return
        body = self.content[handler.path]
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        if asked and self.ranges and start >= len(body):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(body)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if asked and self.ranges else 200)
        if asked and self.ranges:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        # 'slice': an honest answer of fewer bytes than were asked for
        part = body[start : start + 1000] if action == "slice" else body[start:]
        if action != "unsized":
            handler.send_header("Content-Length", str(len(part)))
        handler.end_headers()
        if action == "flip":
            part = part[:100] + bytes([part[100] ^ 1]) + part[101:]
        # 'half': the length is promised, half is sent, the line goes dead
        handler.wfile.write(part[: len(part) // 2] if action == "half" else part)
