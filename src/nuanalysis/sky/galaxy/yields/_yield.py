"""What a source of yields is: neutrinos and gamma rays of the same collisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nuanalysis.schema import Floats

HELIUM_PER_HYDROGEN = 0.096  # nuclei, in the gas
MB_CM2 = 1e-27


@dataclass(frozen=True, slots=True)
class Yields:
    """Neutrinos and gamma rays from one nucleus.

    gamma_rays    : as cross_section, dsigma/dE_gamma of the gamma rays; not summed with anything.
    cross_section : (mass of the nucleus, energy per nucleon (p,) GeV, neutrino energy (e,) GeV) -> (e, p), dsigma/dE_nu
        in cm^2 / GeV summed over the flavours, nu + nubar, per hydrogen atom of gas with its share of helium.
    """

    cross_section: Callable[[int, Floats, Floats], Floats]
    gamma_rays: Callable[[int, Floats, Floats], Floats]
    reference: str
