"""The app: routes, problems and border around a service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from nuanalysis.realtime.service import _routes, _routes_more
from nuanalysis.realtime.service._border import Border
from nuanalysis.realtime.service._problems import told
from nuanalysis.realtime.service._service import Service


def make_app(service: Service, *, loopback: bool = True) -> ASGIApp:
    """The ASGI app of a service, which opens with it and closes with it.

    loopback : whether only this machine reaches it; then no token is needed as long as none was made.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(service.open)
        yield
        await run_in_threadpool(service.close)

    app = FastAPI(
        title="nuanalysis sky scans",
        version="1",
        description="Sky scans of single events, and the alerts they belong to.",
        lifespan=lifespan,
        docs_url=None,  # their scripts come from another address
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(_routes.router)
    app.include_router(_routes_more.router)
    told(app)
    return Border(app, service, loopback=loopback)
