"""Events of somebody's simulation as records of the detector: chosen, joined, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nuanalysis.detector import SUMMARY, Detector, Hits
from nuanalysis.errors import InputError
from nuanalysis.schema import Bools, Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """Cascades of somebody's simulation: what was true, and what modules recorded.

    label : whose.  vertex, direction (event, 3) : m; of motion.  energy (event,) : visible, GeV.  hadronic (event,) :
    all of it is a hadronic cascade.  masked (event, module) : modules that must not be compared.  hits : NaN in its
    values where something is not known.
    """

    label: str
    vertex: Floats
    direction: Floats
    energy: Floats
    hadronic: Bools
    masked: Bools
    hits: Hits


def chosen_hits(hits: Hits, kept: Bools) -> Hits:
    """Hits of some of the events; kept (event,)."""
    rows = np.repeat(kept, np.diff(hits.start))
    start = np.concatenate([[0], np.cumsum(np.diff(hits.start)[kept])]).astype(np.int64)
    return Hits(hits.module[rows], hits.values[rows], hits.saturated[rows], start, hits.window[kept])


def chosen_events(cascades: Simulated, kept: Bools) -> Simulated:
    """Some of the events; kept (event,)."""
    return Simulated(
        cascades.label, cascades.vertex[kept], cascades.direction[kept], cascades.energy[kept],
        cascades.hadronic[kept], cascades.masked[kept], chosen_hits(cascades.hits, kept),
    )  # fmt: skip


def joined_events(label: str, parts: Sequence[Simulated]) -> Simulated:
    """All events of several, one after the other."""
    hits = [part.hits for part in parts]
    sizes = np.concatenate([np.diff(one.start) for one in hits])
    return Simulated(
        label,
        np.concatenate([part.vertex for part in parts]),
        np.concatenate([part.direction for part in parts]),
        np.concatenate([part.energy for part in parts]),
        np.concatenate([part.hadronic for part in parts]),
        np.concatenate([part.masked for part in parts]),
        Hits(
            np.concatenate([one.module for one in hits]),
            np.concatenate([one.values for one in hits]),
            np.concatenate([one.saturated for one in hits]),
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            np.concatenate([one.window for one in hits]),
        ),
    )


def summed(start: Ints, module: Ints, time: Floats, charge: Floats) -> Hits:
    """The nine values of each module over *all* its pulses, as official ones are; window 0.

    start (event + 1,); module, time, charge (pulse,) : in each event by module and time.  ``detector.summarise`` looks
    at the 6 us with the largest charge alone: late noise and afterpulses are then missing from last, mean and spread.
    """
    sizes = np.diff(start)
    event = np.repeat(np.arange(len(sizes)), sizes)
    begin = np.flatnonzero(np.append(True, (np.diff(event) > 0) | (np.diff(module) > 0))[: len(module)])
    values = np.empty((len(begin), len(SUMMARY)), dtype=np.float32)
    if len(begin):
        for name, column in zip(SUMMARY, _nine(begin, time.astype(np.float64), charge.astype(np.float64)), strict=True):
            values[:, SUMMARY.index(name)] = column
    each = np.concatenate([[0], np.cumsum(np.bincount(event[begin], minlength=len(sizes)))]).astype(np.int64)
    return Hits(module[begin], values, np.zeros(len(begin), dtype=np.bool_), each, np.zeros(len(sizes)))


def _nine(begin: Ints, time: Floats, charge: Floats) -> list[Floats]:
    """Columns of ``SUMMARY``; begin : first pulse of each module."""
    sizes = np.diff(np.append(begin, len(time)))
    of = np.repeat(np.arange(len(begin)), sizes)
    total, first = np.add.reduceat(charge, begin), time[begin]
    running = np.cumsum(charge)
    inside = running - (running[begin] - charge[begin])[of]

    def soon(span: float) -> Floats:
        return np.asarray(np.add.reduceat(np.where(time - first[of] < span, charge, 0.0), begin))

    def reached(share: float) -> Floats:
        late = np.where(inside >= share * total[of] * (1.0 - 1e-9), time, np.inf)  # 1e-9: of the running sum
        return np.asarray(np.minimum.reduceat(late, begin))

    mean = np.add.reduceat(charge * time, begin) / total
    square = np.add.reduceat(charge * (time - mean[of]) ** 2, begin) / total
    last = time[begin + sizes - 1]
    return [total, soon(500.0), soon(100.0), first, reached(0.2), reached(0.5), last, mean, np.sqrt(square)]


def by_module(hits: Hits, what: str, modules: int) -> Floats:
    """A column of ``SUMMARY`` as a table, (event, module); 0 where a module has no hit."""
    found = np.zeros((len(hits.start) - 1, modules))
    event = np.repeat(np.arange(len(found)), np.diff(hits.start))
    found[event, hits.module] = hits.values[:, SUMMARY.index(what)]
    return found


def dimmed(detector: Detector, factor: float) -> Detector:
    """The same array with the efficiency of every module times a factor.  Raises InputError unless it is above 0."""
    if not factor > 0.0:
        raise InputError(f"the efficiency factor is {factor}; expected a number above 0")
    return replace(detector, efficiency=detector.efficiency * factor)
