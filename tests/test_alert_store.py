"""The store of alerts, the release entry and the replay: nothing lost, nothing doubled, wherever it is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from small_alerts import REAL, SIMULATED, many

import nuanalysis
from nuanalysis.alerts import Alert, AlertStore, notice_json, notice_of, read_message, voevent
from nuanalysis.errors import DataError, InputError, StepMissing, StoreLocked
from nuanalysis.publish.alerts import write_entry
from nuanalysis.realtime import replay as replay_room
from nuanalysis.realtime.replay import replayed
from nuanalysis.realtime.signalness import signalness
from nuanalysis.store import locked

Call = Callable[..., tuple[int, str, str]]
MAP = "https://example.org/map.fits"
NOW = REAL.time + 10.0


def sent(alert: Alert, *, later: float = 1e-3) -> bytes:
    return notice_json(notice_of(alert, sent=alert.time + later, map_url=MAP if alert.revision else ""))


def tree(folder: Path) -> dict[str, str]:
    """sha256 of every file but locks."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def store(tmp_path: Path) -> AlertStore:
    return AlertStore(tmp_path / "store")


# ---- what becomes of a message ---------------------------------------------------------------------------------------


def test_a_message_is_kept_with_its_exact_bytes_and_once(store: AlertStore) -> None:
    data = b"\n" + sent(REAL)  # a byte that no model holds
    first, second = (store.take(data, now=NOW) for _ in range(2))
    assert (first.outcome, second.outcome) == ("stored", "duplicate")
    (found,) = store.revisions(first.event)
    assert (found.data, found.sha256) == (data, sha256(data).hexdigest())
    assert found.alert is not None
    assert list(store.events()) == [("IceCube", "130033_50579430")]
    assert store.take(voevent(REAL, sent=REAL.time), now=NOW).outcome == "conflict"  # the same revision in other words


def test_what_is_known_beyond_the_message_is_kept_too(store: AlertStore) -> None:
    store.append(read_message(sent(REAL)), alert=REAL, inputs=(("table", "0" * 64),))
    (found,) = store.revisions(("IceCube", "130033_50579430"))
    assert (found.alert, found.inputs) == (REAL, (("table", "0" * 64),))


def test_malformed_future_and_foreign_messages_are_refused_and_kept_aside(store: AlertStore) -> None:
    assert "no JSON" in store.take(b"{", now=NOW).reason
    early = store.take(sent(REAL), now=REAL.time - 1.0)
    assert (early.outcome, "in the future" in early.reason) == ("refused", True)
    store.take(b"{", now=NOW)
    assert list(store.events()) == []
    assert sorted(path.read_bytes() for path in store.refused()) == sorted([b"{", sent(REAL)])
    assert all(path.with_suffix(".txt").read_text().strip() for path in store.refused())
    assert store.take(sent(REAL), now=NOW).outcome == "stored"


def test_two_messages_with_one_key_conflict_and_the_first_stands(store: AlertStore) -> None:
    one, other = sent(REAL), sent(replace(REAL, p_astro=0.2))
    assert store.take(one, now=NOW).outcome == "stored"
    assert store.take(other, now=NOW).outcome == "conflict"
    assert store.take(other, now=NOW).outcome == "duplicate"
    event = read_message(one).event
    assert store.standing(event).latest.data == one
    assert [bool(revision.conflicts_with) for revision in store.revisions(event)] == [False, True]


def test_a_retraction_first_then_the_alert_then_a_later_revision(store: AlertStore) -> None:
    retraction = sent(replace(REAL, revision=1, retracted="a muon"))
    first = store.take(retraction, now=NOW)
    assert first.remarks == ("the first that is heard of this event is its retraction",)
    assert store.standing(first.event).retracted
    late = store.take(sent(REAL), now=NOW)
    assert set(late.remarks) == {"a later revision came before this one", "the event was retracted already"}
    standing = store.standing(first.event)
    assert (standing.retracted, standing.latest.revision, standing.reason) == (True, 0, "a notice of retraction")
    store.take(sent(replace(REAL, revision=2)), now=NOW)
    assert not store.standing(first.event).retracted
    assert store.standing(first.event).revisions == 3
    with pytest.raises(InputError, match="nothing was heard of"):
        store.standing(("IceCube", "1_1"))


def test_a_retraction_without_numbers_retracts_too(store: AlertStore) -> None:
    bare = {k: v for k, v in json.loads(sent(REAL)).items() if k not in ("nu_energy", "p_astro", "far")}
    store.take(sent(REAL), now=NOW)
    store.take(json.dumps({**bare, "record_number": 1, "alert_type": "retraction"}).encode(), now=NOW)
    standing = store.standing(("IceCube", "130033_50579430"))
    assert (standing.retracted, standing.latest.revision, standing.reason) == (True, 0, "a notice of retraction")


def test_any_order_of_arrival_gives_the_same_standing(tmp_path: Path) -> None:
    data = [sent(replace(REAL, revision=n)) for n in range(3)] + [sent(replace(REAL, revision=1, retracted="x"))]
    said = set()
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)):
        store = AlertStore(tmp_path / str(order[0]))
        for k in order:
            store.take(data[k], now=NOW)
        one = store.standing(read_message(data[0]).event)
        said.add((one.latest.sha256, one.retracted, one.revisions))
    assert len(said) == 1


def test_identifiers_that_look_alike_have_folders_of_their_own(store: AlertStore) -> None:
    sister = {
        "$schema": "https://gcn.nasa.gov/schema/main/gcn/notices/km3net/alert.schema.json", "mission": "KM3NeT",
        "instrument": "ARCA021", "messenger": "Neutrino", "pipeline": "arca", "record_number": 0,
        "event_name": "../../KM3", "alert_datetime": "2017-09-23T00:00:00Z", "alert_type": "initial",
        "alert_tense": "current", "alert_topology": "Track", "trigger_time": "2017-09-22T00:00:00Z", "ra": 1, "dec": 2,
    }  # fmt: skip
    for identifier in ("a/b", "a b", "../a", "a" * 200):
        assert store.take(json.dumps({**sister, "id": identifier}).encode(), now=NOW).outcome == "stored"
    assert sorted(event[1] for event in store.events()) == sorted(["a/b", "a b", "../a", "a" * 200])
    entry = write_entry(store, store.path.parent / "alerts")
    assert entry.alerts == 4
    made = {path.name for path in store.path.parent.iterdir() if not path.name.startswith(".")}
    assert made == {"alerts", "store"}
    assert len(list((store.path.parent / "alerts" / "notices").iterdir())) == 4


def test_a_damaged_file_and_another_writer_are_told(store: AlertStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.take(sent(REAL), now=NOW)
    monkeypatch.setattr("nuanalysis.alerts._store._PATIENCE_S", 0.05)
    with locked(store.path / "alerts", 1.0), pytest.raises(StoreLocked):
        store.take(sent(replace(REAL, revision=1)), now=NOW)
    (path,) = (store.path / "events").rglob("*.json")
    whole = path.read_text()
    for spoilt in (whole.replace("0.631", "0.632"), whole.replace("nuanalysis-alert/1", "x"), whole[:100], "[]"):
        path.write_text(spoilt)
        with pytest.raises(DataError, match=r"alert .*json"):
            store.standings()


STREAM = """
import gc, os, sys
from dataclasses import replace
from pathlib import Path
import psutil
from small_alerts import SIMULATED
from nuanalysis.realtime.sources import ReplaySource
from nuanalysis.realtime.watch import watch

os.fsync = lambda handle: None  # memory is measured, not what a power cut would leave

class Step:
    name = "cheap"
    def due(self, case): return case.now
    def make(self, case): return case.latest.sha256

def stream():
    for k in range(1000):
        yield from ReplaySource([replace(SIMULATED, name=f"SIM-{k}", event_id=1 + k, time=58000.0 + k)])
        if k == 99:
            yield None  # an entry, with all that it imports
        if k in (199, 999):
            gc.collect()
            print(psutil.Process().memory_info().rss)

found = watch(stream(), Path(sys.argv[1]), (Step(),))
print(psutil.Process().memory_info().rss)
assert (found.stored, found.done, found.entries) == (1000, 1000, 1000), found
"""


@pytest.mark.slow
def test_a_watch_of_a_thousand_alerts_leaves_memory_flat(tmp_path: Path) -> None:
    """Resident memory of a process of its own: what pytest keeps is not ours."""
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(nuanalysis.__file__).parents[1])])
    arguments = [sys.executable, "-c", STREAM, str(tmp_path)]
    done = subprocess.run(
        arguments, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=300, check=True
    )
    early, late, end = map(int, done.stdout.split())
    print(f"RSS {early / 1e6:.1f} MB after 200 alerts, {late / 1e6:.1f} after 1,000, {end / 1e6:.1f} after their entry")
    assert late - early < 1_000_000  # measured: 0.0 to 0.3 MB; 800 alerts with their messages are 8 MB
    assert end - early < 40_000_000  # the entry of a release holds all of them for a moment


# ---- the entry of a release ------------------------------------------------------------------------------------------


def test_the_entry_holds_tables_revisions_and_the_exact_notices(store: AlertStore, tmp_path: Path) -> None:
    import pyarrow.parquet as pq
    from astropy.table import Table

    kept = [REAL, replace(many(1)[0], doubt="a veto"), replace(REAL, revision=1)]
    for alert in kept:
        store.append(read_message(sent(alert)), alert=alert)
    store.take(sent(replace(many(1)[0], revision=1, retracted="a muon")), now=NOW)
    (store.path / "maps").mkdir()
    (store.path / "maps" / "IC170922A.fits.gz").write_bytes(b"map")
    entry = write_entry(store, tmp_path / "alerts", release="test-DR0.1")
    assert (entry.alerts, entry.revisions, entry.retracted) == (2, 4, 1)
    ecsv, parquet = (
        Table.read(tmp_path / "alerts/alerts.ecsv", fill_values=None),
        pq.read_table(tmp_path / "alerts/alerts.parquet"),
    )
    votable = Table.read(tmp_path / "alerts/alerts.vot")
    for column in ("name", "ra", "p_astro", "retracted", "reason", "doubt", "radius_definition", "revision"):
        assert list(ecsv[column]) == parquet[column].to_pylist() == list(votable[column])
    assert list(ecsv["retracted"]) == [True, False]
    assert list(ecsv["reason"]) == ["a notice of retraction", ""]
    assert ecsv["ra_minus"].unit == "deg"
    assert ecsv.meta["RELEASE"] == "test-DR0.1"
    lines = [json.loads(line) for line in (tmp_path / "alerts/revisions.jsonl").read_text().splitlines()]
    for line in lines:
        assert sha256((tmp_path / "alerts" / line["notice"]).read_bytes()).hexdigest() == line["sha256"]
    assert (tmp_path / "alerts/maps/IC170922A.fits.gz").read_bytes() == b"map"
    sums = (tmp_path / "alerts/MANIFEST.sha256").read_text().splitlines()
    assert len(sums) == len(tree(tmp_path / "alerts")) - 1


def test_changes_say_what_moved_by_how_much(store: AlertStore, tmp_path: Path) -> None:
    store.append(read_message(sent(REAL)), alert=REAL)
    write_entry(store, tmp_path / "before")
    shifted = replace(REAL.region, declination=REAL.region.declination + np.radians(0.5))
    moved = replace(REAL, revision=1, region=shifted)
    for alert in (moved, many(1)[0], replace(many(1)[0], revision=1, retracted="x")):
        store.append(read_message(sent(alert)), alert=alert)
    write_entry(store, tmp_path / "after", since=tmp_path / "before")
    text = (tmp_path / "after/CHANGES.md").read_text()
    sigma = 0.5 * 2.146 / np.degrees(REAL.region.radius or 1.0)
    assert f"- IC170922A: moved by 0.50 deg, {sigma:.1f} sigma" in text
    assert "New alerts: 1 (IC100000A)" in text
    assert "Retracted: 1\n- IC100000A" in text
    with pytest.raises(InputError, match="is the folder to be written"):
        write_entry(store, tmp_path / "after", since=tmp_path / "after")
    with pytest.raises(DataError, match="is no list of revisions"):
        write_entry(store, tmp_path / "after", since=tmp_path)


def test_real_and_synthetic_alerts_do_not_share_an_entry(store: AlertStore, tmp_path: Path) -> None:
    with pytest.raises(StepMissing, match="no alerts in"):
        write_entry(store, tmp_path / "alerts")
    store.take(sent(SIMULATED), now=NOW)
    write_entry(store, tmp_path / "alerts")
    assert (tmp_path / "alerts/alerts-synthetic.ecsv").is_file()
    store.take(sent(REAL), now=NOW)
    with pytest.raises(InputError, match="holds real and synthetic alerts"):
        write_entry(store, tmp_path / "alerts")


# ---- the replay ------------------------------------------------------------------------------------------------------


class Steps:
    """Counts what changes the disk, and kills this process at one of these moments."""

    def __init__(self, kill_at: int) -> None:
        self.left = kill_at

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            self.one()
            found = function(*arguments, **keywords)
            self.one()
            return found

        return call

    def one(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def killed(alerts: list[Alert], folder: Path, at: int) -> bool:
    """Replay in a child that is killed at its step ``at``; whether it was, or had fewer."""
    child = os.fork()
    if child == 0:
        steps = Steps(at)
        for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "rename"), (Path, "write_bytes"), (Path, "mkdir")):
            setattr(owner, name, steps.counted(getattr(owner, name)))
        try:
            replayed(alerts, folder, sample="made up")
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_killed_at_any_step_and_called_again_the_bytes_are_the_same(tmp_path: Path) -> None:
    alerts = many(4)
    assert replayed(alerts, tmp_path / "whole", sample="made up").stored == 4
    whole, moments = tree(tmp_path / "whole"), 0
    for at in range(1, 400, 3):
        folder = tmp_path / f"killed-{at}"
        if not killed(alerts, folder, at):
            break
        moments += 1
        if at % 2:  # and once more, elsewhere
            killed(alerts, folder, at // 2 + 1)
        found = replayed(alerts, folder, sample="made up")
        assert found.refused == 0
        assert tree(folder) == whole, at
    assert moments >= 15
    again = replayed(alerts, tmp_path / "whole", sample="made up")
    assert (again.stored, again.kept) == (0, 4)
    assert tree(tmp_path / "whole") == whole


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("something reached for the network")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


@pytest.mark.real_data
@pytest.mark.usefixtures("no_sockets")
def test_the_catalogue_replayed_twice_without_a_network(
    mirror: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    code, out, _ = call("realtime", "replay", "--output", tmp_path / "one", "--json")
    found = json.loads(out)
    assert code == 0
    counts = ("alerts", "sound", "stored", "refused", "gold", "bronze", "doubtful", "entries", "revisions")
    assert [found[key] for key in counts] == [348, 348, 348, 0, 126, 222, 8, 348, 348]
    assert round(found["p_astro_sum"], 2) == 156.13
    steps = {"notice", "check", "store", "counterparts", "circular", "entry (all)"}
    assert {step["step"] for step in found["latencies"]} == steps
    assert (found["reports"], found["no_sources"]) == (348, "")
    reports = sorted(path.name for path in (tmp_path / "one/alerts/followup").iterdir())
    assert [sum(name.endswith(end) for name in reports) for end in ("-counterparts.json", "-draft.txt")] == [348, 348]
    report = json.loads((tmp_path / "one/alerts/followup/IC170922A-counterparts.json").read_text())
    assert [one["name"] for one in report["catalogues"][0]["matches"]] == ["4FGL J0509.4+0542"]
    draft = (tmp_path / "one/alerts/followup/IC170922A-circular-draft.txt").read_text()
    assert "4fgl-dr2: 1 in the 90 % region" in draft
    again = json.loads(call("realtime", "replay", "--output", tmp_path / "one", "--json")[1])
    assert (again["stored"], again["kept"], again["digest"]) == (0, 348, found["digest"])
    lines = (tmp_path / "one/alerts/revisions.jsonl").read_text().splitlines()
    times = [json.loads(line)["time"] for line in lines]
    assert times == sorted(times)


@pytest.mark.real_data
def test_a_replay_without_lists_of_sources_says_so_and_drafts_all_the_same(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> NoReturn:
        raise DataError("no source_catalogues here")

    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    monkeypatch.setattr(replay_room, "open_catalogues", missing)
    monkeypatch.setattr(replay_room, "alerts_of", lambda rows: many(2))
    half = tmp_path / "store/followup/.IC-circular-draft.txt.00bdcacf4925.partial"
    half.parent.mkdir(parents=True)
    half.write_text("what a killed replay left")
    found = replay_room.replay(tmp_path)
    assert (found.reports, found.no_sources) == (2, "no source_catalogues here")
    assert not half.exists()
    names = sorted(path.name for path in (tmp_path / "alerts/followup").iterdir())
    assert [name.endswith("-circular-draft.txt") for name in names] == [True, True]
    assert "not searched" in (tmp_path / "alerts/followup" / names[0]).read_text()


# ---- the command line ------------------------------------------------------------------------------------------------


@pytest.mark.real_data
@pytest.mark.usefixtures("no_sockets")
def test_signalness_is_asked_by_method(mirror: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    asked = ("realtime", "signalness", "--ra", 77.43, "--dec", 5.72, "--energy", 290)
    found = json.loads(call(*asked, "--json")[1])
    assert found["method"] == "table"
    assert found["p_astro"]["value"] == pytest.approx(0.66, abs=0.01)
    softer = json.loads(call(*asked, "--spectrum-index", 2.5, "--method", "area", "--json")[1])
    assert softer["p_astro"]["value"] < found["p_astro"]["value"]
    cascade = json.loads(call(*asked, "--method", "cascade", "--json")[1])
    assert cascade["p_astro"]["value"] > 0.9
    code, out, _ = call("realtime", "signalness", "--dec", 60, "--energy", 290, "--json")
    assert (code, "too few alerts" in json.loads(out)["error"]["message"]) == (2, True)
    assert call(*asked, "--method", "tables")[0] == 2
    assert "Did you mean 'table'" in call(*asked, "--method", "tables")[2]
    with pytest.raises(InputError, match=r"(?s)dec is 99.*ra is 400.*flux of its release only"):
        signalness(99.0, 100.0, method="cascade", index=2.0, ra_deg=400.0)


def test_a_notice_is_checked_from_a_file(tmp_path: Path, call: Call) -> None:
    path = tmp_path / "notice.json"
    path.write_bytes(sent(REAL))
    code, out, _ = call("realtime", "notice", "check", path, "--json")
    assert (code, json.loads(out)["name"], json.loads(out)["origin"]) == (0, "IC170922A", "real")
    assert "no fault found" in call("realtime", "notice", "check", path)[1]
    path.write_bytes(sent(REAL).replace(b'"ra": 77', b'"ra": 477'))
    code, _, err = call("realtime", "notice", "check", path)
    assert (code, "'ra': Input should be less than 360 (found 477.43)" in err) == (2, True)
    assert call("realtime", "notice", "check", tmp_path / "none")[0] == 2
    path.write_bytes(voevent(SIMULATED, sent=SIMULATED.time))
    assert json.loads(call("realtime", "notice", "check", path, "--json")[1])["origin"] == "synthetic"
    assert "replay" in call("realtime", "--help")[1]


def test_there_is_no_producer() -> None:
    """Nothing in the package can send: no producer is imported or made anywhere."""
    source = Path(nuanalysis.__file__).parent
    assert [path for path in source.rglob("*.py") if "Producer" in path.read_text(encoding="utf-8")] == []
