"""What the service says of scans, workers and alerts: the documents of its answers."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from nuanalysis.realtime.service.requests import Fault, ScanRequest

State = Literal["queued", "starting", "running", "partial", "done", "failed", "cancelled"]
STATES: tuple[State, ...] = get_args(State)
ACTIVE: tuple[State, ...] = ("starting", "running", "partial")
FINAL: tuple[State, ...] = ("done", "failed", "cancelled")
Scope = Literal["read", "submit", "realtime", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


class Document(BaseModel):
    """An answer of the service; frozen, and no number in it is NaN or infinite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Problem(Document):
    """What went wrong, as RFC 9457 has it, with every fault of the request."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str = ""
    faults: tuple[Fault, ...] = ()


class Progress(Document):
    """How far a scan has come."""

    round: int = Field(0, description="rounds that are done")
    pixels_done: int = 0
    pixels_expected: int | None = Field(None, description="a guess; unknown before the first round")
    pixels_per_s: float | None = Field(None, description="since this attempt began to run")


class Step(Document):
    """One change of state."""

    number: int
    scan: str
    attempt: int
    state: State
    time: str = Field(description="UTC")
    cause: str


class Status(Document):
    """Where a scan stands."""

    id: str
    state: State
    is_final: bool
    cause: str = Field(description="why it is in this state; '' where that needs no words")
    since: str = Field(description="of this state, UTC")
    attempt: int = Field(description="how often work on it began; above 1 after a lost worker or server")
    priority: int
    workers: int
    lease_until: str | None = Field(description="until when its worker is believed to live without another sign")
    progress: Progress
    has_result: bool


class Manifest(Document):
    """All that is known of a scan but its result."""

    status: Status
    request: ScanRequest
    request_sha256: str
    submitted: str
    submitted_by: str = Field(description="label of the token")
    rescan_of: str | None
    deleted: str | None = Field(description="when it was marked; its data stay until they are purged")
    steps: tuple[Step, ...]


class Part(Document):
    """A file of a result."""

    name: str
    href: str
    media_type: str
    size: int
    sha256: str


class Result(Document):
    """What a scan has found, so far or for good."""

    scan: str
    is_final: bool
    complete: bool = Field(description="whether the stop rule was met, not a budget")
    real_or_simulated: Literal["real", "simulated"]
    synthetic: bool
    note: str
    round: int
    pixels_done: int
    right_ascension_deg: float
    declination_deg: float
    area_50_deg2: float
    area_90_deg2: float
    files: tuple[Part, ...]


class Listing(Document):
    """One page of scans."""

    scans: tuple[Status, ...]
    next: str | None = Field(description="cursor of the next page")


class Queue(Document):
    """Who waits, in the order in which they will be begun, and who is being worked on."""

    waiting: tuple[Status, ...]
    working: tuple[Status, ...]
    slots: int
    slots_realtime: int


class AlertPage(Document):
    """Latest revisions of alerts, newest last."""

    alerts: tuple[AlertShown, ...]
    next: str | None


class AlertShown(Document):
    """One revision of an alert; angles in degrees, ICRS."""

    name: str
    revision: int
    revisions: tuple[int, ...]
    retracted: str
    origin: Literal["real", "synthetic"]
    tense: str
    run: int
    event: int
    mjd: float
    stream: str
    tier: str
    topology: str
    energy_tev: float
    energy_kind: str
    p_astro: float
    method: str
    far_per_yr: float
    right_ascension_deg: float
    declination_deg: float
    radius_deg: float | None
    radius_definition: str
    containment: float
    systematic: bool


class WorkersWanted(Document):
    """Body of add-workers."""

    add: int = Field(strict=True, ge=1, le=64, description="workers more than now")


class Health(Document):
    """Whether the service lives, or can take work."""

    status: Literal["ok", "not ready"]
    causes: tuple[str, ...] = ()
