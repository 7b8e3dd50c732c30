"""Compiled loops over muons: where each loses how much.

Random numbers are counted from the key of the muon, so it loses the same whoever computes it.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from nuanalysis.detector._random_kernels import uniform

_PAIR_SCALE = 0.003  # of the law of pairs dN/dv ~ 1 / (v (1 + v / 0.003)^1.5)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def draw_bremsstrahlung(key, counter, low):  # type: ignore[no-untyped-def]
    """v in (low, 1) of (4/3 (1 - v) + v^2) / v, and the counter after it: log-flat, then kept with 1 - v + 3/4 v^2."""
    while True:
        v = low ** (1.0 - uniform(key, counter))
        keep = uniform(key, counter + 1) < 1.0 - v + 0.75 * v * v
        counter += 2
        if keep:
            return v, counter


@nb.njit(cache=True, nogil=True, error_model="numpy")
def draw_pair(key, counter, low, small):  # type: ignore[no-untyped-def]
    """v in (low, 1) of the law of pairs, and the counter after it; ``small`` : share of it below v = 0.003.

    Below, 1/w is kept with ((1 + w0) / (1 + w))^1.5; above, w^-2.5 with (w / (1 + w))^1.5; w = v / 0.003.
    """
    w0, top = low / _PAIR_SCALE, (1.0 / _PAIR_SCALE) ** -1.5
    below = uniform(key, counter) < small
    counter += 1
    while True:
        u, kept = uniform(key, counter), uniform(key, counter + 1)
        counter += 2
        if below:
            w = w0 ** (1.0 - u)
            if kept < ((1.0 + w0) / (1.0 + w)) ** 1.5:
                return w * _PAIR_SCALE, counter
        else:
            w = (1.0 - u * (1.0 - top)) ** (-1.0 / 1.5)
            if kept < (w / (1.0 + w)) ** 1.5:
                return w * _PAIR_SCALE, counter


@nb.njit(cache=True, nogil=True, error_model="numpy")
def draw_loss(key, counter, rates, low, small):  # type: ignore[no-untyped-def]
    """v of one loss, its process (0 bremsstrahlung, 1 pairs, 2 nuclear), and the counter after it."""
    u = uniform(key, counter) * (rates[0] + rates[1] + rates[2])
    counter += 1
    if u < rates[0]:
        v, counter = draw_bremsstrahlung(key, counter, low)
        return v, 0, counter
    if u < rates[0] + rates[1]:
        v, counter = draw_pair(key, counter, low, small)
        return v, 1, counter
    return low ** (1.0 - uniform(key, counter)), 2, counter + 1


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _larger(table):  # type: ignore[no-untyped-def]
    more = np.empty((2 * table.shape[0], table.shape[1]), table.dtype)
    more[: table.shape[0]] = table
    return more


@nb.njit(cache=True, nogil=True, error_model="numpy")
def propagate_all(keys, energy, first, stop, step, constants):  # type: ignore[no-untyped-def]
    """Muons from place 0 to ``stop``; what is between ``first`` and there is written down.

    keys, energy, first, stop (muon,).  constants : a, b of the continuous loss, rates of the three processes per
    metre, lowest v, share of pairs below v = 0.003, least energy of a loss that is written down.
    Returns segments (segment, 4): muon, middle, length, energy there; losses (loss, 5): muon, segment, place, energy,
    process; and (muon, 2): energy at the end, and lost without being written down.
    """
    a, b, low, small, least = constants[0], constants[1], constants[5], constants[6], constants[7]
    rates = constants[2:5]
    total = rates.sum()
    segments, losses = np.empty((1024, 4)), np.empty((1024, 5))
    ends = np.zeros((energy.shape[0], 2))
    n_segments, n_losses = 0, 0
    for m in range(energy.shape[0]):
        key, counter, e, x, quiet = keys[m], 0, energy[m], 0.0, 0.0
        following = -np.log(1.0 - uniform(key, counter)) / total
        counter += 1
        edge = min(first[m], stop[m])
        if edge <= 0.0:
            edge = min(max(first[m], 0.0) + step, stop[m])
        while e > 0.0 and x < stop[m]:
            begin, before, kept = x, e, x >= first[m]
            while e > 0.0 and x < edge:
                to = min(following, edge)
                reach = x + np.log1p(e * b / a) / b
                if reach <= to:
                    quiet += e
                    x, e = reach, 0.0
                    break
                after = max((e + a / b) * np.exp(-b * (to - x)) - a / b, 0.0)
                quiet += e - after
                x, e = to, after
                if following <= edge:
                    v, process, counter = draw_loss(key, counter, rates, low, small)
                    lost = v * e
                    e -= lost
                    if kept and lost >= least:
                        if n_losses == losses.shape[0]:
                            losses = _larger(losses)
                        row = losses[n_losses]
                        row[0], row[1], row[2], row[3], row[4] = m, n_segments, x, lost, process
                        n_losses += 1
                    else:
                        quiet += lost
                    following = x - np.log(1.0 - uniform(key, counter)) / total
                    counter += 1
            if kept and x > begin:
                if n_segments == segments.shape[0]:
                    segments = _larger(segments)
                line = segments[n_segments]
                line[0], line[1], line[2], line[3] = m, 0.5 * (begin + x), x - begin, 0.5 * (before + e)
                n_segments += 1
            edge = min(x + step, stop[m])
        ends[m, 0], ends[m, 1] = e, quiet
    return segments[:n_segments], losses[:n_losses], ends
