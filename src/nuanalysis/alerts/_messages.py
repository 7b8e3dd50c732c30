"""Messages: notices as bytes, read into one record whatever their form, and written from alerts.

Nothing here sends: there is no producer in this package, and a synthetic alert cannot carry the name of an experiment.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from nuanalysis.alerts._catalogue import ENERGY, definition_at
from nuanalysis.alerts._notice import (
    ICECUBE,
    SCHEMAS,
    SIMULATION,
    AlertType,
    Common,
    Km3netNotice,
    Notice,
    NoticeTense,
    checked,
    moment,
    time_text,
)
from nuanalysis.alerts._records import JULIAN_YEAR_S, Alert, Region, Tense, Tier
from nuanalysis.errors import DataError, InputError

Form = Literal["json", "voevent"]
Key = tuple[str, str, int, str]
RANKS: dict[str, int] = {"initial": 0, "subsequent": 1, "update": 2, "retraction": 3}  # of one revision, in order
_PIPELINES: dict[Tier, Literal["Gold Track Alert", "Bronze Track Alert", "Cascade Alert"]] = {
    "gold": "Gold Track Alert", "bronze": "Bronze Track Alert", "cascade": "Cascade Alert",
}  # fmt: skip
_TIERS = {pipeline: tier for tier, pipeline in _PIPELINES.items()}
_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)  # MJD 0
_SHORT, _LONG = re.compile(r"IC(\d{6}[A-Z]+)"), re.compile(r"IceCube-(\d{6}[A-Z]+)")
_TENSES: dict[NoticeTense, Tense] = {
    "current": "current", "archival": "archival", "test": "test", "injection": "injection",
    "planned": "test", "commanded": "test",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """What a notice says, in whatever form it came.

    data : its exact bytes.  ids : of the event, as the mission writes them.  sent, time : MJD UTC, of the notice and
    of the event.  alert : the same as an alert, where it says enough for one.
    """

    form: Form
    data: bytes
    mission: str
    ids: tuple[str, ...]
    name: str
    revision: int
    alert_type: AlertType
    tense: NoticeTense
    topology: str
    sent: float
    time: float
    region: Region
    alert: Alert | None = None

    @property
    def event(self) -> tuple[str, str]:
        """Mission and identifier: what all revisions of an event share."""
        return self.mission, "+".join(self.ids)

    @property
    def key(self) -> Key:
        """What makes two messages the same one: mission, identifier, revision, type."""
        return (*self.event, self.revision, self.alert_type)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def synthetic(self) -> bool:
        return self.mission == SIMULATION


def mjd_of(time: datetime) -> float:
    """MJD of a time in UTC."""
    return (time - _EPOCH) / timedelta(days=1)


def datetime_of(mjd: float) -> datetime:
    """Time in UTC, to the microsecond (a number of 64 bits holds 0.6 us)."""
    return _EPOCH + timedelta(microseconds=round(mjd * 86_400e6))


def utc_text(mjd: float) -> str:
    """An MJD as notices print times."""
    return time_text(datetime_of(mjd))


def long_name(name: str) -> str:
    """The name as notices print it: IceCube-170922A for IC170922A; every other as it is."""
    found = _SHORT.fullmatch(name)
    return f"IceCube-{found[1]}" if found else name


def short_name(name: str) -> str:
    """The name as ICECAT-1 prints it: the opposite of ``long_name``."""
    found = _LONG.fullmatch(name)
    return f"IC{found[1]}" if found else name


def degrees(angle: float) -> float:
    """An angle in deg as it is printed, to 4 milliarcseconds: what was 138.47 before it was rad is so again."""
    return round(math.degrees(angle), 6)


def notice_of(alert: Alert, *, sent: float, map_url: str = "", map_file: bytes = b"") -> Notice:
    """The notice of an alert in the schema of IceCube.

    sent : MJD UTC at which it is made.  map_url : where its map is; map_file : the map itself, FITS.  Revisions from 1
    on must have one of both.
    A synthetic alert carries the mission 'nuanalysis-simulation', whatever it is called; the others IceCube.
    Raises InputError with every fault.
    """
    synthetic, region = alert.origin == "synthetic", alert.region
    kind: AlertType = "retraction" if alert.retracted else "update" if alert.revision else "initial"
    if region.radius is None:
        raise InputError(f"alert {alert.name} has no radius; a notice needs one")
    document = {
        "$schema": SCHEMAS[ICECUBE],
        "mission": SIMULATION if synthetic else ICECUBE,
        "instrument": "parametric simulation" if synthetic else "IC86",
        "messenger": "Neutrino",
        "pipeline": _PIPELINES[alert.tier],
        "record_number": alert.revision,
        "event_name": [alert.name if synthetic else long_name(alert.name)],
        "id": [f"{alert.run}_{alert.event_id}"],
        "alert_datetime": utc_text(sent),
        "trigger_time": utc_text(alert.time),
        "alert_type": kind,
        "alert_tense": alert.tense,
        "alert_topology": "Shower" if alert.topology == "shower" else "Track",
        "number_of_events": 1,
        "ra": degrees(region.right_ascension) % 360.0,
        "dec": degrees(region.declination),
        "ra_dec_error": degrees(region.radius),
        "containment_probability": region.containment,
        "systematic_included": region.systematic,
        **({"healpix_url": map_url} if map_url else {}),
        **({"healpix_file": base64.b64encode(map_file).decode()} if map_file else {}),
        "nu_energy": alert.energy_tev,
        "p_astro": alert.p_astro,
        "far": alert.far_per_yr / JULIAN_YEAR_S,
    }
    found = checked(document, f"alert {alert.name}")
    assert isinstance(found, Notice)
    return found


def notice_json(notice: Notice | Km3netNotice) -> bytes:
    """The notice as it travels: the keys in the order of the schema's example, nothing that is not known."""
    document = notice.model_dump(mode="json", by_alias=True, exclude_none=True)
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def message_of(notice: Notice | Km3netNotice, data: bytes) -> Message:
    """What a notice says.    data : its exact bytes."""
    return Message(
        form="json",
        data=data,
        mission=notice.mission,
        ids=notice.id,
        name=short_name(notice.event_name[0]),
        revision=notice.record_number,
        alert_type=notice.alert_type,
        tense=notice.alert_tense,
        topology=notice.alert_topology,
        sent=mjd_of(notice.alert_datetime),
        time=mjd_of(notice.trigger_time),
        region=_region(notice),
        alert=_alert(notice) if isinstance(notice, Notice) else None,
    )


def _region(notice: Common) -> Region:
    error, radius = notice.ra_dec_error, None
    definition = ""
    if notice.mission == ICECUBE:  # an archival one may be of any day: what its radius is was said by who wrote it
        archival = notice.alert_tense == "archival"
        definition = "as the notice gives it" if archival else definition_at(mjd_of(notice.alert_datetime))
    if isinstance(error, tuple):
        radius, definition = math.radians(math.sqrt(error[0] * (*error, error[0])[1])), "mean of an ellipse"
    elif error is not None:
        radius = math.radians(error)
    return Region(
        right_ascension=math.radians(notice.ra),
        declination=math.radians(notice.dec),
        radius=radius,
        containment=notice.containment_probability,
        radius_definition=definition if radius else "",
        map=notice.healpix_url,
        systematic=notice.systematic_included,
    )


def _alert(notice: Notice) -> Alert | None:
    """The alert that a notice tells of; None where a retraction leaves its numbers out."""
    if notice.nu_energy is None or notice.p_astro is None or notice.far is None:
        return None
    run, event = notice.id[0].split("_")
    return alert_of(
        name=short_name(notice.event_name[0]), run=int(run), event_id=int(event), time=mjd_of(notice.trigger_time),
        tier=_TIERS[notice.pipeline], energy_tev=notice.nu_energy, p_astro=notice.p_astro,
        far_per_yr=notice.far * JULIAN_YEAR_S, region=_region(notice), tense=_TENSES[notice.alert_tense],
        synthetic=notice.mission == SIMULATION, revision=notice.record_number,
        retracted=notice.alert_type == "retraction",
    )  # fmt: skip


def alert_of(
    *, name: str, run: int, event_id: int, time: float, tier: Tier, energy_tev: float, p_astro: float,
    far_per_yr: float, region: Region, tense: Tense, synthetic: bool, revision: int, retracted: bool,
) -> Alert:  # fmt: skip
    """An alert as a notice tells of it: its stream is not said, its probability is as published.

    Raises InputError where the numbers make none.
    """
    try:
        return Alert(
            name=name, run=run, event_id=event_id, time=time, stream="", tier=tier,
            topology="shower" if tier == "cascade" else "track", energy_tev=energy_tev, energy_kind=ENERGY,
            p_astro=p_astro, far_per_yr=far_per_yr, method="as the notice says", region=region, tense=tense,
            origin="synthetic" if synthetic else "real", revision=revision,
            retracted="a notice of retraction" if retracted else "",
        )  # fmt: skip
    except DataError as error:
        raise InputError(str(error)) from error


def future(message: Message, now: float, *, patience_s: float = 60.0) -> str:
    """What lies in the future of a message, at ``now`` in MJD UTC; '' where nothing does, to within some seconds."""
    times = {"the event": message.time, "the notice": message.sent}
    late = {what: (time - now) * 86_400.0 for what, time in times.items() if (time - now) * 86_400.0 > patience_s}
    return "; ".join(f"{what} is dated {seconds:,.0f} s in the future" for what, seconds in late.items())


def parse_time(text: str) -> float:
    """MJD UTC of a time as notices print it.  Raises InputError."""
    try:
        return mjd_of(moment(text))
    except ValueError as fault:
        raise InputError(f"time '{text[:60]}': {fault}") from fault


def in_order(messages: Iterable[Message]) -> list[Message]:
    """Messages of one event, the first revision first; of one revision, the initial one first."""
    return sorted(messages, key=lambda one: (one.revision, RANKS[one.alert_type], one.sent, one.sha256))
