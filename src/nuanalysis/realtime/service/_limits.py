"""How much the service lets itself be asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from nuanalysis.records import Settings, setting


class Limits(Settings):
    """Bounds of the service; each is an option of ``nuanalysis realtime serve``."""

    body_bytes: int = setting(4 * 2**20, low=1024, high=2**28, unit="B", help="Largest body of a request.")
    queued: int = setting(20, low=1, high=100_000, help="Scans of one token that may wait.")
    requests_per_minute: int = setting(60, low=1, high=10_000_000, help="Requests of one token in a minute.")
    scans: int = setting(2, low=1, high=64, help="Scans at once; realtime scans have slots of their own.")
    realtime_scans: int = setting(1, low=1, high=64, help="Scans of priority 100 and above at once, beside the others.")
    workers: int = setting(8, low=1, high=64, help="Most workers of one scan.")
    duration_s: float = setting(14_400.0, low=1.0, unit="s", help="Longest time of an attempt at a scan.")
    leaves: int = setting(5000, low=192, high=5000, help="Most pixels a scan may ask for.")
    lease_s: float = setting(60.0, low=2.0, high=3600.0, unit="s", help="A worker silent for so long is given up.")
    reap_s: float = setting(30.0, low=0.2, high=3600.0, unit="s", help="Time between two looks for lost scans.")
    client_s: float = setting(20.0, low=0.2, high=600.0, unit="s", help="Longest wait for a client to read or write.")
    listeners: int = setting(32, low=1, high=1000, help="Clients that follow the events at once.")
    connections: int = setting(200, low=8, high=10_000, help="Connections at once; more are answered 503.")
    free_bytes: int = setting(200 * 2**20, low=0, unit="B", help="Free disk below which no scan is taken.")
    purge_days: float = setting(30.0, low=0.0, unit="d", help="Data of deleted scans stay for so long.")


class Rates:
    """A bucket for each client: full at first, one request back every 60 s / limit."""

    MOST = 10_000  # clients remembered

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._clock = per_minute, clock
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def wait(self, client: str) -> float:
        """Take a request of a client; 0 where it is let through, else the seconds until one will be."""
        now = self._clock()
        with self._lock:
            left, then = self._left.get(client, (float(self._limit), now))
            left = min(float(self._limit), left + (now - then) * self._limit / 60)
            taken = left >= 1.0
            if len(self._left) >= self.MOST and client not in self._left:
                self._left.clear()  # who floods us with names gains one full bucket, and we keep our memory
            self._left[client] = (left - 1.0 if taken else left, now)
        return 0.0 if taken else (1.0 - left) * 60 / self._limit
