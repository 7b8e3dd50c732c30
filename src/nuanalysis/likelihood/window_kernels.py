"""Compiled loops of the time-window likelihood.  Each has a slow twin in the tests."""

from __future__ import annotations

import numba as nb
import numpy as np

from nuanalysis.model.kernels import trial_key, uniform

_STEPS = 60
_PRECISE = 1e-10


@nb.njit(cache=True, nogil=True, error_model="numpy")
def best_count(ratio, n):  # type: ignore[no-untyped-def]
    """(n_s, TS) of the first n entries of ratio (event,), each S / (n_b B): the maximum of -n_s + sum ln(1 + n_s r).

    The derivative -1 + sum r / (1 + n_s r) falls and is convex, so Newton's steps from below never pass its root; the
    root of the largest ratio alone, 1 - 1 / r, lies below that of all.
    """
    total, largest = 0.0, 0.0
    for i in range(n):
        total += ratio[i]
        largest = max(largest, ratio[i])
    if total <= 1.0:
        return 0.0, 0.0
    at = max(1.0 - 1.0 / largest, 0.0)
    for _ in range(_STEPS):
        slope, bend = -1.0, 0.0
        for i in range(n):
            x = ratio[i] / (1.0 + at * ratio[i])
            slope += x
            bend += x * x
        step = slope / bend
        at += step
        if step < _PRECISE:
            break
    value = -at
    for i in range(n):
        value += np.log1p(at * ratio[i])
    return at, max(2.0 * value, 0.0)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def fill_ratio(place, event, kappa, height, n, out):  # type: ignore[no-untyped-def]
    """S / (n_b B) of the first n events at one place.

    place (3,), event (event, 3) unit vectors; kappa, height (event, part) of the kernels, height with 1 / (n_b B).
    """
    for i in range(n):
        x, y, z = event[i, 0] - place[0], event[i, 1] - place[1], event[i, 2] - place[2]
        half = 0.5 * (x * x + y * y + z * z)  # 1 - cos, exact at small angles
        value = 0.0
        for p in range(kappa.shape[1]):
            power = kappa[i, p] * half
            if power < 60.0:
                value += height[i, p] * np.exp(-power)
        out[i] = value


@nb.njit(cache=True, nogil=True, error_model="numpy")
def search(places, penalty, event, kappa, height, n, ratio):  # type: ignore[no-untyped-def]
    """(TS, n_s, place) of the largest TS + penalty over places (place, 3), penalty (place,) <= 0; none: (0, 0, -1)."""
    best, count, where = 0.0, 0.0, -1
    for p in range(places.shape[0]):
        fill_ratio(places[p], event, kappa, height, n, ratio)
        n_signal, ts = best_count(ratio, n)
        if ts + penalty[p] > best:
            best, count, where = ts + penalty[p], n_signal, p
    return best, count, where


@nb.njit(cache=True, nogil=True, error_model="numpy")
def poisson(key, counter, mean):  # type: ignore[no-untyped-def]
    """A Poisson number, and the next counter, from uniform numbers of a key: by inversion, in parts of mean 200."""
    total, left = 0, mean
    while left > 0.0:
        part = min(left, 200.0)
        left -= part
        u = uniform(key, counter)
        counter += 1
        term = np.exp(-part)
        below, k = term, 0
        while u > below and k < 2000:
            k += 1
            term *= part / k
            below += term
        total += k
    return total, counter


# pool = (sin_dec (event,), cos_dec (event,), near (event,), kappa (event, part), height (event, part)): the background.
# places = (vectors (place, 3), penalty (place,), centre (3,)): where a signal is looked for.


@nb.njit(cache=True, nogil=True, error_model="numpy")
def draw_near(key, mean, pool, centre, drawn, kappa_out, height_out):  # type: ignore[no-untyped-def]
    """Background of one trial: how many events lie near the places; their vectors, kernels and heights are filled in.

    Poisson(mean) events are drawn from the pool, each at a uniform right ascension; one is near where the cosine of
    its angle from the centre is at least its own ``near``.  What is not near counts as S = 0.
    """
    sin_dec, cos_dec, near, kappa, height = pool
    many, counter = poisson(key, 0, mean)
    kept, most = 0, drawn.shape[0]
    for _ in range(many):
        j = min(int(uniform(key, counter) * len(sin_dec)), len(sin_dec) - 1)
        ra = 2.0 * np.pi * uniform(key, counter + 1)
        counter += 2
        x, y, z = cos_dec[j] * np.cos(ra), cos_dec[j] * np.sin(ra), sin_dec[j]
        if x * centre[0] + y * centre[1] + z * centre[2] < near[j] or kept == most:
            continue
        drawn[kept, 0], drawn[kept, 1], drawn[kept, 2] = x, y, z
        kappa_out[kept], height_out[kept] = kappa[j], height[j]
        kept += 1
    return kept


@nb.njit(cache=True, nogil=True, error_model="numpy")
def background_trials(seed, first, last, mean, pool, places, room, out):  # type: ignore[no-untyped-def]
    """Trials first..last-1 without signal into out (trial, 2): TS, n_s.  room : events near that a trial can hold."""
    vectors, penalty, centre = places
    parts = pool[3].shape[1]
    drawn, ratio, kappa, height = np.empty((room, 3)), np.empty(room), np.empty((room, parts)), np.empty((room, parts))
    for trial in range(first, last):
        key = np.uint64(trial_key(seed, trial, 0))
        n = draw_near(key, mean, pool, centre, drawn, kappa, height)
        ts, n_signal, _ = search(vectors, penalty, drawn, kappa, height, n, ratio)
        out[trial - first, 0], out[trial - first, 1] = ts, n_signal


@nb.njit(cache=True, nogil=True, error_model="numpy")
def burst_trial(key, mean, pool, places, room, signal, out):  # type: ignore[no-untyped-def]
    """TS of one trial with 0, 1, 2, ... of the given signal events in it, into out (signal event + 1,).

    signal = (vectors (event, 3), kappa (event, part), height (event, part)).
    """
    vectors, penalty, centre = places
    seen, seen_kappa, seen_height = signal
    size, parts = room + seen.shape[0], pool[3].shape[1]
    drawn, ratio, kappa, height = np.empty((size, 3)), np.empty(size), np.empty((size, parts)), np.empty((size, parts))
    n = draw_near(key, mean, pool, centre, drawn[:room], kappa, height)
    for k in range(seen.shape[0] + 1):
        if k:
            drawn[n], kappa[n], height[n] = seen[k - 1], seen_kappa[k - 1], seen_height[k - 1]
            n += 1
        out[k] = search(vectors, penalty, drawn, kappa, height, n, ratio)[0]
