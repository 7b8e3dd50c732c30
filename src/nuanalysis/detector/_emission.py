"""Light where it is made: photons of tracks and cascades, how they fluctuate, and where along a cascade they begin.

All light is counted as metres of bare track of a particle at the speed of light, and photons as *accepted* ones
(``Light``).  Yields: Raedel & Wiebusch, Astropart. Phys. 44, 102 (2013), arXiv:1210.5140, of muons
arXiv:1206.5530, simulated in ice of 0.910 g/cm3 and scaled to 0.9216; constants as in ppc.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nuanalysis.deferred import scipy
from nuanalysis.detector._ice import SPEED_OF_LIGHT
from nuanalysis.detector._photon_kernels import COS_CHERENKOV
from nuanalysis.errors import refuse
from nuanalysis.schema import Bools, Floats, Ints

#: Photons of a metre of bare track that a module counts if each meets it face on: 7.5 % of those of 300 to 600 nm,
#: weighted with the module's efficiency at each wavelength (ppc).
ACCEPTED_PER_METRE = 2450.0
_FINE_STRUCTURE = 1.0 / 137.035999
_DENSITY = 0.910 / 0.9216  # of the ice of the simulations over that of the array
_EM_LENGTH, _EM_SPREAD = 5.321 * _DENSITY, 0.058  # m/GeV; m/sqrt(GeV)
_HADRONIC = (0.18791678, 0.16267529, 0.30974123)  # E0 in GeV, power, share of light at E0; of charged pions
_HADRONIC_SPREAD = (0.959, 1.356)  # relative, at ln E = 1; its power
_MUON = (0.1880, 0.0206)  # secondaries below 500 MeV per m, at 1 GeV; for each e-fold
_RADIATION_LENGTH = 0.3965 * _DENSITY  # m
_EM_PROFILE, _HADRONIC_PROFILE = (2.018, 0.632, 0.632), (1.584, 0.419, 0.338)  # a at 1 GeV; for each e-fold; b
_PARTS = ((1e4, 1), (1e5, 3), (np.inf, 5))  # sub-cascades below an energy in GeV


def frank_tamm(low: float, high: float, index: float) -> float:
    """Cherenkov photons per metre of track between two wavelengths in nm.

    Frank & Tamm 1937: 2 pi alpha (1 - 1/n^2) (1/low - 1/high).

    >>> round(frank_tamm(300.0, 600.0, 1.32), -1)
    32560.0
    """
    return 2e9 * np.pi * _FINE_STRUCTURE * (1.0 - index**-2) * (1.0 / low - 1.0 / high)


def em_length(energy: ArrayLike) -> Floats:
    """Metres of bare track that shine as an electromagnetic cascade does, (...,); energy in GeV.

    >>> round(float(em_length(1.0)), 3)
    5.254
    """
    return np.asarray(_EM_LENGTH * np.asarray(energy, dtype=np.float64))


def hadronic_fraction(energy: ArrayLike) -> Floats:
    """Light of a hadronic cascade over that of an electromagnetic one, (...,); energy in GeV, above 1.

    >>> hadronic_fraction([10.0, 1e3, 1e6]).round(2)
    array([0.64, 0.83, 0.94])
    """
    start, power, share = _HADRONIC
    return np.asarray(1.0 - (np.asarray(energy, dtype=np.float64) / start) ** -power * (1.0 - share))


def light_spread(energy: ArrayLike, hadronic: ArrayLike) -> Floats:
    """Standard deviation of a cascade's light over its mean, (...,); energy in GeV, held below e GeV if hadronic."""
    e = np.asarray(energy, dtype=np.float64)
    at, power = _HADRONIC_SPREAD
    em = _EM_SPREAD / (_EM_LENGTH * np.sqrt(e))
    return np.asarray(np.where(hadronic, at * np.maximum(np.log(e), 1.0) ** -power, em))


def cascade_photons(energy: Floats, hadronic: Bools, normal: Floats) -> Floats:
    """Accepted photons of cascades, (cascade,); energy in GeV.

    normal : a standard normal number for each, 0 for the mean.  Light is at least a tenth of the mean and, of a
    hadronic cascade, at most that of an electromagnetic one.
    """
    mean = np.where(hadronic, hadronic_fraction(np.maximum(energy, 1.0)), 1.0)
    part = np.maximum(mean * (1.0 + light_spread(energy, hadronic) * normal), 0.1 * mean)
    return np.asarray(ACCEPTED_PER_METRE * em_length(energy) * np.where(hadronic, np.minimum(part, 1.0), part))


def muon_secondaries(energy: ArrayLike) -> Floats:
    """Light of a muon's secondaries below 500 MeV per metre, in metres of bare track, (...,); energy in GeV, above 1.

    It comes on top of the track's own 1, and is broad as a cascade's is.

    >>> round(float(muon_secondaries(1e3)), 2)
    0.33
    """
    at, more = _MUON
    return np.asarray((at + more * np.log(np.maximum(energy, 1.0))) * _DENSITY)


def shower_shape(energy: ArrayLike, hadronic: ArrayLike) -> tuple[Floats, Floats]:
    """a and b of the longitudinal profile t^(a-1) e^(-b t), (...,); t in ``_RADIATION_LENGTH``, energy in GeV."""
    log = np.log(np.maximum(energy, 1.0))
    (a, more, b), (a_hadronic, more_hadronic, b_hadronic) = _EM_PROFILE, _HADRONIC_PROFILE
    shape = np.where(hadronic, a_hadronic + more_hadronic * log, a + more * log)
    return shape, np.where(hadronic, b_hadronic, b) + 0.0 * shape


def shower_maximum(energy: ArrayLike, hadronic: ArrayLike) -> Floats:
    """Distance from the vertex to the largest emission, m, (...,); energy in GeV.

    >>> shower_maximum([1e3, 1e6], False).round(1)
    array([3.3, 6. ])
    """
    a, b = shower_shape(energy, hadronic)
    return np.asarray((a - 1.0) / b * _RADIATION_LENGTH)


def emission_density(cosine: ArrayLike) -> Floats:
    """Light of a cascade per steradian over all of it, (...,); cosine to the axis.

    The fit of Raedel & Wiebusch; it integrates to 1.01.  Photons are drawn by another law (``emitted_cosine``), a
    little broader: mean cosine 0.629 instead of 0.662, and 0.40 instead of 0.445 of the light from 0.7 to 0.8.
    """
    away = np.abs(np.asarray(cosine, dtype=np.float64) - COS_CHERENKOV)
    return np.asarray(4.27033 * np.exp(-6.02527 * away**0.29887) - 0.00103)


@dataclass(frozen=True, slots=True, eq=False)
class Cascades:
    """Cascades of particles, flat.

    energy (cascade,) GeV.  hadronic (cascade,) : False for electromagnetic ones.  position (cascade, 3) : of the
    vertex, m.  direction (cascade, 3) : of motion, unit length.  time (cascade,) : at the vertex, ns.
    """

    energy: Floats
    hadronic: Bools
    position: Floats
    direction: Floats
    time: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """Point sources of the broad emission of cascades, flat, in the order of the cascades and along each.

    position, direction (source, 3), time, photons (source,) : as in ``Light``.  count (cascade,) : sources of each.
    """

    position: Floats
    direction: Floats
    time: Floats
    photons: Floats
    count: Ints


def cascade_light(cascades: Cascades, normal: Floats) -> Sources:
    """Each cascade as 1 source below 10 TeV, 3 below 100 TeV, 5 above, of equal light along its profile.

    A source stands at the mean place of its share, so the mean of the profile is kept; and shines when a particle at
    the speed of light comes by.  normal : see ``cascade_photons``.  Raises InputError for energies that are not above
    0 or columns that differ in length.
    """
    refuse(_faults(cascades, normal), "no light of these cascades")
    count = np.select([cascades.energy < limit for limit, _ in _PARTS], [parts for _, parts in _PARTS])
    along = _along(cascades, count)
    of = np.repeat(np.arange(len(count)), count)
    direction = cascades.direction[of]
    return Sources(
        position=cascades.position[of] + along[:, None] * direction,
        direction=direction,
        time=cascades.time[of] + along / SPEED_OF_LIGHT,
        photons=cascade_photons(cascades.energy, cascades.hadronic, normal)[of] / count[of],
        count=count,
    )


def _faults(cascades: Cascades, normal: Floats) -> list[str]:
    n = len(cascades.energy)
    lengths = [len(one) for one in (cascades.hadronic, cascades.position, cascades.direction, cascades.time, normal)]
    if any(length != n for length in lengths):
        return [f"{n} energies, and {lengths} types, vertices, directions, times, random numbers; they must be as many"]
    return [] if (cascades.energy > 0.0).all() else ["energies must be above 0 GeV"]


def _along(cascades: Cascades, count: Ints) -> Floats:
    """Distances of the sources from the vertex, (source,) m."""
    a, b = shower_shape(cascades.energy, cascades.hadronic)
    start = np.cumsum(count) - count
    out = np.empty(int(count.sum()))
    for parts in np.unique(count):
        of = count == parts
        # Mean of t of a gamma law between two of its quantiles: the same law with a + 1, times a/b.
        edges = scipy.special.gammaincinv(a[of, None], np.arange(1, parts) / parts)
        inner = scipy.special.gammainc(a[of, None] + 1.0, edges)
        below = np.concatenate([np.zeros((of.sum(), 1)), inner, np.ones((of.sum(), 1))], axis=1)
        mean = parts * np.diff(below, axis=1) * (a / b)[of, None]
        out[start[of, None] + np.arange(parts)] = mean * _RADIATION_LENGTH
    return out
