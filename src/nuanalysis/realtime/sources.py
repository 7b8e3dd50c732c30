"""Where alerts come from: a folder, the catalogue replayed, simulated events, or the streams of GCN.

A source is anything that gives ``Heard``.  What was heard is confirmed after it was stored, never before: a source that
is killed in between says it again, and the store knows that it is the same.  There is nothing here that sends.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from nuanalysis.alerts import Alert, AlertStore, Receipt, notice_json, notice_of, read_message
from nuanalysis.errors import EnvironmentFault, InputError
from nuanalysis.store import unlinked

SIMULATED_EVENT = "simulated event"  # name of an input: the words that make the event again
LARGEST = 8 << 20  # bytes of a file that is looked at; larger ones are no notices
ENDINGS = (".json", ".xml")
TOPICS = (
    "gcn.notices.icecube.gold_bronze_track_alerts",
    "gcn.classic.voevent.ICECUBE_CASCADE",
    "gcn.classic.voevent.ICECUBE_ASTROTRACK_GOLD",
    "gcn.classic.voevent.ICECUBE_ASTROTRACK_BRONZE",
)
HEARTBEAT, SILENCE_S = "gcn.heartbeat", 60.0


@dataclass(frozen=True, slots=True)
class Heard:
    """A message as it came.

    place : where the source keeps it, for logs.  alert : what is known beyond the message, by a source that makes its
    own events.  inputs : names of what it was made from.  confirm : to be called once the message is stored.
    since : the clock when the event was there, ``time.monotonic``.
    """

    data: bytes
    place: str
    alert: Alert | None = None
    inputs: tuple[tuple[str, str], ...] = ()
    confirm: Callable[[], None] = field(default=lambda: None)
    since: float = field(default_factory=time.monotonic)

    def into(self, store: AlertStore, now: float) -> Receipt:
        """Keep it in a store; now : MJD UTC."""
        if self.alert is None:
            return store.take(self.data, now=now)
        return store.append(read_message(self.data, self.place), alert=self.alert, inputs=self.inputs)


class AlertSource(Protocol):
    """Gives what is new, None where there is nothing now, and returns when it ended; asked again it goes on."""

    def __iter__(self) -> Iterator[Heard | None]: ...


@dataclass(frozen=True, slots=True)
class FolderSource:
    """Notices that lie in a folder as .json and .xml files, in order of their names; links are refused.

    Every round gives all of them: the store knows which it has.
    """

    folder: Path

    def __iter__(self) -> Iterator[Heard]:
        if not self.folder.is_dir():
            raise InputError(f"{self.folder} is no folder of notices")
        for path in sorted(self.folder.iterdir()):
            if path.suffix in ENDINGS and not path.name.startswith("."):
                yield Heard(_bounded(unlinked(self.folder, path)), path.name)


def _bounded(path: Path) -> bytes:
    """The bytes of a file, one more than a notice may have at most, so that it is refused for its length."""
    with path.open("rb") as file:
        return file.read(LARGEST + 1)


@dataclass(frozen=True, slots=True)
class ReplaySource:
    """Alerts in the order of their times, as archival notices, with their gaps divided by a speed.

    speed : 0 for no waiting at all.  wait : sleeps for so many seconds.
    """

    alerts: Sequence[Alert]
    speed: float = 0.0
    wait: Callable[[float], None] = time.sleep

    def __iter__(self) -> Iterator[Heard]:
        before = None
        for alert in sorted(self.alerts, key=lambda one: one.time):
            if self.speed and before is not None:
                self.wait(86_400.0 * (alert.time - before) / self.speed)
            before = alert.time
            yield Heard(notice_json(notice_of(alert, sent=alert.time)), alert.name, alert)


@dataclass(frozen=True, slots=True)
class KafkaSource:
    """The streams of GCN, read with the extra ``kafka``; credentials stand in GCN_CLIENT_ID and GCN_CLIENT_SECRET.

    group : name of the reader, the same after a restart, so that the broker goes on where it was confirmed.
    consumer : makes a consumer from settings and credentials; given by tests.
    A client whose credentials expired hears nothing and says nothing, so the heartbeat of GCN is read too: after a
    minute without one the connection is made anew.
    """

    group: str = "nuanalysis"
    topics: tuple[str, ...] = TOPICS
    consumer: Callable[[dict[str, Any]], Any] | None = None
    clock: Callable[[], float] = time.monotonic

    def __iter__(self) -> Iterator[Heard | None]:
        """Messages as they come, None where a second brought none; connects anew where nothing at all was heard for a
        minute.

        The heartbeat comes every second, so a silent stream is one with heartbeats only.
        """
        reader, last = self._connected(), self.clock()
        try:
            while True:
                found = reader.consume(num_messages=50, timeout=1.0)
                if found:
                    last = self.clock()
                elif self.clock() - last > SILENCE_S:
                    reader.close()
                    reader, last = self._connected(), self.clock()
                yield from tuple(self._heard(reader, found)) or (None,)
        finally:
            reader.close()

    def _heard(self, reader: Any, messages: Sequence[Any]) -> Iterator[Heard]:
        for message in messages:
            if message.error():
                continue
            if message.topic() == HEARTBEAT:
                reader.commit(message=message, asynchronous=True)
            else:
                place = f"{message.topic()} {message.offset()}"
                yield Heard(message.value(), place, confirm=_confirmation(reader, message))

    def _connected(self) -> Any:
        settings = {"group.id": self.group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
        reader = (self.consumer or _gcn_consumer)(settings)
        reader.subscribe([*self.topics, HEARTBEAT])
        return reader


def _confirmation(reader: Any, message: Any) -> Callable[[], None]:
    return lambda: reader.commit(message=message, asynchronous=False)


def _gcn_consumer(settings: dict[str, Any]) -> Any:
    """A consumer of GCN.  Raises EnvironmentFault without the library or the credentials."""
    names = ("GCN_CLIENT_ID", "GCN_CLIENT_SECRET")
    try:
        from gcn_kafka import Consumer
    except ImportError as missing:
        raise EnvironmentFault("reading GCN needs gcn-kafka: pip install 'nuanalysis[kafka]'") from missing
    if lacking := [name for name in names if not os.environ.get(name)]:
        raise EnvironmentFault(f"{' and '.join(lacking)} not set; make credentials at gcn.nasa.gov/quickstart")
    identity, secret = (os.environ[name] for name in names)
    return Consumer(config=settings, client_id=identity, client_secret=secret)
