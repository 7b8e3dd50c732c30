"""The service of sky scans: asked over HTTP, ordered by a queue, worked on by processes that may be killed.

``serve`` needs the extra ``service``; what is imported here does not.  It has no statistics and draws no map of its
own: a ``ScanRunner`` scans, see ``runner``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nuanalysis.errors import EnvironmentFault
from nuanalysis.realtime.service._alerts import AlertArchive, NoAlerts
from nuanalysis.realtime.service._limits import Limits
from nuanalysis.realtime.service.requests import PulseEvent, ScanRequest, Stop, StoredEvent
from nuanalysis.realtime.service.runner import RUNNER, Control, Found, ScanRunner
from nuanalysis.realtime.service.tokens import drop_token, make_token, read_tokens

__all__ = [
    "RUNNER",
    "AlertArchive",
    "Control",
    "Found",
    "Limits",
    "NoAlerts",
    "PulseEvent",
    "ScanRequest",
    "ScanRunner",
    "Stop",
    "StoredEvent",
    "drop_token",
    "make_token",
    "read_tokens",
    "serve",
]


def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8750,
    limits: Limits | None = None,
    runner: str = RUNNER,
    alerts: AlertArchive | None = None,
    started: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve scans, and the alerts of an archive, until interrupted.  ``started`` is told the address.

    Raises InputError for an address that others reach without a token, EnvironmentFault for a network disk or a missing
    library, StoreLocked where another service has the folder.
    """
    try:
        from nuanalysis.realtime.service import _serve
    except ModuleNotFoundError as error:
        raise EnvironmentFault(
            f"the service needs {error.name}, which is not installed: pip install 'nuanalysis[service]'"
        ) from error
    _serve.serve(folder, host=host, port=port, limits=limits, runner=runner, alerts=alerts, started=started)
