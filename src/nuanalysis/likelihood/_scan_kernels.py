"""Compiled loops of the sky scan: the fit of one direction after the other, all at one declination.

An event adds x = ratio[node, group] e with e = scale (S - <S>), S one or several von Mises-Fisher parts.  Of e only S
changes from direction to direction of a declination, so a pass fills e and sums its powers group by group; every
spectral node, every Newton step and every mixture of two nodes follows from these sums and from the few events whose
|e| is too large for them.

Events come in two kinds.  Wide ones, sorted by group, are evaluated for every direction.  Narrow ones lie in bins of
right ascension, and only bins that can reach the direction are read: elsewhere e = -scale <S>, whose sums are known.

Signatures are spelt out for the reason given in ``_kernels``; loops that sum store nothing, as in joint_derivatives.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from nuanalysis.likelihood._kernels import (
    _log_pair,
    _pair_derivatives,
    _pair_step,
    log_ratio,
    log_ratio_sums,
    maximise_sums,
)
from nuanalysis.model.kernels import SATURATION, exp_smooth

ORDERS = 6


@nb.njit(
    "(float64[:, ::1], float64[::1], float64[::1], float64, float64, float64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath=True,
)
def _add_parts(shape, cos_ra, sin_ra, cos_at, sin_at, out):  # type: ignore[no-untyped-def]
    """Add what the parts behind the first bring to e."""
    line, offset, height = shape[0], shape[1], shape[2]
    for p in range(4, shape.shape[0], 2):
        relative, sharpness = shape[p], shape[p + 1]
        for i in range(out.shape[0]):
            exponent = line[i] * (cos_ra[i] * cos_at + sin_ra[i] * sin_at) + offset[i]
            out[i] += height[i] * relative[i] * exp_smooth(min(max(sharpness[i] * exponent, -40.0), 0.0))


@nb.njit(
    "(float64[:, ::1], float64[::1], float64[::1], float64, float64, float64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath=True,
)
def fill(shape, cos_ra, sin_ra, cos_at, sin_at, out):  # type: ignore[no-untyped-def]
    """e of each event at one right ascension, (event,), from the rows line, offset, height, mean of ``shape``.

    e = height exp(line cos(gap in right ascension) + offset) - mean; a kernel below exp(-40) adds 4e-18 of its height.
    Rows in pairs behind these are further parts: height over that of the first, and exponent over that of the first.
    """
    line, offset, height, mean = shape[0], shape[1], shape[2], shape[3]
    for i in range(out.shape[0]):
        exponent = line[i] * (cos_ra[i] * cos_at + sin_ra[i] * sin_at) + offset[i]
        out[i] = height[i] * exp_smooth(min(max(exponent, -40.0), 0.0)) - mean[i]
    if shape.shape[0] > 4:
        _add_parts(shape, cos_ra, sin_ra, cos_at, sin_at, out)


@nb.njit("(float64[::1], int64, int64, float64)", cache=True, nogil=True, error_model="numpy", fastmath=True)
def _powers(e, start, stop, limit):  # type: ignore[no-untyped-def]
    s1, s2, s3, s4, s5, s6 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(start, stop):
        x = e[i] if abs(e[i]) <= limit else 0.0
        x2 = x * x
        x3 = x2 * x
        s1 += x
        s2 += x2
        s3 += x3
        s4 += x2 * x2
        s5 += x3 * x2
        s6 += x3 * x3
    return s1, s2, s3, s4, s5, s6


@nb.njit(
    "(float64[::1], int64[::1], float64[::1], float64[:, ::1], float64[::1], int64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def sum_wide(e, first, limit, moments, near_e, near_group):  # type: ignore[no-untyped-def]
    """Add the powers of the e with |e| <= limit (group,) to moments (order, group); returns the number of the others.

    first (group + 1,): where the events of a group begin.  near_e and near_group begin with the others.
    """
    m = 0
    for k in range(limit.shape[0]):
        start, stop, most = first[k], first[k + 1], limit[k]
        if start == stop:
            continue
        s = _powers(e, start, stop, most)
        for j in range(6):
            moments[j, k] += s[j]
        for i in range(start, stop):
            near_e[m] = e[i]
            near_group[m] = k
            m += 1 if abs(e[i]) > most else 0
    return m


@nb.njit(
    "(float64[::1], int64[::1], int64[::1], int64[::1], int64[::1], int64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def sort_to_bins(ra, klass, bins, first_bin, start, order):  # type: ignore[no-untyped-def]
    """Sort events by the bin of their right ascension, [0, 2 pi): start (bin + 1,) and order (event,).

    klass (event,) chooses how many bins there are, bins (class,); first_bin (class,) is where those of a class begin.
    """
    n = ra.shape[0]
    where = np.empty(n, dtype=np.int64)
    start[:] = 0
    for i in range(n):
        k = klass[i]
        where[i] = first_bin[k] + min(np.int64(ra[i] / (2.0 * np.pi) * bins[k]), bins[k] - 1)
        start[where[i] + 1] += 1
    for b in range(start.shape[0] - 1):
        start[b + 1] += start[b]
    place = start[:-1].copy()
    for i in range(n):
        order[place[where[i]]] = i
        place[where[i]] += 1


@nb.njit(
    "(float64[:, ::1], float64[::1], float64[::1], float64, float64, int64, float64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath=True,
)
def _exponents(shape, cos_ra, sin_ra, cos_at, sin_at, start, out):  # type: ignore[no-untyped-def]
    line, offset = shape[0], shape[1]
    for i in range(out.shape[0]):
        out[i] = line[start + i] * (cos_ra[start + i] * cos_at + sin_ra[start + i] * sin_at) + offset[start + i]


@nb.njit("(float64[::1],)", cache=True, nogil=True, error_model="numpy", fastmath=True)
def _to_kernel(exponent):  # type: ignore[no-untyped-def]
    for i in range(exponent.shape[0]):
        exponent[i] = exp_smooth(min(max(exponent[i], -40.0), 0.0))


@nb.njit(
    "(float64[:, ::1], int64[::1], float64[::1], float64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath=True,
)
def _add_kernels(shape, found, exponent, kernel):  # type: ignore[no-untyped-def]
    """Add the parts behind the first to the kernels of the events ``found``; exponent (found,) of their first parts."""
    for p in range(4, shape.shape[0], 2):
        for j in range(found.shape[0]):
            sharper = shape[p + 1, found[j]] * exponent[j]
            kernel[j] += shape[p, found[j]] * exp_smooth(min(max(sharper, -40.0), 0.0))


@nb.njit(
    "(float64[:, ::1], float64[::1], float64[::1], int64[::1], int64[::1], int64[::1], float64[::1], "
    "float64, float64[::1], float64[::1], int64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def find_narrow(shape, cos_ra, sin_ra, start, bins, first_bin, reach, at, scratch, kernel, found):  # type: ignore[no-untyped-def]
    """Numbers and kernels, relative to the peak of their first, widest part, of the narrow events that this brings to
    right ascension ``at``; how many.

    Events in the order of the bins; reach (class,) is the largest gap in right ascension that a class bridges, and bins
    are finer, so that a run of bins, in two pieces where it passes right ascension 0, holds all that matter.
    """
    m = 0
    cos_at, sin_at = np.cos(at), np.sin(at)
    for k in range(bins.shape[0]):
        n, first = bins[k], first_bin[k]
        low = np.int64(np.floor((at - reach[k]) / (2.0 * np.pi) * n))
        high = np.int64(np.floor((at + reach[k]) / (2.0 * np.pi) * n)) + 1
        for turn in (-1, 0, 1):
            begin = start[first + min(max(low - turn * n, 0), n)]
            size = start[first + min(max(high - turn * n, 0), n)] - begin
            if size <= 0:
                continue
            _exponents(shape, cos_ra, sin_ra, cos_at, sin_at, begin, scratch[:size])
            for i in range(size):
                kernel[m] = scratch[i]
                found[m] = begin + i
                m += 1 if scratch[i] > -40.0 else 0
    several = shape.shape[0] > 4
    if several:
        scratch[:m] = kernel[:m]
    _to_kernel(kernel[:m])
    if several:
        _add_kernels(shape, found[:m], scratch[:m], kernel[:m])
    return m


@nb.njit(
    "(float64[::1], int64[::1], float64[:, ::1], int64[::1], float64[::1], float64[:, ::1], float64[::1], int64[::1], "
    "int64)",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def sum_narrow(kernel, found, shape, group, limit, moments, near_e, near_group, m):  # type: ignore[no-untyped-def]
    """Replace the powers of -mean by those of e in moments; the e beyond the limit follow the m near ones there are."""
    for j in range(found.shape[0]):
        i = found[j]
        k, b = group[i], -shape[3, i]
        x = shape[2, i] * kernel[j] + b
        near_e[m] = x
        near_group[m] = k
        if abs(x) > limit[k]:
            m += 1
            x = 0.0
        x2, b2 = x * x, b * b
        x3, b3 = x2 * x, b2 * b
        moments[0, k] += x - b
        moments[1, k] += x2 - b2
        moments[2, k] += x3 - b3
        moments[3, k] += x2 * x2 - b2 * b2
        moments[4, k] += x3 * x2 - b3 * b2
        moments[5, k] += x3 * x3 - b3 * b3
    return m


@nb.njit("(float64[::1], float64[:, ::1])", cache=True, nogil=True, error_model="numpy", fastmath=True)
def _node_powers(ratio, moments):  # type: ignore[no-untyped-def]
    """Power sums of x at one node, from those of the groups."""
    s1, s2, s3, s4, s5, s6 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(ratio.shape[0]):
        r = ratio[k]
        r2 = r * r
        r3 = r2 * r
        s1 += r * moments[0, k]
        s2 += r2 * moments[1, k]
        s3 += r3 * moments[2, k]
        s4 += r2 * r2 * moments[3, k]
        s5 += r3 * r2 * moments[4, k]
        s6 += r3 * r3 * moments[5, k]
    return s1, s2, s3, s4, s5, s6


@nb.njit(
    "(float64[::1], float64[::1], float64, float64, float64[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath=True,
)
def _pair_far(p, q, a, b, moments):  # type: ignore[no-untyped-def]
    """Gradient, minus the Hessian, and value of the far events' sum of ln(1 + (a p + b q) e), to sixth order."""
    ga, gb, haa, hab, hbb, value = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(p.shape[0]):
        r = a * p[k] + b * q[k]
        m1, m2, m3, m4, m5, m6 = (
            moments[0, k],
            moments[1, k],
            moments[2, k],
            moments[3, k],
            moments[4, k],
            moments[5, k],
        )
        slope = m1 - r * (m2 - r * (m3 - r * (m4 - r * (m5 - r * m6))))
        bend = m2 - r * (2 * m3 - r * (3 * m4 - r * (4 * m5 - r * 5 * m6)))
        value += r * (m1 - r * (m2 / 2 - r * (m3 / 3 - r * (m4 / 4 - r * (m5 / 5 - r * m6 / 6)))))
        ga += p[k] * slope
        gb += q[k] * slope
        haa += p[k] * p[k] * bend
        hab += p[k] * q[k] * bend
        hbb += q[k] * q[k] * bend
    return ga, gb, haa, hab, hbb, value


@nb.njit(
    "(float64[::1], float64[::1], float64[::1], float64[::1], float64[:, ::1], float64, float64, float64)",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def maximise_pair_groups(x, y, p, q, moments, c, largest_x, largest_y):  # type: ignore[no-untyped-def]
    """As maximise_pair_sums; the far events' part from the power sums of groups and the ratios p, q (group,)."""
    a, b = c, 0.0
    near = _pair_derivatives(x, y, a, b)
    far = _pair_far(p, q, a, b, moments)
    if near[1] + far[1] <= 1e-9 * max(1.0, abs(near[4] + far[4])) ** 0.5:
        return a, b, 0.0, False, True, True
    converged, inside = False, True
    for _ in range(60):
        slopes = near[0] + far[0], near[1] + far[1]
        bends = near[2] + far[2], near[3] + far[3], near[4] + far[4]
        a, b, moved, near = _pair_step(x, y, a, b, slopes[0], slopes[1], bends[0], bends[1], bends[2])
        if moved < 0.0:
            converged = True
            break
        if a / largest_x + b / largest_y > 1.0:
            inside = False
            break
        far = _pair_far(p, q, a, b, moments)
        if moved <= 1e-8 * (a + b):
            converged = True
            break
    return a, b, far[5] + _log_pair(x, y, a, b), True, converged, inside


@nb.njit(
    "(float64[::1], int64[::1], float64[:, ::1], float64[:, ::1], float64[::1], float64[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def maximise_groups(near_e, near_group, ratio, moments, largest, x):  # type: ignore[no-untyped-def]
    """As maximise_free_sums, from the near events and the power sums of groups; x (node, > near event) is scratch.

    Returns (c, position, log-ratio, converged, inside).
    """
    nodes, m = ratio.shape[0], near_e.shape[0]
    value, strength, power = np.zeros(nodes), np.zeros(nodes), np.empty(6)
    good = True
    for g in range(nodes):
        for i in range(m):
            x[g, i] = near_e[i] * ratio[g, near_group[i]]
        sums = _node_powers(ratio[g], moments)
        for j in range(6):
            power[j] = sums[j]
        strength[g], ok, inside = maximise_sums(x[g, :m], power, largest[g])
        if not inside:
            return 0.0, 0.0, 0.0, False, False
        if strength[g] > 0.0:
            value[g] = log_ratio_sums(x[g, :m], power, strength[g])
        good = good and ok
    best = 0
    for g in range(nodes):
        if value[g] > value[best]:
            best = g
    if value[best] <= 0.0:
        return 0.0, np.float64(best), 0.0, good, True
    c, position, top = strength[best], np.float64(best), value[best]
    for side in (-1, 1):
        g = best + side
        if g < 0 or g >= nodes:
            continue
        a, b, found, improved, ok, inside = maximise_pair_groups(
            x[best, :m], x[g, :m], ratio[best], ratio[g], moments, strength[best], largest[best], largest[g]
        )
        if not inside:
            return 0.0, 0.0, 0.0, False, False
        if improved and a + b > 0.0 and found > top:
            top, c, position, good = found, a + b, best + side * b / (a + b), ok
    return c, position, top, good, True


# The events of a circle at their right ascensions: wide, first, wide_cos, wide_sin, narrow, narrow_group, narrow_cos,
# narrow_sin, and for ``find_narrow`` start, bins, first_bin, reach.
_EVENTS = (
    "Tuple((float64[:, ::1], int64[::1], float64[::1], float64[::1], float64[:, ::1], int64[::1], float64[::1], "
    "float64[::1], int64[::1], int64[::1], int64[::1], float64[::1]))"
)


@nb.njit(
    f"({_EVENTS}, float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[::1], float64[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def fit_circle(events, base, ratio, limit, largest, at, out):  # type: ignore[no-untyped-def]
    """Fit every direction ``at`` (direction,) of a circle into out (direction, 5).

    base (order, group): power sums of -mean of the narrow events.  limit (level, group), largest (level, node): what
    power sums serve, level by level; a maximum beyond one level is looked for with the next.
    out: c, position, log-ratio, converged, and the level that served; -1 where none did.
    """
    wide, first, wide_cos, wide_sin = events[:4]
    narrow, narrow_group, narrow_cos, narrow_sin = events[4:8]
    start, bins, first_bin, reach = events[8:]
    n, m, nodes = first[-1], narrow_group.shape[0], ratio.shape[0]
    e, scratch, kernel, found = np.empty(n), np.empty(m + 1), np.empty(m + 1), np.empty(m + 1, dtype=np.int64)
    near_e, near_group = np.empty(n + m + 1), np.empty(n + m + 1, dtype=np.int64)
    moments = np.empty(base.shape)
    x = np.empty((nodes, 256))
    for d in range(at.shape[0]):
        fill(wide, wide_cos, wide_sin, np.cos(at[d]), np.sin(at[d]), e)
        seen = find_narrow(narrow, narrow_cos, narrow_sin, start, bins, first_bin, reach, at[d], scratch, kernel, found)
        out[d, 4] = -1.0
        for level in range(limit.shape[0]):
            moments[:] = base
            k = sum_wide(e, first, limit[level], moments, near_e, near_group)
            k = sum_narrow(
                kernel[:seen], found[:seen], narrow, narrow_group, limit[level], moments, near_e, near_group, k
            )
            if k >= x.shape[1]:
                x = np.empty((nodes, 2 * k))
            c, position, value, good, inside = maximise_groups(
                near_e[:k], near_group[:k], ratio, moments, largest[level], x
            )
            if inside:
                out[d, 0], out[d, 1], out[d, 2], out[d, 3], out[d, 4] = c, position, value, 1.0 if good else 0.0, level
                break


@nb.njit(
    f"({_EVENTS}, float64[:, ::1], float64[:, ::1], float64[::1], int64[::1], int64[::1], float64[::1], float64[::1], "
    "float64[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def ratio_circle(events, base, ratio, limit, saturating, node, strength, at, out):  # type: ignore[no-untyped-def]
    """Sum of ln(1 + c_i x_i) of given tilts for every direction ``at`` (direction,) of a circle, out (direction, tilt).

    node and strength (tilt,): spectral node and c = n_s / N, for which limit (group,) serves.  c_i is c, but for the
    wide events ``saturating`` the smaller of it and SATURATION over their w <S>.  Else as fit_circle.
    """
    wide, first, wide_cos, wide_sin = events[:4]
    narrow, narrow_group, narrow_cos, narrow_sin = events[4:8]
    start, bins, first_bin, reach = events[8:]
    n, m = first[-1], narrow_group.shape[0]
    e, scratch, kernel, found = np.empty(n), np.empty(m + 1), np.empty(m + 1), np.empty(m + 1, dtype=np.int64)
    near_e, near_group = np.empty(n + m + 1), np.empty(n + m + 1, dtype=np.int64)
    moments, x, strong = np.empty(base.shape), np.empty(n + m + 1), np.empty(saturating.shape[0])
    group = np.empty(saturating.shape[0], dtype=np.int64)
    for j in range(saturating.shape[0]):
        group[j] = np.searchsorted(first, saturating[j], side="right") - 1
    for d in range(at.shape[0]):
        fill(wide, wide_cos, wide_sin, np.cos(at[d]), np.sin(at[d]), e)
        for j in range(saturating.shape[0]):
            strong[j] = e[saturating[j]]
            e[saturating[j]] = 0.0
        seen = find_narrow(narrow, narrow_cos, narrow_sin, start, bins, first_bin, reach, at[d], scratch, kernel, found)
        moments[:] = base
        k = sum_wide(e, first, limit, moments, near_e, near_group)
        k = sum_narrow(kernel[:seen], found[:seen], narrow, narrow_group, limit, moments, near_e, near_group, k)
        for t in range(node.shape[0]):
            g, c = node[t], strength[t]
            for i in range(k):
                x[i] = near_e[i] * ratio[g, near_group[i]]
            total, factor = log_ratio(x[:k], c), c
            sums = _node_powers(ratio[g], moments)
            for j in range(6):
                total += factor * sums[j] / (j + 1)
                factor *= -c
            for j in range(saturating.shape[0]):
                held = min(c * ratio[g, group[j]], SATURATION / wide[3, saturating[j]])
                total += np.log(1.0 + held * strong[j])
            out[d, t] = total


@nb.njit(f"({_EVENTS}, float64, float64[::1])", cache=True, nogil=True, error_model="numpy")
def fill_all(events, at, out):  # type: ignore[no-untyped-def]
    """e of all wide and then all narrow events, (event,), for a direction that power sums do not serve."""
    wide, _, wide_cos, wide_sin = events[:4]
    narrow, _, narrow_cos, narrow_sin = events[4:8]
    start, bins, first_bin, reach = events[8:]
    n, m = wide.shape[1], narrow.shape[1]
    fill(wide, wide_cos, wide_sin, np.cos(at), np.sin(at), out[:n])
    scratch, kernel, found = np.empty(m + 1), np.empty(m + 1), np.empty(m + 1, dtype=np.int64)
    seen = find_narrow(narrow, narrow_cos, narrow_sin, start, bins, first_bin, reach, at, scratch, kernel, found)
    for i in range(m):
        out[n + i] = -narrow[3, i]
    for j in range(seen):
        out[n + found[j]] += narrow[2, found[j]] * kernel[j]
