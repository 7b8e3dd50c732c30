"""Kernels, offsets and rings on the sphere against direct integrals, plain loops and draws."""

from functools import lru_cache

import healpy as hp
import numpy as np
import pytest
from scipy.special import eval_legendre
from scipy.stats import chisquare, kstest

from nuanalysis import sphere

KAPPAS = (1e-9, 1e-3, 1.0, 30.0, 1e3, 1e6)
POLE = np.pi / 2


def directions(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 2 * np.pi, n), np.arcsin(rng.uniform(-1, 1, n))


gauss_legendre = lru_cache(np.polynomial.legendre.leggauss)


def kernel_integral(kappa, psi):
    """Integral of the kernel within psi, by Gauss-Legendre in 1 - cos, with the scale of the kernel as the step."""
    nodes, weights = gauss_legendre(300)
    top = min(1.0 - np.cos(psi), 60.0 / kappa)
    t = 0.5 * top * (nodes + 1.0)
    return 2 * np.pi * 0.5 * top * (weights * sphere.vmf_density(1.0 - t, np.array(kappa))).sum()


@pytest.mark.parametrize("kappa", KAPPAS)
def test_the_kernel_integrates_to_one_over_the_sphere(kappa):
    assert kernel_integral(kappa, np.pi) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("kappa", [1e-3, 1.0, 30.0, 1e3])
def test_the_cumulative_is_the_integral_of_the_kernel(kappa):
    for psi in (0.01, 0.3, 1.5, 3.0):
        assert float(sphere.vmf_cumulative(np.array(psi), np.array(kappa))) == pytest.approx(
            kernel_integral(kappa, psi), abs=1e-9
        )
    assert float(sphere.vmf_cumulative(np.array(np.pi), np.array(kappa))) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize(
    ("dec", "source"), [(0.3, 0.3), (0.3, 0.31), (-1.2, 1.0), (POLE, 0.2), (POLE, POLE), (-POLE, POLE), (1.5707, 1.57)]
)
def test_the_mean_over_right_ascension_is_the_numerical_one_at_any_declination(kappa, dec, source):
    ra = np.linspace(-np.pi, np.pi, 40_001)[:-1]
    # Most points near the source, where a narrow kernel lives: substitute ra = pi t^3.
    t = ra / np.pi
    values = sphere.vmf_density(sphere.cos_separation(np.pi * t**3, dec, 0.0, source), np.array(kappa))
    numerical = float((values * 3 * t**2).mean())
    exact = float(sphere.vmf_ra_mean(np.array(dec), np.array(source), np.array(kappa)))
    # cos(separation) carries 1e-16, which the kernel multiplies by kappa.
    assert exact == pytest.approx(numerical, rel=1e-7, abs=1e-12 * float(sphere.vmf_norm(np.array(kappa))))


@pytest.mark.parametrize("kappa", [0.01, 1.0, 50.0, 3000.0])
def test_the_window_is_the_legendre_integral_of_the_kernel(kappa):
    nodes, weights = gauss_legendre(600)
    density = sphere.vmf_density(nodes, np.array(kappa))
    window = sphere.vmf_window(200, kappa)
    for ell in (0, 1, 2, 7, 40, 200):
        integral = 2 * np.pi * (weights * density * eval_legendre(ell, nodes)).sum()
        assert window[ell] == pytest.approx(integral, abs=1e-9)


def test_a_smoothed_point_is_the_kernel():
    nside, kappa = 64, 120.0
    ra, dec = sphere.pixel_directions(nside)
    here = 20_000
    point = np.zeros(12 * nside**2)
    point[here] = 1.0 / hp.nside2pixarea(nside)
    found = sphere.smoothed(sphere.harmonics(point, 3 * nside - 1), nside, np.array([kappa]))[0]
    wanted = sphere.vmf_density(sphere.cos_separation(ra, dec, ra[here], dec[here]), np.array(kappa))
    assert np.abs(found - wanted).max() < 2e-3 * wanted.max()
    assert found.sum() * hp.nside2pixarea(nside) == pytest.approx(1.0, abs=1e-3)
    assert found.min() >= 0.0


def test_an_offset_direction_is_as_far_away_as_asked():
    ra, dec = directions(20_000)
    dec[:3], dec[3:6] = POLE, -POLE
    rng = np.random.default_rng(1)
    psi, angle = rng.uniform(0, np.pi, len(ra)), rng.uniform(0, 2 * np.pi, len(ra))
    ra2, dec2 = sphere.offset(ra, dec, psi, angle)
    assert np.abs(np.arccos(np.clip(sphere.cos_separation(ra, dec, ra2, dec2), -1, 1)) - psi).max() < 1e-7
    assert ((ra2 >= 0) & (ra2 <= 2 * np.pi) & (np.abs(dec2) <= POLE)).all()


def test_position_angles_run_from_north_to_east():
    north = sphere.offset(np.array([1.0]), np.array([0.2]), np.array([0.1]), np.array([0.0]))
    east = sphere.offset(np.array([0.0]), np.array([0.0]), np.array([0.5]), np.array([np.pi / 2]))
    assert np.allclose(np.ravel(north), [1.0, 0.3])
    assert np.allclose(np.ravel(east), [0.5, 0.0])


@pytest.mark.parametrize("kappa", [1e-3, 1.0, 30.0, 1e5])
def test_drawn_angles_follow_the_cumulative(kappa):
    psi = sphere.vmf_draw(np.full(20_000, kappa), np.random.default_rng(7))
    assert kstest(psi, lambda p: sphere.vmf_cumulative(p, np.array(kappa))).pvalue > 0.001


@pytest.mark.parametrize("nside", [1, 8, 64])
def test_means_and_maxima_over_rings_are_those_of_a_plain_loop(nside):
    grid = sphere.rings(nside)
    values = np.random.default_rng(2).normal(size=(2, 12 * nside**2))
    ring_of_pixel = hp.pix2ring(nside, np.arange(12 * nside**2)) - 1
    mean, most = grid.mean(values), grid.maximum(values)
    for row in range(2):
        for ring in range(4 * nside - 1):
            held = values[row][ring_of_pixel == ring]
            assert mean[row, ring] == pytest.approx(held.mean(), abs=1e-12)
            assert most[row, ring] == held.max()


@pytest.mark.parametrize("nside", [1, 8, 64])
def test_a_pixel_centre_lies_in_its_own_ring_and_column(nside):
    grid = sphere.rings(nside)
    ra, dec = sphere.pixel_directions(nside)
    ring = grid.of(dec)
    assert np.array_equal(ring, hp.pix2ring(nside, np.arange(len(ra))) - 1)
    assert np.array_equal(grid.start[ring] + grid.column(ra, ring), np.arange(len(ra)))


def test_any_direction_is_near_the_centre_of_the_ring_pixel_it_is_given():
    nside = 64
    grid = sphere.rings(nside)
    ra, dec = directions(100_000, seed=3)
    ring = grid.of(dec)
    column = grid.column(ra, ring)
    assert ((column >= 0) & (column < grid.count[ring])).all()
    centre_ra, centre_dec = sphere.pixel_directions(nside)
    pixel = grid.start[ring] + column
    away = np.arccos(np.clip(sphere.cos_separation(ra, dec, centre_ra[pixel], centre_dec[pixel]), -1, 1))
    assert away.max() < 1.0 * hp.nside2resol(nside)
    assert away.mean() < 0.45 * hp.nside2resol(nside)  # a square's mean distance from its centre is 0.38 sides


def test_isotropic_directions_fill_rings_by_their_number_of_pixels_and_columns_evenly():
    grid = sphere.rings(8)
    ra, dec = directions(200_000, seed=4)
    ring = grid.of(dec)
    counts = np.bincount(grid.start[ring] + grid.column(ra, ring), minlength=12 * 64)
    assert chisquare(counts).pvalue > 0.001


def test_the_poles_belong_to_the_outer_rings():
    grid = sphere.rings(16)
    assert np.array_equal(grid.of(np.array([POLE, -POLE])), [0, 4 * 16 - 2])


def test_regrading_keeps_the_integral():
    density = np.random.default_rng(5).uniform(size=12 * 32**2)
    for nside in (16, 32, 64):
        assert sphere.regrade(density, nside).mean() == pytest.approx(density.mean(), rel=1e-12)
