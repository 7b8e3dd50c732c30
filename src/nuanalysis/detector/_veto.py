"""How often atmospheric neutrinos from above come without a muon of their own air shower: the self-veto.

Schoenert, Gaisser, Resconi & Schulz, Phys. Rev. D 79 (2009) 043009; Gaisser, Jero, Karle & van Santen, Phys. Rev. D 90
(2014) 023009, arXiv:1405.0525.  A shower of a nucleus of mass A and total energy E has

    N(> e) = a A f x^-p1 (1 - x^p3)^p2,    x = e A / E,    f = A / (E cos*) or, of charm, 1

muons or neutrinos above e.  The chance that none of its muons arrives, exp(-N), is averaged over the showers that could
have made the neutrino.  Muon neutrinos of pions and kaons come with the muon of the same decay as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.detector._fluxes import MASSES, primary
from nuanalysis.detector._muons import IONISATION, RADIATION
from nuanalysis.schema import Floats

_STEPS = 120  # of the primary energy, even in its logarithm
_HIGHEST = 4.5  # decades above the neutrino's energy
_TEV, _IONISED = 1000.0, IONISATION / RADIATION  # GeV; a/b
_BLOCK = 512  # events at a time: memory
_LEADING = np.geomspace(10.0, 1e6, 16)  # GeV, of ``leading_energy``


@dataclass(frozen=True, slots=True)
class Elbert:
    """Constants of the yield of a shower; ``charm`` where it does not know the zenith."""

    a: float
    p1: float
    p2: float
    p3: float
    charm: bool = False


MUONS = Elbert(49.419, 1.62586, 4.93827, 0.580386)
NUMU = Elbert(79.919, 1.46284, 4.37991, 0.316580)
NUE = Elbert(0.80524, 1.61852, 9.78345, 0.651269)
CHARM = Elbert(7.8035e-4, 0.604448, 7.34615, 0.766884, charm=True)


def effective_cosine(cos_zenith: Floats) -> Floats:
    """Cosine of the zenith where showers develop, any shape (Chirkin, hep-ph/0407078)."""
    x, b = np.asarray(cos_zenith, dtype=np.float64), 0.102573**2
    above = x**2 + b - 0.068287 * x**0.958633 + 0.0407253 * x**0.817285
    return np.asarray(np.sqrt(above / (1.0 + b - 0.068287 + 0.0407253)))


def surface_energy(left: Floats, overburden: Floats) -> Floats:
    """Energy at the surface of a muon that has ``left`` GeV after ``overburden`` m of ice, any shape.

    left exp(L / 2521.5 + 1e-8 L^2 / 7.138), as the published program has it for muons of a TeV and more.  It has no
    ionisation: below a TeV, (left + a/b) k - a/b with the k that agrees with it at a TeV (ours).
    """
    factor = np.exp(overburden / 2521.5 + overburden**2 * 1e-8 / 7.138)
    low = (left + _IONISED) * (_TEV * factor + _IONISED) / (_TEV + _IONISED) - _IONISED
    return np.asarray(np.where(np.asarray(left) < _TEV, low, left * factor))


def _cut(law: Elbert, x: Floats) -> Floats:
    return np.asarray(np.maximum(1.0 - x**law.p3, 0.0))


def number_above(law: Elbert, energy: Floats, primary_energy: Floats, mass: Floats, cosine: Floats) -> Floats:
    """Particles above ``energy`` in a shower, any shapes that go together."""
    x = energy * mass / primary_energy
    factor = 1.0 if law.charm else mass / (primary_energy * cosine)
    return np.asarray(law.a * mass * factor * x**-law.p1 * _cut(law, x) ** law.p2)


def _slope(law: Elbert, x: Floats) -> Floats:
    """-d/dx of x^-p1 (1 - x^p3)^p2."""
    cut = _cut(law, x)
    one = law.p1 * x ** -(law.p1 + 1.0) * cut**law.p2
    return np.asarray(one + law.p2 * law.p3 * x ** (law.p3 - 1.0 - law.p1) * cut ** (law.p2 - 1.0))


def number_at(law: Elbert, energy: Floats, primary_energy: Floats, mass: Floats, cosine: Floats) -> Floats:
    """-dN/dE of ``number_above``, per GeV."""
    factor = 1.0 if law.charm else mass / (primary_energy * cosine)
    return np.asarray(law.a * mass**2 * factor / primary_energy * _slope(law, energy * mass / primary_energy))


@dataclass(frozen=True, slots=True, eq=False)
class _Showers:
    """Showers that could have made neutrinos: (event, nucleus, step).

    share : of all neutrinos of an event.  energy : of the primary, GeV.  cosine (event,) : where they develop.
    """

    share: Floats
    energy: Floats
    cosine: Floats


def _showers(law: Elbert, energy: Floats, cosine: Floats) -> _Showers:
    steps = (np.arange(_STEPS) + 0.5) / _STEPS * _HIGHEST * np.log(10.0)
    e, c, mass = energy[:, None, None], cosine[:, None, None], MASSES[:, None]
    total = e * mass * np.exp(steps)
    flux = np.stack([primary(i, total[:, i]) for i in range(len(MASSES))], axis=1)
    x, scale = np.exp(-steps), mass**2 / total * (1.0 if law.charm else mass / (total * c))
    weight = flux * scale * _slope(law, x) * total
    return _Showers(weight / weight.sum(axis=(1, 2), keepdims=True), total, cosine)


def _without_muon(showers: _Showers, least: Floats) -> Floats:
    """Chance that no muon above ``least`` at the surface comes with neutrinos, (event,): other decays alone."""
    cosine = showers.cosine[:, None, None]
    muons = number_above(MUONS, least[:, None, None], showers.energy, MASSES[:, None], cosine)
    return np.asarray((showers.share * np.exp(-muons)).sum(axis=(1, 2)))


# Pions and kaons (Gaisser, Engel & Resconi, Cosmic Rays and Particle Physics, 2016): (m_mu/m)^2, spectrum-weighted
# moment times branching fraction, critical energy in GeV, attenuation length in g/cm2; of nucleons 120 g/cm2.
_PARENTS = ((0.573, 0.079, 115.0, 160.0), (0.0458, 0.0118 * 0.635, 850.0, 180.0))
_NUCLEONS, _GAMMA = 120.0, 1.7


def decay_passing(energy: Floats, cosine: Floats, least: Floats) -> Floats:
    """Chance that the muon of the decay that made a muon neutrino has less than ``least`` at the surface, (event,).

    A parent of energy z E makes a neutrino of E where z > 1/(1 - r), r = (m_mu/m)^2, and a muon of (z - 1) E.  Parents
    fall with z^-(gamma + 2) where all decay, and one power faster where most interact.
    """
    cut, total = np.zeros_like(energy), np.zeros_like(energy)
    for r, moment, critical, length in _PARENTS:
        interacting = (length - _NUCLEONS) / (length * np.log(length / _NUCLEONS))

        def beyond(z: Floats, r: float, moment: float, critical: float, interacting: float) -> Floats:
            decaying = moment / (1.0 - r) * z ** -(_GAMMA + 1.0) / (_GAMMA + 1.0)
            slower = (_GAMMA + 2.0) / (_GAMMA + 1.0) / interacting * z * energy * cosine / critical
            return np.asarray(decaying / (1.0 + slower))

        least_z = np.full_like(energy, 1.0 / (1.0 - r))
        total += beyond(least_z, r, moment, critical, interacting)
        cut += beyond(np.maximum(1.0 + least / energy, least_z), r, moment, critical, interacting)
    return np.asarray(1.0 - cut / total)


def _passing(law: Elbert, log10_energy: Floats, cos_zenith: Floats, overburden: Floats, left: Floats) -> Floats:
    """``passing`` for each of several energies left, (left, event)."""
    found = np.ones((len(left), len(log10_energy)))
    above = np.flatnonzero(np.asarray(cos_zenith) > 0.0)
    for use in np.array_split(above, max(1, -(-len(above) // _BLOCK))):
        energy, cosine = 10.0 ** log10_energy[use], effective_cosine(cos_zenith[use])
        showers = _showers(law, energy, cosine)
        for row, one in zip(found, left, strict=True):
            least = surface_energy(one, overburden[use])
            row[use] = _without_muon(showers, least)
            if law is NUMU:
                row[use] *= decay_passing(energy, cosine, least)
    return found


def passing(law: Elbert, log10_energy: Floats, cos_zenith: Floats, overburden: Floats, *, left: float) -> Floats:
    """Chance that an atmospheric neutrino comes without a muon that has ``left`` GeV at the detector, (event,).

    law : ``NUE``, ``NUMU`` or ``CHARM``, of either charm neutrino.  overburden (event,) m of ice towards its zenith.
    1 from below, where no muon arrives.  For ``NUMU`` the muon of the same decay counts.  Prompt muon neutrinos are
    treated like prompt electron neutrinos, which is too many that pass: the muon of the same decay is left out.
    """
    return np.asarray(_passing(law, log10_energy, cos_zenith, overburden, np.array([left]))[0])


def accompanied(law: Elbert, log10_energy: Floats, cos_zenith: Floats, overburden: Floats, *, left: float) -> Floats:
    """Chance that at least one muon with ``left`` GeV or more arrives with an atmospheric neutrino, (event,)."""
    return np.asarray(1.0 - passing(law, log10_energy, cos_zenith, overburden, left=left))


def leading_energy(law: Elbert, log10_energy: Floats, cos_zenith: Floats, overburden: Floats, u: Floats) -> Floats:
    """Energy at the detector of the hardest muon that comes with a neutrino, (event,) GeV, of u even in [0, 1).

    0 where none above 10 GeV comes.  ``passing`` as a function of ``left`` is the distribution of that energy; it is
    read between the energies of ``_LEADING``, linear in their logarithm.
    """
    below = np.maximum.accumulate(_passing(law, log10_energy, cos_zenith, overburden, _LEADING), axis=0)
    found = np.zeros(len(u))
    for i in np.flatnonzero(u > below[0]):
        found[i] = np.exp(np.interp(u[i], below[:, i], np.log(_LEADING)))
    return found
