"""What goes wrong, as problem documents of RFC 9457."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from nuanalysis.errors import DataError, EnvironmentFault, NuanalysisError
from nuanalysis.realtime.service._book import DiskFull, OtherBody, QueueFull
from nuanalysis.realtime.service._records import Problem
from nuanalysis.realtime.service.requests import Fault, faults_of

LOG = logging.getLogger("nuanalysis.realtime")
MEDIA = "application/problem+json"
RETRY_S = 30  # what a client is told to wait for a place in the queue
_OF_ERRORS: tuple[tuple[type[NuanalysisError], int], ...] = (
    (OtherBody, 409),
    (QueueFull, 429),
    (DiskFull, 507),
    (EnvironmentFault, 503),
    (DataError, 500),
)


class Refused(Exception):
    """A request that is not granted."""

    def __init__(
        self, status: int, detail: str, faults: tuple[Fault, ...] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.faults, self.headers = status, detail, faults, headers or {}


def problem(
    status: int, detail: str, path: str, faults: tuple[Fault, ...] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """The answer with a problem document.  ``path`` is without the query, in which a client may have put a secret."""
    document = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail[:4000], instance=path[:500], faults=faults[:200]
    )
    more = {"WWW-Authenticate": 'Bearer realm="nuanalysis"'} if status == 401 else {}
    return Response(document.model_dump_json(), status, {**more, **(headers or {})}, MEDIA)


def told(app: FastAPI) -> None:
    """Let the app answer every error with a problem document."""

    async def refused(request: Request, error: Any) -> Response:
        return problem(error.status, error.detail, request.url.path, error.faults, error.headers)

    async def faulty(request: Request, error: Any) -> Response:
        errors = [dict(one) for one in error.errors()]
        if any(one["type"] == "json_invalid" for one in errors):
            return problem(400, "the body is not JSON", request.url.path, faults_of(errors))
        found = faults_of(errors)
        return problem(422, f"{len(found)} faults in the request; nothing was done", request.url.path, found)

    async def plain(request: Request, error: Any) -> Response:
        return problem(error.status_code, str(error.detail), request.url.path, headers=error.headers)

    async def ours(request: Request, error: Any) -> Response:
        status = next((status for kind, status in _OF_ERRORS if isinstance(error, kind)), 422)
        headers = {"Retry-After": str(RETRY_S)} if status in (429, 503, 507) else {}
        if status >= 500:
            LOG.error("%s: %s", type(error).__name__, error)
        return problem(status, str(error), request.url.path, headers=headers)

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(RequestValidationError, faulty)
    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(NuanalysisError, ours)
