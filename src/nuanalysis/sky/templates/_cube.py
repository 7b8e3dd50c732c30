"""Maps at many energies, read in fields of the sky so that a large file never lies in memory as float64.

Thinning: where a file has more than six energies per decade, some of them become the nodes of the template.  Between
two nodes the weight of a node falls linearly in log10 E, as in ``Template``; a node's map is the mean of the maps of
all energies with this weight times the number of neutrinos of their energy bin.  So the number of neutrinos of every
pixel is the same before and after, and the spectrum keeps all energies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nuanalysis.schema import Floats
from nuanalysis.sky.templates._healpix import Census

NODES_PER_DECADE = 6
VALUES_PER_FIELD = 1 << 21  # 16 MB in float64


@dataclass(frozen=True, slots=True, eq=False)
class Summed:
    """A cube after one reading.

    maps   : (node, pixel) as ordered in the file, in no particular unit.
    totals : (energy,) sum over the pixels, in the file's unit.
    """

    maps: Floats
    totals: Floats
    census: Census


def thin(log10_energy: Floats) -> tuple[Floats, Floats]:
    """Nodes of the maps and what every energy gives to each of them.

    log10_energy : (energy,) rising.
    Returns log10 of the nodes' energies (node,): energies of the file, the first and the last among them, none closer
    than a sixth of a decade unless there is no other choice; and weights (node, energy) for dN/dE, the identity where
    no energy is left out.
    """
    least = 1.0 / NODES_PER_DECADE - 1e-6
    if np.all(np.diff(log10_energy) >= least):
        return log10_energy, np.eye(len(log10_energy))
    kept = [0]
    for number, x in enumerate(log10_energy):
        if x - log10_energy[kept[-1]] >= least:
            kept.append(number)
    last = len(log10_energy) - 1
    if kept[-1] != last:
        kept = [*(kept[:-1] if len(kept) > 1 else kept), last]
    nodes = log10_energy[kept]
    hats = np.array([np.interp(log10_energy, nodes, row) for row in np.eye(len(nodes))])
    # dN = E dN/dE dlnE: the widths of the trapezoidal rule in log10 E, times E.
    gaps = np.diff(log10_energy)
    widths = (np.append(gaps, 0.0) + np.append(0.0, gaps)) / 2
    return nodes, hats * widths * 10.0 ** (log10_energy - log10_energy[0])


def sum_up(field: Callable[[int, int], Floats], weights: Floats, n_pixels: int) -> Summed:
    """Read a cube once.

    field   : (first pixel, last pixel + 1) -> values (pixel, energy).
    weights : (node, energy), of the values as stored.
    """
    n_nodes, n_energies = weights.shape
    maps, totals, census = np.empty((n_nodes, n_pixels)), np.zeros(n_energies), Census()
    step = max(1, VALUES_PER_FIELD // n_energies)
    for start in range(0, n_pixels, step):
        stop = min(n_pixels, start + step)
        values = np.asarray(field(start, stop), dtype=np.float64)
        census = census.add(values)
        with np.errstate(invalid="ignore", over="ignore"):
            maps[:, start:stop] = weights @ values.T
            totals += values.sum(axis=0)
    return Summed(maps, totals, census)
