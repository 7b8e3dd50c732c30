"""Compiled loops from pulses to the nine values of each module, and to what tells events apart."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from nuanalysis.detector._ice import LIGHT_SPEED
from nuanalysis.store import keep_kernels

keep_kernels()

WINDOW = 6000.0  # ns, of the summary
_GRID = 10.0  # ns, on which the window is moved
_EARLY = (500.0, 100.0)  # ns after a module's first pulse
_NEAR, _SOON = 150.0, 1000.0  # m and ns: of another module that confirms a hit
_MARGIN = 100.0  # ns by which light is too early to come from the vertex: 20 m of error of its place
_FIRST_PART = 0.1  # of the charge that is at the vertex in time by definition


@nb.njit(cache=True, nogil=True, error_model="numpy")
def window_start(time, charge):  # type: ignore[no-untyped-def]
    """Time of the pulse that begins the 6 us with the largest charge, the latest of equal ones; pulses (pulse,)."""
    first, last = time.min(), time.max()
    many = int(WINDOW / _GRID)
    sums = np.zeros(int((last - first) / _GRID) + 2)
    for i in range(time.shape[0]):
        sums[int((time[i] - first) / _GRID) + 1] += charge[i]
    for b in range(1, sums.shape[0]):
        sums[b] += sums[b - 1]
    end, best, chosen = sums.shape[0] - 1, -1.0, 0
    for b in range(end):
        inside = sums[min(b + many, end)] - sums[b]
        if sums[b + 1] > sums[b] and inside >= best - 1e-9 * sums[end]:
            best, chosen = max(best, inside), b
    start = last
    for i in range(time.shape[0]):
        if int((time[i] - first) / _GRID) == chosen:
            start = min(start, time[i])
    return start


@nb.njit(cache=True, nogil=True, error_model="numpy")
def nine_values(time, charge, out):  # type: ignore[no-untyped-def]
    """``SUMMARY`` of the pulses of one module in order of time, (pulse,), into out (9,)."""
    total, soon, sooner, moment = 0.0, 0.0, 0.0, 0.0
    for i in range(time.shape[0]):
        total += charge[i]
        moment += charge[i] * (time[i] - time[0])
        soon += charge[i] if time[i] - time[0] < _EARLY[0] else 0.0
        sooner += charge[i] if time[i] - time[0] < _EARLY[1] else 0.0
    mean, square, passed = moment / total, 0.0, 0.0
    at20, at50 = time[-1], time[-1]
    for i in range(time.shape[0]):
        square += charge[i] * (time[i] - time[0] - mean) ** 2
        passed += charge[i]
        at20 = min(at20, time[i]) if passed >= 0.2 * total else at20
        at50 = min(at50, time[i]) if passed >= 0.5 * total else at50
    out[:3] = total, soon, sooner
    out[3:] = time[0], at20, at50, time[-1], time[0] + mean, math.sqrt(square / total)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def summaries(pulse_module, pulse_time, pulse_charge, pulse_saturated, start):  # type: ignore[no-untyped-def]
    """Columns of ``Hits``: module, values, saturated, start, window; arguments are those of ``Pulses``."""
    size, events, n = pulse_time.shape[0], start.shape[0] - 1, 0
    module, values, saturated = np.empty(size, np.int64), np.empty((size, 9), np.float32), np.zeros(size, np.bool_)
    begin, window, nine = np.zeros(events + 1, np.int64), np.zeros(events), np.empty(9)
    for e in range(events):
        a, b = start[e], start[e + 1]
        if b > a:
            window[e] = window_start(pulse_time[a:b].astype(np.float64), pulse_charge[a:b])
        while a < b:
            m, stop = pulse_module[a], a
            while stop < b and pulse_module[stop] == m:
                stop += 1
            low, high = a, stop
            while low < stop and pulse_time[low] < window[e]:
                low += 1
            while high > low and pulse_time[high - 1] > window[e] + WINDOW:
                high -= 1
            if high > low:
                nine_values(pulse_time[low:high] - window[e], pulse_charge[low:high], nine)
                module[n], values[n], saturated[n] = m, nine, pulse_saturated[low:high].any()
                n += 1
            a = stop
        begin[e + 1] = n
    return module[:n].copy(), values[:n].copy(), saturated[:n].copy(), begin, window


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _together(position, module, first, i, k):  # type: ignore[no-untyped-def]
    a, b = module[i], module[k]
    if abs(first[i] - first[k]) > _SOON:
        return False
    x, y, z = position[a, 0] - position[b, 0], position[a, 1] - position[b, 1], position[a, 2] - position[b, 2]
    return x * x + y * y + z * z <= _NEAR * _NEAR


@nb.njit(cache=True, nogil=True, error_model="numpy")
def confirmed(position, module, first, start, out):  # type: ignore[no-untyped-def]
    """Whether another module within 150 m has its first pulse within 1 us, into out (hit,); first (hit,) ns.

    Looks at the nearest in the list first: those are on the same string, and most hits are done at once.
    """
    for e in range(start.shape[0] - 1):
        low, end = start[e], start[e + 1]
        for i in range(low, end):
            out[i] = False
            for step in range(1, end - low):
                up, down = i + step, i - step
                if up < end and _together(position, module, first, i, up):
                    out[i] = True
                    break
                if down >= low and _together(position, module, first, i, down):
                    out[i] = True
                    break


@nb.njit(cache=True, nogil=True, error_model="numpy")
def shape(position, charge, first, out):  # type: ignore[no-untyped-def]
    """Centre, brightest place, ratio of inertia, and speed of the line fit, into out (8,); hits (hit, 3) and (hit,).

    The ratio is the smallest eigenvalue of the tensor of inertia over the sum of all: 1/3 of a ball, 0 of a line.  The
    line fit is least squares of position against time, weighted by charge, in m/ns.
    """
    weight, weight2, tensor = charge.sum(), (charge * charge).sum(), np.zeros((3, 3))
    for c in range(3):
        out[c] = (charge * position[:, c]).sum() / weight
        out[3 + c] = (charge * charge * position[:, c]).sum() / weight2
    mean, variance, slope = (charge * first).sum() / weight, 0.0, np.zeros(3)
    for i in range(charge.shape[0]):
        away = position[i] - out[:3]
        late = first[i] - mean
        variance += charge[i] * late * late
        square = (away * away).sum()
        for a in range(3):
            slope[a] += charge[i] * late * away[a]
            tensor[a, a] += charge[i] * square
            for b in range(3):
                tensor[a, b] -= charge[i] * away[a] * away[b]
    moments = np.linalg.eigvalsh(tensor)
    out[6] = max(moments[0], 0.0) / moments.sum() if moments.sum() > 0.0 else 0.0
    out[7] = math.sqrt((slope * slope).sum()) / variance if variance > 0.0 else 0.0


@nb.njit(cache=True, nogil=True, error_model="numpy")
def vertex_time(position, charge, first, place):  # type: ignore[no-untyped-def]
    """Time at which light left a place, by first pulses: the 10 % point, by charge, of first - d n/c."""
    residual = np.empty(charge.shape[0])
    for i in range(charge.shape[0]):
        away = position[i] - place
        residual[i] = first[i] - math.sqrt((away * away).sum()) / LIGHT_SPEED
    passed, part = 0.0, _FIRST_PART * charge.sum()
    for i in np.argsort(residual):
        passed += charge[i]
        if passed >= part:
            return residual[i]
    return residual.max()


@nb.njit(cache=True, nogil=True, error_model="numpy")
def early_charges(position, outer, modules, pulses, place, begun, out):  # type: ignore[no-untyped-def]
    """Charge too early for light from a place, and charge on the outer layer before the time it left, into out (2,).

    position (module, 3), outer (module,) : of the detector.  modules (hit,) : rising, those that count.  pulses : the
    columns module, time and charge, by module.
    """
    out[:] = 0.0
    h, (module, time, charge) = 0, pulses
    for i in range(module.shape[0]):
        while h < modules.shape[0] and modules[h] < module[i]:
            h += 1
        if h == modules.shape[0]:
            break
        if modules[h] != module[i]:
            continue
        away = position[module[i]] - place
        if time[i] < begun + math.sqrt((away * away).sum()) / LIGHT_SPEED - _MARGIN:
            out[0] += charge[i]
        if outer[module[i]] and time[i] < begun:
            out[1] += charge[i]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def variables(position, outer, pulses, hits, out):  # type: ignore[no-untyped-def]
    """Rows (event, 13): charge, early fraction, ``shape``, ``early_charges``, ``vertex_time``; without hits NaN or 0.

    pulses : module, time, charge, start.  hits : module, values, start, window; summed up from those pulses.
    """
    module, time, charge, start = pulses
    hit, values, begin, window = hits
    for e in range(begin.shape[0] - 1):
        a, b, c, d = begin[e], begin[e + 1], start[e], start[e + 1]
        if a == b:
            out[e] = np.nan
            out[e, 0], out[e, 10], out[e, 11] = 0.0, 0.0, 0.0
            continue
        q, first, at = values[a:b, 0].astype(np.float64), values[a:b, 3] + window[e], position[hit[a:b]]
        out[e, 0], out[e, 1] = q.sum(), values[a:b, 2].sum() / q.sum()
        shape(at, q, first, out[e, 2:10])
        place = out[e, 5:8].copy()
        begun = vertex_time(at, q, first, place)
        early_charges(position, outer, hit[a:b], (module[c:d], time[c:d], charge[c:d]), place, begun, out[e, 10:12])
        out[e, 12] = begun
