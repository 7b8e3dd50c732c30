"""Cascades of another simulation as particles of ours."""

from __future__ import annotations

import numpy as np

from nuanalysis.detector import (
    Cascades,
    Detector,
    Hits,
    Kind,
    Light,
    LightTable,
    Particles,
    Truth,
    cascade_light,
    shower_maximum,
    simulate_events,
)
from nuanalysis.interpret._simulated import Simulated, summed


def same_truth(cascades: Simulated) -> Particles:
    """A cascade of the visible energy at each true vertex and along each true direction, without fluctuations.

    Electromagnetic, but for those that are hadronic as a whole: the hadrons of a charged current have up to a tenth
    less light than that.  Weights are 0: these events stand for no flux.  ``energy`` of the truth is the visible one.
    """
    none, count = np.zeros(len(cascades.energy)), np.zeros(len(cascades.energy), dtype=np.int64)
    showers = Cascades(cascades.energy, cascades.hadronic, cascades.vertex, cascades.direction, none)
    of = cascade_light(showers, none)
    start = np.concatenate([[0], np.cumsum(of.count)]).astype(np.int64)
    light = Light(of.position, of.direction, of.time, of.photons, np.zeros(len(of.time), dtype=np.bool_), start)
    ahead = shower_maximum(cascades.energy, cascades.hadronic)[:, None] * cascades.direction
    truth = Truth(
        kind=np.where(cascades.hadronic, Kind.NEUTRAL, Kind.ELECTRON_CHARGED).astype(np.int64),
        pdg=count + 12,
        energy=cascades.energy,
        inelasticity=none,
        vertex=cascades.vertex,
        time=none,
        direction=cascades.direction,
        deposited=cascades.energy,
        brightest=none + 1.0,
        muon_energy=none,
        muons=count,
        maximum=cascades.vertex + ahead,
        weight=none,
        number=np.arange(len(cascades.energy), dtype=np.int64),
    )
    return Particles(truth, light)


def simulate_same(detector: Detector, table: LightTable, cascades: Simulated, seed: int) -> Hits:
    """Hits of the same cascades in our simulation, with noise, over all that is read out.

    detector : ``dimmed`` where an efficiency is asked for.  Raises InputError for a negative seed.
    """
    pulses = simulate_events(detector, table, same_truth(cascades), seed)
    return summed(pulses.start, pulses.module, pulses.time.astype(np.float64), pulses.charge.astype(np.float64))
