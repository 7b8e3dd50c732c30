"""The physical model of the Milky Way: gas, cosmic rays, yields and lines of sight against exact and published cases.

Tables are those of the design notes, made there by other code with the same formulas.
"""

import sys

import crflux.models
import numpy as np
import pytest

from nuanalysis.errors import InputError
from nuanalysis.sky.galaxy import COSMIC_RAYS, GAS, SOURCES, YIELDS, emissivity, sight, transport
from nuanalysis.sky.galaxy.cosmic_rays import LocalSpectrum, Nucleus, kra_like
from nuanalysis.sky.galaxy.gas import ferriere
from nuanalysis.sky.galaxy.gas._gas import Gas, Part, around
from nuanalysis.sky.galaxy.sources import KPC_CM, R_SUN
from nuanalysis.sky.galaxy.transport import Diffusion
from nuanalysis.sky.galaxy.yields import kelner

SUN_MASS_G, HYDROGEN_G = 1.98841e33, 1.67353e-24
KRA = Diffusion(slope=0.035, centre=0.21, vertical_scale=4.0)
DECADES = np.array([2.0, 3.0, 4.0, 5.0, 6.0])


# --- gas ---------------------------------------------------------------------------------------------------------


def mass(gas, *, end, n=(1200, 36, 601)):
    """Solar masses of hydrogen within R < end kpc, by the midpoint rule on a cylinder that is fine at the plane."""
    r = end * ((np.arange(n[0]) + 0.5) / n[0]) ** 2
    dr = 2 * end * (np.arange(n[0]) + 0.5) / n[0] ** 2
    edges = np.sinh(np.linspace(-1, 1, n[2]) * 8.0) / np.sinh(8.0) * 15.0
    z, dz = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
    total = 0.0
    for phi in (np.arange(n[1]) + 0.5) * 2 * np.pi / n[1]:
        x, y = (r * np.cos(phi))[:, None], (r * np.sin(phi))[:, None]
        cells = gas.density(*np.broadcast_arrays(x, y, z))
        total += (cells * dz).sum(axis=1) @ (r * dr) * 2 * np.pi / n[1]
    return total * KPC_CM**3 * HYDROGEN_G / SUN_MASS_G


@pytest.mark.parametrize(
    ("model", "phase", "end", "wanted"),
    [
        ("nakanishi-sofue", "HI", 25.0, 5.2e9),
        ("nakanishi-sofue", "H2", 25.0, 1.4e9),
        ("nakanishi-sofue", "H2", 0.5, 4.3e7),
        ("bronfman-ferriere", "HI", 25.0, 7.5e9),
        ("bronfman-ferriere", "H2", 25.0, 6.4e8),
        ("bronfman-ferriere", "H2", 0.5, 4.4e7),
        ("ferriere", "HI", 25.0, 9.5e9),
        ("ferriere", "H2", 25.0, 1.9e9),  # outer H2 counted as nuclei; doubled it would be 3.7e9
        ("ferriere", "H2", 0.5, 2.4e7),
        ("ferriere", "HII", 25.0, 2.0e9),
    ],
)
@pytest.mark.slow
def test_gas_masses_are_those_of_the_models(model, phase, end, wanted):
    gas = GAS[model].phase(phase)
    angles = 36 if any(part.bound for part in gas.parts) else 1
    # The table has two digits and comes from coarser cells; the outer H2 of 'ferriere' is off by 1.9 if doubled.
    assert mass(gas, end=end, n=(500, angles, 301)) == pytest.approx(wanted, rel=0.05)


@pytest.mark.parametrize(
    ("model", "atoms", "molecules"),
    [("nakanishi-sofue", 0.232, 0.216), ("bronfman-ferriere", 0.57, 0.565), ("ferriere", 0.566, 0.58)],
)
def test_gas_at_the_sun(model, atoms, molecules):
    sun = (np.array([-R_SUN]), np.zeros(1), np.zeros(1))
    here = [GAS[model].phase(name).density(*sun)[0] for name in ("HI", "H2")]
    assert here == pytest.approx([atoms, molecules], abs=0.001)  # the formulas by hand at R = 8.5, z = 0
    everything = GAS[model].density(*sun)[0]
    assert everything == pytest.approx(sum(here) + GAS[model].without("HI").without("H2").density(*sun)[0])


def test_the_inner_gas_of_ferriere_lies_as_seen():
    grid = np.linspace(-0.4, 0.4, 81)
    x, y, z = np.meshgrid(grid, grid, np.linspace(-0.06, 0.06, 25), indexing="ij")
    zone = GAS["ferriere"].phase("H2").density(x, y, z) * (np.hypot(x, y) < 0.25)
    centre = [(zone * axis).sum() / zone.sum() for axis in (x, y)]
    assert centre == pytest.approx([0.04, 0.04], abs=0.015)  # behind the Centre, at positive longitudes
    assert ((x - centre[0]) * (y - centre[1]) * zone).sum() < 0  # its end at positive longitudes is the nearer
    grid = np.linspace(-1.8, 1.8, 73)
    x, y, z = np.meshgrid(grid, grid, np.linspace(-0.8, 0.8, 81), indexing="ij")
    disk = GAS["ferriere"].phase("HI").density(x, y, z) * (np.hypot(x, y) > 0.6)
    assert (y * z * disk).sum() < 0  # below the plane at positive longitudes


def test_the_parts_of_ferriere_meet_at_3_kpc_and_do_not_overlap():
    inner, outer = (
        Gas(tuple(part for part in GAS["ferriere"].parts if bool(part.bound) is bound), "") for bound in (True, False)
    )
    radius = np.array([0.1, 2.99, 3.01, 8.0])
    flat = np.zeros(4)
    assert np.all((inner.density(radius, flat, flat) > 0) == (radius < ferriere.INNER))
    assert np.all((outer.density(radius, flat, flat) > 0) == (radius > ferriere.INNER))


# --- cosmic rays: where ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("diffusion", "law", "log10_rigidity", "wanted"),
    [
        (Diffusion(), "case-1998", 4.0, [1.02, 1.28, 1.35, 1, 0.54, 0.27]),
        (Diffusion(), "ferriere-2001", 4.0, [2.04, 2.33, 2.03, 1, 0.36, 0.13]),
        (KRA, "ferriere-2001", 4.0, [8.9, 8.3, 4.8, 1, 0.20, 0.06]),
        (KRA, "ferriere-2001", 6.0, [22.7, 17.7, 7.8, 1, 0.16, 0.05]),
    ],
)
def test_cosmic_rays_spread_as_in_the_numerical_table(diffusion, law, log10_rigidity, wanted):
    radius = np.array([1.0, 3.0, 5.0, 8.5, 12.0, 15.0])
    found = transport.relative_density(SOURCES[law], diffusion, radius, np.array([log10_rigidity]))[0]
    assert found == pytest.approx(wanted, rel=0.006, abs=0.006)  # the table has two or three digits


def test_cosmic_rays_are_one_at_the_sun_and_none_outside():
    rigidity = np.array([0.0, 2.0, 5.0, 9.0])
    found = transport.relative_density(SOURCES["case-1998"], KRA, np.array([R_SUN, 20.0, 25.0]), rigidity)
    assert found == pytest.approx(np.array([[1.0, 0.0, 0.0]] * 4))


def test_a_single_mode_diffuses_as_the_exact_solution():
    """Sources J0(k R): n ~ J0(k R) in all of the cylinder when D is the same everywhere, whatever the heights."""
    from scipy.special import j0, jn_zeros

    k = jn_zeros(0, 1)[0] / 20.0
    law = type(SOURCES["case-1998"])(lambda radius: j0(k * radius), "")
    radius = np.array([0.5, 4.0, 12.0, 16.0])
    found = transport.relative_density(law, Diffusion(), radius, np.zeros(1))[0]
    assert found == pytest.approx(j0(k * radius) / j0(k * R_SUN), rel=2e-3)  # cells of 0.2 kpc


def test_the_rigidity_dependence_is_that_of_the_slope():
    law, radius = SOURCES["ferriere-2001"], np.array([2.0, 12.0])
    flat = transport.relative_density(law, Diffusion(), radius, np.array([1.0, 6.0]))
    assert np.array_equal(flat[0], flat[1])
    at_pivot = transport.solve(law, Diffusion(slope=0.035, centre=0.21), Diffusion().log10_pivot)
    assert at_pivot == pytest.approx(transport.solve(law, Diffusion(), 3.0))


def test_a_halo_without_height_is_refused():
    with pytest.raises(InputError, match="height 0"):
        Diffusion(halo_height=0.0)


@pytest.mark.parametrize("law", list(SOURCES))
def test_source_laws_are_finite_and_have_their_maximum_inside_the_sun(law):
    radius = np.linspace(0, 20, 401)
    density = SOURCES[law].density(radius)
    assert np.all(np.isfinite(density))
    assert density.min() >= 0
    assert 2.0 < radius[density.argmax()] < 5.5


# --- cosmic rays: how many ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["h3a", "h4a"])
def test_local_spectra_are_those_of_crflux(model):
    energy = np.logspace(2, 10, 33)
    other = crflux.models.HillasGaisser2012(model.replace("h", "H"))
    for nucleus, corsika in zip(COSMIC_RAYS[model].nuclei, (14, 402, 1206, 2814, 5426), strict=True):
        assert nucleus.flux(energy) == pytest.approx(1e-4 * other.nucleus_flux(corsika, energy), rel=1e-12, abs=0)


def test_kra_like_cut_off_is_per_nucleon():
    protons, helium = (nucleus.flux for nucleus in kra_like(6.0).nuclei)
    uncut_p, uncut_he = (nucleus.flux for nucleus in kra_like(30.0).nuclei)
    energy = np.array([1e6])
    assert protons(energy) / uncut_p(energy) == pytest.approx(np.exp(-1.0))
    assert helium(4 * energy) / uncut_he(4 * energy) == pytest.approx(np.exp(-1.0))


# --- neutrinos per atom ------------------------------------------------------------------------------------------


def test_emissivity_with_aafrag_is_that_of_the_table():
    per_atom = 3 * 10 ** (2.7 * DECADES) * emissivity.local(DECADES, COSMIC_RAYS["h3a"], YIELDS["aafrag"])
    assert per_atom == pytest.approx([1.93e-27, 2.49e-27, 3.15e-27, 2.71e-27, 8.7e-28], rel=0.03, abs=0)


def test_kelner_and_aafrag_agree():
    at = DECADES[1:4]
    ratio = np.divide(*(emissivity.local(at, COSMIC_RAYS["h3a"], YIELDS[name]) for name in ("kelner", "aafrag")))
    # The notes have 1.03, 1.11, 1.19 with a helium nucleus as target counted as four protons, not as 3.12.
    four = (1 + 0.096 * 4) / (1 + 0.096 * kelner.HELIUM_TARGET)
    assert ratio * four == pytest.approx([1.03, 1.11, 1.19], abs=0.015)
    assert ratio == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize(("mass", "charge"), [(1, 1), (4, 2), (27, 14)])
def test_cosmic_rays_of_one_energy_give_the_cross_section(mass, charge):
    """All in one cell of the integral: emissivity = nucleons x flux x width x cross section / 3."""
    at, energy = 4.0, np.array([2.0])

    def flux(total):
        return np.where(np.isclose(total, mass * 10**at), 2.5, 0.0)

    def relative(log10_rigidity):
        hit = np.isclose(log10_rigidity, at + np.log10(mass / charge))
        return np.where(hit, 7.0, 0.0)[:, None]

    local = LocalSpectrum((Nucleus(mass, charge, flux),), "")
    found = emissivity.everywhere(energy, local, YIELDS["kelner"], relative)
    section = kelner.cross_section(1, np.array([10**at]), 10**energy)[0, 0]
    width = np.log(10) / emissivity.POINTS_PER_DECADE * 10**at
    assert found == pytest.approx(np.array([[7.0 * 2.5 * mass * width * mass * section / 3]]), rel=1e-9, abs=0)


def test_the_integral_over_cosmic_rays_has_converged(monkeypatch):
    coarse = emissivity.local(DECADES, COSMIC_RAYS["h3a"], YIELDS["kelner"])
    monkeypatch.setattr(emissivity, "POINTS_PER_DECADE", 80)
    assert coarse == pytest.approx(emissivity.local(DECADES, COSMIC_RAYS["h3a"], YIELDS["kelner"]), rel=1e-3, abs=0)


def test_aafrag_counts_the_energy_of_a_nucleus_as_a_whole():
    """A nucleus makes about as many neutrinos as its nucleons would, each with its own energy: 4.11 and 12.3."""
    neutrino = np.array([1e5])
    proton = YIELDS["aafrag"].cross_section(1, np.array([1e6]), neutrino)[0, 0]
    for mass in (4, 12, 27, 56):
        nucleus = YIELDS["aafrag"].cross_section(mass, np.array([1e6]), neutrino)[0, 0]
        assert nucleus / proton == pytest.approx(mass, rel=0.08)


def test_aafrag_beyond_its_tables_goes_on_smoothly():
    energy = np.logspace(7.0, 11.0, 41)
    for mass in (1, 4, 27):
        section = YIELDS["aafrag"].cross_section(mass, energy, np.array([1e5]))[0]
        assert np.all(section > 0)
        step = np.diff(np.log(section))  # at most linear in the energy, which rises by 0.23 in its logarithm
        assert step.max() < 0.25
        assert step.min() > -0.06  # the table of p on He ends, and with it its excess at low energies


def test_aafrag_says_what_it_lacks(monkeypatch):
    with pytest.raises(InputError, match="mass 16"):
        YIELDS["aafrag"].cross_section(16, np.array([1e5]), np.array([1e3]))
    monkeypatch.setitem(sys.modules, "aafragpy", None)
    with pytest.raises(InputError, match=r"pip install\s+nuanalysis\[aafrag\]"):
        YIELDS["aafrag"].cross_section(1, np.array([1e5]), np.array([1e3]))


# --- lines of sight ----------------------------------------------------------------------------------------------


def column(density, longitude, latitude, **options):
    """Integral of a density of (R, z) in kpc."""
    options = {"halo_height": 4.0, "weighted": False} | options
    found = sight.columns(around(density), np.atleast_1d(longitude), np.atleast_1d(latitude), **options)
    return found.sum(axis=1) / KPC_CM


def test_line_of_sight_through_a_uniform_ball_is_its_chord():
    ball, angle = 2.0, np.radians([0.0, 5.0, 12.0, 20.0])
    through = column(lambda r, z: (r**2 + z**2 < ball**2).astype(float), angle, np.zeros(4), n_steps=20_000)
    assert through == pytest.approx(2 * np.sqrt(np.clip(ball**2 - (R_SUN * np.sin(angle)) ** 2, 0, None)), abs=5e-3)


def test_line_of_sight_at_the_pole_and_away_from_the_centre():
    assert column(lambda _, z: np.exp(-np.abs(z) / 0.1), 0.0, -np.pi / 2) == pytest.approx(0.1, rel=1e-3)
    assert column(lambda r, _: r, np.pi, 0.0) == pytest.approx(8.5 * 25 + 25**2 / 2, rel=1e-4)
    uniform = column(lambda r, _: np.ones_like(r), 0.0, np.pi / 2, weighted=True)
    assert uniform == pytest.approx(2.0, rel=1e-4)  # half of the 4 kpc: the weight falls linearly


def test_a_thin_shell_is_seen_twice():
    """A Gaussian shell of width w at R = 5: 2 sqrt(2 pi) w / cos(angle of incidence) along each line through it."""
    width, angle = 0.05, np.radians(np.array([0.0, 10.0, 20.0]))
    seen = column(lambda r, _: np.exp(-(((r - 5) / width) ** 2) / 2), angle, np.zeros(3), n_steps=4000)
    incidence = np.arcsin(R_SUN * np.sin(angle) / 5)
    assert seen == pytest.approx(2 * np.sqrt(2 * np.pi) * width / np.cos(incidence), rel=2e-3)  # the shell is curved


def test_the_hats_hold_the_gas_at_its_radius():
    """Linear hats reproduce a linear weight exactly: columns @ knots is the integral of density x R."""
    angles = np.radians(np.array([3.0, 40.0, 120.0])), np.radians(np.array([0.5, 5.0, -30.0]))

    def density(r, z):
        return np.exp(-r / 3 - np.abs(z) / 0.3)

    split = sight.columns(around(density), *angles, halo_height=4.0) @ sight.KNOTS
    whole = sight.columns(around(lambda r, z: r * density(r, z)), *angles, halo_height=4.0).sum(axis=1)
    assert split == pytest.approx(whole, rel=1e-12)


def test_a_small_cell_at_the_galactic_centre_gives_volume_over_distance_squared():
    width, angle = 0.2, np.radians(np.linspace(-7, 7, 141))
    l, b = (a.ravel() for a in np.meshgrid(angle, angle))  # noqa: E741
    seen = column(lambda r, z: np.exp(-(r**2 + z**2) / (2 * width**2)), l, b)
    flux = (seen * np.cos(b)).sum() * (angle[1] - angle[0]) ** 2
    assert flux == pytest.approx((2 * np.pi * width**2) ** 1.5 / R_SUN**2, rel=2e-3)


@pytest.fixture(scope="module")
def lines():
    return {name: sight.trace(gas, halo_height=4.0) for name, gas in GAS.items()}


@pytest.mark.parametrize("model", list(GAS))
def test_models_are_their_own_mirror_image_where_they_say_so(model, lines):
    mirrored = not any(part.bound for part in GAS[model].parts)
    assert lines[model].mirrored is mirrored
    values = lines[model].columns.sum(axis=1)[:, None]
    l, b = np.radians(np.array([0.4, 1.2, 5.0, 40.0, 150.0])), np.radians(np.array([0.02, 0.1, 1.0, 20.0, 3.0]))  # noqa: E741
    four = [sight.read(lines[model], values, s * l, t * b)[:, 0] for s in (1, -1) for t in (1, -1)]
    for other in four[1:]:
        assert other[3:] == pytest.approx(four[0][3:], rel=1e-12)
        if mirrored:
            assert np.array_equal(other, four[0])
        else:
            assert np.abs(other[:3] / four[0][:3] - 1).max() > 0.02


@pytest.mark.parametrize("model", list(GAS))
def test_the_grid_reproduces_the_integral_between_its_nodes(model, lines):
    rng = np.random.default_rng(1)
    l, b = rng.uniform(-np.pi, np.pi, 300), np.radians(rng.laplace(0, 3, 300))  # noqa: E741
    weight = np.exp(-sight.KNOTS / 4)
    read = sight.read(lines[model], (lines[model].columns @ weight)[:, None], l, b)[:, 0]
    exact = sight.columns(GAS[model].density, l, b, halo_height=4.0, n_steps=1600) @ weight
    assert read == pytest.approx(exact, rel=1e-2)  # 6e-3 without the tilted disk of ferriere


def test_integrals_over_the_sky_and_over_a_box(lines):
    grid = lines["bronfman-ferriere"]
    l, b = np.meshgrid(grid.longitudes, grid.latitudes, indexing="ij")  # noqa: E741
    values = np.stack([np.ones(l.size), np.sin(b.ravel()) ** 2], axis=1)
    assert sight.sky_integral(grid, values) == pytest.approx([4 * np.pi, 4 * np.pi / 3], rel=1e-3)  # trapezoids
    mean = sight.box_mean(grid, values, longitude=np.radians(30), latitude=np.radians(4))
    assert mean == pytest.approx([1.0, np.sin(np.radians(4)) ** 2 / 3], rel=1e-3)


@pytest.mark.slow
def test_a_bounded_part_counts_as_much_as_the_same_part_unbounded():
    def ball(x, y, z):
        return np.exp(-(x**2 + y**2 + z**2) / 0.5) * (np.hypot(x, y) < 3.0)

    free, bounded = (sight.trace(Gas((Part("HI", ball, bound=r),), ""), halo_height=4.0) for r in (0.0, 3.0))
    totals = [sight.sky_integral(grid, grid.columns.sum(axis=1)[:, None])[0] for grid in (free, bounded)]
    assert totals[0] == pytest.approx(totals[1], rel=1e-9)


# --- the whole: fluxes of the sky --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        ("bronfman-ferriere", [149, 37.7, 6.5, 0.41]),
        ("nakanishi-sofue", [172, 43.3, 7.5, 0.47]),
        ("ferriere", [223, 56.1, 9.7, 0.61]),
    ],
)
def test_flux_of_the_whole_sky(model, wanted, lines):
    """E^2 dN/dE per flavour in 1e-12 TeV cm^-2 s^-1 at 1 TeV to 1 PeV; asked for within 20 %, met within 3 %."""
    at = DECADES[1:]
    diffuse = transport.relative_density(SOURCES["case-1998"], Diffusion(), sight.KNOTS, np.zeros(1))[0]
    gas = sight.sky_integral(lines[model], (lines[model].columns @ diffuse)[:, None])
    flux = 10 ** (2 * at - 3) * gas * emissivity.local(at, COSMIC_RAYS["h3a"], YIELDS["aafrag"]) / 1e-12
    assert flux == pytest.approx(wanted, rel=0.03)
    if model == "bronfman-ferriere":
        disk = sight.box_mean(
            lines[model],
            (lines[model].columns @ diffuse)[:, None],
            longitude=np.radians(80),
            latitude=np.radians(8),
        )
        assert disk * 4 * np.radians(80) * np.sin(np.radians(8)) / gas == pytest.approx(0.387, abs=0.005)


def kra(grid, *, cutoff, diffusion=KRA):
    def relative(log10_rigidity):
        return transport.relative_density(SOURCES["ferriere-2001"], diffusion, sight.KNOTS, log10_rigidity)

    per_atom = emissivity.everywhere(DECADES[1:], kra_like(np.log10(cutoff)), YIELDS["kelner"], relative)
    return grid.columns @ per_atom


@pytest.mark.parametrize(
    ("model", "five", "fifty", "ratios", "fractions"),
    [
        ("bronfman-ferriere", [181, 54.7, 12.0, 0.69], [183, 58.2, 17.6, 3.8], (1.65, 3.9, 5.5), (0.31, 0.41)),
        ("nakanishi-sofue", [251, 80.6, 18.7, 1.13], [253, 86.1, 28.0, 6.5], (2.19, 5.7, 8.2), (0.41, 0.54)),
        ("ferriere", [350, 112, 25.6, 1.52], [353, 119, 38.0, 8.6], (2.21, 4.3, 5.0), (0.43, 0.52)),
    ],
)
def test_kra_gamma_like_skies(model, five, fifty, ratios, fractions, lines):
    grid = lines[model]
    values = {cutoff: kra(grid, cutoff=cutoff) for cutoff in (5e6, 50e6)}
    fluxes = {c: 10 ** (2 * DECADES[1:] - 3) * sight.sky_integral(grid, v) / 1e-12 for c, v in values.items()}
    # 6.5 % below the table: there helium is a target of four protons, here of 3.12.
    assert fluxes[5e6] == pytest.approx(five, rel=0.11)
    assert fluxes[50e6] == pytest.approx(fifty, rel=0.11)
    assert 0.55 * fluxes[5e6][2] == pytest.approx(0.37 * fluxes[50e6][2], rel=0.02)  # IceCube's two best fits

    def held(v, longitude, latitude):
        solid_angle = 4 * np.radians(longitude) * np.sin(np.radians(latitude))
        return solid_angle * sight.box_mean(grid, v, longitude=np.radians(longitude), latitude=np.radians(latitude))

    plain = kra(grid, cutoff=50e6, diffusion=Diffusion(vertical_scale=4.0))
    found = [
        (sight.sky_integral(grid, values[50e6]) / sight.sky_integral(grid, plain))[2],
        (held(values[50e6], 30, 4) / held(plain, 30, 4))[2],
        (held(values[50e6], 5, 5) / held(plain, 5, 5))[2],
    ]
    assert found == pytest.approx(ratios, rel=0.03)
    inner = held(values[5e6], 30, 4) / sight.sky_integral(grid, values[5e6])
    assert inner[[0, 2]] == pytest.approx(fractions, abs=0.017)
