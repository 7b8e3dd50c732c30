"""Notices as they travel in JSON: GCN schema 7.2.1, read more strictly than the schema asks.

Ranges, times, misspelt keys and fields that contradict each other are refused, all faults in one message; what is
accepted here passes the official schema too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from nuanalysis.errors import InputError
from nuanalysis.records import faults_in_words

BASE = "https://gcn.nasa.gov/schema/v7.2.1/gcn/notices/"
ICECUBE, KM3NET, SIMULATION = "IceCube", "KM3NeT", "nuanalysis-simulation"
AlertType = Literal["initial", "subsequent", "update", "retraction"]
NoticeTense = Literal["current", "archival", "planned", "injection", "commanded", "test"]
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_OFFICIAL_NAME = re.compile(r"(?i)ice ?cube|IC\d|KM3")
_RUN_EVENT = re.compile(r"[1-9]\d{0,9}_[1-9]\d{0,11}")
YEARS = (2005, 2100)  # of events and of notices


def moment(text: object) -> datetime:
    """A time as notices print it.  Raises ValueError for another form, or a day that there is not."""
    if isinstance(text, datetime):
        return text
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise ValueError("expected a time in UTC such as 2023-04-16T05:22:26.150574Z")
    seconds, _, fraction = text[:-1].partition(".")
    found = datetime.fromisoformat(seconds).replace(microsecond=int(fraction[:6].ljust(6, "0")), tzinfo=UTC)
    if not YEARS[0] <= found.year <= YEARS[1]:
        raise ValueError(f"expected a year from {YEARS[0]} to {YEARS[1]}")
    return found


def time_text(time: datetime) -> str:
    """The time as notices print it, to microseconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _no_null(value: object) -> object:
    if value is None:
        raise ValueError("is null; leave the key out where there is no value")
    return value


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Line = Annotated[str, Field(min_length=1, max_length=200)]
Web = Annotated[str | None, BeforeValidator(_no_null), Field(max_length=2000, pattern=r"^https?://[^\s]+$")]
Moment = Annotated[datetime, BeforeValidator(moment), PlainSerializer(time_text)]
Lines = Annotated[tuple[Line, ...], BeforeValidator(_several), Field(min_length=1, max_length=20)]
Degrees = Annotated[float, Field(gt=0, le=180)]
Ellipse = Annotated[tuple[float, ...], Field(min_length=1, max_length=3)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
RightAscension = Annotated[float, Field(ge=0, lt=360)]
Declination = Annotated[float, Field(ge=-90, le=90)]
_EACH = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, populate_by_name=True)


N = TypeVar("N", bound="Common")


class Common(BaseModel):
    """What every notice of a neutrino says.  ``alert_datetime`` is when it was made, ``trigger_time`` the event's.

    ra, dec : deg, ICRS.  ra_dec_error : deg, of a circle, or both axes and position angle of an ellipse.  far : Hz.
    """

    model_config = _EACH

    schema_uri: Annotated[str, Field(alias="$schema", max_length=300)]
    mission: Line
    instrument: Line
    messenger: Literal["Neutrino"]
    pipeline: Line
    record_number: Annotated[int, Field(ge=0, le=10_000)]
    event_name: Lines
    id: Lines
    alert_datetime: Moment
    alert_type: AlertType
    alert_tense: NoticeTense
    alert_topology: Literal["Track", "Shower", "Multiplet"]
    number_of_events: Annotated[int, Field(ge=1, le=10_000)] = 1
    trigger_time: Moment
    ra: RightAscension
    dec: Declination
    ra_dec_error: Annotated[Degrees | Ellipse | None, BeforeValidator(_no_null)] = None
    containment_probability: Fraction = 0.9
    systematic_included: bool = False
    healpix_url: Web = None
    healpix_file: Annotated[
        str | None, BeforeValidator(_no_null), Field(max_length=5 << 20, pattern=r"^[A-Za-z0-9+/]+={0,2}$")
    ] = None
    far: Annotated[float | None, BeforeValidator(_no_null), Field(gt=0, lt=1e6)] = None


class Notice(Common):
    """A notice of one neutrino in the schema of IceCube.  nu_energy : TeV, most probable.  p_astro : 0 to 1.

    ``mission`` is IceCube, or that of simulated alerts, which can carry no other.
    """

    mission: Literal["IceCube", "nuanalysis-simulation"]
    pipeline: Literal["Gold Track Alert", "Bronze Track Alert", "Cascade Alert"]
    nu_energy: Annotated[float | None, BeforeValidator(_no_null), Field(gt=0, lt=1e9)] = None
    p_astro: Annotated[float | None, BeforeValidator(_no_null), Field(ge=0, le=1)] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        return _held_to(self, ICECUBE)


class Km3netEvent(BaseModel):
    """One of the events behind a notice of KM3NeT.  energy_measured : GeV, of what was seen."""

    model_config = _EACH

    id: Line
    trigger_time: Moment
    ra: RightAscension
    dec: Declination
    ra_dec_error: Degrees | Ellipse | None = None
    cos_zenith: Annotated[float, Field(ge=-1, le=1)] | None = None
    prob_evt_topology: Literal["track", "starting track", "shower"] | None = None
    energy_measured: Annotated[float, Field(gt=0, lt=1e12)] | None = None


class Km3netCounterpart(BaseModel):
    """A known source in the region of a notice of KM3NeT.  angular_distance : deg."""

    model_config = _EACH

    name: Line
    reference: dict[Line, str | float] = {}
    ra: RightAscension
    dec: Declination
    angular_distance: Annotated[float, Field(ge=0, le=180)] | None = None
    trigger_time: Moment | None = None
    redshift: Annotated[float, Field(ge=0, lt=100)] | None = None


class Km3netNotice(Common):
    """A notice of KM3NeT: one exceptional event, or several together."""

    mission: Literal["KM3NeT"]
    additional_info: Annotated[str, Field(max_length=10_000)] = ""
    p_value: Annotated[float | None, BeforeValidator(_no_null), Field(ge=0, le=1)] = None
    src_error_50: Annotated[Degrees | None, BeforeValidator(_no_null)] = None
    event_details: Annotated[tuple[Km3netEvent, ...], Field(max_length=1000)] = ()
    potential_counterpart: bool = False
    counterpart_info: Line | Annotated[tuple[Km3netCounterpart, ...], Field(max_length=1000)] = "No search"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        return _held_to(self, KM3NET)


NOTICES: Mapping[str, type[Notice] | type[Km3netNotice]] = {
    ICECUBE: Notice, SIMULATION: Notice, KM3NET: Km3netNotice,
}  # fmt: skip
SCHEMAS = {ICECUBE: f"{BASE}icecube/single_neutrino_alerts.schema.json", KM3NET: f"{BASE}km3net/alert.schema.json"}


def _held_to(notice: N, mission: str) -> N:
    if found := [*contradictions(notice), *(_of_icecube(notice) if mission == ICECUBE else _of_km3net(notice))]:
        raise ValueError("\n  - ".join(found))
    return notice


def contradictions(notice: Any) -> list[str]:
    """What two fields of a notice say against each other; a field that is None, or was no good, is left out."""
    found, kind, record = [], notice.alert_type, notice.record_number
    if kind in ("retraction", "update") and record == 0:
        found.append(f"a {kind} with record_number 0, which is the first record; expected 1 or more")
    if notice.trigger_time and notice.alert_datetime and notice.alert_datetime < notice.trigger_time:
        found.append("alert_datetime lies before trigger_time: the notice is older than its event")
    if isinstance(notice.ra_dec_error, tuple):
        major, minor, *_ = (*notice.ra_dec_error, notice.ra_dec_error[0])
        if not 0.0 < minor <= major <= 180.0:
            found.append("ra_dec_error is no ellipse: expected 0 < minor <= major axis <= 180 deg")
    if notice.healpix_url and notice.healpix_file:
        found.append("healpix_url and healpix_file are both given; expected one map")
    mission, tense = notice.mission, notice.alert_tense
    if mission == SIMULATION and tense and tense not in ("test", "injection"):
        found.append(f"mission '{SIMULATION}' with alert_tense '{tense}'; expected test or injection")
    return found


def _schema_fault(notice: Any, family: str) -> list[str]:
    uri = notice.schema_uri
    pattern = re.escape(SCHEMAS[family]).replace(r"v7\.2\.1", r"(main|v\d+\.\d+\.\d+)")
    fault = f"$schema is '{uri}'; expected {SCHEMAS[family]}, or another version of it"
    return [fault] if uri and not re.fullmatch(pattern, uri) else []


def _of_icecube(notice: Any) -> list[str]:
    """What holds for notices in IceCube's schema beyond ``contradictions``."""
    found, mission, cascade = _schema_fault(notice, ICECUBE), notice.mission, notice.pipeline == "Cascade Alert"
    if notice.pipeline and notice.alert_topology and cascade != (notice.alert_topology == "Shower"):
        found.append(
            f"pipeline '{notice.pipeline}' with topology '{notice.alert_topology}'; showers are cascade alerts"
        )
    if mission == ICECUBE and notice.instrument and notice.instrument != "IC86":
        found.append(f"instrument is '{notice.instrument}'; expected IC86")
    if notice.alert_type != "retraction":
        missing = [name for name in ("ra_dec_error", "nu_energy", "p_astro", "far") if _absent(notice, name)]
        found += [f"'{name}' is missing; only a retraction may leave it out" for name in missing]
        if notice.record_number and not (notice.healpix_url or notice.healpix_file or _spoilt(notice, "healpix_url")):
            found.append("record_number 1 or more without a map; expected healpix_url or healpix_file")
    if notice.id and (wrong := [one for one in notice.id if not _RUN_EVENT.fullmatch(one)]):
        found.append(f"id {wrong[0][:40]!r} is not RUN_EVENT without leading zeros")
    if mission == SIMULATION and notice.event_name and any(map(_OFFICIAL_NAME.match, notice.event_name)):
        found.append(f"a simulated alert is called {notice.event_name[0]!r}, as events of experiments are")
    return found


def _of_km3net(notice: Any) -> list[str]:
    found, events = _schema_fault(notice, KM3NET), notice.event_details
    if events and notice.number_of_events and len(events) != notice.number_of_events:
        found.append(f"{len(events)} event_details with number_of_events {notice.number_of_events}")
    if isinstance(notice.counterpart_info, str) and notice.potential_counterpart:
        found.append("potential_counterpart is true with no counterpart in counterpart_info")
    return found


def _spoilt(notice: Any, name: str) -> bool:
    """Whether a field was given and refused already."""
    return name in getattr(notice, "refused", ())


def _absent(notice: Any, name: str) -> bool:
    return getattr(notice, name) is None and not _spoilt(notice, name)


def checked(document: Mapping[str, Any], what: str) -> Notice | Km3netNotice:
    """The notice in a document, by its mission.  Raises InputError with every fault, those between fields too."""
    mission = document.get("mission")
    model = NOTICES.get(mission, Notice) if isinstance(mission, str) else Notice
    try:
        return model.model_validate(_plain(document))
    except ValidationError as error:
        faults = [faults_in_words(error, (model,))]
        if any(fault["loc"] for fault in error.errors()):  # then pydantic did not ask what the fields say together
            partial = _partial(model, document, {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]})
            family = KM3NET if model is Km3netNotice else ICECUBE
            faults += contradictions(partial) + (_of_km3net if family == KM3NET else _of_icecube)(partial)
        raise InputError(f"{what} is no sound notice:\n  - " + "\n  - ".join(faults)) from error


def _plain(value: Any) -> Any:
    """Lists of JSON as the tuples of records."""
    if isinstance(value, list):
        return tuple(_plain(one) for one in value)
    return {key: _plain(one) for key, one in value.items()} if isinstance(value, Mapping) else value


def _partial(model: type[Common], document: Mapping[str, Any], refused: set[str]) -> SimpleNamespace:
    """The sound fields of a document; the others are None, or their default where they are only missing."""
    values: dict[str, Any] = {"refused": refused}
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in refused or key not in document:
            values[name] = None if key in refused or field.is_required() else field.default
            continue
        kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        values[name] = adapter.validate_python(_plain(document[key]))
    return SimpleNamespace(**values)
