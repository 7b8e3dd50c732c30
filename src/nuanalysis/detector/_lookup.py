"""What modules receive from sources of light: fluence, mean direction, delay, expected charge; many pairs at once.

Acceptance includes the ice of the refrozen holes; polynomials of ppc (IceCube collaboration).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nuanalysis.deferred import scipy
from nuanalysis.detector._ice import LIGHT_SPEED, IceGrid
from nuanalysis.detector._photons import tail_slope
from nuanalysis.detector._table import LightTable
from nuanalysis.detector._table_kernels import KernelTable, loop_accepted, loop_delay, loop_light
from nuanalysis.errors import InputError
from nuanalysis.schema import Bools, Floats

MODULE_RADIUS = 0.1651  # m
MODULE_AREA = np.pi * MODULE_RADIUS**2  # m2, of the disc that photons meet: 0.0856
#: Of 1, x, x^3, x^5, x^7; x the cosine between the photons' motion and up.  The newer of ppc's.
HOLE_ICE = np.array([0.34, 0.16, 0.88, -1.05, 0.35])
#: The older polynomial: the difference is the systematic uncertainty of the hole ice.
HOLE_ICE_OLDER = np.array([0.34, 0.21, 0.73, -0.90, 0.30])


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of a source and a module, (pair,) each.

    cone : emission on a bare Cherenkov cone.  distance : m.  source, module : heights z, m.  cosine : between the
    source's axis and the line from it to the module.
    """

    cone: Bools
    distance: Floats
    source: Floats
    module: Floats
    cosine: Floats


def pairs(position: Floats, axis: Floats, module: Floats, *, cone: bool) -> Pairs:
    """Pairs of sources and modules, (pair, 3) each in m, row by row; axis (pair, 3) of unit length.

    Raises InputError for rows that differ in number.
    """
    if not position.shape == axis.shape == module.shape or position.ndim != 2:
        raise InputError(f"shapes {position.shape}, {axis.shape}, {module.shape}; each pair has a row of 3 in each")
    line = module - position
    distance = np.linalg.norm(line, axis=1)
    cosine = np.clip((line * axis).sum(axis=1) / np.maximum(distance, 1e-12), -1.0, 1.0)
    return Pairs(np.full(len(line), cone), distance, position[:, 2].copy(), module[:, 2].copy(), cosine)


def kernel_table(table: LightTable) -> KernelTable:
    """The table as compiled loops take it."""
    radius, ratio = np.ascontiguousarray(table.radius), np.ascontiguousarray(table.ratio)
    arrays = [np.ascontiguousarray(one, dtype=np.float32) for one in (table.log_fluence, table.direction, table.delay)]
    cosine = np.ascontiguousarray(table.cosine)
    return KernelTable(radius, np.log(radius), cosine, ratio, ratio**-0.5, tail_slope(ratio), *arrays)


def fluence(table: KernelTable, ice: IceGrid, of: Pairs) -> tuple[Floats, Floats]:
    """Photons per m2 for each one emitted, and their mean cosine to the line of sight, (pair,) each.

    In layered ice the lengths are averaged along the straight line.
    """
    out = np.empty((2, len(of.distance)))
    loop_light(table, ice, of.cone.astype(np.int64), of.distance, of.source, of.module, of.cosine, out)
    return out[0], out[1]


def delay_quantile(table: KernelTable, ice: IceGrid, of: Pairs, u: Floats) -> Floats:
    """Delay behind light that goes straight, ns, at probabilities u (pair,) of 0 to 1."""
    if not ((u >= 0.0) & (u <= 1.0)).all():
        raise InputError("probabilities of delays lie from 0 to 1")
    out = np.empty(len(of.distance))
    loop_delay(table, ice, of.cone.astype(np.int64), of.distance, of.source, of.module, of.cosine, u, out)
    return out


def acceptance(up: ArrayLike, along: ArrayLike = 1.0, coefficients: Floats = HOLE_ICE) -> Floats:
    """Part of the photons on a module's disc that it counts, (...,): 0.68 from below, 0 from above, 0.34 on average.

    up : cosine between the line of sight, from the light to the module, and up.  along : mean cosine between the
    photons' motion and that line, 1 for light that goes straight.  About the line they are spread as a
    Henyey-Greenstein law; with it the acceptance of walks of photons is met to 1 % at 1 to 8 lengths, where
    the polynomial of along x up is 8 % low for light from below and 17 % high for light from above.
    """
    many = np.broadcast_arrays(np.clip(up, -1.0, 1.0), np.asarray(along, dtype=np.float64))
    out = np.empty(many[0].size)
    loop_accepted(coefficients, many[1].ravel(), many[0].ravel(), out)
    return out.reshape(many[0].shape)


def expected_charge(
    table: KernelTable,
    ice: IceGrid,
    of: Pairs,
    photons: Floats,
    *,
    efficiency: float = 1.0,
    hole_ice: Floats = HOLE_ICE,
) -> Floats:
    """Expected photoelectrons, (pair,); photons (pair,) : accepted ones of each source, as in ``Light``.

    Photons are taken to be spread about the line of sight evenly in azimuth.  They come rather from the side of the
    axis: that changes the charge by up to 20 % at one scattering length, 7 % at four, and averages out over azimuth.
    """
    per_area, along = fluence(table, ice, of)
    up = (of.module - of.source) / np.maximum(of.distance, MODULE_RADIUS)
    return np.asarray(photons * per_area * MODULE_AREA * acceptance(up, along, hole_ice) * efficiency)


def pandel(
    delay: Floats, distance: Floats, *, scattering: float = 33.3, time: float = 557.0, absorption: float = 98.0
) -> Floats:
    """Density of delays, 1/ns, at a distance from an isotropic source: the Pandel function, a gamma law.

    delay (...,) ns, above 0; distance (...,) m.  scattering, absorption : its lengths, m, and time : its tau, ns; the
    defaults are those fitted to AMANDA's ice (Ahrens et al., Nucl. Instrum. Meth. A 524, 169, 2004).
    """
    shape, rate = distance / scattering, 1.0 / time + LIGHT_SPEED / absorption
    return np.asarray(rate * np.exp((shape - 1.0) * np.log(rate * delay) - rate * delay - scipy.special.gammaln(shape)))
