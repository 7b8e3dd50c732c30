"""The runner of the service that scans: a simulated cascade by its pulses or its seed, or a published scan.

What it can do is said without what it takes to do it: the service imports this, its workers all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from nuanalysis.errors import DataError
from nuanalysis.realtime.service._published import published
from nuanalysis.realtime.service.requests import PulseEvent, ScanRequest
from nuanalysis.realtime.service.runner import Control, Found

MODULES = 5160
LEAST = 768  # pixels of the first round of a published scan
SIMULATED, PUBLISHED = "simulated", "published"
ENERGIES_TEV = (1, 5000)


class AdaptiveScan:
    """The adaptive scan of this package.

    A stored event is of the collection 'simulated', with its seed as ``run`` and its energy in TeV as ``event``, or
    'published', with run and event as printed.
    """

    def faults(self, request: ScanRequest) -> Sequence[str]:
        """An event for which there is no likelihood, another algorithm, too few pixels."""
        found = [] if request.algorithm == "adaptive" else [f"algorithm '{request.algorithm}'; expected adaptive"]
        if request.stop.pixels < LEAST:
            found.append(f"stop.pixels is {request.stop.pixels}; expected {LEAST} or more, which the first round takes")
        event, real = request.event, request.real_or_simulated == "real"
        if isinstance(event, PulseEvent):
            if event.topology != "shower":
                found.append("topology 'track': there is a likelihood for cascades only, expected 'shower'")
            if real:
                found.append("real_or_simulated is 'real': the likelihood is of a simulated detector, ask 'simulated'")
            if max(event.pulse_module) >= MODULES:
                found.append(f"pulse_module holds {max(event.pulse_module)}; expected 0 to {MODULES - 1}")
            return found
        if event.collection not in (SIMULATED, PUBLISHED):
            return [*found, f"collection '{event.collection}'; expected {SIMULATED} or {PUBLISHED}"]
        if real != (event.collection == PUBLISHED):
            found.append(f"events of '{event.collection}' are {'real' if not real else 'simulated'}; say so")
        if event.collection == PUBLISHED and published(event) is None:
            found.append(f"no published scan of run {event.run}, event {event.event}")
        if event.collection == SIMULATED and not ENERGIES_TEV[0] <= event.event <= ENERGIES_TEV[1]:
            found.append(f"event is {event.event}; of '{SIMULATED}' it is the energy, 1 to 5000 TeV")
        return found

    def prepare(self) -> None:
        """The libraries of a scan, array, ice and network: some seconds."""
        from nuanalysis.chain.scanned_events import open_all

        with suppress(DataError):  # told by the scan that needs it
            open_all()

    def run(
        self, request: ScanRequest, folder: Path, report: Callable[[Found], None], control: Control
    ) -> Found | None:
        """See ``ScanRunner``; pixels are kept in the folder."""
        from nuanalysis.realtime.service._sky_scan import scan

        return scan(request, folder, report, control)
