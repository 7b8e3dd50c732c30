"""Book, reaper, limits and stand-in of the service: what is true after any order of calls."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import healpy as hp
import numpy as np
import pytest
from analytic_scan import AnalyticScan, centres_of
from small_service import ANALYTIC

from nuanalysis.errors import EnvironmentFault, InputError
from nuanalysis.realtime.service import ScanRequest
from nuanalysis.realtime.service._book import Book, Progressed
from nuanalysis.realtime.service._crew import Crew
from nuanalysis.realtime.service._disks import refuse_network_disk
from nuanalysis.realtime.service._limits import Limits, Rates
from nuanalysis.realtime.service._reaper import Reaper
from nuanalysis.realtime.service._records import FINAL, STATES
from nuanalysis.realtime.service.runner import find_runner

REQUEST = ScanRequest.model_validate(
    {"event": {"run": 1, "event": 2, "collection": "toy"}, "real_or_simulated": "simulated"}
)
FOUND = Progressed(1, 192, 500, "0001-part")


class Clock:
    def __init__(self):
        self.now = 1e9

    def __call__(self):
        self.now += 1e-3
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def book(tmp_path, clock):
    one = Book(tmp_path / "scans.sqlite", clock)
    yield one
    one.close()


def added(book, number=0, **more):
    scan = f"{number:032x}"
    book.add(scan, "me", f"k{number}", REQUEST.model_copy(update=more), most_queued=1000)
    return scan


# ---- the book --------------------------------------------------------------------------------------------------------


def test_within_an_attempt_states_only_go_forward(book):
    scan = added(book)
    row = book.claim(scan, 1, 60.0)
    book.runs(scan, row.attempt, 60.0)
    book.finds(scan, row.attempt, 60.0, FOUND)
    book.again(scan, row.attempt, 60.0, "its worker ended", losses=1)
    book.runs(scan, 2, 60.0)
    book.ends(scan, 2, "done", "", FOUND)
    steps = [(step.attempt, STATES.index(step.state)) for step in book.steps(scan)]
    assert steps == sorted(steps)
    assert [step.state for step in book.steps(scan)] == ["queued", *STATES[1:4], *STATES[1:3], "done"]


@pytest.mark.parametrize("final", FINAL)
def test_what_is_final_does_not_change(book, final):
    scan = added(book)
    row = book.claim(scan, 1, 60.0)
    ended = book.ends(scan, row.attempt, final, "")
    assert book.runs(scan, row.attempt, 60.0) is None
    assert book.finds(scan, row.attempt, 60.0, FOUND) is None
    assert book.waits(scan, row.attempt, "") is None
    assert book.claim(scan, 1, 60.0) is None
    assert book.get(scan) == ended


def test_a_lost_worker_is_not_heard(book):
    scan = added(book)
    first = book.claim(scan, 1, 60.0)
    second = book.again(scan, first.attempt, 60.0, "its worker ended", losses=1)
    assert book.ends(scan, first.attempt, "done", "", FOUND) is None
    assert book.signs(scan, first.attempt, 60.0) is None
    assert book.again(scan, first.attempt, 60.0, "its worker ended", losses=1) is None
    assert book.get(scan) == second


def test_of_many_who_claim_a_scan_one_has_it(book):
    scan, got = added(book), []
    threads = [threading.Thread(target=lambda: got.append(book.claim(scan, 1, 60.0))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(row is not None for row in got) == 1
    assert book.get(scan).attempt == 1


def test_a_transaction_that_fails_leaves_nothing(book):
    scan = added(book)
    before = book.get(scan), book.steps(scan)

    def breaks():
        with book.writing() as one:
            one.execute("UPDATE scans SET state = 'done'")
            one.execute("DELETE FROM steps")
            raise Killed

    with pytest.raises(Killed):
        breaks()
    assert (book.get(scan), book.steps(scan)) == before


def test_what_was_kept_is_there_for_the_next_service(tmp_path, clock):
    first = Book(tmp_path / "b.sqlite", clock)
    scan, working, wished = (added(first, k) for k in range(3))
    for one in (working, wished):
        first.claim(one, 1, 60.0)
    first.cancels(wished)
    second = Book(tmp_path / "b.sqlite", clock)  # the first was killed: it is not closed
    assert second.last == first.last
    assert second.abandoned("the service ended") == 2
    assert [second.get(one).state for one in (scan, working, wished)] == ["queued", "queued", "cancelled"]
    assert second.get(working).cause == "the service ended"
    for one in (first, second):
        one.close()


# ---- the reaper ------------------------------------------------------------------------------------------------------


class Jobs:
    def __init__(self):
        self.held = []

    def submit(self, job, priority):
        self.held.append(job)

    def jobs(self):
        return tuple(self.held)


@pytest.fixture
def reaper(book, tmp_path):
    crew = Crew(book, tmp_path, ANALYTIC, Limits(), lambda name: None)
    return Reaper(book, Jobs(), crew, tmp_path, Limits(), lambda name: None)


def test_a_scan_without_a_job_gets_one_and_only_one(book, reaper):
    scan = added(book)
    reaper.look(fresh_s=0.0)
    reaper.look(fresh_s=0.0)
    assert reaper._queue.held == [f"{scan}.2"]
    assert book.claim(scan, 1, 60.0) is None  # a late job of the first name finds nothing to do
    assert book.claim(scan, 2, 60.0) is not None


def test_a_scan_that_is_on_its_way_into_the_queue_is_left_alone(book, reaper):
    added(book)
    book._clock.now = time.time()
    added(book, 1)
    reaper.look(fresh_s=5.0)
    assert reaper._queue.held == [f"{0:032x}.2"]


def test_a_scan_with_an_expired_lease_and_nobody_at_work_waits_again(book, reaper):
    scan = added(book)
    book.claim(scan, 1, 60.0)  # in 2001, by the clock of this book
    reaper.look(fresh_s=0.0)
    row = book.get(scan)
    assert (row.state, row.submission) == ("queued", 3)
    assert "nobody works on it" in row.cause
    assert reaper._queue.held == [row.job]


# ---- limits, disks, runners ------------------------------------------------------------------------------------------


def test_a_bucket_fills_again():
    now = [0.0]
    rates = Rates(60, lambda: now[0])
    assert [rates.wait("a") for _ in range(60)] == [0.0] * 60
    assert rates.wait("a") == pytest.approx(1.0)
    assert rates.wait("b") == 0.0
    now[0] = 1.0
    assert rates.wait("a") == 0.0
    assert rates.wait("a") == pytest.approx(1.0)
    now[0] = 1e6
    assert [rates.wait("a") for _ in range(61)][-1] > 0


def test_network_disks_are_refused_by_the_mount_that_holds_the_folder(tmp_path):
    mounts = tmp_path / "mountinfo"
    line = "36 35 98:0 / {} rw,noatime shared:1 - {} server:/x rw\n"
    mounts.write_text(line.format("/", "ext4") + line.format("/net", "nfs4") + line.format("/net/local", "xfs"))
    for folder in ("/net/a", "/net"):
        with pytest.raises(EnvironmentFault, match="nfs4"):
            refuse_network_disk(Path(folder), mounts)
    for folder in ("/net/local/a", "/network", "/home"):
        refuse_network_disk(Path(folder), mounts)
    refuse_network_disk(tmp_path, tmp_path / "no such file")


@pytest.mark.parametrize("name", ["", "nuanalysis", "nuanalysis.none:A", "nuanalysis.errors:None_"])
def test_a_runner_that_is_not_there_is_refused(name):
    with pytest.raises(InputError, match="MODULE:CLASS"):
        find_runner(name)


# ---- the stand-in ----------------------------------------------------------------------------------------------------


class Wishes:
    def __init__(self, workers=1):
        self._workers = workers

    def stop(self):
        return False

    def workers(self):
        return self._workers


class Killed(Exception):
    pass


def scanned(folder, workers=1, kill_in=None, **more):
    def report(found):
        if found.round == kill_in:
            raise Killed

    return AnalyticScan().run(REQUEST.model_copy(update=more), folder, report, Wishes(workers))


def test_centres_are_those_of_healpy():
    for order in (0, 1, 3, 6):
        ipix = np.arange(12 * 4**order)
        found = np.array(centres_of(np.full_like(ipix, order), ipix))
        assert found == pytest.approx(np.array(hp.pix2vec(2**order, ipix, nest=True)), abs=1e-14)


def test_a_scan_killed_after_any_round_ends_with_the_same_bytes(tmp_path):
    whole = scanned(tmp_path / "whole", max_order=7)
    assert whole.complete
    for k in range(1, whole.round):
        with pytest.raises(Killed):
            scanned(tmp_path / f"{k}", kill_in=k, max_order=7)
        assert scanned(tmp_path / f"{k}", workers=3, max_order=7) == whole


def test_leaves_cover_the_sky_once_and_areas_are_those_of_circles(tmp_path):
    import json

    found = scanned(tmp_path, max_order=8, classifiers={"width_deg": 3.0})
    leaves = json.loads(found.files["leaves.json"])
    order, ipix = np.array(leaves["order"]), np.array(leaves["ipix"])
    edges = np.sort(np.stack([ipix << 2 * (20 - order), (ipix + 1) << 2 * (20 - order)]), axis=1)
    assert edges[0, 0] == 0
    assert edges[1, -1] == 12 * 4**20
    assert np.array_equal(edges[0, 1:], edges[1, :-1])
    for area, cut in ((found.area_50_deg2, 1.386), (found.area_90_deg2, 4.605)):
        assert area == pytest.approx(np.pi * 9 * cut, rel=0.02)


def test_a_pixel_budget_ends_a_scan_that_is_then_not_complete(tmp_path):
    found = scanned(tmp_path, stop=REQUEST.stop.model_copy(update={"pixels": 300}))
    assert not found.complete
    assert found.pixels_done <= 300
