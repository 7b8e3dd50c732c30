"""The photon table with the derivatives of its interpolation, for likelihoods: yields and densities of delays.

The rules are those of ``nuanalysis.detector``: ln(fluence r^2), direction and delays are linear in r, in cosine and in
1/sqrt(ratio).  Derivatives come with respect to distance, cosine and height of the source.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from nuanalysis.store import keep_kernels

keep_kernels()

_SMALLEST = 0.1651  # m, radius of a module: no source is nearer to its centre
_LEVEL = 1.0  # m: within this difference of height a pair takes the ice of its middle
_DARKEST = 1e-3  # added to the acceptance, whose logarithm would end at light from above
_STEPS = 32
_WIDTH = 0.3  # of a smooth step of delay, as scale of a logistic law, in lengths of the step
_FAR = 15.0  # scales from its middle, beyond which a step gives nothing (3e-7 of its height)


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _to_height(sums, bottom, step, z):  # type: ignore[no-untyped-def]
    """Integral of 1/length up to a height, and 1/length there."""
    x = (z - bottom) / step
    i = min(max(math.floor(x), 0), sums.shape[0] - 2)
    slope = sums[i + 1] - sums[i]
    return sums[i] + (x - i) * slope, slope / step


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _average(sums, bottom, step, z, to):  # type: ignore[no-untyped-def]
    """Average of 1/length between two heights, 1/m, and its derivative with respect to the first."""
    gap = to - z
    if abs(gap) < _LEVEL:
        middle = 0.5 * (z + to)
        low, at_low = _to_height(sums, bottom, step, middle - 0.5 * _LEVEL)
        high, at_high = _to_height(sums, bottom, step, middle + 0.5 * _LEVEL)
        return (high - low) / _LEVEL, 0.5 * (at_high - at_low) / _LEVEL
    low, at_low = _to_height(sums, bottom, step, z)
    high, _ = _to_height(sums, bottom, step, to)
    average = (high - low) / gap
    return average, (average - at_low) / gap


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _place(table, ice, pair):  # type: ignore[no-untyped-def]
    """Where a pair (distance, source height, module height, cosine) stands: indices, weights, r, 1/sqrt(ratio), slopes.

    Returns (q, i, j), (to_q, by root), (to_i, by r), (to_j, by cosine), (r, by distance, by z), (root, by z),
    (1/scattering, by z).
    """
    distance, z, to, cosine = pair
    scattering, scattering_z = _average(ice.scattering, ice.bottom, ice.step, z, to)
    absorption, absorption_z = _average(ice.absorption, ice.bottom, ice.step, z, to)
    near = distance < _SMALLEST
    length = _SMALLEST if near else distance
    r, r_d, r_z = length * scattering, 0.0 if near else scattering, length * scattering_z
    root = math.sqrt(absorption / scattering)
    root_z = 0.5 * root * (absorption_z / absorption - scattering_z / scattering)
    q = 0
    while q < table.root.shape[0] - 2 and root < table.root[q + 1]:
        q += 1
    per_q = 1.0 / (table.root[q] - table.root[q + 1])
    last = table.radius.shape[0] - 1
    per = last / (table.log_radius[last] - table.log_radius[0])
    i = min(max(int((math.log(r) - table.log_radius[0]) * per), 0), last - 1)
    per_i = 1.0 / (table.radius[i + 1] - table.radius[i])
    j = min(max(np.searchsorted(table.cosine, cosine) - 1, 0), table.cosine.shape[0] - 2)
    per_j = 1.0 / (table.cosine[j + 1] - table.cosine[j])
    return (
        (q, i, j),
        _held((table.root[q] - root) * per_q, -per_q),
        _held((r - table.radius[i]) * per_i, per_i),
        _held((cosine - table.cosine[j]) * per_j, per_j),
        (r, r_d, r_z),
        (root, root_z),
        (scattering, scattering_z),
    )


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _held(part, slope):  # type: ignore[no-untyped-def]
    """A weight within 0 and 1, and its slope."""
    if part < 0.0:
        return 0.0, 0.0
    if part > 1.0:
        return 1.0, 0.0
    return part, slope


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _corner(one, part):  # type: ignore[no-untyped-def]
    """Weight of the lower (0) or upper (1) neighbour, and the sign of its slope."""
    return (part, 1.0) if one else (1.0 - part, -1.0)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _outside(table, cell, to_q, r, root):  # type: ignore[no-untyped-def]
    """ln of the light outside of the table over 1/r^2 from its border, and its slopes in r and 1/sqrt(ratio)."""
    a = root * root
    inside = min(max(a, 1.0 / table.ratio[-1]), 1.0 / table.ratio[0])
    value, by_r, by_root = 0.0, 0.0, 0.0
    if inside != a:
        value, by_r, by_root = r * (inside - a), inside - a, -2.0 * root * r
    if r > table.radius[-1]:
        beyond, change = r - table.radius[-1], table.slope[cell[0] + 1] - table.slope[cell[0]]
        fall = table.slope[cell[0]] + to_q[0] * change
        value += math.log(r / table.radius[-1]) - beyond * fall
        by_r += 1.0 / r - fall
        by_root -= beyond * change * to_q[1]
    return value, by_r, by_root


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _light(table, cell, q, i, j):  # type: ignore[no-untyped-def]
    """ln(fluence r^2) and direction, each with slopes in the three weights: two rows of 4."""
    light, along = (0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)
    for dq in range(2):
        wq, sq = _corner(dq, q)
        for di in range(2):
            wi, si = _corner(di, i)
            for dj in range(2):
                wj, sj = _corner(dj, j)
                a, b, c = cell[0] + dq, cell[1] + di, cell[2] + dj
                value = table.log_fluence[0, a, b, c] + 2.0 * table.log_radius[b]
                w, x, y, z = wq * wi * wj, sq * wi * wj, wq * si * wj, wq * wi * sj
                light = light[0] + w * value, light[1] + x * value, light[2] + y * value, light[3] + z * value
                value = table.direction[0, a, b, c]
                along = along[0] + w * value, along[1] + x * value, along[2] + y * value, along[3] + z * value
    return light, along


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _odd(p1, p3, p5, p7, x):  # type: ignore[no-untyped-def]
    """Sum of Legendre terms 1, 3, 5 and 7 at x, over x, and the slope of that."""
    a, b = p1 - 1.5 * p3 + 1.875 * p5 - 2.1875 * p7, 2.5 * p3 - 8.75 * p5 + 19.6875 * p7
    c, d, square = 7.875 * p5 - 43.3125 * p7, 26.8125 * p7, x * x
    return a + square * (b + square * (c + square * d)), 2.0 * x * (b + square * (2.0 * c + 3.0 * square * d))


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _accepted(k, m, up):  # type: ignore[no-untyped-def]
    """ln of the accepted part of photons as ``detector.acceptance`` has it, and its slopes.

    m : their mean cosine to the line of sight; up : cosine between that line and up.
    """
    q1 = k[1] + 3.0 / 5.0 * k[2] + 3.0 / 7.0 * k[3] + 1.0 / 3.0 * k[4]
    q3 = 2.0 / 5.0 * k[2] + 4.0 / 9.0 * k[3] + 14.0 / 33.0 * k[4]
    q5, q7 = 8.0 / 63.0 * k[3] + 8.0 / 39.0 * k[4], 16.0 / 429.0 * k[4]
    m2 = m * m
    m4 = m2 * m2
    odd, slope = _odd(m * q1, m * m2 * q3, m * m4 * q5, m * m2 * m4 * q7, up)
    by_m, _ = _odd(q1, 3.0 * m2 * q3, 5.0 * m4 * q5, 7.0 * m2 * m4 * q7, up)
    value = k[0] + up * odd
    if value <= 0.0:
        return math.log(_DARKEST), 0.0, 0.0
    value += _DARKEST
    return math.log(value), up * by_m / value, (odd + up * slope) / value


@nb.njit(cache=True, nogil=True, error_model="numpy")
def log_yields(table, ice, where, hole_ice, out):  # type: ignore[no-untyped-def]
    """ln of accepted photons per m2 and emitted one, and slopes in distance, cosine, source height; out (4, pair).

    where : distance, source height, module height, cosine, (pair,) each.
    """
    distance, source, module, cosine = where
    for n in range(distance.shape[0]):
        cell, q, i, j, r, root, inverse = _place(table, ice, (distance[n], source[n], module[n], cosine[n]))
        light, along = _light(table, cell, q[0], i[0], j[0])
        more, more_r, more_root = _outside(table, cell, q, r[0], root[0])
        light_r = light[2] * i[1] - 2.0 / r[0] + more_r
        light_root = light[1] * q[1] + more_root
        d = max(distance[n], _SMALLEST)
        up = (module[n] - source[n]) / d
        value, by_along, by_up = _accepted(hole_ice, along[0], up)
        by_r, by_root = light_r + by_along * along[2] * i[1], light_root + by_along * along[1] * q[1]
        out[0, n] = light[0] - 2.0 * math.log(r[0]) + more + 2.0 * math.log(inverse[0]) + value
        out[1, n] = by_r * r[1] - (by_up * up / d if distance[n] >= _SMALLEST else 0.0)
        out[2, n] = (light[3] + by_along * along[3]) * j[1]
        out[3, n] = by_r * r[2] + by_root * root[1] + 2.0 * inverse[1] / inverse[0] - by_up / d


@nb.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
def _fill(table, cell, q, i, j, rows):  # type: ignore[no-untyped-def]
    """Delays at the table's probabilities and slopes in the three weights, in scattering lengths; rows (4, 33)."""
    rows[:] = 0.0
    for dq in range(2):
        wq, sq = _corner(dq, q)
        for di in range(2):
            wi, si = _corner(di, i)
            for dj in range(2):
                wj, sj = _corner(dj, j)
                corner = table.delay[0, cell[0] + dq, cell[1] + di, cell[2] + dj]
                w, x, y, z = wq * wi * wj, sq * wi * wj, wq * si * wj, wq * wi * sj
                for k in range(_STEPS + 1):
                    value = corner[k]
                    rows[0, k] += w * value
                    rows[1, k] += x * value
                    rows[2, k] += y * value
                    rows[3, k] += z * value


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _delays(table, ice, pair, slowness, rows, out):  # type: ignore[no-untyped-def]
    """Delays of a pair, ns, and slopes in distance, cosine and source height, into out (4, 33); rows is work space."""
    cell, q, i, j, r, root, inverse = _place(table, ice, pair)
    _fill(table, cell, q[0], i[0], j[0], rows)
    border = min(max(r[0], table.radius[0]), table.radius[-1])
    scale = slowness / inverse[0] * r[0] / border
    by_r = 1.0 / r[0] if border != r[0] else 0.0  # of ln scale
    by_z = by_r * r[2] - inverse[1] / inverse[0]
    for k in range(_STEPS + 1):
        out[0, k] = scale * rows[0, k]
        slope_r = scale * rows[2, k] * i[1]
        out[1, k] = slope_r * r[1] + out[0, k] * by_r * r[1]
        out[2, k] = scale * rows[3, k] * j[1]
        out[3, k] = slope_r * r[2] + scale * rows[1, k] * q[1] * root[1] + out[0, k] * by_z


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _spread(delays, share, jitter, middle, width):  # type: ignore[no-untyped-def]
    """Middles and widths of the smooth steps of delay, and their slopes; middle, width (4, 32)."""
    for k in range(share.shape[0]):
        step = delays[0, k + 1] - delays[0, k]
        width[0, k] = math.sqrt(jitter * jitter + _WIDTH * _WIDTH * step * step)
        for s in range(4):
            middle[s, k] = 0.5 * (delays[s, k] + delays[s, k + 1])
        part = _WIDTH * _WIDTH * step / width[0, k]
        for s in range(1, 4):
            width[s, k] = part * (delays[s, k + 1] - delays[s, k])


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _density(middle, width, share, delay):  # type: ignore[no-untyped-def]
    """Density of a delay and its slopes: in distance, cosine, source height, and the delay."""
    value, first, second, third, late = 1e-12, 0.0, 0.0, 0.0, 0.0
    for k in range(share.shape[0]):
        x = (delay - middle[0, k]) / width[0, k]
        if abs(x) > _FAR:
            continue
        small = math.exp(-abs(x))
        part = small / (1.0 + small)
        each = share[k] * part / (1.0 + small) / width[0, k]
        turn = math.copysign((1.0 - small) / (1.0 + small), x)
        by_middle = each * turn / width[0, k]
        by_width = each * (x * turn - 1.0) / width[0, k]
        value += each
        late -= by_middle
        first += by_middle * middle[1, k] + by_width * width[1, k]
        second += by_middle * middle[2, k] + by_width * width[2, k]
        third += by_middle * middle[3, k] + by_width * width[3, k]
    return value, first, second, third, late


@nb.njit(cache=True, nogil=True, error_model="numpy")
def delay_densities(table, ice, where, law, of, delay, out):  # type: ignore[no-untyped-def]
    """Densities of delays, 1/ns, and slopes in distance, cosine, source height and delay; out (5, pulse).

    where : as in ``log_yields``.  law : share of the light in each step of probability (32,), then jitter in ns and 1
    over the speed of light in ns/m, (2,).  of (pulse,) : rising indices of pairs.
    """
    distance, source, module, cosine = where
    share, scales = law
    rows, delays = np.empty((4, _STEPS + 1)), np.empty((4, _STEPS + 1))
    middle, width = np.empty((4, _STEPS)), np.empty((4, _STEPS))
    last = -1
    for p in range(delay.shape[0]):
        n = of[p]
        if n != last:
            last = n
            _delays(table, ice, (distance[n], source[n], module[n], cosine[n]), scales[1], rows, delays)
            _spread(delays, share, scales[0], middle, width)
        out[:, p] = _density(middle, width, share, delay[p])


@nb.njit(cache=True, nogil=True, error_model="numpy")
def path_averages(ice, source, module, out):  # type: ignore[no-untyped-def]
    """Averages of 1/scattering and 1/absorption length between heights, 1/m, and their slopes in the first.

    out (4, pair) : scattering, absorption, then the slopes.
    """
    for n in range(source.shape[0]):
        out[0, n], out[2, n] = _average(ice.scattering, ice.bottom, ice.step, source[n], module[n])
        out[1, n], out[3, n] = _average(ice.absorption, ice.bottom, ice.step, source[n], module[n])


@nb.njit(cache=True, nogil=True, error_model="numpy")
def delay_rows(table, ice, where, slowness, out):  # type: ignore[no-untyped-def]
    """Delays of pairs at the table's probabilities, ns; where as in ``log_yields``, out (pair, 33)."""
    distance, source, module, cosine = where
    rows, delays = np.empty((4, _STEPS + 1)), np.empty((4, _STEPS + 1))
    for n in range(distance.shape[0]):
        _delays(table, ice, (distance[n], source[n], module[n], cosine[n]), slowness, rows, delays)
        out[n] = delays[0]
