"""From a message to its entry in a release: what is done with every alert, step by step, and kept.

A step is done once its record lies in the folder; it is written after its products, so a watch that is killed anywhere
does the step that was broken off again, to the same bytes, and no other.  A step that fails is tried again, at most
``ATTEMPTS`` times, and never holds up another alert.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from nuanalysis.alerts import AlertStore, Revision, mjd_of
from nuanalysis.errors import DataError, NuanalysisError
from nuanalysis.publish.alerts import Entry, write_entry
from nuanalysis.realtime.latencies import Latency, latency
from nuanalysis.realtime.sources import AlertSource, Heard
from nuanalysis.records import Record, shown
from nuanalysis.store import atomic_write, locked, read_json, sweep

ATTEMPTS = 3
STORE, STEPS, ENTRY = "store", "steps", "alerts"  # folders of a watch
_PATIENCE_S = 1.0
_AGAIN_D = 60.0 / 86_400.0  # a release entry that could not be written is tried again
State = Literal["done", "not possible", "failed"]


def now_mjd() -> float:
    """The time of this machine, MJD UTC."""
    return mjd_of(datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Case:
    """An event at a moment.

    revisions : all that is known of it, in order.  folder : of the watch.  now : MJD UTC.
    """

    revisions: tuple[Revision, ...]
    folder: Path
    now: float

    @property
    def latest(self) -> Revision:
        """The revision that stands last."""
        return self.revisions[-1]

    @property
    def store(self) -> AlertStore:
        """Where the revisions are kept."""
        return AlertStore(self.folder / STORE)

    @property
    def slug(self) -> str:
        """Name of the event, fit for a file."""
        return self.latest.name.replace("/", "-")


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a step.

    said : what it found in one line, or why it was not possible or failed.  seconds : it took.
    since_heard_s : from the moment its event was heard in this call; None where it was heard in an earlier one.
    """

    state: State
    said: str
    seconds: float
    since_heard_s: float | None = None
    attempts: int = 1


class Impossible(NuanalysisError):
    """A step cannot be done for this event, now or later; the message says why."""


class Step(Protocol):
    """Something to be done with every event."""

    @property
    def name(self) -> str:
        """Of its record."""
        ...

    def due(self, case: Case) -> float | None:
        """The moment from which it can be done, MJD UTC; None where it has no place in this event."""
        ...

    def make(self, case: Case) -> str:
        """Do it, write its products whole, and say in one line what was found.

        Done again it must write the same.  Raises Impossible, or any error of ours where it failed.
        """
        ...


class WatchAnswer(Record):
    """What a watch did in one call."""

    heard: int = shown("messages heard")
    stored: int = shown("stored")
    known: int = shown("known before")
    refused: int = shown("refused, kept aside with the reason")
    done: int = shown("steps done")
    not_possible: int = shown("steps that are not possible")
    failed: int = shown("steps that failed; tried again when called again, three times in all")
    waiting: int = shown("steps whose time has not come")
    entries: int = shown("events in the release entry")
    latencies: tuple[Latency, ...] = shown("from hearing to done")
    entry: str = shown("release entry")


@dataclass(slots=True)
class _Tally:
    """Counts of one call.

    wake : when the first of the steps that wait is due, MJD.  enter : from when the release entry, which is behind the
    store, is to be written, MJD; infinite where it is not behind.  entry : the last that was written.
    """

    receipts: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    since: dict[str, list[float]] = field(default_factory=dict)
    wake: float = math.inf
    enter: float = -math.inf  # a watch that was killed may have left an older one
    entry: Entry | None = None


def watch(
    source: AlertSource,
    folder: Path,
    steps: Sequence[Step],
    *,
    now: Callable[[], float] = now_mjd,
    stop: Callable[[], bool] = lambda: False,
    said: Callable[[str], None] = lambda line: None,
) -> WatchAnswer:
    """Take what a source gives, and do every step for every event, until the source ends or is to stop.

    What was not done in earlier calls is done first.  The release entry is written whenever the source has nothing more
    for the moment, and at the end, whatever ends it: a stream need never end.
    ``said`` is told a line for each message and step.  Raises StoreLocked where another watch has the folder.
    """
    with locked(folder / "watch", _PATIENCE_S):
        sweep(folder)
        store, tally = AlertStore(folder / STORE), _Tally()
        try:
            _listen(source, store, folder, steps, now, stop, tally, said)
        except BaseException:
            _enter(store, folder, now(), tally, said)  # a fault here must not hide what ended the watch
            raise
        if tally.enter < math.inf and any(store.events()):
            tally.entry = write_entry(store, folder / ENTRY)
        entries = tally.entry
        waiting = sum(1 for _ in _waiting(store, folder, steps, now()))
    return WatchAnswer(
        heard=sum(tally.receipts.values()),
        stored=tally.receipts["stored"] + tally.receipts["conflict"],
        known=tally.receipts["duplicate"],
        refused=tally.receipts["refused"],
        done=tally.steps["done"],
        not_possible=tally.steps["not possible"],
        failed=tally.steps["failed"],
        waiting=waiting,
        entries=entries.alerts if entries else 0,
        latencies=tuple(latency(name, seconds) for name, seconds in tally.since.items()),
        entry=str(entries.folder) if entries else "none: nothing was heard",
    )


def _listen(
    source: AlertSource, store: AlertStore, folder: Path, steps: Sequence[Step], now: Callable[[], float],
    stop: Callable[[], bool], tally: _Tally, said: Callable[[str], None],
) -> None:  # fmt: skip
    """Do what is left of earlier calls, then take what comes."""
    for event in store.events():
        _work(store, event, folder, steps, now(), None, tally, said)
    for heard in source:
        if stop():
            break
        if heard is not None:
            _take(heard, store, folder, steps, now, tally, said)
            continue
        if now() >= tally.wake:
            tally.wake = math.inf
            for event in store.events():
                _work(store, event, folder, steps, now(), None, tally, said)
        if now() >= tally.enter:
            _enter(store, folder, now(), tally, said)


def _enter(store: AlertStore, folder: Path, now: float, tally: _Tally, said: Callable[[str], None]) -> None:
    """Write the release entry where it is behind; where that fails, say so and try again later."""
    if tally.enter == math.inf:
        return
    try:
        if any(store.events()):
            tally.entry = write_entry(store, folder / ENTRY)
        tally.enter = math.inf
    except (NuanalysisError, OSError) as fault:
        tally.enter = now + _AGAIN_D
        said(f"release entry: failed: {fault}")


def _take(
    heard: Heard, store: AlertStore, folder: Path, steps: Sequence[Step], now: Callable[[], float], tally: _Tally,
    said: Callable[[str], None],
) -> None:  # fmt: skip
    """Store a message, confirm it to its source, and do the steps of its event."""
    began = heard.since
    receipt = heard.into(store, now())
    heard.confirm()
    tally.receipts[receipt.outcome] += 1
    said(f"{heard.place}: {receipt.outcome}{': ' + receipt.reason if receipt.reason else ''}")
    if receipt.outcome in ("stored", "conflict"):
        tally.enter = -math.inf
        tally.since.setdefault("stored", []).append(time.monotonic() - began)
    if receipt.outcome != "refused":
        _work(store, receipt.event, folder, steps, now(), began, tally, said)


def _work(
    store: AlertStore, event: tuple[str, str], folder: Path, steps: Sequence[Step], now: float, began: float | None,
    tally: _Tally, said: Callable[[str], None],
) -> None:  # fmt: skip
    """Do what is to be done for an event, each step with what those before it left."""
    for step in steps:
        case = Case(tuple(store.revisions(event)), folder, now)
        before, due = done_of(case, step), step.due(case)
        if due is None or (before and (before.state != "failed" or before.attempts >= ATTEMPTS)):
            continue
        if now < due:
            tally.wake = min(tally.wake, due)
            continue
        done = _made(step, case, began, before.attempts if before else 0)
        atomic_write(_record(case, step), (json.dumps(asdict(done), indent=1) + "\n").encode())
        tally.steps[done.state] += 1
        tally.enter = -math.inf  # of its products
        if done.state == "done" and done.since_heard_s is not None:
            tally.since.setdefault(step.name, []).append(done.since_heard_s)
        said(f"{case.latest.name} {step.name}: {done.state}: {done.said}")


def _made(step: Step, case: Case, began: float | None, attempts: int) -> Done:
    start, state = time.monotonic(), "done"
    try:
        words = step.make(case)
    except Impossible as reason:
        state, words = "not possible", str(reason)
    except NuanalysisError as fault:
        state, words = "failed", str(fault)
    end = time.monotonic()
    since = None if began is None else end - began
    return Done(state, words, end - start, since, attempts + 1)  # type: ignore[arg-type]


def _record(case: Case, step: Step) -> Path:
    return case.folder / STEPS / case.slug / f"{step.name}.json"


def done_of(case: Case, step: Step) -> Done | None:
    """The record of a step, None where it was never tried.  Raises DataError for a damaged one."""
    path = _record(case, step)
    if not path.exists():
        return None
    document = read_json(path, "the record of a step", "delete it: the step is done again", error=DataError)
    try:
        return Done(**document)
    except TypeError as fault:
        raise DataError(f"{path} is no record of a step: {fault}; delete it: the step is done again") from fault


def _waiting(store: AlertStore, folder: Path, steps: Sequence[Step], now: float) -> Iterator[tuple[Case, Step]]:
    for event in store.events():
        case = Case(tuple(store.revisions(event)), folder, now)
        for step in steps:
            due = step.due(case)
            if due is not None and now < due and done_of(case, step) is None:
                yield case, step
