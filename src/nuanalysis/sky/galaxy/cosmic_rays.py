"""Cosmic rays at the Sun: the flux of each group of nuclei.

To add a model: write the function, add a line to ``COSMIC_RAYS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from nuanalysis.schema import Floats


@dataclass(frozen=True, slots=True)
class Nucleus:
    """A group of nuclei, all taken as one.

    mass, charge : in units of the proton's.
    flux         : dN/dE at an energy **per nucleus** in GeV, any shape; per GeV cm^2 s sr.
    """

    mass: int
    charge: int
    flux: Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class LocalSpectrum:
    """The flux of all groups of nuclei at the Sun."""

    nuclei: tuple[Nucleus, ...]
    reference: str


# Gaisser, Astropart. Phys. 35, 801 (2012), table 1: a_ij in m^-2 s^-1 sr^-1 GeV^gamma and integral index gamma_ij of
# the groups p, He, CNO, Mg-Si, Fe (rows) in the populations 1 and 2; the third differs between H3a and H4a.
_GROUPS = ((1, 1), (4, 2), (12, 6), (27, 14), (56, 26))  # mass of the nucleus that AAfrag has for the group, charge
_FIRST = ((7860, 1.66), (3550, 1.58), (2200, 1.63), (1430, 1.67), (2120, 1.63))
_SECOND = ((20, 1.4), (20, 1.4), (13.4, 1.4), (13.4, 1.4), (13.4, 1.4))
_THIRD_H3A = ((1.7, 1.4), (1.7, 1.4), (1.14, 1.4), (1.14, 1.4), (1.14, 1.4))
_THIRD_H4A = ((200, 1.6), (0, 1.4), (0, 1.4), (0, 1.4), (0, 1.4))


def kra_like(log10_cutoff: float) -> LocalSpectrum:
    """Protons and helium after the hardening at 250 GeV per nucleon, with an exponential cut-off per nucleon.

    log10_cutoff : of the energy per nucleon in GeV.
    J_p = 0.786 E^-2.66, J_He = 0.355 E^-2.58: an own choice, no numbers of a KRA-gamma paper; of use above 1 TeV.
    """
    cutoff = 10.0**log10_cutoff
    nuclei = (
        Nucleus(1, 1, lambda energy: np.asarray(0.786 * energy**-2.66 * np.exp(-energy / cutoff))),
        Nucleus(4, 2, lambda energy: np.asarray(0.355 * energy**-2.58 * np.exp(-energy / (4 * cutoff)))),
    )
    return LocalSpectrum(nuclei, f"p and He at the Sun with a cut-off at {cutoff / 1e6:g} PeV per nucleon")


def _three_populations(name: str, third: tuple[tuple[float, float], ...], third_cutoff: float) -> LocalSpectrum:
    rows = zip(_GROUPS, _FIRST, _SECOND, third, strict=True)
    nuclei = tuple(
        Nucleus(mass, charge, partial(_sum_of_cut_offs, charge=charge, terms=terms, cutoffs=(4e6, 30e6, third_cutoff)))
        for (mass, charge), *terms in rows
    )
    return LocalSpectrum(nuclei, f"{name} of Gaisser, Astropart. Phys. 35, 801 (2012)")


def _sum_of_cut_offs(
    energy: Floats, *, charge: int, terms: list[tuple[float, float]], cutoffs: tuple[float, ...]
) -> Floats:
    per_m2 = sum(
        norm * energy ** (-index - 1) * np.exp(-energy / (charge * cutoff))
        for (norm, index), cutoff in zip(terms, cutoffs, strict=True)
    )
    return np.asarray(1e-4 * per_m2)


# Three populations with cut-offs at 4 PV, 30 PV and, of mixed mass, 2 EV (H3a) or, of protons alone, 60 EV (H4a).
COSMIC_RAYS: dict[str, LocalSpectrum] = {
    "h3a": _three_populations("H3a", _THIRD_H3A, 2e9),
    "h4a": _three_populations("H4a", _THIRD_H4A, 60e9),
}
