"""Muons through ice: continuous and stochastic losses, and where along the track light is made.

dE/dx = a + b E with a = 0.259 GeV and b = 3.63e-4 per m of water, ice of the code MMC (Chirkin & Rhode,
hep-ph/0407075).  Half of b are pairs, 0.37 bremsstrahlung, 0.13 nuclear (rounded after the same).  Of each process a
law of the fraction v that is lost at once:

    bremsstrahlung  dN/dv ~ (4/3 (1 - v) + v^2) / v
    pairs           dN/dv ~ 1 / (v (1 + v / 0.003)^1.5)
    nuclear         dN/dv ~ 1 / v

each normalised so that N <v> over v from 0 to 1 is its share of b.  Losses of v > 1e-3 are drawn one by one, smaller
ones (7 % of b) are taken as continuous: the mean loss is a + b E exactly.  Between losses the energy follows the
solution of its equation, without steps.  Multiple scattering is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuanalysis.detector._muon_kernels import propagate_all
from nuanalysis.schema import Floats, Ints

Keys = NDArray[np.uint64]

ICE_DENSITY = 0.9216  # g/cm3, at the depth of IceCube (Aartsen et al., JINST 12 (2017) P03012 gives 0.92)
IONISATION = 0.259 * ICE_DENSITY  # a, GeV per m
RADIATION = 3.63e-4 * ICE_DENSITY  # b, per m
_SHARES = {"bremsstrahlung": 0.37, "pairs": 0.50, "nuclear": 0.13}
LOWEST_FRACTION = 1e-3
NUCLEAR = 2  # process of a loss: 0 bremsstrahlung, 1 pairs
TRACK_SECONDARIES = 0.5  # GeV: losses below it are in the light of the track (Raedel & Wiebusch, arXiv:1206.5530)
STEP = 12.0  # m, of the segments of a track
_PAIR_SCALE = 0.003


def _pair_fraction(v: Floats) -> Floats:
    """Share of the mean loss by pairs that comes of fractions below v."""
    root = 1.0 - (1.0 + v / _PAIR_SCALE) ** -0.5
    return np.asarray(root / (1.0 - (1.0 + 1.0 / _PAIR_SCALE) ** -0.5))


def soft_fraction(v: Floats) -> Floats:
    """Share of b that is lost in fractions below v, any shape, of 0 at 0 to 1 at v = 1."""
    v = np.asarray(v, dtype=np.float64)
    radiated = 4.0 / 3.0 * (v - 0.5 * v**2) + v**3 / 3.0
    return np.asarray(
        _SHARES["bremsstrahlung"] * radiated + _SHARES["pairs"] * _pair_fraction(v) + _SHARES["nuclear"] * v
    )


def _pairs_above(w: float) -> float:
    """Integral of 1 / (w (1 + w)^1.5) from w on."""
    root = np.sqrt(1.0 + w)
    return float(-2.0 / root - np.log((root - 1.0) / (root + 1.0)))


def loss_rates(low: float = LOWEST_FRACTION) -> Floats:
    """Losses per metre of fractions above ``low``: bremsstrahlung, pairs, nuclear, (3,)."""
    log = -np.log(low)
    top, middle = 1.0 / _PAIR_SCALE, low / _PAIR_SCALE
    mean_pairs = 2.0 * _PAIR_SCALE * (1.0 - (1.0 + top) ** -0.5)
    per_metre = (
        _SHARES["bremsstrahlung"] * (4.0 / 3.0 * (log - (1.0 - low)) + 0.5 * (1.0 - low**2)),
        _SHARES["pairs"] * (_pairs_above(middle) - _pairs_above(top)) / mean_pairs,
        _SHARES["nuclear"] * log,
    )
    return RADIATION * np.array(per_metre)


def _constants(least: float) -> Floats:
    """What the kernel is told, see there."""
    low, one = _pairs_above(LOWEST_FRACTION / _PAIR_SCALE), _pairs_above(1.0)
    small = (low - one) / (low - _pairs_above(1.0 / _PAIR_SCALE))
    continuous = RADIATION * float(soft_fraction(np.array(LOWEST_FRACTION)))
    return np.array([IONISATION, continuous, *loss_rates(), LOWEST_FRACTION, small, least])


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """What muons do between two places of their way, flat, by muon and then place; places in m from their start.

    segment_muon, middle, length, energy (segment,) : energy is the mean of those at its ends.
    loss_muon, loss_segment, place, loss, process (loss,) : energy lost at once, GeV.
    end (muon,) : energy left, 0 of a muon that has stopped.  quiet (muon,) : energy lost continuously, before the
    first place, or in portions too small to be written down.  energy at start = end + quiet + sum of losses.
    """

    segment_muon: Ints
    middle: Floats
    length: Floats
    energy: Floats
    loss_muon: Ints
    loss_segment: Ints
    place: Floats
    loss: Floats
    process: Ints
    end: Floats
    quiet: Floats


def propagate(
    keys: Keys, energy: Floats, *, first: Floats, stop: Floats, step: float = STEP, least: float = TRACK_SECONDARIES
) -> Tracks:
    """Muons of ``energy`` (muon,) GeV from place 0 until they stop or reach ``stop`` (muon,) m.

    keys (muon,) : of their random numbers, see ``_random_kernels``.  Only what is beyond ``first`` (muon,) m is written
    down: segments of at most ``step`` m, and losses of at least ``least`` GeV.
    """
    segments, losses, ends = propagate_all(
        keys,
        np.ascontiguousarray(energy, dtype=np.float64),
        np.maximum(first, 0.0),
        np.asarray(stop, dtype=np.float64),
        step,
        _constants(least),
    )
    muon, middle, length, mean = segments.T.copy()
    loss_muon, segment, place, loss, process = losses.T.copy()
    whole = (muon.astype(np.int64), middle, length, mean, loss_muon.astype(np.int64), segment.astype(np.int64))
    return Tracks(*whole, place, loss, process.astype(np.int64), ends[:, 0].copy(), ends[:, 1].copy())


def soft_radiation(energy: Floats) -> Floats:
    """Energy that a muon radiates in portions above 500 MeV but below v = 1e-3, GeV per metre, any shape.

    They are part of the continuous loss and make light that ``muon_secondaries`` does not hold; 0 below 500 GeV.
    """
    low = np.minimum(TRACK_SECONDARIES / np.maximum(energy, TRACK_SECONDARIES), LOWEST_FRACTION)
    return np.asarray(RADIATION * energy * (soft_fraction(np.array(LOWEST_FRACTION)) - soft_fraction(low)))


def mean_range(energy: Floats) -> Floats:
    """How far a muon of ``energy`` GeV comes with the mean loss, m, any shape."""
    return np.asarray(np.log1p(np.asarray(energy) * RADIATION / IONISATION) / RADIATION)
