"""Neutrinos and gamma rays of proton collisions after Kelner, Aharonian & Bugayov, Phys. Rev. D 74, 034018 (2006).

Stated by its authors for protons of 0.1 TeV to 10^5 TeV; the formulas are continued above.  A nucleus counts as its
nucleons, each with its share of the energy.
"""

from __future__ import annotations

import numpy as np

from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy.yields._yield import HELIUM_PER_HYDROGEN, MB_CM2, Yields

# A proton on helium against a proton on hydrogen, yields weighted with E^-2.7: that of aafragpy 2.0.4 at 100 TeV (3.30
# at 1 TeV, 2.99 at 1 PeV).  Not 4: a proton that has hit one nucleon has little left for the others.
HELIUM_TARGET = 3.12


def cross_section(mass: int, per_nucleon: Floats, neutrino: Floats) -> Floats:
    """dsigma/dE_nu in cm^2 / GeV, (neutrino, primary); see ``Yields``."""
    x = neutrino[:, None] / per_nucleon
    log_tev = np.broadcast_to(np.log(per_nucleon / 1e3), x.shape)
    spectrum = np.zeros(x.shape)
    below = x < 1.0
    spectrum[below] = 2 * from_muons(x[below], log_tev[below])  # nu_e, and the nu_mu of the muon's decay
    below = x < 0.427
    spectrum[below] += from_pions(x[below], log_tev[below])
    return np.asarray(spectrum * _collisions(mass, per_nucleon) / per_nucleon)


def gamma_rays(mass: int, per_nucleon: Floats, energy: Floats) -> Floats:
    """dsigma/dE_gamma in cm^2 / GeV, (gamma ray, primary); see ``Yields``."""
    x = energy[:, None] / per_nucleon
    log_tev = np.broadcast_to(np.log(per_nucleon / 1e3), x.shape)
    spectrum = np.zeros(x.shape)
    below = x < 1.0
    spectrum[below] = from_neutral_mesons(x[below], log_tev[below])
    return np.asarray(spectrum * _collisions(mass, per_nucleon) / per_nucleon)


def _collisions(mass: int, per_nucleon: Floats) -> Floats:
    """Inelastic cross section of a nucleus with the gas, cm^2 per hydrogen atom."""
    gas = 1.0 + HELIUM_PER_HYDROGEN * HELIUM_TARGET
    return np.asarray(mass * gas * MB_CM2 * inelastic(per_nucleon))


def inelastic(energy: Floats) -> Floats:
    """Inelastic proton-proton cross section in mb at a proton's energy in GeV; eq. 79."""
    log_tev = np.log(energy / 1e3)
    return np.asarray((34.3 + 1.88 * log_tev + 0.25 * log_tev**2) * (1 - (1.22 / energy) ** 4) ** 2)


def from_muons(x: Floats, log_tev: Floats) -> Floats:
    """Spectrum F(x) of electron neutrinos, x = E_nu / E_p < 1, at ln(E_p / TeV); eqs. 62-65."""
    norm = 1 / (69.5 + 2.65 * log_tev + 0.3 * log_tev**2)
    beta = (0.201 + 0.062 * log_tev + 0.00042 * log_tev**2) ** -0.25
    k = (0.279 + 0.141 * log_tev + 0.0172 * log_tev**2) / (0.3 + (2.3 + log_tev) ** 2)
    lnx = np.log(x)
    return np.asarray(norm * (1 + k * lnx**2) ** 3 * (-lnx) ** 5 / (x * (1 + 0.3 / x**beta)))


def from_pions(x: Floats, log_tev: Floats) -> Floats:
    """Spectrum F(x) of muon neutrinos straight from the pion, x = E_nu / E_p < 0.427; eqs. 66-69."""
    y = x / 0.427
    norm = 1.75 + 0.204 * log_tev + 0.010 * log_tev**2
    beta = 1 / (1.67 + 0.111 * log_tev + 0.0038 * log_tev**2)
    k = 1.07 - 0.086 * log_tev + 0.002 * log_tev**2
    p = y**beta
    shape = norm * np.log(y) / y * ((1 - p) / (1 + k * p * (1 - p))) ** 4
    slope = 1 / np.log(y) - 4 * beta * p / (1 - p) - 4 * k * beta * p * (1 - 2 * p) / (1 + k * p * (1 - p))
    return np.asarray(shape * slope)


def from_neutral_mesons(x: Floats, log_tev: Floats) -> Floats:
    """Spectrum F(x) of gamma rays from pi0 and eta, x = E_gamma / E_p < 1; eqs. 58-61."""
    norm = 1.30 + 0.14 * log_tev + 0.011 * log_tev**2
    beta = 1 / (1.79 + 0.11 * log_tev + 0.008 * log_tev**2)
    k = 1 / (0.801 + 0.049 * log_tev + 0.014 * log_tev**2)
    p = x**beta
    shape = norm * np.log(x) / x * ((1 - p) / (1 + k * p * (1 - p))) ** 4
    slope = 1 / np.log(x) - 4 * beta * p / (1 - p) - 4 * k * beta * p * (1 - 2 * p) / (1 + k * p * (1 - p))
    return np.asarray(shape * slope)


YIELDS = Yields(cross_section, gamma_rays, "Kelner, Aharonian & Bugayov, Phys. Rev. D 74, 034018 (2006)")
