"""How the sources of cosmic rays are spread over the Milky Way: surface density at R in kpc, any unit.

To add a law: write the function, add a line to ``SOURCES``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nuanalysis.schema import Floats

R_SUN = 8.5
HALO_RADIUS = 20.0  # cosmic rays are gone beyond
KPC_CM = 3.0856776e21


@dataclass(frozen=True, slots=True)
class Law:
    """A surface density of sources: function of R (n,) in kpc, any unit, and where it is from."""

    density: Callable[[Floats], Floats]
    reference: str


def yusifov_2004(radius: Floats) -> Floats:
    """Pulsars; unlike the other laws of pulsars not zero at the Centre."""
    x = (radius + 0.55) / (R_SUN + 0.55)
    return np.asarray(x**1.64 * np.exp(-4.01 * (radius - R_SUN) / (R_SUN + 0.55)))


def ferriere_2001(radius: Floats) -> Floats:
    """Supernovae of types II and I summed over all heights, per kpc^2 and Myr."""
    core = np.where(
        radius > 3.7, 50.0 * np.exp(-(radius**2 - R_SUN**2) / 6.8**2), 177.5 * np.exp(-(((radius - 3.7) / 2.1) ** 2))
    )
    thickness = 1.772 * (0.79 * 0.212 + 0.21 * 0.636)  # sqrt(pi) x the two heights of type II, kpc
    return np.asarray(thickness * core + 0.65 * 7.3 * np.exp(-(radius - R_SUN) / 4.5))


def _gamma_law(rise: float, fall: float) -> Callable[[Floats], Floats]:
    return lambda radius: np.asarray((radius / R_SUN) ** rise * np.exp(-fall * (radius - R_SUN) / R_SUN))


SOURCES: dict[str, Law] = {
    # Supernova remnants, pulsars, bright supernova remnants corrected for selection.
    "case-1998": Law(_gamma_law(2.0, 3.53), "Case & Bhattacharya, ApJ 504, 761 (1998)"),
    "lorimer-2006": Law(_gamma_law(1.9, 5.0), "Lorimer et al., MNRAS 372, 777 (2006)"),
    "green-2015": Law(_gamma_law(1.09, 3.87), "Green, MNRAS 454, 1517 (2015)"),
    "yusifov-2004": Law(yusifov_2004, "Yusifov & Kucuk, A&A 422, 545 (2004)"),
    "ferriere-2001": Law(ferriere_2001, "Ferriere, Rev. Mod. Phys. 73, 1031 (2001)"),
}
