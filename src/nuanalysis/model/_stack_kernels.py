"""Compiled loops over the sources of a stack: which events are in reach, their signal density, and tilted scrambles.

Signatures are spelt out where a loop takes arrays of a trial, so that it is loaded at import, in this order.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from nuanalysis.model.kernels import _exp, _sin_half_turn, _uniform, _unsure, exp_smooth


@nb.njit(cache=True, inline="always")
def _vmf_norm(kappa):  # type: ignore[no-untyped-def]
    return kappa / (2.0 * np.pi * (1.0 - np.exp(-2.0 * kappa)))


@nb.njit(
    "(float64[::1], int64[::1], int64[::1], float64[::1], uint8[::1], int64[::1], int64[::1], float64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def stack_hits(u, number, cell, columns, some, hit, at, turn):  # type: ignore[no-untyped-def]
    """Which of the looked-up events, at right ascension 2 pi u, lie in a cell that has sources; returns their number.

    u (sample event,), read at number (event,); cell (event,) the first cell of an event's row, columns (event,) cells
    of the row; some : a bit for each cell.  hit, at and turn (event + 1,) begin with the numbers of the events, their
    cells and u.
    """
    m = 0
    for i in range(number.shape[0]):
        value = u[np.uint64(number[i])]
        c = np.uint64(cell[i] + np.int64(value * columns[i]))
        hit[m], at[m], turn[m] = i, c, value
        m += 1 if (some[c >> np.uint64(3)] >> np.uint8(c & np.uint64(7))) & np.uint8(1) else 0
    return m


_PAIRS = 1024  # of events and sources whose kernels are worked out at once: they stay in the nearest cache
_HITS = 256  # events whose sources are looked up at once


@nb.njit(
    "(float64[::1], int32[::1], int64[::1], int64, int64, int64, float64[:, ::1], float64[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath=True,
)
def _sum_sources(kernel, source, last, offset, start, stop, weights, out):  # type: ignore[no-untyped-def]
    """Add to out (shape, hit), for the hits start to stop after ``offset``, their weighted kernels: those up to last[h]
    in turn."""
    shapes, q = out.shape[0], 0
    for h in range(start, stop):
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0  # four sums in registers; more spatial shapes are never needed
        while q < last[h]:
            k, value = np.uint64(source[q]), kernel[q]
            s0 += weights[k, 0] * value
            s1 += weights[k, 1] * value
            s2 += weights[k, 2] * value
            s3 += weights[k, 3] * value
            q += 1
        out[0, offset + h] += s0
        if shapes > 1:
            out[1, offset + h] += s1
        if shapes > 2:
            out[2, offset + h] += s2
        if shapes > 3:
            out[3, offset + h] += s3


@nb.njit(
    "(int64[::1], int64[::1], float64[::1], int32[::1], int32[::1], float64[:, ::1], float64[:, ::1], "
    "float64[:, ::1], float64, float64[:, ::1], float64[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath=True,
)
def stack_difference(hit, at, turn, first, near, events, sources, weights, reach, still, out):  # type: ignore[no-untyped-def]
    """S - <S> of a weighted sum of von Mises-Fisher sources, of some of the looked-up events.

    hit, at, turn (hit,) : numbers among the events, their cells, and right ascension / 2 pi, see ``stack_hits``;
    near[first[c] : first[c + 1]] are the sources that an event in cell c can reach;
    events (event, 8) : cos and sin of declination, kappa and norm of the bare angular error, the means of four shapes;
    sources (source, 5) : a unit vector, the extension squared, and what the squared error is multiplied with;
    weights (source, 4).  Shapes beyond those in use are zero.
    A kernel below exp(-reach) of its peak counts as zero; reach <= 40.
    Fills still, which is -<S>, and out, (shape, hit) each.

    What waits for memory, what branches and what is arithmetic stand in loops of their own, over so many events that
    what was read stays in the cache.
    """
    shapes, size = out.shape[0], _PAIRS + sources.shape[0]
    begin, end, last = np.empty(_HITS, np.int64), np.empty(_HITS, np.int64), np.empty(_HITS, np.int64)
    cosine, sine, axis = np.empty(_HITS), np.empty(_HITS), np.empty((_HITS, 4))
    exponent, kernel, source = np.empty(size), np.empty(size), np.empty(size, np.int32)
    for offset in range(0, hit.shape[0], _HITS):
        n = min(_HITS, hit.shape[0] - offset)
        for h in range(n):
            c = np.uint64(at[offset + h])
            begin[h], end[h] = first[c], first[c + np.uint64(1)]
        for h in range(n):
            event = events[np.uint64(hit[offset + h])]
            source[h] = near[min(begin[h], near.shape[0] - 1)]  # read for the cache
            for column in range(4):
                axis[h, column] = event[column]
            for p in range(shapes):
                still[p, offset + h] = -event[4 + p]
                out[p, offset + h] = -event[4 + p]
        for h in range(n):
            side = 2.0 * turn[offset + h] - 1.0
            half = abs(side)
            value = _sin_half_turn(0.5 - abs(half - 0.5))
            sine[h] = value if side < 0.0 else -value
            cosine[h] = -_sin_half_turn(0.5 - half)
        m = start = 0
        for h in range(n):
            ex, ey, ez = axis[h, 0] * cosine[h], axis[h, 0] * sine[h], axis[h, 1]
            bare, bare_peak = axis[h, 2], axis[h, 3]
            for j in range(begin[h], end[h]):
                k = np.uint64(near[np.uint64(j)])
                width, peak = bare, bare_peak
                if sources[k, 3] > 0.0 or sources[k, 4] != 1.0:
                    width = 1.0 / (sources[k, 4] / width + sources[k, 3])
                    peak = _vmf_norm(width)
                e = width * (ex * sources[k, 0] + ey * sources[k, 1] + ez * sources[k, 2] - 1.0)
                exponent[m], kernel[m], source[m] = e, peak, k
                m += 1 if e > -reach else 0
            last[h] = m
            if m >= _PAIRS or h == n - 1:
                for q in range(m):
                    kernel[q] *= exp_smooth(min(max(exponent[q], -40.0), 0.0))
                _sum_sources(kernel, source, last, offset, start, h + 1, weights, out)
                m, start = 0, h + 1


@nb.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def stack_tilt(  # type: ignore[no-untyped-def]
    key,
    strength,
    number,
    axis,
    kappa,
    norm,
    cell,
    columns,
    first,
    near,
    ra,
    dec,
    extension2,
    scale2,
    weights,
    reach,
    mixing,
    mean,
    ceiling,
    out,
):
    """As template_tilt for a stack with exact kernels; weights (source,) are those of the mixed shapes."""
    n, size = np.int64(out.shape[0]), number.shape[0]
    p, q, a, b = mixing
    x, y, z = np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)
    slope, accept, floor, chosen = np.empty(512), np.empty(512), np.empty(512), np.empty(513, np.int64)
    for start in range(0, size, 512):
        m = _unsure(
            key, start, min(start + 512, size), strength, number, mixing, mean, ceiling, slope, accept, floor, chosen
        )
        for c in range(m):
            j = chosen[c]
            i = start + j
            s = slope[j]
            top = floor[j] + s * (a * ceiling[p, i] + b * ceiling[q, i])
            u, height, counter = out[number[i]], accept[j], np.int64(2 * number[i])
            while height >= floor[j]:
                alpha = 2.0 * np.pi * u
                ex, ey, ez = axis[0, i] * np.cos(alpha), axis[0, i] * np.sin(alpha), axis[1, i]
                space, here = 0.0, cell[i] + np.int64(u * columns[i])
                for k in near[first[here] : first[here + 1]]:
                    width, peak = kappa[i], norm[i]
                    if extension2[k] > 0.0 or scale2[k] != 1.0:
                        width = 1.0 / (scale2[k] / width + extension2[k])
                        peak = _vmf_norm(width)
                    exponent = width * (ex * x[k] + ey * y[k] + ez * z[k] - 1.0)
                    if exponent > -reach:
                        space += weights[k] * peak * _exp(min(exponent, 0.0))
                if height < floor[j] + s * space:
                    break
                counter += 2 * n
                u, height = _uniform(key, counter), _uniform(key, counter + 1) * top
            out[number[i]] = u
