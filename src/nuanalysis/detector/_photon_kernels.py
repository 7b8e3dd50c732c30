"""The walk of photons in ice whose effective scattering length is 1: its own is a tenth of that, see ``ANISOTROPY``.

Sums are integers in units of ``UNIT``, so that they do not depend on the order in which photons are added.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from nuanalysis.detector._random_kernels import stream_key, uniform

ABSORPTION = 6.0  # length in effective scattering lengths, above those of all ice of the array (2.8 to 4.0)
ANISOTROPY = 0.9  # mean cosine of a scattering
ICE = (1.0 - ANISOTROPY, ABSORPTION)  # free length between scatterings, and absorption length, of the table
SIMPLIFIED = 0.35  # share of the simplified Liu law; the rest is Henyey-Greenstein's
COS_CHERENKOV = 1.0 / 1.3194  # at 400 nm
BROADNESS, EXPONENT = 2.61, 0.39  # of the direction of electrons in a cascade
UNIT = 2.0**-32  # of the sums of lengths
# Bins: logarithmic in distance; two widths of cosine, the finer ones about the Cherenkov cone; delay from 0, then
# logarithmic.
NEAR, FAR, RADII = 0.1, 25.0, 48
COARSE, FINE, COS_SPLIT = 14, 22, 0.4
COSINES = COARSE + FINE
SHORT, LONG, DELAYS = 0.005, 90.0, 56
_PER_RADIUS = RADII / math.log(FAR / NEAR)
_PER_DELAY = (DELAYS - 1) / math.log(LONG / SHORT)
_PER_COARSE, _PER_FINE = COARSE / (COS_SPLIT + 1.0), FINE / (1.0 - COS_SPLIT)
_LIU = (1.0 - ANISOTROPY) / (1.0 + ANISOTROPY)
_WITHIN = 1.0 - math.exp(-BROADNESS * 2.0**EXPONENT)
_SIN_CHERENKOV = math.sqrt(1.0 - COS_CHERENKOV**2)


@nb.njit(cache=True, error_model="numpy")
def cosine_bin(cosine):  # type: ignore[no-untyped-def]
    """Bin of the cosine between the axis and the direction from the source, -1 to 1."""
    if cosine < COS_SPLIT:
        return max(int((cosine + 1.0) * _PER_COARSE), 0)
    return min(COARSE + int((cosine - COS_SPLIT) * _PER_FINE), COSINES - 1)


@nb.njit(cache=True, error_model="numpy")
def emitted_cosine(cone, u, v):  # type: ignore[no-untyped-def]
    """Cosine between a photon and the axis of its source, from two uniform numbers.

    A bare track emits on the Cherenkov cone.  An electron of a cascade is off the axis by 1 - cos = xi, of the law
    1 - exp(-2.61 xi^0.39) (Raedel & Wiebusch, Astropart. Phys. 44, 102, 2013), and emits on the cone about itself.
    """
    if cone:
        return COS_CHERENKOV
    electron = 1.0 - (-math.log(1.0 - u * _WITHIN) / BROADNESS) ** (1.0 / EXPONENT)
    sine = math.sqrt(max(1.0 - electron * electron, 0.0))
    cosine = electron * COS_CHERENKOV + sine * _SIN_CHERENKOV * math.cos(2.0 * math.pi * v)
    return min(max(cosine, -1.0), 1.0)


@nb.njit(cache=True, error_model="numpy")
def scattered_cosine(choice, u):  # type: ignore[no-untyped-def]
    """Cosine of a scattering, from two uniform numbers; its mean is ``ANISOTROPY`` for both laws."""
    if choice < SIMPLIFIED:
        return 2.0 * u**_LIU - 1.0
    part = (1.0 - ANISOTROPY * ANISOTROPY) / (1.0 - ANISOTROPY + 2.0 * ANISOTROPY * u)
    return (1.0 + ANISOTROPY * ANISOTROPY - part * part) / (2.0 * ANISOTROPY)


@nb.njit(cache=True, error_model="numpy")
def turned(x, y, z, cosine, azimuth):  # type: ignore[no-untyped-def]
    """The unit vector (x, y, z) turned by an angle of that cosine, towards that azimuth about it."""
    sine = math.sqrt(max(1.0 - cosine * cosine, 0.0))
    a, b = sine * math.cos(azimuth), sine * math.sin(azimuth)
    across = math.sqrt(x * x + y * y)
    if across < 1e-6:
        return a, b, math.copysign(cosine, z)
    to_x = cosine * x + (a * x * z - b * y) / across
    to_y = cosine * y + (a * y * z + b * x) / across
    to_z = cosine * z - a * across
    scale = 1.0 / math.sqrt(to_x * to_x + to_y * to_y + to_z * to_z)  # rounding would add up over many scatterings
    return to_x * scale, to_y * scale, to_z * scale


@nb.njit(cache=True, error_model="numpy")
def _score(place, motion, travelled, step, path, moment):  # type: ignore[no-untyped-def]
    """Add a step's length to the bin of one point on it, and its length times the cosine to the line of sight."""
    x, y, z = place
    r = math.sqrt(x * x + y * y + z * z)
    if r < NEAR or r >= FAR:
        return
    i = min(int(math.log(r / NEAR) * _PER_RADIUS), RADII - 1)
    delay = travelled - r
    k = 0
    if delay >= SHORT:
        k = min(1 + int(math.log(delay / SHORT) * _PER_DELAY), DELAYS - 1)
    j = cosine_bin(z / r)
    along = (motion[0] * x + motion[1] * y + motion[2] * z) / r
    path[i, j, k] += np.int64(step / UNIT)
    moment[i, j, k] += np.int64(step * along / UNIT)


@nb.njit(cache=True, error_model="numpy")
def walk_photon(key, cone, ice, path, moment):  # type: ignore[no-untyped-def]
    """Follow one photon until it is absorbed, add its steps to path and moment (r, cos, delay); return its length.

    It starts at the origin, the axis of its source along z.  Each free step is scored at one uniform point of it.
    ice : lengths between scatterings and of absorption, as ``ICE``.
    """
    free, absorption = ice
    cosine = emitted_cosine(cone, uniform(key, 0), uniform(key, 1))
    dx, dy, dz = math.sqrt(1.0 - cosine * cosine), 0.0, cosine
    x = y = z = travelled = 0.0
    end = -absorption * math.log(1.0 - uniform(key, 2))
    counter = 3
    while True:
        step = -free * math.log(1.0 - uniform(key, counter))
        last = travelled + step >= end
        if last:
            step = end - travelled
        s = step * uniform(key, counter + 1)
        _score((x + s * dx, y + s * dy, z + s * dz), (dx, dy, dz), travelled + s, step, path, moment)
        if last:
            return end
        x, y, z, travelled = x + step * dx, y + step * dy, z + step * dz, travelled + step
        cosine = scattered_cosine(uniform(key, counter + 2), uniform(key, counter + 3))
        dx, dy, dz = turned(dx, dy, dz, cosine, 2.0 * math.pi * uniform(key, counter + 4))
        counter += 5


@nb.njit(cache=True, nogil=True, error_model="numpy")
def walk_photons(seed, first, last, cone, ice, path, moment):  # type: ignore[no-untyped-def]
    """Add photons first to last - 1 of a seed to path and moment (r, cos, delay); return the sum of their lengths."""
    total = np.int64(0)
    for number in range(first, last):
        total += np.int64(walk_photon(stream_key(seed, int(cone), number), cone, ice, path, moment) / UNIT)
    return total
