"""Gas of Ferriere: R > 3 kpc from ApJ 497, 759 (1998), R < 3 kpc from Ferriere et al., A&A 467, 611 (2007).

The inner part is not the same all around: the central molecular zone lies off the Centre, and the disk around it is
tilted, so the map is not its own mirror image.

**Which way y points.**  The inner frame has the Sun at +x and is left-handed, y towards l = +90 deg: only then do the
central molecular zone (at y = +50 pc) lie at l > 0 with its nearer end there (Sawada et al., MNRAS 349, 1167, 2004),
the tilted disk lie below the plane there, and the ions at y = -10 pc sit on Sgr A* (l = -0.06 deg).  CRPropa turns the
frame by 180 deg, both x and y, which mirrors the centre.

**Molecules or nuclei.**  The outer density of H2 (0.58 cm^-3 at the Sun) is taken as hydrogen nuclei: then molecular
and atomic gas are alike at the Sun (0.53 and 0.56 cm^-3) and the molecules weigh 1.9e9 solar masses.  Doubled, as in
CRPropa, they would weigh 3.7e9, two to three times what is usually quoted.  The inner density of 2007 is in molecules.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy.gas._gas import Density, Gas, Part, around
from nuanalysis.sky.galaxy.sources import R_SUN

INNER = 3.0  # kpc
_S1, _S2, _S3 = np.sin(np.radians([13.5, 20.0, 48.5]))
_C1, _C2, _C3 = np.cos(np.radians([13.5, 20.0, 48.5]))
_COS70, _SIN70 = np.cos(np.radians(70.0)), np.sin(np.radians(70.0))


def outer_atoms(radius: Floats, z: Floats) -> Floats:
    """Hydrogen nuclei in atoms, cold and warm, at (R, z) beyond 3 kpc, cm^-3; flared and thinned beyond the Sun."""
    a = np.maximum(radius / R_SUN, 1.0)
    height = 1e3 * np.abs(z) / a  # pc
    narrow, wide, tail = np.exp(-((height / 127) ** 2)), np.exp(-((height / 318) ** 2)), np.exp(-height / 403)
    cold = 0.340 / a**2 * (0.859 * narrow + 0.047 * wide + 0.094 * tail)
    warm = 0.226 / a * ((1.745 - 1.289 / a) * narrow + (0.473 - 0.070 / a) * wide + (0.283 - 0.142 / a) * tail)
    return np.asarray(cold + warm)


def outer_molecules(radius: Floats, z: Floats) -> Floats:
    """Hydrogen nuclei in molecules at (R, z) beyond 3 kpc, cm^-3."""
    a = (radius / R_SUN) ** 0.58
    ring = np.exp(-((radius - 4.5) ** 2 - (R_SUN - 4.5) ** 2) / 2.9**2)
    return np.asarray(0.58 / a * ring * np.exp(-((1e3 * z / (81 * a)) ** 2)))


def outer_ions(radius: Floats, z: Floats) -> Floats:
    """Hydrogen nuclei in ionised gas at (R, z) beyond 3 kpc, cm^-3."""
    height = 1e3 * np.abs(z)
    thick = 0.0237 * np.exp(-(radius**2 - R_SUN**2) / 37**2 - height / 1000)
    ring = 0.0013 * np.exp(-((radius - 4.0) ** 2 - (R_SUN - 4.0) ** 2) / 4 - height / 150)
    return np.asarray(thick + ring)


def inner_atoms(x: Floats, y: Floats, z: Floats) -> Floats:
    """Hydrogen nuclei in atoms within 3 kpc; x, y, z in pc, the Sun at +x, l = 90 deg at +y."""
    zone, (disk, height) = _central_zone(x, y), _tilted_disk(x, y, z)
    return np.asarray(8.8 * zone * np.exp(-((z / 54) ** 2)) + 0.34 * disk * np.exp(-((height / 120) ** 2)))


def inner_molecules(x: Floats, y: Floats, z: Floats) -> Floats:
    """Hydrogen nuclei in molecules, two in each, within 3 kpc; x, y, z in pc, the Sun at +x, l = 90 deg at +y."""
    zone, (disk, height) = _central_zone(x, y), _tilted_disk(x, y, z)
    return np.asarray(2 * (150 * zone * np.exp(-((z / 18) ** 2)) + 4.8 * disk * np.exp(-((height / 42) ** 2))))


def inner_ions(x: Floats, y: Floats, z: Floats) -> Floats:
    """Hydrogen nuclei in ionised gas within 3 kpc; x, y, z in pc, the Sun at +x, l = 90 deg at +y."""
    r = np.hypot(x, y)
    centre = np.exp(-(x**2 + (y + 10) ** 2) / 145**2 - ((z + 20) / 26) ** 2)
    ring = 0.009 * np.exp(-(((r - 3700) / 1850) ** 2)) / np.cosh(z / 140) ** 2
    thick = 0.005 * np.cos(np.pi * r / 34000) / np.cosh(z / 950) ** 2
    return np.asarray(8.0 * (centre + ring + thick))


def _central_zone(x: Floats, y: Floats) -> Floats:
    """Profile in the plane of the central molecular zone, an ellipse off the Centre."""
    along = (x + 50) * _COS70 + (y - 50) * _SIN70
    across = -(x + 50) * _SIN70 + (y - 50) * _COS70
    return np.asarray(np.exp(-(((np.hypot(along, 2.5 * across) - 125) / 137) ** 4)))


def _tilted_disk(x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats]:
    """Profile in its own plane of the holed disk around the central zone, and the height above that plane, pc."""
    along = x * _C2 * _C3 - y * (_S1 * _S2 * _C3 - _C1 * _S3) - z * (_C1 * _S2 * _C3 + _S1 * _S3)
    across = -x * _C2 * _S3 + y * (_S1 * _S2 * _S3 + _C1 * _C3) + z * (_C1 * _S2 * _S3 - _S1 * _C3)
    height = x * _S2 + y * _S1 * _C2 + z * _C1 * _C2
    return np.exp(-(((np.hypot(along, 3.1 * across) - 1200) / 438) ** 4)), np.asarray(height)


def _outer(density: Callable[[Floats, Floats], Floats]) -> Density:
    """Zero within 3 kpc; the formula is read at 3 kpc there, where it would overflow."""
    return around(lambda r, z: np.where(r < INNER, 0.0, density(np.maximum(r, INNER), z)))


def _inner(density: Density) -> Density:
    """From the frame of the paper to that of this room (kpc, the Sun at -x); zero beyond 3 kpc."""
    return lambda x, y, z: np.where(np.hypot(x, y) < INNER, density(-1e3 * x, 1e3 * y, 1e3 * z), 0.0)


GAS = Gas(
    (
        Part("HI", _outer(outer_atoms)),
        Part("H2", _outer(outer_molecules)),
        Part("HII", _outer(outer_ions)),
        Part("HI", _inner(inner_atoms), bound=INNER),
        Part("H2", _inner(inner_molecules), bound=INNER),
        Part("HII", _inner(inner_ions), bound=INNER),
    ),
    "gas of Ferriere, ApJ 497, 759 (1998), and Ferriere et al., A&A 467, 611 (2007)",
)
