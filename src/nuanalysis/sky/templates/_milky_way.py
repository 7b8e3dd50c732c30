"""The axisymmetric Milky Way: gas, supernova remnants, cosmic-ray density, and lines of sight through them.

Lengths in kpc, densities in hydrogen nuclei per cm^3.  R is the radius from the Galactic axis, z the height above the
plane; the Sun is at R = 8.5, z = 0.  Helium is left out (it scales everything), and so is ionised hydrogen.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import j0, j1, jn_zeros

Floats = NDArray[np.float64]
R_SUN = 8.5
HALO_HEIGHT = 4.0
HALO_RADIUS = 20.0
SOURCE_HEIGHT = 0.2
LINE_OF_SIGHT_END = 25.0


def atomic_gas(radius: Floats) -> Floats:
    """Midplane density of atomic hydrogen at R, cm^-3; Ferriere (1998, 2007) as in DRAGON's 'BronfFerr' option."""
    inner = 0.57 * np.exp((radius - 3.0) / 0.4) + 8.0 * np.exp(-((radius / 0.2) ** 2))
    outer = 0.57 * np.exp(-(radius - 13.0) / 4.0)
    return np.where(radius < 3.0, inner, np.where(radius < 13.0, 0.57, outer))


def atomic_height(radius: Floats) -> Floats:
    """Height at which atomic hydrogen has half its midplane density at R, kpc; same source."""
    flared = 0.115 * np.exp((radius - 8.5) / 6.7)
    return np.where(radius < 2.5, 0.045, np.where(radius < 8.5, 0.115, flared))


def molecular_gas(radius: Floats) -> Floats:
    """Midplane density of hydrogen **molecules** at R, cm^-3; Bronfman et al. (1988) as in DRAGON's 'BronfFerr'."""
    return np.asarray(
        150.0 * np.exp(-(((radius - 0.05) / 0.2) ** 2))
        + 0.49 * np.exp(-(((radius - 5.3) / 2.2) ** 2))
        + 0.24 * np.exp(-(((radius - 8.1) / 1.5) ** 2))
    )


def molecular_height(radius: Floats) -> Floats:
    """Height at which molecular hydrogen has half its midplane density at R, kpc; same source."""
    return np.where(radius > 2.5, 0.059, 0.015)


def layer(z: Floats, height: Floats) -> Floats:
    """Gaussian layer relative to its midplane: 1/2 at z = height."""
    return np.asarray(np.exp(-np.log(2.0) * (z / height) ** 2))


def gas(radius: Floats, z: Floats) -> Floats:
    """Hydrogen nuclei per cm^3 at (R, z): atoms and twice the molecules."""
    atoms = atomic_gas(radius) * layer(z, atomic_height(radius))
    molecules = molecular_gas(radius) * layer(z, molecular_height(radius))
    return np.asarray(atoms + 2.0 * molecules)


def supernova_remnants(radius: Floats) -> Floats:
    """Surface density of supernova remnants at R, 1 at the Sun; Case & Bhattacharya (1998), ApJ 504, 761."""
    return np.asarray((radius / R_SUN) ** 2.0 * np.exp(-3.53 * (radius - R_SUN) / R_SUN))


def cosmic_rays(radius: Floats, *, n_modes: int = 60) -> Floats:
    """Midplane density of cosmic rays at R <= 20 kpc, 1 at the Sun; 0 beyond.

    Steady diffusion with one constant coefficient (which then cancels) in a cylinder of radius 20 and half-height 4 kpc
    that is absorbing at its surface, with sources ``supernova_remnants`` x exp(-|z| / 0.2 kpc).  Solved in Bessel modes
    J0(k r), k_i = zero_i / 20 kpc: each obeys G'' - k^2 G = -exp(-z / z_s), G'(0) = 0, G(4 kpc) = 0, so that
    G(z) = p exp(-z / z_s) + A cosh(k z) + B sinh(k z) with p = z_s^2 / (k^2 z_s^2 - 1).
    """
    zeros = jn_zeros(0, n_modes)
    amplitude = _source_modes(zeros) * _midplane_response(zeros / HALO_RADIUS)
    at_sun = float(amplitude @ j0(zeros * R_SUN / HALO_RADIUS))
    inside = np.minimum(radius, HALO_RADIUS)
    relative = np.tensordot(j0(np.multiply.outer(inside / HALO_RADIUS, zeros)), amplitude, axes=1) / at_sun
    return np.asarray(np.where(radius < HALO_RADIUS, np.maximum(relative, 0.0), 0.0))


def _source_modes(zeros: Floats) -> Floats:
    """Coefficients of the source law in J0(zero_i R / 20 kpc), by the midpoint rule."""
    x = (np.arange(4000) + 0.5) / 4000
    overlap = j0(np.multiply.outer(zeros, x)) @ (supernova_remnants(x * HALO_RADIUS) * x) / len(x)
    return np.asarray(2.0 * overlap / j1(zeros) ** 2)


def _midplane_response(k: Floats) -> Floats:
    """G(0) of the mode equation in ``cosmic_rays``; k in kpc^-1."""
    particular = SOURCE_HEIGHT**2 / ((k * SOURCE_HEIGHT) ** 2 - 1.0)
    slope = particular / (SOURCE_HEIGHT * k)
    edge = particular * np.exp(-HALO_HEIGHT / SOURCE_HEIGHT)
    cosh_part = -(edge / np.cosh(k * HALO_HEIGHT) + slope * np.tanh(k * HALO_HEIGHT))
    return np.asarray(particular + cosh_part)


def emissivity(radius: Floats, z: Floats) -> Floats:
    """Pion-decay emissivity at (R, z), arbitrary unit: gas x cosmic rays, falling linearly to 0 at 4 kpc height."""
    knots = np.linspace(0.0, LINE_OF_SIGHT_END + R_SUN, 1400)
    density = np.interp(radius, knots, cosmic_rays(knots))
    return np.asarray(gas(radius, z) * density * np.clip(1.0 - np.abs(z) / HALO_HEIGHT, 0.0, None))


def line_of_sight(
    density: Callable[[Floats, Floats], Floats],
    longitude: Floats,
    latitude: Floats,
    *,
    n_steps: int = 400,
) -> Floats:
    """Integral of an axisymmetric density along lines of sight from the Sun, in (unit of density) x kpc.

    density             : function of (R, z) in kpc, any shape.
    longitude, latitude : Galactic, rad, shapes that broadcast.    Returns their common shape.
    Midpoint rule in u = (s / s_max)^(2/3), s_max the smaller of 25 kpc and the way out of the 4 kpc halo: steps grow
    from 1 pc at the Sun to 0.06 kpc at the Galactic Centre, enough for structure wider than about 0.1 kpc.
    """
    longitude, latitude = np.broadcast_arrays(longitude, latitude)
    u = (np.arange(n_steps) + 0.5) / n_steps
    with np.errstate(divide="ignore"):
        length = np.minimum(LINE_OF_SIGHT_END, HALO_HEIGHT / np.abs(np.sin(latitude)))
    s = length[..., None] * u**1.5
    planar = s * np.cos(latitude)[..., None]
    radius = np.sqrt(np.maximum(R_SUN**2 + planar**2 - 2 * R_SUN * planar * np.cos(longitude)[..., None], 0.0))
    values = density(radius, s * np.sin(latitude)[..., None])
    return np.asarray((values @ (1.5 * np.sqrt(u) / n_steps)) * length)
