"""Sums of the likelihood over modules and pulses, with their derivatives."""

from __future__ import annotations

import math

import numba as nb

_TINY = 1e-300
_LOG_ROOT = 0.5 * math.log(2.0 * math.pi)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _log_tail(x):  # type: ignore[no-untyped-def]
    """ln of the upper tail of a normal law, and its slope."""
    if x > 6.0:  # asymptotic series, 1e-4 at 6
        square = 1.0 / (x * x)
        value = -0.5 * x * x - _LOG_ROOT - math.log(x) + math.log1p(-square + 3.0 * square * square)
        return value, -(x + 1.0 / x - 2.0 / (x * x * x))
    tail = 0.5 * math.erfc(x / math.sqrt(2.0))
    return math.log(tail), -math.exp(-0.5 * x * x - _LOG_ROOT) / tail


@nb.njit(cache=True, nogil=True, error_model="numpy")
def charge_term(charge, mean, variance, censored):  # type: ignore[no-untyped-def]
    """ln of the probability of a charge, up to what does not depend on the mean, and its slope in the mean.

    A negative binomial of r = 1/variance, as function of the mean highest at mean = charge; the Poisson law where the
    variance is 0.  censored : the normal tail beyond the charge instead.
    """
    if censored:
        spread = math.sqrt(mean + variance * mean * mean)
        x = (charge - mean) / spread
        value, slope = _log_tail(x)
        return value, slope * (-1.0 / spread - 0.5 * x * (1.0 + 2.0 * variance * mean) / (spread * spread))
    if variance <= 0.0:
        return charge * math.log(mean) - mean, charge / mean - 1.0
    # With r = 1/variance: -(Q + r) ln(1 + mean/r) + Q ln mean.
    value = charge * math.log(mean) - (charge + 1.0 / variance) * math.log1p(variance * mean)
    return value, charge / mean - (1.0 + variance * charge) / (1.0 + variance * mean)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def sums(modules, pulses, means, density, by_mean, by_density, total):  # type: ignore[no-untyped-def]
    """ln L; fills its slopes in ln of each mean, by_mean (part, module), and in each density, by_density (part, pulse).

    modules : charge, weight, variance, background (4, module) and censored.  pulses : of, and trust, rate (2, pulse).
    means (part, module) : of the light of each part alone.  total (module,) : filled with all that is expected.
    """
    values, censored = modules
    of, marks = pulses
    result = 0.0
    for i in range(means.shape[1]):
        total[i] = values[3, i]
        for k in range(means.shape[0]):
            total[i] += means[k, i]
        value, slope = charge_term(values[0, i], total[i], values[2, i], censored[i])
        result += values[1, i] * value
        for k in range(means.shape[0]):
            by_mean[k, i] = values[1, i] * slope * means[k, i]
    for j in range(of.shape[0]):
        i = of[j]
        light = marks[1, j]
        for k in range(means.shape[0]):
            light += means[k, i] * density[k, j]
        result += marks[0, j] * math.log(light / total[i])
        for k in range(means.shape[0]):
            by_density[k, j] = marks[0, j] * means[k, i] / light
            by_mean[k, i] += marks[0, j] * means[k, i] * (density[k, j] / light - 1.0 / total[i])
    return result


@nb.njit(cache=True, nogil=True, error_model="numpy")
def information(slopes, scale, out):  # type: ignore[no-untyped-def]
    """Add scale_n a_n a_n^T of rows a (row, 7) to out (7, 7)."""
    for n in range(slopes.shape[0]):
        for a in range(7):
            x = scale[n] * slopes[n, a]
            for b in range(7):
                out[a, b] += x * slopes[n, b]
