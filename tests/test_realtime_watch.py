"""A watch: sources, steps that may be killed anywhere, waiting, failures, and what it leaves."""

from __future__ import annotations

import errno
import functools
import json
import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from nuanalysis.alerts import Alert, AlertStore, Region, circular, notice_json, notice_of
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import DataError, EnvironmentFault, InputError, StoreLocked
from nuanalysis.plot import alert_list_figure
from nuanalysis.realtime import sources, watch
from nuanalysis.realtime.sources import FolderSource, Heard, KafkaSource, ReplaySource
from nuanalysis.realtime.steps import Draft, chosen
from nuanalysis.realtime.streams import event_words, source_of
from nuanalysis.realtime.watch import ATTEMPTS, Case, Impossible
from nuanalysis.store import atomic_write, locked

NOW = 60400.0


def alert(k: int, time: float = 60310.0, **more: object) -> Alert:
    values = {
        "name": f"SIM-1-{k}", "run": 1, "event_id": k + 1, "time": time + k, "stream": "test", "tier": "cascade",
        "topology": "shower", "energy_tev": 120.0, "energy_kind": "deposited", "p_astro": 0.9, "far_per_yr": 1.0,
        "method": "test", "region": Region(1.0, 0.1, radius=0.1), "tense": "test", "origin": "synthetic",
    }  # fmt: skip
    return Alert(**{**values, **more})  # type: ignore[arg-type]


def many(n: int) -> ReplaySource:
    return ReplaySource([alert(k) for k in range(n)])


@dataclass
class Write:
    """A step that writes a product, and counts how often it was done."""

    name: str = "write"
    wait_d: float = 0.0
    made: list[str] = field(default_factory=list)

    def due(self, case: Case) -> float | None:
        return case.latest.time + self.wait_d

    def make(self, case: Case) -> str:
        self.made.append(case.latest.name)
        path = case.store.path / "followup" / f"{case.slug}.txt"
        path.parent.mkdir(exist_ok=True, parents=True)
        atomic_write(path, f"{case.latest.name} {case.latest.sha256}\n".encode())
        return "written"


@dataclass
class Fail(Write):
    name: str = "fail"
    error: Exception = field(default_factory=lambda: InputError("not today"))

    def make(self, case: Case) -> str:
        self.made.append(case.latest.name)
        raise self.error


def content(folder: Path) -> dict[str, bytes]:
    """What a watch has left but for the records of steps, which hold times."""
    kept = [path for path in folder.rglob("*") if path.is_file() and "steps" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept if path.suffix != ".lock"}


def run(source: object, folder: Path, *steps: object, now: float = NOW) -> watch.WatchAnswer:
    return watch.watch(source, folder, steps, now=lambda: now)  # type: ignore[arg-type]


def test_every_alert_is_stored_worked_on_and_entered_once(tmp_path):
    step = Write()
    first = run(many(5), tmp_path, step)
    assert (first.heard, first.stored, first.done, first.entries) == (5, 5, 5, 5)
    before = content(tmp_path)
    again = run(many(5), tmp_path, step)
    assert (again.stored, again.known, again.done, again.entries) == (0, 5, 0, 5)
    assert len(step.made) == 5
    assert content(tmp_path) == before


class Killed(BaseException):
    """Ends a watch as a kill does: nothing in the package catches it."""


WRITES = ("replace", "rename", "write_bytes", "write_text")
MOMENTS = 14  # writes and renames in a watch of two alerts: of the store, products, records, and the entry


def dying(monkeypatch: pytest.MonkeyPatch, moment: float) -> list[str]:
    """From the ``moment``-th write or rename on, none is done; the names of those that were begun."""
    begun: list[str] = []

    def deadly(name: str) -> object:
        whole = getattr(Path, name)

        def call(path: Path, *arguments: object, **keywords: object) -> object:
            begun.append(f"{name} {path.name}")
            if len(begun) >= moment:
                raise Killed
            return whole(path, *arguments, **keywords)

        return call

    for name in WRITES:
        monkeypatch.setattr(Path, name, deadly(name))
    return begun


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A watch of two alerts that nobody killed."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as monkeypatch:
        begun = dying(monkeypatch, float("inf"))
        run(many(2), folder, Write())
    assert len(begun) == MOMENTS, begun
    return folder


@pytest.mark.parametrize("moment", range(1, MOMENTS + 1))
def test_killed_at_any_write_and_called_again_leaves_the_same(tmp_path, monkeypatch, moment, undisturbed):
    begun = dying(monkeypatch, moment)
    with pytest.raises(Killed):
        run(many(2), tmp_path, Write())
    assert len(begun) >= moment  # the release entry is begun on the way out, and dies too
    monkeypatch.undo()
    run(many(2), tmp_path, Write())
    assert content(tmp_path) == content(undisturbed)


def test_a_half_written_product_of_a_killed_watch_is_swept_away(tmp_path, undisturbed):
    run(many(2), tmp_path, Write())
    half = tmp_path / "store" / "followup" / ".IC-circular-draft.txt.00bdcacf4925.partial"
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_text("half of a dra")
    run(many(2), tmp_path, Write())
    assert not half.exists()
    assert content(tmp_path) == content(undisturbed)


# ---- a full disk --------------------------------------------------------------------------------------------------


def filling(monkeypatch: pytest.MonkeyPatch, moment: int) -> list[int]:
    """The ``moment``-th file that is to be safe on disk is cut in half, for want of room; the sizes of all."""
    sizes: list[int] = []

    def full(handle: int) -> None:
        sizes.append(os.fstat(handle).st_size)
        if len(sizes) == moment:
            os.ftruncate(handle, sizes[-1] // 2)
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    return sizes


def confirming(n: int, confirmed: list[str]) -> list[Heard]:
    found = [next(iter(ReplaySource([alert(k)]))) for k in range(n)]
    return [replace(one, confirm=functools.partial(confirmed.append, one.place)) for one in found]


@pytest.mark.parametrize("moment", [1, 2, 3, 4, 5, 6])
def test_a_full_disk_loses_and_doubles_nothing(tmp_path, monkeypatch, moment, undisturbed):
    """Of two alerts, each with three files: its message, a product, and the record of the step."""
    confirmed: list[str] = []
    sizes = filling(monkeypatch, moment)
    if moment in (2, 5):  # a step that fails for it is told and tried again, as for any other reason
        assert run(confirming(2, confirmed), tmp_path, Write()).failed == 1
    else:
        with pytest.raises(EnvironmentFault, match=r"cannot write .*No space left.*make room"):
            run(confirming(2, confirmed), tmp_path, Write())
    assert len(sizes) >= moment
    assert len(confirmed) == {1: 0, 2: 2, 3: 1, 4: 1, 5: 2, 6: 2}[moment]
    stored = [one.latest.name for one in AlertStore(tmp_path / "store").standings()]  # reads and checks every file
    assert len(stored) == len(confirmed)
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".partial")]
    monkeypatch.undo()
    again = run(confirming(2, confirmed), tmp_path, Write())
    assert (again.stored, again.known, again.failed) == (2 - len(stored), len(stored), 0)
    assert content(tmp_path) == content(undisturbed)


@pytest.mark.parametrize("name", ["write_bytes", "write_text"])
def test_a_disk_that_is_full_at_the_entry_leaves_the_older_one(tmp_path, monkeypatch, name, undisturbed):
    run(many(1), tmp_path, Write())
    before = content(tmp_path / watch.ENTRY)

    def full(path: Path, *_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, name, full)
    with pytest.raises(EnvironmentFault, match=r"cannot write .*alerts.*No space left"):
        run(many(2), tmp_path, Write())
    assert content(tmp_path / watch.ENTRY) == before
    monkeypatch.undo()
    run(many(2), tmp_path, Write())
    assert content(tmp_path) == content(undisturbed)


def test_a_failing_step_is_tried_again_and_holds_up_nothing(tmp_path):
    fails, writes = Fail(), Write()
    found = run(many(2), tmp_path, fails, writes)
    assert (found.failed, found.done) == (2, 2)
    for _ in range(ATTEMPTS + 2):
        run(many(2), tmp_path, fails, writes)
    assert fails.made.count("SIM-1-0") == ATTEMPTS
    record = json.loads((tmp_path / "steps" / "SIM-1-0" / "fail.json").read_text())
    assert record["state"] == "failed"
    assert record["said"] == "not today"


def test_what_is_impossible_is_said_and_not_tried_again(tmp_path):
    step = Fail(error=Impossible("no light was kept"))
    assert run(many(1), tmp_path, step).not_possible == 1
    assert run(many(1), tmp_path, step).not_possible == 0
    assert len(step.made) == 1


def test_a_fault_of_ours_that_nobody_foresaw_is_not_swallowed(tmp_path):
    with pytest.raises(ZeroDivisionError):
        run(many(1), tmp_path, Fail(error=ZeroDivisionError()))


def test_a_step_waits_for_its_moment(tmp_path):
    late = Write(wait_d=1.0)
    assert run(many(1), tmp_path, late, now=60310.5).waiting == 1
    assert not late.made
    found = run(many(0), tmp_path, late, now=60311.5)
    assert (found.done, found.waiting) == (1, 0)


def test_what_waited_is_done_while_a_source_has_nothing(tmp_path):
    late, clock = Write(wait_d=1.0), iter((60310.5, 60310.5, *[60311.5] * 9))

    def source():
        yield from many(1)
        yield None

    watch.watch(source(), tmp_path, (late,), now=lambda: next(clock))
    assert late.made == ["SIM-1-0"]


def entered(folder: Path) -> int:
    """Alerts in the release entry as it lies there; 0 without one."""
    path = folder / watch.ENTRY / "revisions.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_source_that_never_ends_has_its_entry_whenever_it_is_silent(tmp_path):
    class Enough(BaseException):
        pass

    def endless():
        for k in range(3):
            yield from ReplaySource([alert(k)])
            assert entered(tmp_path) == k  # not with each message, which may come by the thousand
            yield None
            assert entered(tmp_path) == k + 1
            before = (tmp_path / watch.ENTRY).stat().st_ino
            yield None
            assert (tmp_path / watch.ENTRY).stat().st_ino == before  # nothing new, nothing written
        yield from ReplaySource([alert(3)])
        raise Enough

    with pytest.raises(Enough):
        run(endless(), tmp_path, Write())
    assert entered(tmp_path) == 4
    assert len(list((tmp_path / watch.ENTRY / "followup").iterdir())) == 4


def test_a_watch_that_was_killed_gives_its_entry_at_the_first_silence(tmp_path):
    run(many(2), tmp_path, Write())
    shutil.rmtree(tmp_path / watch.ENTRY)

    def silent():
        yield None
        assert entered(tmp_path) == 2

    run(silent(), tmp_path, Write())


def test_an_entry_that_cannot_be_written_is_said_tried_again_after_a_minute_and_ends_nothing(tmp_path, monkeypatch):
    lines: list[str] = []
    tries, clock = 0, iter([60400.0 + 20.0 * k / 86_400.0 for k in range(1000)])

    def full(*_: object, **__: object) -> watch.Entry:
        nonlocal tries
        tries += 1
        raise OSError(errno.ENOSPC, "No space left on device")

    def source():
        yield from many(1)
        yield from [None] * 12
        assert 2 <= tries <= 8
        monkeypatch.undo()
        yield from [None] * 4
        assert entered(tmp_path) == 1

    monkeypatch.setattr(watch, "write_entry", full)
    watch.watch(source(), tmp_path, (Write(),), now=lambda: next(clock), said=lines.append)
    assert "No space left" in next(line for line in lines if line.startswith("release entry: failed"))


def test_two_watches_do_not_share_a_folder(tmp_path):
    tmp_path.mkdir(exist_ok=True)
    with locked(tmp_path / "watch", 1.0), pytest.raises(StoreLocked):
        run(many(1), tmp_path)


def test_a_message_is_confirmed_after_it_was_stored_and_never_before(tmp_path):
    order = []
    data = notice_json(notice_of(alert(0), sent=60310.0))

    class Source:
        def __iter__(self):
            store = AlertStore(tmp_path / "store")
            yield Heard(data, "here", confirm=lambda: order.append(len(tuple(store.events()))))

    run(Source(), tmp_path)
    assert order == [1]


def test_a_folder_gives_its_notices_and_keeps_aside_what_is_none(tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for k in range(3):
        (inbox / f"{k}.json").write_bytes(notice_json(notice_of(alert(k), sent=60320.0)))
    shutil.copy(inbox / "0.json", inbox / "again.json")
    (inbox / "bad.json").write_text("{")
    (inbox / "long.xml").write_bytes(b"<" + b"x" * (sources.LARGEST + 10))
    (inbox / "notes.txt").write_text("not looked at")
    found = run(FolderSource(inbox), tmp_path / "out")
    assert (found.heard, found.stored, found.known, found.refused) == (6, 3, 1, 2)


def test_a_link_in_a_folder_is_refused(tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "a.json").symlink_to("/etc/hostname")
    with pytest.raises(Exception, match="link"):
        run(FolderSource(inbox), tmp_path / "out")


def test_a_replay_waits_as_long_as_its_speed_says():
    waited: list[float] = []
    list(ReplaySource([alert(0), alert(2), alert(1)], 86_400.0, waited.append))
    assert waited == pytest.approx([1.0, 1.0])


# ---- the streams of GCN, with a consumer that is none ------------------------------------------------------------


@dataclass
class Message:
    said: str
    data: bytes = b"{}"
    fault: object = None
    number: int = 0

    def topic(self) -> str:
        return self.said

    def value(self) -> bytes:
        return self.data

    def offset(self) -> int:
        return self.number

    def error(self) -> object:
        return self.fault


class Broker:
    """Gives batches in turn, then nothing."""

    def __init__(self, *batches: list[Message]) -> None:
        self.batches, self.committed, self.closed, self.settings = list(batches), [], 0, {}

    def __call__(self, settings: dict) -> Broker:
        self.settings = settings
        return self

    def subscribe(self, topics: list[str]) -> None:
        self.topics = topics

    def consume(self, num_messages: int, timeout: float) -> list[Message]:
        return self.batches.pop(0) if self.batches else []

    def commit(self, message: Message, asynchronous: bool) -> None:
        self.committed.append((message.said, asynchronous))

    def close(self) -> None:
        self.closed += 1


def test_gcn_is_read_without_committing_before_it_is_stored():
    broker = Broker([Message(sources.HEARTBEAT), Message("gcn.x", number=7), Message("gcn.x", fault="expired")])
    stream = iter(KafkaSource(consumer=broker, clock=lambda: 0.0))
    heard = next(stream)
    assert heard is not None
    assert heard.place == "gcn.x 7"
    assert broker.settings == {"group.id": "nuanalysis", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    assert [topic for topic, _ in broker.committed] == [sources.HEARTBEAT]
    heard.confirm()
    assert broker.committed[-1] == ("gcn.x", False)
    assert next(stream) is None


def test_heartbeats_alone_are_silence():
    """The broker sends one every second: waiting steps and the release entry have their turn all the same."""
    broker = Broker(*[[Message(sources.HEARTBEAT)] for _ in range(3)])
    stream = iter(KafkaSource(consumer=broker, clock=lambda: 0.0))
    assert [next(stream) for _ in range(3)] == [None] * 3
    assert len(broker.committed) == 3


def test_a_connection_that_is_silent_for_a_minute_is_made_anew():
    broker, clock = Broker(), iter((0.0, 30.0, 61.0, 61.0, 62.0))
    stream = iter(KafkaSource(consumer=broker, clock=lambda: next(clock)))
    assert next(stream) is None
    assert next(stream) is None
    assert broker.closed == 1


def test_gcn_without_credentials_or_library_is_refused_in_words(monkeypatch):
    monkeypatch.delenv("GCN_CLIENT_ID", raising=False)
    with pytest.raises(EnvironmentFault, match=r"kafka|GCN_CLIENT_ID"):
        next(iter(KafkaSource()))


def test_there_is_no_producer_in_the_package():
    root = Path(sources.__file__).parents[1]
    assert not [path for path in root.rglob("*.py") if "Producer(" in path.read_text()]


# ---- steps and words ----------------------------------------------------------------------------------------------


def test_a_draft_of_a_synthetic_alert_says_so(tmp_path):
    run(many(1), tmp_path, Draft())
    text = (tmp_path / "store" / "followup" / "SIM-1-0-circular-draft.txt").read_text()
    assert "SIMULATED" in text
    assert "not searched" in text


def test_a_draft_says_how_much_lies_near_the_plane_once_there_is_a_map():
    line = "within 5 deg of the plane, by the map of the scan: 0.37"
    assert line in circular(alert(0, near_plane=0.368))
    assert "of the plane" not in circular(alert(0))
    with pytest.raises(DataError, match=r"near_plane is 1\.5; expected 0 to 1"):
        alert(0, near_plane=1.5)


def test_steps_are_chosen_by_name():
    assert [step.name for step in chosen((Write(), Draft()), "circular")] == ["circular"]  # type: ignore[arg-type]
    with pytest.raises(InputError, match="circular"):
        chosen((Draft(),), "cirular")


@pytest.mark.parametrize("words", ["simulated:0", "simulated:many", "nosuchfolder", "replays"])
def test_words_that_name_no_source_are_refused(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        source_of(words, Bench(tmp_path))


def test_events_of_a_simulated_stream_follow_from_seed_and_place():
    words = [event_words(seed, k) for seed in (1, 2) for k in range(3)]
    assert len(set(words)) == 6
    assert event_words(1, 2) == words[2]
    energies = [float(word.partition("energy=")[2]) for word in (event_words(1, k) for k in range(200))]
    assert 100.0 <= min(energies) < 110.0
    assert 900.0 < max(energies) <= 1000.0


def test_the_figure_of_a_list_counts_its_tiers_and_says_what_is_synthetic():
    drawn = alert_list_figure([alert(k) for k in range(4)], sample="a stream", origin="synthetic")
    assert "4 alerts of a stream (4 cascade)" in drawn.sidecar.alt
    assert "SYNTHETIC" in drawn.figure.get_suptitle()
