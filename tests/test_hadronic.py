"""Gamma rays beside neutrinos: relation, yields, loss on the way, masks, the ratio and its interval."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import nuanalysis as nu
from nuanalysis.answers import _hadronic_rows as rows
from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import scipy
from nuanalysis.errors import DataError, InputError
from nuanalysis.interpret import hadronic, masks
from nuanalysis.interpret.regions import band, region
from nuanalysis.interpret.spectra import GAMMA_RAYS, Points, best_fit, gamma_rays
from nuanalysis.records import Unknown
from nuanalysis.sky.galaxy import GAS, YIELDS, absorption, emissivity, sight
from nuanalysis.sky.galaxy.cosmic_rays import LocalSpectrum, Nucleus
from nuanalysis.sky.galaxy.yields import kelner

ENERGIES = np.log10([1e3, 3e3, 1e4, 3e4, 1e5])
# R of the pi0 best fit with T = 1: data, gamma-ray energy in TeV, R.
TABLE = {
    "fermi-inner": {0.0094: 1.81, 0.0373: 1.49, 0.0936: 1.19},
    "argo": {0.39: 1.51, 0.75: 1.27, 1.64: 1.94},
    "hawc": {7.0: 0.94},
    "lhaaso-inner": {12.6: 1.50, 20: 1.50, 31.6: 2.30, 50.1: 2.58, 79.4: 3.41, 125.9: 3.90, 199.5: 2.95, 316.2: 4.13,
                     501.2: 2.94, 794.3: 4.82},
    "lhaaso-outer": {15.8: 1.89, 39.8: 1.72, 100: 3.17, 251.2: 4.01, 631: 3.88},
    "tibet-inner": {119.378: 0.73, 219.109: 1.18, 531.22: 0.61},
    "tibet-outer": {119.378: 0.80, 219.109: 1.18, 531.22: 0.82},
}  # fmt: skip


def protons(index: float) -> LocalSpectrum:
    return LocalSpectrum((Nucleus(1, 1, lambda energy: np.asarray(energy**-index)),), "a power law")


def test_the_relation_at_equal_energy() -> None:
    assert hadronic.equal_energy_ratio(2.7) == pytest.approx(2 * 2**-2.7)
    assert hadronic.equal_energy_ratio(2.7) == pytest.approx(0.308, abs=5e-4)
    assert hadronic.gamma_rays_beside(hadronic.neutrinos_beside(np.array(3.0))) == pytest.approx(3.0)


def test_kelner_keeps_to_the_relation_within_a_fifth() -> None:
    """E^-2.7 at 1 to 100 TeV; the neutrinos at half the energy over those of the relation."""
    half = np.log10(0.5)
    neutrinos = emissivity.local(ENERGIES + half, protons(2.7), YIELDS["kelner"])
    photons = emissivity.local_gamma_rays(ENERGIES, protons(2.7), YIELDS["kelner"])
    found = 0.25 * neutrinos / (0.5 * photons)
    assert np.all(np.abs(found - 1.0) < 0.2)
    assert hadronic.of_yields(ENERGIES) == pytest.approx(0.81, abs=0.02)  # h3a, whose protons bend


def test_two_sources_of_yields_agree_on_gamma_rays() -> None:
    pytest.importorskip("aafragpy")
    both = [emissivity.local_gamma_rays(ENERGIES, protons(2.7), YIELDS[name]) for name in ("kelner", "aafrag")]
    assert both[0] / both[1] == pytest.approx(1.25, abs=0.08)
    assert hadronic.of_yields(ENERGIES, "aafrag") == pytest.approx(1.0, abs=0.03)


def test_gamma_rays_of_one_proton_carry_a_sixth_of_its_energy() -> None:
    """Eq. 58 integrated: pi0 and eta take about 17 % of a proton of 1 TeV, and electron neutrinos less than that."""
    x = np.logspace(-6, -1e-5, 6000)
    log_tev = np.zeros(x.size)
    share = np.trapezoid(x**2 * kelner.from_neutral_mesons(x, log_tev), np.log(x))
    electrons = np.trapezoid(x**2 * kelner.from_muons(x, log_tev), np.log(x))
    assert 0.15 < share < 0.22
    assert 0.1 < electrons / share < 0.4


def test_yields_are_not_continued_to_where_nobody_states_them() -> None:
    found = hadronic.of_yields(np.log10([10.0, 1e3]))
    assert np.isnan(found[0])
    assert np.isfinite(found[1])


@pytest.mark.parametrize(
    ("pev", "kpc"), [(0.2, 391), (0.5, 20.3), (1.0, 8.95), (2.0, 7.09), (2.2, 7.07), (3.0, 7.26), (10.0, 11.4)]
)
def test_the_mean_free_path_in_the_microwaves(pev: float, kpc: float) -> None:
    assert absorption.mean_free_path(np.array([np.log10(pev) + 6.0]))[0] == pytest.approx(kpc, rel=0.01)


def test_the_mean_free_path_by_an_integral_over_angle() -> None:
    """The same rate written plainly: int deps n(eps) int dmu (1 - mu) / 2 sigma(beta), by nested quadrature."""
    energy, thermal, mass = 1e15, absorption.BOLTZMANN * absorption.TEMPERATURE, absorption.ELECTRON_MASS

    def over_angle(photon: float) -> float:
        least = 2.0 * mass**2 / (energy * photon)  # of 1 - mu
        if least >= 2.0:
            return 0.0
        open_angle = np.linspace(np.sqrt(least), np.sqrt(2.0), 400) ** 2
        beta = np.sqrt(np.maximum(1.0 - least / open_angle, 0.0))
        return float(np.trapezoid(0.5 * open_angle * absorption.pair_cross_section(beta), open_angle))

    def rate(log_photon: float) -> float:
        photon = np.exp(log_photon)
        number = photon**2 / (np.pi**2 * absorption.HBAR_C**3 * np.expm1(photon / thermal))
        return float(photon * number * over_angle(photon))

    ends = np.log(mass**2 / energy), np.log(60 * thermal)
    found, _ = scipy.integrate.quad(rate, *ends, epsrel=1e-4, limit=200)
    assert absorption.mean_free_path(np.array([6.0]))[0] == pytest.approx(1.0 / found / 3.0856776e21, rel=2e-3)


def test_pairs_are_made_as_the_limits_say() -> None:
    """At threshold (3/8) sigma_T beta; the peak is 0.26 sigma_T at beta = 0.70."""
    small = np.array([1e-3])
    assert absorption.pair_cross_section(small) == pytest.approx(0.375 * absorption.THOMSON * small, rel=1e-3)
    beta = np.linspace(0.01, 0.999, 2000)
    found = absorption.pair_cross_section(beta) / absorption.THOMSON
    assert (found.max(), beta[found.argmax()]) == pytest.approx((0.256, 0.70), abs=0.005)


def test_survival_from_the_centre() -> None:
    found = absorption.survival(np.array([8.5]), np.log10([0.2, 0.5, 1.0, 2.0]) + 6.0)[:, 0]
    assert found == pytest.approx([0.98, 0.66, 0.39, 0.30], abs=0.006)


def test_columns_by_distance_hold_all_of_the_gas() -> None:
    """Summed over distance they are the columns of the same lines; near lines are near."""
    longitude, latitude = np.radians([0.0, 30.0, 120.0]), np.radians([0.2, -1.0, 3.0])
    relative = np.exp(-sight.KNOTS / 5.0)
    gas = GAS["bronfman-ferriere"]
    by_distance = sight.by_distance(gas, relative, longitude, latitude, halo_height=4.0)
    whole = sight.columns(gas.density, longitude, latitude, halo_height=4.0) @ relative
    assert by_distance.sum(axis=1) == pytest.approx(whole, rel=2e-3)
    ended = sight.columns(gas.density, longitude, latitude, halo_height=4.0, end=2.0, n_steps=960) @ relative
    assert by_distance[:, sight.DISTANCES <= 2.0].sum(axis=1) == pytest.approx(ended, rel=0.1)


def test_a_region_loses_what_its_lines_lose() -> None:
    """Against the direct sum over the steps of one line."""
    part = band("small", "small", [(29.99, 30.01)], 0.01)
    relative = np.ones(len(sight.KNOTS))
    weights = hadronic.distance_weights(part, GAS["nakanishi-sofue"], relative)
    found = hadronic.survival(weights, np.array([1000.0]))[0]
    s = np.linspace(1e-3, 25.0, 40_001)
    x, y = s * np.cos(np.radians(30)) - 8.5, s * np.sin(np.radians(30))
    made = GAS["nakanishi-sofue"].density(x, y, np.zeros_like(s))
    through = absorption.survival(s, np.array([6.0]))[0]
    assert found == pytest.approx((made * through).sum() / made.sum(), rel=5e-3)


def test_a_disc_takes_its_solid_angle() -> None:
    found = masks.left_open(64, np.radians([83.6]), np.radians([22.0]), np.radians([3.0]))
    taken = (1.0 - found).sum() * hp.nside2pixarea(64)
    assert taken == pytest.approx(2 * np.pi * (1 - np.cos(np.radians(3.0))), rel=0.005)
    again = masks.left_open(64, np.radians([83.6, 83.6]), np.radians([22.0, 22.0]), np.radians([3.0, 2.0]))
    assert np.array_equal(found, again)  # what two discs cover counts once


def test_masks_that_leave_nothing_or_are_too_coarse_are_refused() -> None:
    flat, part = np.ones(12 * 16**2), region("lhaaso-inner")
    assert masks.unmasked_over_whole(flat, part, flat) == pytest.approx((1.0, 1.0))
    with pytest.raises(InputError, match="leave nothing"):
        masks.unmasked_over_whole(flat, part, 0.0 * flat)
    with pytest.raises(InputError, match="coarser map"):
        masks.left_open(2048, np.zeros(1), np.zeros(1), np.ones(1))


def made_points(value: float, stat: float, sys: float, n: int) -> Points:
    at = np.full(n, 100.0)
    return Points(at, at, at, *(np.full(n, x) for x in (value, stat, stat, sys, sys)))


def test_errors_that_move_points_together_and_apart() -> None:
    """Systematic errors do not average over points; statistical ones do."""
    rng, sure = np.random.default_rng(3), np.ones(40_000)
    exact = hadronic.ratios(made_points(2.0, 0.0, 0.0, 2), np.array([3.0, 1.0]), sure, rng)
    assert exact.best == pytest.approx([3.0, 1.0])
    assert (exact.low == exact.high).all()
    assert exact.above_one.tolist() == [1.0, 0.0]
    found = hadronic.ratios(made_points(2.0, 0.2, 0.0, 1), np.array([1.0]), sure, rng)
    assert 0.5 * (found.high - found.low)[0] == pytest.approx(0.1, rel=0.06)
    assert found.above_one[0] == pytest.approx(0.5, abs=0.01)
    apart = hadronic.ratios(made_points(2.0, 0.2, 0.0, 4), np.ones(4), sure, rng).mean
    together = hadronic.ratios(made_points(2.0, 0.0, 0.2, 4), np.ones(4), sure, rng).mean
    assert 0.5 * (apart[2] - apart[1]) == pytest.approx(0.05, rel=0.06)
    assert 0.5 * (together[2] - together[1]) == pytest.approx(0.1, rel=0.06)


def test_the_flux_error_is_common_and_not_a_gaussian() -> None:
    strengths = best_fit("pi0").strengths.draws(np.random.default_rng(1), 40_000)
    found = hadronic.ratios(made_points(2.0, 0.0, 0.0, 1), np.array([1.0]), strengths, np.random.default_rng(2))
    assert (found.low[0], found.high[0]) == pytest.approx((16.9 / 21.8, 27.1 / 21.8), abs=0.01)


@pytest.mark.parametrize(
    ("name", "systematic", "index", "error", "norm", "chi2"),
    [
        ("lhaaso-inner", False, 2.974, 0.032, 1.04e-14, 24.3),
        ("lhaaso-inner", True, 2.979, 0.049, 1.03e-14, 9.4),
        ("lhaaso-outer", False, 2.99, 0.07, 4.6e-15, 4.6),
    ],
)
def test_power_laws_through_lhaaso(
    name: str, systematic: bool, index: float, error: float, norm: float, chi2: float
) -> None:
    found = hadronic.power_law(gamma_rays(name).points(), systematic=systematic)
    assert (found.index, found.index_error) == pytest.approx((index, error), abs=0.01)
    assert found.norm == pytest.approx(norm, rel=0.01)
    assert found.chi2 == pytest.approx(chi2, abs=0.1)


def test_inner_over_outer() -> None:
    fits = [hadronic.power_law(gamma_rays(name).points(), systematic=False) for name in rows.MASKED]
    assert fits[0].norm / fits[1].norm == pytest.approx(2.26, abs=0.03)


def test_a_power_law_is_found_again() -> None:
    energy = np.geomspace(10.0, 1000.0, 8)
    value = 2e-14 * 50.0**2 * (energy / 50.0) ** (2.0 - 2.8)
    error = 0.1 * value
    found = hadronic.power_law(Points(energy, energy, energy, value, error, error, error, error), systematic=False)
    assert (found.norm, found.index) == pytest.approx((2e-14, 2.8))
    assert found.chi2 == pytest.approx(0.0, abs=1e-9)


def test_the_public_tracks() -> None:
    found = rows.tracks(2.974)
    assert found.ratio == pytest.approx(2.55, rel=0.02)
    assert found.error_high == pytest.approx(1.36, rel=0.02)
    assert found.above_one == pytest.approx(1.1, abs=0.1)


@pytest.fixture(scope="module")
def answer(mirror: Path) -> object:
    if not (mirror / "galactic_templates").is_dir():
        pytest.skip("the published pi0 map is not here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUANALYSIS_DATA", str(mirror))
        return nu.hadronic(draws=4000)


def test_every_row_of_the_table(answer: object) -> None:
    found = {(one.data, round(one.energy, 6)): one.ratio for one in answer.rows_found}  # type: ignore[attr-defined]
    for name, expected in TABLE.items():
        for energy, ratio in expected.items():
            nearest = min((key for key in found if key[0] == name), key=lambda key: abs(np.log(key[1] / energy)))
            assert found[nearest] == pytest.approx(ratio, rel=0.02), (name, energy)
    assert len(found) == sum(len(one.points()) for one in GAMMA_RAYS)


def test_what_stands_beside_each_row(answer: object) -> None:
    for one in answer.rows_found:  # type: ignore[attr-defined]
        assert one.low < one.median < one.high
        assert one.absorbed == pytest.approx(one.ratio * one.survival)
        assert one.survival_low <= one.survival <= one.survival_high < 1.0 + 1e-12
        assert one.source
        assert (one.inside_masks is not None) == one.masked
    inner, outer = answer.masks  # type: ignore[attr-defined]
    assert 0.9 < inner.open < outer.open < 1.0
    assert inner.factor < outer.factor <= 1.01
    assert "no fraction" in str(answer)


def test_without_catalogues_no_mask_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(asked: object) -> None:
        raise DataError("the catalogues are not here")

    monkeypatch.setattr(rows, "open_table", absent)
    found = rows.left_open(SimpleNamespace(nside=16), 0.01)  # type: ignore[arg-type]
    assert isinstance(found, Unknown)
    assert rows.mask_of(gamma_rays("lhaaso-inner"), SimpleNamespace(), found) is None  # type: ignore[arg-type]


def test_the_figures_cite_every_point(answer: object) -> None:
    ratios, spectra = answer.drawn()  # type: ignore[attr-defined]
    for one in (ratios, spectra):
        assert all(data.source in one.sidecar.caption for data in GAMMA_RAYS)
        assert best_fit("pi0").source in one.sidecar.caption
    assert "not confirmed" in spectra.sidecar.caption


def test_the_verb(call: Callable[..., tuple[int, str, str]], mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    code, out, _ = call("hadronic", "--draws", 200, "--json")
    assert code == 0
    assert json.loads(out)["inner_over_outer"] == pytest.approx(2.26, abs=0.03)
    code, _, err = call("hadronic", "--flux", "kra5")
    assert code == 2
    assert "Did you mean 'kra-5'" in err
