"""Random numbers of one event drawn one after the other: a state (1,) that begins at the event's key and counts on.

An event draws the same numbers whatever batch it stands in and whoever computes it.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from nuanalysis.detector._random_kernels import mix, stream_key

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # of SplitMix64
_BITS = np.uint64(11)
_TO_UNIT = 1.0 / 9007199254740992.0  # 2^-53
_GAUSSIAN = 1e6  # means beyond which a Poisson number is drawn from a Gaussian: skewness 0.001


@nb.njit(cache=True, nogil=True)
def event_state(seed, stream, number):  # type: ignore[no-untyped-def]
    """The state (1,) from which one stream of one event begins; all are integers >= 0."""
    state = np.empty(1, np.uint64)
    state[0] = stream_key(seed, stream, number)
    return state


@nb.njit(cache=True, nogil=True)
def draw(state):  # type: ignore[no-untyped-def]
    """One number, evenly in [0, 1)."""
    state[0] += _GOLDEN
    return np.float64(mix(state[0]) >> _BITS) * _TO_UNIT


@nb.njit(cache=True, nogil=True)
def two_normals(state):  # type: ignore[no-untyped-def]
    """Two independent numbers of mean 0 and variance 1: Box & Muller 1958."""
    length = math.sqrt(-2.0 * math.log(1.0 - draw(state)))
    angle = 2.0 * math.pi * draw(state)
    return length * math.cos(angle), length * math.sin(angle)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def poisson(state, mean):  # type: ignore[no-untyped-def]
    """A Poisson number: by inversion below 12, by rejection above, from a Gaussian beyond a million.

    The rejection is PTRS of Hoermann, Insurance: Mathematics and Economics 12 (1993) 39.
    """
    if mean < 12.0:
        return _poisson_small(state, mean)
    if mean > _GAUSSIAN:
        return np.int64(max(0.0, math.floor(mean + math.sqrt(mean) * two_normals(state)[0] + 0.5)))
    root, log_mean = math.sqrt(mean), math.log(mean)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    edge = 0.9277 - 3.6224 / (b - 2.0)
    while True:
        u, v = draw(state) - 0.5, 1.0 - draw(state)
        us = 0.5 - abs(u)
        k = math.floor((2.0 * a / us + b) * u + mean + 0.43)
        if us >= 0.07 and v <= edge:
            return np.int64(k)
        if k < 0.0 or (us < 0.013 and v > us):
            continue
        if math.log(v * inverse_alpha / (a / (us * us) + b)) <= k * log_mean - mean - math.lgamma(k + 1.0):
            return np.int64(k)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _poisson_small(state, mean):  # type: ignore[no-untyped-def]
    u = draw(state)
    term = math.exp(-mean)
    total, k = term, 0
    while u >= total and k < 100:
        k += 1
        term *= mean / k
        total += term
    return k
