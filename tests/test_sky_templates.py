"""The published pi0 map and the built-in templates: invariants, exact cases, published figures."""

import hashlib
from functools import cache

import healpy as hp
import numpy as np
import pytest

from nuanalysis.errors import DataError, InputError
from nuanalysis.ingest.galactic_templates import read_gas_map
from nuanalysis.interpret.regions import covered, of_segment
from nuanalysis.sky.galaxy import GAS, sight
from nuanalysis.sky.records import CutOffPowerLaw, PowerLaw
from nuanalysis.sky.templates import (
    BUILT_IN,
    PUBLISHED,
    _milky_way,
    galactic_segments,
    kra_gamma_compact_proxy,
    kra_gamma_like,
    pi0_hybrid,
    pi0_published,
)
from nuanalysis.sky.templates._recipe import parse_recipe

PI0_FILE = "icecube_gp2023_inputs/MainResult/Fermi-LAT_pi0_map.npy"


def integral(density):
    return density.sum() * 4 * np.pi / len(density)


def cosine(one, other):
    return one @ other / np.sqrt((one @ one) * (other @ other))


def galactic(nside):
    theta, phi = hp.Rotator(coord=["C", "G"])(*hp.pix2ang(nside, np.arange(12 * nside**2)))
    return (phi + np.pi) % (2 * np.pi) - np.pi, np.pi / 2 - theta


@cache
def built(text):
    return parse_recipe(text, BUILT_IN).make()


@pytest.fixture(scope="module")
def like():
    return built("pi0-like?nside=64")


@pytest.fixture(scope="module")
def kra():
    return built("kra-gamma-like-5?nside=32")


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


def ring(longitude, latitude, width):
    """Pixels of nside 64 whose centre lies within half of ``width`` of |l| = longitude and |b| = latitude, deg."""
    l, b = galactic(64)  # noqa: E741
    near = (np.abs(np.degrees(np.abs(l)) - longitude), np.abs(np.degrees(np.abs(b)) - latitude))
    return (near[0] < width / 2) & (near[1] < width / 2)


# --- pi0-like ----------------------------------------------------------------------------------------------------


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("gas", "plain", "smeared"),
    [("bronfman-ferriere", 0.92, 0.97), ("nakanishi-sofue", 0.94, 0.97), ("ferriere", 0.91, 0.97)],
)
@pytest.mark.slow
def test_pi0_like_resembles_the_published_map(published, gas, plain, smeared):
    density = built(f"pi0-like?gas={gas}").density
    assert cosine(density, published.density) > plain
    assert cosine(*(hp.smoothing(m, sigma=np.radians(7), lmax=128) for m in (density, published.density))) > smeared


def test_pi0_like_peaks_at_the_galactic_centre(like):
    longitude, latitude = (np.degrees(x[like.density.argmax()]) for x in galactic(64))
    assert (longitude, latitude) == pytest.approx((0.0, 0.0), abs=0.6)
    assert like.density.min() > 0


def test_pi0_like_has_its_flux_in_the_disk(like):
    longitude, latitude = galactic(64)
    disk = (np.abs(longitude) < np.radians(80)) & (np.abs(latitude) < np.radians(8))
    assert like.density[disk].sum() / like.density.sum() == pytest.approx(0.387, abs=0.01)  # templates.md, section 5


def test_pi0_like_is_symmetric_in_longitude_and_latitude(like):
    longitude, latitude = galactic(64)
    share = like.density / like.density.sum()
    far = np.abs(latitude) > np.radians(1)
    assert (share * np.sign(longitude))[far].sum() == pytest.approx(0.0, abs=2e-3)
    assert (share * np.sign(latitude))[far].sum() == pytest.approx(0.0, abs=2e-3)


def test_pi0_like_has_converged_in_its_sub_pixels(like, monkeypatch):
    monkeypatch.setattr(_milky_way, "SUB_NSIDES", ((np.radians(2.0), 1024), (np.radians(10.0), 256), (np.pi, 128)))
    coarser = built("pi0-like?nside=64")
    assert coarser.density == pytest.approx(like.density, rel=5e-3)  # twice as fine again: 2e-3
    assert 1 - cosine(coarser.density, like.density) < 1e-6


def test_pixels_hold_what_the_grid_of_lines_integrates_to():
    lines = sight.trace(GAS["bronfman-ferriere"], halo_height=4.0)
    values = lines.columns.sum(axis=1)[:, None]

    def here(longitude, latitude):
        return sight.read(lines, values, longitude, latitude)[:, 0]

    means = _milky_way.averages(here, 16)
    assert integral(means) == pytest.approx(sight.sky_integral(lines, values)[0], rel=2e-3)
    assert _milky_way.maps(lines, values, 16)[0] == pytest.approx(means / integral(means), rel=1e-9)


@pytest.mark.slow
def test_pi0_like_has_a_power_law_or_the_physical_spectrum_and_flux(like):
    assert (like.spectrum, like.flux) == (PowerLaw(2.7), 0.0)
    physical = built("pi0-like?nside=16&spectrum=physical&yields=aafrag")
    assert physical.flux / 1e-12 == pytest.approx(6.5, rel=0.03)  # templates.md, section 5
    at_1_tev, at_1_pev = (physical.spectrum.shape(np.array([at]))[0] for at in (3.0, 6.0))
    assert at_1_tev * 1e-4 == pytest.approx(149 / 6.5, rel=0.03)
    assert at_1_pev * 1e2 == pytest.approx(0.41 / 6.5, rel=0.03)
    low, high = 1.05 * 0.97, 1.47 * 1.03  # times the extrapolated gamma-ray model, 4.40e-12 E^-2.7, at 100 GeV, 100 TeV
    over = physical.flux * np.array([physical.spectrum.shape(np.array([2.0]))[0] * 10.0 ** (-2.7 * 3), 1.0]) / 4.40e-12
    assert low < over[0] < over[1] < high


@pytest.mark.parametrize(
    "text",
    [
        "pi0-like?index=2.7000001", "pi0-like?halo_height=3.14159265358979", "galactic-plane-box?l_min=0.1234567",
        "fermi-bubbles?cutoff=1000000", "fermi-bubbles?cutoff=1e+06&nside=64", "fermi-bubbles?cutoff=1.5e-07",
    ],
)  # fmt: skip
def test_the_name_of_a_template_is_read_back_as_it(text):
    found = parse_recipe(text, BUILT_IN)
    assert parse_recipe(found.name, BUILT_IN) == found
    assert "+" not in found.name


@pytest.mark.parametrize("name", ["pi0-like", "isotropic", "galactic-plane-box"])
@pytest.mark.parametrize("index", ["0.9", "4.1"])
def test_indices_that_no_fit_holds_are_refused(name, index):
    with pytest.raises(InputError, match=f"index is {index}; expected 1 to 4"):
        parse_recipe(f"{name}?index={index}", BUILT_IN)


@pytest.mark.slow
def test_physical_flux_over_the_extrapolated_gamma_rays_with_both_yields():
    # As the docstring of pi0_like.make has it.
    for yields, expected in (("kelner", 1.60), ("aafrag", 1.42)):
        found = built(f"pi0-like?nside=16&spectrum=physical&yields={yields}").flux
        assert found / 4.53e-12 == pytest.approx(expected, abs=0.006)


@pytest.mark.slow
def test_pi0_like_bends_as_asked(like):
    l, b = galactic(64)  # noqa: E741
    far = (np.abs(b) > np.radians(10)) & (np.abs(b) < np.radians(50)) & (np.abs(l) > np.radians(10))
    bent = built("pi0-like?nside=64&longitude_scale=30&latitude_scale=50").density
    ratio = bent / like.density * np.exp(np.degrees(np.abs(l)) / 30 + np.degrees(np.abs(b)) / 50)
    assert ratio[far] == pytest.approx(np.median(ratio[far]), rel=0.01)  # it bends within a pixel, too
    inner, outer = ring(10, 0, 6), ring(170, 0, 6)
    steeper = built("pi0-like?nside=64&radial_index=-1&index=2.5")
    contrast = [density[inner].mean() / density[outer].mean() for density in (like.density, steeper.density)]
    assert 1.7 < contrast[1] / contrast[0] < 5.0
    assert steeper.spectrum == PowerLaw(2.5)


# --- kra-gamma-like ----------------------------------------------------------------------------------------------


def test_kra_gamma_like_has_four_maps_per_decade_that_grow_sharper(kra):
    assert kra.log10_energy == pytest.approx(np.linspace(2, 7, 21))
    l, b = galactic(32)  # noqa: E741
    inner = (np.abs(l) < np.radians(30)) & (np.abs(b) < np.radians(4))
    share = kra.maps[:, inner].sum(axis=1) / kra.maps.sum(axis=1)
    assert np.all(np.diff(share) > 0)
    assert share[[4, 12]] == pytest.approx([0.31, 0.41], abs=0.02)  # templates.md; edges cut pixels


def test_kra_gamma_like_cut_offs_differ_only_above_them(kra):
    five, fifty = kra, built("kra-gamma-like-50?nside=32")
    assert 0.55 * five.flux == pytest.approx(0.37 * fifty.flux, rel=0.02, abs=0)  # IceCube's two best fits
    assert five.maps[0] == pytest.approx(fifty.maps[0], rel=1e-3)
    at_1_tev = [t.flux * t.spectrum.shape(np.array([3.0]))[0] for t in (five, fifty)]
    assert at_1_tev[0] == pytest.approx(at_1_tev[1], rel=0.02, abs=0)


@pytest.mark.parametrize(
    ("cutoff", "wanted"), [(5, {5.0: 2.88e-11}), (50, {4.0: 9.592e-11, 5.0: 4.176e-11})], ids=["5", "50"]
)
@pytest.mark.slow
def test_published_spectrum_gives_the_published_flux_of_the_sky(cutoff, wanted):
    """The inner plane is made to agree; that the whole sky then does tests the morphology.  physics.md A4."""
    template = built(f"kra-gamma-like-{cutoff}?nside=16&spectrum=published")
    for at, flux in wanted.items():
        found = template.flux * template.spectrum.shape(np.array([at]))[0] * 10 ** (2 * at - 10)
        assert found == pytest.approx(flux, rel=0.03, abs=0)


def test_published_spectrum_holds_in_the_inner_plane_and_joins_the_physical_one():
    lines = sight.trace(GAS["bronfman-ferriere"], halo_height=4.0)
    values = lines.columns @ kra_gamma_like._emissivity(kra_gamma_like.Parameters(), 50)
    inner = sight.box_mean(lines, values, longitude=np.radians(30), latitude=np.radians(4))
    factor = kra_gamma_like.to_published(inner, 50)
    scaled = 3 * inner * factor * 10 ** (2 * _milky_way.ENERGIES)
    at = np.log10(84.451e3)
    assert np.interp(at, _milky_way.ENERGIES, np.log10(scaled)) == pytest.approx(np.log10(3.921e-7), abs=2e-3)
    beyond = np.log10(9189.729e3) < _milky_way.ENERGIES
    assert factor[beyond] == pytest.approx(factor[beyond][0], rel=1e-12)
    assert factor[beyond][0] == pytest.approx(factor[~beyond][-1], rel=0.05)


@pytest.mark.real_data
@pytest.mark.parametrize("cutoff", [5, 50])
def test_the_typed_in_spectrum_is_that_of_the_file(cutoff, mirror):
    path = mirror / "galactic_templates" / f"kra_gamma_{cutoff}PeV_inner_plane_spectrum.csv"
    in_tev, published = np.loadtxt(path, delimiter=",", skiprows=1, unpack=True)
    energy, e2_flux = kra_gamma_like.INNER_PLANE[cutoff].T
    assert np.log10(energy) + 3 == pytest.approx(np.log10(in_tev) + 3, abs=1e-9)
    assert e2_flux == pytest.approx(published, rel=1e-3)


def test_kra_gamma_like_with_cosmic_rays_that_have_their_own_knee():
    own = kra_gamma_like.Parameters(cosmic_rays="h3a")
    assert np.array_equal(*(kra_gamma_like._emissivity(own, cutoff) for cutoff in (5, 50)))
    assert "H3a" in kra_gamma_like.reference(own, cutoff=5)


# --- uniform regions ---------------------------------------------------------------------------------------------


def test_fermi_bubbles_are_two_lobes_with_an_optional_cut_off():
    template = built("fermi-bubbles?nside=64")
    lit = template.density > 0.999 * template.density.max()
    assert template.density.max() == pytest.approx(1 / 0.84, rel=0.03)  # 0.40 sr north and 0.44 sr south
    b = galactic(64)[1]
    assert (template.density[b > 0].sum() / template.density.sum()) == pytest.approx(0.40 / 0.84, abs=0.01)
    assert not lit[np.abs(np.degrees(galactic(64)[0])) > 40].any()
    assert template.spectrum == PowerLaw(2.0)
    assert built("fermi-bubbles?nside=16&cutoff=50").spectrum == CutOffPowerLaw(2.0, np.log10(50e3))


@pytest.mark.parametrize(
    ("query", "steradians"),
    [
        ("", 4 * np.pi * np.sin(np.radians(5))),
        ("latitude=90", 4 * np.pi),
        ("latitude=4&l_min=-30&l_max=30", 2 * np.pi / 3 * np.sin(np.radians(4))),
        ("latitude=2&l_min=150&l_max=-150", 2 * np.pi / 3 * np.sin(np.radians(2))),
        ("latitude=60&l_min=10&l_max=350", 2 * np.sin(np.radians(60)) * np.radians(340)),
        ("latitude=90&l_min=0&l_max=180", 2 * np.pi),
    ],
)
def test_the_box_has_exact_fractions_at_its_edges(query, steradians):
    template = built("galactic-plane-box?nside=64&" + query)
    covered = template.density / template.density.max()
    assert integral(covered) == pytest.approx(steradians, rel=1e-3)
    assert np.count_nonzero((covered > 0) & (covered < 0.999)) > 0 or steradians > 12


def test_the_box_lies_where_it_was_asked_for():
    template = built("galactic-plane-box?nside=64&latitude=2&l_min=150&l_max=-150")
    l, b = (np.degrees(x) for x in galactic(64))  # noqa: E741
    assert np.all(template.density[(np.abs(b) < 1) & (np.abs(l) > 151)] > 0)
    assert not np.any(template.density[(np.abs(b) > 3) | (np.abs(l) < 149)])


def test_a_box_without_width_is_refused():
    with pytest.raises(InputError, match="no width"):
        built("galactic-plane-box?nside=16&l_min=20&l_max=20")


def test_isotropic_is_uniform():
    template = built("isotropic?nside=16&index=2.2")
    assert np.ptp(template.density) == 0
    assert template.spectrum == PowerLaw(2.2)
    assert built("isotropic?nside=16").spectrum == PowerLaw(2.53)


# --- the hybrid --------------------------------------------------------------------------------------------------


def model_column(nside):
    """The column of atomic hydrogen of the default gas, Galactic RING."""
    lines = sight.trace(GAS["bronfman-ferriere"].phase("HI"), halo_height=4.0, weighted=False)
    theta, phi = hp.pix2ang(nside, np.arange(12 * nside**2))
    longitude = (phi + np.pi) % (2 * np.pi) - np.pi
    return sight.read(lines, lines.columns.sum(axis=1)[:, None], longitude, np.pi / 2 - theta)[:, 0]


@pytest.mark.slow
def test_the_hybrid_on_the_column_of_the_model_is_the_model(like):
    hybrid = pi0_hybrid.make(model_column(256), "the model itself", 64)
    b = galactic(64)[1]
    far = np.abs(b) > np.radians(2)  # nearer to the plane the column changes within its pixels
    assert hybrid.density[far] == pytest.approx(like.density[far], rel=0.01)
    assert hybrid.density.sum() == pytest.approx(like.density.sum())


@pytest.mark.slow
def test_the_hybrid_follows_its_column(like):
    column = model_column(64)
    theta, phi = hp.pix2ang(64, np.arange(len(column)))
    bright = hp.ang2vec(np.pi / 2 - np.radians(30), np.radians(100)) @ hp.ang2vec(theta, phi).T > np.cos(np.radians(8))
    hybrid = pi0_hybrid.make(np.where(bright, 3 * column, column), "with a cloud", 64)
    ratio = hybrid.density / like.density
    l, b = galactic(64)  # noqa: E741
    inside = hp.ang2vec(np.pi / 2 - b, l) @ hp.ang2vec(np.pi / 2 - np.radians(30), np.radians(100)) > np.cos(
        np.radians(6)
    )
    assert np.median(ratio[inside]) > 2.0 * np.median(ratio[~inside])


def test_the_hybrid_refuses_a_damaged_column():
    with pytest.raises(InputError, match=r"(?s)column of gas.*NaN"):
        pi0_hybrid.make(np.full(12 * 16**2, np.nan), "", 16)
    with pytest.raises(InputError, match="gas 'none'"):
        pi0_hybrid.make(np.ones(12 * 16**2), "", 16, gas="none")


@pytest.mark.real_data
@pytest.mark.slow
def test_the_hybrid_resembles_the_published_map_more_than_the_model_does(published, mirror):
    column = read_gas_map(mirror / "galactic_templates", "hi4pi_nh")
    hybrid = pi0_hybrid.make(np.asarray(column["density"].values), column.attrs["reference"], 128)
    smeared = [hp.smoothing(m, sigma=np.radians(7), lmax=128) for m in (hybrid.density, published.density)]
    assert cosine(*smeared) > 0.98  # 0.973 without the column
    assert "HI4PI" in hybrid.reference


@pytest.mark.real_data
def test_the_hybrid_has_no_magellanic_clouds(mirror):
    column = read_gas_map(mirror / "galactic_templates", "hi4pi_nh")["density"].values
    at = hp.ang2pix(64, 280.5, -32.9, lonlat=True)
    left = pi0_hybrid.without_magellanic_clouds(column)
    assert column[at] > 3 * left[at]  # the Large Cloud stands out by a factor of about four
    changed = np.flatnonzero(left != column)
    gone = hp.pix2ang(64, changed, lonlat=True)
    assert np.all(gone[1] < -25)
    assert 100 < len(changed) < 400


# --- segments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("segment", galactic_segments.SEGMENTS.values(), ids=lambda one: one.name)
def test_a_segment_is_uniform_within_its_bounds(segment):
    template, region = built(f"{segment.name}?nside=64"), of_segment(segment)
    # The edge of a pixel that is cut is known there to one of sixteen rows of sub-pixels.
    assert template.density * region.solid_angle == pytest.approx(covered(region, 64), abs=1 / 16 + 1e-3)
    assert template.density.max() == pytest.approx(1 / region.solid_angle, rel=2e-3)


def test_solid_angles_of_the_segments_are_those_of_the_boxes():
    def box(width, reach):
        return np.radians(width) * 2 * np.sin(np.radians(reach))

    wanted = [box(60, 8), box(60, 8), box(240, 8), box(110, 5), box(110, 5)]
    assert [of_segment(one).solid_angle for one in galactic_segments.SEGMENTS.values()] == pytest.approx(wanted)


@pytest.mark.parametrize("each", galactic_segments.SETS.values(), ids=list(galactic_segments.SETS))
def test_segments_of_a_set_do_not_overlap(each):
    covers = np.stack([covered(of_segment(one), 32) for one in each.segments])
    assert covers.sum(axis=0).max() <= 1.0 + 1e-9


def test_a_segment_of_one_interval_is_the_box():
    box = built("galactic-plane-box?nside=32&l_min=60&l_max=300&latitude=8")
    assert np.array_equal(built("segment-outer?nside=32").maps, box.maps)


# --- compact proxies of KRA-gamma --------------------------------------------------------------------------------


def proxy(cutoff=5, nside=32, **parameters):
    made = kra_gamma_compact_proxy.make
    return made(kra_gamma_compact_proxy.Parameters(**parameters), nside, cutoff=cutoff, pi0=built("pi0-like?nside=64"))


def test_a_compact_proxy_is_the_pi0_map_times_its_factor():
    l, b = galactic(64)  # noqa: E741
    wanted = built("pi0-like?nside=64").density * np.exp(-np.degrees(np.abs(b)) / 6 - np.degrees(np.abs(l)) / 90)
    assert proxy(nside=64).density == pytest.approx(wanted / integral(wanted), rel=1e-9)
    coarse = hp.ud_grade(wanted / integral(wanted), 32)
    assert proxy().density == pytest.approx(coarse, rel=1e-9)
    assert integral(proxy(nside=128).density) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("cutoff", "wanted"), [(5, {5.0: 2.88e-11}), (50, {4.0: 9.592e-11, 5.0: 4.176e-11})], ids=["5", "50"]
)
def test_a_compact_proxy_has_the_published_flux_of_the_sky(cutoff, wanted):
    """Two points fix the relation of sky and inner plane; the third is met by it, and all by the digitised figure."""
    template = proxy(cutoff)
    for at, flux in wanted.items():
        found = template.flux * template.spectrum.shape(np.array([at]))[0] * 10 ** (2 * at - 10)
        assert found == pytest.approx(flux, rel=0.03, abs=0)


def test_a_compact_proxy_may_have_the_published_inner_plane_instead():
    template = proxy(spectrum="inner-plane", nside=64)
    l, b = galactic(64)  # noqa: E741
    inner = (np.abs(l) < np.radians(30)) & (np.abs(b) < np.radians(4))
    mean = template.density[inner].sum() * 4 * np.pi / len(l) / (np.radians(120) * np.sin(np.radians(4)))
    at, e2_flux = np.array([np.log10(29.369e3)]), 4.564e-7 / 3 / 1e3  # GeV of all flavours to TeV of one
    found = template.flux * template.spectrum.shape(at)[0] * 10 ** (2 * at[0] - 10) * mean
    assert found == pytest.approx(e2_flux, rel=0.01, abs=0)


def test_a_compact_proxy_says_that_it_is_one():
    template = proxy()
    assert "a proxy by shape and no model" in template.remarks[0]
    assert template.whose == "published KRA-gamma-5 spectrum on a compact proxy shape"
    assert "pi0 map x exp(-|b|/6 deg) x exp(-|l|/90 deg)" in template.reference


def test_the_model_of_a_flux_has_a_name():
    assert built("kra-gamma-like-5?nside=32").whose == "our kra-gamma-like-5"
    assert (
        built("kra-gamma-like-50?nside=16&spectrum=published").whose == "published KRA-gamma-50 spectrum on our shape"
    )
    assert built("pi0-like?nside=16&spectrum=physical").whose == "our pi0-like"
