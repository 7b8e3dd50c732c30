"""Compiled loops from hits to pulses: noise, saturation, merging, read-out.

Hits and pulses of an event stand module by module; ``at`` (module + 1,) says where those of each live module begin.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from nuanalysis.detector._draw_kernels import draw, poisson, two_normals

# Noise, per ns of a usual and of a high-efficiency module: JINST 12 P03012 (2017).  Of the 560 Hz 250 come evenly; each
# is followed by another with the probability that makes up the rest, after 10^(mean, width) s.
_EVEN, _HIGH = 250e-9, 780.0 / 560.0
_FOLLOWED = 1.0 - 250.0 / 560.0
_LOG_WAIT, _LOG_WIDTH = -6.0 + 9.0, 0.85
_BEFORE = 500e3  # ns before the window from which noise may reach into it

_CURRENT_TIME = 2.2  # ns: both sides of the exponential that makes a current of charges
_LIMIT, _LINEAR = 93.0, 31.0  # photoelectrons per ns (arXiv:1002.2442): largest current, and where 10 % are passed
_MERGED = 3.0  # ns within which hits are one pulse
_RECORDED = 0.1  # photoelectrons: smaller pulses are not seen


@nb.njit(cache=True, nogil=True, error_model="numpy")
def noise_hits(state, high, low, end):  # type: ignore[no-untyped-def]
    """Noise of all live modules from ``low`` to ``end`` ns, in no order: module (hit,), and (hit, 2) time and charge.

    high (module,) : True for modules of high efficiency.
    """
    span = end - low + _BEFORE
    number = poisson(state, _EVEN * _HIGH * high.shape[0] * span)
    size = 64 + int(8.0 * high.shape[0] * _EVEN * (end - low))
    module, hits, n = np.empty(size, np.int64), np.empty((size, 2)), 0
    for _ in range(number):
        m = int(draw(state) * high.shape[0])
        if not high[m] and draw(state) * _HIGH > 1.0:
            continue
        time, more = low - _BEFORE + span * draw(state), True
        while more and time < end:
            if time >= low and n < size:
                module[n], hits[n, 0], hits[n, 1] = m, time, _single(state)
                n += 1
            more = draw(state) < _FOLLOWED
            if more:
                time += 10.0 ** (_LOG_WAIT + _LOG_WIDTH * two_normals(state)[0])
    return module[:n], hits[:n]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _single(state):  # type: ignore[no-untyped-def]
    """Charge of one photoelectron."""
    charge = 0.0
    while charge < _RECORDED:
        charge = 1.0 + 0.3 * two_normals(state)[0]
    return charge


@nb.njit(cache=True, nogil=True)
def with_noise(hits, at, module, noise):  # type: ignore[no-untyped-def]
    """Hits module by module with those of noise behind them: (hit, 2), and where each module's begin."""
    count = np.zeros(at.shape[0], np.int64)
    for i in range(module.shape[0]):
        count[module[i] + 1] += 1
    both = at + np.cumsum(count)
    out, place = np.empty((both[-1], 2)), np.empty(at.shape[0], np.int64)
    for m in range(at.shape[0] - 1):
        n = at[m + 1] - at[m]
        out[both[m] : both[m] + n] = hits[at[m] : at[m + 1]]
        place[m] = both[m] + n
    for i in range(module.shape[0]):
        out[place[module[i]]] = noise[i]
        place[module[i]] += 1
    return out, both


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _sort(hits):  # type: ignore[no-untyped-def]
    """Bring hits (hit, 2) of one module into the order of their times, in place."""
    n = hits.shape[0]
    if n > 24:
        order = np.argsort(hits[:, 0], kind="mergesort")
        hits[:] = hits[order]
        return
    for i in range(1, n):
        time, charge = hits[i, 0], hits[i, 1]
        k = i
        while k > 0 and hits[k - 1, 0] > time:
            hits[k, 0], hits[k, 1] = hits[k - 1, 0], hits[k - 1, 1]
            k -= 1
        hits[k, 0], hits[k, 1] = time, charge


@nb.njit(cache=True, nogil=True, error_model="numpy")
def saturate(hits, current):  # type: ignore[no-untyped-def]
    """Reduce the charges of one module's hits, in order of time, by what its current loses; fills current (hit,).

    The current is the sum of charge exp(-|t - t'|/2.2 ns)/(2 x 2.2 ns) per ns; it is seen as I/(1 + I/93).
    """
    n = hits.shape[0]
    tail, scale = 0.0, 0.5 / _CURRENT_TIME
    for i in range(n):
        tail = hits[i, 1] + (tail * math.exp((hits[i - 1, 0] - hits[i, 0]) / _CURRENT_TIME) if i else 0.0)
        current[i] = tail * scale
    tail = 0.0
    for i in range(n - 2, -1, -1):
        tail = (tail + hits[i + 1, 1]) * math.exp((hits[i, 0] - hits[i + 1, 0]) / _CURRENT_TIME)
        current[i] += tail * scale
    for i in range(n):
        hits[i, 1] /= 1.0 + current[i] / _LIMIT


@nb.njit(cache=True, nogil=True, error_model="numpy")
def pulses(hits, at):  # type: ignore[no-untyped-def]
    """What live modules record of hits: (pulse, 2) time and charge, saturated (pulse,), where each module's begin.

    Hits within 3 ns of the first of a pulse are that pulse, at the mean of their times weighted by charge.
    """
    out, bright, n = np.empty_like(hits), np.zeros(hits.shape[0], np.bool_), 0
    start, current = np.zeros_like(at), np.empty(hits.shape[0])
    for m in range(at.shape[0] - 1):
        one = hits[at[m] : at[m + 1]]
        _sort(one)
        saturate(one, current)
        i = 0
        while i < one.shape[0]:
            first, charge, moment, above = one[i, 0], 0.0, 0.0, False
            while i < one.shape[0] and one[i, 0] - first < _MERGED:
                charge += one[i, 1]
                moment += one[i, 1] * (one[i, 0] - first)
                above |= current[i] > _LINEAR
                i += 1
            if charge >= _RECORDED:
                out[n, 0], out[n, 1], bright[n] = first + moment / charge, charge, above
                n += 1
        start[m + 1] = n
    return out[:n], bright[:n], start


@nb.njit(cache=True, nogil=True)
def read_out(pulses, bright, start, low, end):  # type: ignore[no-untyped-def]
    """Pulses from ``low`` to ``end`` ns, in the same order, with a module each: module, time, charge, saturated."""
    module, keep = np.empty(pulses.shape[0], np.int64), np.zeros(pulses.shape[0], np.bool_)
    for m in range(start.shape[0] - 1):
        for i in range(start[m], start[m + 1]):
            module[i] = m
            keep[i] = low <= pulses[i, 0] <= end
    return module[keep], pulses[keep, 0].astype(np.float32), pulses[keep, 1].astype(np.float32), bright[keep]
