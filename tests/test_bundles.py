"""Bundles against published fluxes, another formula, closed forms, and their own biased sampling."""

import numpy as np
import pytest

from nuanalysis.detector import _bundles as bundles
from nuanalysis.detector._volume import Cylinder, crossing, enter

ONE = np.ones(1)


def directions(rng, n, low=0.087, high=1.0):
    cosine, azimuth = rng.uniform(low, high, n), rng.uniform(0.0, 2 * np.pi, n)
    sine = np.sqrt(1 - cosine**2)
    return cosine, -np.column_stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine])


def vertical_muons(depth):
    h, m = bundles.water_depth(depth), np.arange(1.0, 201.0)
    return float(bundles.single_flux(h, 1.0) * (m * m ** -bundles.steepness(h, 1.0)).sum())


@pytest.mark.parametrize(("depth", "flux"), [(1450.0, 3.4e-3), (1950.0, 1.40e-3), (2450.0, 6.5e-4)])
def test_vertical_muons_at_three_depths(depth, flux):
    assert vertical_muons(depth) == pytest.approx(flux, rel=0.015)


def test_vertical_muons_are_within_a_tenth_of_the_formula_of_gaisser():
    """0.14 E^-2.7 (1 / (1 + 1.1 E/115) + 0.054 / (1 + 1.1 E/850)) per cm2 s sr GeV above the mean loss to 1.95 km.

    1.51e-3 with 1,950 m of ice, 7 % more than ours.  The upper 200 m are snow: with them it is 1.57e-3, 12 % more.
    """
    a, b = 0.259 * 0.9216, 3.63e-4 * 0.9216
    e = np.geomspace(a / b * (np.exp(b * 1950.0) - 1.0), 1e7, 20_001)
    flux = 0.14e4 * e**-2.7 * (1 / (1 + 1.1 * e / 115) + 0.054 / (1 + 1.1 * e / 850))
    assert vertical_muons(1950.0) == pytest.approx(np.trapezoid(flux, e), rel=0.10)


def test_numbers_of_muons():
    rng, n = np.random.default_rng(1), 60_000
    h = np.full(n, bundles.water_depth(1950.0))
    m, one = bundles.multiplicities(h, np.ones(n), rng.random(n))
    assert (one == 1.0).all()
    assert (m >= 2).mean() == pytest.approx(0.160, abs=0.006)
    assert (m >= 10).mean() == pytest.approx(0.0039, abs=0.0010)
    many, weight = bundles.multiplicities(h, np.ones(n), rng.random(n), rich=0.8)
    for least, gain in ((1, 0.5), (2, 1.0), (10, 5.0)):
        chosen = np.where(many >= least, weight, 0.0)
        assert chosen.mean() == pytest.approx(
            (m >= least).mean(), abs=4 * np.sqrt((m >= least).mean() / n) + 1e-2 / least
        )
        assert bundles.effective_number(chosen) > gain * (m >= least).sum()
    flux = bundles.bundle_flux(h[:1], ONE)
    assert flux * (m == 1).mean() == pytest.approx(bundles.single_flux(h[:1], ONE), rel=0.005)


def test_energies_of_vertical_single_muons():
    rng, n = np.random.default_rng(2), 400_000
    h = np.full(n, bundles.water_depth(1950.0))
    law = bundles.energy_law(h, np.ones(n), np.ones(n, int), np.zeros(n))
    found = np.quantile(law.draw(rng.random(n)), [0.16, 0.50, 0.84, 0.99, 0.999])
    assert found == pytest.approx([25.0, 104.0, 338.0, 1515.0, 3880.0], rel=0.03)


@pytest.mark.parametrize(("muons", "away"), [(1, 0.0), (2, 3.0), (4, 30.0), (9, 200.0)])
def test_energies_follow_the_law_as_it_is_written(muons, away):
    """(E + eps (1 - exp(-0.42 h/c)))^-g at h = 1.8, c = 0.7, E in TeV; g and eps of equations 12 to 16."""
    h, c, n = 1.8, 0.7, min(muons, 4)
    theta = np.arccos(c)
    if muons == 1:
        g, eps = 3.961 - 0.232 * np.log(h), 0.0304 * np.exp(0.359 * h) / c - 0.0077 * h + 0.659
    else:
        q = 0.0543 * h - 0.365
        g = (0.0033 * h + 0.0079) * away
        g += ((0.0407 * n + 0.0283) * h - 0.312 * n + 6.124) * (1 - np.exp(q * away) / 2)
        eps = (0.488 - 0.069 * h) * np.exp(-0.117 * away) * theta + (3.955 - 0.398 * h) * away ** (0.012 * h - 0.35)
    e = np.geomspace(1e-3, 500.0, 100_001)
    shape = (e + eps * (1 - np.exp(-0.42 * h / c))) ** -g
    law = bundles.energy_law(h * ONE, c * ONE, np.array([muons]), away * ONE)
    for at in (0.01, 0.1, 1.0, 10.0):
        expected = np.interp(at, e, shape) / np.trapezoid(shape, e) / 1e3
        assert law.density(1e3 * at * ONE)[0] == pytest.approx(expected, rel=1e-3)
    half = law.draw(0.5 * ONE)[0] / 1e3
    assert np.trapezoid(shape[e <= half], e[e <= half]) / np.trapezoid(shape, e) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(("muons", "c"), [(2, 1.0), (4, 0.5)])
def test_distances_to_the_axis(muons, c):
    """Density r / (r + R0)^alpha up to 250 m, with the mean R of the paper for the law without an end."""
    h, n = 1.8, 100_000
    scale, alpha = bundles.spread(h * ONE, c * ONE, np.array([muons]))
    k = min(muons, 4)
    mean = (-1.786 * k + 28.26) * h**-1.06 / (np.exp(10.4 * (np.arccos(c) - 1.3)) + 1)
    assert scale[0] * 2 / (alpha[0] - 3) == pytest.approx(mean)
    r = np.linspace(0.0, 250.0, 100_001)
    shape = r / (r + scale) ** alpha
    u = np.random.default_rng(3).random(n)
    found = bundles.distances(np.full(n, scale[0]), np.full(n, alpha[0]), u)
    rising = np.cumsum(shape) / shape.sum()
    assert np.abs(np.interp(found, r, rising) - u).max() < 1e-3


def test_rate_through_a_cylinder():
    rng, n, cylinder = np.random.default_rng(4), 50_000, Cylinder(564.0, 500.0)
    cosine, direction = directions(rng, n)
    point = enter(cylinder, direction, rng.random((3, n)))
    h = bundles.water_depth(bundles.SURFACE - point[:, 2])
    rate = 2 * np.pi * 0.913 * cylinder.projected(cosine) * bundles.bundle_flux(h, cosine)
    assert rate.mean() == pytest.approx(5400.0, rel=0.01)


@pytest.mark.parametrize("low", [0.087, -1.0])
def test_entries_are_even_over_the_area_that_is_seen(low):
    """Then the mean way through a convex body is its volume over that area, in every direction."""
    rng, n, cylinder = np.random.default_rng(5), 100_000, Cylinder(750.0, 680.0)
    cosine, direction = directions(rng, n, low, low + 0.2)
    point = enter(cylinder, direction, rng.random((3, n)))
    way = crossing(cylinder, point, direction)
    volume = 2 * np.pi * 750.0**2 * 680.0
    assert (way * cylinder.projected(cosine)).mean() == pytest.approx(volume, rel=5e-3)
    out = point + way[:, None] * direction
    assert np.hypot(out[:, 0], out[:, 1]).max() < 750.0 + 1e-6
    assert np.abs(out[:, 2]).max() < 680.0 + 1e-6
    middle = point + 0.5 * way[:, None] * direction  # inside
    assert (np.hypot(middle[:, 0], middle[:, 1]) <= 750.0).all()


def test_biased_energies_give_the_rates_of_the_natural_ones_with_more_hard_muons():
    rng, n, share = np.random.default_rng(6), 100_000, 0.8
    h, c = np.full(n, 1.7), np.full(n, 0.8)
    count, _ = bundles.multiplicities(h, c, rng.random(n))
    start, of = np.concatenate([[0], np.cumsum(count)]), np.repeat(np.arange(n), count)
    scales = bundles.spread(h[of], c[of], count[of])
    hard = np.zeros(len(of), bool)
    hard[(start[:-1] + (rng.random(n) * count).astype(int))[rng.random(n) < share]] = True
    near, nearer = bundles.closer(rng.random(len(of)), hard)
    law = bundles.energy_law(h[of], c[of], count[of], bundles.distances(*scales, near))
    other = bundles.Law(law.shift, np.full(len(of), 1.5))
    energy = np.where(hard, other.draw(rng.random(len(of))), law.draw(rng.random(len(of))))
    weight = bundles.tilted_weights(nearer * other.density(energy) / law.density(energy), start, share)
    law = bundles.energy_law(h[of], c[of], count[of], bundles.distances(*scales, rng.random(len(of))))
    natural = law.draw(rng.random(len(of)))
    assert weight.max() <= 1.0 / (1.0 - share) + 1e-9
    assert weight.mean() == pytest.approx(1.0, abs=4 * weight.std() / np.sqrt(n))
    for least, gain in ((300.0, 0.3), (3000.0, 2.0)):
        plain = np.maximum.reduceat(natural, start[:-1]) > least
        biased = np.where(np.maximum.reduceat(energy, start[:-1]) > least, weight, 0.0)
        error = np.hypot(np.sqrt(plain.mean() / n), biased.std() / np.sqrt(n))
        assert biased.mean() == pytest.approx(plain.mean(), abs=4 * error)
        assert bundles.effective_number(biased) > gain * plain.sum()


def test_effective_numbers():
    assert bundles.effective_number(np.full(7, 0.3)) == pytest.approx(7.0)
    assert bundles.effective_number(np.array([1.0, 1e-9])) == pytest.approx(1.0)
    assert bundles.effective_number(np.zeros(0)) == 0.0


def test_a_rate_of_few_events_is_a_limit():
    of = np.array([0.5, 2.0, 1.0])
    assert bundles.rate(np.full(12, 0.5), of=of) == bundles.Rate(6.0, pytest.approx(12**0.5 / 2), 12.0, None)
    # Poisson limits at 90 %: 2.303 of none, 3.890 of one, 5.322 of two; times the weight.
    assert bundles.rate(np.zeros(0), of=of).bound == pytest.approx(2.0 * 2.303, rel=1e-3)
    assert bundles.rate(np.array([0.1]), of=of).bound == pytest.approx(0.3890, rel=1e-3)
    assert bundles.rate(np.array([3.0, 3.0]), of=of).bound == pytest.approx(3.0 * 5.322, rel=1e-3)
