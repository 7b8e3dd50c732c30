"""The runner of the service that scans: a simulated cascade by its pulses or its seed, or a published scan."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from nuanalysis.chain.scan_event import contours_of
from nuanalysis.chain.scan_products import contours_json, degrees, leaves_ecsv, map_fits, square_degrees
from nuanalysis.chain.scanned_events import EventToScan, cascade_to_scan, event_to_scan
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.executors import open_executor
from nuanalysis.engine.progress import Silent
from nuanalysis.engine.sky_scans import scan_rounds
from nuanalysis.errors import StepMissing
from nuanalysis.ingest import realtime_scans
from nuanalysis.learn import EventPulses, near_pulses
from nuanalysis.realtime.service.requests import PulseEvent, ScanRequest, StoredEvent
from nuanalysis.realtime.service.runner import Control, Found
from nuanalysis.reconstruct import Leaves, ScanState, leaves_of

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
        if event.collection == PUBLISHED and _published(event) is None:
            found.append(f"no published scan of run {event.run}, event {event.event}")
        if event.collection == SIMULATED and not ENERGIES_TEV[0] <= event.event <= ENERGIES_TEV[1]:
            found.append(f"event is {event.event}; of '{SIMULATED}' it is the energy, 1 to 5000 TeV")
        return found

    def run(self, request: ScanRequest, folder: Path, report: Callable[[Found], None], control: Control) -> Found:
        """See ``ScanRunner``; pixels are kept in the folder.  Raises StepMissing where it was stopped at once."""
        with _bench(folder, control.workers()) as bench:
            event, state, rounds, last = _event(request, bench), None, 0, None
            for at in scan_rounds(event.scan, bench, control.stop):
                if at.cpu_s > request.stop.cpu_s:
                    break
                if at.whole:
                    state, rounds = at.state, rounds + 1
                    last = found_of(event, state, rounds)
                    if not state.ended:
                        report(last)
        if last is None:
            raise StepMissing(f"the scan of {event.name} was stopped in its first round; submit it again to go on")
        return last


@contextmanager
def _bench(folder: Path, workers: int) -> Iterator[Bench]:
    with open_executor("processes" if workers > 1 else "serial", workers=workers) as executor:
        yield Bench(folder, executor, Silent())


def _published(event: StoredEvent) -> str | None:
    """The name of a published scan by its run and event."""
    for name, file in realtime_scans.EVENTS.items():
        run, number = (int(word[3:]) for word in Path(file).name.split("-")[:2])
        if (run, number) == (event.run, event.event):
            return name
    return None


def _event(request: ScanRequest, bench: Bench) -> EventToScan:
    event, most = request.event, request.stop.pixels
    if isinstance(event, PulseEvent):
        module, time, charge = (np.asarray(x) for x in (event.pulse_module, event.pulse_time, event.pulse_charge))
        seen = EventPulses(module.astype(np.int64), time, charge, np.zeros(len(module), dtype=bool))
        name = f"event-{event.run}-{event.event}"
        return cascade_to_scan(
            near_pulses(seen), bench, name=name, mjd=event.mjd, max_order=request.max_order, most=most
        )
    words = _published(event)
    if words is None:
        words = f"simulated:{event.run}?energy={event.event}"
    return event_to_scan(words, bench, max_order=request.max_order, most=most)


def found_of(event: EventToScan, state: ScanState, rounds: int) -> Found:
    """What a state says, as the service hands it on."""
    leaves = leaves_of(state)
    contours, best = contours_of(event, leaves), leaves.best
    return Found(
        round=rounds,
        complete=leaves.complete,
        pixels_done=state.fitted,
        pixels_expected=max(state.fitted, min(state.plan.most, 1000)),
        right_ascension=best.right_ascension,
        declination=best.declination,
        area_50_deg2=square_degrees(contours[0].area),
        area_90_deg2=square_degrees(contours[1].area),
        synthetic=event.origin == "synthetic",
        note=event.what,
        files={
            "map.fits": gzip.decompress(map_fits(event, leaves, contours)),
            "contours.json": contours_json(event, leaves, contours),
            "leaves.ecsv": leaves_ecsv(event, leaves),
            "leaves.json": _leaves_json(event, leaves),
        },
    )


def _leaves_json(event: EventToScan, leaves: Leaves) -> bytes:
    best, levels = leaves.best, event.levels[0]
    document = {
        "synthetic": event.origin == "synthetic",
        "note": event.what,
        "best": [degrees(best.right_ascension), degrees(best.declination)],
        "levels": [levels.half, levels.ninety],
        "order": leaves.pixels.order.tolist(),
        "ipix": leaves.pixels.index.tolist(),
        "ts": np.where(np.isfinite(leaves.ts), leaves.ts, 1e9).round(4).tolist(),
    }
    return json.dumps(document, separators=(",", ":")).encode()
