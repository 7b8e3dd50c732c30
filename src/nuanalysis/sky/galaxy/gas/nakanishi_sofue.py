"""Gas from the HI and CO surveys of Nakanishi & Sofue, in the analytic fit of arXiv:1607.07886, appendix C.

The layer of atoms is thick, and there is no ring of molecules at the Galactic Centre.
"""

from __future__ import annotations

import numpy as np

from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy.gas._gas import Gas, Part, around, layer


def atoms(radius: Floats, z: Floats) -> Floats:
    """Hydrogen nuclei in atoms at (R, z), cm^-3."""
    midplane = 0.94 * (0.6 * np.exp(-radius / 2.4) + 0.24 * np.exp(-(((radius - 9.5) / 4.8) ** 2)))
    height = 1.06e-3 * (116.3 + 19.3 * radius + 4.1 * radius**2 - 0.05 * radius**3)
    return np.asarray(midplane * layer(z, height))


def molecules(radius: Floats, z: Floats) -> Floats:
    """Hydrogen nuclei in molecules, two in each, at (R, z), cm^-3."""
    midplane = 0.94 * (11.2 * np.exp(-(radius**2) / 0.874) + 0.83 * np.exp(-(((radius - 4.0) / 3.2) ** 2)))
    height = 1.06e-3 * (10.8 * np.exp(0.28 * radius) + 42.78)
    return np.asarray(2.0 * midplane * layer(z, height))


GAS = Gas(
    (Part("HI", around(atoms)), Part("H2", around(molecules))),
    "gas of Nakanishi & Sofue, PASJ 55, 191 (2003) and PASJ 58, 847 (2006), fit of arXiv:1607.07886",
)
