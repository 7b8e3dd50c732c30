"""Counters of the service, as Prometheus reads them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_HELP = {
    "workers_lost": "workers that ended without an end of their scan",
    "rounds": "rounds of scans that were done",
    "requeued": "scans that were put back into the queue because nobody worked on them",
    "purged": "scans whose data were removed",
}


class Metrics:
    """What has happened since the service began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: Counter[str] = Counter()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._times: Counter[float] = Counter()
        self._seconds = 0.0

    def count(self, name: str) -> None:
        """Something happened once more."""
        with self._lock:
            self._events[name] += 1

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        with self._lock:
            self._requests[method, route, status] += 1
            self._times[next((edge for edge in BUCKETS_S if seconds <= edge), float("inf"))] += 1
            self._seconds += seconds

    def text(self, states: Mapping[str, int], listeners: int) -> str:
        """All of it in the text format 0.0.4."""
        lines = ["# HELP nuanalysis_scans scans in each state", "# TYPE nuanalysis_scans gauge"]
        lines += [f'nuanalysis_scans{{state="{state}"}} {number}' for state, number in states.items()]
        lines += ["# TYPE nuanalysis_listeners gauge", f"nuanalysis_listeners {listeners}"]
        with self._lock:
            for name, said in _HELP.items():
                full = f"nuanalysis_{name}_total"
                lines += [f"# HELP {full} {said}", f"# TYPE {full} counter", f"{full} {self._events[name]}"]
            lines.append("# TYPE nuanalysis_requests_total counter")
            for (method, route, status), number in sorted(self._requests.items()):
                labels = f'method="{method}",route="{route}",status="{status}"'
                lines.append(f"nuanalysis_requests_total{{{labels}}} {number}")
            lines.append("# TYPE nuanalysis_request_seconds histogram")
            below = 0
            for edge in (*BUCKETS_S, float("inf")):
                below += self._times[edge]
                name = "+Inf" if edge == float("inf") else f"{edge:g}"
                lines.append(f'nuanalysis_request_seconds_bucket{{le="{name}"}} {below}')
            lines += [
                f"nuanalysis_request_seconds_sum {self._seconds:.6f}",
                f"nuanalysis_request_seconds_count {below}",
            ]
        return "\n".join(lines) + "\n"
