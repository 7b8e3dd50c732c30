"""Five logistic laws of arsinh(delay / 8 ns), with their slopes, for the light network."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

_PARTS = 5
_UNIT = 8.0  # ns
_NARROWEST = 0.05  # as in ``_light_network``
_LEAST = 1e-12  # 1/ns, so that a logarithm is finite


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _softplus(x):  # type: ignore[no-untyped-def]
    """ln(1 + e^x) and its slope."""
    small = math.exp(-abs(x))
    gate = 1.0 / (1.0 + small)
    return max(x, 0.0) + math.log1p(small), gate if x >= 0.0 else 1.0 - gate


@nb.njit(cache=True, nogil=True, error_model="numpy")
def mixture(outputs, of, delay, density, parts):  # type: ignore[no-untyped-def]
    """Densities of delays (pulse,), 1/ns; parts (16, pulse) gets their slopes in the outputs 1 to 15, and in the delay.

    outputs (pair, 16) : the first is not read; five each of ln weight, middle, and softplus^-1 of width - 0.05.
    """
    share, width, grow = np.empty(_PARTS), np.empty(_PARTS), np.empty(_PARTS)
    last = -1
    for p in range(delay.shape[0]):
        row = outputs[of[p]]
        if of[p] != last:
            last = of[p]
            largest = row[1 : 1 + _PARTS].max()
            for k in range(_PARTS):
                share[k] = math.exp(row[1 + k] - largest)
                value, grow[k] = _softplus(row[1 + 2 * _PARTS + k])
                width[k] = _NARROWEST + value
            share /= share.sum()
        x = math.asinh(delay[p] / _UNIT)
        per = 1.0 / math.sqrt(_UNIT * _UNIT + delay[p] * delay[p])
        total, by_x = 0.0, 0.0
        for k in range(_PARTS):
            z = (x - row[1 + _PARTS + k]) / width[k]
            small = math.exp(-abs(z))
            each = small / ((1.0 + small) * (1.0 + small)) / width[k] * per
            turn = math.copysign((1.0 - small) / (1.0 + small), z)
            parts[k, p] = each
            parts[_PARTS + k, p] = share[k] * each * turn / width[k]
            parts[2 * _PARTS + k, p] = share[k] * each * (z * turn - 1.0) / width[k] * grow[k]
            total += share[k] * each
            by_x -= parts[_PARTS + k, p]
        for k in range(_PARTS):
            parts[k, p] = share[k] * (parts[k, p] - total)
        density[p] = total + _LEAST
        parts[3 * _PARTS, p] = by_x * per - total * delay[p] * per * per


@nb.njit(cache=True, nogil=True, error_model="numpy")
def mixture_pull(of, by_density, parts, out):  # type: ignore[no-untyped-def]
    """Add the slopes of a number in the outputs 1 to 15 to out (pair, 16), from those in the densities (pulse,)."""
    for p in range(of.shape[0]):
        for k in range(3 * _PARTS):
            out[of[p], 1 + k] += by_density[p] * parts[k, p]
