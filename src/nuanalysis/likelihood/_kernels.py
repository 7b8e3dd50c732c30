"""Compiled sums and maximisers of the likelihood.  Each has a slow, obvious twin in the tests.

Signatures are spelt out so that all but the last are loaded at import, in this order.  Loaded at first use, the last
would bring its own copies of them or not, depending on what the process computed before: TS would differ in the last
bit from worker to worker.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from nuanalysis.model._kernels import fill_x

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
    low = 0.0
    for i in range(x.shape[0]):
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
        det = haa * hbb - hab * hab
        if det <= 1e-12 * haa * hbb:
            return a, b, True, True  # the two nodes cannot be told apart
        da, db = (hbb * ga - hab * gb) / det, (haa * gb - hab * ga) / det
        length = 1.0
        if a + da < 0.0:
            length = min(length, a / -da)
        if b + db < 0.0:
            length = min(length, b / -db)
        if length < 1e-12:
            return a, b, True, True  # on the border, pushed outwards: the maximum lies there
        # Stay where every density is positive.
        for _ in range(40):
            na, nb_ = a + length * da, b + length * db
            trial = _pair_derivatives(x, y, na, nb_)
            if trial[5] > 0.005 and na + nb_ <= _LARGEST:
                break
            length *= 0.5
        moved = abs(na - a) + abs(nb_ - b)
        a, b = max(na, 0.0), max(nb_, 0.0)
        ga, gb, haa, hab, hbb = trial[:5]
        if moved <= 1e-8 * (a + b):
            return a, b, True, True
    return a, b, True, False


@nb.njit(cache=True, nogil=True, error_model="numpy")
def maximise_free(ratio, group, scale, mixing, difference):  # type: ignore[no-untyped-def]
    """Maximise over strength and spectral position.

    ratio (node, group), group and scale (event,), mixing (node, p), difference (p, event).
    Returns (c, position, log-ratio, converged) with position in units of nodes.  Every node first, then the two
    intervals beside the best one, where the problem is concave.
    """
    nodes, n = ratio.shape[0], group.shape[0]
    x = np.empty(n)
    value = np.zeros(nodes)
    strength = np.zeros(nodes)
    good = True
    for g in range(nodes):
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
