"""The published pi0 map and the built-in pi0-like template: invariants, and the model against exact cases."""

import hashlib

import healpy as hp
import numpy as np
import pytest

from nuanalysis.errors import DataError, InputError
from nuanalysis.sky.templates import BUILT_IN, PUBLISHED, STAND_IN, _milky_way, pi0_like, pi0_published

PI0_FILE = "icecube_gp2023_inputs/MainResult/Fermi-LAT_pi0_map.npy"
SUN_MASS_G, HYDROGEN_G, KPC_CM = 1.98841e33, 1.67353e-24, 3.0856776e21


def integral(density):
    return density.sum() * 4 * np.pi / len(density)


def cosine(one, other):
    return one @ other / np.sqrt((one @ one) * (other @ other))


def galactic(nside):
    theta, phi = hp.Rotator(coord=["C", "G"])(*hp.pix2ang(nside, np.arange(12 * nside**2)))
    return (phi + np.pi) % (2 * np.pi) - np.pi, np.pi / 2 - theta


@pytest.fixture(scope="module")
def like():
    return pi0_like.make_template(64)


@pytest.fixture(scope="module")
def published(mirror):
    return PUBLISHED["pi0"](mirror / PI0_FILE)


# --- the published map -------------------------------------------------------------------------------------------


def flat_map():
    return np.full(12 * 128**2, 1 / (4 * np.pi))


def test_a_map_of_the_right_size_is_taken():
    template = pi0_published.make_template(flat_map(), "abc")
    assert (template.name, template.origin, template.sha256, template.nside) == ("pi0", "published", "abc", 128)
    assert template.spectrum.index == 2.7
    assert not template.density.flags.writeable


def test_damaged_maps_are_refused_with_every_fault():
    with pytest.raises(DataError, match=r"shape \(196607,\)"):
        pi0_published.make_template(flat_map()[1:], "")
    with pytest.raises(DataError, match=r"integrates to 2 "):
        pi0_published.make_template(2 * flat_map(), "")
    damaged = flat_map()
    damaged[3], damaged[5:7] = np.nan, -1.0
    with pytest.raises(DataError, match=r"(?s)1 pixels are NaN.*2 pixels are negative.*integrates to nan"):
        pi0_published.make_template(damaged, "")


def test_a_file_that_is_no_array_is_refused(tmp_path):
    with pytest.raises(DataError, match="data fetch"):
        pi0_published.read_template(tmp_path / "absent.npy")
    (tmp_path / "torn.npy").write_bytes(b"\x93NUMPY\x01\x00")
    with pytest.raises(DataError, match="cannot be read"):
        pi0_published.read_template(tmp_path / "torn.npy")


@pytest.mark.real_data
def test_published_map_integrates_to_one_and_peaks_at_the_galactic_centre(published, mirror):
    assert integral(published.density) == pytest.approx(1.0, abs=1e-6)
    longitude, latitude = (np.degrees(x[published.density.argmax()]) for x in galactic(128))
    assert (longitude, latitude) == pytest.approx((-0.4, 0.0), abs=0.5)
    assert published.sha256 == hashlib.sha256((mirror / PI0_FILE).read_bytes()).hexdigest()


@pytest.mark.real_data
def test_published_map_has_the_published_fractions_in_sin_declination(published):
    sin_dec = np.cos(hp.pix2ang(128, np.arange(12 * 128**2))[0])
    held = np.histogram(sin_dec, [-1, -0.6, -0.2, 0.2, 0.6, 1], weights=published.density)[0] / published.density.sum()
    assert held == pytest.approx([0.2716, 0.1947, 0.1815, 0.1551, 0.1972], abs=1e-3)


@pytest.mark.real_data
def test_pi0_like_resembles_the_published_map(published):
    like = pi0_like.make_template(128)
    smeared = [hp.smoothing(t.density, sigma=np.radians(7), lmax=128) for t in (like, published)]
    assert cosine(like.density, published.density) > 0.92
    assert cosine(*smeared) > 0.97


# --- the built-in template ---------------------------------------------------------------------------------------


def test_plug_ins_bear_the_name_they_are_listed_under(like):
    assert list(BUILT_IN) == [like.name] == list(STAND_IN.values())
    assert list(STAND_IN) == list(PUBLISHED)
    assert like.origin == "built-in"


def test_pi0_like_is_a_density_that_peaks_at_the_galactic_centre(like):
    assert integral(like.density) == pytest.approx(1.0, abs=1e-12)
    assert like.density.min() > 0
    longitude, latitude = (np.degrees(x[like.density.argmax()]) for x in galactic(64))
    assert (longitude, latitude) == pytest.approx((0.0, 0.0), abs=0.6)


def test_pi0_like_has_its_flux_in_the_disk(like):
    longitude, latitude = galactic(64)
    disk = (np.abs(longitude) < np.radians(80)) & (np.abs(latitude) < np.radians(8))
    assert like.density[disk].sum() / like.density.sum() == pytest.approx(0.387, abs=0.01)  # templates.md, section 5


def test_pi0_like_is_symmetric_in_longitude_and_latitude(like):
    longitude, latitude = galactic(64)
    sign = like.density / like.density.sum()
    far = np.abs(latitude) > np.radians(1)
    assert (sign * np.sign(longitude))[far].sum() == pytest.approx(0.0, abs=2e-3)
    assert (sign * np.sign(latitude))[far].sum() == pytest.approx(0.0, abs=2e-3)
    table = pi0_like.tabulate(lambda radius, z: np.exp(-radius - z**2))
    here = [pi0_like.intensity(table, np.array([s * 0.3]), np.array([t * 0.2]))[0] for s in (1, -1) for t in (1, -1)]
    assert len(set(here)) == 1


def test_pi0_like_has_converged_in_its_sub_pixels(like, monkeypatch):
    monkeypatch.setattr(pi0_like, "SUB_NSIDES", ((np.radians(2.0), 1024), (np.radians(10.0), 256), (np.pi, 128)))
    coarser = pi0_like.make_template(64)
    assert coarser.density == pytest.approx(like.density, rel=5e-3)  # twice as fine again: 2e-3
    assert 1 - cosine(coarser.density, like.density) < 1e-6


def test_recipe_hash_tells_resolutions_apart(like):
    assert like.sha256 == pi0_like.recipe_sha256(64) != pi0_like.recipe_sha256(128)
    assert len(like.sha256) == 64


def test_pi0_like_refuses_an_odd_resolution():
    with pytest.raises(InputError, match="nside 100"):
        pi0_like.make_template(100)


def test_the_table_reproduces_the_integral_between_its_nodes():
    rng = np.random.default_rng(1)
    longitude, latitude = rng.uniform(-np.pi, np.pi, 400), np.radians(rng.laplace(0, 3, 400))
    read = pi0_like.intensity(pi0_like.tabulate(), longitude, latitude)
    exact = _milky_way.line_of_sight(_milky_way.emissivity, longitude, latitude, n_steps=1600)
    assert read == pytest.approx(exact, rel=4e-3)


# --- lines of sight ----------------------------------------------------------------------------------------------


def test_line_of_sight_through_a_uniform_ball_is_its_chord():
    ball, angle = 2.0, np.radians([0.0, 5.0, 12.0, 20.0])
    through = _milky_way.line_of_sight(
        lambda radius, z: (radius**2 + z**2 < ball**2).astype(float), angle, np.zeros(4), n_steps=20_000
    )
    offset = _milky_way.R_SUN * np.sin(angle)
    assert through == pytest.approx(2 * np.sqrt(np.clip(ball**2 - offset**2, 0, None)), abs=5e-3)


def test_line_of_sight_at_the_pole_and_away_from_the_centre():
    layer = _milky_way.line_of_sight(lambda _, z: np.exp(-np.abs(z) / 0.1), np.array([0.0]), np.array([-np.pi / 2]))
    assert layer == pytest.approx(0.1, rel=1e-3)
    outwards = _milky_way.line_of_sight(lambda radius, _: radius, np.array([np.pi]), np.array([0.0]))
    assert outwards == pytest.approx(8.5 * 25 + 25**2 / 2, rel=1e-4)


def test_a_small_cell_at_the_galactic_centre_gives_volume_over_distance_squared():
    width = 0.2

    def cell(radius, z):
        return np.exp(-(radius**2 + z**2) / (2 * width**2))

    angle = np.radians(np.linspace(-7, 7, 141))
    seen = _milky_way.line_of_sight(cell, angle[:, None], angle[None, :])
    flux = (seen * np.cos(angle)).sum() * (angle[1] - angle[0]) ** 2
    assert flux == pytest.approx((2 * np.pi * width**2) ** 1.5 / _milky_way.R_SUN**2, rel=2e-3)


# --- gas and cosmic rays -----------------------------------------------------------------------------------------


def mass(midplane, height, *, end, weight=1.0):
    """Solar masses of a Gaussian layer of hydrogen out to a radius of ``end`` kpc."""
    radius = (np.arange(100_000) + 0.5) / 100_000 * end
    column = weight * midplane(radius) * height(radius) * np.sqrt(np.pi / np.log(2))
    return (2 * np.pi * radius * column).sum() * end / 100_000 * KPC_CM**3 * HYDROGEN_G / SUN_MASS_G


def test_gas_masses_are_those_of_the_model():
    atoms = mass(_milky_way.atomic_gas, _milky_way.atomic_height, end=25)
    molecules = mass(_milky_way.molecular_gas, _milky_way.molecular_height, end=25, weight=2)
    centre = mass(_milky_way.molecular_gas, _milky_way.molecular_height, end=0.5, weight=2)
    assert atoms == pytest.approx(7.5e9, rel=0.01)
    assert molecules == pytest.approx(6.4e8, rel=0.01)
    assert centre == pytest.approx(4.4e7, rel=0.02)


def test_gas_adds_atoms_and_twice_the_molecules():
    sun = np.array([8.5])
    assert _milky_way.gas(sun, 0 * sun) == pytest.approx(0.57 + 2 * _milky_way.molecular_gas(sun))
    half = _milky_way.molecular_height(sun)
    assert _milky_way.layer(half, half) == pytest.approx(0.5)


def test_cosmic_rays_follow_the_numerical_solution():
    radius = np.array([1.0, 3.0, 5.0, 8.5, 12.0, 15.0])
    numerical = [1.02, 1.28, 1.35, 1.0, 0.54, 0.27]  # templates.md, section 3, 'const. D, SNR'
    assert _milky_way.cosmic_rays(radius) == pytest.approx(numerical, abs=0.006)
    assert _milky_way.cosmic_rays(np.array([20.0, 25.0])) == pytest.approx(0.0)


def test_supernova_remnants_are_relative_to_the_sun():
    assert _milky_way.supernova_remnants(np.array([8.5, 0.0])) == pytest.approx([1.0, 0.0])
