"""Jobs on DBOS, which keeps them in a SQLite file beside the book."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfig
from dbos import Serializer as _Serializer

from nuanalysis.realtime.service.requests import REALTIME

#: By hand: DBOS would derive it from the code, and strand what waits whenever a line changes.
APPLICATION_VERSION = "scans-1"
WORKFLOW = "scan"
PATIENT, URGENT = "scans", "realtime"  # two queues: a slot that no patient scan can hold
HIGHEST = 1000  # DBOS begins the smallest number first
TRIES = 1_000_000  # beginnings of a job before DBOS gives it up; that is decided by the book


class _Json(_Serializer):
    """Arguments as JSON: what lies in the file can run no code."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=str)

    def deserialize(cls, serialized_data: str) -> Any:
        found = json.loads(serialized_data)
        return {**found, "args": tuple(found["args"])} if isinstance(found, dict) and "args" in found else found

    def name(self) -> str:
        return "nuanalysis_json"


class DbosQueue:
    """``slots`` jobs at once, and ``slots_realtime`` more of priority 100 and above.

    One at a time in a process: DBOS is a singleton.
    """

    def __init__(self, path: Path, *, slots: int, slots_realtime: int, poll_s: float = 0.25) -> None:
        self._path, self._poll_s = path, poll_s
        self._slots = {PATIENT: slots, URGENT: slots_realtime}

    def open(self, work: Callable[[str], None]) -> None:
        """Begin.  The log of DBOS goes the way of all others, from warnings up."""
        with closing(sqlite3.connect(self._path)) as one:
            one.execute("PRAGMA journal_mode=WAL")
        _route_log()
        config: DBOSConfig = {
            "name": "nuanalysis",
            "system_database_url": f"sqlite:///{self._path}",
            "application_version": APPLICATION_VERSION,
            "executor_id": "service",
            "log_level": "WARNING",
            "enable_otlp": False,
            "serializer": _Json(),
            "notification_listener_polling_interval_sec": 5.0,
        }
        DBOS(config=config)
        DBOS.workflow(name=WORKFLOW, max_recovery_attempts=TRIES)(_workflow(work))
        DBOS.launch()
        for name, slots in self._slots.items():
            DBOS.register_queue(
                name, worker_concurrency=slots, polling_interval_sec=self._poll_s, on_conflict="always_update"
            )

    def submit(self, job: str, priority: int) -> None:
        """Add a job once."""
        DBOS.enqueue_workflow_with_options(
            {
                "workflow_name": WORKFLOW,
                "queue_name": URGENT if priority >= REALTIME else PATIENT,
                "workflow_id": job,
                "app_version": APPLICATION_VERSION,
                "priority": HIGHEST - priority,
            },
            job,
        )

    def cancel(self, job: str) -> None:
        """Take a job out that was not begun."""
        DBOS.cancel_workflow(job)

    def jobs(self) -> tuple[str, ...]:
        """Jobs that wait or are being worked on."""
        found = DBOS.list_workflows(status=["PENDING", "ENQUEUED"], load_input=False, load_output=False)
        return tuple(one.workflow_id for one in found)

    def close(self) -> None:
        """End; what waits is kept."""
        DBOS.destroy(destroy_registry=True)


def _workflow(work: Callable[[str], None]) -> Callable[[str], None]:
    def scan(job: str) -> None:
        work(job)

    return scan


def _route_log() -> None:
    """DBOS writes to the console where its logger has no handler; ours goes to the root's."""
    logger = logging.getLogger("dbos")
    logger.handlers = [logging.NullHandler()]
    logger.propagate = True
