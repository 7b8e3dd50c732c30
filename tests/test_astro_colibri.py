"""Astro-COLIBRI from recorded answers (made up, in the shape of the interface) and without a network."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from nuanalysis.answers.counterparts import counterparts
from nuanalysis.ingest.astro_colibri import UID, NotSearched, Request, Searched, over_network, recorded, search
from nuanalysis.library.icecat import known_alert

RECORDED = Path(__file__).parent / "recorded"
WEEK = ("2017-09-17T20:54:30Z", "2017-09-27T20:54:30Z")
IN_A_CIRCLE = Request(WEEK, (77.43, 5.79, 1.2))
IN_A_CONTOUR = Request(WEEK, (77.43, 5.79, 1.2), "IC170922A")
LATEST = Request(WEEK)
FAULTS = {  # declination of the request that each stands for, and what is said
    "401": (11.0, "set ASTROCOLIBRI_UID to a valid one"), "403": (12.0, "refuses this user"),
    "404": (13.0, "does not know this request"), "429": (14.0, "hundred searches of a day"),
    "500": (15.0, "HTTP 500"), "error under 200": (16.0, "reports an error: quota service is down"),
    "no JSON": (17.0, "cannot be read"), "another shape": (18.0, "without 'voevents'"),
}  # fmt: skip


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise OSError("sockets are blocked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def test_every_record_says_that_it_is_made_up():
    files = list(RECORDED.glob("*.json"))
    assert len(files) >= 10
    assert all(json.loads(file.read_text())["made_up"] is True for file in files)


def test_the_user_is_no_part_of_a_record():
    assert IN_A_CIRCLE.body("somebody") != IN_A_CIRCLE.body()
    assert "somebody" not in IN_A_CIRCLE.body()
    assert IN_A_CIRCLE.key == Request(WEEK, (77.43, 5.79, 1.2)).key != LATEST.key
    assert (IN_A_CIRCLE.path, LATEST.path) == ("/cone_search", "/latest_transients")


def test_what_is_recorded_is_found():
    found = search(IN_A_CIRCLE, transport=recorded(RECORDED))
    assert isinstance(found, Searched)
    assert [one.name for one in found.transients] == ["made-up flare 1"]
    assert (found.transients[0].kind, found.transients[0].ra_deg) == ("nu_track", 77.4)
    assert [one.name for one in found.sources] == ["made-up blazar"]
    assert found.region == "circle"


def test_a_search_without_transients_is_one_that_took_place():
    found = search(LATEST, transport=recorded(RECORDED))
    assert found == Searched((), (), "circle")


def test_a_contour_that_became_a_circle_is_told():
    found = search(IN_A_CONTOUR, transport=recorded(RECORDED))
    assert isinstance(found, Searched)
    assert found.region == "circle"


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_not_searched_with_its_reason(fault):
    dec, said = FAULTS[fault]
    found = search(Request(WEEK, (77.43, dec, 1.2)), transport=recorded(RECORDED))
    assert isinstance(found, NotSearched)
    assert said in found.reason


def test_a_missing_record_is_not_searched():
    found = search(Request(WEEK, (1.0, 2.0, 3.0)), transport=recorded(RECORDED))
    assert isinstance(found, NotSearched)
    assert "no recorded answer" in found.reason


def test_without_a_network_nothing_is_claimed(no_network, monkeypatch):
    monkeypatch.setenv(UID, "somebody")
    found = search(IN_A_CIRCLE)
    assert isinstance(found, NotSearched)
    assert "no answer from https://astro-colibri.science" in found.reason
    assert "somebody" not in found.reason


def test_without_a_user_nobody_is_asked(no_network, monkeypatch):
    monkeypatch.delenv(UID, raising=False)
    assert search(IN_A_CIRCLE) == NotSearched(f"{UID} is not set; the service asks for the number of a user")


@pytest.mark.real_data
def test_an_answer_says_not_searched_and_never_none(mirror, no_network, monkeypatch):
    monkeypatch.setenv(UID, "somebody")
    found = counterparts(known_alert("IC170922A"), catalogues=("3fhl",), transport=over_network)
    assert found.transients.state.startswith("not searched: no answer from")
    assert found.transients.words() == found.transients.state


@pytest.mark.real_data
@pytest.mark.slow
def test_the_section_runs_with_sockets_blocked(mirror, no_network, call, monkeypatch, tmp_path):
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path))
    monkeypatch.setenv(UID, "somebody")
    code, out, _ = call("realtime", "counterparts", "IC170922A", "--json")
    assert (code, json.loads(out)["transients"]["state"][:12]) == (0, "not searched")
    where = ("--ra", "267.61", "--dec", "13.78", "--time", "2010-09-25T21:30:08.6", "--box", "1,.8,.5,.6")
    code, out, _ = call("realtime", "followup", *where, "--trials", 1000, "--bursts", 200, "--json")
    document = json.loads(out)
    assert code == 0
    assert [one["length_s"] for one in document["windows"]] == [1000.0, 172800.0]
    assert document["text"].startswith("DRAFT\n")
    code, _, err = call("realtime", "followup", "IC110610A")
    assert (code, "use a sample with exact times" in err) == (2, True)
    code, _, err = call("realtime", "followup", "--ra", "3", "--json")
    assert (code, "--dec is missing" in err) == (2, True)


if __name__ == "__main__":  # writes the records anew
    BODIES = {
        IN_A_CIRCLE: (200, {
            "voevents": [{"trigger_id": "MADEUP1", "source_name": "made-up flare 1", "type": "nu_track", "ra": 77.4,
                          "dec": 5.7, "time": "2017-09-22T20:54:30Z"}],
            "sources": [{"name": "made-up blazar", "class": "bll", "ra": 77.36, "dec": 5.69}],
            "search_region": "circle",
        }),
        IN_A_CONTOUR: (200, {"voevents": [], "sources": [], "search_region": "circle"}),
        LATEST: (200, {"voevents": []}),
        **{
            Request(WEEK, (77.43, dec, 1.2)): (int(code), "") for code, (dec, _) in FAULTS.items() if code.isdigit()
        },
        Request(WEEK, (77.43, 16.0, 1.2)): (200, {"error": "quota service is down"}),
        Request(WEEK, (77.43, 17.0, 1.2)): (200, "<html>busy</html>"),
        Request(WEEK, (77.43, 18.0, 1.2)): (200, {"answer": []}),
    }  # fmt: skip
    for request, (status, body) in BODIES.items():
        document = {"made_up": True, "path": request.path, "request": request.body(), "status": status, "body": body}
        (RECORDED / f"{request.key}.json").write_text(json.dumps(document, indent=1) + "\n")
