"""Neutrinos and gamma rays made per hydrogen atom: cosmic rays x yields."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy.cosmic_rays import LocalSpectrum
from nuanalysis.sky.galaxy.yields import Yields

POINTS_PER_DECADE = 20  # of the integral over cosmic rays
DECADES_ABOVE = 3.0  # a cosmic ray that makes a neutrino of E has at most 1000 E


def local(log10_energy: Floats, cosmic_rays: LocalSpectrum, yields: Yields) -> Floats:
    """Emissivity per hydrogen atom at the Sun, (energy,); see ``everywhere``."""
    here = everywhere(log10_energy, cosmic_rays, yields, lambda rigidity: np.ones((len(rigidity), 1)))
    return np.asarray(here[0])


def everywhere(
    log10_energy: Floats, cosmic_rays: LocalSpectrum, yields: Yields, relative: Callable[[Floats], Floats]
) -> Floats:
    """Emissivity per hydrogen atom, (place, energy): GeV^-1 s^-1 sr^-1, nu + nubar, one flavour.

    log10_energy : (energy,) of the neutrino, GeV.
    relative     : of log10(rigidity / GV), (rigidity,): the density of cosmic rays relative to the Sun's,
        (rigidity, place).
    Oscillations over Galactic distances leave a third of all flavours in each, to about a tenth.
    The trapezoid rule in log E of the nucleons.
    """
    return _made(log10_energy, cosmic_rays, yields.cross_section, relative) / 3.0


def local_gamma_rays(log10_energy: Floats, cosmic_rays: LocalSpectrum, yields: Yields) -> Floats:
    """Gamma rays per hydrogen atom at the Sun, (energy,): GeV^-1 s^-1 sr^-1, of the same collisions as ``local``."""
    made = _made(log10_energy, cosmic_rays, yields.gamma_rays, lambda rigidity: np.ones((len(rigidity), 1)))
    return np.asarray(made[0])


def _made(
    log10_energy: Floats,
    cosmic_rays: LocalSpectrum,
    cross_section: Callable[[int, Floats, Floats], Floats],
    relative: Callable[[Floats], Floats],
) -> Floats:
    """All that is made with these cross sections, (place, energy); see ``everywhere``."""
    low, high = float(np.min(log10_energy)), float(np.max(log10_energy)) + DECADES_ABOVE
    at = np.linspace(low, high, 1 + int(np.ceil((high - low) * POINTS_PER_DECADE)))
    per_nucleon, width = 10.0**at, np.log(10.0) * (at[1] - at[0])
    total = np.zeros(1)
    for nucleus in cosmic_rays.nuclei:
        flux = nucleus.mass * nucleus.flux(nucleus.mass * per_nucleon)  # per GeV of a nucleon
        made = cross_section(nucleus.mass, per_nucleon, 10.0 ** np.asarray(log10_energy))
        density = relative(at + np.log10(nucleus.mass / nucleus.charge))
        total = total + made @ ((flux * per_nucleon * width)[:, None] * density)
    return np.asarray(total.T)
