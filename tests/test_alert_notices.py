"""Notices and other messages: what is read, what is refused and in which words, what is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from math import degrees, radians
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_alerts import CASCADE, REAL, SIMULATED, official

from nuanalysis.alerts import (
    QUADRATURE,
    Region,
    alerts_of,
    circular,
    datetime_of,
    future,
    in_order,
    long_name,
    mjd_of,
    notice_json,
    notice_of,
    read_message,
    short_name,
    voevent,
)
from nuanalysis.errors import InputError
from nuanalysis.ingest import icecat1

GONE = object()
SOUND: dict[str, Any] = json.loads(notice_json(notice_of(REAL, sent=REAL.time + 1e-3)))
MAP = "https://example.org/map.fits"


def document(**changes: Any) -> bytes:
    return json.dumps({k: v for k, v in {**SOUND, **changes}.items() if v is not GONE}).encode()


def refused(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        read_message(data)
    return str(caught.value)


# ---- what is written, and read again ---------------------------------------------------------------------------------


@pytest.mark.parametrize("alert", [REAL, SIMULATED, CASCADE], ids=["real", "simulated", "cascade"])
def test_an_alert_comes_back_from_its_notice(alert: Any) -> None:
    found = read_message(notice_json(notice_of(alert, sent=alert.time + 1e-3)))
    assert found.alert is not None
    assert found.alert.far_per_yr == pytest.approx(alert.far_per_yr, rel=1e-12)
    assert abs(found.alert.time - alert.time) * 86400 < 2e-6
    same = ("name", "run", "event_id", "tier", "topology", "energy_tev", "p_astro", "tense", "origin", "revision")
    assert [getattr(found.alert, key) for key in same] == [getattr(alert, key) for key in same]
    assert degrees(found.region.right_ascension) == pytest.approx(77.43, abs=1e-9)
    assert found.region.radius == pytest.approx(alert.region.radius, abs=1e-8)
    assert found.region.systematic


def test_nothing_synthetic_carries_the_name_of_an_experiment() -> None:
    notice = notice_of(SIMULATED, sent=SIMULATED.time)
    assert (notice.mission, notice.alert_tense) == ("nuanalysis-simulation", "test")
    assert b"IceCube" not in voevent(SIMULATED, sent=SIMULATED.time)
    for name in ("IceCube-170922A", "IC170922A", "icecube-x"):
        with pytest.raises(InputError, match="as events of experiments are"):
            notice_of(replace(SIMULATED, name=name), sent=SIMULATED.time)
    assert "expected test or injection" in refused(document(mission="nuanalysis-simulation", event_name=["x"]))


def test_names_and_times_are_carried_both_ways() -> None:
    assert (long_name("IC181114B"), short_name("IceCube-181114B")) == ("IceCube-181114B", "IC181114B")
    assert (long_name("KM3-240901A"), short_name("KM3-240901A")) == ("KM3-240901A", "KM3-240901A")
    assert mjd_of(datetime_of(58018.87118559)) == pytest.approx(58018.87118559, abs=1e-11)
    assert f"{datetime_of(51544.0):%Y-%m-%d %H}" == "2000-01-01 00"


def test_revisions_are_initial_update_retraction() -> None:
    kinds = [
        notice_of(replace(REAL, **change), sent=REAL.time, map_url=MAP).alert_type
        for change in ({}, {"revision": 1}, {"revision": 2, "retracted": "a muon"})
    ]
    assert kinds == ["initial", "update", "retraction"]
    with pytest.raises(InputError, match="without a map"):
        notice_of(replace(REAL, revision=1), sent=REAL.time)
    with pytest.raises(InputError, match="has no radius"):
        notice_of(replace(REAL, region=Region(1.0, 0.1)), sent=REAL.time)
    bare = document(record_number=1, alert_type="retraction", nu_energy=GONE, p_astro=GONE, far=GONE)
    assert read_message(bare).alert is None


def test_the_definition_of_the_radius_is_that_of_its_day() -> None:
    assert read_message(document()).region.radius_definition == "as the notice gives it"  # archival
    assert read_message(document(alert_tense="current")).region.radius_definition == QUADRATURE
    found = read_message(document(ra_dec_error=[2.0, 0.5, 30.0])).region
    assert (found.radius_definition, found.radius) == ("mean of an ellipse", pytest.approx(radians(1.0)))


@pytest.mark.real_data
def test_every_alert_of_the_catalogue_is_a_sound_notice_officially_too(mirror: Path) -> None:
    validate = official(mirror, "icecube")
    alerts = alerts_of(icecat1.read_events(mirror / icecat1.RELEASE.folder))
    for alert in alerts:
        data = notice_json(notice_of(alert, sent=alert.time))
        validate(json.loads(data))
        assert read_message(data).name == alert.name
    assert len(alerts) == 348


@pytest.mark.real_data
def test_what_we_accept_passes_the_official_schema(mirror: Path) -> None:
    accepted = [
        SOUND, {**SOUND, "record_number": 1, "healpix_url": MAP}, {**SOUND, "ra_dec_error": [1.0, 0.5]},
        {k: v for k, v in SOUND.items() if k not in ("nu_energy", "p_astro", "far", "ra_dec_error")}
        | {"record_number": 3, "alert_type": "retraction"},
        {**SOUND, "event_name": "IceCube-170922A", "id": "130033_50579430"},
        json.loads(notice_json(notice_of(CASCADE, sent=CASCADE.time))),
    ]  # fmt: skip
    validate = official(mirror, "icecube")
    for one in accepted:
        read_message(json.dumps(one).encode())
        validate(one)


@pytest.mark.real_data
def test_examples_of_both_missions_are_read(mirror: Path) -> None:
    official(mirror, "km3net")
    folder = mirror / "gcn_schema" / "gcn" / "notices"
    icecube = read_message(next((folder / "icecube").glob("single*example.json")).read_bytes())
    assert icecube.alert is not None
    assert (icecube.name, round(icecube.alert.far_per_yr, 3)) == ("IC230416A", 2.534)
    sisters = [read_message(path.read_bytes()) for path in sorted((folder / "km3net").glob("*example.json"))]
    assert {one.topology for one in sisters} == {"Track", "Multiplet"}
    assert all(one.mission == "KM3NeT" and one.alert is None and one.region.radius for one in sisters)


def test_a_notice_of_km3net_is_held_to_its_own_rules() -> None:
    sister = {
        **{k: v for k, v in SOUND.items() if k not in ("nu_energy", "p_astro")},
        "$schema": "https://gcn.nasa.gov/schema/main/gcn/notices/km3net/alert.schema.json", "mission": "KM3NeT",
        "instrument": "ARCA021", "pipeline": "arca", "event_name": "KM3-240901A", "id": "1", "src_error_50": 0.4,
    }  # fmt: skip
    assert read_message(json.dumps(sister).encode()).event == ("KM3NeT", "1")
    said = refused(json.dumps({**sister, "potential_counterpart": True, "p_value": 2, "nu_energy": 1.0}).encode())
    for words in ("no counterpart in counterpart_info", "'p_value'", "unknown key 'nu_energy'"):
        assert words in said


# ---- what is refused -------------------------------------------------------------------------------------------------

CORRUPTED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "right ascension": ({"ra": 400}, ("'ra'", "400")),
    "declination": ({"dec": -120}, ("'dec'", "-120")),
    "probability": ({"p_astro": 7}, ("'p_astro'", "7")),
    "rate": ({"far": -1}, ("'far'", "greater than 0")),
    "time": ({"trigger_time": "yesterday"}, ("trigger_time: expected a time in UTC",)),
    "misspelt": ({"p_astr": 0.5, "p_astro": GONE}, ("unknown key 'p_astr'. Did you mean 'p_astro'?", "is missing")),
    "topology": ({"pipeline": "Cascade Alert"}, ("with topology 'Track'; showers are cascade alerts",)),
    "retraction": ({"alert_type": "retraction"}, ("a retraction with record_number 0",)),
    "null map": ({"healpix_url": None}, ("healpix_url: is null; leave the key out",)),
    "tense": ({"alert_tense": "injections"}, ("Did you mean 'injection'?",)),
    "order": ({"alert_datetime": "2017-09-22T20:00:00Z"}, ("alert_datetime lies before trigger_time",)),
    "map": ({"record_number": 1}, ("record_number 1 or more without a map",)),
    "identifier": ({"id": ["0130033_50579430"]}, ("is not RUN_EVENT without leading zeros",)),
    "word for a number": ({"ra": "77.43"}, ("valid number (found '77.43')",)),
    "truth for a number": ({"p_astro": True}, ("'p_astro'",)),
    "two maps": ({"healpix_url": MAP, "healpix_file": "QUJD"}, ("expected one map",)),
    "schema": ({"$schema": "https://example.org/x.json"}, ("$schema is 'https://example.org/x.json'",)),
    "mission": ({"mission": "Icecube"}, ("'mission'", "Did you mean 'IceCube'?")),
    "ellipse": ({"ra_dec_error": [0.5, 1.0, 0.0]}, ("is no ellipse",)),
    "year": ({"trigger_time": "1970-01-01T00:00:00Z"}, ("expected a year from 2005",)),
    "day": ({"trigger_time": "2017-02-30T00:00:00Z"}, ("trigger_time",)),
}


@pytest.mark.parametrize("kind", CORRUPTED)
def test_each_corrupted_notice_is_refused_with_its_fault(kind: str) -> None:
    changes, words = CORRUPTED[kind]
    said = refused(document(**changes))
    assert all(word in said for word in words), said


def test_every_fault_is_in_the_one_message() -> None:
    """Twelve kinds at once, those between two fields too."""
    kinds = list(CORRUPTED)[:10]
    changes = {key: value for kind in kinds for key, value in CORRUPTED[kind][0].items()} | {"p_astro": 7}
    said = refused(document(**changes))
    for kind in kinds:
        for word in CORRUPTED[kind][1]:
            assert word in said or word == "is missing", word
    empty = refused(b"{}")
    assert empty.count("Field required") == 15
    assert empty.count("only a retraction may leave it out") == 4


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no JSON"),
        (b"[]", "it holds a list, expected an object"),
        (b"null", "it holds a NoneType"),
        (b'{"ra": NaN}', "NaN, which is no number"),
        (b'{"ra": 1, "ra": 2}', "says 'ra' twice"),
        (b"[" * 100_000, "nests deeper than 20"),
        (b'{"a":' * 30 + b"1" + b"}" * 30, "nests deeper than 20"),
        (b"\xff\xfe{}", "no JSON"),
        (b"{" + b" " * (6 << 20) + b"}", "expected at most 6,291,456"),
        (document(event_name=["\ud800"]), "event_name"),
        (document(event_name=["x" * 300]), "at most 200"),
        (document(ra=1e999).replace(b"Infinity", b"1e999"), "finite"),
    ],
)
def test_damaged_and_hostile_json_is_refused(data: bytes, words: str) -> None:
    assert words in refused(data)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(SOUND)), st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=5,
))  # fmt: skip
def test_any_value_is_accepted_or_refused_in_our_words(key: str, value: object) -> None:
    try:
        found = read_message(json.dumps({**SOUND, key: value}).encode())
    except InputError:
        return
    assert 0.0 <= found.region.right_ascension < 7.0


def test_the_future_is_told_to_within_some_seconds() -> None:
    message = read_message(document())
    assert future(message, message.sent) == ""
    assert future(message, message.sent - 30 / 86400) == ""
    assert "the notice is dated 600 s in the future" in future(message, message.sent - 600 / 86400)


def test_revisions_that_came_in_any_order_are_put_in_order() -> None:
    revision = [read_message(document(record_number=n, healpix_url=MAP)) for n in (2, 0, 1)]
    assert [one.revision for one in in_order(revision)] == [0, 1, 2]


# ---- VOEvent ---------------------------------------------------------------------------------------------------------

PACKET = voevent(REAL, sent=REAL.time + 1e-3).decode()


def packet(*changes: tuple[str, str]) -> bytes:
    text = PACKET
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text.encode()


def test_an_alert_comes_back_from_its_voevent() -> None:
    found = read_message(packet())
    assert (found.form, found.key) == ("voevent", ("IceCube", "130033_50579430", 0, "initial"))
    assert found.alert is not None
    assert (found.alert.tier, found.alert.far_per_yr, found.alert.energy_tev) == ("gold", 0.58, 290.0)
    assert abs(found.time - REAL.time) * 86400 < 2e-6
    simulated = read_message(voevent(CASCADE, sent=CASCADE.time))
    assert (simulated.synthetic, simulated.tense, simulated.topology) == (True, "test", "Shower")


def test_the_classic_form_needs_no_name_and_a_retraction_no_numbers() -> None:
    retraction = packet(
        ('name="Retraction" value="false"', 'name="Retraction" value="true"'),
        ('name="Rev" value="0"', 'name="Rev" value="1"'),
        ('name="energy" value="290"', 'name="energy" value="0"'), ('name="event_name"', 'name="other"'),
    )  # fmt: skip
    found = read_message(retraction)
    assert (found.alert_type, found.alert, found.name) == ("retraction", None, "130033_50579430")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([('name="signalness" value="0.631"', 'name="signalness" value="7"')], ["'signalness' is '7'"]),
        ([("<C1>77.43</C1>", "<C1>400</C1>"), ("<C2>5.72</C2>", "<C2>x</C2>")], ["C1 is '400'", "C2 is 'x'"]),
        ([('name="run_id"', 'name="run"'), ('name="FAR" value="0.58"', 'name="FAR" value="nan"')],
         ["'run_id' is missing", "'FAR' is 'nan'"]),
        ([('name="Stream" value="24"', 'name="Stream" value="11"')], ["'Stream' is '11'"]),
        ([("<ISOTime>2017", "<ISOTime>2018")], ["Date lies before ISOTime"]),
        ([("<ISOTime>2017-09-22", "<ISOTime>yesterday")], ["ISOTime: time 'yesterday"]),
        ([('name="Retraction" value="false"', 'name="Retraction" value="true"')], ["a retraction with Rev 0"]),
        ([("VOEvent/v2.0", "VOEvent/v1.1")], ["no VOEvent 2.0"]),
        ([("</What>", "</Wat>")], ["is no XML"]),
        ([("<Who>", "<Who>" + "<a/>" * 3000)], ["more than 2,000 elements"]),
    ],
)  # fmt: skip
def test_a_damaged_voevent_is_refused_with_every_fault(changes: list[tuple[str, str]], words: list[str]) -> None:
    said = refused(packet(*changes))
    assert all(word in said for word in words), said


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
HOSTILE: dict[str, Callable[[], bytes]] = {
    "entities": lambda: packet(("<voe:", BOMB + "<voe:")).replace(b"<Who>", b"<Who>&b;", 1),
    "a file of the machine": lambda: PACKET.replace(
        "<voe:VOEvent", '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><voe:VOEvent', 1
    ).replace("<Who>", "<Who>&f;", 1).encode(),
    "a DTD elsewhere": lambda: PACKET.replace(
        "<voe:VOEvent", '<!DOCTYPE x SYSTEM "http://example.org/x.dtd"><voe:VOEvent', 1
    ).encode(),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_xml_is_refused(kind: str) -> None:
    data = HOSTILE[kind]()
    data = data.replace(b"</" + BOMB.encode() + b"<voe:", b"</voe:")
    said = refused(data)
    assert "is refused: XML with a DTD" in said or "is no XML" in said
    assert "root:" not in said


def test_a_large_or_foreign_voevent_is_refused() -> None:
    assert "expected at most 1,048,576" in refused(packet(("<Who>", "<Who>" + " " * (1 << 20))))
    latin = PACKET.replace("utf-8", "latin-1").replace("Description>", "Description>\xe9", 1).encode("latin-1")
    assert "is no XML" in refused(latin)
    assert "is no XML" in refused(b"<" * 1000)


# ---- circular --------------------------------------------------------------------------------------------------------


def test_the_circular_is_a_draft_in_the_order_of_circulars() -> None:
    text = circular(REAL)
    assert text.startswith("DRAFT")
    assert "Subject: DRAFT IceCube-170922A" in text
    assert "SIMULATED" not in text
    order = [
        "Reported by", "2017-09-22 at 20:54:30", "high probability", "Gold", "0.58 times per year", "Notice:",
        "77.43 (+0.95 / -1.26 deg 90 % PSF containment) J2000", "+5.72 (+0.50 / -0.45 deg", "not searched", "Contact",
    ]  # fmt: skip
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def test_a_simulated_or_doubted_event_says_so() -> None:
    text = circular(replace(SIMULATED, doubt="a veto fired"), sources=())
    assert text.count("SIMULATED") == 2
    assert "IceCube" not in text
    assert "no source in the region" in text
    assert "a veto fired" in text
    bronze = circular(replace(REAL, tier="bronze", retracted="a muon"), sources=("4FGL J0509.4+0542, 0.11 deg",))
    assert "moderate probability" in bronze
    assert "RETRACTED: a muon" in bronze
    assert "those of Gold together, about 30 %" in bronze
    assert "  4FGL J0509.4+0542, 0.11 deg" in bronze
    bare = circular(replace(CASCADE, region=Region(1.0, 0.1, radius=0.2)))
    assert "within 11.46 deg of the position, 90 % containment" in bare
