"""What the Earth leaves of a neutrino flux at the South Pole: density, column depth, cross-sections, transmission.

Density: PREM (Dziewonski & Anderson, Phys. Earth Planet. Inter. 25, 297, 1981), its ocean replaced by ice.
Cross-sections per nucleon of an isoscalar target: Cooper-Sarkar, Mertsch & Sarkar, JHEP 08 (2011) 042,
arXiv:1106.3723.  Mean inelasticities: rounded, after Gandhi et al., Astropart. Phys. 5, 81 (1996), hep-ph/9512364;
0.05 in them changes what comes of E^-2 by 0.5 per cent within a band.  The Glashow
resonance of electron antineutrinos is a Breit-Wigner of 4.9e-31 cm2 per electron at 6.3 PeV.

Neutral currents give the neutrino back with less energy, and so does the decay of the tau lepton that a charged current
of a tau neutrino makes.  Each hands on its mean fraction of the energy; the two other neutrinos of leptonic tau decays,
and the energy that a tau loses before it decays (under a per cent at 10 PeV), are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.response._atmosphere import read_table
from nuanalysis.schema import Floats

RADIUS_KM = 6371.0
DETECTOR_DEPTH_KM = 1.95  # of the middle of IceCube
_NUCLEONS_PER_GRAM = 6.02214076e23
# Outer radius of each shell, km, and density as a polynomial of radius over RADIUS_KM, g/cm3.
_SHELLS = np.array([
    (1221.5, 13.0885, 0.0, -8.8381, 0.0),
    (3480.0, 12.5815, -1.2638, -3.6426, -5.5281),
    (5701.0, 7.9565, -6.4761, 5.5283, -3.0807),
    (5771.0, 5.3197, -1.4836, 0.0, 0.0),
    (5971.0, 11.2494, -8.0298, 0.0, 0.0),
    (6151.0, 7.1089, -3.8045, 0.0, 0.0),
    (6346.6, 2.6910, 0.6924, 0.0, 0.0),
    (6356.0, 2.900, 0.0, 0.0, 0.0),
    (6368.0, 2.600, 0.0, 0.0, 0.0),
    (RADIUS_KM, 0.920, 0.0, 0.0, 0.0),
])  # fmt: skip
_PATH_STEPS = 2000  # along a line of sight; the column through the centre is then known to 1e-4
_COLUMN_STEPS = 256  # of column depth; the logarithm of the transmission is linear in between
_CROSS_SECTIONS = read_table("neutrino_cross_sections")  # E in GeV; pb: nu CC, nu NC, nubar CC, nubar NC
# Mean inelasticity at log10 E/GeV: of neutrinos and of antineutrinos.
_INELASTICITY = np.array([(3.0, 0.48, 0.38), (4.0, 0.42, 0.37), (5.0, 0.35, 0.34), (6.0, 0.28, 0.28)])
_TAU_HANDS_ON = 0.4  # mean fraction of a tau's energy that its tau neutrino takes; 0.3 and 0.5 fit the areas alike
_W_MASS, _W_WIDTH, _ELECTRON_MASS = 80.38, 2.085, 0.511e-3  # GeV
_GLASHOW_PEAK, _ELECTRONS_PER_NUCLEON = 4.9e-31, 0.5


def density(radius_km: Floats) -> Floats:
    """Density in g/cm3 at a distance from the centre, (...,) km; 0 outside of the Earth."""
    r = np.asarray(radius_km, dtype=np.float64)
    shell = np.minimum(np.searchsorted(_SHELLS[:, 0], r), len(_SHELLS) - 1)
    x, (a, b, c, d) = r / RADIUS_KM, np.moveaxis(_SHELLS[shell, 1:], -1, 0)
    return np.where(r <= RADIUS_KM, a + x * (b + x * (c + x * d)), 0.0)


def column_depth(sin_dec: Floats, depth_km: float = DETECTOR_DEPTH_KM) -> Floats:
    """Matter between the surface and a detector at the South Pole, seen towards each declination, (dec,) g/cm2."""
    own, cos_zenith = RADIUS_KM - depth_km, -np.asarray(sin_dec, dtype=np.float64)[:, None]
    length = -own * cos_zenith + np.sqrt(RADIUS_KM**2 - own**2 * (1.0 - cos_zenith**2))
    path = length * (np.arange(_PATH_STEPS) + 0.5) / _PATH_STEPS
    radius = np.sqrt(own**2 + path**2 + 2.0 * own * path * cos_zenith)
    return np.asarray(density(radius).mean(axis=1) * length[:, 0] * 1e5)


def cross_sections(log10_energy: Floats) -> Floats:
    """Charged and neutral current of neutrinos, then of antineutrinos, (4, energy) cm2 per nucleon; 100 GeV to 10 PeV.

    Logarithms are linear in log E between the entries of the table, and constant outside of them.
    """
    at, table = np.log10(_CROSS_SECTIONS[:, 0]), np.log(_CROSS_SECTIONS[:, 1:])
    return np.array([1e-36 * np.exp(np.interp(log10_energy, at, column)) for column in table.T])


def inelasticity(log10_energy: Floats) -> Floats:
    """Mean inelasticity of neutrinos and of antineutrinos, (2, energy); constant below 1 TeV and above 1 PeV."""
    at, *mean = _INELASTICITY.T
    return np.array([np.interp(log10_energy, at, y) for y in mean])


def glashow(log10_energy: Floats) -> Floats:
    """Resonant cross-section of electron antineutrinos on the electrons of matter, (energy,) cm2 per nucleon."""
    s, m2 = 2.0 * _ELECTRON_MASS * 10.0**log10_energy, _W_MASS**2
    shape = (s / m2) * m2 * _W_WIDTH**2 / ((s - m2) ** 2 + m2 * _W_WIDTH**2)
    return np.asarray(_GLASHOW_PEAK * _ELECTRONS_PER_NUCLEON * shape)


@dataclass(frozen=True, slots=True)
class Flavours:
    """Parts of a sample's events that are of each flavour, neutrinos and antineutrinos together; they sum to 1."""

    electron: float
    muon: float
    tau: float


@dataclass(frozen=True, slots=True, eq=False)
class _Kind:
    """A kind of neutrino: cross-sections and mean fraction handed on by a neutral current, (energy,) each.

    tau : of a charged current's, 0 where it ends the neutrino.
    """

    share: Floats
    charged: Floats
    neutral: Floats
    kept: Floats
    tau: float = 0.0


def _kinds(log10_energy: Floats, flavours: Flavours) -> tuple[_Kind, ...]:
    nu_cc, nu_nc, bar_cc, bar_nc = cross_sections(log10_energy)
    nu, bar = nu_cc + nu_nc, bar_cc + bar_nc
    kept, kept_bar = 1.0 - inelasticity(log10_energy)
    part = nu / (nu + bar)  # equal fluxes: the detector sees them by cross-section
    light = flavours.electron + flavours.muon
    return (
        _Kind(light * part, nu_cc, nu_nc, kept),
        _Kind(flavours.electron * (1 - part), bar_cc + glashow(log10_energy), bar_nc, kept_bar),
        _Kind(flavours.muon * (1 - part), bar_cc, bar_nc, kept_bar),
        _Kind(flavours.tau * part, nu_cc, nu_nc, kept, _TAU_HANDS_ON),
        _Kind(flavours.tau * (1 - part), bar_cc, bar_nc, kept_bar, _TAU_HANDS_ON),
    )


def _at_fraction(log10_energy: Floats, fraction: Floats) -> Floats:
    """Matrix that reads a function of energy at a fraction of each energy, (energy, energy); 0 below the lowest."""
    at = log10_energy + np.log10(fraction)
    reading = np.array([np.interp(at, log10_energy, row) for row in np.eye(len(log10_energy))]).T
    return np.where((at >= log10_energy[0])[:, None], reading, 0.0)


def _losses(kind: _Kind, log10_energy: Floats) -> Floats:
    """Change of what is seen of each energy with the column depth, (energy, energy) cm2/g."""
    change = -np.diag(kind.charged + kind.neutral)
    change += kind.neutral[:, None] * _at_fraction(log10_energy, kind.kept)
    if kind.tau:
        change += kind.charged[:, None] * _at_fraction(log10_energy, kind.kept * kind.tau)
    return np.asarray(change * _NUCLEONS_PER_GRAM)


def transmission(log10_energy: Floats, column: Floats, area: Floats, flavours: Flavours) -> Floats:
    """Events of a neutrino energy with matter in the way over those without it, (column, energy).

    log10_energy : rising in even steps, 100 GeV to 10 PeV; outside the Earth, as in an effective area.
    column : g/cm2.    area : (energy,) effective area without matter in the way, which weighs what comes back
    with less energy; only its shape counts.
    """
    top = max(float(np.max(column)), 1.0)
    steps = np.linspace(0.0, top, _COLUMN_STEPS + 1)
    total = np.zeros((len(column), len(log10_energy)))
    for kind in _kinds(log10_energy, flavours):
        one = scipy.linalg.expm(_losses(kind, log10_energy) * steps[1])
        seen = [np.asarray(area, dtype=np.float64)]
        for _ in steps[1:]:
            seen.append(one @ seen[-1])
        logarithm = np.log(np.maximum(np.array(seen) / area, 1e-300))
        total += kind.share * np.exp([np.interp(column, steps, column_of) for column_of in logarithm.T]).T
    return np.asarray(total)


def arriving(log10_energy: Floats, column: float, area: Floats, flavours: Flavours) -> Floats:
    """``transmission`` through one column split by the energy at the detector, (energy, energy there)."""
    seen = np.zeros((len(log10_energy), len(log10_energy)))
    for kind in _kinds(log10_energy, flavours):
        seen += kind.share[:, None] * scipy.linalg.expm(_losses(kind, log10_energy) * column)
    return np.asarray(seen * area / np.asarray(area)[:, None])
