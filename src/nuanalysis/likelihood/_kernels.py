"""Compiled sums and maximisers of the likelihood.  Each has a slow, obvious twin in the tests.

Signatures are spelt out so that all but maximise_free are loaded at import, in this order.  Loaded at first use, it
would bring its own copies of them or not, depending on what the process computed before: TS would differ in the last
bit from worker to worker.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from nuanalysis.model.kernels import SATURATION, fill_x

_LARGEST = 100.0


@nb.njit("(float64[::1], float64)", cache=True, nogil=True, error_model="numpy", fastmath=True)
def log_ratio(x, c):  # type: ignore[no-untyped-def]
    """Sum over events of ln(1 + c x); products of eight before each logarithm."""
    total = 0.0
    whole = x.shape[0] // 8 * 8
    for i in range(0, whole, 8):
        product = 1.0
        for j in range(8):
            product *= 1.0 + c * x[i + j]
        total += np.log(product)
    for i in range(whole, x.shape[0]):
        total += np.log(1.0 + c * x[i])
    return total


@nb.njit("(float64[::1], float64)", cache=True, nogil=True, error_model="numpy", fastmath=True)
def _slopes(x, c):  # type: ignore[no-untyped-def]
    """First and second derivative of the log-ratio by c."""
    first, second = 0.0, 0.0
    for i in range(x.shape[0]):
        y = x[i] / (1.0 + c * x[i])
        first += y
        second += y * y
    return first, second


@nb.njit("(float64[::1],)", cache=True, nogil=True, error_model="numpy", fastmath=True)
def ceiling_of(x):  # type: ignore[no-untyped-def]
    """Largest c = n_s / N allowed: every 1 + c x stays above 0.01.

    n_s counts signal before the user's cuts, so under hard cuts it may exceed the N that are left; 100 N is the end.
    """
    low, lanes = 0.0, np.zeros(64)  # lanes go side by side; one minimum would wait for itself at every event
    whole = x.shape[0] // 64 * 64
    for start in range(0, whole, 64):
        block = x[start : start + 64]
        for j in range(64):
            lanes[j] = min(lanes[j], block[j])
    for j in range(64):
        low = min(low, lanes[j])
    for i in range(whole, x.shape[0]):
        low = min(low, x[i])
    return min(_LARGEST, 0.99 / max(-low, 1e-300))


@nb.njit("(float64[::1],)", cache=True, nogil=True, error_model="numpy")
def maximise_c(x):  # type: ignore[no-untyped-def]
    """Maximise the concave sum of ln(1 + c x) over 0 <= c <= ceiling by safeguarded Newton.

    Returns (c, converged).
    """
    top = ceiling_of(x)
    first, second = _slopes(x, 0.0)
    if first <= 0.0 or second == 0.0:
        return 0.0, True
    low, high = 0.0, top
    c = min(first / second, 0.5 * top)
    for _ in range(60):
        first, second = _slopes(x, c)
        if first > 0.0:
            low = c
        else:
            high = c
        step = first / second
        new = c + step
        if new >= high:
            if high == top and low == c and c > top * (1.0 - 1e-9):
                return top, True
            new = 0.5 * (c + high) if high < top or c > 0.5 * top else top * (1.0 - 1e-10)
        elif new <= low:
            new = 0.5 * (low + c)
        if abs(new - c) <= 1e-8 * c:
            return new, True
        c = new
    return c, False


@nb.njit("(float64[::1], float64[::1], float64, float64)", cache=True, nogil=True, error_model="numpy", fastmath=True)
def _pair_derivatives(x, y, a, b):  # type: ignore[no-untyped-def]
    ga, gb, haa, hab, hbb, least = 0.0, 0.0, 0.0, 0.0, 0.0, 1.0e300
    for i in range(x.shape[0]):
        denominator = 1.0 + a * x[i] + b * y[i]
        least = min(least, denominator)
        inverse = 1.0 / denominator
        p, q = x[i] * inverse, y[i] * inverse
        ga += p
        gb += q
        haa += p * p
        hab += p * q
        hbb += q * q
    return ga, gb, haa, hab, hbb, least


@nb.njit("(float64[::1], float64[::1], float64, float64)", cache=True, nogil=True, error_model="numpy", fastmath=True)
def _log_pair(x, y, a, b):  # type: ignore[no-untyped-def]
    """Sum of ln(1 + a x + b y)."""
    total = 0.0
    for i in range(x.shape[0]):
        total += np.log(1.0 + a * x[i] + b * y[i])
    return total


@nb.njit(
    "(float64[::1], float64[::1], float64, float64, float64, float64, float64, float64, float64)",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _pair_step(x, y, a, b, ga, gb, haa, hab, hbb):  # type: ignore[no-untyped-def]
    """One Newton step from (a, b) with the given slopes, kept where a, b >= 0 and every near density is positive.

    Returns (a, b, moved, derivatives of the near events there); moved is -1 where (a, b) is the maximum already.
    """
    nothing = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    det = haa * hbb - hab * hab
    if det <= 1e-12 * haa * hbb:
        return a, b, -1.0, nothing  # the two nodes cannot be told apart
    da, db = (hbb * ga - hab * gb) / det, (haa * gb - hab * ga) / det
    length = 1.0
    if a + da < 0.0:
        length = min(length, a / -da)
    if b + db < 0.0:
        length = min(length, b / -db)
    if length < 1e-12:
        return a, b, -1.0, nothing  # on the border, pushed outwards: the maximum lies there
    trial = nothing
    na, nb_ = a, b
    for _ in range(40):
        na, nb_ = a + length * da, b + length * db
        trial = _pair_derivatives(x, y, na, nb_)
        if trial[5] > 0.005 and na + nb_ <= _LARGEST:
            break
        length *= 0.5
    return max(na, 0.0), max(nb_, 0.0), abs(na - a) + abs(nb_ - b), trial


@nb.njit("(float64[::1], float64[::1], float64)", cache=True, nogil=True, error_model="numpy")
def maximise_pair(x, y, c):  # type: ignore[no-untyped-def]
    """Maximise the jointly concave sum of ln(1 + a x + b y) over a, b >= 0, from the one-node optimum (c, 0).

    Between two spectral nodes the signal is the mixture a x + b y, so its maximum is that of a concave function.
    Returns (a, b, improved, converged).
    """
    a, b = c, 0.0
    ga, gb, haa, hab, hbb = _pair_derivatives(x, y, a, b)[:5]
    if gb <= 1e-9 * max(1.0, abs(hbb)) ** 0.5:
        return a, b, False, True
    for _ in range(60):
        a, b, moved, near = _pair_step(x, y, a, b, ga, gb, haa, hab, hbb)
        if moved < 0.0:
            return a, b, True, True
        ga, gb, haa, hab, hbb = near[:5]
        if moved <= 1e-8 * (a + b):
            return a, b, True, True
    return a, b, True, False


# --- far events by their power sums -----------------------------------------------------------------------------------
#
# An event with |c x| <= e adds to the sum of ln(1 + c x) what the first few powers say, so sums of powers stand for all
# such events; the few near ones are kept.  One pass over the events replaces the passes of every Newton step, of every
# spectral node and of every tilt of a mixture.


@nb.njit(
    "(float64[::1], float64[::1], int64[::1], float64[::1], float64[::1], float64[::1], int64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath=True,
)
def sum_fixed(difference, ratio, group, scale, limit, power, near):  # type: ignore[no-untyped-def]
    """Add the powers 1 to 6 of the x with |x| <= limit (event,) to power (6,); returns the number of the others.

    near (event + 1,) begins with the numbers of the others.
    """
    n, m = group.shape[0], 0
    block = np.empty(512)
    s1, s2, s3, s4, s5, s6 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for start in range(0, n, 512):
        size = min(512, n - start)
        for j in range(size):
            i = start + j
            block[j] = difference[i] * ratio[group[i]] * scale[i]
        for j in range(size):
            x = block[j]
            near[m] = start + j
            m += 1 if abs(x) > limit[start + j] else 0
        for j in range(size):
            x = block[j] if abs(block[j]) <= limit[start + j] else 0.0
            x2 = x * x
            x3 = x2 * x
            s1 += x
            s2 += x2
            s3 += x3
            s4 += x2 * x2
            s5 += x3 * x2
            s6 += x3 * x3
    power[0] += s1
    power[1] += s2
    power[2] += s3
    power[3] += s4
    power[4] += s5
    power[5] += s6
    return m


@nb.njit(
    "(float64[:, ::1], int64[::1], float64[::1], float64[::1], float64[:, ::1], int64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath=True,
)
def sum_free(difference, group, scale, limit, moments, near):  # type: ignore[no-untyped-def]
    """Moments of e_p = scale d_p, four shapes p, of the far events of each group; numbers of the near ones in ``near``.

    An event is far where every |e_p| <= limit (event,).
    moments (group, 34): powers 1 to 4 of each shape, then for each neighbouring pair (p, q) the products pq, p2q, pq2,
    p3q, p2q2, pq3.  Returns the number of near events.
    """
    n, m = group.shape[0], 0
    for i in range(n):
        s, k = scale[i], group[i]
        a, b, c, d = s * difference[0, i], s * difference[1, i], s * difference[2, i], s * difference[3, i]
        if max(max(abs(a), abs(b)), max(abs(c), abs(d))) > limit[i]:
            near[m] = i
            m += 1
            continue
        row = moments[k]
        a2, b2, c2, d2 = a * a, b * b, c * c, d * d
        ab, bc, cd = a * b, b * c, c * d
        row[0] += a
        row[1] += b
        row[2] += c
        row[3] += d
        row[4] += a2
        row[5] += b2
        row[6] += c2
        row[7] += d2
        row[8] += a2 * a
        row[9] += b2 * b
        row[10] += c2 * c
        row[11] += d2 * d
        row[12] += a2 * a2
        row[13] += b2 * b2
        row[14] += c2 * c2
        row[15] += d2 * d2
        row[16] += ab
        row[17] += bc
        row[18] += cd
        row[19] += a2 * b
        row[20] += b2 * c
        row[21] += c2 * d
        row[22] += a * b2
        row[23] += b * c2
        row[24] += c * d2
        row[25] += a2 * ab
        row[26] += b2 * bc
        row[27] += c2 * cd
        row[28] += ab * ab
        row[29] += bc * bc
        row[30] += cd * cd
        row[31] += ab * b2
        row[32] += bc * c2
        row[33] += cd * d2
    return m


@nb.njit(
    "(float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def node_sums(moments, ratio, mixing, power, cross):  # type: ignore[no-untyped-def]
    """Add the power sums at each node, power (node, 4), and the cross sums of neighbours, cross (node - 1, 6).

    moments of ``sum_free``; ratio (node, group); mixing (node, 4), at most two neighbouring shapes at a node, and
    the same two for a node and the next.  cross: sums of xy, x2y, xy2, x3y, x2y2, xy3 of nodes (x, y).
    """
    nodes, groups = ratio.shape
    for g in range(nodes):
        q = 0
        while q < 2 and (
            mixing[g, q] == 0.0 or (mixing[g, q + 1] == 0.0 and g + 1 < nodes and mixing[g + 1, q] == 0.0)
        ):
            q += 1
        last = g + 1 == nodes
        for k in range(groups):
            m = moments[k]
            a, b = ratio[g, k] * mixing[g, q], ratio[g, k] * mixing[g, q + 1]
            a2, b2, ab = a * a, b * b, a * b
            p1, p2 = m[q], m[q + 1]
            p20, p02, p11 = m[4 + q], m[5 + q], m[16 + q]
            p30, p03, p21, p12 = m[8 + q], m[9 + q], m[19 + q], m[22 + q]
            p40, p04, p31, p22, p13 = m[12 + q], m[13 + q], m[25 + q], m[28 + q], m[31 + q]
            power[g, 0] += a * p1 + b * p2
            power[g, 1] += a2 * p20 + 2 * ab * p11 + b2 * p02
            power[g, 2] += a2 * a * p30 + 3 * a2 * b * p21 + 3 * a * b2 * p12 + b2 * b * p03
            power[g, 3] += a2 * a2 * p40 + 4 * a2 * ab * p31 + 6 * a2 * b2 * p22 + 4 * ab * b2 * p13 + b2 * b2 * p04
            if last:
                continue
            c, d = ratio[g + 1, k] * mixing[g + 1, q], ratio[g + 1, k] * mixing[g + 1, q + 1]
            c2, d2 = c * c, d * d
            cross[g, 0] += a * c * p20 + (a * d + b * c) * p11 + b * d * p02
            # x2 y with x = a u + b v, y = c u + d v
            cross[g, 1] += a2 * c * p30 + (a2 * d + 2 * ab * c) * p21 + (b2 * c + 2 * ab * d) * p12 + b2 * d * p03
            cross[g, 2] += a * c2 * p30 + (b * c2 + 2 * a * c * d) * p21 + (a * d2 + 2 * b * c * d) * p12 + b * d2 * p03
            a3, b3, c3, d3 = a2 * a, b2 * b, c2 * c, d2 * d
            cross[g, 3] += (
                a3 * c * p40
                + (a3 * d + 3 * a2 * b * c) * p31
                + (3 * a2 * b * d + 3 * a * b2 * c) * p22
                + (3 * a * b2 * d + b3 * c) * p13
                + b3 * d * p04
            )
            cross[g, 4] += (
                a2 * c2 * p40
                + (2 * a2 * c * d + 2 * ab * c2) * p31
                + (a2 * d2 + 4 * ab * c * d + b2 * c2) * p22
                + (2 * ab * d2 + 2 * b2 * c * d) * p13
                + b2 * d2 * p04
            )
            cross[g, 5] += (
                c3 * a * p40
                + (c3 * b + 3 * c2 * d * a) * p31
                + (3 * c2 * d * b + 3 * c * d2 * a) * p22
                + (3 * c * d2 * b + d3 * a) * p13
                + d3 * b * p04
            )


@nb.njit(
    "(float64[::1], int64[::1], float64[::1], float64[::1], float64[:, ::1], int64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath=True,
)
def sum_free_one(difference, group, scale, limit, moments, near):  # type: ignore[no-untyped-def]
    """As sum_free for one spatial shape: moments (group, 4), the powers 1 to 4 of e = scale d."""
    n, m = group.shape[0], 0
    for i in range(n):
        k = group[i]
        e = scale[i] * difference[i]
        near[m] = i
        far = abs(e) <= limit[i]
        m += 0 if far else 1
        e = e if far else 0.0
        e2 = e * e
        row = moments[k]
        row[0] += e
        row[1] += e2
        row[2] += e2 * e
        row[3] += e2 * e2
    return m


@nb.njit(
    "(float64[:, ::1], float64[:, ::1], int64[::1], float64[::1], float64[:, ::1], float64[:, ::1], "
    "float64[:, ::1], float64[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath=True,
)
def near_terms(difference, mean, group, scale, ratio, mixing, near, floor):  # type: ignore[no-untyped-def]
    """x and w <S> of events at each node, into near and floor (node, event).

    difference and mean (shape, event), group and scale (event,), ratio (node, group); mixing (node, shape): of each
    node at most two shapes, neighbours.
    """
    m, shapes = group.shape[0], mixing.shape[1]
    d, f = np.empty((shapes, m)), np.empty((shapes, m))
    for p in range(shapes):
        for j in range(m):
            d[p, j] = scale[j] * difference[p, j]
            f[p, j] = scale[j] * mean[p, j]
    for g in range(ratio.shape[0]):
        p = 0
        while mixing[g, p] == 0.0:
            p += 1
        q = min(p + 1, shapes - 1)
        a, b = mixing[g, p], mixing[g, q] if q > p else 0.0
        for j in range(m):
            r = ratio[g, group[j]]
            near[g, j] = r * (a * d[p, j] + b * d[q, j])
            floor[g, j] = max(r * (a * f[p, j] + b * f[q, j]), 1e-300)


@nb.njit(
    "(float64[:, ::1], int64[::1], float64[::1], int64[::1], float64[:, ::1], float64[:, ::1], float64[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath=True,
)
def near_x(difference, group, scale, chosen, ratio, mixing, near):  # type: ignore[no-untyped-def]
    """x of the chosen events at each node, into near (node, chosen); the other arguments as those of near_terms."""
    m, shapes = chosen.shape[0], mixing.shape[1]
    d, k = np.empty((shapes, m)), np.empty(m, dtype=np.int64)
    for j in range(m):
        i = chosen[j]
        k[j] = group[i]
        for p in range(shapes):
            d[p, j] = scale[i] * difference[p, i]
    for g in range(ratio.shape[0]):
        p = 0
        while mixing[g, p] == 0.0:
            p += 1
        q = min(p + 1, shapes - 1)
        a, b = mixing[g, p], mixing[g, q] if q > p else 0.0
        for j in range(m):
            near[g, j] = ratio[g, k[j]] * (a * d[p, j] + b * d[q, j])


@nb.njit("(float64[::1], float64[::1], float64)", cache=True, nogil=True, error_model="numpy", fastmath=True)
def log_ratio_sums(near, power, c):  # type: ignore[no-untyped-def]
    """Sum of ln(1 + c x) from the near events and the power sums of the far ones."""
    total, factor = log_ratio(near, c), c
    for k in range(power.shape[0]):
        total += factor * power[k] / (k + 1)
        factor *= -c
    return total


@nb.njit(
    "(float64[::1], float64[::1], float64[::1], float64)", cache=True, nogil=True, error_model="numpy", fastmath=True
)
def tilt_ratio_sums(near, floor, power, c):  # type: ignore[no-untyped-def]
    """Sum of ln(1 + c_i x) of a tilt, c_i = min(c, SATURATION / floor_i); floor (near event,) is x's w <S>."""
    total, factor, product = 0.0, c, 1.0
    for i in range(near.shape[0]):
        product *= 1.0 + min(c, SATURATION / floor[i]) * near[i]
        if i % 8 == 7:
            total += np.log(product)
            product = 1.0
    total += np.log(product)
    for k in range(power.shape[0]):
        total += factor * power[k] / (k + 1)
        factor *= -c
    return total


@nb.njit("(float64[::1], float64[::1], float64)", cache=True, nogil=True, error_model="numpy", fastmath=True)
def _slopes_sums(near, power, c):  # type: ignore[no-untyped-def]
    """First derivative of the log-ratio by c, and minus the second."""
    first, second = _slopes(near, c)
    first += power[0]
    factor = 1.0
    for k in range(1, power.shape[0]):
        second += factor * k * power[k]
        factor *= -c
        first += factor * power[k]
    return first, second


@nb.njit("(float64[::1], float64[::1], float64)", cache=True, nogil=True, error_model="numpy")
def maximise_sums(near, power, largest):  # type: ignore[no-untyped-def]
    """As maximise_c, from near events and power sums, which hold up to c = ``largest``.

    Returns (c, converged, inside); inside is False where the maximum may lie beyond ``largest``.
    """
    ceiling = ceiling_of(near)
    top = min(ceiling, largest)
    first, second = _slopes_sums(near, power, 0.0)
    if first <= 0.0 or second <= 0.0:
        return 0.0, True, True
    end, _ = _slopes_sums(near, power, top)
    if end >= 0.0:
        return top, True, ceiling <= largest
    low, high = 0.0, top
    c = min(first / second, 0.5 * top)
    for _ in range(60):
        first, second = _slopes_sums(near, power, c)
        if first > 0.0:
            low = c
        else:
            high = c
        new = c + first / second
        if new >= high or new <= low:
            new = 0.5 * (low + high)
        if abs(new - c) <= 1e-8 * c:
            return new, True, True
        c = new
    return c, False, True


@nb.njit("(float64[::1], float64[::1], float64[::1], float64, float64)", cache=True, nogil=True, error_model="numpy")
def _pair_far(px, py, cross, a, b):  # type: ignore[no-untyped-def]
    """Gradient, minus the Hessian, and value of the far events' sum of ln(1 + a x + b y), to fourth order."""
    xx, yy, xy = px[1], py[1], cross[0]
    x3, y3, x2y, xy2 = px[2], py[2], cross[1], cross[2]
    x4, y4, x3y, x2y2, xy3 = px[3], py[3], cross[3], cross[4], cross[5]
    ga = px[0] - (a * xx + b * xy) + (a * a * x3 + 2 * a * b * x2y + b * b * xy2)
    ga -= a * a * a * x4 + 3 * a * a * b * x3y + 3 * a * b * b * x2y2 + b * b * b * xy3
    gb = py[0] - (a * xy + b * yy) + (a * a * x2y + 2 * a * b * xy2 + b * b * y3)
    gb -= a * a * a * x3y + 3 * a * a * b * x2y2 + 3 * a * b * b * xy3 + b * b * b * y4
    haa = xx - 2 * (a * x3 + b * x2y) + 3 * (a * a * x4 + 2 * a * b * x3y + b * b * x2y2)
    hab = xy - 2 * (a * x2y + b * xy2) + 3 * (a * a * x3y + 2 * a * b * x2y2 + b * b * xy3)
    hbb = yy - 2 * (a * xy2 + b * y3) + 3 * (a * a * x2y2 + 2 * a * b * xy3 + b * b * y4)
    value = a * px[0] + b * py[0] - 0.5 * (a * a * xx + 2 * a * b * xy + b * b * yy)
    value += (a * a * a * x3 + 3 * a * a * b * x2y + 3 * a * b * b * xy2 + b * b * b * y3) / 3.0
    quartic = a**4 * x4 + 4 * a**3 * b * x3y + 6 * a * a * b * b * x2y2 + 4 * a * b**3 * xy3 + b**4 * y4
    return ga, gb, haa, hab, hbb, value - 0.25 * quartic


@nb.njit(
    "(float64[::1], float64[::1], float64[::1], float64[::1], float64[::1], float64, float64, float64)",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def maximise_pair_sums(x, y, px, py, cross, c, largest_x, largest_y):  # type: ignore[no-untyped-def]
    """As maximise_pair, from near events and sums; a / largest_x + b / largest_y <= 1 is the range of the sums.

    Returns (a, b, log-ratio, improved, converged, inside).
    """
    a, b = c, 0.0
    near = _pair_derivatives(x, y, a, b)
    far = _pair_far(px, py, cross, a, b)
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
        far = _pair_far(px, py, cross, a, b)
        if moved <= 1e-8 * (a + b):
            converged = True
            break
    return a, b, far[5] + _log_pair(x, y, a, b), True, converged, inside


@nb.njit(
    "(float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def maximise_free_sums(near, power, cross, largest):  # type: ignore[no-untyped-def]
    """As maximise_free, from near events (node, event) and sums.

    Returns (c, position, log-ratio, converged, inside).
    """
    nodes = near.shape[0]
    value = np.zeros(nodes)
    strength = np.zeros(nodes)
    good, inside = True, True
    for g in range(nodes):
        strength[g], ok, held = maximise_sums(near[g], power[g], largest[g])
        if strength[g] > 0.0:
            value[g] = log_ratio_sums(near[g], power[g], strength[g])
        good, inside = good and ok, inside and held
    best = 0
    for g in range(nodes):
        if value[g] > value[best]:
            best = g
    if value[best] <= 0.0:
        return 0.0, np.float64(best), 0.0, good, inside
    c, position, top = strength[best], np.float64(best), value[best]
    for side in (-1, 1):
        g = best + side
        if g < 0 or g >= nodes:
            continue
        first = min(g, best)
        mixed = np.empty(6)
        mixed[:] = cross[first]
        if side < 0:  # the best node comes second there
            mixed[1], mixed[2] = cross[first, 2], cross[first, 1]
            mixed[3], mixed[5] = cross[first, 5], cross[first, 3]
        a, b, found, improved, ok, held = maximise_pair_sums(
            near[best], near[g], power[best], power[g], mixed, strength[best], largest[best], largest[g]
        )
        inside = inside and held
        if improved and a + b > 0.0 and found > top:
            top, c, position, good = found, a + b, best + side * b / (a + b), ok
    return c, position, top, good, inside


@nb.njit(cache=True, nogil=True, error_model="numpy")
def maximise_free(ratio, group, scale, mixing, difference, worth):  # type: ignore[no-untyped-def]
    """Maximise over strength and spectral position.

    ratio (node, group), group and scale (event,), mixing (node, p), difference (p, event); worth (node,): which nodes
    may be the best one.  Returns (c, position, log-ratio, converged) with position in units of nodes.  These nodes
    first, then the two intervals beside the best one, where the problem is concave.
    """
    nodes, n = ratio.shape[0], group.shape[0]
    x = np.empty(n)
    value = np.zeros(nodes)
    strength = np.zeros(nodes)
    good = True
    for g in range(nodes):
        if not worth[g]:
            continue
        fill_x(ratio[g], group, scale, mixing[g], difference, x)
        strength[g], ok = maximise_c(x)
        if strength[g] > 0.0:
            value[g] = log_ratio(x, strength[g])
        good = good and ok
    best = 0
    for g in range(nodes):
        if value[g] > value[best]:
            best = g
    if value[best] <= 0.0:
        return 0.0, np.float64(best), 0.0, good
    c, position, top = strength[best], np.float64(best), value[best]
    y = np.empty(n)
    z = np.empty(n)
    fill_x(ratio[best], group, scale, mixing[best], difference, x)
    for side in (-1, 1):
        g = best + side
        if g < 0 or g >= nodes:
            continue
        fill_x(ratio[g], group, scale, mixing[g], difference, y)
        a, b, improved, ok = maximise_pair(x, y, strength[best])
        if improved and a + b > 0.0:
            for i in range(n):
                z[i] = a * x[i] + b * y[i]
            found = log_ratio(z, 1.0)
            if found > top:
                top, c, position = found, a + b, best + side * b / (a + b)
                good = ok
    return c, position, top, good


# --- several hypotheses together --------------------------------------------------------------------------------------
#
# The sum of ln(1 + sum_k c_k x_k) is concave in all c at once, so Newton steps with bounds find its one maximum.


@nb.njit("(float64[:, ::1], float64[::1])", cache=True, nogil=True, error_model="numpy", fastmath=True)
def joint_log_ratio(x, c):  # type: ignore[no-untyped-def]
    """Sum over events of ln(1 + sum_k c_k x_k), x (k, event); products of eight before each logarithm."""
    k, n = x.shape
    block = np.empty(512)
    total = 0.0
    for start in range(0, n, 512):
        size = min(512, n - start)
        block[:] = 1.0
        for a in range(k):
            for j in range(size):
                block[j] += c[a] * x[a, start + j]
        for j in range(0, 512, 8):
            product = 1.0
            for i in range(8):
                product *= block[j + i]
            total += np.log(product)
    return total


@nb.njit(
    "(float64[:, ::1], float64[::1], float64[::1], float64[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath=True,
)
def joint_derivatives(x, c, gradient, curvature):  # type: ignore[no-untyped-def]
    """Gradient (k,) and minus the Hessian (k, k) of joint_log_ratio at c; returns the least 1 + sum_k c_k x_k.

    Loops that sum store nothing: with stores the compiler adds a slow version, chosen by where the arrays lie in
    memory, that sums in another order, and the last bits would differ from call to call.
    """
    k, n = x.shape
    block = np.empty((k, 512))
    inverse = np.empty(512)
    least = 1.0e300
    gradient[:] = 0.0
    curvature[:] = 0.0
    for start in range(0, n, 512):
        size = min(512, n - start)
        for j in range(size):
            inverse[j] = 1.0
        for a in range(k):
            for j in range(size):
                inverse[j] += c[a] * x[a, start + j]
        for j in range(size):
            least = min(least, inverse[j])
        for j in range(size):
            inverse[j] = 1.0 / inverse[j]
        for a in range(k):
            for j in range(size):
                block[a, j] = x[a, start + j] * inverse[j]
            total = 0.0
            for j in range(size):
                total += block[a, j]
            gradient[a] += total
            for b in range(a + 1):
                total = 0.0
                for j in range(size):
                    total += block[a, j] * block[b, j]
                curvature[a, b] += total
    for a in range(k):
        for b in range(a):
            curvature[b, a] = curvature[a, b]
    return least


@nb.njit("(float64[:, ::1], float64[::1], boolean[::1], float64[::1])", cache=True, nogil=True, error_model="numpy")
def _solve_free(matrix, right, free, out):  # type: ignore[no-untyped-def]
    """Solve matrix out = right over the free numbers by Cholesky, the others zero; a ridge of 1e-12 where singular."""
    k = right.shape[0]
    low = np.zeros((k, k))
    out[:] = 0.0
    for a in range(k):
        if not free[a]:
            continue
        for b in range(a + 1):
            if not free[b]:
                continue
            rest = matrix[a, b]
            for m in range(b):
                rest -= low[a, m] * low[b, m]
            if a == b:
                low[a, a] = np.sqrt(max(rest, 1e-12 * matrix[a, a] + 1e-300))
            else:
                low[a, b] = rest / low[b, b]
    for a in range(k):
        if free[a]:
            rest = right[a]
            for m in range(a):
                rest -= low[a, m] * out[m]
            out[a] = rest / low[a, a]
    for a in range(k - 1, -1, -1):
        if free[a]:
            rest = out[a]
            for m in range(a + 1, k):
                rest -= low[m, a] * out[m]
            out[a] = rest / low[a, a]


@nb.njit(
    "(float64[::1], float64[:, ::1], float64[::1], float64, float64[::1])", cache=True, nogil=True, error_model="numpy"
)
def _bounded_step(gradient, curvature, c, top, step):  # type: ignore[no-untyped-def]
    """The step that maximises gradient step - step curvature step / 2 with 0 <= c + step <= top, by an active set."""
    k = c.shape[0]
    free = np.empty(k, dtype=np.bool_)
    step[:] = 0.0
    for a in range(k):
        free[a] = not ((c[a] <= 0.0 and gradient[a] <= 0.0) or (c[a] >= top and gradient[a] >= 0.0))
    slope, move = np.empty(k), np.empty(k)
    for _ in range(20 * k):
        for a in range(k):
            slope[a] = gradient[a]
            for b in range(k):
                slope[a] -= curvature[a, b] * step[b]
        _solve_free(curvature, slope, free, move)
        length, blocked = 1.0, -1
        for a in range(k):
            if not free[a] or move[a] == 0.0:
                continue
            room = (-c[a] - step[a]) / move[a] if move[a] < 0.0 else (top - c[a] - step[a]) / move[a]
            if room < length:
                length, blocked = max(room, 0.0), a
        for a in range(k):
            step[a] += length * move[a]
        if blocked >= 0:
            step[blocked] = -c[blocked] if move[blocked] < 0.0 else top - c[blocked]
            free[blocked] = False
            continue
        # The best of this face: let go of the bound that pulls inwards most, if any does.
        worst, pull = -1, 0.0
        for a in range(k):
            if free[a]:
                continue
            inwards = gradient[a]
            for b in range(k):
                inwards -= curvature[a, b] * step[b]
            inwards *= 1.0 if c[a] + step[a] <= 0.0 else -1.0
            inwards /= np.sqrt(max(curvature[a, a], 1e-300))
            if inwards > max(pull, 1e-9):
                worst, pull = a, inwards
        if worst < 0:
            return
        free[worst] = True


@nb.njit("(float64[:, ::1], float64[::1])", cache=True, nogil=True, error_model="numpy")
def maximise_joint_c(x, c):  # type: ignore[no-untyped-def]
    """Maximise joint_log_ratio over 0 <= c <= 100 where every density is positive; c (k,) is start and answer.

    A start with a density that is not positive is replaced by zero.  Returns (least density, converged).
    """
    k = c.shape[0]
    gradient, curvature, step = np.empty(k), np.empty((k, k)), np.empty(k)
    trial, new_gradient, new_curvature = np.empty(k), np.empty(k), np.empty((k, k))
    least = joint_derivatives(x, c, gradient, curvature)
    if least <= 0.0:
        c[:] = 0.0
        least = joint_derivatives(x, c, gradient, curvature)
    for _ in range(100):
        _bounded_step(gradient, curvature, c, _LARGEST, step)
        rise = 0.0
        for a in range(k):
            rise += gradient[a] * step[a]
        if rise <= 1e-12:
            return least, True
        length = 1.0
        for _ in range(60):
            for a in range(k):
                trial[a] = min(max(c[a] + length * step[a], 0.0), _LARGEST)
            lowest = joint_derivatives(x, trial, new_gradient, new_curvature)
            slope = 0.0
            for a in range(k):
                slope += new_gradient[a] * step[a]
            # Concave along the step: a slope that is not far below zero says that the step was not too long.
            if lowest > 0.0 and slope >= -0.9 * rise:
                break
            length *= 0.5
        if not (lowest > 0.0):
            return least, False
        c[:] = trial
        gradient[:] = new_gradient
        curvature[:] = new_curvature
        least = lowest
    return least, False
