"""The surface of the service of sky scans, asked without a network."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
import stat
import time
from pathlib import Path

import pytest

fastapi = pytest.importorskip("fastapi")
pytest.importorskip("dbos")
pytest.importorskip("httpx")

from analytic_scan import AnalyticScan  # noqa: E402
from small_service import AMPLE, Api, asked  # noqa: E402

from nuanalysis.alerts import Alert, Region  # noqa: E402
from nuanalysis.realtime.service import ScanRequest, make_token  # noqa: E402
from nuanalysis.realtime.service._book import Progressed  # noqa: E402
from nuanalysis.realtime.service._results import write_result  # noqa: E402

ROUTES = {
    "/v1/scans": {"get", "post"},
    "/v1/scans/{scan}": {"get", "delete"},
    "/v1/scans/{scan}/status": {"get"},
    "/v1/scans/{scan}/result": {"get"},
    "/v1/scans/{scan}/result/{name}": {"get"},
    "/v1/scans/{scan}/actions/rescan": {"post"},
    "/v1/scans/{scan}/actions/add-workers": {"post"},
    "/v1/queue": {"get"},
    "/v1/alerts": {"get"},
    "/v1/alerts/{name}": {"get"},
    "/v1/alerts/{name}/revisions/{number}": {"get"},
    "/v1/events": {"get"},
    "/healthz": {"get"},
    "/readyz": {"get"},
    "/metrics": {"get"},
}


@pytest.fixture
def api(tmp_path):
    one = Api(tmp_path / "service")
    yield one
    one.close()


@pytest.fixture
def make(tmp_path):
    made = []

    def make(limits=AMPLE, **more):
        made.append(Api(tmp_path / f"service-{len(made)}", limits, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def is_problem(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return document


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


class _Quiet:
    def stop(self):
        return False

    def workers(self):
        return 1


def finished(api, scan):
    """A scan with a partial and then a final result, as a worker would leave them."""
    book, folder = api.service.book, api.service.scans / scan
    row = book.claim(scan, book.get(scan).submission, 60.0)
    book.runs(scan, row.attempt, 60.0)
    request = ScanRequest.model_validate_json(row.request)
    parts = []
    found = AnalyticScan().run(request, folder, parts.append, _Quiet())
    name = write_result(folder, request, parts[0], final=False)
    book.finds(scan, row.attempt, 60.0, Progressed.of(parts[0], name))
    partial = api("GET", f"/v1/scans/{scan}/result")
    name = write_result(folder, request, found, final=True)
    book.ends(scan, row.attempt, "done", "", Progressed.of(found, name))
    return partial, found


# ---- scans -----------------------------------------------------------------------------------------------------------


def test_the_same_key_is_the_same_scan_and_another_body_is_refused(api):
    first, again = api.post(asked()), api.post(asked())
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["id"] == again.json()["id"]
    assert first.headers["location"] == f"/v1/scans/{first.json()['id']}"
    is_problem(api.post(asked(seed=2)), 409)
    assert api.post(asked(seed=2), key="k2").json()["id"] != first.json()["id"]
    manifest = api("GET", first.headers["location"]).json()
    assert manifest["request"]["event"] == asked()["event"]
    assert manifest["status"]["state"] == "queued"
    assert [step["state"] for step in manifest["steps"]] == ["queued"]


def test_a_hundred_identical_posts_are_one_scan(api):
    headers = {"Idempotency-Key": "same"}
    answers = api.many(*[("POST", "/v1/scans", {"json": asked(), "headers": headers})] * 100)
    assert sorted(answer.status_code for answer in answers) == [200] * 99 + [202]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(api.queue.held) == 1
    assert len(api("GET", "/v1/scans").json()["scans"]) == 1


def test_a_thousand_requests_are_answered(api):
    scan = api.post(asked()).json()["id"]
    paths = [f"/v1/scans/{scan}/status", "/v1/queue", "/v1/scans", "/metrics", "/v1/alerts"] * 200
    answers = api.many(*[("GET", path, {}) for path in paths])
    assert {answer.status_code for answer in answers} == {200}


def test_all_faults_are_named_at_once(api):
    body = asked(max_order=99, sead=1, priority="high", stop={"pixels": 0, "area_tolerance": math.pi})
    del body["real_or_simulated"]
    answer = api("POST", "/v1/scans", json=body)
    faults = {fault["pointer"]: fault["detail"] for fault in is_problem(answer, 422)["faults"]}
    assert set(faults) == {
        "#/max_order",
        "#/sead",
        "#/priority",
        "#/stop/pixels",
        "#/stop/area_tolerance",
        "#/real_or_simulated",
        "Idempotency-Key",
    }
    assert "Did you mean 'seed'?" in faults["#/sead"]
    assert "99" in faults["#/max_order"]
    assert api.queue.held == {}


def test_of_two_ways_to_give_an_event_the_one_that_was_meant_is_criticised(api):
    event = {"run": 1, "event": 2, "mjd": 59000.0, "topology": "shower", "pulse_module": [1, 2], "pulse_time": [0.5]}
    faults = is_problem(api.post(asked() | {"event": event}), 422)["faults"]
    assert [fault["pointer"] for fault in faults] == ["#/event/pulse_charge"]
    event |= {"pulse_charge": [1.0, -2.0, 3.0]}
    [fault] = is_problem(api.post(asked() | {"event": event}), 422)["faults"]
    assert fault["pointer"] == "#/event/pulse_charge/1"
    event["pulse_charge"] = [1.0]
    [fault] = is_problem(api.post(asked() | {"event": event}), 422)["faults"]
    assert "2 modules, 1 times and 1 charges" in fault["detail"]


def test_what_the_runner_cannot_do_is_refused_before_it_waits(api):
    answer = api.post(asked(algorithm="millipede") | {"real_or_simulated": "real"})
    assert len(is_problem(answer, 422)["faults"]) == 2
    assert api.queue.held == {}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 50_000, 400),
        (b"\xff\xfe\x00", 400),
        (b"[]", 422),
        (b"null", 422),
        (b'"text"', 422),
        (json.dumps(asked()).replace('"simulated"', "NaN").encode(), 422),
        (json.dumps(asked(seed=10**400)).encode(), 422),
        (json.dumps(asked(classifiers={f"c{k}": k for k in range(33)})).encode(), 422),
        (json.dumps(asked(classifiers={"c": [1]})).encode(), 422),
        (json.dumps(asked(classifiers={"c": math.inf})).encode(), 422),
        (json.dumps({f"k{k}": k for k in range(5000)}).encode(), 422),
        (b"9" * 5000, 400),
        (b" " * (4 * 2**20 + 1), 413),
    ],
)
def test_hostile_bodies_are_refused(api, body, status):
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    document = is_problem(api("POST", "/v1/scans", content=body, headers=headers), status)
    assert len(json.dumps(document)) < 200_000
    assert api("GET", "/v1/scans").json()["scans"] == []


def test_a_body_without_its_kind_is_refused(api):
    # A form of another site can send text/plain without asking us first.
    headers = {"Content-Type": "text/plain", "Idempotency-Key": "k"}
    is_problem(api("POST", "/v1/scans", content=json.dumps(asked()), headers=headers), 422)


def test_a_stream_without_end_is_cut_off(make):
    api = make(AMPLE.model_copy(update={"body_bytes": 4096}))

    async def endless():
        while True:
            yield b" " * 1000

    headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    is_problem(api("POST", "/v1/scans", content=endless(), headers=headers), 413)


def test_scans_are_listed_in_pages_and_filtered(api):
    for k in range(5):
        api.post(asked(event=k // 2), key=f"k{k}")
    seen, cursor = [], None
    while True:
        page = api("GET", "/v1/scans", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [one["id"] for one in page["scans"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 5
    assert len(api("GET", "/v1/scans", params={"event": 0}).json()["scans"]) == 2
    assert api("GET", "/v1/scans", params={"state": "done"}).json()["scans"] == []
    for wrong in ({"stat": "done"}, {"state": "sleeping"}, {"limit": 0}, {"cursor": "x"}, {"run": -1}):
        is_problem(api("GET", "/v1/scans", params=wrong), 422)


def test_the_queue_is_in_order_of_priority(api):
    for k, priority in enumerate((0, 50, 0, 150)):
        api.post(asked(event=k, priority=priority), key=f"k{k}")
    waiting = api("GET", "/v1/queue").json()["waiting"]
    assert [one["priority"] for one in waiting] == [150, 50, 0, 0]
    assert waiting[2]["since"] <= waiting[3]["since"]


def test_cancelling_twice_is_cancelling_once(api):
    scan = api.post(asked()).json()["id"]
    answers = [api("DELETE", f"/v1/scans/{scan}") for _ in range(3)]
    assert [answer.json()["state"] for answer in answers] == ["cancelled"] * 3
    assert api.queue.held == {}
    assert len(api("GET", f"/v1/scans/{scan}").json()["steps"]) == 2
    is_problem(api("DELETE", f"/v1/scans/{'0' * 32}"), 404)


def test_a_finished_scan_is_marked_and_its_data_stay_until_they_are_purged(make):
    api = make(AMPLE.model_copy(update={"purge_days": 0.0}))
    scan = api.post(asked()).json()["id"]
    finished(api, scan)
    for _ in range(2):
        assert api("DELETE", f"/v1/scans/{scan}").json()["state"] == "done"
    assert api("GET", "/v1/scans").json()["scans"] == []
    assert len(api("GET", "/v1/scans", params={"deleted": True}).json()["scans"]) == 1
    assert api("GET", f"/v1/scans/{scan}/result").status_code == 200
    api.service.reaper.look(fresh_s=60.0)
    assert not (api.service.scans / scan).exists()
    assert "purged" in is_problem(api("GET", f"/v1/scans/{scan}/result"), 404)["detail"]


def test_a_rescan_is_a_new_scan_that_names_the_old_one(api):
    scan = api.post(asked()).json()["id"]
    path, key = f"/v1/scans/{scan}/actions/rescan", {"headers": {"Idempotency-Key": "again"}}
    first, second = api("POST", path, **key), api("POST", path, **key)
    assert (first.status_code, second.status_code) == (202, 200)
    other = api("GET", first.headers["location"]).json()
    assert other["rescan_of"] == scan
    assert other["request"] == api("GET", f"/v1/scans/{scan}").json()["request"]
    is_problem(api("POST", path), 422)


def test_workers_are_added_up_to_the_bound_and_not_to_what_is_over(api):
    scan = api.post(asked()).json()["id"]
    path = f"/v1/scans/{scan}/actions/add-workers"
    assert api("POST", path, json={"add": 2}).json()["workers"] == 3
    assert api("POST", path, json={"add": 64}).json()["workers"] == api.service.limits.workers
    is_problem(api("POST", path, json={"add": 0}), 422)
    is_problem(api("POST", path, json={"add": 1, "ad": 1}), 422)
    api("DELETE", f"/v1/scans/{scan}")
    is_problem(api("POST", path, json={"add": 1}), 409)


def test_results_are_partial_then_final_with_marks_of_their_content(api):
    scan = api.post(asked()).json()["id"]
    is_problem(api("GET", f"/v1/scans/{scan}/result"), 404)
    partial, found = finished(api, scan)
    assert (partial.json()["is_final"], partial.json()["synthetic"]) == (False, True)
    answer = api("GET", f"/v1/scans/{scan}/result")
    assert answer.json()["is_final"] is True
    assert answer.headers["etag"] != partial.headers["etag"]
    mark = {"If-None-Match": answer.headers["etag"]}
    assert api("GET", f"/v1/scans/{scan}/result", headers=mark).status_code == 304
    for part in answer.json()["files"]:
        got = api("GET", part["href"])
        assert got.content == found.files[part["name"]]
        assert hashlib.sha256(got.content).hexdigest() == part["sha256"] == got.headers["etag"].strip('"')
        assert api("GET", part["href"], headers={"If-None-Match": got.headers["etag"]}).status_code == 304
    for name in ("other.fits", "..%2f..%2fworker.log", "result.json"):
        is_problem(api("GET", f"/v1/scans/{scan}/result/{name}"), 404)


def test_a_damaged_result_is_a_problem_of_ours(api):
    scan = api.post(asked()).json()["id"]
    finished(api, scan)
    [path] = (api.service.scans / scan / "results").glob("*final*/result.json")
    path.write_text("{")
    assert "rescan" in is_problem(api("GET", f"/v1/scans/{scan}/result"), 500)["detail"]


# ---- limits and a full disk ------------------------------------------------------------------------------------------


def test_requests_beyond_the_rate_are_told_when_to_come_again(make):
    api = make(AMPLE.model_copy(update={"requests_per_minute": 5}))
    answers = [api("GET", "/v1/queue") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 12
    assert api("GET", "/healthz").status_code == 200


def test_scans_beyond_those_that_may_wait_are_refused_and_repeats_are_not(make):
    api = make(AMPLE.model_copy(update={"queued": 2}))
    codes = [api.post(asked(event=k), key=f"k{k}").status_code for k in (0, 1, 2, 1)]
    assert codes == [202, 202, 429, 200]


def test_more_pixels_than_the_service_allows_are_refused(make):
    api = make(AMPLE.model_copy(update={"leaves": 300}))
    [fault] = is_problem(api.post(asked(stop={"pixels": 301})), 422)["faults"]
    assert fault["pointer"] == "#/stop/pixels"
    assert api.post(asked(stop={"pixels": 300})).status_code == 202


def test_a_full_disk_is_said_and_nothing_is_half_kept(api):
    api.post(asked())
    book = api.service.book
    (pages,) = book._writer.execute("PRAGMA page_count").fetchone()
    book._writer.execute(f"PRAGMA max_page_count={pages}")
    long = asked(classifiers={f"c{k}": "x" * 200 for k in range(32)})
    answers = [api.post(long, key=f"full{k}") for k in range(3)]
    for answer in answers:
        is_problem(answer, 507)
    assert len(api("GET", "/v1/scans").json()["scans"]) == len(api.queue.held) == 1
    assert len(book.steps_after(0, 100)) == 1
    book._writer.execute("PRAGMA max_page_count=100000")
    assert api.post(long, key="full0").status_code == 202


def test_little_free_disk_refuses_new_scans_only(make):
    api = make(AMPLE.model_copy(update={"free_bytes": 2**62}))
    is_problem(api.post(asked()), 507)
    assert api("GET", "/v1/queue").json()["waiting"] == []
    answer = api("GET", "/readyz")
    assert answer.status_code == 503
    assert "make room" in answer.json()["causes"][0]


# ---- who may ---------------------------------------------------------------------------------------------------------


def test_tokens_are_kept_as_digests_that_only_the_owner_reads(tmp_path):
    secret = make_token(tmp_path, "anna", ["read"], 1.0)
    path = tmp_path / "tokens.json"
    assert len(secret) == 43
    assert secret not in path.read_text()
    assert hashlib.sha256(secret.encode()).hexdigest() in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_valid_token_nothing_is_told(make, tmp_path):
    api = make()
    assert api("GET", "/v1/queue").status_code == 200  # loopback, and no token was made
    past = make_token(api.service.folder, "past", ["read"], 1.0, clock=lambda: time.time() - 90_000)
    good = make_token(api.service.folder, "good", ["read"], 1.0)
    assert api("GET", "/v1/queue", headers=bearer(good)).status_code == 200
    for headers in ({}, bearer(past), bearer("x" * 43), bearer(""), {"Authorization": good}, bearer(good + "x")):
        answer = api("GET", "/v1/queue", headers=headers)
        is_problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert {api("GET", path).status_code for path in ("/", "/healthz", "/readyz", "/openapi.json")} == {200}
    is_problem(api("GET", "/metrics"), 401)


def test_scopes_bound_what_a_token_may(make):
    api = make(loopback=False)
    folder = api.service.folder
    scopes = {"reads": ["read"], "asks": ["read", "submit"], "alerts": ["read", "submit", "realtime"]}
    scopes["rules"] = ["read", "submit", "admin"]
    who = {label: bearer(make_token(folder, label, found, 1.0)) for label, found in scopes.items()}
    is_problem(api.post(asked(), headers=who["reads"]), 403)
    scan = api.post(asked(), headers=who["asks"]).json()["id"]
    is_problem(api.post(asked(priority=100), "p", headers=who["asks"]), 403)
    assert api.post(asked(priority=100), "p", headers=who["alerts"]).status_code == 202
    assert api.post(asked(), headers=who["alerts"]).json()["id"] != scan  # keys are of their token
    is_problem(api("DELETE", f"/v1/scans/{scan}", headers=who["alerts"]), 403)
    assert api("GET", f"/v1/scans/{scan}", headers=who["reads"]).json()["submitted_by"] == "asks"
    assert api("DELETE", f"/v1/scans/{scan}", headers=who["rules"]).json()["state"] == "cancelled"


def test_wrong_tokens_are_counted_by_address(make):
    api = make(AMPLE.model_copy(update={"requests_per_minute": 3}), loopback=False)
    codes = [api("GET", "/v1/queue", headers=bearer(f"guess{k}")).status_code for k in range(5)]
    assert codes == [401] * 3 + [429] * 2


def test_a_token_is_nowhere_in_the_log(make, caplog):
    caplog.set_level(logging.DEBUG)
    api = make(loopback=False)
    secret = make_token(api.service.folder, "anna", ["read"], 1.0)
    api("GET", "/v1/queue", headers=bearer(secret))
    is_problem(api("GET", "/v1/queue", headers=bearer(secret), params={"token": secret}), 422)
    is_problem(api("GET", f"/v1/scans/{secret}", headers=bearer(secret)), 422)
    assert "anna" in caplog.text
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("nuanalysis")]
    assert secret not in "\n".join(ours)


def test_a_token_file_that_others_can_write_lets_nobody_in(make):
    api = make(loopback=False)
    secret = make_token(api.service.folder, "anna", ["read"], 1.0)
    path = api.service.folder / "tokens.json"
    path.chmod(0o644)
    time.sleep(0.01)
    path.write_text(path.read_text())
    is_problem(api("GET", "/v1/queue", headers=bearer(secret)), 503)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "localhost.evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, 202),
    ],
)
def test_pages_of_other_sites_cannot_use_a_service_of_this_machine(api, headers, status):
    answer = api.post(asked(), headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


# ---- alerts, events, health, page ------------------------------------------------------------------------------------


def alert(name, revision, **more):
    region = Region(math.radians(77.43), math.radians(5.72), math.radians(0.6 / (revision + 1)))
    values = {"run": 130033, "event_id": 50579430, "time": 58018.87, "stream": "ehe-gold", "tier": "gold"}
    values |= {"topology": "track", "energy_tev": 290.0, "energy_kind": "most probable neutrino energy, E^-2.19"}
    values |= {"p_astro": 0.63, "far_per_yr": 1.2, "method": "table", "tense": "archival", "origin": "real"}
    return Alert(name=name, region=region, revision=revision, **values | more)


class Archive:
    def __init__(self):
        self.kept = {"IC170922A": [alert("IC170922A", 0), alert("IC170922A", 1)], "IC190730A": [alert("IC190730A", 0)]}

    def names(self):
        return list(self.kept)

    def revisions(self, name):
        return self.kept.get(name, [])


def test_alerts_are_shown_with_all_their_revisions(make):
    api = make(alerts=Archive())
    page = api("GET", "/v1/alerts", params={"limit": 1}).json()
    assert [(one["name"], one["revision"], one["revisions"]) for one in page["alerts"]] == [("IC170922A", 1, [0, 1])]
    assert api("GET", "/v1/alerts", params={"cursor": page["next"]}).json()["next"] is None
    first = api("GET", "/v1/alerts/IC170922A/revisions/0").json()
    assert first["right_ascension_deg"] == pytest.approx(77.43)
    assert first["radius_deg"] == pytest.approx(0.6)
    assert api("GET", "/v1/alerts/IC170922A").json()["radius_deg"] == pytest.approx(0.3)
    for path in ("/v1/alerts/IC000000A", "/v1/alerts/IC170922A/revisions/2"):
        is_problem(api("GET", path), 404)


def test_without_an_archive_there_are_no_alerts(api):
    assert api("GET", "/v1/alerts").json() == {"alerts": [], "next": None}
    is_problem(api("GET", "/v1/alerts/IC170922A"), 404)


def test_changes_are_told_as_events_and_again_after_the_last_that_was_seen(api):
    scan = api.post(asked()).json()["id"]
    api("DELETE", f"/v1/scans/{scan}")
    api.post(asked(), key="k2")

    def told(**headers):
        ends = iter([False, False, True])
        api.service.ending = lambda: next(ends)
        text = api("GET", "/v1/events", headers=headers).text
        return [json.loads(one) for one in re.findall(r"^data: (.*)$", text, re.MULTILINE)]

    assert [(one["number"], one["state"]) for one in told(**{"Last-Event-ID": "1"})] == [
        (2, "cancelled"),
        (3, "queued"),
    ]
    assert told() == []
    assert api.service.listeners == 0


def test_listeners_are_bounded(make):
    api = make(AMPLE.model_copy(update={"listeners": 1}))
    api.service.listeners = 1
    is_problem(api("GET", "/v1/events"), 429)


def test_counters_are_in_the_format_of_prometheus(api):
    api.post(asked())
    lines = api("GET", "/metrics").text.splitlines()
    assert 'nuanalysis_scans{state="queued"} 1' in lines
    assert 'nuanalysis_requests_total{method="POST",route="/v1/scans",status="202"} 1' in lines
    number = r"[0-9.e+-]+|\+Inf"
    assert all(re.fullmatch(rf'# (HELP|TYPE) .+|[a-z_]+(\{{([a-z]+="[^"]*",?)+\}})? ({number})', one) for one in lines)


def test_every_route_of_the_design_is_in_the_description(api):
    document = api("GET", "/openapi.json").json()
    assert {path: set(found) for path, found in document["paths"].items()} == ROUTES
    assert set(document["components"]["schemas"]["ScanRequest"]["required"]) == {"event", "real_or_simulated"}
    assert {api("GET", path).status_code for path in ("/docs", "/redoc")} == {404}  # theirs load scripts from outside


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v2", 404), ("PUT", "/v1/scans", 405)])
def test_what_is_not_there_is_a_problem_too(api, method, path, status):
    is_problem(api(method, path), status)


def test_the_page_asks_nobody_else(api):
    page = api("GET", "/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for path in ("/", "/page.js", "/page.css"):
        answer = api("GET", path)
        assert not re.search(r"https?://(?!www\.w3\.org)", answer.text)
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?! src)|style=|\son\w+=", page.text)  # the policy would stop them


def test_a_missing_library_is_answered_with_the_line_that_installs_it(call, tmp_path, monkeypatch):
    import sys

    for name in [name for name in sys.modules if name.startswith("nuanalysis.realtime.service._serve")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, _, err = call("realtime", "serve", "--folder", tmp_path)
    assert code == 4
    assert "pip install 'nuanalysis[service]'" in err


def test_nothing_but_the_service_needs_its_libraries():
    import subprocess
    import sys

    code = "import sys, nuanalysis, nuanalysis.realtime.service, nuanalysis.cli.realtime; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"fastapi", "uvicorn", "dbos", "starlette", "sqlalchemy", "httpx"} & set(found)


def test_an_address_for_others_needs_a_token(call, tmp_path):
    code, _, err = call("realtime", "serve", "--folder", tmp_path, "--host", "0.0.0.0")
    assert code == 2
    assert "nuanalysis realtime token" in err
    assert not Path(tmp_path / "scans.sqlite").exists()


def test_tokens_are_made_listed_and_dropped_on_the_command_line(call, tmp_path):
    code, out, _ = call("realtime", "token", "anna", "--scope", "read", "--folder", tmp_path)
    assert (code, len(out.strip())) == (0, 43)
    assert call("realtime", "token", "--folder", tmp_path)[1].split() == ["anna", "read"]
    code, _, err = call("realtime", "token", "b b", "--scope", "rule", "--days", "0", "--folder", tmp_path)
    assert code == 2
    assert all(word in err for word in ("rule", "b b", "0 days"))
    assert call("realtime", "token", "anna", "--drop", "--folder", tmp_path)[1].strip() == "no tokens"
