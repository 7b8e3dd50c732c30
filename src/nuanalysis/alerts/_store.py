"""The alerts of a folder: every revision ever heard, with the exact bytes it came in, appended and never changed.

One file per revision, written whole or not at all and named by what makes two messages the same, so there is no index
that could disagree with it.  Nothing is kept in memory between calls.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from nuanalysis.alerts._messages import RANKS, Form, Key, Message, future, utc_text
from nuanalysis.alerts._reading import read_message
from nuanalysis.alerts._records import Alert
from nuanalysis.errors import DataError, InputError
from nuanalysis.store import atomic_write, locked, read_json, sweep, unlinked

FORMAT = "nuanalysis-alert/1"
MOST_REFUSED = 1000  # messages that are kept though they were refused; more are counted by who calls
_PATIENCE_S = 60.0
Outcome = Literal["stored", "duplicate", "conflict", "refused"]
_ALERT: TypeAdapter[Alert] = TypeAdapter(Alert)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a message.

    outcome : 'stored'; 'duplicate', the same was here; 'conflict', another one with the same key was here and still
        stands, this one is kept beside it; 'refused', with the reason.
    remarks : what is unusual and legal, such as a retraction of an event that was never heard of.
    """

    outcome: Outcome
    sha256: str
    event: tuple[str, str] = ("", "")
    reason: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Revision:
    """One message of the store.

    data : its exact bytes, of that sha256.  alert : what is known of it as an alert, which may be more than the message
    says.  inputs : names and sha256 of what it was made from.  conflicts_with : sha256 of another message with the same
    key that was here first; '' for none.
    """

    mission: str
    id: str
    name: str
    revision: int
    alert_type: str
    tense: str
    sent: float
    time: float
    form: Form
    sha256: str
    data: bytes
    alert: Alert | None
    inputs: tuple[tuple[str, str], ...]
    code: str
    conflicts_with: str = ""

    @property
    def event(self) -> tuple[str, str]:
        return self.mission, self.id

    @property
    def key(self) -> Key:
        return self.mission, self.id, self.revision, self.alert_type

    @property
    def order(self) -> tuple[int, int, bool, float, str]:
        """Place among the revisions of its event."""
        return self.revision, RANKS[self.alert_type], bool(self.conflicts_with), self.sent, self.sha256


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands of an event: its latest revision, and whether it is retracted.

    A retraction takes back every revision up to its own; only a later revision stands again.
    """

    latest: Revision
    revisions: int
    retracted: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AlertStore:
    """The alerts of a folder.  Readers need no lock; each append is one rename under a lock, whoever else appends.

    A process that is killed anywhere leaves the messages it was told of as stored, and no half of another.  POSIX, on a
    local disk.  Raises StoreLocked where another writer does not let go in time, DataError where a file is damaged.
    """

    path: Path

    def append(
        self, message: Message, *, alert: Alert | None = None, inputs: Sequence[tuple[str, str]] = ()
    ) -> Receipt:
        """Keep a message.    alert : instead of what the message says, where more is known."""
        return self._append(message, alert or message.alert, tuple(inputs))

    def take(self, data: bytes, *, now: float) -> Receipt:
        """Read a message and keep it; one that is no good, or comes from the future, is refused, kept aside and told.

        now : MJD UTC.
        """
        digest = hashlib.sha256(data).hexdigest()
        try:
            message = read_message(data)
        except InputError as fault:
            return self._refuse(data, digest, str(fault))
        if late := future(message, now):
            return self._refuse(data, digest, f"{late}; is the clock of this machine right? ({utc_text(now)})")
        return self._append(message, message.alert, ())

    def events(self) -> Iterator[tuple[str, str]]:
        """Mission and identifier of every event, sorted by name of folder."""
        for folder in self._folders():
            if found := next(self._read_all(folder), None):
                yield found.event

    def revisions(self, event: tuple[str, str]) -> list[Revision]:
        """All revisions of an event, in order; empty where nothing was heard of it."""
        return sorted(self._read_all(self._folder(event)), key=lambda one: one.order)

    def standing(self, event: tuple[str, str]) -> Standing:
        """What stands of an event.  Raises InputError where nothing was heard of it."""
        return _standing(event, self.revisions(event))

    def standings(self) -> list[Standing]:
        """What stands of all events, in order of their times."""
        known = ((folder, self._of(folder)) for folder in self._folders())  # a kill or a full disk may leave one empty
        found = [_standing(("", folder.name), revisions) for folder, revisions in known if revisions]
        return sorted(found, key=lambda one: (one.latest.time, one.latest.event))

    def refused(self) -> list[Path]:
        """Files of refused messages; beside each stands why, in a .txt."""
        return sorted((self.path / "refused").glob("*.bin"))

    def _of(self, folder: Path) -> list[Revision]:
        return sorted(self._read_all(folder), key=lambda one: one.order)

    def _folders(self) -> list[Path]:
        return sorted(one for one in (self.path / "events").glob("*") if one.is_dir())

    def _folder(self, event: tuple[str, str]) -> Path:
        return self.path / "events" / _slug(event)

    def _append(self, message: Message, alert: Alert | None, inputs: tuple[tuple[str, str], ...]) -> Receipt:
        folder, stem = self._folder(message.event), f"{message.revision:05d}-{message.alert_type}"
        with locked(self.path / "alerts", _PATIENCE_S) as abandoned:
            unlinked(self.path, folder)
            if abandoned:
                sweep(self.path)
            there = sorted(folder.glob(f"{stem}-*.json"))
            target = folder / f"{stem}-{message.sha256[:16]}.json"
            if target in there:
                return Receipt("duplicate", message.sha256, message.event)
            first = next((one for one in map(self._read, there) if not one.conflicts_with), None)
            remarks = _unusual(message, folder)
            document = _document(message, alert, inputs, first.sha256 if first else "")
            atomic_write(target, document)
        outcome: Outcome = "conflict" if first else "stored"
        reason = f"another message with the same key came first ({first.sha256[:16]}) and stands" if first else ""
        return Receipt(outcome, message.sha256, message.event, reason, remarks)

    def _refuse(self, data: bytes, digest: str, reason: str) -> Receipt:
        """Keep what was refused, as far as there is room: it may be an alert in a form that nobody foresaw."""
        aside = self.path / "refused" / f"{digest[:32]}.bin"
        with locked(self.path / "alerts", _PATIENCE_S):
            if len(data) <= 1 << 20 and not aside.exists() and len(self.refused()) < MOST_REFUSED:
                atomic_write(aside.with_suffix(".txt"), f"{reason}\n".encode())
                atomic_write(aside, data)
        return Receipt("refused", digest, reason=reason)

    def _read_all(self, folder: Path) -> Iterator[Revision]:
        yield from (self._read(path) for path in sorted(folder.glob("*.json")) if not path.name.startswith("."))

    def _read(self, path: Path) -> Revision:
        document = read_json(path, "the alert", "bring the folder back from a copy", error=DataError)
        try:
            if document.pop("format") != FORMAT:
                raise ValueError("it is of another version")
            alert = document.pop("alert")
            values: dict[str, Any] = {
                **document,
                "data": document["data"].encode(),
                "alert": None if alert is None else _ALERT.validate_python(alert),
                "inputs": tuple((name, digest) for name, digest in document["inputs"]),
            }
            found = Revision(**values)
            if hashlib.sha256(found.data).hexdigest() != found.sha256:
                raise ValueError("its message is not the one that was stored")
        except (KeyError, TypeError, ValueError, ValidationError) as fault:
            raise DataError(f"the alert {path} is damaged: {fault}; bring the folder back from a copy") from fault
        return found


@cache
def _code() -> str:
    return f"nuanalysis {version('nuanalysis')}"  # read from a file, which takes longer than all the rest


def _slug(event: tuple[str, str]) -> str:
    """Name of the folder of an event: readable, and its own even where two identifiers differ in a sign only."""
    plain = re.sub(r"[^A-Za-z0-9_+-]+", "-", "-".join(event))[:60]
    return f"{plain}-{hashlib.sha256(json.dumps(event).encode()).hexdigest()[:12]}"


def _document(message: Message, alert: Alert | None, inputs: tuple[tuple[str, str], ...], conflicts: str) -> bytes:
    mission, identifier = message.event
    document = {
        "format": FORMAT, "mission": mission, "id": identifier, "name": message.name, "revision": message.revision,
        "alert_type": message.alert_type, "tense": message.tense, "sent": message.sent, "time": message.time,
        "form": message.form, "sha256": message.sha256, "data": message.data.decode(),
        "alert": None if alert is None else asdict(alert), "inputs": inputs, "code": _code(),
        "conflicts_with": conflicts,
    }  # fmt: skip
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _unusual(message: Message, folder: Path) -> tuple[str, ...]:
    """What is legal and worth a word, by the names of what is there."""
    there = [path.name.split("-")[:2] for path in folder.glob("*.json")]
    out = []
    if not there and message.alert_type in ("update", "retraction"):
        out.append(f"the first that is heard of this event is its {message.alert_type}")
    if any(int(revision) > message.revision for revision, _ in there):
        out.append("a later revision came before this one")
    if any(kind.startswith("retraction") and int(revision) >= message.revision for revision, kind in there):
        out.append("the event was retracted already")
    return tuple(out)


def _standing(event: tuple[str, str], revisions: Sequence[Revision]) -> Standing:
    sound = [one for one in revisions if not one.conflicts_with]
    if not sound:
        raise InputError(f"nothing was heard of {event[0]} {event[1]}".strip())
    last = sound[-1]
    gone = last.alert_type == "retraction" or bool(last.alert and last.alert.retracted)
    told = [one for one in sound if one.alert_type != "retraction"] or sound
    latest = told[-1] if gone else last
    reason = (last.alert.retracted if last.alert else "") or "a notice of retraction" if gone else ""
    return Standing(latest, len(revisions), gone, reason)
