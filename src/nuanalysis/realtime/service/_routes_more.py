"""The other routes: alerts, the feed of events, health, counters, and the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from nuanalysis.errors import NuanalysisError
from nuanalysis.realtime.service import _records as records
from nuanalysis.realtime.service._problems import Refused
from nuanalysis.realtime.service._routes import ERRORS, Reader, Services
from nuanalysis.realtime.service._service import Service
from nuanalysis.realtime.service._shown import alert_of, step_of

POLL_S, SILENCE_S, MOST_STEPS = 0.25, 15.0, 200
router = APIRouter()
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="name of an alert")]


@router.get("/v1/alerts", responses={**ERRORS}, tags=["alerts"])
def alerts(
    service: Services,
    client: Reader,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[int, Query(ge=0, lt=2**53)] = 0,
) -> records.AlertPage:
    """The latest revision of every alert, in order of arrival."""
    names = service.alerts.names()
    chosen = names[cursor : cursor + limit]
    known = [revisions for name in chosen if (revisions := service.alerts.revisions(name))]
    following = str(cursor + limit) if cursor + limit < len(names) else None
    return records.AlertPage(alerts=tuple(alert_of(found[-1], found) for found in known), next=following)


@router.get("/v1/alerts/{name}", responses={**ERRORS}, tags=["alerts"])
def alert(service: Services, client: Reader, name: Name) -> records.AlertShown:
    """The latest revision of an alert."""
    found = service.alerts.revisions(name)
    if not found:
        raise Refused(404, f"no alert {name}")
    return alert_of(found[-1], found)


@router.get("/v1/alerts/{name}/revisions/{number}", responses={**ERRORS}, tags=["alerts"])
def revision(
    service: Services, client: Reader, name: Name, number: Annotated[int, Path(ge=0, lt=2**31)]
) -> records.AlertShown:
    """One revision of an alert."""
    found = service.alerts.revisions(name)
    one = next((one for one in found if one.revision == number), None)
    if one is None:
        raise Refused(404, f"no revision {number} of an alert {name}")
    return alert_of(one, found)


@router.get("/v1/events", responses={**ERRORS}, tags=["events"], response_class=StreamingResponse)
async def events(
    service: Services, client: Reader, seen: Annotated[int | None, Header(alias="Last-Event-ID", ge=0, lt=2**53)] = None
) -> StreamingResponse:
    """Changes of scans as server-sent events, from now on or after the one of Last-Event-ID."""
    if service.listeners >= service.limits.listeners:
        raise Refused(429, f"{service.listeners} clients listen already", headers={"Retry-After": "30"})
    first = service.book.last if seen is None else seen
    return StreamingResponse(_feed(service, first), media_type="text/event-stream")


async def _feed(service: Service, seen: int) -> AsyncIterator[str]:
    service.listeners += 1
    try:
        yield ": the events of scans\nretry: 3000\n\n"
        silent = 0.0
        while not service.ending():
            if service.book.last > seen:
                for step in service.book.steps_after(seen, MOST_STEPS):
                    seen, silent = step.number, 0.0
                    yield f"id: {step.number}\nevent: scan\ndata: {step_of(step).model_dump_json()}\n\n"
            if silent >= SILENCE_S:
                silent = 0.0
                yield ":\n\n"  # a listener that is gone is noticed
            await asyncio.sleep(POLL_S)
            silent += POLL_S
    finally:
        service.listeners -= 1


@router.get("/healthz", tags=["health"])
async def healthz() -> records.Health:
    """The process lives."""
    return records.Health(status="ok")


@router.get("/readyz", tags=["health"], responses={503: {"model": records.Health}})
def readyz(service: Services, response: Response) -> records.Health:
    """Whether scans can be taken, and why not."""
    causes = [] if service.ready else ["the queue is not open"]
    for check in (service.refuse_full_disk, service.tokens.all, service.book.counts):
        try:
            check()
        except NuanalysisError as error:
            causes.append(type(error).__name__ if check == service.tokens.all else str(error))
    response.status_code = 503 if causes else 200
    return records.Health(status="not ready" if causes else "ok", causes=tuple(causes))


@router.get("/metrics", tags=["health"], response_class=PlainTextResponse, responses={**ERRORS})
async def metrics(service: Services, client: Reader) -> PlainTextResponse:
    """Counters in the text format of Prometheus."""
    counts = service.book.counts()
    text = service.metrics.text({state: counts.get(state, 0) for state in records.STATES}, service.listeners)
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")


_PAGE = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}


@router.get("/", include_in_schema=False)
@router.get("/page.js", include_in_schema=False)
@router.get("/page.css", include_in_schema=False)
def page(request: Request) -> Response:
    """The page for people, and what it is made of."""
    name, kind = _PAGE[request.url.path]
    text = (files("nuanalysis.realtime.service") / "page" / name).read_text(encoding="utf-8")
    return Response(text, media_type=f"{kind}; charset=utf-8")
