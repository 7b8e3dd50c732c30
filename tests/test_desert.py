"""Luminosity of the Milky Way and of an average galaxy: relations, geometry, and the band over all inputs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import nuanalysis as nu
from nuanalysis.answers._own_fit import galactic_flux
from nuanalysis.errors import InputError
from nuanalysis.interpret import luminosity, luminosity_band, spectra
from nuanalysis.interpret.luminosity import EVOLUTIONS, Geometry, geometries, of_average_galaxy, of_milky_way, xi_z
from nuanalysis.interpret.spectra import BEST_FITS, ISOTROPIC, best_fit
from nuanalysis.sky.galaxy import GAS, sight, transport, volume
from nuanalysis.sky.galaxy.gas import Gas, Part
from nuanalysis.sky.galaxy.gas._gas import around
from nuanalysis.sky.galaxy.sources import KPC_CM, R_SUN

XI = {"none": (0.527, 0.424, 0.398), "madau-dickinson": (1.785, 1.280, 1.160), "broken": (2.401, 1.708, 1.543)}
# <r^-2>^(-1/2) in kpc: flat, constant diffusion, KRA-like at 10 TV and 1 PV.
DISTANCES = {
    "bronfman-ferriere": (5.53, 4.22, 4.72, 5.22),
    "nakanishi-sofue": (5.16, 4.66, 5.53, 6.09),
    "ferriere": (5.60, 4.62, 5.45, 5.88),
}


@pytest.mark.parametrize("evolution", EVOLUTIONS, ids=lambda one: one.name)
def test_the_integral_over_redshift(evolution: luminosity.Evolution) -> None:
    assert evolution.density(np.array([0.0]))[0] == pytest.approx(1.0)
    assert [xi_z(evolution, index) for index in (2.0, 2.53, 2.7)] == pytest.approx(XI[evolution.name], rel=0.01)


def test_the_integral_over_redshift_of_an_empty_universe_that_does_not_slow_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without matter H is constant: int_0^6 (1 + z)^-2 dz = 1 - 1/7."""
    monkeypatch.setattr(luminosity, "OMEGA_MATTER", 0.0)
    assert xi_z(EVOLUTIONS[0], 2.0) == pytest.approx(6.0 / 7.0, rel=1e-6)


def test_the_hubble_distance() -> None:
    assert pytest.approx(4283.0, rel=1e-3) == luminosity.HUBBLE_DISTANCE


def test_an_evolution_without_jumps() -> None:
    z = np.array([1.0 - 1e-9, 1.0 + 1e-9, 4.0 - 1e-9, 4.0 + 1e-9])
    below, above = luminosity.broken(z)[0::2], luminosity.broken(z)[1::2]
    assert below == pytest.approx(above, rel=1e-6)


def test_galaxies_alike_fill_the_sky_with_the_flux_they_came_from() -> None:
    """E^2 Phi = (c / 4 pi H0) n0 L xi_z, shell by shell: n0 L dV / (4 pi d^2) over c dt, with energies redshifted."""
    bright, n0, index = 3e36, 0.02, 2.5
    z, width = (np.arange(4000) + 0.5) * 6.0 / 4000, 6.0 / 4000
    hubble = np.sqrt(0.3 * (1 + z) ** 3 + 0.7)
    comoving = np.cumsum(luminosity.HUBBLE_DISTANCE / hubble) * width  # Mpc
    shell = n0 * 4 * np.pi * comoving**2 * luminosity.HUBBLE_DISTANCE / hubble * width  # galaxies
    # E^2 dN/dE at Earth of one galaxy: L((1 + z) E) / (4 pi d_L^2), L falls as E^(2 - index).
    each = bright * (1 + z) ** (2 - index) / (4 * np.pi * ((1 + z) * comoving * luminosity.MPC_CM) ** 2)
    intensity = (shell * each).sum() / (4 * np.pi) / luminosity.ERG_PER_TEV
    xi = np.array(xi_z(EVOLUTIONS[0], index))
    assert of_average_galaxy(np.array(intensity), np.array(n0), xi) == pytest.approx(bright, rel=2e-3)


def test_a_lamp_is_as_bright_as_its_flux_says() -> None:
    bright, distance = 1e36, 8.0
    flux = bright / (4 * np.pi * (distance * KPC_CM) ** 2) / luminosity.ERG_PER_TEV
    assert of_milky_way(np.array(flux), np.array(distance)) == pytest.approx(bright)


def test_the_plain_estimate() -> None:
    energy = np.array([1.0, 10.0, 30.0, 100.0])
    ours = of_milky_way(best_fit("pi0").at(energy), np.array(8.0))
    ratio = of_average_galaxy(ISOTROPIC[0].at(energy)[0], np.array(0.01), np.array(2.4)) / ours
    assert ours == pytest.approx([6.7e36, 1.34e36, 6.2e35, 2.7e35], rel=0.01)
    assert ratio == pytest.approx([53, 78, 94, 116], rel=0.02)


def test_the_segments_of_2026() -> None:
    energy = np.array([6.8, 14.7, 31.6, 68.0, 147.0])
    ours = of_milky_way(best_fit("pi0").at(energy), np.array(8.0))
    segments = next(one for one in ISOTROPIC if one.points)
    ratio = of_average_galaxy(segments.at(energy)[0], np.array(0.01), np.array(2.4)) / ours
    assert ratio == pytest.approx([33, 66, 143, 109, 166], rel=0.01)


@pytest.mark.parametrize("gas", DISTANCES)
@pytest.mark.slow
def test_how_far_the_emission_is(gas: str) -> None:
    """Computed apart from the package, with a diffusion that does not grow with height; that of our templates does."""
    even = transport.Diffusion(slope=0.035, centre=0.21, halo_height=4.0)
    alike = tuple(luminosity.CosmicRays(f"{x}", "ferriere-2001", even, x) for x in (4.0, 6.0))
    found = geometries(gas, (*luminosity.COSMIC_RAYS[:2], *alike))
    assert [one.distance for one in found] == pytest.approx(DISTANCES[gas], rel=0.02)
    assert all(0.19 < one.near < 0.58 for one in found)


@pytest.fixture(scope="module")
def own_geometry() -> dict[str, tuple[Geometry, ...]]:
    """The columns of the package, gas by gas."""
    return {gas: geometries(gas) for gas in DISTANCES}


@pytest.mark.slow
def test_the_columns_of_the_package_beside_those_computed_apart(own_geometry: dict[str, tuple[Geometry, ...]]) -> None:
    """Row 2 of the plan, 3 per cent: met by 11 of 12; KRA-like at 1 PV on nakanishi-sofue is 3.2 per cent farther."""
    off = {gas: np.array([one.distance for one in rows]) / DISTANCES[gas] for gas, rows in own_geometry.items()}
    assert off["nakanishi-sofue"][3] == pytest.approx(1.032, abs=0.002)
    off["nakanishi-sofue"][3] = 1.0
    assert np.array(list(off.values())) == pytest.approx(np.ones((3, 4)), abs=0.03)


def test_cosmic_rays_of_the_templates_reach_a_little_farther() -> None:
    """With a diffusion that grows as exp(|z| / 4 kpc): 1 to 3 % more than with one that does not."""
    found = geometries("bronfman-ferriere", luminosity.COSMIC_RAYS[2:])
    ratio = np.array([one.distance for one in found]) / DISTANCES["bronfman-ferriere"][2:]
    assert np.all((ratio > 1.0) & (ratio < 1.03))


def exponential(scale: float) -> Gas:
    """A disc that falls as exp(-R / scale), 0.1 kpc high, out to 20 kpc."""
    return Gas((Part("HI", around(lambda r, z: np.exp(-r / scale - np.abs(z) / 0.1))),), "made here")


@pytest.mark.parametrize(("scale", "distance"), [(2.6, 5.08), (3.5, 4.74)])
def test_an_exponential_disc(monkeypatch: pytest.MonkeyPatch, scale: float, distance: float) -> None:
    monkeypatch.setitem(GAS, "disc", exponential(scale))
    found = geometries("disc", luminosity.COSMIC_RAYS[:1])[0]
    assert found.distance == pytest.approx(distance, rel=0.03)


def test_a_far_small_cloud_is_as_far_as_it_is() -> None:
    """All around the axis at R = 1 kpc: <r^-2> of a thin ring of radius a at distance d is 1 / |d^2 - a^2|."""
    ring = Gas((Part("HI", around(lambda r, z: np.exp(-(((r - 1.0) / 0.1) ** 2) - (z / 0.05) ** 2))),), "ring")
    relative = (sight.KNOTS < 19.9).astype(float)
    seen = sight.sky_integral(lines := sight.trace(ring, halo_height=4.0), lines.columns @ relative)
    made = volume.contents(ring, halo_height=4.0) @ relative
    assert np.sqrt(made / seen) / KPC_CM == pytest.approx(np.sqrt(R_SUN**2 - 1.0), rel=0.005)


def test_the_contents_of_a_disc_are_its_mass() -> None:
    relative = np.ones(len(sight.KNOTS))
    made = volume.contents(exponential(2.6), halo_height=4.0, weighted=False) @ relative
    exact = 2 * np.pi * 2.6**2 * (1 - np.exp(-20 / 2.6) * (1 + 20 / 2.6)) * 0.2 * KPC_CM**3
    assert made == pytest.approx(exact, rel=1e-3)


def test_gas_off_the_centre_is_summed_all_around() -> None:
    """A ball of 0.5 kpc at (1, 1, 0.3) kpc, read through the parts that are not the same all around."""

    def ball(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return np.exp(-((x - 1.0) ** 2 + (y - 1.0) ** 2 + (z - 0.3) ** 2) / 0.25**2)

    made = volume.contents(Gas((Part("H2", ball, bound=3.0),), "ball"), halo_height=4.0, weighted=False)
    assert made.sum() == pytest.approx(np.pi**1.5 * 0.25**3 * KPC_CM**3, rel=1e-3)


GEOMETRY = tuple(
    Geometry(gas, rays.name, distance, 0.4)
    for gas, row in DISTANCES.items()
    for rays, distance in zip(luminosity.COSMIC_RAYS, row, strict=True)
)


def small_tables(energy: float = 30.0) -> luminosity_band.Tables:
    return luminosity_band.tabulated(np.array([energy]), ISOTROPIC, BEST_FITS, GEOMETRY)


def small_draws(n: int = 4000) -> luminosity_band.Draws:
    return luminosity_band.draw(np.random.default_rng(5), n, isotropic=3, galactic=BEST_FITS, gas=3, n0=(0.01, 0.1))


def test_a_draw_is_the_relation_by_hand() -> None:
    """One draw with everything at its middle is the formula of the two luminosities."""
    draws = small_draws(8)
    for part in luminosity_band.PARTS:
        draws = luminosity_band.held(draws, part)
    found, per_star = luminosity_band.ratios(draws, small_tables())
    energy, n0 = np.array(30.0), np.exp(np.median(np.log(small_draws(8).n0)))
    xi = np.array(xi_z(EVOLUTIONS[1], 2.53))
    ours = of_milky_way(best_fit("pi0").at(energy), np.array(DISTANCES["bronfman-ferriere"][1]))
    theirs = of_average_galaxy(ISOTROPIC[0].at(energy)[0], n0, xi)
    assert found[0] == pytest.approx(theirs / ours)
    assert per_star[0] == pytest.approx(theirs * n0 / luminosity_band.RHO_SFR / (ours / draws.sfr))


def test_the_band_and_its_parts() -> None:
    draws, tables = small_draws(), small_tables()
    low, median, high = np.quantile(luminosity_band.ratios(draws, tables)[0], (0.05, 0.5, 0.95))
    assert low < 100 < median < 500 < high
    parts = luminosity_band.parts(draws, tables)
    assert parts[0].name == luminosity_band.PARTS["n0"]  # log-uniform over ten: ln(10)^2 / 12 = 0.44
    whole = np.log(luminosity_band.ratios(draws, tables)[0]).var()
    assert parts[0].share == pytest.approx(np.log(10.0) ** 2 / 12 / whole, abs=0.05)
    assert sum(one.share for one in parts) == pytest.approx(1.0, abs=0.12)


@pytest.mark.slow
def test_the_band_that_is_stated(
    own_geometry: dict[str, tuple[Geometry, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """68, 387 and 2,730 at 30 TeV of seed 1, and other seeds within what 20,000 draws leave open; 10 is not in it."""
    monkeypatch.setattr(luminosity, "geometries", own_geometry.__getitem__)
    stated = np.array([68.1, 387.0, 2730.0])
    found = [nu.desert(seed=seed) for seed in range(1, 7)]
    quantiles = np.array([[one.ratio.low, one.ratio.median, one.ratio.high] for one in found])
    assert quantiles[0] == pytest.approx(stated, rel=2e-3)
    scatter = quantiles[1:].std(axis=0, ddof=1)
    assert np.all(scatter / stated < 0.03), "20,000 draws are enough"
    assert np.all(np.abs(quantiles[1:].mean(axis=0) - stated) < 4.0 * scatter)
    assert 10.0 < quantiles[:, 0].min() < 100.0 < quantiles[:, 1].min(), "its lower end is above 10, its median not"
    assert [one.inside for one in found] == pytest.approx([0.108] * 6, abs=4 * np.sqrt(0.108 * 0.892 / 20_000))


def test_a_fixed_input_is_refused_where_it_is_none() -> None:
    with pytest.raises(InputError, match="no input of the ratio"):
        luminosity_band.held(small_draws(10), "hubble")


def test_energies_that_not_all_fluxes_reach_are_refused() -> None:
    with pytest.raises(InputError, match="at 3 TeV"):
        luminosity_band.tabulated(np.array([3.0, 30.0]), ISOTROPIC, BEST_FITS, GEOMETRY)


def test_strengths_hold_their_interval() -> None:
    drawn = best_fit("pi0").strengths.draws(np.random.default_rng(1), 400_000)
    low, median, high = np.quantile(drawn, (0.1587, 0.5, 0.8413)) * 21.8
    assert (low, median, high) == pytest.approx((16.9, 21.8, 27.1), abs=0.05)  # four standard errors of a quantile


def test_strengths_follow_a_likelihood() -> None:
    at = np.linspace(0.0, 3.0, 301)
    own = spectra.Strengths(0.0, 0.0, at, -(((at - 1.0) / 0.2) ** 2))
    drawn = own.draws(np.random.default_rng(1), 40_000)
    assert (drawn.mean(), drawn.std()) == pytest.approx((1.0, 0.2), abs=0.005)
    edge = spectra.Strengths(0.0, 0.0, at, -4.0 * at)  # falls from 0: exponential with mean 1/2
    assert edge.draws(np.random.default_rng(1), 40_000).mean() == pytest.approx(0.5, abs=0.02)


def test_the_numbers_are_those_of_the_collected_tables(mirror: Path) -> None:
    """Row by row against the tables that the numbers were typed from, and from others than we typed."""
    names, numbers = spectra._table()
    theirs: dict[tuple[str, float], list[str]] = {}
    for file in ("gamma_diffuse.csv", "neutrino_isotropic.csv", "neutrino_galactic.csv"):
        path = mirror / "flux_points" / file
        if not path.is_file():
            pytest.skip("the folder of public files has no flux_points")
        for row in csv.DictReader(path.read_text().splitlines()):
            theirs[row["id"], float(row["energy_TeV"])] = [row[key] for key in spectra._COLUMNS]
    for name, row in zip(names, numbers, strict=True):
        assert row.tolist() == pytest.approx([float(word or "nan") for word in theirs[name, row[0]]], nan_ok=True)
    hawc, (found,) = theirs["hawc-b4", 7.0], spectra.gamma_rays("hawc").points().value.tolist()
    assert found == pytest.approx(49.0 * float(hawc[3]))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The geometry as in the table, not worked out."""
    monkeypatch.setattr(luminosity, "geometries", lambda gas: tuple(one for one in GEOMETRY if one.gas == gas))


@pytest.mark.usefixtures("quick")
def test_the_answer(call: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, out, _ = call("desert", "--draws", 2000, "--json", "--output", tmp_path)
    assert code == 0
    document = json.loads(out)
    assert document["provenance"]["n_events"] == 0
    assert [round(one["share"], 3) for one in document["galactic"]] == [0.128, 0.077, 0.062]
    assert [round(one["ratio"]) for one in document["plain"]] == [53, 78, 94, 116]
    assert "2306.17275" in document["statement_source"]
    caption = json.loads((tmp_path / "desert.json").read_text())["caption"]
    assert all(one.source in caption for one in (*BEST_FITS, *ISOTROPIC))
    again = nu.desert(draws=2000).to_dict()
    assert again["ratio"] == document["ratio"]


def own_fit(path: Path, **changed: object) -> Path:
    """The parts of an answer of ours that a flux is read from, SYNTHETIC."""
    flux = {
        "best": {"value": 1.9e-11, "error": 2e-12, "unit": "TeV cm-2 s-1"},
        "n_signal_corrected": {"value": 600.0, "error": 10.0, "unit": ""},
        "interval": {"low": 1.4e-11, "low_error": 0.0, "high": 2.4e-11, "high_error": 0.0, "level": 0.68, "unit": ""},
        "upper_limit_90": {"reason": "not asked"}, "convention": "as everywhere", "n_trials": 300,
    }  # fmt: skip
    document = {
        "provenance": {"sample": "cascades-2023", "origin": "synthetic", "n_events": 59592, "seed": 1},
        "tested": {"hypothesis": "template:pi0-like", "label": "pi0-like", "model_origin": "built-in",
                   "model_reference": "ours", "index": 2.7},
        "fitted": {"ts": 20.0, "n_signal": 600.0}, "flux": flux,
    } | changed  # fmt: skip
    path.write_text(json.dumps(document))
    return path


@pytest.mark.usefixtures("quick")
def test_a_fit_of_ours_is_stamped_as_what_it_is(tmp_path: Path) -> None:
    path = own_fit(tmp_path / "fit.json")
    found = nu.desert(flux=str(path), draws=500)
    assert found.provenance.origin == "mixed"
    assert "SYNTHETIC" in str(found)
    assert "SYNTHETIC" in found.plot().get_suptitle()
    assert galactic_flux(str(path)).at(np.array([100.0]))[0] == pytest.approx(1.9e-11)


@pytest.mark.parametrize(
    "changed",
    [
        {"flux": {"reason": "asked without injections"}},
        {"tested": {"hypothesis": "stack:snr", "label": "", "model_origin": "", "model_reference": ""}},
        {"provenance": None},
    ],
)
def test_a_file_without_a_flux_is_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    with pytest.raises(InputError, match="holds no flux of a template"):
        galactic_flux(str(own_fit(tmp_path / "fit.json", **changed)))


def test_settings_that_cannot_be_are_refused() -> None:
    for wrong in ({"flux": "pi1"}, {"flux": "nowhere.json"}, {"n0_low": 0.1, "n0_high": 0.05}, {"energy": 200.0}):
        with pytest.raises(InputError):
            nu.desert(**wrong)
