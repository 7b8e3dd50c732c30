"""The scan of a request, round by round."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from nuanalysis.chain.scan_event import contours_of
from nuanalysis.chain.scan_products import contours_json, degrees, leaves_ecsv, map_fits, square_degrees
from nuanalysis.chain.scanned_events import EventToScan, cascade_to_scan, event_to_scan
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.executors import open_executor
from nuanalysis.engine.progress import Silent
from nuanalysis.engine.sky_scans import scan_rounds
from nuanalysis.learn import EventPulses, near_pulses
from nuanalysis.realtime.service._published import published
from nuanalysis.realtime.service.requests import PulseEvent, ScanRequest
from nuanalysis.realtime.service.runner import Control, Found
from nuanalysis.reconstruct import Leaves, ScanState, leaves_of


def scan(request: ScanRequest, folder: Path, report: Callable[[Found], None], control: Control) -> Found | None:
    """See ``ScanRunner``; pixels are kept in the folder."""
    with _bench(folder, control.workers()) as bench:
        event, rounds, last = _event(request, bench), 0, None
        plan = replace(event.scan.plan, steady=request.stop.area_tolerance)
        for at in scan_rounds(replace(event.scan, plan=plan), bench, control.stop):
            if at.cpu_s > request.stop.cpu_s:
                break
            if at.whole:
                state, rounds = at.state, rounds + 1
                last = found_of(event, state, rounds)
                if not state.ended:
                    report(last)
    return last


@contextmanager
def _bench(folder: Path, workers: int) -> Iterator[Bench]:
    with open_executor("processes" if workers > 1 else "serial", workers=workers) as executor:
        yield Bench(folder, executor, Silent())


def _event(request: ScanRequest, bench: Bench) -> EventToScan:
    event, most = request.event, request.stop.pixels
    if isinstance(event, PulseEvent):
        module, time, charge = (np.asarray(x) for x in (event.pulse_module, event.pulse_time, event.pulse_charge))
        seen = EventPulses(module.astype(np.int64), time, charge, np.zeros(len(module), dtype=bool))
        name = f"event-{event.run}-{event.event}"
        return cascade_to_scan(
            near_pulses(seen), bench, name=name, mjd=event.mjd, max_order=request.max_order, most=most
        )
    words = published(event)
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
