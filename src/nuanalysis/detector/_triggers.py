"""Which triggers recorded pulses meet."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nuanalysis.detector._records import Detector, Pulses
from nuanalysis.detector._trigger_kernels import launches, majority, neighbours, row, volume
from nuanalysis.schema import Bools


@dataclass(frozen=True, slots=True, eq=False)
class Triggers:
    """Whether each event meets a trigger, (event,) each, all of modules in local coincidence.

    majority : 8 within 5 us.  volume : 4 within 1 us in a cylinder of 175 m and 75 m height.  string : 5 of 7 adjacent
    ones of a string within 1.5 us.
    """

    majority: Bools
    volume: Bools
    string: Bools


def triggers(detector: Detector, pulses: Pulses) -> Triggers:
    """The triggers that pulses meet, as they were read out; JINST 12 P03012 (2017).

    The cylinder stands about the first module in time: of hits at its edge fewer are found than by one moved freely.
    """
    order = np.lexsort((detector.number, detector.string))
    string, number = detector.string[order].astype(np.int64), detector.number[order].astype(np.int64)
    near, position = neighbours(string, number), np.ascontiguousarray(detector.position[order])
    rank = np.argsort(order)
    found = np.zeros((3, len(pulses.start) - 1), dtype=np.bool_)
    for e, (begin, end) in enumerate(pairwise(pulses.start)):
        place = rank[pulses.module[begin:end]]
        by_string = np.argsort(place, kind="stable")
        start = np.searchsorted(place[by_string], np.arange(len(order) + 1))
        recorded = np.stack([pulses.time[begin:end], pulses.charge[begin:end]], axis=1)[by_string].astype(np.float64)
        module, time = launches(recorded, start, near)
        found[:, e] = (
            np.isfinite(majority(time)[0]),
            volume(module, time, position),
            row(module, time, string, number),
        )
    return Triggers(*found)
