"""Bundles of atmospheric muons under water or ice: how many, how far apart, with which energy; and how rare.

The parametrisation of Becherini, Margiotta, Sioli & Spurio, Astropart. Phys. 25 (2006) 1, hep-ph/0507228 (MUPAGE,
Comput. Phys. Commun. 179 (2008) 915), valid from 1.5 to 5 km of water and to zeniths of 85 deg.  Depths are turned into
km of water by the densities of snow (0.832 over 200 m) and ice (0.917).  It has no prompt muons and no knee beyond its
own fit; energies end at 500 TeV.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.schema import Bools, Floats, Ints

SURFACE = 1948.07  # z of the surface, m
LARGEST = 200  # muons of a bundle
LEAST_ENERGY, MOST_ENERGY = 1.0, 5e5  # GeV
_FARTHEST = 250.0  # m from the axis
_CLOSER = 3.0  # power of the biased distances


def water_depth(depth: Floats) -> Floats:
    """km of water above ``depth`` m of the ice at the South Pole, any shape."""
    return np.asarray(0.2 * 0.832 + (np.asarray(depth) * 1e-3 - 0.2) * 0.917)


def steepness(h: Floats, c: Floats) -> Floats:
    """nu of the number of bundles of m muons ~ m^-nu, at h km of water and the cosine c of the zenith, any shape."""
    return np.asarray((0.01041 * h**2 + 0.09912 * h + 2.712) * np.exp(0.01615 * np.exp(0.6010 * h) / c))


def single_flux(h: Floats, c: Floats) -> Floats:
    """Flux of bundles of one muon, per m2 s sr, any shape; of m muons m^-nu of it."""
    return np.asarray(7.2e-3 * h**-1.927 * c * np.exp((-0.581 * h + 0.034) / c))


def bundle_flux(h: Floats, c: Floats) -> Floats:
    """Flux of all bundles of up to ``LARGEST`` muons, per m2 s sr, (event,)."""
    m = np.arange(1.0, LARGEST + 1)
    return np.asarray(single_flux(h, c) * (m ** -np.asarray(steepness(h, c))[..., None]).sum(axis=-1))


def multiplicities(h: Floats, c: Floats, u: Floats, *, rich: float = 0.0) -> tuple[Ints, Floats]:
    """Numbers of muons of bundles and their weights, (event,) each, of u even in [0, 1).

    A share ``rich`` has the law m^(1 - nu) in place of m^-nu: most of the hardest muons are in bundles of many.
    """
    m = np.arange(1.0, LARGEST + 1)
    own = m ** -steepness(h, c)[:, None]
    flat = own * m
    own /= own.sum(axis=1, keepdims=True)
    law = (1.0 - rich) * own + rich * flat / flat.sum(axis=1, keepdims=True)
    rising = np.cumsum(law, axis=1)
    found = (rising < u[:, None] * rising[:, -1:]).sum(axis=1)
    at = np.arange(len(u)), found
    return np.asarray(found + 1), np.asarray(own[at] / law[at])


def spread(h: Floats, c: Floats, muons: Ints) -> tuple[Floats, Floats]:
    """R0 (m) and alpha of the density of distances r / (r + R0)^alpha to the axis of bundles, (event,) each."""
    n, theta = np.minimum(muons, 4), np.arccos(c)
    alpha = (4.969 - 0.448 * n) * np.exp(h * (0.0194 * n + 0.276))
    mean = (-1.786 * n + 28.26) * h**-1.06 / (np.exp(10.4 * (theta - 1.3)) + 1.0)
    return np.asarray(mean * (alpha - 3.0) / 2.0), np.asarray(alpha)


def distances(scale: Floats, alpha: Floats, u: Floats) -> Floats:
    """Distances to the axis, (muon,) m up to 250, of u even in [0, 1); scale and alpha of ``spread``.

    Beyond r is the part t^(alpha - 2) (alpha - 1 - (alpha - 2) t), t = R0 / (r + R0); it is inverted by bisection in t.
    """

    def beyond(t: Floats) -> Floats:
        return np.asarray(t ** (alpha - 2.0) * (alpha - 1.0 - (alpha - 2.0) * t))

    low, high = scale / (_FARTHEST + scale), np.ones_like(scale)
    least = beyond(low)
    aim = 1.0 - u * (1.0 - least)
    for _ in range(40):
        middle = 0.5 * (low + high)
        more = beyond(middle) > aim
        low, high = np.where(more, low, middle), np.where(more, middle, high)
    return np.asarray(scale * (1.0 / (0.5 * (low + high)) - 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """Energies of muons ~ (E + shift)^-index between the least and the most, (muon,) each; shift in GeV."""

    shift: Floats
    index: Floats

    def norm(self) -> Floats:
        """Integral of (E + shift)^-index, (muon,)."""
        low, high = (np.power(e + self.shift, 1.0 - self.index) for e in (LEAST_ENERGY, MOST_ENERGY))
        return np.asarray((low - high) / (self.index - 1.0))

    def density(self, energy: Floats) -> Floats:
        """dN/dE of one muon, (muon,) per GeV."""
        return np.asarray((energy + self.shift) ** -self.index / self.norm())

    def draw(self, u: Floats) -> Floats:
        """Energies, (muon,) GeV, of u even in [0, 1)."""
        low, high = (np.power(e + self.shift, 1.0 - self.index) for e in (LEAST_ENERGY, MOST_ENERGY))
        return np.asarray((low + u * (high - low)) ** (1.0 / (1.0 - self.index)) - self.shift)


def energy_law(h: Floats, c: Floats, muons: Ints, distance: Floats) -> Law:
    """The law of the energies of muons at a distance to the axis of their bundle, (muon,) each."""
    n, theta, r = np.minimum(muons, 4), np.arccos(c), np.maximum(distance, 1e-3)
    index_1 = 3.961 - 0.232 * np.log(h)
    scale_1 = 0.0304 * np.exp(0.359 * h) / c - 0.0077 * h + 0.659
    slope = 0.0033 * h + 0.0079
    base = (0.0407 * n + 0.0283) * h - 0.312 * n + 6.124
    index_m = slope * r + base * (1.0 - 0.5 * np.exp((0.0543 * h - 0.365) * r))
    scale_m = (0.488 - 0.069 * h) * np.exp(-0.117 * r) * theta + (3.955 - 0.398 * h) * r ** (0.012 * h - 0.35)
    alone = muons == 1
    scale = np.where(alone, scale_1, scale_m)
    return Law(1e3 * scale * (1.0 - np.exp(-0.42 * h / c)), np.where(alone, index_1, index_m))


def closer(u: Floats, one: Bools) -> tuple[Floats, Floats]:
    """Numbers for ``distances``, and the density of a biased law there over its own, (muon,) each.

    u (muon,) even in [0, 1).  one (muon,) : muons that are drawn by the biased law, u^3 in place of u.  Energies fall
    half as steeply at the axis as 10 m from it, so most of the hardest muons are within 2 m, and few others.
    """
    found = np.where(one, u**_CLOSER, u)
    return found, np.asarray(np.maximum(found, 1e-30) ** (1.0 / _CLOSER - 1.0) / _CLOSER)


def tilted_weights(ratio: Floats, start: Ints, share: float) -> Floats:
    """Weights (event,) of bundles of which a ``share`` had one muon, any, drawn by a biased law; muons are flat.

    ratio (muon,) : density of the biased law over its own at what was drawn.  The probability of a bundle, over its
    own, is (1 - share) + share times the mean ratio of its muons: exact whichever muon was drawn so.
    """
    mean = np.add.reduceat(ratio, start[:-1]) / np.diff(start)
    return np.asarray(1.0 / (1.0 - share + share * mean))


def effective_number(weights: Floats) -> float:
    """(sum w)^2 / sum w^2: how many events of one weight would tell as much; 0 without weights."""
    squares = float(np.sum(np.square(weights)))
    return float(np.sum(weights)) ** 2 / squares if squares > 0.0 else 0.0


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate of weighted events, in the unit of their weights.

    effective : number of events it rests on.  bound : an upper limit at 90 %, to be printed in place of the value where
    fewer than ``TRUSTED`` effective events stand behind it; None where the value can be trusted.
    """

    value: float
    error: float
    effective: float
    bound: float | None


TRUSTED = 10.0  # effective events of a rate that is more than a limit
_LEVEL = 0.9


def rate(weights: Floats, *, of: Floats) -> Rate:
    """Rate of events of ``weights``, chosen among events with weights ``of``, which say how much one may count.

    The limit is that of a Poisson number with the effective number of events, each of the mean weight by weight (Bohm &
    Zech, Nucl. Instrum. Meth. A 748 (2014) 1); of no event it is 2.3 times the largest weight that was tried.
    """
    value, squares = float(np.sum(weights)), float(np.sum(np.square(weights)))
    effective = effective_number(weights)
    if effective >= TRUSTED:
        return Rate(value, squares**0.5, effective, None)
    one = squares / value if value > 0.0 else float(np.max(of, initial=0.0))
    return Rate(value, squares**0.5, effective, one * float(scipy.special.gammaincinv(effective + 1.0, _LEVEL)))
