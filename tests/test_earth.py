"""The Earth against its mass and column, printed cross-sections, closed forms, and a walk of single neutrinos."""

import numpy as np
import pytest

from nuanalysis.response import earth
from nuanalysis.response.earth import (
    Flavours,
    arriving,
    column_depth,
    cross_sections,
    density,
    glashow,
    transmission,
)

AVOGADRO = 6.02214076e23
LOG10_ENERGY = np.linspace(2.0, 7.0, 121)
AREA = 10.0 ** (1.2 * LOG10_ENERGY)


def test_density_adds_up_to_the_mass_of_the_earth():
    r = (np.arange(200_000) + 0.5) / 200_000 * earth.RADIUS_KM
    mass = (4.0 * np.pi * (r * 1e5) ** 2 * density(r)).mean() * earth.RADIUS_KM * 1e5
    assert mass == pytest.approx(5.973e27, rel=1e-3)
    assert density(np.array([0.0, 6371.1])).tolist() == [13.0885, 0.0]


def test_density_jumps_at_the_core_and_at_the_crust_alone():
    jumps = density(earth._SHELLS[:-1, 0] + 1e-6) - density(earth._SHELLS[:-1, 0] - 1e-6)
    assert jumps[1] == pytest.approx(-4.34, abs=0.01)  # core to mantle
    assert (np.abs(np.delete(jumps, 1)) < 1.7).all()


@pytest.mark.parametrize(
    ("sin_dec", "printed"),
    [(1.0, 1.095e10), (0.8, 4.89e9), (0.6, 3.28e9), (0.4, 1.84e9), (0.2, 8.4e8), (0.1, 3.8e8)],
)
def test_column_depth_from_the_surface(sin_dec, printed):
    assert column_depth(np.array([sin_dec]), depth_km=0.0)[0] == pytest.approx(printed, rel=5e-3)


def test_column_depth_above_the_detector_is_that_of_the_ice():
    down, horizon = column_depth(np.array([-1.0, 0.0]))
    assert down == pytest.approx(1.95e5 * 0.92, rel=1e-6)
    # The horizontal chord from that depth, sqrt(2 R d - d^2) = 157.6 km, stays in the ice.
    assert horizon == pytest.approx(np.sqrt(2 * 6371.0 * 1.95 - 1.95**2) * 1e5 * 0.92, rel=1e-3)


def test_cross_sections_are_those_of_another_calculation():
    """Connolly, Thorne & Waters, Phys. Rev. D 83, 113009 (2011), arXiv:1102.0691, equation 7 and table III."""
    for row, c in zip(
        cross_sections(np.arange(4.0, 7.01, 0.25)),
        (
            (-1.826, -17.31, -6.406, 1.431, -17.91),
            (-1.826, -17.31, -6.448, 1.431, -18.61),
            (-1.033, -15.95, -7.247, 1.569, -17.72),
            (-1.033, -15.95, -7.296, 1.569, -18.30),
        ),
        strict=True,
    ):
        x = np.log(np.arange(4.0, 7.01, 0.25) - c[0])
        other = 10.0 ** (c[1] + c[2] * x + c[3] * x**2 + c[4] / x)
        assert row == pytest.approx(other, rel=0.12)  # the errors of the parton densities are 4 to 10 per cent


def test_the_glashow_resonance_stands_at_its_energy_with_its_width():
    at = np.linspace(6.5, 7.1, 6001)
    sigma = glashow(at)
    assert 10.0 ** at[sigma.argmax()] == pytest.approx(6.32e6, rel=5e-3)
    assert sigma.max() == pytest.approx(0.5 * 4.9e-31, rel=2e-3)
    above = 10.0 ** at[sigma > 0.5 * sigma.max()]
    assert (above[-1] - above[0]) / 6.32e6 == pytest.approx(2 * 2.085 / 80.38, rel=0.02)  # in s, twice that in mass


def closed(column, weights=(0.5, 0.5), back=0.0):
    """exp(-N sigma X) for neutrinos and antineutrinos seen by cross-section; back : of a neutral current not lost."""
    cc, nc, bar_cc, bar_nc = cross_sections(LOG10_ENERGY)
    part = (cc + nc) / (cc + nc + bar_cc + bar_nc)
    gone = [np.exp(-AVOGADRO * column * (c + (1.0 - back) * n)) for c, n in ((cc, nc), (bar_cc, bar_nc))]
    return part * gone[0] + (1.0 - part) * gone[1]


def test_nothing_in_the_way_takes_nothing_and_more_matter_takes_more():
    column = np.array([0.0, 1e5, 1e8, 1e9, 4e9, 1.095e10])
    found = transmission(LOG10_ENERGY, column, AREA, Flavours(1 / 3, 1 / 3, 1 / 3))
    assert found[0] == pytest.approx(np.ones(121), abs=1e-12)
    assert found[1] == pytest.approx(np.ones(121), abs=2e-3)
    assert (np.diff(found, axis=0) < 0).all()
    below = LOG10_ENERGY < 6.3  # beyond the resonance of electron antineutrinos more comes through again
    assert (np.diff(found[1:, below], axis=1) < 0).all()


def test_without_what_comes_back_it_is_an_exponential(monkeypatch):
    monkeypatch.setattr(earth, "_at_fraction", lambda log10_energy, fraction: np.zeros((121, 121)))
    column = np.array([3e8, 2.5e9, 1.1e10])
    found = transmission(LOG10_ENERGY, column, AREA, Flavours(0.0, 1.0, 0.0))
    assert found == pytest.approx(np.array([closed(x) for x in column]), rel=2e-3)
    # The values printed by others for all of the matter: 0.71 and 0.175 through the centre at 10 and 100 TeV.
    assert np.interp([4.0, 5.0], LOG10_ENERGY, found[-1]) == pytest.approx([0.70, 0.173], rel=0.02)


@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_thin_matter_gives_back_the_events_of_the_energy_that_is_handed_on(tau):
    """To first order: what is lost is N X (sigma_CC + sigma_NC) less what is handed on, by area there over here."""
    column, power = 1e6, 0.8
    found = transmission(LOG10_ENERGY, np.array([column]), 10.0 ** (power * LOG10_ENERGY), Flavours(0.0, 1 - tau, tau))
    cc, nc, bar_cc, bar_nc = cross_sections(LOG10_ENERGY)
    part = (cc + nc) / (cc + nc + bar_cc + bar_nc)
    lost = 0.0
    for share, charged, neutral, y in (
        (part, cc, nc, (0.48, 0.42, 0.35, 0.28)),
        (1 - part, bar_cc, bar_nc, (0.38, 0.37, 0.34, 0.28)),
    ):
        kept = 1.0 - np.interp(LOG10_ENERGY, (3.0, 4.0, 5.0, 6.0), y)
        lost += share * (neutral * (1 - kept**power) + charged * (1 - tau * (0.4 * kept) ** power))
    use = LOG10_ENERGY > 3.5
    assert 1.0 - found[0, use] == pytest.approx(AVOGADRO * column * lost[use], rel=0.01)


def test_tau_neutrinos_through_half_the_earth_are_those_of_a_walk_of_single_ones():
    """From one interaction to the next, 40,000 neutrinos of 1 PeV; an antineutrino walks by its own cross-sections."""
    rng, column, n = np.random.default_rng(1), 4.89e9, 40_000
    found = transmission(LOG10_ENERGY, np.array([column]), AREA, Flavours(0.0, 0.0, 1.0))[0]
    sigma = cross_sections(LOG10_ENERGY)
    part = np.interp(6.0, LOG10_ENERGY, sigma[:2].sum(axis=0) / sigma.sum(axis=0))
    walked = 0.0
    for share, (charged, neutral), y in (
        (part, sigma[:2], (0.48, 0.42, 0.35, 0.28)),
        (1 - part, sigma[2:], (0.38, 0.37, 0.34, 0.28)),
    ):
        energy, left = np.full(n, 6.0), np.full(n, column)
        while (left > 0).any():
            here = [np.interp(energy, LOG10_ENERGY, s) for s in (charged, neutral)]
            left -= rng.exponential(1.0, n) / (AVOGADRO * (here[0] + here[1]))
            hit = left > 0
            kept = 1.0 - np.interp(energy, (3.0, 4.0, 5.0, 6.0), y)
            fraction = np.where(rng.random(n) < here[0] / (here[0] + here[1]), 0.4 * kept, kept)
            energy = np.where(hit, energy + np.log10(fraction), energy)
        walked += share * (10.0 ** (1.2 * (energy - 6.0))).mean()
    assert np.interp(6.0, LOG10_ENERGY, found) == pytest.approx(walked, rel=0.02)
    # Three times what comes through without an interaction.
    assert walked > 2.5 * np.interp(6.0, LOG10_ENERGY, closed(column))


def test_electron_antineutrinos_of_the_resonance_do_not_cross_the_earth():
    column = np.array([3e8])
    electron, muon = (transmission(LOG10_ENERGY, column, AREA, Flavours(e, 1.0 - e, 0.0))[0] for e in (1.0, 0.0))
    resonance = np.abs(LOG10_ENERGY - 6.8).argmin()
    assert electron[resonance] < 0.55 * muon[resonance]  # the antineutrinos, half of all, are gone
    assert electron[60] == pytest.approx(muon[60], rel=1e-3)


def test_energies_at_the_detector_add_up_to_the_transmission_and_to_what_was_not_hit():
    column, flavours = 4e9, Flavours(0.0, 1.0, 0.0)
    split = arriving(LOG10_ENERGY, column, AREA, flavours)
    assert split.sum(axis=1) == pytest.approx(
        transmission(LOG10_ENERGY, np.array([column]), AREA, flavours)[0], rel=1e-3
    )
    assert (split[np.triu_indices(121, 1)] == 0.0).all()  # energy is lost, never won
    # The part at the full energy came through without an interaction.
    assert np.diag(split)[20:] == pytest.approx(closed(column)[20:], rel=2e-3)
