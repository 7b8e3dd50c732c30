"""From sources of light to the pulses that modules record, event by event."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nuanalysis.detector._draw_kernels import event_state
from nuanalysis.detector._hits_kernels import event_hits
from nuanalysis.detector._modules_kernels import noise_hits, pulses, read_out, with_noise
from nuanalysis.detector._optics import Optics, SourceRows, optics, source_rows
from nuanalysis.detector._records import Detector, Particles, Pulses, Singles
from nuanalysis.detector._table import LightTable
from nuanalysis.detector._trigger_kernels import launches, majority, neighbours
from nuanalysis.errors import InputError
from nuanalysis.schema import Bools, Floats, Ints

#: Streams of random numbers of an event: noise on or off, its light is the same.
LIGHT_STREAM, NOISE_STREAM = 0x11687, 0x2015E
#: Read out before the first launch of the trigger and after its last, ns: public data of IC86.
BEFORE, AFTER = 4000.0, 6000.0
_HIGH = 1.2  # times the median efficiency, above which a module is of the kind with more noise


class _Electronics(NamedTuple):
    """What pulses depend on but for light: neighbours (live module, 4); high (live module,), of high efficiency."""

    near: Ints
    high: Bools


class _Event(NamedTuple):
    """Pulses of one event, by live module, and its trigger time."""

    module: Ints
    time: Singles
    charge: Singles
    saturated: Bools
    trigger: float


def simulate_events(
    detector: Detector, table: LightTable, particles: Particles, seed: int, *, noise: bool = True
) -> Pulses:
    """Pulses of a batch of events; each is a pure function of (seed, its ``truth.number``) and its sources.

    Pulses are read out 4 us before the first launch of the simple majority trigger to 6 us after its last; of events
    without one, that long around their light.  One event is in work at a time, so memory is that of the result.
    About 300 events a second and core.  Raises InputError for a negative seed, or numbers that do not fit the light.
    """
    light, number = particles.light, particles.truth.number
    if seed < 0 or len(number) != len(light.start) - 1:
        raise InputError(
            f"seed {seed}, {len(number)} events and light of {len(light.start) - 1}; give a seed of 0 or more and the "
            "light of each event"
        )
    seen, electronics = optics(detector, table), _electronics(detector)
    of = source_rows(light, seen.ice)
    events = [
        _event(seen, electronics, of, (int(begin), int(end)), (seed, int(one)), noise=noise)
        for begin, end, one in zip(light.start[:-1], light.start[1:], number, strict=True)
    ]
    return _joined(events, seen.modules.numbers)


def _electronics(detector: Detector) -> _Electronics:
    index = np.lexsort((detector.number, detector.string))
    index = index[detector.alive[index]]
    near = neighbours(detector.string[index].astype(np.int64), detector.number[index].astype(np.int64))
    efficiency = detector.efficiency[index]
    return _Electronics(near, np.asarray(efficiency > _HIGH * np.median(efficiency)))


def _event(
    seen: Optics, electronics: _Electronics, of: SourceRows, rows: tuple[int, int], key: tuple[int, int], *, noise: bool
) -> _Event:
    """Pulses of the event whose sources stand in ``rows``; key : seed and number."""
    hits, at, first, last = event_hits(event_state(key[0], LIGHT_STREAM, key[1]), seen, of, *rows)
    low, end = first - BEFORE, last + AFTER
    if noise:
        state = event_state(key[0], NOISE_STREAM, key[1])
        hits, at = with_noise(hits, at, *noise_hits(state, electronics.high, low, end))
    recorded, bright, start = pulses(hits, at)
    begun, ended = majority(launches(recorded, start, electronics.near)[1])
    if np.isfinite(begun):
        low, end = begun - BEFORE, ended + AFTER
    module, time, charge, saturated = read_out(recorded, bright, start, low, end)
    return _Event(module, time, charge, saturated, begun)


def _joined(events: list[_Event], index: Ints) -> Pulses:
    """One record of all events, modules by their index in the detector."""
    counts = [len(one.time) for one in events]
    module, time, charge, saturated = (
        np.concatenate([np.empty(0, dtype), *(one[k] for one in events)])
        for k, dtype in enumerate((np.int64, np.float32, np.float32, np.bool_))
    )
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    module = index[module]
    if (np.diff(index) < 0).any():  # a detector that does not count its modules string by string
        event = np.repeat(np.arange(len(counts)), counts)
        order = np.lexsort((np.arange(len(module)), module, event))
        module, time, charge, saturated = module[order], time[order], charge[order], saturated[order]
    trigger: Floats = np.array([one.trigger for one in events], dtype=np.float64)
    return Pulses(module, time, charge, saturated, start, np.isfinite(trigger), trigger)
