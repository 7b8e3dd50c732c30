"""The service as a process: checks before it starts, uvicorn around it, an orderly end."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from pathlib import Path

import uvicorn

from nuanalysis.errors import InputError, StoreLocked
from nuanalysis.realtime.service._alerts import AlertArchive
from nuanalysis.realtime.service._app import make_app
from nuanalysis.realtime.service._dbos import DbosQueue
from nuanalysis.realtime.service._disks import refuse_network_disk
from nuanalysis.realtime.service._limits import Limits
from nuanalysis.realtime.service._service import JOBS, Service
from nuanalysis.realtime.service._wire import guarded
from nuanalysis.realtime.service.runner import RUNNER
from nuanalysis.realtime.service.tokens import FILE, read_tokens
from nuanalysis.store import locked, refuse_folder

LARGEST_HEAD = 16 * 2**10  # bytes
GRACE_S = 5


def is_loopback(host: str) -> bool:
    """Whether an address is of this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
    """Serve until interrupted.  ``started`` is told the address.

    Raises InputError for an address that others reach without a token, EnvironmentFault for a network disk, StoreLocked
    where another service has the folder.
    """
    refuse_folder(folder, "--folder")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    refuse_network_disk(folder)
    limits, loopback = limits or Limits(), is_loopback(host)
    if not read_tokens(folder / FILE) and not loopback:
        raise InputError(
            f"--host {host} can be reached from outside and {folder / FILE} holds no token; make one with "
            "'nuanalysis realtime token', or serve on 127.0.0.1"
        )
    try:
        with locked(folder / "service", 0.0):
            _serve(folder, host, port, loopback, limits, runner, alerts, started)
    except StoreLocked as error:
        raise StoreLocked(f"another service works in {folder}: {error}") from error


def _serve(
    folder: Path,
    host: str,
    port: int,
    loopback: bool,
    limits: Limits,
    runner: str,
    alerts: AlertArchive | None,
    started: Callable[[str], None],
) -> None:
    queue = DbosQueue(folder / JOBS, slots=limits.scans, slots_realtime=limits.realtime_scans)
    service = Service(folder, queue, limits=limits, runner=runner, alerts=alerts)
    config = uvicorn.Config(
        make_app(service, loopback=loopback),
        host=host,
        port=port,
        http=guarded(limits.client_s),
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,  # it would write URLs
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=max(1, int(limits.client_s)),
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=LARGEST_HEAD,
    )
    server = uvicorn.Server(config)
    service.ending = lambda: server.should_exit
    socket = config.bind_socket()
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    name, bound = socket.getsockname()[:2]
    started(f"http://{f'[{name}]' if ':' in name else name}:{bound}/")
    server.run(sockets=[socket])
