"""Toy events for the tests of ``learn``: light that falls as exp(-d / 30 m) / d^2 from points, more of it ahead."""

from __future__ import annotations

import numpy as np

from nuanalysis.detector import Detector, Hits, Ice, Kind, Truth

NS_PER_M = 1.3561 / 0.299792458


def toy_detector(rings: int = 2, depths: int = 20) -> Detector:
    """Hexagonal rings of strings 125 m apart, modules 45 m apart."""
    places = [
        (125.0 * (i + 0.5 * j), 125.0 * np.sqrt(0.75) * j)
        for i in range(-rings, rings + 1)
        for j in range(-rings, rings + 1)
        if abs(i + j) <= rings
    ]
    z = 45.0 * (np.arange(depths)[::-1] - (depths - 1) / 2)
    position = np.array([(x, y, height) for x, y in places for height in z])
    string = np.repeat(np.arange(len(places)) + 1, depths)
    number = np.tile(np.arange(depths) + 1, len(places))
    ice = Ice("toy", "none", np.array([0.0]), np.array([25.0]), np.array([100.0]))
    return Detector("toy", string, number, position, np.ones(len(position)), ice)


def toy_events(detector: Detector, events: int, seed: int, kinds: tuple[Kind, ...] = (Kind.ELECTRON_CHARGED,)):
    """Hits and truth of events, kinds in turn; cascades are one point, tracks a row of them."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    made = [_toy_event(detector, kinds[k % len(kinds)], rng) for k in range(events)]
    start = np.concatenate([[0], np.cumsum([len(one[0]) for one in made])])
    kind = np.array([kinds[k % len(kinds)] for k in range(events)], dtype=np.int64)
    vertex, direction, energy = (np.array([one[k] for one in made]) for k in (2, 3, 4))
    zeros, ones = np.zeros(events), np.ones(events)
    truth = Truth(
        kind, 12 * np.ones(events, np.int64), energy, zeros, vertex, zeros, direction, energy, ones, zeros,
        np.where(kind == Kind.BUNDLE, 2, 0), vertex, ones, np.arange(events),
    )  # fmt: skip
    module = np.concatenate([one[0] for one in made])
    values = np.concatenate([one[1] for one in made]).astype(np.float32)
    return Hits(module, values, np.zeros(len(module), bool), start, np.zeros(events)), truth


def _toy_event(detector, kind, rng):
    """Modules hit, their nine values, vertex, direction, energy in GeV."""
    direction = rng.normal(size=3)
    direction /= np.sqrt((direction**2).sum())
    box = np.abs(detector.position).max(axis=0) * 0.8
    vertex = rng.uniform(-box, box)
    energy = 10.0 ** rng.uniform(3.5, 5.5)
    if kind == Kind.ELECTRON_CHARGED:
        along = np.zeros(1)
    else:
        along = np.arange(0.0 if kind == Kind.MUON_STARTING else -600.0, 600.0, 25.0)
    aside = np.zeros((1, 3)) if kind != Kind.BUNDLE else rng.normal(0.0, 15.0, (3, 3))
    sources = (vertex + along[:, None, None] * direction + aside).reshape(-1, 3)
    times = np.repeat(along, len(aside)) / 0.2998
    away = detector.position[:, None] - sources
    d = np.sqrt((away**2).sum(axis=2) + 1.0)
    ahead = (away @ direction) / d
    mu = 200.0 * energy / len(sources) * np.exp(-d / 30.0) / d**2 * np.exp(ahead * np.exp(-d / 200.0))
    late = times + d * NS_PER_M
    total = mu.sum(axis=1)
    charge = rng.poisson(total).astype(float)
    hit = np.flatnonzero(charge > 0)
    first = np.where(mu > 0.02 * total[:, None], late, np.inf).min(axis=1)
    first = first[hit] + rng.gamma(1.0, 1.0 + d[hit].min(axis=1) / np.sqrt(charge[hit]))
    width = 5.0 + d[hit].min(axis=1)
    columns = (
        charge[hit], charge[hit] * (1 - np.exp(-500 / width)), charge[hit] * (1 - np.exp(-100 / width)), first,
        first + 0.2 * width, first + 0.7 * width, first + 4 * width, first + width, width,
    )  # fmt: skip
    return hit, np.stack(columns, axis=1), vertex, direction, energy
