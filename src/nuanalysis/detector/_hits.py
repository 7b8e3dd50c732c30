"""Expected charges: what the modules would count on average, without drawing anything."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nuanalysis.detector._hits_kernels import event_means
from nuanalysis.detector._optics import optics, source_rows
from nuanalysis.detector._records import Detector, Light
from nuanalysis.detector._table import LightTable
from nuanalysis.schema import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class EventCharges:
    """Expected charges of the modules that see light, flat, in each event by module.

    module (seen,).  charge (seen,) : photoelectrons, without noise.  start (event + 1,).
    """

    module: Ints
    charge: Floats
    start: Ints


def event_charges(detector: Detector, table: LightTable, light: Light) -> EventCharges:
    """Expected photoelectrons of each module from each event's sources.

    Linear in photons, and a sum over sources.  Pairs of a source and a module further apart than 220 to 600 m, by the
    source's photons, or with less than 1e-6 photoelectrons are left out; dead modules see nothing.
    """
    seen = optics(detector, table)
    of = source_rows(light, seen.ice)
    charge, by_index = np.empty(len(seen.modules.numbers)), np.argsort(seen.modules.numbers)
    module, charges, start = [np.empty(0, np.int64)], [np.empty(0)], [0]
    for begin, end in pairwise(light.start):
        event_means(seen, of, int(begin), int(end), charge)
        order = by_index[charge[by_index] > 0.0]
        module.append(seen.modules.numbers[order])
        charges.append(charge[order])
        start.append(start[-1] + len(order))
    return EventCharges(np.concatenate(module), np.concatenate(charges), np.array(start, dtype=np.int64))
