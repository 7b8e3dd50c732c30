"""What a gas model is: parts that add up, each of one phase."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nuanalysis.schema import Floats

Density = Callable[[Floats, Floats, Floats], Floats]


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the gas.

    phase   : 'HI' (atoms), 'H2' (molecules) or 'HII' (ions).
    density : function of (x, y, z) in kpc, any one shape; hydrogen **nuclei** per cm^3.
    bound   : 0 where the density is the same all around the axis and on both sides of the plane; else the radius in
        kpc beyond which it vanishes.
    """

    phase: str
    density: Density
    bound: float = 0.0


@dataclass(frozen=True, slots=True)
class Gas:
    """A model of the interstellar hydrogen."""

    parts: tuple[Part, ...]
    reference: str

    def phase(self, name: str) -> Gas:
        """One phase of the model."""
        return Gas(tuple(part for part in self.parts if part.phase == name), self.reference)

    def without(self, name: str) -> Gas:
        """All phases of the model but one."""
        return Gas(tuple(part for part in self.parts if part.phase != name), self.reference)

    def density(self, x: Floats, y: Floats, z: Floats) -> Floats:
        """Hydrogen nuclei per cm^3 at (x, y, z) in kpc."""
        return np.asarray(sum((part.density(x, y, z) for part in self.parts), start=np.zeros(np.shape(x))))


def around(density: Callable[[Floats, Floats], Floats]) -> Density:
    """A density of (R, z) as one of (x, y, z)."""
    return lambda x, y, z: density(np.hypot(x, y), z)


def layer(z: Floats, height: Floats) -> Floats:
    """Gaussian layer relative to its midplane: 1/2 at z = height."""
    return np.asarray(np.exp(-np.log(2.0) * (z / height) ** 2))
