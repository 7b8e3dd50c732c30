"""Neutrinos from everywhere alike: the diffuse astrophysical flux."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.sky.records import PowerLaw, Template, factorised
from nuanalysis.sky.templates._recipe import Recipe, built_in, index_parameter

# E^2 dN/dE at 100 TeV is 1.66e-18 GeV^-1 cm^-2 s^-1 sr^-1, per flavour, with index 2.53 there.
REFERENCE = "uniform; index of IceCube Collaboration, Phys. Rev. Lett. 125, 121104 (2020), arXiv:2001.09520"


@dataclass(frozen=True, slots=True)
class Parameters:
    """Its spectrum."""

    index: float = index_parameter(2.53)


def make(parameters: Parameters, nside: int) -> Template:
    """The isotropic template."""
    density = np.full(12 * nside**2, 1 / (4 * np.pi))
    density.flags.writeable = False
    return built_in("isotropic", "isotropic", factorised(density), PowerLaw(parameters.index), REFERENCE)


RECIPE = Recipe("isotropic", "the same from all directions", REFERENCE, Parameters, make)
