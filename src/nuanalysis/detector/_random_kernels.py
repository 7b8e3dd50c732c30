"""Random numbers of compiled loops: SplitMix64 of (key, counter), so that photon or event i draws the same numbers
whoever computes it, in whichever batch.

The generator of Steele, Lea & Flood, OOPSLA 2014, "Fast splittable pseudorandom number generators".
"""

from __future__ import annotations

import numba as nb
import numpy as np

from nuanalysis.store import keep_kernels

keep_kernels()  # before the first of them: here all files of kernels of this room begin

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_TO_UNIT = 1.0 / 9007199254740992.0  # 2^-53


@nb.njit(cache=True, inline="always")
def mix(z):  # type: ignore[no-untyped-def]
    """The 64 bits of z shuffled."""
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@nb.njit(cache=True, inline="always")
def stream_key(seed, stream, number):  # type: ignore[no-untyped-def]
    """64-bit key of one photon or event ``number`` of a stream of a seed; all are integers >= 0."""
    return mix(mix(mix(np.uint64(seed) + _GOLDEN) ^ np.uint64(number)) + np.uint64(stream) * _M2)


@nb.njit(cache=True, inline="always")
def uniform(key, counter):  # type: ignore[no-untyped-def]
    """Number ``counter`` of a key, evenly in [0, 1)."""
    return np.float64(mix(key + (np.uint64(counter) + np.uint64(1)) * _GOLDEN) >> _S11) * _TO_UNIT
