"""A small array in ice that can be computed by hand, with a table of light of which every look-up is exact."""

import numpy as np
import scipy.stats

from nuanalysis.detector import Detector, Ice, Light, LightTable, Particles, Truth, probabilities
from nuanalysis.detector._photons import cosine_edges, radius_edges
from nuanalysis.detector._table import RATIOS

SCATTERING, ABSORPTION = 25.0, 87.5  # m: ratio 3.5, a node of the table
SLOPE = np.sqrt(3.0 / np.array(RATIOS))  # of light with distance, per scattering length
DOWN = np.array([0.0, 0.0, -1.0])


def uniform_ice():
    height = np.array([-300.0, 300.0])
    return Ice("uniform", "none", height, np.full(2, SCATTERING), np.full(2, ABSORPTION))


def small_array(ice=None, dead=(), strings=3, modules=20, bright=()):
    """strings x strings strings 125 m apart, modules 17 m apart; dead and bright name modules by index."""
    k = np.arange(strings * strings * modules)
    string, number = k // modules, k % modules
    x, y = (string % strings - (strings - 1) / 2) * 125.0, (string // strings - (strings - 1) / 2) * 125.0
    efficiency = np.ones(len(k))
    efficiency[list(bright)] = 1.35
    efficiency[list(dead)] = 0.0
    position = np.stack([x, y, ((modules - 1) / 2 - number) * 17.0], axis=1)
    return Detector("small", string + 1, number + 1, position, efficiency, ice or uniform_ice())


def exact_table():
    """ln(fluence r^2) is linear in r and cosine, as look-ups are: -SLOPE r + 0.5 cos - ln(4 pi); the mean cosine too.

    Delays follow a gamma law of shape r and unit scale.
    """
    radius, cosine = np.sqrt(radius_edges()[1:] * radius_edges()[:-1]), 0.5 * (cosine_edges()[1:] + cosine_edges()[:-1])
    r, c = radius[None, :, None], cosine[None, None, :]
    one = -SLOPE[:, None, None] * r + 0.5 * c - np.log(4.0 * np.pi * r**2)
    direction = np.broadcast_to(1.0 - r / 30.0, one.shape)
    quantiles = scipy.stats.gamma(radius[:, None]).ppf(np.minimum(probabilities(), 1.0 - 1e-7))
    delay = np.broadcast_to(quantiles[None, :, None, :], (*one.shape, quantiles.shape[1]))
    both = [np.array([part, part], dtype=np.float32) for part in (one, direction, delay)]
    return LightTable(radius, cosine, np.array(RATIOS), *both, 0, 0)


def light(*events):
    """Light of events, each a list of (position, direction, time, photons, cone)."""
    rows = [row for event in events for row in event]
    start = np.concatenate([[0], np.cumsum([len(event) for event in events])]).astype(np.int64)
    position, direction, time, photons, cone = (np.array([row[k] for row in rows]) for k in range(5))
    return Light(
        position.reshape(-1, 3).astype(float), direction.reshape(-1, 3).astype(float), time.astype(float),
        photons.astype(float), cone.astype(bool), start,
    )  # fmt: skip


def cascade(energy, position=(10.0, 20.0, 5.0), direction=DOWN, time=0.0):
    """A cascade of an energy in GeV as one source."""
    return (np.array(position), np.array(direction), time, 12870.0 * energy, False)


def particles(of, first=0):
    """Events numbered from ``first`` on with that light, and nothing else told."""
    n = len(of.start) - 1
    zero, none, vector = np.zeros(n), np.zeros(n, np.int64), np.tile(DOWN, (n, 1))
    number = first + np.arange(n)
    truth = Truth(
        none, none, zero, zero, vector, zero, vector, zero, zero, zero, none, vector, zero, number
    )  # fmt: skip
    return Particles(truth, of)
