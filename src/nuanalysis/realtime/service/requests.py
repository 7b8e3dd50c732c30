"""What a client asks of the service, checked before anything is kept: unknown keys refused, all faults at once."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    WithJsonSchema,
    model_validator,
)

from nuanalysis.errors import did_you_mean
from nuanalysis.records import in_short

MOST_PULSES = 100_000  # of one event; a body of 4 MiB holds about as many
REALTIME = 100  # priorities from here on jump the queue, and need the scope of that name


def _scalar(value: object) -> bool | int | float | str:
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**53):
        return value
    if (isinstance(value, float) and math.isfinite(value)) or (isinstance(value, str) and len(value) <= 200):
        return value
    raise ValueError("expected true, false, a finite number, or a text of at most 200 letters")


Scalar = Annotated[
    bool | int | float | str, PlainValidator(_scalar), WithJsonSchema({"type": ["boolean", "number", "string"]})
]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Stop(_Asked):
    """When a scan is content, or has used what it may."""

    area_tolerance: float = Field(
        default=0.02, gt=0.0, lt=0.5, description="ends where the 90 % area changed by less, relative, in two rounds"
    )
    pixels: int = Field(default=5000, ge=1, le=5000, description="most pixels to be fitted")
    cpu_s: float = Field(default=14_400.0, gt=0.0, le=14_400.0, description="most CPU time, s")


class PulseEvent(_Asked):
    """An event with its pulses, in the columns of the PULSES schema."""

    run: int = Field(ge=0, lt=2**53)
    event: int = Field(ge=0, lt=2**53)
    mjd: float = Field(ge=40_000.0, le=100_000.0, description="time 0 of the pulses, MJD UTC")
    topology: Literal["track", "shower"]
    pulse_module: Annotated[tuple[Annotated[int, Field(ge=0, le=65_535)], ...], Field(strict=False)] = Field(
        min_length=1, max_length=MOST_PULSES, description="index of the optical module"
    )
    pulse_time: Annotated[tuple[float, ...], Field(strict=False)] = Field(
        min_length=1, max_length=MOST_PULSES, description="ns since time 0"
    )
    pulse_charge: Annotated[tuple[Annotated[float, Field(ge=0.0)], ...], Field(strict=False)] = Field(
        min_length=1, max_length=MOST_PULSES, description="photoelectrons"
    )

    @model_validator(mode="after")
    def _as_many_of_each(self) -> Self:
        numbers = len(self.pulse_module), len(self.pulse_time), len(self.pulse_charge)
        if len(set(numbers)) > 1:
            raise ValueError(f"{numbers[0]} modules, {numbers[1]} times and {numbers[2]} charges; expected as many")
        return self


class StoredEvent(_Asked):
    """An event that the machine of the service holds."""

    run: int = Field(ge=0, lt=2**53)
    event: int = Field(ge=0, lt=2**53)
    collection: Word = Field(description="name under which the events are kept, such as open-detector")


def _way(event: object) -> str:
    """Which of the two ways to give an event is meant: one with pulses, or one that is kept."""
    keys = event if isinstance(event, dict) else getattr(type(event), "model_fields", {})
    return "kept" if "collection" in keys else "pulses"


Event = Annotated[Annotated[PulseEvent, Tag("pulses")] | Annotated[StoredEvent, Tag("kept")], Discriminator(_way)]


class ScanRequest(_Asked):
    """One sky scan.  Equal requests give equal bytes, whatever ran them."""

    event: Event = Field(description="the event with its pulses, or where it is kept")
    real_or_simulated: Literal["real", "simulated"] = Field(description="what the event is; said on every result")
    algorithm: Word = Field(default="adaptive", description="how the sky is scanned")
    max_order: int = Field(default=6, ge=2, le=10, description="finest HEALPix order")
    stop: Stop = Stop()
    priority: int = Field(
        default=0, ge=0, le=199, description="0 to 99; from 100 on the queue is jumped, scope realtime"
    )
    classifiers: dict[Annotated[str, Field(min_length=1, max_length=64)], Scalar] = Field(
        default_factory=dict, max_length=32, description="what the client wants to find again with the scan"
    )
    seed: int = Field(default=1, ge=0, lt=2**53, description="of whatever the scan draws at random")

    def text(self) -> str:
        """The request as canonical JSON: what is hashed, kept and given to the worker."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False)

    def digest(self) -> str:
        """sha256 of ``text``, 64 hex digits."""
        return hashlib.sha256(self.text().encode()).hexdigest()


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(frozen=True)

    pointer: str = Field(description="JSON pointer into the body, or the name of a parameter")
    detail: str


_KEYS = {key for model in (ScanRequest, Stop, PulseEvent, StoredEvent) for key in model.model_fields}


def faults_of(errors: list[dict[str, Any]]) -> tuple[Fault, ...]:
    """What pydantic found, one a line: where, what was expected, what was found.  Equal lines once."""
    return tuple(dict.fromkeys(map(_fault, errors)))


def _fault(error: dict[str, Any]) -> Fault:
    place, *where = [str(part) for part in error["loc"] if part not in ("pulses", "kept")] or ["body"]
    pointer = "/".join(part.replace("~", "~0").replace("/", "~1")[:80] for part in where)
    if place == "body":
        pointer = f"#/{pointer}" if where else "#"
    if error["type"] == "extra_forbidden":
        return Fault(pointer=pointer, detail=f"unknown key.{did_you_mean(where[-1], _KEYS)}"[:400])
    found = "" if error["type"] == "missing" else f"; found {in_short(error.get('input'))}"
    return Fault(pointer=pointer, detail=f"{error['msg']}{found}"[:400])
