"""VOEvent 2.0: the classic notices of IceCube are read, alerts are written for other people's programs.

Documents with a DTD, entities or outside references are refused before they are parsed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from nuanalysis.alerts._messages import (
    Message,
    alert_of,
    datetime_of,
    degrees,
    long_name,
    mjd_of,
    parse_time,
    short_name,
    utc_text,
)
from nuanalysis.alerts._notice import ICECUBE, SIMULATION, time_text
from nuanalysis.alerts._records import Alert, Region, Tier
from nuanalysis.errors import InputError, refuse

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LARGEST = 1 << 20  # bytes; real ones have 6 kB
MOST_ELEMENTS = 2000
NAMESPACE = "http://www.ivoa.net/xml/VOEvent/v2.0"
_STREAMS: Mapping[int, Tier] = {24: "gold", 25: "bronze", 26: "cascade"}
_PACKETS: Mapping[Tier, int] = {"gold": 173, "bronze": 174, "cascade": 176}
_RANGES = {
    "run_id": (1, 1e10), "event_id": (1, 1e12), "Rev": (0, 10_000), "Stream": (24, 26), "signalness": (0, 1),
    "FAR": (1e-12, 1e12), "energy": (1e-3, 1e9), "src_error_90": (1e-6, 180),
}  # fmt: skip
_NUMBERS = ("signalness", "FAR", "energy")  # that a retraction may do without


def read_voevent(data: bytes, what: str = "the message") -> Message:
    """The message in a VOEvent of IceCube: track or cascade alert.

    The radius is that of 90 %, of statistical errors only; ``energy`` is in TeV whatever its description says.
    Raises InputError for anything else, hostile or damaged, with every fault.
    """
    root = _parsed(data, what)
    params = {one.get("name", ""): one.get("value", "") for one in root.iter() if _plain(one) == "Param"}
    faults: list[str] = []
    retracted = _flag(params, "Retraction")
    numbers = _numbers(params, retracted, faults)
    wanted = ("ISOTime", "C1", "C2", "Date")
    texts = {_plain(one): (one.text or "").strip() for one in root.iter() if _plain(one) in wanted}
    times = {name: _time(texts, name, faults) for name in ("ISOTime", "Date")}
    ra, dec = (_coordinate(texts, name, low, high, faults) for name, low, high in (("C1", 0, 360), ("C2", -90, 90)))
    if times["Date"] < times["ISOTime"]:
        faults.append("Date lies before ISOTime: the packet is older than its event")
    if retracted and numbers.get("Rev") == 0:
        faults.append("a retraction with Rev 0, which is the first; expected 1 or more")
    refuse(faults, f"{what} is no sound VOEvent of IceCube")
    return _message(data, root, params, numbers, times, (ra, dec), retracted)


def _message(
    data: bytes, root: Element, params: Mapping[str, str], numbers: Mapping[str, float], times: Mapping[str, float],
    place: tuple[float, float], retracted: bool,
) -> Message:  # fmt: skip
    test = root.get("role") == "test" or _flag(params, "Test") or _flag(params, "InternalTest")
    tier, synthetic = _STREAMS[int(numbers["Stream"])], params.get("mission") == SIMULATION
    run, event, revision = (int(numbers[name]) for name in ("run_id", "event_id", "Rev"))
    region = Region(
        right_ascension=math.radians(place[0] % 360.0), declination=math.radians(place[1]),
        radius=math.radians(numbers["src_error_90"]), radius_definition="as the notice gives it",
        map=params.get("skymap_fits"),
    )  # fmt: skip
    name = short_name(params.get("event_name") or f"{run}_{event}")
    tense: Literal["test", "current"] = "test" if test else "current"
    alert = None
    if all(key in numbers for key in _NUMBERS):
        alert = alert_of(
            name=name, run=run, event_id=event, time=times["ISOTime"], tier=tier, energy_tev=numbers["energy"],
            p_astro=numbers["signalness"], far_per_yr=numbers["FAR"], region=region, tense=tense, synthetic=synthetic,
            revision=revision, retracted=retracted,
        )  # fmt: skip
    return Message(
        form="voevent", data=data, mission=SIMULATION if synthetic else ICECUBE, ids=(f"{run}_{event}",), name=name,
        revision=revision, alert_type="retraction" if retracted else "update" if revision else "initial",
        tense=tense, topology="Shower" if tier == "cascade" else "Track", sent=times["Date"], time=times["ISOTime"],
        region=region, alert=alert,
    )  # fmt: skip


def _parsed(data: bytes, what: str) -> Element:
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if len(data) > LARGEST:
        raise InputError(f"{what} holds {len(data):,} bytes of XML, expected at most {LARGEST:,}")
    try:
        data.decode("utf-8")
        root: Element = fromstring(data, forbid_dtd=True)
    except DefusedXmlException as fault:
        raise InputError(f"{what} is refused: XML with a DTD, entities or outside references ({fault})") from fault
    except (ParseError, ValueError, LookupError) as fault:
        raise InputError(f"{what} is no XML: {fault}") from fault
    if root.tag != f"{{{NAMESPACE}}}VOEvent":
        raise InputError(f"{what} is XML, but no VOEvent 2.0: its root is '{root.tag[:80]}'")
    if sum(1 for _ in root.iter()) > MOST_ELEMENTS:
        raise InputError(f"{what} has more than {MOST_ELEMENTS:,} elements")
    return root


def _plain(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _flag(params: Mapping[str, str], name: str) -> bool:
    return params.get(name, "").strip().lower() in ("true", "1", "yes")


def _numbers(params: Mapping[str, str], retracted: bool, faults: list[str]) -> dict[str, float]:
    """The numbers that are in range; of a retraction those that are not are left out."""
    found: dict[str, float] = {}
    for name, (low, high) in _RANGES.items():
        spared = retracted and name in _NUMBERS
        if name not in params:
            faults += [] if spared else [f"parameter '{name}' is missing"]
            continue
        value = _number(params[name])
        if low <= value <= high and (name not in ("run_id", "event_id", "Rev", "Stream") or value == int(value)):
            found[name] = value
        elif not spared:
            faults.append(f"parameter '{name}' is '{params[name][:40]}'; expected a number from {low:g} to {high:g}")
    return found


def _number(text: str) -> float:
    """The number; NaN for what is none, which no range holds."""
    return float(text) if re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*", text[:60]) else math.nan


def _time(texts: Mapping[str, str], name: str, faults: list[str]) -> float:
    text = texts.get(name, "")
    try:
        return parse_time(text if text.endswith("Z") else f"{text}Z")
    except InputError as fault:
        faults.append(f"{name}: {fault}" if text else f"'{name}' is missing")
        return math.nan


def _coordinate(texts: Mapping[str, str], name: str, low: float, high: float, faults: list[str]) -> float:
    value = _number(texts.get(name, ""))
    if not low <= value <= high:
        faults.append(f"coordinate {name} is '{texts.get(name, '')[:40]}'; expected {low:g} to {high:g} deg")
    return value


def voevent(alert: Alert, *, sent: float) -> bytes:
    """The alert as a VOEvent 2.0.    sent : MJD UTC at which it is made.

    A synthetic one has role 'test' and the mission 'nuanalysis-simulation'; the identifier names this package, never
    a broker.  Raises InputError where the alert has no radius.
    """
    from xml.etree import ElementTree as Tree

    if alert.region.radius is None:
        raise InputError(f"alert {alert.name} has no radius; a VOEvent needs one")
    synthetic, time = alert.origin == "synthetic", datetime_of(alert.time)
    Tree.register_namespace("voe", NAMESPACE)
    root = Tree.Element(f"{{{NAMESPACE}}}VOEvent", {
        "ivorn": f"ivo://nuanalysis/{alert.origin}#{alert.run}_{alert.event_id}_{alert.revision}",
        "role": "test" if synthetic or alert.tense in ("test", "injection") else "observation", "version": "2.0",
    })  # fmt: skip
    who = Tree.SubElement(root, "Who")
    Tree.SubElement(who, "AuthorIVORN").text = "ivo://nuanalysis"
    Tree.SubElement(who, "Date").text = utc_text(sent)[:-1]
    what = Tree.SubElement(root, "What")
    for name, value, unit in _params(alert, math.floor(mjd_of(time))):
        Tree.SubElement(what, "Param", {"name": name, "value": value, **({"unit": unit} if unit else {})})
    location: Any = Tree.SubElement(root, "WhereWhen")
    for tag in ("ObsDataLocation", "ObservationLocation"):
        location = Tree.SubElement(location, tag)
    Tree.SubElement(location, "AstroCoordSystem", {"id": "UTC-ICRS-GEO"})
    coordinates = Tree.SubElement(location, "AstroCoords", {"coord_system_id": "UTC-ICRS-GEO"})
    instant = Tree.SubElement(Tree.SubElement(coordinates, "Time", {"unit": "s"}), "TimeInstant")
    Tree.SubElement(instant, "ISOTime").text = time_text(time)[:-1]
    place = Tree.SubElement(coordinates, "Position2D", {"unit": "deg"})
    pair = Tree.SubElement(place, "Value2")
    Tree.SubElement(pair, "C1").text = f"{degrees(alert.region.right_ascension)}"
    Tree.SubElement(pair, "C2").text = f"{degrees(alert.region.declination)}"
    Tree.SubElement(place, "Error2Radius").text = f"{degrees(alert.region.radius)}"
    Tree.SubElement(root, "Description").text = (
        f"{'SIMULATED ' if synthetic else ''}{alert.topology} alert, {alert.tense}; {alert.energy_kind}; "
        f"p_astro: {alert.method}"
    )
    Tree.indent(root)
    return bytes(Tree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _params(alert: Alert, day: int) -> list[tuple[str, str, str]]:
    """Name, value and unit of the classic parameters."""
    assert alert.region.radius is not None
    synthetic = alert.origin == "synthetic"
    stream = next(number for number, tier in _STREAMS.items() if tier == alert.tier)
    flag = {True: "true", False: "false"}
    return [
        ("mission", SIMULATION if synthetic else ICECUBE, ""),
        ("event_name", alert.name if synthetic else long_name(alert.name), ""),
        ("Packet_Type", str(_PACKETS[alert.tier]), ""),
        ("Stream", str(stream), ""),
        ("run_id", str(alert.run), ""),
        ("event_id", str(alert.event_id), ""),
        ("Rev", str(alert.revision), ""),
        ("Event_TJD", str(day - 40_000), "d"),
        ("Event_SOD", f"{(alert.time - day) * 86_400.0:.2f}", "s"),
        ("signalness", f"{alert.p_astro:g}", ""),
        ("FAR", f"{alert.far_per_yr:.6g}", "yr^-1"),
        ("energy", f"{alert.energy_tev:.6g}", "TeV"),
        ("src_error_90", f"{degrees(alert.region.radius)}", "deg"),
        ("Retraction", flag[bool(alert.retracted)], ""),
        ("Test", flag[synthetic or alert.tense in ("test", "injection")], ""),
        *([("skymap_fits", alert.region.map, "")] if alert.region.map else []),
    ]
