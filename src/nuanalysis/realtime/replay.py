"""The catalogue of alerts through the whole chain: alert, notice, checked, stored, release entry."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from nuanalysis.alerts import Alert, AlertStore, Receipt, alerts_of, notice_json, notice_of, read_message
from nuanalysis.answers.counterparts import open_catalogues
from nuanalysis.errors import DataError, InputError
from nuanalysis.ingest import find, icecat1
from nuanalysis.publish.alerts import write_entry
from nuanalysis.realtime.latencies import Latency, latency
from nuanalysis.realtime.steps import Counterparts, Draft
from nuanalysis.realtime.watch import Case, Step
from nuanalysis.records import Record, shown
from nuanalysis.store import refuse_folder, sha256_file, sweep

T = TypeVar("T")
STORE, ENTRY = "store", "alerts"  # folders below that of a replay


class ReplayAnswer(Record):
    """What a replay did."""

    sample: str = shown("catalogue")
    alerts: int = shown("alerts")
    sound: int = shown("notices that are sound")
    stored: int = shown("stored now")
    kept: int = shown("there from an earlier call")
    refused: int = shown("refused")
    gold: int = shown("Gold")
    bronze: int = shown("Bronze")
    reports: int = shown("reports: known sources and the draft of a circular")
    no_sources: str = shown("why no known sources were searched for")
    doubtful: int = shown("may be taken back (vetoed)")
    p_astro_sum: float = shown("sum of p_astro", form=".2f")
    entries: int = shown("alerts in the release entry")
    revisions: int = shown("messages in the release entry")
    digest: str = shown("sha256 of its list of sums")
    entry: str = shown("release entry")
    latencies: tuple[Latency, ...] = shown("time of each step")


class _Clock:
    """Seconds of each stage, as they pass."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    def __call__(self, stage: str, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        try:
            return work()
        finally:
            self.seconds.setdefault(stage, []).append(time.perf_counter() - began)

    def latencies(self) -> tuple[Latency, ...]:
        return tuple(latency(stage, seconds) for stage, seconds in self.seconds.items())


def replay(folder: Path) -> ReplayAnswer:
    """Bring the 348 alerts of ICECAT-1 in the order of their times through the chain, into a folder.

    Called again it goes on where it was killed; the folder then holds the same bytes as one that was never killed.
    The notices are archival and dated as their events: when they were sent is not in the catalogue.  Each alert has its
    known sources (without network) and the draft of a circular; where the lists of sources are not here, the draft
    alone.  Raises DataError where the catalogue is not here, StoreLocked where another replay writes there.
    """
    refuse_folder(folder)
    release = find(icecat1.RELEASE)
    alerts = alerts_of(icecat1.read_events(release))
    source = (f"{icecat1.RELEASE.name}/{icecat1.TABLE}", _digest(release))
    steps, lacking = _steps()
    return replayed(alerts, folder, sample=icecat1.RELEASE.title, inputs=(source,), steps=steps, no_sources=lacking)


def _steps() -> tuple[tuple[Step, ...], str]:
    """What is done with each alert once it is stored, and why that is not all of it ('' where it is)."""
    try:
        return (Counterparts(opened=open_catalogues()), Draft()), ""
    except DataError as lacking:
        return (Draft(),), str(lacking)


def _digest(release: Path) -> str:
    """Of the table as it lies there, which may be gzipped."""
    found = (release / name for name in (icecat1.TABLE, f"{icecat1.TABLE}.gz"))
    return sha256_file(next((path for path in found if path.is_file()), release / icecat1.TABLE))


def replayed(
    alerts: Sequence[Alert], folder: Path, *, sample: str, inputs: Iterable[tuple[str, str]] = (),
    steps: Sequence[Step] = (), no_sources: str = "",
) -> ReplayAnswer:  # fmt: skip
    """Bring alerts, in their order, through the chain, and do the steps for each: see ``replay``.

    The steps are done again in a further call, to the same bytes.
    """
    sweep(folder)
    clock, store = _Clock(), AlertStore(folder / STORE)
    known = tuple(inputs)
    receipts = [_through(alert, store, known, clock) for alert in alerts]
    for receipt in receipts if steps else ():
        if receipt:
            _reported(receipt, store, folder, steps, clock)
    entry = clock("entry (all)", lambda: write_entry(store, folder / ENTRY))
    outcomes = Counter(receipt.outcome for receipt in receipts if receipt)
    return ReplayAnswer(
        sample=sample,
        alerts=len(alerts),
        sound=sum(outcomes.values()),
        stored=outcomes["stored"],
        kept=outcomes["duplicate"],
        refused=len(alerts) - outcomes["stored"] - outcomes["duplicate"],
        gold=sum(alert.tier == "gold" for alert in alerts),
        bronze=sum(alert.tier == "bronze" for alert in alerts),
        reports=sum(outcomes.values()) if steps else 0,
        no_sources=no_sources,
        doubtful=sum(bool(alert.doubt) for alert in alerts),
        p_astro_sum=sum(alert.p_astro for alert in alerts),
        entries=entry.alerts,
        revisions=entry.revisions,
        digest=entry.digest,
        entry=str(entry.folder),
        latencies=clock.latencies(),
    )


def _through(alert: Alert, store: AlertStore, inputs: tuple[tuple[str, str], ...], clock: _Clock) -> Receipt | None:
    """One alert through the chain up to the store; None where its notice is refused."""
    try:
        data = clock("notice", lambda: notice_json(notice_of(alert, sent=alert.time)))
        message = clock("check", lambda: read_message(data, f"the notice of {alert.name}"))
    except InputError:
        return None
    return clock("store", lambda: store.append(message, alert=alert, inputs=inputs))


def _reported(receipt: Receipt, store: AlertStore, folder: Path, steps: Sequence[Step], clock: _Clock) -> None:
    revisions = tuple(store.revisions(receipt.event))
    case = Case(revisions, folder, revisions[-1].time)
    for step in steps:
        clock(step.name, functools.partial(step.make, case))
