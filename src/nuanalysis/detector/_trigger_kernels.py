"""Compiled loops over pulses for local coincidence and the triggers that follow from it: JINST 12 P03012 (2017).

Pulses of an event stand module by module; ``start`` (module + 1,) says where those of each live module begin.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from nuanalysis.store import keep_kernels

keep_kernels()

_COINCIDENT, _LAUNCH = 1000.0, 6400.0  # ns: of a local coincidence, and of what a module records in one go
_SPAN = 2  # modules up and down the string
_MAJORITY, _WINDOW = 8, 5000.0  # modules in coincidence within so many ns: JINST 12 P03012, SMT8
_VOLUME, _VOLUME_WINDOW = 4, 1000.0  # modules, ns, in a cylinder of that radius and height, m
_VOLUME_RADIUS, _VOLUME_HEIGHT = 175.0, 75.0
_ROW, _ROW_LENGTH, _ROW_WINDOW = 5, 7, 1500.0  # modules of so many adjacent ones on a string, ns


@nb.njit(cache=True, nogil=True)
def neighbours(string, number):  # type: ignore[no-untyped-def]
    """Live modules up to two numbers away on the same string, (module, 4), -1 where there is none.

    string, number (module,) : in order of string, then number.
    """
    out = np.full((string.shape[0], 2 * _SPAN), -1, np.int64)
    for m in range(string.shape[0]):
        n = 0
        for k in range(max(0, m - _SPAN), min(string.shape[0], m + _SPAN + 1)):
            if k != m and string[k] == string[m] and abs(number[k] - number[m]) <= _SPAN:
                out[m, n] = k
                n += 1
    return out


@nb.njit(cache=True, nogil=True)
def _accompanied(time, pulses, begin, end):  # type: ignore[no-untyped-def]
    """Whether one of pulses begin to end - 1, in order of time, is within a microsecond."""
    for i in range(begin, end):
        if pulses[i, 0] > time + _COINCIDENT:
            return False
        if pulses[i, 0] >= time - _COINCIDENT:
            return True
    return False


@nb.njit(cache=True, nogil=True)
def launches(pulses, start, near):  # type: ignore[no-untyped-def]
    """Modules in local coincidence: module and time (launch,) of each, in order of time.

    A pulse with another on one of the two nearest modules above or below within a microsecond begins a record of
    6.4 us, in which that module counts once.
    """
    time, module, n = np.empty(pulses.shape[0]), np.empty(pulses.shape[0], np.int64), 0
    for m in range(start.shape[0] - 1):
        closed = -np.inf
        for i in range(start[m], start[m + 1]):
            if pulses[i, 0] < closed:
                continue
            for k in range(near.shape[1]):
                o = near[m, k]
                if o >= 0 and _accompanied(pulses[i, 0], pulses, start[o], start[o + 1]):
                    time[n], module[n] = pulses[i, 0], m
                    closed = pulses[i, 0] + _LAUNCH
                    n += 1
                    break
    order = np.argsort(time[:n], kind="mergesort")
    return module[:n][order], time[:n][order]


@nb.njit(cache=True, nogil=True)
def majority(time):  # type: ignore[no-untyped-def]
    """First and last time of the first simple majority trigger among launches (launch,) in order; NaN without one.

    It begins with the first launch of the first 8 within 5 us, and ends when no 8 are within 5 us any more.
    """
    first, last = np.nan, np.nan
    for i in range(_MAJORITY - 1, time.shape[0]):
        if time[i] - time[i - _MAJORITY + 1] <= _WINDOW:
            first = time[i - _MAJORITY + 1] if first != first else first
            last = time[i]
        elif first == first:
            break
    return first, last


@nb.njit(cache=True, nogil=True, error_model="numpy")
def volume(module, time, position):  # type: ignore[no-untyped-def]
    """Whether 4 launches (launch,), in order of time, are within 1 us and the cylinder about the first of them."""
    for i in range(time.shape[0]):
        count, k, a = 0, i, position[module[i]]
        while k < time.shape[0] and time[k] - time[i] <= _VOLUME_WINDOW:
            b = position[module[k]]
            x, y, z = a[0] - b[0], a[1] - b[1], a[2] - b[2]
            count += x * x + y * y <= _VOLUME_RADIUS * _VOLUME_RADIUS and abs(z) <= 0.5 * _VOLUME_HEIGHT
            k += 1
        if count >= _VOLUME:
            return True
    return False


@nb.njit(cache=True, nogil=True, error_model="numpy")
def row(module, time, string, number):  # type: ignore[no-untyped-def]
    """Whether 5 of 7 adjacent modules of a string launch within 1.5 us; launches (launch,) in order of time."""
    for i in range(time.shape[0]):
        first = number[module[i]]
        for low in range(first - _ROW_LENGTH + 1, first + 1):
            count, k = 0, i
            while k < time.shape[0] and time[k] - time[i] <= _ROW_WINDOW:
                m = module[k]
                count += string[m] == string[module[i]] and low <= number[m] < low + _ROW_LENGTH
                k += 1
            if count >= _ROW:
                return True
    return False
