"""Molecules of Bronfman et al. and atoms of Ferriere, as joined in the DRAGON code (option 'BronfFerr').

The scale heights jump at R = 2.5 kpc; there is no ionised gas.
"""

from __future__ import annotations

import numpy as np

from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy.gas._gas import Gas, Part, around, layer


def atoms(radius: Floats, z: Floats) -> Floats:
    """Hydrogen nuclei in atoms at (R, z), cm^-3."""
    fall = np.minimum(radius - 3.0, 0.0) / 0.4 - np.maximum(radius - 13.0, 0.0) / 4.0  # none from 3 to 13 kpc
    midplane = 0.57 * np.exp(fall) + 8.0 * np.exp(-((radius / 0.2) ** 2))
    flared = 0.115 * np.exp((radius - 8.5) / 6.7)
    height = np.where(radius < 2.5, 0.045, np.where(radius < 8.5, 0.115, flared))
    return np.asarray(midplane * layer(z, height))


def molecules(radius: Floats, z: Floats) -> Floats:
    """Hydrogen nuclei in molecules, two in each, at (R, z), cm^-3."""
    midplane = (
        150.0 * np.exp(-(((radius - 0.05) / 0.2) ** 2))
        + 0.49 * np.exp(-(((radius - 5.3) / 2.2) ** 2))
        + 0.24 * np.exp(-(((radius - 8.1) / 1.5) ** 2))
    )
    return np.asarray(2.0 * midplane * layer(z, np.where(radius > 2.5, 0.059, 0.015)))


GAS = Gas(
    (Part("HI", around(atoms)), Part("H2", around(molecules))),
    "gas of Bronfman et al., ApJ 324, 248 (1988) and Ferriere, ApJ 497, 759 (1998) with the parameters of the DRAGON "
    "code",
)
