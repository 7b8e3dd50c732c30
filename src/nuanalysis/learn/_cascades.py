"""The hypothesis of the reconstruction: a cascade, its light along the axis, and small steps of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.detector import ACCEPTED_PER_METRE, SPEED_OF_LIGHT, Cascades, cascade_light, em_length
from nuanalysis.errors import InputError
from nuanalysis.schema import Floats

#: Accepted photons per GeV of an electromagnetic cascade.
PHOTONS_PER_GEV = ACCEPTED_PER_METRE * float(em_length(1.0))
PARAMETERS = ("x", "y", "z", "time", "log_energy", "across", "along")


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Where light is made along the axis.

    offset (part,) : m from the middle of all light.  share (part,) : of the light, adding up to 1.
    middle : distance of that middle from the vertex, m.
    """

    offset: Floats
    share: Floats
    middle: float


@dataclass(frozen=True, slots=True, eq=False)
class Cascade:
    """A cascade as a likelihood takes it.

    position (3,) : of the *middle of its light*, m.  time : there, ns.  log_energy : ln(E/GeV) of an electromagnetic
    cascade as bright.  direction (3,) : unit vector of motion.  basis (2, 3) : two unit vectors across it; steps of
    direction are along them.
    """

    position: Floats
    time: float
    log_energy: float
    direction: Floats
    basis: Floats

    @property
    def energy(self) -> float:
        """GeV."""
        return float(np.exp(self.log_energy))


def cascade(position: Floats, time: float, energy: float, direction: Floats) -> Cascade:
    """A cascade with some basis; energy in GeV.  Raises InputError for an energy or direction that is none."""
    direction = np.asarray(direction, dtype=np.float64)
    length = float(np.linalg.norm(direction))
    if not (energy > 0.0 and np.isfinite(energy) and length > 0.0):
        raise InputError(
            f"a cascade of {energy} GeV along {direction.tolist()}; give an energy above 0 and a direction"
        )
    unit = direction / length
    first = _cross(unit, np.eye(3)[np.argmin(np.abs(unit))])
    first /= np.linalg.norm(first)
    basis = np.stack([first, _cross(unit, first)])
    return Cascade(np.asarray(position, dtype=np.float64), float(time), float(np.log(energy)), unit, basis)


def _cross(one: Floats, other: Floats) -> Floats:
    """The vector product of two vectors (3,): ``numpy.cross`` takes ten times as long for so few numbers."""
    (a, b, c), (x, y, z) = one.tolist(), other.tolist()
    return np.array([b * z - c * y, c * x - a * z, a * y - b * x])


def moved(start: Cascade, step: Floats) -> Cascade:
    """A cascade after a step (7,) of ``PARAMETERS``: m, ns, ln E, rad.

    The direction becomes the unit vector along u + across e1 + along e2; the basis is carried along without turning, so
    that slopes before and after a step can be compared.
    """
    towards = start.direction + step[5:] @ start.basis
    unit = towards / np.linalg.norm(towards)
    total = start.direction + unit
    # The shortest turn from the old direction to the new one, applied to the basis.
    carried = start.basis - np.outer(start.basis @ unit / (1.0 + start.direction @ unit), total)
    return Cascade(
        start.position + step[:3], start.time + float(step[3]), start.log_energy + float(step[4]), unit, carried
    )


def profile(energy: float) -> Profile:
    """Light of an electromagnetic cascade as the simulation places it: 1, 3 or 5 parts; energy in GeV."""
    one = Cascades(np.array([energy]), np.zeros(1, bool), np.zeros((1, 3)), np.array([[0.0, 0.0, 1.0]]), np.zeros(1))
    sources = cascade_light(one, np.zeros(1))
    share = sources.photons / sources.photons.sum()
    along = sources.position[:, 2]
    middle = float(share @ along)
    return Profile(along - middle, share, middle)


def point_profile() -> Profile:
    """All light in one place: rough, and as quick as can be."""
    return Profile(np.zeros(1), np.ones(1), 0.0)


def vertex(of: Cascade) -> tuple[Floats, float]:
    """Place (3,) and time of the interaction: as far before the middle of the light as ``profile`` says."""
    back = profile(of.energy).middle
    return of.position - back * of.direction, of.time - back / SPEED_OF_LIGHT
