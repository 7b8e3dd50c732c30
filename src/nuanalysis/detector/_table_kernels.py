"""Look-up in the table of light for compiled loops: ice between two heights, fluence, direction and delay of a pair.

A pair goes in three steps: ``path_average`` of the ice, ``find_cell`` of the table, then ``cell_light`` and
``fill_delays`` of that cell.  ``pair_light`` is the first three; lengths in m, times in ns.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba as nb
import numpy as np

from nuanalysis.detector._ice import LIGHT_SPEED
from nuanalysis.detector._photon_kernels import cosine_bin
from nuanalysis.detector._records import Singles
from nuanalysis.schema import Floats

SMALLEST = 0.1651  # m, radius of a module: no source is nearer to its centre
_LEVEL = 1.0  # m: within this difference of height a pair takes the ice of its middle
_STEPS = 32
_HALF_PI = 0.5 * math.pi


class KernelTable(NamedTuple):
    """``LightTable`` for compiled loops, see ``kernel_table``.

    log_radius (r,), root (ratio,) : ln of the distances; 1/sqrt(ratio).  slope (ratio,) : of light beyond the last
    distance, ``tail_slope``.  The others as in ``LightTable``.
    """

    radius: Floats
    log_radius: Floats
    cosine: Floats
    ratio: Floats
    root: Floats
    slope: Floats
    log_fluence: Singles
    direction: Singles
    delay: Singles


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _sum_to(sums, bottom, step, z):  # type: ignore[no-untyped-def]
    """Integral of 1/length up to a height; beyond the grid its last step goes on."""
    x = (z - bottom) / step
    i = min(max(math.floor(x), 0), sums.shape[0] - 2)
    return sums[i] + (x - i) * (sums[i + 1] - sums[i])


@nb.njit(cache=True, nogil=True, error_model="numpy")
def path_average(ice, z, to):  # type: ignore[no-untyped-def]
    """Averages of 1/scattering and 1/absorption length on a straight line from height z to another, 1/m."""
    if abs(to - z) < _LEVEL:
        middle = 0.5 * (z + to)
        z, to = middle - 0.5 * _LEVEL, middle + 0.5 * _LEVEL
    scattering = _sum_to(ice.scattering, ice.bottom, ice.step, to) - _sum_to(ice.scattering, ice.bottom, ice.step, z)
    absorption = _sum_to(ice.absorption, ice.bottom, ice.step, to) - _sum_to(ice.absorption, ice.bottom, ice.step, z)
    return scattering / (to - z), absorption / (to - z)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def find_cell(table, r, cosine, ratio):  # type: ignore[no-untyped-def]
    """Where a pair stands in the table: indices of ratio, r, cosine, their weights, and r itself.

    r in effective scattering lengths; ratio of absorption to effective scattering length.
    """
    q = 0
    while q < table.ratio.shape[0] - 2 and ratio > table.ratio[q + 1]:
        q += 1
    to_q = (table.root[q] - 1.0 / math.sqrt(ratio)) / (table.root[q] - table.root[q + 1])
    last = table.radius.shape[0] - 1
    per = last / (table.log_radius[last] - table.log_radius[0])
    i = min(max(int((math.log(r) - table.log_radius[0]) * per), 0), last - 1)
    to_i = (r - table.radius[i]) / (table.radius[i + 1] - table.radius[i])
    j = cosine_bin(cosine)
    if cosine < table.cosine[j]:
        j -= 1
    j = min(max(j, 0), table.cosine.shape[0] - 2)
    to_j = (cosine - table.cosine[j]) / (table.cosine[j + 1] - table.cosine[j])
    return q, i, j, _unit(to_q), _unit(to_i), _unit(to_j), r, ratio


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _unit(x):  # type: ignore[no-untyped-def]
    return min(max(x, 0.0), 1.0)


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _face(values, j, to_j):  # type: ignore[no-untyped-def]
    return values[j] + to_j * (values[j + 1] - values[j])


@nb.njit(cache=True, nogil=True, error_model="numpy")
def cell_light(table, emission, cell):  # type: ignore[no-untyped-def]
    """Fluence per photon, per square of the effective scattering length, and mean cosine to the line of sight.

    emission : 0 of a cascade, 1 a bare cone.  ln(fluence r^2) is linear in r, in cosine and in 1/sqrt(ratio).  Nearer
    than the first distance of the table light goes as 1/r^2; beyond the last as exp(-slope r)/r; beyond
    the first and last ratio it changes as that of straight light.
    """
    q, i, j, to_q, to_i, to_j, r, ratio = cell
    total, along = 0.0, 0.0
    for dq in range(2):
        for di in range(2):
            weight = (to_q if dq else 1.0 - to_q) * (to_i if di else 1.0 - to_i)
            here = table.log_fluence[emission, q + dq, i + di]
            total += weight * (_face(here, j, to_j) + 2.0 * table.log_radius[i + di])
            along += weight * _face(table.direction[emission, q + dq, i + di], j, to_j)
    return math.exp(total - 2.0 * math.log(r) + beyond(table, q, to_q, r, ratio)), along


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def beyond(table, q, to_q, r, ratio):  # type: ignore[no-untyped-def]
    """ln of what light outside the table has more than the law 1/r^2 from its border."""
    more = 0.0
    inside = min(max(ratio, table.ratio[0]), table.ratio[-1])
    if inside != ratio:
        more += r * (1.0 / inside - 1.0 / ratio)
    if r > table.radius[-1]:
        more += math.log(r / table.radius[-1]) - (r - table.radius[-1]) * _face(table.slope, q, to_q)
    return more


@nb.njit(cache=True, nogil=True, error_model="numpy")
def fill_delays(table, emission, cell, scale, row):  # type: ignore[no-untyped-def]
    """Fill row (33,) with the delays of a cell at the table's probabilities, times ``scale`` (ns per length).

    Outside the table's distances the delays of its border are scaled with r.
    """
    q, i, j, to_q, to_i, to_j, r, _ = cell
    border = min(max(r, table.radius[0]), table.radius[-1])
    row[:] = 0.0
    for dq in range(2):
        for di in range(2):
            for dj in range(2):
                weight = (to_q if dq else 1.0 - to_q) * (to_i if di else 1.0 - to_i) * (to_j if dj else 1.0 - to_j)
                weight *= scale * r / border
                corner = table.delay[emission, q + dq, i + di, j + dj]
                for k in range(_STEPS + 1):
                    row[k] += weight * corner[k]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def delay_at(row, u):  # type: ignore[no-untyped-def]
    """Delay at probability u, 0 to 1, from a row of ``fill_delays``; linear in u between its probabilities."""
    k = min(int(_STEPS / _HALF_PI * math.asin(math.sqrt(u))), _STEPS - 1)
    low, high = math.sin(_HALF_PI * k / _STEPS) ** 2, math.sin(_HALF_PI * (k + 1) / _STEPS) ** 2
    return row[k] + (u - low) / (high - low) * (row[k + 1] - row[k])


@nb.njit(cache=True, nogil=True, error_model="numpy")
def pair_cell(table, ice, distance, z, to, cosine):  # type: ignore[no-untyped-def]
    """Cell of a source at height z and a module at height ``to``, and 1/scattering length between them, 1/m.

    distance : between them, m, at least the radius of a module.  cosine : between the source's axis and that line.
    """
    scattering, absorption = path_average(ice, z, to)
    r = max(distance, SMALLEST) * scattering
    return find_cell(table, r, cosine, scattering / absorption), scattering


@nb.njit(cache=True, nogil=True, error_model="numpy")
def pair_light(table, ice, emission, distance, z, to, cosine):  # type: ignore[no-untyped-def]
    """Fluence per emitted photon, 1/m2, and the mean cosine to the line of sight; arguments of ``pair_cell``."""
    cell, scattering = pair_cell(table, ice, distance, z, to, cosine)
    fluence, along = cell_light(table, emission, cell)
    return fluence * scattering * scattering, along


@nb.njit(cache=True, nogil=True, error_model="numpy")
def pair_delays(table, ice, emission, distance, z, to, cosine, row):  # type: ignore[no-untyped-def]
    """Fill row (33,) with the delays of a pair, ns behind distance / LIGHT_SPEED; arguments of ``pair_cell``."""
    cell, scattering = pair_cell(table, ice, distance, z, to, cosine)
    fill_delays(table, emission, cell, 1.0 / (scattering * LIGHT_SPEED), row)


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def accepted_part(coefficients, along, up):  # type: ignore[no-untyped-def]
    """Part of the photons on a module's disc that it counts.

    coefficients : of the acceptance in 1, x, x^3, x^5, x^7, x the cosine between a photon's motion and up.  along :
    mean cosine of the photons to the line of sight, about which they are spread as a Henyey-Greenstein law; up :
    cosine between that line and up.  Each Legendre term of the acceptance is then lowered by a power of ``along``.
    """
    c0, c1, c3, c5, c7 = coefficients[0], coefficients[1], coefficients[2], coefficients[3], coefficients[4]
    m, m2 = along, along * along
    p1 = m * (c1 + 3.0 / 5.0 * c3 + 3.0 / 7.0 * c5 + 1.0 / 3.0 * c7)
    p3 = m * m2 * (2.0 / 5.0 * c3 + 4.0 / 9.0 * c5 + 14.0 / 33.0 * c7)
    p5 = m * m2 * m2 * (8.0 / 63.0 * c5 + 8.0 / 39.0 * c7)
    p7 = m * m2 * m2 * m2 * (16.0 / 429.0 * c7)
    x2 = up * up
    odd = p1 - 1.5 * p3 + 1.875 * p5 - 2.1875 * p7
    odd += x2 * (2.5 * p3 - 8.75 * p5 + 19.6875 * p7 + x2 * (7.875 * p5 - 43.3125 * p7 + x2 * 26.8125 * p7))
    return max(c0 + up * odd, 0.0)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def loop_accepted(coefficients, along, up, out):  # type: ignore[no-untyped-def]
    """``accepted_part`` of many pairs, (pair,) each."""
    for n in range(along.shape[0]):
        out[n] = accepted_part(coefficients, along[n], up[n])


@nb.njit(cache=True, nogil=True, error_model="numpy")
def loop_light(table, ice, emission, distance, z, to, cosine, out):  # type: ignore[no-untyped-def]
    """``pair_light`` of many pairs, (pair,) each, into out (2, pair)."""
    for n in range(distance.shape[0]):
        out[0, n], out[1, n] = pair_light(table, ice, emission[n], distance[n], z[n], to[n], cosine[n])


@nb.njit(cache=True, nogil=True, error_model="numpy")
def loop_delay(table, ice, emission, distance, z, to, cosine, u, out):  # type: ignore[no-untyped-def]
    """Delays at u (pair,) of many pairs into out (pair,), ns."""
    row = np.empty(_STEPS + 1)
    for n in range(distance.shape[0]):
        pair_delays(table, ice, emission[n], distance[n], z[n], to[n], cosine[n], row)
        out[n] = delay_at(row, u[n])
