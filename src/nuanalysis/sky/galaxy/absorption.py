"""Gamma rays that meet the microwave background on their way and make pairs.

Dust and starlight take more of them, towards the Centre an estimated tenth or two near 100 TeV; no table of those
fields is at hand, so they are left out and every result says so.
"""

from __future__ import annotations

import numpy as np

from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy.sources import KPC_CM

TEMPERATURE = 2.725  # K
ELECTRON_MASS = 0.51099895e6  # eV
THOMSON = 6.6524587e-25  # cm^2
BOLTZMANN = 8.617333e-5  # eV / K
HBAR_C = 1.9732698e-5  # eV cm
MEDIUM = "microwave background alone; dust and starlight are left out"
_N_PHOTONS, _N_ENERGIES = 1000, 4000


def pair_cross_section(beta: Floats) -> Floats:
    """gamma gamma -> e+ e- in cm^2 at the velocity of the electrons in their common frame, 0 <= beta < 1; any shape.

    (3/16) sigma_T (1 - beta^2) [(3 - beta^4) ln((1 + beta) / (1 - beta)) - 2 beta (2 - beta^2)];
    Breit & Wheeler (1934).
    """
    square = beta**2
    bracket = (3.0 - square**2) * (2.0 * np.arctanh(beta)) - 2.0 * beta * (2.0 - square)
    return np.asarray(3.0 / 16.0 * THOMSON * (1.0 - square) * bracket)


def mean_free_path(log10_energy: Floats) -> Floats:
    """Mean free path of gamma rays in the microwave background, kpc, at log10(E/GeV), (energy,).

    1/lambda = 1/(8 E^2) int d eps n(eps) / eps^2 int_{4 m^2}^{4 E eps} ds s sigma(s), n a black body of 2.725 K
    (Gould & Schreder, Phys. Rev. 155, 1404, 1967).  Photons to 60 kT; infinite where none of them reaches threshold.
    Trapezoid rule in ln(eps) and ln(s): right to 1e-3.
    """
    energy = 10.0 ** np.asarray(log10_energy, dtype=np.float64)[:, None] * 1e9  # eV
    thermal = BOLTZMANN * TEMPERATURE
    log_photon = np.linspace(np.log(1e-4 * thermal), np.log(60.0 * thermal), _N_PHOTONS)
    photon = np.exp(log_photon)
    with np.errstate(over="ignore"):
        black_body = photon**2 / (np.pi**2 * HBAR_C**3 * np.expm1(photon / thermal))
    log_s, integral = _inner_integral()
    log_most = np.log(4.0 * energy * photon)
    inner = np.where(log_most > log_s[0], np.interp(log_most, log_s, integral), 0.0)
    rate = np.trapezoid(black_body / photon * inner, log_photon, axis=-1) / (8.0 * energy[:, 0] ** 2)
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / rate / KPC_CM)


def survival(distance: Floats, log10_energy: Floats) -> Floats:
    """Share of gamma rays that come through a distance in kpc, (energy, distance)."""
    return np.asarray(np.exp(-np.asarray(distance) / mean_free_path(log10_energy)[:, None]))


def _inner_integral() -> tuple[Floats, Floats]:
    """ln(s / eV^2) from threshold, and int_{4 m^2}^s ds' s' sigma(s') there, eV^4 cm^2."""
    above = np.concatenate([[0.0], np.logspace(-8.0, np.log10(np.log(1e9)), _N_ENERGIES)])  # ln(s / 4 m^2)
    beta = np.sqrt(-np.expm1(-above))
    s = 4.0 * ELECTRON_MASS**2 * np.exp(above)
    value = s**2 * pair_cross_section(beta)  # s sigma ds = s^2 sigma dln(s)
    steps = 0.5 * (value[1:] + value[:-1]) * np.diff(above)
    return np.log(s), np.concatenate([[0.0], np.cumsum(steps)])
