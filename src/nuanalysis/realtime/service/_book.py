"""The book of scans: one SQLite file in WAL mode, written by the one service that holds its folder.

It is the truth about states.  Every change is one transaction, recorded as a step with its time and cause; a change
that comes from work on a scan holds only for the attempt it belongs to, so what a lost worker says late is not heard.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nuanalysis.errors import EnvironmentFault, InputError, NuanalysisError
from nuanalysis.realtime.service._records import ACTIVE, FINAL, State
from nuanalysis.realtime.service.requests import ScanRequest
from nuanalysis.realtime.service.runner import Found

BUSY_MS = 10_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS scans (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, owner TEXT NOT NULL, key TEXT NOT NULL,
  digest TEXT NOT NULL, request TEXT NOT NULL, run INTEGER NOT NULL, event INTEGER NOT NULL, priority INTEGER NOT NULL,
  state TEXT NOT NULL, cause TEXT NOT NULL, since REAL NOT NULL, submitted REAL NOT NULL, submission INTEGER NOT NULL,
  attempt INTEGER NOT NULL, losses INTEGER NOT NULL, workers INTEGER NOT NULL, cancel INTEGER NOT NULL, lease REAL,
  round INTEGER NOT NULL, done INTEGER NOT NULL, expected INTEGER, began REAL, done_before INTEGER NOT NULL,
  result TEXT, rescan_of TEXT, deleted REAL, purged REAL, UNIQUE (owner, key));
CREATE INDEX IF NOT EXISTS scans_state ON scans (state, priority DESC, number);
CREATE TABLE IF NOT EXISTS steps (
  number INTEGER PRIMARY KEY AUTOINCREMENT, scan TEXT NOT NULL, attempt INTEGER NOT NULL, state TEXT NOT NULL,
  time REAL NOT NULL, cause TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS steps_scan ON steps (scan, number);
"""


class OtherBody(InputError):
    """The key was used before, for another request."""


class QueueFull(InputError):
    """The client has as many scans in the queue as it may."""


class DiskFull(EnvironmentFault):
    """The machine cannot keep what it was given; nothing of it was kept."""


@dataclass(frozen=True, slots=True)
class Row:
    """A scan as the book has it.  Times in s since 1970; ``submission`` numbers the jobs of the scan in the queue."""

    number: int
    id: str
    owner: str
    key: str
    digest: str
    request: str
    run: int
    event: int
    priority: int
    state: State
    cause: str
    since: float
    submitted: float
    submission: int
    attempt: int
    losses: int
    workers: int
    cancel: int
    lease: float | None
    round: int
    done: int
    expected: int | None
    began: float | None
    done_before: int
    result: str | None
    rescan_of: str | None
    deleted: float | None
    purged: float | None

    @property
    def job(self) -> str:
        """Name of the scan's job in the queue."""
        return f"{self.id}.{self.submission}"


@dataclass(frozen=True, slots=True)
class StepRow:
    """A change of state as the book has it."""

    number: int
    scan: str
    attempt: int
    state: State
    time: float
    cause: str


_COLUMNS = ", ".join(field.name for field in fields(Row))
_ACTIVE = "('" + "', '".join(ACTIVE) + "')"


class Book:
    """Opens, or makes, the file.  Safe to use from any thread; one process only.

    A connection writes and another reads, so that who only asks does not wait for the disk.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock
        self._write, self._read = threading.Lock(), threading.Lock()
        self._holder = 0  # thread that is writing
        self._writer, self._reader = self._open(), self._open()
        with self.writing() as one:
            for statement in _SCHEMA.split(";")[:-1]:
                one.execute(statement)
        (self.last,) = self._asked("SELECT coalesce(max(number), 0) FROM steps")[0]

    def _open(self) -> sqlite3.Connection:
        one = sqlite3.connect(self._path, isolation_level=None, timeout=BUSY_MS / 1000, check_same_thread=False)
        one.execute("PRAGMA journal_mode=WAL")
        one.execute("PRAGMA synchronous=FULL")  # what was answered with 202 outlives a power cut
        return one

    def close(self) -> None:
        """Let the file go."""
        with self._write, self._read:
            self._writer.close()
            self._reader.close()

    def _asked(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query; within a transaction of this thread, what it has changed is seen."""
        if self._holder == threading.get_ident():
            return self._writer.execute(query, values).fetchall()
        with self._read:
            return self._reader.execute(query, values).fetchall()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, whole or not at all.  Raises DiskFull where the machine refuses it."""
        one = self._writer
        with self._write:
            try:
                one.execute("BEGIN IMMEDIATE")
                self._holder = threading.get_ident()
                yield one
                one.execute("COMMIT")
            except sqlite3.OperationalError as error:
                raise DiskFull(f"{self._path.name}: {error}; nothing was kept, make room and call again") from error
            finally:
                self._holder = 0
                if one.in_transaction:
                    one.execute("ROLLBACK")

    # --- reading ------------------------------------------------------------------------------------------------------

    def _rows(self, where: str, values: tuple[object, ...] = ()) -> tuple[Row, ...]:
        return tuple(Row(*found) for found in self._asked(f"SELECT {_COLUMNS} FROM scans {where}", values))

    def get(self, scan: str) -> Row | None:
        """The scan of this id."""
        return next(iter(self._rows("WHERE id = ?", (scan,))), None)

    def of_key(self, owner: str, key: str) -> Row | None:
        """The scan that was submitted with this key."""
        return next(iter(self._rows("WHERE owner = ? AND key = ?", (owner, key))), None)

    def listed(
        self, *, run: int | None, event: int | None, state: str | None, deleted: bool, before: int | None, limit: int
    ) -> tuple[Row, ...]:
        """Scans that fit, newest first, of numbers below ``before``."""
        asked = {"run = ?": run, "event = ?": event, "state = ?": state, "number < ?": before}
        given = {clause: value for clause, value in asked.items() if value is not None}
        clauses = [*given, *([] if deleted else ["deleted IS NULL"])]
        where = f"WHERE {' AND '.join(clauses)} " if clauses else ""
        return self._rows(f"{where}ORDER BY number DESC LIMIT ?", (*given.values(), limit))

    def waiting(self) -> tuple[Row, ...]:
        """Scans in the queue, first the one that is begun first."""
        return self._rows("WHERE state = 'queued' ORDER BY priority DESC, number")

    def working(self) -> tuple[Row, ...]:
        """Scans that are being worked on."""
        return self._rows(f"WHERE state IN {_ACTIVE} ORDER BY number")

    def counts(self) -> dict[str, int]:
        """How many scans are in each state."""
        return dict(self._asked("SELECT state, count(*) FROM scans GROUP BY state"))

    def steps(self, scan: str) -> tuple[StepRow, ...]:
        """The history of a scan."""
        found = self._asked("SELECT * FROM steps WHERE scan = ? ORDER BY number", (scan,))
        return tuple(StepRow(*values) for values in found)

    def steps_after(self, number: int, limit: int) -> tuple[StepRow, ...]:
        """Changes of all scans since a number."""
        found = self._asked("SELECT * FROM steps WHERE number > ? ORDER BY number LIMIT ?", (number, limit))
        return tuple(StepRow(*values) for values in found)

    def purgeable(self, before: float) -> tuple[Row, ...]:
        """Scans marked as deleted before a time, whose data are still there."""
        return self._rows("WHERE deleted < ? AND purged IS NULL", (before,))

    # --- writing ------------------------------------------------------------------------------------------------------

    def _change(self, scan: str, of: int | None, state: State | None, cause: str, **values: object) -> Row | None:
        """Change an unfinished scan, if ``of`` still is its attempt; None where it is not.  A step for a new state."""
        now = self._clock()
        with self.writing() as one:
            row = self.get(scan)
            if row is None or row.state in FINAL or (of is not None and of != row.attempt):
                return None
            if state is not None:
                values |= {"state": state, "cause": cause, "since": now if state != row.state else row.since}
                self._step(one, scan, int(str(values.get("attempt", row.attempt))), state, now, cause)
            if values:
                sets = ", ".join(f"{name} = ?" for name in values)
                one.execute(f"UPDATE scans SET {sets} WHERE id = ?", (*values.values(), scan))
            return self.get(scan)

    def _step(self, one: sqlite3.Connection, scan: str, attempt: int, state: State, now: float, cause: str) -> None:
        made = one.execute(
            "INSERT INTO steps (scan, attempt, state, time, cause) VALUES (?, ?, ?, ?, ?)",
            (scan, attempt, state, now, cause),
        )
        self.last = int(made.lastrowid or self.last)

    def add(
        self, scan: str, owner: str, key: str, request: ScanRequest, *, most_queued: int, rescan_of: str | None = None
    ) -> tuple[Row, bool]:
        """The scan of this key, and whether it is new.

        Raises OtherBody where the key stands for another request, QueueFull, DiskFull.
        """
        now, digest = self._clock(), request.digest()
        with self.writing() as one:
            known = self.of_key(owner, key)
            if known is not None:
                if known.digest != digest or known.rescan_of != rescan_of:
                    raise OtherBody(
                        f"the key stands for scan {known.id}, of another request; use a new key for a new one"
                    )
                return known, False
            asked = "SELECT count(*) FROM scans WHERE owner = ? AND state = 'queued'"
            (queued,) = one.execute(asked, (owner,)).fetchone()
            if queued >= most_queued:
                raise QueueFull(f"{queued} scans of yours wait already; expected at most {most_queued}")
            numbers = request.event.run, request.event.event, request.priority
            one.execute(
                "INSERT INTO scans (id, owner, key, digest, request, run, event, priority, state, cause, since, "
                "submitted, submission, attempt, losses, workers, cancel, round, done, done_before, rescan_of) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'queued', '', ?, ?, 1, 0, 0, 1, 0, 0, 0, 0, ?)",
                (scan, owner, key, digest, request.text(), *numbers, now, now, rescan_of),
            )
            self._step(one, scan, 0, "queued", now, "")
            row = self.get(scan)
        if row is None:
            raise NuanalysisError(f"scan {scan} was written and is not there")
        return row, True

    def claim(self, scan: str, submission: int, lease: float) -> Row | None:
        """Begin an attempt at a scan that waits under this submission; None where it does not."""
        row = self.get(scan)
        if row is None or row.state != "queued" or row.submission != submission:
            return None
        return self._begin(row, row.losses, lease, "")

    def again(self, scan: str, attempt: int, lease: float, cause: str, *, losses: int) -> Row | None:
        """Begin the next attempt where a worker was lost."""
        row = self.get(scan)
        return None if row is None else self._begin(row, losses, lease, cause, attempt)

    def _begin(self, row: Row, losses: int, lease: float, cause: str, attempt: int | None = None) -> Row | None:
        until, following = self._clock() + lease, row.attempt + 1
        return self._change(
            row.id, row.attempt if attempt is None else attempt, "starting", cause,
            attempt=following, lease=until, losses=losses, began=None,
        )  # fmt: skip

    def runs(self, scan: str, attempt: int, lease: float) -> Row | None:
        """The worker of an attempt has begun to scan."""
        row, now = self.get(scan), self._clock()
        before = row.done if row else 0
        return self._change(scan, attempt, "running", "", lease=now + lease, began=now, done_before=before)

    def signs(self, scan: str, attempt: int, lease: float) -> Row | None:
        """The worker of an attempt lives."""
        return self._change(scan, attempt, None, "", lease=self._clock() + lease)

    def finds(self, scan: str, attempt: int, lease: float, found: Progressed) -> Row | None:
        """A round is done, with a partial result.  Losses are forgiven: the work goes on."""
        return self._change(
            scan, attempt, "partial", f"round {found.round}",
            lease=self._clock() + lease, losses=0, **found.columns(),
        )  # fmt: skip

    def ends(
        self, scan: str, attempt: int | None, state: State, cause: str, found: Progressed | None = None
    ) -> Row | None:
        """The scan is final."""
        return self._change(scan, attempt, state, cause, lease=None, **(found.columns() if found else {}))

    def waits(self, scan: str, attempt: int, cause: str) -> Row | None:
        """Nobody works on the scan any more: back into the queue."""
        row = self.get(scan)
        submission = row.submission + 1 if row else 1
        return self._change(scan, attempt, "queued", cause, lease=None, submission=submission)

    def resubmitted(self, row: Row) -> Row | None:
        """A waiting scan under its next submission, where its job is lost."""
        return self._change(row.id, row.attempt, None, "", submission=row.submission + 1)

    def abandoned(self, cause: str) -> int:
        """Every scan that a service before this one worked on goes back to the queue, under the submission it had.

        One that was to be cancelled is.
        """
        rows = self.working()
        for row in rows:
            self._change(row.id, row.attempt, "cancelled" if row.cancel else "queued", cause, lease=None)
        return len(rows)

    def cancels(self, scan: str) -> Row | None:
        """Cancel a waiting scan; wish it of an active one; mark a done or failed one as deleted.  None if unknown."""
        now = self._clock()
        with self.writing() as one:
            row = self.get(scan)
            if row is None:
                return None
            if row.state == "queued":
                cause = "cancelled while it waited"
                ended = cause, now, scan
                one.execute("UPDATE scans SET state = 'cancelled', cause = ?, since = ? WHERE id = ?", ended)
                self._step(one, scan, row.attempt, "cancelled", now, cause)
            elif row.state in ACTIVE:
                one.execute("UPDATE scans SET cancel = 1 WHERE id = ?", (scan,))
            elif row.state != "cancelled":
                one.execute("UPDATE scans SET deleted = coalesce(deleted, ?) WHERE id = ?", (now, scan))
            return self.get(scan)

    def wants_workers(self, scan: str, add: int, most: int) -> Row | None:
        """An unfinished scan with so many workers more, at most ``most``; None where it is finished or unknown."""
        row = self.get(scan)
        return None if row is None else self._change(scan, None, None, "", workers=min(row.workers + add, most))

    def purged(self, scan: str) -> None:
        """The data of a deleted scan are gone."""
        with self.writing() as one:
            one.execute("UPDATE scans SET purged = ?, result = NULL WHERE id = ?", (self._clock(), scan))


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far an attempt has come, and the folder of its result."""

    round: int
    done: int
    expected: int | None
    result: str

    @classmethod
    def of(cls, found: Found, result: str) -> Progressed:
        """What the book keeps of a finding."""
        return cls(found.round, found.pixels_done, found.pixels_expected, result)

    def columns(self) -> dict[str, int | str | None]:
        """Columns of the book."""
        return {"round": self.round, "done": self.done, "expected": self.expected, "result": self.result}
