"""The seam between the service and what scans: a runner works in a folder and says what it has found so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

from nuanalysis.errors import InputError
from nuanalysis.realtime.service.requests import ScanRequest

#: What scans unless another is named, as ``module:object``.
RUNNER = "nuanalysis.realtime.service.sky:AdaptiveScan"
#: The files of a result, and what they are.
FILES = {
    "map.fits": "application/fits",
    "contours.json": "application/json",
    "leaves.ecsv": "text/plain; charset=utf-8",
    "leaves.json": "application/json",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What a scan has found after a round, or at its end.

    round : counts from 1.  complete : whether the stop rule was met, and not a budget.
    pixels_done, pixels_expected : fits, and a guess of how many there will be.
    right_ascension, declination : best position, rad, ICRS.  areas : deg^2 at 50 and 90 %.
    synthetic : whether any of it is not measured.
    files : bytes of the names in ``FILES``; leaves.json holds the lists ``order``, ``ipix`` (NESTED), ``ts`` of one
    length, ``levels`` (50 %, 90 %), and is what the page draws.
    """

    round: int
    complete: bool
    pixels_done: int
    pixels_expected: int
    right_ascension: float
    declination: float
    area_50_deg2: float
    area_90_deg2: float
    synthetic: bool
    note: str
    files: dict[str, bytes]


class Control(Protocol):
    """What the service wants of a running scan; asked between two batches."""

    def stop(self) -> bool:
        """Whether to give up; the runner then returns what it has."""
        ...

    def workers(self) -> int:
        """How many workers the scan may use from now on.  The result must not depend on it."""
        ...


class ScanRunner(Protocol):
    """Scans a sky.

    ``run`` is pure in the request: the same one gives the same bytes, in one go, or killed at any moment and called
    again in the same folder, with any number of workers.
    """

    def faults(self, request: ScanRequest) -> Sequence[str]:
        """What this runner cannot do of a request, in words; asked before the scan is taken, so it must be quick."""
        ...

    def prepare(self) -> None:
        """Load what every scan takes; a worker does it while it waits for its order."""
        ...

    def run(
        self, request: ScanRequest, folder: Path, report: Callable[[Found], None], control: Control
    ) -> Found | None:
        """The final result, None where it ended before the first round; ``report`` is called after each round.

        What is kept in the folder serves to go on.
        """
        ...


def find_runner(name: str) -> ScanRunner:
    """The runner of ``module:object``, made without arguments.  Raises InputError where there is none."""
    module, _, kind = name.partition(":")
    try:
        found: ScanRunner = getattr(import_module(module), kind)()
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"runner '{name}': {error}; expected MODULE:CLASS, such as {RUNNER}") from error
    return found
