"""A pi0-like template from public formulas alone: cosmic rays from supernova remnants on the gas of the Milky Way.

It stands in where the published map is absent, and is always named 'pi0-like', never 'pi0': it has no spiral arms, no
clouds, no warp.  Its shape error is of the size of the difference between published models (docs: 5-15 % in TS).
The spectrum is E^-2.7, as for the published map.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nuanalysis.errors import InputError
from nuanalysis.sky._records import PowerLaw, Template, factorised
from nuanalysis.sky.templates import _healpix, _milky_way

Floats = NDArray[np.float64]
Density = Callable[[Floats, Floats], Floats]
INDEX = 2.7
REFERENCE = (
    "nuanalysis, analytic: gas of Bronfman et al., ApJ 324, 248 (1988) and Ferriere, ApJ 497, 759 (1998) with the "
    "parameters of the DRAGON code; sources of Case & Bhattacharya, ApJ 504, 761 (1998); halo of 4 kpc"
)
NSIDES = (16, 32, 64, 128, 256, 512)
N_LONGITUDES = 220
N_LATITUDES = 160
FINEST_LONGITUDE = np.radians(0.05)
FINEST_LATITUDE = np.radians(0.01)
# Resolution of the sub-pixels by distance from the plane: the gas disk at the Galactic Centre is 0.1 deg thick.
SUB_NSIDES = ((np.radians(2.0), 2048), (np.radians(10.0), 512), (np.pi, 256))


@dataclass(frozen=True, slots=True, eq=False)
class LineTable:
    """Line-of-sight integrals of the model: nodes |l| (l,) and |b| (b,) in rad, logarithm of the integral (l, b)."""

    longitudes: Floats
    latitudes: Floats
    log_integral: Floats


def make_template(nside: int = 128) -> Template:
    """The built-in pi0-like template, equatorial RING, integrating to one.

    nside : a power of two from 16 to 512; 64 is enough for cascades, 128 for tracks.  Raises InputError otherwise.
    """
    if nside not in NSIDES:
        raise InputError(f"the template pi0-like was asked for at nside {nside}; expected one of {NSIDES}")
    density = _healpix.normalised(_healpix.to_ring(_nested_map(nside)))
    density.flags.writeable = False
    return Template(
        "pi0-like",
        "analytic pi0-like",
        *factorised(density),
        PowerLaw(INDEX),
        "built-in",
        REFERENCE,
        recipe_sha256(nside),
    )


def recipe_sha256(nside: int) -> str:
    """sha256 of the source code and parameters that make the template."""
    digest = hashlib.sha256(f"pi0-like nside={nside}".encode())
    for source in (__file__, _milky_way.__file__, _healpix.__file__):
        digest.update(Path(source).read_bytes())
    return digest.hexdigest()


def tabulate(density: Density = _milky_way.emissivity) -> LineTable:
    """Line-of-sight integrals of a density of (R, z), finest at the Galactic Centre and at the plane."""
    longitudes = _nodes(np.pi, N_LONGITUDES, FINEST_LONGITUDE)
    latitudes = _nodes(np.pi / 2, N_LATITUDES, FINEST_LATITUDE)
    rows = [_milky_way.line_of_sight(density, longitude, latitudes) for longitude in longitudes]
    return LineTable(longitudes, latitudes, np.log(np.stack(rows)))


def intensity(table: LineTable, longitude: Floats, latitude: Floats) -> Floats:
    """Integral along the line of sight at Galactic (n,) rad, unit of (density) x kpc.

    The model has two mirror planes, l -> -l and b -> -b, so the table is read at |l| and |b|; its logarithm is
    interpolated linearly in both (within 0.4 % of the integral).
    """
    at_l, l_part = _position(np.abs(longitude), table.longitudes)
    at_b, b_part = _position(np.abs(latitude), table.latitudes)
    width = len(table.latitudes)
    flat, corner = table.log_integral.ravel(), at_l * width + at_b
    near = flat[corner] * (1 - b_part) + flat[corner + 1] * b_part
    far = flat[corner + width] * (1 - b_part) + flat[corner + width + 1] * b_part
    return np.asarray(np.exp(near * (1 - l_part) + far * l_part))


def _nodes(end: float, n: int, finest: float) -> Floats:
    """n points from 0 to end whose spacing grows from ``finest``, as sinh does."""
    x = np.linspace(0.0, 1.0, n)
    low, high = 1e-6, 40.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if end * np.sinh(middle * x[1]) / np.sinh(middle) > finest else (low, middle)
    return np.asarray(end * np.sinh(low * x) / np.sinh(low))


def _position(value: Floats, nodes: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Index of the interval each value lies in, and how far along it (0 to 1)."""
    index = np.clip(np.searchsorted(nodes, value, side="right") - 1, 0, len(nodes) - 2)
    return index, (value - nodes[index]) / (nodes[index + 1] - nodes[index])


def _nested_map(nside: int) -> Floats:
    """Relative intensity averaged over each equatorial NESTED pixel, with smaller sub-pixels near the plane."""
    value = partial(intensity, tabulate())
    pixels = np.arange(12 * nside**2)
    distance = np.abs(_healpix.galactic(pixels, nside=nside)[1]) - _healpix.reach(nside)
    means = np.empty(len(pixels))
    edge = -np.pi
    for next_edge, sub_nside in SUB_NSIDES:
        some = pixels[(distance >= edge) & (distance < next_edge)]
        split = max(1, sub_nside // nside)
        means[some] = _healpix.subpixel_mean(value, some, nside=nside, split=split)
        edge = next_edge
    return means
