"""How cosmic rays spread from their sources: steady diffusion in a cylinder, relative to the density at the Sun."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.errors import InputError
from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy.sources import HALO_RADIUS, R_SUN, Law

SOURCE_HEIGHT = 0.2  # kpc; sources fall as exp(-|z| / this)
FROZEN_BEYOND = 11.0  # kpc; delta stays as it is there
N_RADII, N_HEIGHTS = 100, 40
# Knots in rigidity; the density relative to the Sun is close to a power of the rigidity between them.
LOG10_RIGIDITIES = np.array([0.6, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5])


@dataclass(frozen=True, slots=True)
class Diffusion:
    """D ~ (rigidity / pivot)^delta(R) exp(|z| / z_t) with delta(R) = slope R + centre, in a halo of a given height.

    A common factor of D cancels, and so does a delta that is the same everywhere (slope = 0): then one density holds
    for all rigidities.
    slope            : per kpc.    centre : delta at R = 0.
    vertical_scale   : z_t in kpc; 0 for a D that is the same at all heights.
    log10_pivot      : log10(rigidity / GV) at which D is the same everywhere; 4 GV as in the KRA models.
    halo_height      : kpc, where cosmic rays leave; they leave at R = 20 kpc as well.
    """

    slope: float = 0.0
    centre: float = 0.5
    vertical_scale: float = 0.0
    log10_pivot: float = float(np.log10(4.0))
    halo_height: float = 4.0

    def __post_init__(self) -> None:
        if not (self.halo_height > 0 and self.vertical_scale >= 0):
            raise InputError(
                f"the halo has height {self.halo_height:g} and vertical scale {self.vertical_scale:g} kpc; expected a "
                "height above 0 and a scale of 0 (none) or more"
            )


def relative_density(sources: Law, diffusion: Diffusion, radius: Floats, log10_rigidity: Floats) -> Floats:
    """Density of cosmic rays in the plane relative to that at the Sun, (rigidity, radius).

    radius : (radius,) kpc; zero at 20 kpc and beyond.    log10_rigidity : (rigidity,) of GV.
    Solved at nine rigidities; the logarithm is interpolated linearly between them, and stays beyond them.
    """
    at = LOG10_RIGIDITIES if diffusion.slope else LOG10_RIGIDITIES[:1]
    solved = np.log(np.stack([_read(solve(sources, diffusion, float(x)), radius) for x in at]))
    logarithms = np.stack([np.interp(log10_rigidity, at, column) for column in solved.T], axis=1)
    return np.asarray(np.exp(logarithms) * (radius < HALO_RADIUS))


def solve(sources: Law, diffusion: Diffusion, log10_rigidity: float) -> Floats:
    """Density of cosmic rays in the plane at the centres of 100 rings of 0.2 kpc, any unit, at log10(rigidity / GV).

    0 = (1/R) d/dR (R D dn/dR) + d/dz (D dn/dz) + Q in 0 < R < 20 kpc, 0 < z < halo height, with Q = sources(R) x
    exp(-z / 0.2 kpc): finite volumes of 100 x 40 cells, D at a face the harmonic mean of its two cells; no flow through
    the axis and the plane; n = 0 at the outer faces.
    """

    width, step = HALO_RADIUS / N_RADII, diffusion.halo_height / N_HEIGHTS
    radius, height = _centres(N_RADII, width), _centres(N_HEIGHTS, step)
    d = _coefficient(diffusion, log10_rigidity, radius, height)
    source = sources.density(radius)[:, None] * np.exp(-height / SOURCE_HEIGHT)
    return np.asarray(
        scipy.sparse.linalg.spsolve(_operator(d, radius, width, step), source.ravel()).reshape(d.shape)[:, 0]
    )


def _centres(n: int, width: float) -> Floats:
    return np.asarray((np.arange(n) + 0.5) * width)


def _operator(d: Floats, radius: Floats, width: float, step: float) -> scipy.sparse.csc_matrix:
    """What flows out of each cell less what flows in, per volume, as a matrix on the cells (R, z), z fastest."""

    out = _upper_faces(d) * ((radius + width / 2) / (radius * width**2))[:, None]
    up = _upper_faces(d.T).T / step**2
    back, down = np.zeros_like(out), np.zeros_like(up)
    back[1:] = out[:-1] * (radius[:-1] / radius[1:])[:, None]  # the same flow, in the volume of the outer ring
    down[:, 1:] = up[:, :-1]
    cell = np.arange(d.size).reshape(d.shape)
    entries = (
        (cell, cell, out + back + up + down),
        (cell[:-1], cell[1:], -out[:-1]),
        (cell[1:], cell[:-1], -back[1:]),
        (cell[:, :-1], cell[:, 1:], -up[:, :-1]),
        (cell[:, 1:], cell[:, :-1], -down[:, 1:]),
    )
    rows, columns, values = (np.concatenate([entry[k].ravel() for entry in entries]) for k in range(3))
    return scipy.sparse.csc_matrix((values, (rows, columns)), shape=(d.size, d.size))


def _upper_faces(d: Floats) -> Floats:
    """D at the upper face of each cell along the first axis; the last face absorbs and is half a cell away."""
    return np.append(2 / (1 / d[:-1] + 1 / d[1:]), 2 * d[-1:], axis=0)


def _coefficient(diffusion: Diffusion, log10_rigidity: float, radius: Floats, height: Floats) -> Floats:
    """D in each cell, (radius, height), any unit."""
    delta = diffusion.slope * np.minimum(radius, FROZEN_BEYOND) + diffusion.centre
    # Relative to the Sun's: the powers alone would span many decades and only the ratio matters.
    delta = delta - (diffusion.slope * R_SUN + diffusion.centre)
    rise = height / diffusion.vertical_scale if diffusion.vertical_scale else np.zeros_like(height)
    return np.asarray(10.0 ** (delta * (log10_rigidity - diffusion.log10_pivot))[:, None] * np.exp(rise))


def _read(in_plane: Floats, radius: Floats) -> Floats:
    """The density of ``solve`` at any radius below 20 kpc, 1 at the Sun."""
    width = HALO_RADIUS / N_RADII
    at = np.append(_centres(N_RADII, width), HALO_RADIUS)
    value = np.append(in_plane, 0.0)
    inside = np.minimum(radius, HALO_RADIUS - 1e-6)  # its logarithm is taken
    return np.asarray(np.interp(inside, at, value) / np.interp(R_SUN, at, value))
