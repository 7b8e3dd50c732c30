"""Angles, HEALPix rings and kernels on the sphere.  Arrays in, arrays out; all angles in rad.

The point-spread kernel is the von Mises-Fisher density throughout: it is normalised on the sphere at
any width.  The plane Gaussian that IceCube 2023 uses below 7 deg differs from it by less than
0.3 per cent of the peak there (docs/decisions/0004-point-spread.md).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import scipy
from nuanalysis.schema import Floats, Ints

R68 = float(np.sqrt(-2.0 * np.log(1.0 - 0.68)))  # radius that holds 68 per cent of a round Gaussian, in sigma


def vmf_norm(kappa: Floats) -> Floats:
    """Density of the von Mises-Fisher kernel at its centre, sr^-1; any shape, kappa > 0."""
    return np.asarray(kappa / (-2.0 * np.pi * np.expm1(-2.0 * kappa)))


def vmf_density(cos_psi: Floats, kappa: Floats) -> Floats:
    """Density per sr at separation psi; shapes broadcast."""
    return np.asarray(vmf_norm(kappa) * np.exp(kappa * (cos_psi - 1.0)))


def vmf_cumulative(psi: Floats, kappa: Floats) -> Floats:
    """Probability to lie within psi of the centre; shapes broadcast."""
    return np.asarray(np.expm1(kappa * (np.cos(psi) - 1.0)) / np.expm1(-2.0 * kappa))


def vmf_ra_mean(declination: Floats, source_declination: Floats, kappa: Floats) -> Floats:
    """Density per sr averaged over right ascension, exact at any declination; shapes broadcast.

    The S~ of IceCube 2023 for a point source: (1/2 pi) times the integral of the kernel over right ascension.
    """
    z = kappa * np.cos(declination) * np.cos(source_declination)
    return np.asarray(
        vmf_norm(kappa) * np.exp(kappa * (np.cos(declination - source_declination) - 1.0)) * scipy.special.i0e(z)
    )


def vmf_draw(kappa: Floats, rng: np.random.Generator) -> Floats:
    """Opening angles drawn from the kernel; kappa (event,) > 0, returns (event,) rad."""
    u = rng.random(np.shape(kappa))
    cos_psi = 1.0 + np.log1p(u * np.expm1(-2.0 * kappa)) / kappa
    return np.asarray(np.arccos(np.clip(cos_psi, -1.0, 1.0)))


def vmf_window(lmax: int, kappa: float) -> Floats:
    """Legendre coefficients I_{l+1/2}(kappa) / I_{1/2}(kappa) for l = 0..lmax, shape (lmax + 1,)."""
    return np.asarray(
        np.nan_to_num(scipy.special.ive(np.arange(lmax + 1) + 0.5, kappa) / scipy.special.ive(0.5, kappa))
    )


def cos_separation(ra1: Floats | float, dec1: Floats | float, ra2: Floats, dec2: Floats) -> Floats:
    """Cosine of the angle between directions, accurate at small angles too; shapes broadcast."""
    hav = np.sin(0.5 * (dec1 - dec2)) ** 2 + np.cos(dec1) * np.cos(dec2) * np.sin(0.5 * (ra1 - ra2)) ** 2
    return np.asarray(1.0 - 2.0 * hav)


def box_radius(sides: tuple[float, float, float, float], declination: float) -> float:
    """Radius of the circle that stands for a box, rad: sqrt(mean(ra errors) cos(dec) mean(dec errors)).

    sides : errors of right ascension (as such) to either side, of declination to either side, rad.
    As GCN notices of IceCube have it since May 2026 (change 3599 of its site).
    """
    across, along = 0.5 * (sides[0] + sides[1]) * np.cos(declination), 0.5 * (sides[2] + sides[3])
    return float(np.sqrt(across * along))


def offset(ra: Floats, dec: Floats, psi: Floats, position_angle: Floats) -> tuple[Floats, Floats]:
    """Directions at angle psi and position angle (from north to east) of (ra, dec); all (event,) rad."""
    sin_dec = np.sin(dec) * np.cos(psi) + np.cos(dec) * np.sin(psi) * np.cos(position_angle)
    east = np.sin(psi) * np.sin(position_angle)
    north = np.cos(dec) * np.cos(psi) - np.sin(dec) * np.sin(psi) * np.cos(position_angle)
    # arctan2 keeps full precision near the poles, where arcsin loses half the digits.
    return np.mod(ra + np.arctan2(east, north), 2 * np.pi), np.arctan2(sin_dec, np.hypot(east, north))


@dataclass(frozen=True, slots=True, eq=False)
class Rings:
    """The iso-latitude rings of a HEALPix grid in RING order: first pixel and number of pixels of each.

    shift : 0.5 where the first pixel of the ring is centred at right ascension 0, else 0.
    Pixels are diamonds, so which ring's pixel holds a point depends on its right ascension too.  ``of`` and ``column``
    do not: they cut the sphere into bands of declination, and each band into equal steps of right ascension.
    """

    nside: int
    start: Ints
    count: Ints
    shift: Floats

    def of(self, declination: Floats) -> Ints:
        """Ring number (from the north) of each declination, shape (event,): bands with the area of their pixels."""
        north = 0.5 * (1.0 - np.sin(declination)) * (12 * self.nside**2)
        return np.asarray(np.searchsorted(self.start, north, side="right") - 1, dtype=np.int64)

    def column(self, ra: Floats, ring: Ints) -> Ints:
        """Number of the pixel on the ring whose step of right ascension holds each direction, shape (event,)."""
        return ring_column(ra, self.count[ring], self.shift[ring])

    def mean(self, maps: NDArray[np.floating]) -> Floats:
        """Mean over each ring; maps (..., pixel) -> (..., ring)."""
        return np.asarray(np.add.reduceat(maps, self.start, axis=-1, dtype=np.float64) / self.count)

    def maximum(self, maps: NDArray[np.floating]) -> Floats:
        """Largest value on each ring; maps (..., pixel) -> (..., ring)."""
        return np.asarray(np.maximum.reduceat(maps, self.start, axis=-1))


def ring_column(ra: Floats, count: NDArray[np.number], shift: Floats) -> Ints:
    """Number of the step of right ascension that holds each direction on rings of ``count`` steps; shapes broadcast."""
    return np.asarray(np.floor(ra / (2 * np.pi) * count + shift) % count, dtype=np.int64)


def rings(nside: int) -> Rings:
    """Return the rings of a HEALPix grid."""
    start, count, _, _, half_step = hp.ringinfo(nside, np.arange(1, 4 * nside))
    shift = np.where(half_step, 0.0, 0.5)  # HEALPix's "shifted" rings have their first centre half a step from 0
    return Rings(nside, np.asarray(start, dtype=np.int64), np.asarray(count, dtype=np.int64), shift)


def pixel_directions(nside: int) -> tuple[Floats, Floats]:
    """Right ascension and declination of the pixel centres, (pixel,) each, rad."""
    theta, phi = hp.pix2ang(nside, np.arange(12 * nside**2))
    return np.asarray(phi), np.asarray(np.pi / 2 - theta)


def regrade(density: Floats, nside: int) -> Floats:
    """A density map at another resolution; the integral over the sphere is kept."""
    return np.asarray(hp.ud_grade(density, nside)) if len(density) != 12 * nside**2 else density


def harmonics(density: Floats, lmax: int) -> NDArray[np.complex128]:
    """Spherical-harmonic coefficients of a map, (pixel,) -> (coefficient,)."""
    return np.asarray(hp.map2alm(density, lmax=lmax, iter=3))


def point_harmonics(ra: Floats, dec: Floats, weight: Floats, extension: Floats, lmax: int) -> NDArray[np.complex128]:
    """Coefficients of a sum of point sources of the given weights, each blurred by its extension; (source,) in.

    Each source is spread over the four nearest centres of a grid with pixels of an eighth of the wavelength at lmax
    or less, so that its position is kept.  Extensions are rounded to 5 per cent.
    """
    nside = int(2 ** np.ceil(np.log2(max(lmax, 64) * 8 / 6)))
    step = np.where(extension > 0, np.round(np.log(np.maximum(extension, 1e-9)) / 0.1), -np.inf)
    total = np.zeros(hp.Alm.getsize(lmax), dtype=np.complex128)
    for width in np.unique(step):
        mine = step == width
        pixel, share = hp.get_interp_weights(nside, np.pi / 2 - dec[mine], ra[mine])
        points = np.bincount(pixel.ravel(), weights=(share * weight[mine]).ravel(), minlength=12 * nside**2)
        alm = hp.map2alm(points * (12 * nside**2) / (4 * np.pi), lmax=lmax, iter=1)
        total += hp.almxfl(alm, vmf_window(lmax, float(np.exp(-0.2 * width)))) if np.isfinite(width) else alm
    return total


def smoothed(alm: NDArray[np.complex128], nside: int, kappas: Floats, weight: Floats | None = None) -> Floats:
    """A map from its coefficients, convolved with a von Mises-Fisher kernel of each concentration, or a sum of such.

    kappas (class,), or (class, part) with the weights of the parts, (part,); returns (class, pixel), never below zero.
    Kernels narrower than a pixel leave the map as it is, to the resolution of the grid.
    """
    lmax, parts = hp.Alm.getlmax(len(alm)), np.ones(1) if weight is None else weight
    out = np.empty((len(kappas), 12 * nside**2))
    for row, concentrations in zip(out, kappas.reshape(-1, len(parts)), strict=True):
        window = sum(w * vmf_window(lmax, float(kappa)) for w, kappa in zip(parts, concentrations, strict=True))
        row[:] = hp.alm2map(hp.almxfl(alm, window), nside, lmax=lmax)
    # Band-limiting rings where the kernel is as narrow as a pixel; a density cannot be negative.
    return np.asarray(np.maximum(out, 0.0))
