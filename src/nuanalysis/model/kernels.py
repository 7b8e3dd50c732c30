"""Compiled loops that place events and read the signal density there.  Each has a slow twin in the tests.

Random numbers are SplitMix64 of (key of the trial, counter): trial i draws the same numbers whoever computes it.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from nuanalysis.store import keep_kernels

keep_kernels()  # before the first of them: here all files of kernels begin

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
SATURATION = 0.9
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


uniform = _uniform  # for the kernels of other rooms


@nb.njit(cache=True)
def trial_key(seed, trial, stream):  # type: ignore[no-untyped-def]
    """64-bit key of one stream of one trial."""
    return _mix(_mix(_mix(np.uint64(seed) + _GOLDEN) ^ np.uint64(trial)) + np.uint64(stream) * _M2)


@nb.njit(cache=True, nogil=True)
def draw_uniform(key, out):  # type: ignore[no-untyped-def]
    """Fill out (event,) with the scramble: u in [0, 1) of every event of a sample."""
    for i in range(out.shape[0]):
        out[i] = _uniform(key, 2 * i)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def template_difference(u, number, base, count, maps, mean, out):  # type: ignore[no-untyped-def]
    """S - <S> of the looked-up events at position u of each event's own ring.

    u (sample event,) in [0, 1), read at number (event,); base (event,) first pixel of the ring in the map of the
    event's error class; count (event,) pixels of the ring; maps (pixel of all classes, shape); mean and out
    (shape, event) sr^-1.

    Maps are larger than the processor's cache, and the time goes with waiting for them.  So pixels are read in a loop
    of their own, short enough for many reads to be under way at once, shape by shape of a block of events; and
    without sign, since a signed number would be tested for being negative.  One loop for all takes three times as long.
    """
    pixel = np.empty(number.shape[0], np.uint32)
    for i in range(number.shape[0]):
        pixel[i] = np.uint32(base[i] + np.int64(u[np.uint64(number[i])] * count[i]))
    for start in range(0, number.shape[0], 256):
        block = pixel[start : start + 256]
        for p in range(maps.shape[1]):
            shape, less, difference = np.uint64(p), mean[p, start : start + 256], out[p, start : start + 256]
            for j in range(block.shape[0]):
                difference[j] = maps[block[j], shape] - less[j]


@nb.njit(cache=True, inline="always")
def _exp(x):  # type: ignore[no-untyped-def]
    """exp(x) for -40 < x <= 0 to 1e-11: a table in steps of 1/64 and four terms of the series."""
    step = np.int64(-64.0 * x)
    r = x + step * 0.015625
    return _EXP[step] * (1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0)))))


@nb.njit(cache=True, inline="always")
def _sin_half_turn(r):  # type: ignore[no-untyped-def]
    """sin(pi r) for |r| <= 1/2 to 1e-11."""
    z = np.pi * r
    y = z * z
    s = 1.0 - y / 272.0 * (1.0 - y / 342.0)
    s = 1.0 - y / 210.0 * s
    s = 1.0 - y / 156.0 * s
    s = 1.0 - y / 110.0 * s
    s = 1.0 - y / 72.0 * s
    s = 1.0 - y / 42.0 * s
    s = 1.0 - y / 20.0 * s
    s = 1.0 - y / 6.0 * s
    return z * s


@nb.njit(cache=True, inline="always")
def exp_smooth(x):  # type: ignore[no-untyped-def]
    """exp(x) for -40 <= x <= 0 to 1e-9, without a table so that the compiler may use wide registers."""
    y = x * 0.015625
    e = 1.0 + y / 10.0 * (1.0 + y / 11.0)
    e = 1.0 + y / 9.0 * e
    e = 1.0 + y / 8.0 * e
    e = 1.0 + y / 7.0 * e
    e = 1.0 + y / 6.0 * e
    e = 1.0 + y / 5.0 * e
    e = 1.0 + y / 4.0 * e
    e = 1.0 + y / 3.0 * e
    e = 1.0 + y / 2.0 * e
    e = 1.0 + y * e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    return e * e


@nb.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def point_difference(u, number, axis, kappa, norm, ra, dec, mean, out):  # type: ignore[no-untyped-def]
    """S - <S> of one source; u (sample event,), all else but ra and dec (event,).

    kappa, norm (part, event) : concentration and height of each part of the kernel.
    The exponent is kappa (cos(gap in declination) - 1 - 2 cos cos sin^2(half the gap in right ascension)).
    """
    turn, cos_dec, sin_dec = ra / (2.0 * np.pi), np.cos(dec), np.sin(dec)
    for i in range(number.shape[0]):
        r = u[number[i]] - turn
        r -= np.floor(r + 0.5)
        s = _sin_half_turn(r)
        product = axis[0, i] * cos_dec
        along = product + axis[1, i] * sin_dec - 1.0 - 2.0 * product * s * s
        total = 0.0
        for part in range(kappa.shape[0]):
            exponent = kappa[part, i] * along
            value = exp_smooth(min(max(exponent, -40.0), 0.0))
            total += norm[part, i] * value if exponent > -40.0 else 0.0
        out[i] = total - mean[i]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _unsure(key, start, stop, strength, number, mixing, mean, ceiling, slope, accept, floor, chosen):  # type: ignore[no-untyped-def]
    """Events of a block whose first proposal needs the density to be judged; returns their number.

    A proposal is accepted where its random height, at most the largest density on the ring, lies below the density;
    most lie below the smallest possible density already.  Fills the slope s, held so that the density stays above
    1 - SATURATION, accept and floor (block,), and chosen with positions.
    """
    ratio, group, scale = strength
    p, q, a, b = mixing
    for i in range(start, stop):
        j = i - start
        middle = a * mean[p, i] + b * mean[q, i]
        s = min(ratio[group[i]] * scale[i], SATURATION / middle)
        slope[j] = s
        top = a * ceiling[p, i] + b * ceiling[q, i]
        floor[j] = 1.0 - s * middle
        accept[j] = _uniform(key, 2 * number[i] + 1) * (floor[j] + s * top)
    m = 0
    for j in range(stop - start):
        chosen[m] = j
        m += 1 if accept[j] >= floor[j] else 0
    return m


@nb.njit(cache=True, nogil=True, error_model="numpy")
def template_tilt(key, strength, number, base, count, maps, mixing, mean, ceiling, out):  # type: ignore[no-untyped-def]
    """Positions u drawn from 1 + s_i (S_i(u) - <S>_i), by rejection, into out[number_i], (sample event,).

    strength = (ratio (group,), group (event,), scale (event,)), s_i = ratio[group_i] scale_i, at most
    SATURATION / <S>_i: a strong tilt saturates for single events instead of making their density negative.
    mixing = (p, q, a, b): S is a times shape p plus b times shape q; maps (pixel of all classes, shape); mean, ceiling
    (shape, event), ceiling the largest S on the event's ring.  ``out`` holds the plain draw, the first proposal.
    Random numbers go by the event's number in its sample, whatever the order of the look-up.
    """
    n, size = np.int64(out.shape[0]), number.shape[0]
    p, q, a, b = mixing
    slope, accept, floor, chosen = np.empty(512), np.empty(512), np.empty(512), np.empty(513, np.int64)
    pixels, density, one, other = np.empty(512, np.uint32), np.empty(512), np.uint64(p), np.uint64(q)
    for start in range(0, size, 512):
        m = _unsure(
            key, start, min(start + 512, size), strength, number, mixing, mean, ceiling, slope, accept, floor, chosen
        )
        # Read in a loop of its own, see template_difference; most of the proposals are accepted after this.
        for k in range(m):
            i = np.uint64(start + chosen[k])
            pixels[k] = np.uint32(base[i] + np.int64(out[np.uint64(number[i])] * count[i]))
        for k in range(m):
            density[k] = a * maps[pixels[k], one] + b * maps[pixels[k], other]
        for k in range(m):
            j = chosen[k]
            s = slope[j]
            if accept[j] < floor[j] + s * density[k]:
                continue
            i = start + j
            top = floor[j] + s * (a * ceiling[p, i] + b * ceiling[q, i])
            u, height, counter = out[number[i]], accept[j], np.int64(2 * number[i])
            while height >= floor[j]:
                pixel = base[i] + np.int64(u * count[i])
                if height < floor[j] + s * (a * maps[pixel, p] + b * maps[pixel, q]):
                    break
                counter += 2 * n
                u, height = _uniform(key, counter), _uniform(key, counter + 1) * top
            out[number[i]] = u


@nb.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def fill_x(ratio, group, scale, mixing, difference, out):  # type: ignore[no-untyped-def]
    """x_i = ratio[group_i] scale_i sum_p L_p d_pi at one node; ratio (group,), mixing (p,), difference (p, event).

    At most two shapes, neighbours, are mixed.
    """
    p = 0
    while mixing[p] == 0.0:
        p += 1
    a, d = mixing[p], difference[p]
    if p + 1 < len(mixing) and mixing[p + 1] != 0.0:
        b, e = mixing[p + 1], difference[p + 1]
        for i in range(out.shape[0]):
            out[i] = (a * d[i] + b * e[i]) * (ratio[np.uint64(group[i])] * scale[i])
    else:
        for i in range(out.shape[0]):
            out[i] = a * d[i] * (ratio[np.uint64(group[i])] * scale[i])


@nb.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def expected_ts(x, floor, cs):  # type: ignore[no-untyped-def]
    """TS expected of scrambles tilted by each of cs (step,), rising, at right ascensions where x (event,) was read.

    2 sum (1 + c x) ln(1 + c x); floor (event,) is -x where the signal vanishes; slopes saturate as in template_tilt.
    The sum of c x, zero over all right ascensions, is left out: over a few it would be noise.  Of |c x| < 0.1, which is
    nearly every event at nearly every step, powers are summed once for all steps.
    """
    steps = cs.shape[0]
    total, powers = np.zeros(steps), np.zeros((steps + 1, 4))
    for i in range(x.shape[0]):
        bound = max(10.0 * abs(x[i]), floor[i] / SATURATION)
        k = steps
        while k > 0 and cs[k - 1] * bound >= 1.0:
            k -= 1
            y = min(cs[k], SATURATION / max(floor[i], 1e-300)) * x[i]
            total[k] += (1.0 + y) * np.log1p(y) - y
        square = x[i] * x[i]
        powers[k, 0] += square
        powers[k, 1] += square * x[i]
        powers[k, 2] += square * square
        powers[k, 3] += square * square * x[i]
    left = np.zeros(4)  # of the events that are still small at a step
    for k in range(steps - 1, -1, -1):
        left += powers[k + 1]
        c = cs[k]
        total[k] += c * c * (0.5 * left[0] - c * (left[1] / 6.0 - c * (left[2] / 12.0 - c * left[3] * 0.05)))
    return 2.0 * total
