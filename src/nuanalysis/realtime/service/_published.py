"""Published scans by the numbers of their events."""

from __future__ import annotations

from pathlib import Path

from nuanalysis.ingest import realtime_scans
from nuanalysis.realtime.service.requests import StoredEvent


def published(event: StoredEvent) -> str | None:
    """The name of a published scan by its run and event."""
    for name, file in realtime_scans.EVENTS.items():
        run, number = (int(word[3:]) for word in Path(file).name.split("-")[:2])
        if (run, number) == (event.run, event.event):
            return name
    return None
