"""What a module receives from a source of light in ice, as records of arrays.

All lengths are in effective scattering lengths of the ice: one table serves every layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.detector._records import Singles
from nuanalysis.errors import InputError
from nuanalysis.schema import Floats, Ints

#: Absorption over effective scattering lengths at which a table is kept.
RATIOS = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)
#: Steps of the probabilities at which delays are kept: ``probabilities`` has one more.
STEPS = 32


def probabilities() -> Floats:
    """Probabilities of the delays of a table, (33,) from 0 to 1: sin^2 of even steps, so finer at both ends."""
    return np.asarray(np.sin(0.5 * np.pi * np.arange(STEPS + 1) / STEPS) ** 2)


@dataclass(frozen=True, slots=True, eq=False)
class PhotonSums:
    """Sums over photons first to last - 1 of one seed and emission; those of other numbers can be added.

    cone : True for a bare Cherenkov cone, False for the broad emission of a cascade.  photons : how many.
    path (r, cos, delay) : their lengths in each bin; moment : the same times the cosine between their motion and
    the line of sight; both in units of 2^-32 effective scattering lengths.  total : all their length, also outside.
    """

    cone: bool
    seed: int
    photons: int
    path: Ints
    moment: Ints
    total: int

    def __add__(self, other: PhotonSums) -> PhotonSums:
        if (self.cone, self.seed) != (other.cone, other.seed):
            raise InputError(
                f"these sums are of (cone, seed) {(self.cone, self.seed)} and {(other.cone, other.seed)}; "
                "add those of one emission and seed"
            )
        path, moment = self.path + other.path, self.moment + other.moment
        total = self.total + other.total
        return PhotonSums(self.cone, self.seed, self.photons + other.photons, path, moment, total)


@dataclass(frozen=True, slots=True, eq=False)
class LightTable:
    """Light of a point source at a module, in homogeneous ice, per emitted photon.

    The first axis of what is tabled is 0 for the broad emission of a cascade, 1 for a bare Cherenkov cone.
    radius (r,) : distances, rising.  cosine (c,) : of the angle between the source's axis and the line from it to the
    module, rising.  ratio (ratio,) : absorption over effective scattering length, rising.
    log_fluence (2, ratio, r, c) : ln of the fluence, per square of the effective scattering length.
    direction (2, ratio, r, c) : mean cosine between the photons' motion and that line.
    delay (2, ratio, r, c, 33) : behind light that would go straight, at ``probabilities``.
    photons : followed for each emission.  seed : of them.
    """

    radius: Floats
    cosine: Floats
    ratio: Floats
    log_fluence: Singles
    direction: Singles
    delay: Singles
    photons: int
    seed: int
