"""Compiled loops that place events and read the signal density there.  Each has a slow twin in the tests.

Random numbers are SplitMix64 of (key of the trial, counter): trial i draws the same numbers whoever computes it.
"""

from __future__ import annotations

import numba as nb
import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_TO_UNIT = 1.0 / 9007199254740992.0  # 2^-53
_EXP = np.exp(-np.arange(64 * 40 + 2) / 64.0)


@nb.njit(cache=True, inline="always")
def _mix(z):  # type: ignore[no-untyped-def]
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@nb.njit(cache=True, inline="always")
def _uniform(key, counter):  # type: ignore[no-untyped-def]
    return np.float64(_mix(key + (np.uint64(counter) + np.uint64(1)) * _GOLDEN) >> _S11) * _TO_UNIT


@nb.njit(cache=True)
def trial_key(seed, trial, stream):  # type: ignore[no-untyped-def]
    """64-bit key of one stream of one trial."""
    return _mix(_mix(_mix(np.uint64(seed) + _GOLDEN) ^ np.uint64(trial)) + np.uint64(stream) * _M2)


@nb.njit(cache=True, nogil=True)
def draw_uniform(key, out):  # type: ignore[no-untyped-def]
    """Fill out (event,) with the scramble: u in [0, 1) of every event."""
    for i in range(out.shape[0]):
        out[i] = _uniform(key, 2 * i)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def template_space(u, base, count, maps, out):  # type: ignore[no-untyped-def]
    """Signal density at position u of each event's own ring.

    u (event,) in [0, 1); base (event,) flat index of the first pixel of the ring in the map of the event's error
    class; count (event,) pixels of the ring; maps (node, class x pixel); out (node, event) sr^-1.
    """
    for p in range(maps.shape[0]):
        for i in range(u.shape[0]):
            out[p, i] = maps[p, base[i] + np.int64(u[i] * count[i])]


@nb.njit(cache=True, inline="always")
def _exp(x):  # type: ignore[no-untyped-def]
    """exp(x) for -40 < x <= 0 to 1e-11: a table in steps of 1/64 and four terms of the series."""
    step = np.int64(-64.0 * x)
    r = x + step * 0.015625
    return _EXP[step] * (1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0)))))


@nb.njit(cache=True, inline="always")
def _vmf_norm(kappa):  # type: ignore[no-untyped-def]
    return kappa / (2.0 * np.pi * (1.0 - np.exp(-2.0 * kappa)))


@nb.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def stack_space(u, axis, kappa, norm, first, near, ra, dec, extension2, weights, out):  # type: ignore[no-untyped-def]
    """Signal density of a weighted sum of von Mises-Fisher sources at right ascension 2 pi u.

    u (event,); axis (2, event) cos and sin of declination; kappa and norm (event,) of the bare angular error;
    near[first[i] : first[i + 1]] are the sources that event i can reach;
    ra, dec, extension2 (source,); weights (node, source); out (node, event).
    A kernel below exp(-40) of its peak counts as zero.
    """
    nodes, sources = weights.shape
    x, y, z = np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)
    padded = np.zeros((sources, 4))  # four sums in registers; more spatial shapes are never needed
    padded[:, :nodes] = weights.T
    for i in range(u.shape[0]):
        alpha = 2.0 * np.pi * u[i]
        ex, ey, ez = axis[0, i] * np.cos(alpha), axis[0, i] * np.sin(alpha), axis[1, i]
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        for k in near[first[i] : first[i + 1]]:
            width, height = kappa[i], norm[i]
            if extension2[k] > 0.0:
                width = 1.0 / (1.0 / width + extension2[k])
                height = _vmf_norm(width)
            exponent = width * (ex * x[k] + ey * y[k] + ez * z[k] - 1.0)
            if exponent > -40.0:
                value = height * _exp(min(exponent, 0.0))
                s0 += padded[k, 0] * value
                s1 += padded[k, 1] * value
                s2 += padded[k, 2] * value
                s3 += padded[k, 3] * value
        out[0, i] = s0
        if nodes > 1:
            out[1, i] = s1
        if nodes > 2:
            out[2, i] = s2
        if nodes > 3:
            out[3, i] = s3


@nb.njit(cache=True, nogil=True, error_model="numpy")
def template_tilt(key, strength, mean, base, count, node_map, ceiling, out):  # type: ignore[no-untyped-def]
    """Positions u drawn from 1 + strength_i (S_i(u) - <S>_i), by rejection.

    strength, mean, ceiling (event,): ceiling is the largest S on the event's ring; node_map (class x pixel,).
    """
    n = np.int64(out.shape[0])
    for i in range(n):
        top = 1.0 + strength[i] * (ceiling[i] - mean[i])
        counter = np.int64(2 * i)
        while True:
            u = _uniform(key, counter)
            value = 1.0 + strength[i] * (node_map[base[i] + np.int64(u * count[i])] - mean[i])
            if _uniform(key, counter + 1) * top < value:
                out[i] = u
                break
            counter += 2 * n


@nb.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def stack_tilt(key, strength, mean, axis, kappa, norm, first, near, ra, dec, extension2, weights, ceiling, out):  # type: ignore[no-untyped-def]
    """Positions u drawn from 1 + strength_i (S_i(u) - <S>_i) of a stack, by rejection; weights (source,)."""
    n = np.int64(out.shape[0])
    x, y, z = np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)
    for i in range(n):
        top = 1.0 + strength[i] * (ceiling[i] - mean[i])
        counter = np.int64(2 * i)
        while True:
            u = _uniform(key, counter)
            accept = _uniform(key, counter + 1) * top
            # Most events accept below the smallest possible value and need no kernel at all.
            if accept < 1.0 - strength[i] * mean[i]:
                out[i] = u
                break
            alpha = 2.0 * np.pi * u
            ex, ey, ez = axis[0, i] * np.cos(alpha), axis[0, i] * np.sin(alpha), axis[1, i]
            space = 0.0
            for k in near[first[i] : first[i + 1]]:
                width, height = kappa[i], norm[i]
                if extension2[k] > 0.0:
                    width = 1.0 / (1.0 / width + extension2[k])
                    height = _vmf_norm(width)
                exponent = width * (ex * x[k] + ey * y[k] + ez * z[k] - 1.0)
                if exponent > -40.0:
                    space += weights[k] * height * _exp(min(exponent, 0.0))
            if accept < 1.0 + strength[i] * (space - mean[i]):
                out[i] = u
                break
            counter += 2 * n


@nb.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def fill_x(ratio, group, scale, mixing, difference, out):  # type: ignore[no-untyped-def]
    """x_i = ratio[group_i] scale_i sum_p L_p d_pi at one node; ratio (group,), mixing (p,), difference (p, event)."""
    for i in range(out.shape[0]):
        out[i] = difference[0, i] * mixing[0]
    for p in range(1, difference.shape[0]):
        if mixing[p] != 0.0:
            for i in range(out.shape[0]):
                out[i] += mixing[p] * difference[p, i]
    for i in range(out.shape[0]):
        out[i] *= ratio[group[i]] * scale[i]
