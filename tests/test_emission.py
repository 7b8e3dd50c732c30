"""Light of tracks and cascades against published numbers, the Frank-Tamm formula and numerical integrals."""

import numpy as np
import pytest

from nuanalysis.detector import (
    ACCEPTED_PER_METRE,
    SPEED_OF_LIGHT,
    Cascades,
    cascade_light,
    cascade_photons,
    em_length,
    emission_density,
    frank_tamm,
    hadronic_fraction,
    light_spread,
    muon_secondaries,
    shower_maximum,
    shower_shape,
)
from nuanalysis.detector import _photon_kernels as walk
from nuanalysis.detector._emission import _RADIATION_LENGTH
from nuanalysis.errors import InputError


def cascades(energy, hadronic=False):
    energy = np.asarray(energy, dtype=float)
    n = len(energy)
    direction = np.tile([0.0, 0.6, -0.8], (n, 1))
    return Cascades(energy, np.full(n, hadronic), np.full((n, 3), 10.0), direction, np.full(n, 100.0))


def test_photons_per_metre_of_bare_track():
    assert frank_tamm(300.0, 600.0, 1.32) == pytest.approx(32_560.0, abs=5.0)
    assert frank_tamm(300.0, 600.0, 1.32) == pytest.approx(  # one colour after the other
        sum(frank_tamm(low, low + 100.0, 1.32) for low in (300.0, 400.0, 500.0))
    )
    assert ACCEPTED_PER_METRE / frank_tamm(300.0, 600.0, 1.32) == pytest.approx(0.075, abs=5e-4)


def test_light_of_cascades_and_muons_is_that_of_the_papers():
    assert float(em_length(1.0)) == pytest.approx(5.254, abs=5e-4)
    assert cascade_photons(np.ones(1), np.zeros(1, bool), np.zeros(1))[0] == pytest.approx(12_870.0, abs=5.0)
    decades = 10.0 ** np.arange(1, 7)
    assert hadronic_fraction(decades).round(2).tolist() == [0.64, 0.75, 0.83, 0.88, 0.92, 0.94]
    assert 100 * light_spread(decades, True) == pytest.approx([31.0, 12.0, 7.0, 4.7, 3.5, 2.7], abs=0.5)
    assert light_spread(100.0, False) * em_length(100.0) == pytest.approx(0.58)
    assert muon_secondaries(1e3) == pytest.approx(0.33, abs=0.005)


def test_light_of_cascades_scatters_as_published_and_never_beyond_an_electromagnetic_one():
    normal = np.random.default_rng(1).normal(size=20_000)
    for hadronic, energy in ((False, 10.0), (True, 1e4)):
        photons = cascade_photons(np.full(20_000, energy), np.full(20_000, hadronic), normal)
        mean = 12_871.0 * energy * (float(hadronic_fraction(energy)) if hadronic else 1.0)
        assert photons.mean() == pytest.approx(mean, rel=2e-3)
        assert photons.std() / mean == pytest.approx(float(light_spread(energy, hadronic)), rel=0.02)
    wild = cascade_photons(np.full(3, 3.0), np.ones(3, bool), np.array([-9.0, 0.0, 9.0]))
    assert wild[0] == pytest.approx(0.1 * wild[1])
    assert wild[2] == pytest.approx(3.0 * 12_871.0, rel=1e-3)


@pytest.mark.parametrize(
    ("hadronic", "energy", "maximum", "mean", "rms"),
    [
        (False, 1e3, 3.3, 3.9, 1.6),
        (False, 1e4, 4.2, 4.8, 1.7),
        (False, 1e5, 5.1, 5.7, 1.9),
        (False, 1e6, 6.0, 6.6, 2.0),
        (True, 1e3, 4.0, 5.2, 2.5),
        (True, 1e6, 7.4, 8.5, 3.1),
    ],
)
def test_profiles_have_the_published_maximum_mean_and_width(hadronic, energy, maximum, mean, rms):
    a, b = shower_shape(energy, hadronic)
    t = np.linspace(0.0, 120.0, 200_001)[1:]
    light = t ** (a - 1.0) * np.exp(-b * t)
    s = t * _RADIATION_LENGTH
    middle = np.average(s, weights=light)
    assert s[light.argmax()] == pytest.approx(float(shower_maximum(energy, hadronic)), rel=1e-3)
    assert s[light.argmax()] == pytest.approx(maximum, abs=0.05)
    assert middle == pytest.approx(mean, abs=0.06)
    assert np.sqrt(np.average((s - middle) ** 2, weights=light)) == pytest.approx(rms, abs=0.06)


def test_sources_of_a_cascade_keep_its_light_its_mean_place_and_the_speed_of_light():
    of = cascades([1e3, 2e4, 3e5, 9e3])
    sources = cascade_light(of, np.zeros(4))
    assert sources.count.tolist() == [1, 3, 5, 1]
    which = np.repeat(np.arange(4), sources.count)
    photons = np.bincount(which, sources.photons)
    assert photons == pytest.approx(cascade_photons(of.energy, of.hadronic, np.zeros(4)))
    along = ((sources.position - 10.0) * sources.direction).sum(axis=1)
    a, b = shower_shape(of.energy, of.hadronic)
    assert np.bincount(which, along * sources.photons) / photons == pytest.approx(a / b * _RADIATION_LENGTH)
    assert (np.diff(along)[which[1:] == which[:-1]] > 0.0).all()
    assert sources.time - 100.0 == pytest.approx(along / SPEED_OF_LIGHT)


def test_each_source_stands_at_the_mean_of_its_fifth_of_the_light():
    sources = cascade_light(cascades([3e5], hadronic=True), np.zeros(1))
    a, b = shower_shape(3e5, True)
    t = np.sort(np.random.default_rng(2).gamma(float(a), 1.0 / float(b), 500_000)) * _RADIATION_LENGTH
    along = ((sources.position - 10.0) * sources.direction).sum(axis=1)
    assert along == pytest.approx(t.reshape(5, -1).mean(axis=1), rel=4e-3)


def test_cascades_without_energy_or_of_odd_columns_are_refused():
    with pytest.raises(InputError, match="above 0 GeV"):
        cascade_light(cascades([1.0, 0.0]), np.zeros(2))
    with pytest.raises(InputError, match="as many"):
        cascade_light(cascades([1.0, 2.0]), np.zeros(3))
    assert len(cascade_light(cascades([]), np.zeros(0)).photons) == 0


def test_photons_of_a_cascade_are_drawn_a_little_broader_than_the_fitted_density():
    """Two published laws.  At n = 1.33 their mean cosines are 0.624 (drawn) and 0.657; here n is 1.3194."""
    u = np.random.default_rng(3).random((2, 100_000))
    drawn = np.array([walk.emitted_cosine(False, *one) for one in u.T])
    edge = np.linspace(-1.0, 1.0, 400_001)
    cosine = 0.5 * (edge[1:] + edge[:-1])
    density = emission_density(cosine) * 2.0 * np.pi
    assert density.mean() * 2.0 == pytest.approx(1.01, abs=0.005)
    assert np.average(cosine, weights=density) == pytest.approx(0.6616, abs=5e-4)
    # The mean cosine of a cone about an electron is the product of both; that of electrons by quadrature.
    part = (np.arange(100_000) + 0.5) / 100_000 * (1.0 - np.exp(-2.61 * 2.0**0.39))
    electrons = 1.0 - ((-np.log(1.0 - part) / 2.61) ** (1.0 / 0.39)).mean()
    assert drawn.mean() == pytest.approx(electrons / 1.3194, abs=4.0 * drawn.std() / np.sqrt(1e5))
    assert electrons / 1.33 == pytest.approx(0.624, abs=5e-4)
    seen, _ = np.histogram(drawn, bins=20, range=(-1.0, 1.0))
    less = seen / 1e5 - density.reshape(20, -1).mean(axis=1) * 0.1 / 1.01
    assert seen.argmax() == 17  # 0.7 to 0.8, where the Cherenkov cone is: 0.400 of the light, not 0.445
    assert less[17] == pytest.approx(-0.045, abs=0.006)
    assert np.abs(np.delete(less, 17)).max() < 0.01


def test_a_bare_track_shines_on_one_cone():
    assert walk.emitted_cosine(True, 0.3, 0.8) == pytest.approx(1.0 / 1.3194)
