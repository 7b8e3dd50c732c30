"""``nuanalysis data check``, against a server of HTTP that answers as the registry of DOIs does."""

from __future__ import annotations

import json
import socket
from dataclasses import replace

import pytest
from small_server import Server

from nuanalysis import ingest
from nuanalysis.errors import DownloadError
from nuanalysis.ingest import Patience, registered
from nuanalysis.ingest._download import agent

HERE = replace(ingest.release("tracks-dr2"), version="3.1")
AT_ONCE = Patience(attempts=2, pause_s=0.0, timeout_s=5.0)
PATH = "/dois/10.7910%2FDVN%2FMMIIZA"


@pytest.fixture
def server():
    with Server() as serving:
        yield serving


def entry(**attributes: object) -> bytes:
    return json.dumps({"data": {"id": "10.7910/dvn/mmiiza", "type": "dois", "attributes": attributes}}).encode()


def asked(server, release=HERE, **attributes: object):
    server.content[PATH] = entry(**attributes)
    return registered(release, server.url, AT_ONCE)


@pytest.mark.parametrize(
    ("ours", "there", "related", "status"),
    [
        ("3.1", "3.1", [], "current"),
        ("3.1", "4.0", [], "newer"),
        ("3.1", None, [], "no version"),
        ("", "3.1", [], "no version"),
        ("3.1", "3.1", ["IsPreviousVersionOf"], "newer"),
        ("", None, ["IsObsoletedBy"], "newer"),
        ("3.1", "3.1", ["IsNewVersionOf", "IsSupplementTo"], "current"),
    ],
)
def test_status_follows_version_and_relations(server, ours, there, related, status):
    named = [{"relationType": kind, "relatedIdentifier": "10.1/other"} for kind in related]
    found = asked(server, replace(HERE, version=ours), version=there, relatedIdentifiers=named, updated="2026-10-05")
    assert found.status == status
    assert found.there == (there or "")
    assert ("replaced by 10.1/other" in found.words()) == (status == "newer" and bool(related))
    assert server.agents == [agent()]


def test_entry_without_relations_is_read(server):
    assert asked(server, version="3.1", relatedIdentifiers=None).replaced_by == ()


def test_unknown_doi_and_no_doi_are_answers(server):
    assert registered(HERE, server.url, AT_ONCE).status == "not registered"
    assert registered(replace(HERE, doi=""), server.url, AT_ONCE).status == "no DOI"
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"<html>", b'{"data": {"attributes": 3}}'])
def test_what_is_no_entry_is_said(server, body):
    server.content[PATH] = body
    with pytest.raises(DownloadError, match="call again later"):
        registered(HERE, server.url, AT_ONCE)


def test_busy_registry_is_asked_again(server):
    server.script = ["503"]
    assert asked(server, version="3.1").status == "current"
    server.script = ["503", "503"]
    with pytest.raises(DownloadError, match="cannot be asked: the server answers 503"):
        registered(HERE, server.url, AT_ONCE)


def test_without_network_it_says_what_to_do():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(DownloadError, match="Check the network"):
            registered(HERE, nobody, AT_ONCE)


def test_verb_lists_what_is_newer(server, call, monkeypatch):
    monkeypatch.setattr(registered, "__defaults__", (server.url, AT_ONCE))
    server.content[PATH] = entry(version="4.0")
    code, out, _ = call("data", "check", "tracks-dr2", "tracks-dr1", "--json")
    document = json.loads(out)
    assert (code, document["newer"]) == (0, ["tracks-dr2"])
    assert [one["status"] for one in document["releases"]] == ["newer", "not registered"]
    assert "Newer: tracks-dr2." in call("data", "check", "tracks-dr2")[1]


def test_errors_that_were_calibrated_for_another_spectrum_are_named(server, call, monkeypatch):
    monkeypatch.setattr(registered, "__defaults__", (server.url, AT_ONCE))
    said = call("data", "check", "tracks-ic40")[1]  # a season of tracks-dr1
    assert "per-event errors: calibrated on simulated events to cover for a power law E^-2" in said
    assert "per-event errors" not in call("data", "check", "cascades-2023")[1]
