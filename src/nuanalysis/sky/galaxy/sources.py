"""How the sources of cosmic rays are spread over the Milky Way: surface density at R in kpc, any unit.

To add a law: write the function, add a line to ``SOURCES``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy._frame import R_SUN


@dataclass(frozen=True, slots=True)
class Law:
    """A surface density of sources: function of R (n,) in kpc, any unit, and where it is from."""

    density: Callable[[Floats], Floats]
    reference: str


def lorimer_2006(radius: Floats) -> Floats:
    """Pulsars."""
    return _gamma_law(radius, rise=1.9, fall=5.0)


def case_1998(radius: Floats) -> Floats:
    """Supernova remnants."""
    return _gamma_law(radius, rise=2.0, fall=3.53)


def green_2015(radius: Floats) -> Floats:
    """Bright supernova remnants, corrected for selection."""
    return _gamma_law(radius, rise=1.09, fall=3.87)


def yusifov_2004(radius: Floats) -> Floats:
    """Pulsars; unlike the laws above not zero at the Centre."""
    x = (radius + 0.55) / (R_SUN + 0.55)
    return np.asarray(x**1.64 * np.exp(-4.01 * (radius - R_SUN) / (R_SUN + 0.55)))


def ferriere_2001(radius: Floats) -> Floats:
    """Supernovae of types II and I summed over all heights, per kpc^2 and Myr."""
    core = np.where(
        radius > 3.7, 50.0 * np.exp(-(radius**2 - R_SUN**2) / 6.8**2), 177.5 * np.exp(-(((radius - 3.7) / 2.1) ** 2))
    )
    thickness = 1.772 * (0.79 * 0.212 + 0.21 * 0.636)  # sqrt(pi) x the two heights of type II, kpc
    return np.asarray(thickness * core + 0.65 * 7.3 * np.exp(-(radius - R_SUN) / 4.5))


def _gamma_law(radius: Floats, *, rise: float, fall: float) -> Floats:
    return np.asarray((radius / R_SUN) ** rise * np.exp(-fall * (radius - R_SUN) / R_SUN))


SOURCES: dict[str, Law] = {
    "case-1998": Law(case_1998, "Case & Bhattacharya, ApJ 504, 761 (1998)"),
    "lorimer-2006": Law(lorimer_2006, "Lorimer et al., MNRAS 372, 777 (2006)"),
    "green-2015": Law(green_2015, "Green, MNRAS 454, 1517 (2015)"),
    "yusifov-2004": Law(yusifov_2004, "Yusifov & Kucuk, A&A 422, 545 (2004)"),
    "ferriere-2001": Law(ferriere_2001, "Ferriere, Rev. Mod. Phys. 73, 1031 (2001)"),
}
