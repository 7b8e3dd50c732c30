"""The routes of scans: submit, list, look, cancel, and what is asked of a running one."""

from __future__ import annotations

import hashlib
import logging
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import FileResponse
from fastapi.security import HTTPBearer

from nuanalysis.realtime.service import _records as records
from nuanalysis.realtime.service._book import Row
from nuanalysis.realtime.service._border import Client
from nuanalysis.realtime.service._problems import MEDIA, Refused
from nuanalysis.realtime.service._results import Stored, read_result, result_file
from nuanalysis.realtime.service._service import Service
from nuanalysis.realtime.service._shown import manifest_of, status_of
from nuanalysis.realtime.service.requests import REALTIME, Fault, ScanRequest
from nuanalysis.realtime.service.runner import FILES

LOG = logging.getLogger("nuanalysis.realtime")
_BEARER = HTTPBearer(auto_error=False, description="A token of 'nuanalysis realtime token'")
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": records.Problem, "content": {MEDIA: {}}, "description": said}
    for status, said in {
        400: "not JSON",
        401: "no valid token",
        403: "the token lacks the scope",
        422: "all faults of the request",
        429: "too many requests, or scans that wait; see Retry-After",
    }.items()
}
router = APIRouter(prefix="/v1", responses={**ERRORS}, tags=["scans"])


def service_of(request: Request) -> Service:
    """The service behind the app."""
    found: Service = request.app.state.service
    return found


def strict_query(request: Request) -> None:
    """Refuse parameters that the route does not know."""
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    if unknown := [name for name in request.query_params if name not in known]:
        faults = tuple(Fault(pointer=name[:80], detail="unknown parameter") for name in unknown[:20])
        raise Refused(422, "unknown parameters", faults)


class _Needs:
    """A dependency: who asks, with a scope that he must have."""

    def __init__(self, scope: records.Scope) -> None:
        self._scope = scope

    def __call__(self, request: Request, _: Annotated[object, Depends(_BEARER)]) -> Client:
        client: Client = request.scope["state"]["client"]
        if self._scope not in client.scopes:
            raise Refused(403, f"the token '{client.label}' lacks the scope '{self._scope}'")
        strict_query(request)
        return client


Reader = Annotated[Client, Depends(_Needs("read"))]
Submitter = Annotated[Client, Depends(_Needs("submit"))]
Services = Annotated[Service, Depends(service_of)]
Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="id of a scan")]
Key = Annotated[
    str,
    Header(alias="Idempotency-Key", pattern=r"^[!-~]{1,128}$", description="the same for repeats of a request"),
]


def _found(service: Service, scan: str) -> Row:
    row = service.book.get(scan)
    if row is None:
        raise Refused(404, f"no scan {scan}")
    return row


def _own(service: Service, client: Client, scan: str) -> Row:
    row = _found(service, scan)
    if row.owner != client.label and "admin" not in client.scopes:
        raise Refused(403, f"scan {scan} is of '{row.owner}'; only that token, or one with the scope 'admin', may")
    return row


def _refuse(service: Service, client: Client, asked: ScanRequest) -> None:
    if asked.priority >= REALTIME and "realtime" not in client.scopes:
        raise Refused(403, f"priority {asked.priority} needs the scope 'realtime'; expected at most {REALTIME - 1}")
    faults = [Fault(pointer="#", detail=one) for one in service.runner.faults(asked)]
    if asked.stop.pixels > service.limits.leaves:
        said = f"{asked.stop.pixels}; this service expects at most {service.limits.leaves}"
        faults.append(Fault(pointer="#/stop/pixels", detail=said))
    if faults:
        raise Refused(422, f"{len(faults)} faults in the request; nothing was done", tuple(faults))


def _taken(
    service: Service, client: Client, asked: ScanRequest, key: str, response: Response, rescan_of: str | None = None
) -> records.Status:
    """Keep a scan and put it into the queue, or find the one of the same key."""
    known = service.book.of_key(client.label, key)
    if known is None:
        _refuse(service, client, asked)
        service.refuse_full_disk()
    scan = hashlib.sha256(f"{client.label}\0{key}".encode()).hexdigest()[:32]
    row, new = service.book.add(scan, client.label, key, asked, most_queued=service.limits.queued, rescan_of=rescan_of)
    if new:
        try:
            service.queue.submit(row.job, row.priority)
        except Exception as error:  # it is kept, so it was taken: the reaper brings it into the queue
            LOG.error("scan %s not in the queue yet: %s: %s", row.id, type(error).__name__, error)
    response.status_code = 202 if new else 200
    response.headers["Location"] = f"/v1/scans/{row.id}"
    return status_of(row, time.time())


@router.post("/scans", status_code=202, responses={200: {"model": records.Status}, 409: {"model": records.Problem}})
def submit(service: Services, client: Submitter, asked: ScanRequest, key: Key, response: Response) -> records.Status:
    """Ask for a sky scan: 202 where it is new, 200 for the same key and request, 409 for the key with another one."""
    return _taken(service, client, asked, key, response)


@router.get("/scans")
async def find(
    service: Services,
    client: Reader,
    run: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
    event: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
    state: records.State | None = None,
    deleted: bool = False,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[int | None, Query(ge=1, lt=2**53)] = None,
) -> records.Listing:
    """Scans that fit, newest first; marked ones with ``deleted``."""
    rows = service.book.listed(run=run, event=event, state=state, deleted=deleted, before=cursor, limit=limit + 1)
    now = time.time()
    following = str(rows[limit - 1].number) if len(rows) > limit else None
    return records.Listing(scans=tuple(status_of(row, now) for row in rows[:limit]), next=following)


@router.get("/scans/{scan}")
async def manifest(service: Services, client: Reader, scan: Id) -> records.Manifest:
    """Request, history and state of a scan."""
    return manifest_of(_found(service, scan), service.book.steps(scan), time.time())


@router.get("/scans/{scan}/status")
async def status(service: Services, client: Reader, scan: Id) -> records.Status:
    """Where a scan stands."""
    return status_of(_found(service, scan), time.time())


def _stored(service: Service, scan: str) -> tuple[Row, Stored]:
    row = _found(service, scan)
    if row.result is None:
        gone = "its data were purged" if row.purged else f"nothing was found yet, it is {row.state}"
        raise Refused(404, f"scan {scan} has no result: {gone}", headers={"Retry-After": "2"})
    return row, read_result(service.scans / scan, row.result, scan)


def _unchanged(request: Request, etag: str) -> bool:
    return any(one.strip() in (f'"{etag}"', "*") for one in request.headers.get("if-none-match", "").split(","))


@router.get("/scans/{scan}/result", response_model=records.Result, responses={304: {"description": "as you have it"}})
def result(service: Services, client: Reader, scan: Id, request: Request, response: Response) -> object:
    """What was found, so far or for good (``is_final``)."""
    _, stored = _stored(service, scan)
    if _unchanged(request, stored.etag):
        return Response(status_code=304, headers={"ETag": f'"{stored.etag}"'})
    response.headers["ETag"] = f'"{stored.etag}"'
    return stored.result


@router.get("/scans/{scan}/result/{name}", response_class=Response)
def result_part(
    service: Services, client: Reader, scan: Id, name: Annotated[str, Path(max_length=64)], request: Request
) -> Response:
    """A file of the result: map.fits, contours.json, leaves.ecsv or leaves.json."""
    if name not in FILES:
        raise Refused(404, f"a result has no file of this name; there are {', '.join(FILES)}")
    row, stored = _stored(service, scan)
    part = next((one for one in stored.result.files if one.name == name), None)
    if part is None or row.result is None:
        raise Refused(404, f"the result of scan {scan} has no {name}")
    headers = {"ETag": f'"{part.sha256}"', "X-Is-Final": str(stored.result.is_final).lower()}
    if _unchanged(request, part.sha256):
        return Response(status_code=304, headers=headers)
    path = result_file(service.scans / scan, row.result, name)
    return FileResponse(path, media_type=part.media_type, headers={**headers, "Content-Disposition": "inline"})


@router.delete("/scans/{scan}")
def cancel(service: Services, client: Submitter, scan: Id) -> records.Status:
    """Cancel a scan, or mark a finished one as deleted.  Again: the same."""
    before = _own(service, client, scan)
    row = service.book.cancels(scan) or before
    if before.state == "queued":
        service.queue.cancel(before.job)
    service.crew.wish(scan)
    return status_of(row, time.time())


@router.post("/scans/{scan}/actions/rescan", status_code=202, responses={200: {"model": records.Status}})
def rescan(service: Services, client: Submitter, scan: Id, key: Key, response: Response) -> records.Status:
    """The same request once more, as a new scan that names the old one."""
    asked = ScanRequest.model_validate_json(_own(service, client, scan).request)
    return _taken(service, client, asked, key, response, rescan_of=scan)


@router.post("/scans/{scan}/actions/add-workers", responses={409: {"model": records.Problem}})
def add_workers(service: Services, client: Submitter, scan: Id, wanted: records.WorkersWanted) -> records.Status:
    """More workers for a scan; from its next batch on, up to the bound of the service."""
    _own(service, client, scan)
    row = service.book.wants_workers(scan, wanted.add, service.limits.workers)
    if row is None:
        raise Refused(409, f"scan {scan} is final; ask for a rescan")
    service.crew.wish(scan)
    return status_of(row, time.time())


@router.get("/queue")
async def queue(service: Services, client: Reader) -> records.Queue:
    """Who waits, and who is being worked on."""
    now = time.time()
    return records.Queue(
        waiting=tuple(status_of(row, now) for row in service.book.waiting()),
        working=tuple(status_of(row, now) for row in service.book.working()),
        slots=service.limits.scans,
        slots_realtime=service.limits.realtime_scans,
    )
