"""Neutrinos at the detector: how often they interact, what the Earth leaves of them, what an interaction hands out.

Cross-sections, columns and mean inelasticities are those of ``nuanalysis.response.earth``.  Left out: the angle between
neutrino and muon, the light of a tau before it decays (under 1e-3 of its cascades), neutrinos that a tau gives
back to the flux, and the rock under the ice, which is taken as ice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.detector._muons import ICE_DENSITY
from nuanalysis.detector._records import Kind
from nuanalysis.response import earth
from nuanalysis.schema import Bools, Floats, Ints

NUCLEONS_PER_M3 = 6.02214076e23 * ICE_DENSITY * 1e6
_NUCLEONS_PER_GRAM = 6.02214076e23
_HANDED_ON = 0.6  # of neutral currents that count as no loss; first order of what comes back with less energy
_COSINES = np.linspace(-1.0, 1.0, 801)
ELECTRON, MUON, TAU = 12, 14, 16
#: Particles that each kind is made of, with equal chances.
PARTICLES = {
    Kind.ELECTRON_CHARGED: (12, -12),
    Kind.NEUTRAL: (12, -12, 14, -14, 16, -16),
    Kind.TAU_CHARGED: (16, -16),
    Kind.MUON_STARTING: (14, -14),
    Kind.MUON_ENTERING: (14, -14),
    Kind.GLASHOW: (-12,),
}
TAU_DECAY_LENGTH = 49e-6  # m per GeV: c tau of 87.03 um over 1.777 GeV (Particle Data Group)
_TAU_TO_MUON, _TAU_TO_ELECTRON = 0.174, 0.178  # branching fractions (Particle Data Group)
_TAU_HADRONS = (2.6, 1.4)  # beta law of the visible part of hadronic decays, mean 0.65, ours
_W_TO_HADRONS, _W_TO_EACH = 0.674, 0.1086  # branching fractions (Particle Data Group)
_TOP = np.array([(3.0, 2.0), (6.0, 1.6)])  # log10 E and b of the beta law of the inelasticity, ours


def cross_section(log10_energy: Floats, pdg: Ints, kind: Ints) -> Floats:
    """Cross-section per nucleon of what an event of each kind is, (event,) m2."""
    nu_cc, nu_nc, bar_cc, bar_nc = earth.cross_sections(log10_energy)
    bar = pdg < 0
    charged, neutral = np.where(bar, bar_cc, nu_cc), np.where(bar, bar_nc, nu_nc)
    found = np.where(kind == Kind.NEUTRAL, neutral, charged)
    return np.asarray(1e-4 * np.where(kind == Kind.GLASHOW, earth.glashow(log10_energy), found))


@lru_cache(maxsize=4)
def _columns(depth_km: float) -> Floats:
    """Matter towards each of ``_COSINES``, g/cm2."""
    return earth.column_depth(-_COSINES, depth_km)


def survival(
    log10_energy: Floats, cos_zenith: Floats, pdg: Ints, *, handed_on: float = _HANDED_ON, depth_km: float = 1.95
) -> Floats:
    """Chance to come through the Earth, (event,): exp(-N X (sigma_CC + (1 - handed_on) sigma_NC)).

    ``handed_on`` : part of the neutral currents that counts as no loss; 0 gives what was never hit.  Electron
    antineutrinos meet the Glashow resonance as well.
    """
    nu_cc, nu_nc, bar_cc, bar_nc = earth.cross_sections(log10_energy)
    charged, neutral = (np.where(pdg < 0, b, n) for b, n in ((bar_cc, nu_cc), (bar_nc, nu_nc)))
    resonant = np.where(pdg == -ELECTRON, earth.glashow(log10_energy), 0.0)
    column = np.interp(cos_zenith, _COSINES, _columns(depth_km))
    return np.asarray(np.exp(-_NUCLEONS_PER_GRAM * column * (charged + resonant + (1.0 - handed_on) * neutral)))


def draw_inelasticity(log10_energy: Floats, pdg: Ints, u: Floats) -> Floats:
    """Inelasticity of each interaction, (event,): a beta law with the mean of ``earth.inelasticity``, u in [0, 1)."""
    of_nu, of_nubar = earth.inelasticity(log10_energy)
    mean = np.where(pdg < 0, of_nubar, of_nu)
    top = np.interp(log10_energy, *_TOP.T)
    return np.asarray(scipy.special.betaincinv(top * mean / (1.0 - mean), top, u))


@dataclass(frozen=True, slots=True, eq=False)
class Products:
    """What an interaction hands to particles that make light, GeV, (event,) each; 0 where there is none.

    hadronic, electromagnetic : cascades at the vertex.  muon : a muon from there.  later : a cascade at ``distance``
    (m) along the direction, ``later_hadronic`` or electromagnetic.  later_muon : a muon from there instead.
    """

    hadronic: Floats
    electromagnetic: Floats
    muon: Floats
    later: Floats
    later_hadronic: Bools
    later_muon: Floats
    distance: Floats


@lru_cache(maxsize=1)
def _lepton_fractions() -> tuple[Floats, Floats]:
    """Integral of 5/3 - 3 x^2 + 4/3 x^3, the energy of the lepton of a decay of a tau of no spin, and x."""
    x = np.linspace(0.0, 1.0, 513)
    return 5.0 / 3.0 * x - x**3 + x**4 / 3.0, x


def decay_tau(energy: Floats, u: Floats) -> tuple[Floats, Bools, Floats, Floats]:
    """What the decay of taus of ``energy`` GeV makes seen, of u (3, event) even in [0, 1).

    Returns (event,) each: energy of a cascade, whether it is hadronic, energy of a muon instead, and the length of
    flight in m.  A lepton takes 0.35 of the energy on average, hadrons 0.65.
    """
    muonic, electronic = u[0] < _TAU_TO_MUON, (u[0] >= _TAU_TO_MUON) & (u[0] < _TAU_TO_MUON + _TAU_TO_ELECTRON)
    lepton = np.interp(u[1], *_lepton_fractions())
    hadrons = scipy.special.betaincinv(*_TAU_HADRONS, u[1])
    seen = energy * np.where(muonic | electronic, lepton, hadrons)
    distance = -np.log1p(-u[2]) * TAU_DECAY_LENGTH * energy
    return np.where(muonic, 0.0, seen), ~(muonic | electronic), np.where(muonic, seen, 0.0), distance


def products(kind: Ints, energy: Floats, inelasticity: Floats, u: Floats) -> Products:
    """What interactions hand out, of u (5, event) even in [0, 1).

    At the Glashow resonance a W decays: into hadrons with all of the energy, or into a lepton of a part
    1 - u^(1/3), the law (1 - y)^2.
    """
    lepton = (1.0 - inelasticity) * energy
    glashow = kind == Kind.GLASHOW
    branch = (u[3] - _W_TO_HADRONS) / _W_TO_EACH
    emitted = np.where(branch < 0.0, 0.0, energy * (1.0 - np.cbrt(1.0 - u[4])))
    one, two = glashow & (branch >= 0.0) & (branch < 1.0), glashow & (branch >= 1.0) & (branch < 2.0)
    tau = (kind == Kind.TAU_CHARGED) | (glashow & (branch >= 2.0))
    muonic = (kind == Kind.MUON_STARTING) | (kind == Kind.MUON_ENTERING)
    outgoing = np.where(glashow, emitted, lepton)
    later, hadronic, muon, distance = decay_tau(np.where(tau, outgoing, 0.0), u[:3])
    return Products(
        hadronic=np.where(glashow, np.where(branch < 0.0, energy, 0.0), inelasticity * energy),
        electromagnetic=np.where((kind == Kind.ELECTRON_CHARGED) | one, outgoing, 0.0),
        muon=np.where(muonic | two, outgoing, 0.0),
        later=later,
        later_hadronic=hadronic,
        later_muon=muon,
        distance=distance,
    )
