"""An InvenioRDM on the loopback address that keeps drafts in memory, and does wrong what it is told to."""

from __future__ import annotations

import hashlib
import json
import re
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from small_server import Served

_ROUTES = (
    ("POST", r"/api/records", "create"),
    ("GET", r"/api/records/(\w+)/draft", "show"),
    ("PUT", r"/api/records/(\w+)/draft", "update"),
    ("GET", r"/api/records/(\w+)/draft/files", "listing"),
    ("POST", r"/api/records/(\w+)/draft/files", "begin"),
    ("GET", r"/api/records/(\w+)/draft/files/([^/]+)", "file"),
    ("DELETE", r"/api/records/(\w+)/draft/files/([^/]+)", "remove"),
    ("PUT", r"/api/records/(\w+)/draft/files/([^/]+)/content", "content"),
    ("POST", r"/api/records/(\w+)/draft/files/([^/]+)/commit", "commit"),
    ("POST", r"/api/records/(\w+)/draft/actions/publish", "publish"),
)


class Invenio(Served):
    """script : {what is asked: faults of the next such requests}: a status, 'drop', 'half' or 'flip'."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.drafts: dict[str, dict[str, Any]] = {}
        self.files: dict[str, dict[str, dict[str, Any]]] = {}
        self.script: dict[str, list[str]] = {}
        self.after = "0"  # Retry-After of refusals
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def _any(self) -> None:
                outer.answer(self)

            do_GET = do_POST = do_PUT = do_DELETE = _any

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        found = ((re.fullmatch(p, handler.path), what) for method, p, what in _ROUTES if method == handler.command)
        match, what = next(((m, what) for m, what in found if m), (None, "nothing"))
        names = [unquote(one) for one in match.groups()] if match else []
        self.asked.append((what, names[1] if len(names) > 1 else ""))
        fault = self.script.get(what, []).pop(0) if self.script.get(what) else ""
        if fault == "drop":
            handler.connection.shutdown(socket.SHUT_RDWR)
            return None
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length // 2 if fault == "half" else length)
        if fault == "half":  # the line breaks in the middle of what is sent
            self.files[names[0]][names[1]]["data"] = body
            handler.connection.shutdown(socket.SHUT_RDWR)
            return None
        if handler.headers.get("Authorization") != f"Bearer {self.token}":
            return self.reply(handler, 403, {"message": "Permission denied."})
        if fault.isdigit():
            return self.reply(handler, int(fault), {"message": "not now"})
        if match is None or (what != "create" and names[0] not in self.drafts):
            return self.reply(handler, 404, {"message": "not found"})
        if fault == "flip":
            body = bytes([body[0] ^ 1]) + body[1:]
        return self.reply(handler, *getattr(self, what)(body, *names))

    def reply(self, handler: BaseHTTPRequestHandler, status: int, document: Any) -> None:
        data = b"" if status == 204 else json.dumps(document).encode()
        handler.send_response(status)
        if status in (429, 503):
            handler.send_header("Retry-After", self.after)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    # --- what it can do -----------------------------------------------------------------------------------------------

    def create(self, body: bytes) -> tuple[int, Any]:
        name = f"r{len(self.drafts) + 1}"
        links = {"self_html": f"{self.url}/uploads/{name}"}
        self.drafts[name] = {**json.loads(body), "id": name, "is_published": False, "links": links}
        self.files[name] = {}
        return 201, self.drafts[name]

    def show(self, body: bytes, name: str) -> tuple[int, Any]:
        return (404, {}) if self.drafts[name]["is_published"] else (200, self.drafts[name])

    def update(self, body: bytes, name: str) -> tuple[int, Any]:
        self.drafts[name].update(json.loads(body))
        title = self.drafts[name]["metadata"].get("title")
        faults = [] if title else [{"field": "metadata.title", "messages": ["Missing data for required field."]}]
        return 200, {**self.drafts[name], "errors": faults}

    def listing(self, body: bytes, name: str) -> tuple[int, Any]:
        return 200, {"enabled": True, "entries": [self._entry(name, key) for key in self.files[name]]}

    def begin(self, body: bytes, name: str) -> tuple[int, Any]:
        for one in json.loads(body):
            if one["key"] in self.files[name]:
                return 400, {"message": f"File with key {one['key']} already exists."}
            self.files[name][one["key"]] = {"data": b"", "status": "pending"}
        return 201, self.listing(b"", name)[1]

    def file(self, body: bytes, name: str, key: str) -> tuple[int, Any]:
        return (200, self._entry(name, key)) if key in self.files[name] else (404, {"message": "no such file"})

    def remove(self, body: bytes, name: str, key: str) -> tuple[int, Any]:
        del self.files[name][key]
        return 204, {}

    def content(self, body: bytes, name: str, key: str) -> tuple[int, Any]:
        self.files[name][key]["data"] = body
        return 200, self._entry(name, key)

    def commit(self, body: bytes, name: str, key: str) -> tuple[int, Any]:
        self.files[name][key]["status"] = "completed"
        return 200, self._entry(name, key)

    def publish(self, body: bytes, name: str) -> tuple[int, Any]:
        self.drafts[name] |= {"is_published": True, "links": {"self_html": f"{self.url}/records/{name}"}}
        return 202, self.drafts[name]

    def _entry(self, name: str, key: str) -> dict[str, Any]:
        held = self.files[name][key]
        if held["status"] == "pending":
            return {"key": key, "status": "pending"}
        digest = hashlib.md5(held["data"], usedforsecurity=False).hexdigest()
        return {"key": key, "status": "completed", "checksum": f"md5:{digest}", "size": float(len(held["data"]))}
