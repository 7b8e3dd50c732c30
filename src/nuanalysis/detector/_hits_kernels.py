"""Compiled loops from sources of light to photoelectrons: expected charges, and hits drawn from them.

Modules are taken string by string, and for each string the sources within reach; so no pair out of reach is looked at.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from nuanalysis.detector._draw_kernels import draw, poisson, two_normals
from nuanalysis.detector._ice import LIGHT_SPEED
from nuanalysis.detector._lookup import MODULE_AREA
from nuanalysis.detector._optics import FAINTEST, HINTS
from nuanalysis.detector._table_kernels import (
    SMALLEST,
    accepted_part,
    beyond,
    delay_at,
    fill_delays,
    find_cell,
    path_average,
)

_LEVEL = 1.0  # m of height, within which the sums of the ice are too close to each other
#: Hits that stand for the photons of one module, at most about; each source has at least the second.
MANY, FEW = 200, 16

# Photoelectrons by kind: as they should be, late, later, early (arXiv:1002.2442).  Shares, shifts in ns from and to,
# charge, and the part of MANY that may stand for them.
_SHARE = np.array([0.962, 0.033, 0.002, 0.003])
_SHIFT = np.array([[0.0, 0.0], [25.0, 71.0], [85.0, 160.0], [-31.8, -31.8]])
_CHARGE = np.array([1.0, 1.0, 1.0, 0.05])
_PART = np.array([1.0, 0.1, 0.02, 0.02])
_WIDTH, _SMALLEST = 0.3, 0.1  # of the charge of one photoelectron
_EARLY, _LATE = 1.2, 2.7  # ns: widths of the two sides of the time jitter, 2.0 together
_AFTER, _AFTER_MEAN, _AFTER_WIDTH = 0.059, 6000.0, 2000.0  # a photoelectron, ns: JINST 12 P03012
_AFTER_FROM, _AFTER_TO = 300.0, 11000.0
_NEAREST2 = SMALLEST**2
_WALK = 30.0  # expected charge of a module up to which each photoelectron is given to a source by itself


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _near(sources, begin, end, circle, chosen):  # type: ignore[no-untyped-def]
    """Sources begin to end - 1 within reach of a vertical circle (x, y, radius); returns their number."""
    n = 0
    for j in range(begin, end):
        x, y = sources.position[j, 0] - circle[0], sources.position[j, 1] - circle[1]
        reach = sources.reach[j] + circle[2]
        chosen[n] = j
        n += 1 if reach > 0.0 and x * x + y * y < reach * reach else 0
    return n


@nb.njit(cache=True, nogil=True, error_model="numpy")
def string_means(optics, sources, chosen, n, s, mean):  # type: ignore[no-untyped-def]
    """Expected charges of string s, of n chosen sources each, into mean (module of the string, n); 0 below the least.

    The same numbers as ``_lookup.expected_charge``, in one loop over plain arrays: a record that is taken apart for
    each pair costs ten times the arithmetic.
    """
    at, sums, efficiency = optics.modules.position, optics.modules.sums, optics.modules.efficiency
    value, radius, cosines, hint, ratios, roots = (
        optics.brightness.value, optics.brightness.radius, optics.brightness.cosine, optics.brightness.hint,
        optics.brightness.ratio, optics.brightness.root,
    )  # fmt: skip
    low, per_step = optics.brightness.log_radius, optics.brightness.per_step
    per_cosine = HINTS / (cosines[-1] - cosines[0])
    ice, a = optics.ice, optics.hole_ice
    position, axis, photons, emission = sources.position, sources.direction, sources.photons, sources.emission
    reach, attenuation2, depth = sources.reach, sources.attenuation2, sources.sums
    begin, last, most = optics.modules.start[s], radius.shape[0] - 1, ratios.shape[0] - 2
    for m in range(begin, optics.modules.start[s + 1]):
        x0, y0, z0, sum0, sum1 = at[m, 0], at[m, 1], at[m, 2], sums[m, 0], sums[m, 1]
        for k in range(n):
            mean[m - begin, k] = 0.0
            j = chosen[k]
            x, y, z = x0 - position[j, 0], y0 - position[j, 1], z0 - position[j, 2]
            d2 = max(x * x + y * y + z * z, _NEAREST2)
            if d2 > reach[j] * reach[j]:
                continue
            if abs(z) < _LEVEL:
                scattering, absorption = path_average(ice, z0 - z, z0)
            else:
                scattering, absorption = (sum0 - depth[j, 0]) / z, (sum1 - depth[j, 1]) / z
            if 3.0 * d2 * scattering * absorption > attenuation2[j]:
                continue
            d = math.sqrt(d2)
            r, cosine = d * scattering, (x * axis[j, 0] + y * axis[j, 1] + z * axis[j, 2]) / d
            root = math.sqrt(absorption / scattering)
            q = 0
            while q < most and root < roots[q + 1]:
                q += 1
            to_q = min(max((roots[q] - root) / (roots[q] - roots[q + 1]), 0.0), 1.0)
            i = min(max(int((math.log(r) - low) * per_step), 0), last - 1)
            to_i = min(max((r - radius[i]) / (radius[i + 1] - radius[i]), 0.0), 1.0)
            c = hint[min(max(int((cosine - cosines[0]) * per_cosine), 0), HINTS - 1)]
            while c < cosines.shape[0] - 2 and cosines[c + 1] < cosine:
                c += 1
            to_c = min(max((cosine - cosines[c]) / (cosines[c + 1] - cosines[c]), 0.0), 1.0)
            e = emission[j]
            near, far = (1.0 - to_q) * (1.0 - to_i), (1.0 - to_q) * to_i
            near_next, far_next = to_q * (1.0 - to_i), to_q * to_i
            light = (1.0 - to_c) * (
                near * value[e, q, i, c, 0] + far * value[e, q, i + 1, c, 0]
                + near_next * value[e, q + 1, i, c, 0] + far_next * value[e, q + 1, i + 1, c, 0]
            ) + to_c * (
                near * value[e, q, i, c + 1, 0] + far * value[e, q, i + 1, c + 1, 0]
                + near_next * value[e, q + 1, i, c + 1, 0] + far_next * value[e, q + 1, i + 1, c + 1, 0]
            )  # fmt: skip
            forward = (1.0 - to_c) * (
                near * value[e, q, i, c, 1] + far * value[e, q, i + 1, c, 1]
                + near_next * value[e, q + 1, i, c, 1] + far_next * value[e, q + 1, i + 1, c, 1]
            ) + to_c * (
                near * value[e, q, i, c + 1, 1] + far * value[e, q, i + 1, c + 1, 1]
                + near_next * value[e, q + 1, i, c + 1, 1] + far_next * value[e, q + 1, i + 1, c + 1, 1]
            )  # fmt: skip
            ratio = scattering / absorption
            if r > radius[last] or ratio < ratios[0] or ratio > ratios[-1]:
                light += beyond(optics.table, q, to_q, r, ratio)
            seen = accepted_part(a, forward, z / d)
            found = math.exp(light) / d2 * MODULE_AREA * seen * efficiency[m] * photons[j]
            mean[m - begin, k] = found if found > FAINTEST else 0.0


@nb.njit(cache=True, nogil=True, error_model="numpy")
def event_means(optics, sources, begin, end, out):  # type: ignore[no-untyped-def]
    """Expected charge of each live module, into out (live module,)."""
    chosen, start, centre = np.empty(end - begin + 1, np.int64), optics.modules.start, optics.modules.centre
    mean = np.empty((most_modules(start), end - begin))
    out[:] = 0.0
    for s in range(start.shape[0] - 1):
        n = _near(sources, begin, end, centre[s], chosen)
        if n:
            string_means(optics, sources, chosen, n, s, mean)
            for m in range(start[s], start[s + 1]):
                for k in range(n):
                    out[m] += mean[m - start[s], k]


@nb.njit(cache=True, nogil=True)
def most_modules(start):  # type: ignore[no-untyped-def]
    """Largest number of modules on a string."""
    most = 0
    for s in range(start.shape[0] - 1):
        most = max(most, start[s + 1] - start[s])
    return most


@nb.njit(cache=True, nogil=True, inline="always")
def _room(hits, filled, more):  # type: ignore[no-untyped-def]
    """The buffer (hit, 2), longer where it is too short for more hits."""
    if filled + more <= hits.shape[0]:
        return hits
    longer = np.empty((2 * (filled + more), 2))
    longer[:filled] = hits[:filled]
    return longer


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _hit(state, hits, filled, time, weight):  # type: ignore[no-untyped-def]
    """Write one hit that stands for ``weight`` photoelectrons: time with jitter, and charge."""
    jitter, spread = two_normals(state)
    charge = 1.0 + _WIDTH * spread / math.sqrt(weight)
    while charge < _SMALLEST:
        charge = 1.0 + _WIDTH * two_normals(state)[0] / math.sqrt(weight)
    late = draw(state) * (_EARLY + _LATE) > _EARLY
    hits[filled, 0] = time + (_LATE if late else -_EARLY) * abs(jitter)
    hits[filled, 1] = weight * charge
    return filled + 1


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _few(state, table, place, count, curve, hits, filled):  # type: ignore[no-untyped-def]
    """One hit for each of ``count`` photoelectrons."""
    time, unit, emission, cell = place
    fill_delays(table, emission, cell, unit, curve)
    for _ in range(count):
        u, v = draw(state), draw(state)
        delay = delay_at(curve, u)
        kind = 0
        while kind < 3 and v >= _SHARE[kind]:
            v -= _SHARE[kind]
            kind += 1
        shift = _SHIFT[kind, 0] + (_SHIFT[kind, 1] - _SHIFT[kind, 0]) * (v / _SHARE[kind])
        filled = _hit(state, hits, filled, time + delay + shift, 1.0)
        hits[filled - 1, 1] *= _CHARGE[kind]
    return filled


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _many(state, table, place, count, most, curve, hits, filled):  # type: ignore[no-untyped-def]
    """About ``most`` hits for ``count`` photoelectrons, at even steps of probability; weights are whole charges."""
    time, unit, emission, cell = place
    fill_delays(table, emission, cell, unit, curve)
    left = count
    for kind in (3, 2, 1, 0):
        number = left if kind == 0 else min(left, poisson(state, _SHARE[kind] * count))
        left -= number
        n = min(number, max(2, int(most * _PART[kind])))
        for i in range(n):
            delay = delay_at(curve, (i + draw(state)) / n)
            shift = _SHIFT[kind, 0] + (_SHIFT[kind, 1] - _SHIFT[kind, 0]) * draw(state)
            filled = _hit(state, hits, filled, time + delay + shift, number / n)
            hits[filled - 1, 1] *= _CHARGE[kind]
    return filled


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _after(state, hits, first, filled):  # type: ignore[no-untyped-def]
    """Afterpulses of the hits from ``first`` on, each behind a hit chosen by its charge."""
    total = 0.0
    for i in range(first, filled):
        total += hits[i, 1]
    number = poisson(state, _AFTER * total)
    n = min(number, MANY)
    hits = _room(hits, filled, n)
    i, passed = first, hits[first, 1]
    for k in range(n):
        while passed < (k + draw(state)) / n * total and i < filled - 1:
            i += 1
            passed += hits[i, 1]
        wait = -1.0
        while wait < _AFTER_FROM or wait > _AFTER_TO:
            wait = _AFTER_MEAN + _AFTER_WIDTH * two_normals(state)[0]
        _hit(state, hits, filled + k, hits[i, 0] + wait, number / n)
    return hits, filled + n


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _place(optics, sources, j, m):  # type: ignore[no-untyped-def]
    """Where times of source j at module m are: of straight light, ns per unit of delay, emission, cell of the table."""
    module, source, axis = optics.modules.position[m], sources.position[j], sources.direction[j]
    x, y, z = module[0] - source[0], module[1] - source[1], module[2] - source[2]
    d = max(math.sqrt(x * x + y * y + z * z), SMALLEST)
    scattering, absorption = path_average(optics.ice, source[2], module[2])
    cosine = (x * axis[0] + y * axis[1] + z * axis[2]) / d
    cell = find_cell(optics.table, d * scattering, cosine, scattering / absorption)
    return sources.time[j] + d / LIGHT_SPEED, 1.0 / (scattering * LIGHT_SPEED), sources.emission[j], cell


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _share_out(state, mean, n, total, count):  # type: ignore[no-untyped-def]
    """Give each source its photoelectrons, into count (n,); returns whether there are any."""
    count[:n] = 0
    if total > _WALK:
        for k in range(n):
            count[k] = poisson(state, mean[k]) if mean[k] > 0.0 else 0
        return True
    number = poisson(state, total)
    for _ in range(number):
        left, k = draw(state) * total, 0
        while k < n - 1 and left >= mean[k]:
            left -= mean[k]
            k += 1
        while mean[k] == 0.0:  # rounding at the end of the row
            k -= 1
        count[k] += 1
    return number > 0


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _module_hits(state, optics, sources, m, chosen, mean, count, n, total, hits, filled):  # type: ignore[no-untyped-def]
    """Hits of one module, behind those that are in the buffer."""
    curve = np.empty(optics.table.delay.shape[4])
    for k in range(n):
        if not count[k]:
            continue
        hits = _room(hits, filled, 2 * MANY)
        most = max(FEW, int(MANY * mean[k] / total))
        place = _place(optics, sources, chosen[k], m)
        if count[k] <= most:
            filled = _few(state, optics.table, place, count[k], curve, hits, filled)
        else:
            filled = _many(state, optics.table, place, count[k], most, curve, hits, filled)
    return hits, filled


@nb.njit(cache=True, nogil=True, error_model="numpy")
def event_hits(state, optics, sources, begin, end):  # type: ignore[no-untyped-def]
    """Hits of one event, module by module: (hit, 2) time and charge, and where each live module's begin (module + 1,);
    then the times of the first and the last but for afterpulses, 0 without any.

    All that follows photoelectrons in the module is in: jitter, charge, pre-, late and afterpulses.
    """
    first, last = np.inf, -np.inf
    size, start, centre = end - begin, optics.modules.start, optics.modules.centre
    chosen, count = np.empty(size + 1, np.int64), np.empty(size, np.int64)
    mean, hits, filled = np.empty((most_modules(start), size)), np.empty((4096, 2)), 0
    at = np.zeros(optics.modules.numbers.shape[0] + 1, np.int64)
    for s in range(start.shape[0] - 1):
        n = _near(sources, begin, end, centre[s], chosen)
        if n:
            string_means(optics, sources, chosen, n, s, mean)
        for m in range(start[s], start[s + 1]):
            total = mean[m - start[s], :n].sum() if n else 0.0
            if total > 0.0 and _share_out(state, mean[m - start[s]], n, total, count):
                hits, filled = _module_hits(
                    state, optics, sources, m, chosen, mean[m - start[s]], count, n, total, hits, filled
                )  # fmt: skip
                for i in range(at[m], filled):
                    first, last = min(first, hits[i, 0]), max(last, hits[i, 0])
                hits, filled = _after(state, hits, at[m], filled)
            at[m + 1] = filled
    if not filled:
        first, last = 0.0, 0.0
    return hits[:filled], at, first, last
