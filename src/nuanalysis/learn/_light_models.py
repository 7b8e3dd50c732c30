"""Light of a cascade at a module, for likelihoods: one protocol, and the photon table as the model that knows best.

All that light depends on are a pair's distance, the cosine of its angle to the axis, and the two heights.  So whatever
the model, an event may be shifted in time, moved in x and y, turned about z, made brighter, or be one of two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nuanalysis.detector import (
    HOLE_ICE,
    LIGHT_SPEED,
    MODULE_AREA,
    Ice,
    IceGrid,
    KernelTable,
    LightTable,
    Pairs,
    ice_grid,
    kernel_table,
    probabilities,
)
from nuanalysis.learn._table_light_kernels import delay_densities, log_yields
from nuanalysis.schema import Floats, Ints

#: Of the time at which a module counts a photoelectron, as the scale of a logistic law: its rms is 2.1 ns, that of
#: half-Gaussians of 1.2 and 2.7 ns (IceCube, Nucl. Instrum. Meth. A 618, 139, 2010, arXiv:1002.2442).
JITTER = 1.15


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """Derivatives of one number with respect to what light depends on.

    distance, cosine, source (pair,) : of each pair; ``source`` is its height.  delay (pulse,) : of each pulse, 1/ns.
    """

    distance: Floats
    cosine: Floats
    source: Floats
    delay: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a model says of pairs and pulses.

    log_yield (pair,) : ln of the photoelectrons expected for each accepted photon, at a module of efficiency 1.
    density (pulse,) : of its delay, 1/ns.  pull : from the derivatives of a number with respect to the two, its slopes.
    """

    log_yield: Floats
    density: Floats
    pull: Callable[[Floats, Floats], Slopes]


class LightModel(Protocol):
    """Anything that tells the light of a point-like cascade."""

    def look(self, pairs: Pairs, of: Ints, delay: Floats) -> Look:
        """Light of pairs, and of pulses: of (pulse,) is the pair of each, rising; delay (pulse,) ns.

        A delay is behind light that goes straight from the source to the module.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class TableLight:
    """The photon table as a light model: what no approximation of it can surpass."""

    table: KernelTable
    ice: IceGrid

    def look(self, pairs: Pairs, of: Ints, delay: Floats) -> Look:
        """See ``LightModel``.  Slopes are those of the interpolation; they jump where a pair changes its cell."""
        yields = np.empty((4, len(pairs.distance)))
        where = pairs.distance, pairs.source, pairs.module, pairs.cosine
        log_yields(self.table, self.ice, where, HOLE_ICE, yields)
        yields[0] += np.log(MODULE_AREA)
        densities = np.empty((5, len(delay)))
        law = np.diff(probabilities()), (JITTER, 1.0 / LIGHT_SPEED)
        delay_densities(self.table, self.ice, where, law, of, delay, densities)

        def pull(by_yield: Floats, by_density: Floats) -> Slopes:
            n = len(by_yield)
            first, second, third = (
                by_yield * yields[i] + np.bincount(of, by_density * densities[i], n) for i in (1, 2, 3)
            )
            return Slopes(first, second, third, by_density * densities[4])

        return Look(yields[0], densities[0], pull)


def table_light(table: LightTable, ice: Ice) -> TableLight:
    """The light model that reads the photon table."""
    return TableLight(kernel_table(table), ice_grid(ice))
