"""Compiled loops over events: their random numbers, and the brightest place of each."""

from __future__ import annotations

import numba as nb
import numpy as np

from nuanalysis.detector._random_kernels import mix, stream_key, uniform

_CENTRES = 12  # brightest sources of an event that are tried as centres


@nb.njit(cache=True, nogil=True, error_model="numpy")
def event_keys(seed, stream, number):  # type: ignore[no-untyped-def]
    """Key of each event of a stream, (event,); number (event,)."""
    out = np.empty(number.shape[0], np.uint64)
    for i in range(number.shape[0]):
        out[i] = stream_key(seed, stream, number[i])
    return out


@nb.njit(cache=True, nogil=True, error_model="numpy")
def part_keys(keys, part):  # type: ignore[no-untyped-def]
    """A key of its own for each part of an event, (part,); keys (part,) of the events, part (part,) counted from 0."""
    out = np.empty(keys.shape[0], np.uint64)
    for i in range(keys.shape[0]):
        out[i] = mix(keys[i] ^ mix(np.uint64(part[i]) + np.uint64(1)))
    return out


@nb.njit(cache=True, nogil=True, error_model="numpy")
def uniforms(keys, count):  # type: ignore[no-untyped-def]
    """The first ``count`` numbers of each key, even in [0, 1), (count, key)."""
    out = np.empty((count, keys.shape[0]))
    for i in range(keys.shape[0]):
        for j in range(count):
            out[j, i] = uniform(keys[i], j)
    return out


@nb.njit(cache=True, nogil=True, error_model="numpy")
def brightest_places(position, photons, start, radius):  # type: ignore[no-untyped-def]
    """Largest sum of photons within ``radius`` of one source, and the mean place of those, weighted; each event.

    position (source, 3), photons (source,), start (event + 1,).  Returns (event, 4): x, y, z, sum; 0 without light.
    """
    out = np.zeros((start.shape[0] - 1, 4))
    for e in range(start.shape[0] - 1):
        a, b = start[e], start[e + 1]
        left = photons[a:b].copy()
        for _ in range(min(_CENTRES, b - a)):
            top = np.argmax(left)
            if left[top] <= 0.0:
                break
            left[top] = 0.0
            centre, total = position[a + top], 0.0
            x, y, z = 0.0, 0.0, 0.0
            for i in range(a, b):
                d0, d1, d2 = position[i, 0] - centre[0], position[i, 1] - centre[1], position[i, 2] - centre[2]
                if d0 * d0 + d1 * d1 + d2 * d2 <= radius * radius:
                    p = photons[i]
                    total += p
                    x, y, z = x + p * position[i, 0], y + p * position[i, 1], z + p * position[i, 2]
            if total > out[e, 3]:
                out[e, 0], out[e, 1], out[e, 2], out[e, 3] = x / total, y / total, z / total, total
    return out
