"""The gas of the whole Milky Way, kept apart by distance from the axis: what the Galaxy emits, wherever one stands.

Beside ``sight``: there intensity = columns @ emissivity(knots), here luminosity = contents @ emissivity(knots), with
the same hats in R.
"""

from __future__ import annotations

import numpy as np

from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy import sight
from nuanalysis.sky.galaxy.gas import Gas
from nuanalysis.sky.galaxy.gas._gas import Part
from nuanalysis.sky.galaxy.sources import HALO_RADIUS, KPC_CM

N_RADII, N_HEIGHTS, N_AROUND = 400, 200, 72
FINEST_HEIGHT = 0.01  # kpc; heights are spaced as its sinh


def contents(gas: Gas, *, halo_height: float, weighted: bool = True, around: int = N_AROUND) -> Floats:
    """Hydrogen nuclei in the hat around each knot of ``sight.KNOTS``, (knot,), within 20 kpc of the axis.

    halo_height : kpc, where cosmic rays end.    weighted : times 1 - |z| / halo height, as in ``sight.columns``.
    around      : angles about the axis for gas that is not the same all around.
    Midpoint rule on 400 radii x 200 heights x 72 angles: against twice as many each it is right to 0.1 %.
    """
    radius, width = _midpoints(HALO_RADIUS, N_RADII)
    u, step = _midpoints(float(np.arcsinh(halo_height / FINEST_HEIGHT)), N_HEIGHTS)
    height = FINEST_HEIGHT * np.sinh(u)
    above = FINEST_HEIGHT * np.cosh(u) * step * KPC_CM
    if weighted:
        above = above * (1.0 - height / halo_height)
    surface = sum((_surface(part, radius, height, above, around) for part in gas.parts), start=np.zeros(N_RADII))
    in_rings = surface * 2.0 * np.pi * radius * width * KPC_CM**2
    return np.asarray(sight.onto_knots(radius[None], in_rings[None], sight.KNOTS)[0])


def _surface(part: Part, radius: Floats, height: Floats, above: Floats, around: int) -> Floats:
    """Nuclei per cm^2 of the disk at each radius, both sides of the plane, mean over the angle."""
    if not part.bound:
        angles, sides, within = np.zeros(1), [2.0], np.ones(len(radius), dtype=bool)
    else:
        angles, sides, within = _midpoints(2.0 * np.pi, around)[0], [1.0, -1.0], radius < part.bound
    found = np.zeros(len(radius))
    r, z = radius[within][:, None], height[None, :]
    for angle in angles:
        for side in sides:
            x, y = (np.broadcast_to(r * along, (len(r), len(height))) for along in (np.cos(angle), np.sin(angle)))
            density = part.density(x, y, np.broadcast_to(np.sign(side) * z, x.shape))
            found[within] += abs(side) * (density @ above) / len(angles)
    return found


def _midpoints(end: float, n: int) -> tuple[Floats, float]:
    return np.asarray((np.arange(n) + 0.5) * (end / n), dtype=np.float64), end / n
