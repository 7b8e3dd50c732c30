"""Passing fractions and atmospheric fluxes against printed numbers, another table, and closed forms."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from nuanalysis.detector import _fluxes as fluxes
from nuanalysis.detector import _veto as veto
from nuanalysis.detector._volume import slant
from nuanalysis.errors import InputError
from nuanalysis.response._atmosphere import read_table

LOG10_ENERGY = np.array([3.0, 4.0, 5.0, 6.0])
MIDDLE = np.array([[0.0, 0.0, -1.93]])  # 1,950 m deep


def passing(law, log10_energy, cosine, left=1000.0):
    log10_energy = np.asarray(log10_energy, dtype=float)
    cosines = np.full(len(log10_energy), float(cosine))
    overburden = np.full(len(log10_energy), slant(MIDDLE, np.array([float(cosine)]))[0])
    return veto.passing(law, log10_energy, cosines, overburden, left=left)


@pytest.mark.parametrize(
    ("cosine", "electron", "charm"),
    [
        (1.0, (0.88, 0.56, 0.22, 0.02), (0.94, 0.69, 0.31, 0.05)),
        (0.6, (0.92, 0.66, 0.31, 0.05), (0.97, 0.78, 0.41, 0.10)),
        (0.3, (0.99, 0.91, 0.70, 0.36), (1.0, 0.95, 0.78, 0.47)),
    ],
)
def test_passing_fractions_as_printed(cosine, electron, charm):
    """To 3 % and the rounding of the second digit."""
    assert passing(veto.NUE, LOG10_ENERGY, cosine) == pytest.approx(electron, rel=0.03, abs=0.005)
    assert passing(veto.CHARM, LOG10_ENERGY, cosine) == pytest.approx(charm, rel=0.03, abs=0.005)


def test_the_printed_number_at_10_TeV():
    assert passing(veto.NUE, [4.0], 1.0)[0] == pytest.approx(0.56, rel=0.03)


def test_muon_neutrinos_are_those_of_another_calculation():
    """A table of the published program, with its own integral over decays in place of our closed form."""
    for cosine, *printed in read_table("atmosphere_passing"):
        if cosine > 0.0:
            found = passing(veto.NUMU, [3.0, 4.0, 5.0], cosine)
            assert found == pytest.approx(printed[3:], rel=0.03, abs=0.005)


@pytest.mark.parametrize("law", [veto.NUE, veto.NUMU, veto.CHARM])
def test_fewer_pass_with_energy_and_all_from_below(law):
    at = np.linspace(2.5, 6.5, 17)
    for cosine in (0.2, 0.6, 1.0):
        assert (np.diff(passing(law, at, cosine)) <= 0.0).all()
        assert passing(law, at[-1:], cosine)[0] < 0.7 * passing(law, at[:1], cosine)[0]
    assert (passing(law, at, -0.3) == 1.0).all()
    assert passing(law, at, 0.05, left=1e4) == pytest.approx(np.ones(17), abs=1e-4)  # under 38 km of ice
    assert (np.diff([passing(law, [4.0], 0.7, left=m)[0] for m in (300.0, 1e3, 3e3, 1e4)]) > 0.0).all()


def test_yields_are_the_integral_of_their_spectrum():
    energy = np.geomspace(1e3, 1e6, 4001)
    for law in (veto.MUONS, veto.NUE, veto.CHARM):
        at = [np.full(4001, x) for x in (1e6, 4.0, 0.7)]
        spectrum = veto.number_at(law, energy, *at)
        above = veto.number_above(law, energy, *at)
        assert above[0] - above[2000] == pytest.approx(np.trapezoid(spectrum[:2001], energy[:2001]), rel=1e-4)


def test_a_muon_needs_more_at_the_surface_than_it_has_left():
    """2.2 TeV for a TeV left at 1,950 m; and a little above the loss by ionisation for nothing left."""
    deep = np.array(1950.0)
    assert veto.surface_energy(np.array([1000.0, 5000.0]), deep) == pytest.approx(np.array([2178.0, 10890.0]), rel=1e-3)
    assert veto.surface_energy(np.array(1000.0 - 1e-9), deep) == pytest.approx(2178.0, rel=1e-3)
    assert 1.0 < veto.surface_energy(np.array(0.0), deep) / (0.2387 * 1950.0) < 1.3


def test_the_effective_cosine_is_the_cosine_but_near_the_horizon():
    assert veto.effective_cosine(np.array([1.0])) == pytest.approx([1.0])
    assert veto.effective_cosine(np.array([0.5])) == pytest.approx([0.5], rel=0.03)
    assert 0.05 < veto.effective_cosine(np.array([0.0]))[0] < 0.15


def test_a_muon_of_the_same_decay_is_hidden_only_where_kinematics_allow_it_to_be_soft():
    """A pion's muon has at least r / (1 - r) = 1.34 times the neutrino's energy, a kaon's 0.048 times."""
    energy, one = np.full(3, 1e4), np.ones(3)
    found = veto.decay_passing(energy, one, np.array([1.0, 470.0, 1e7]))
    assert found[:2] == pytest.approx([0.0, 0.0], abs=1e-12)
    assert found[2] > 0.999
    pion = veto.decay_passing(energy, one, np.array([1e3, 5e3, 1.34e4]))
    assert (np.diff(pion) > 0).all()


def test_the_hardest_muon_has_the_law_of_what_passes():
    n, one = 1000, np.ones(1000)
    at = 4.5 * one, 0.8 * one, 2400.0 * one
    found = veto.leading_energy(veto.NUE, *at, (np.arange(n) + 0.5) / n)
    for left in (30.0, 100.0, 1000.0, 10_000.0):
        expected = veto.accompanied(veto.NUE, *(x[:1] for x in at), left=left)[0]
        assert (found >= left).mean() == pytest.approx(expected, abs=0.01)


# --- fluxes ------------------------------------------------------------------------------------------------------


def honda():
    """The table of the South Pole at solar minimum: blocks of falling cosine, 12 azimuths each."""
    path = Path(os.environ["NUANALYSIS_DATA"]) / "atmospheric_flux" / "honda-2015-spl-solmin.d.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    rows = np.array([line.split() for line in lines if line.split() and line.split()[0][0].isdigit()], dtype=float)
    mean = rows.reshape(20, 12, 101, 5)[::-1].mean(axis=1)
    names = ("numu", "numubar", "nue", "nuebar")
    columns = {name: (("cos_zenith", "energy"), mean[:, :, k + 1]) for k, name in enumerate(names)}
    return xr.Dataset(columns, {"cos_zenith": np.arange(-0.95, 1.0, 0.1), "energy": mean[0, :, 0]})


def made():
    """A flux of one power law of each flavour with scatter among electron neutrinos."""
    at, rng = np.linspace(1.0, 4.0, 61), np.random.default_rng(1)
    law = np.array([1e-3, 1e-3, 3e-2, 3e-2])[:, None, None] * 10.0 ** (-3.5 * at) * np.ones((4, 3, 1))
    law[:2, :, at > 3.4] *= np.exp(0.05 * rng.normal(size=(2, 3, (at > 3.4).sum())))
    return fluxes.AtmosphericFlux(at, np.array([-0.5, 0.0, 0.5]), law)


def both(flux, log10_energy, cosine, flavour):
    at = np.atleast_1d(np.asarray(log10_energy, dtype=float))
    c = np.full(len(at), float(cosine))
    return sum(fluxes.conventional(flux, at, c, np.full(len(at), p)) for p in (flavour, -flavour))


@pytest.mark.real_data
def test_the_table_and_its_continuation():
    flux = fluxes.continued(fluxes.flux_from_table(honda()))
    for cosine, numu, nue in (
        (0.95, (2.48e-7, 6.9e-11), (9.2e-9, 2.2e-12)),
        (0.05, (8.14e-7, 4.3e-10), (6.2e-8, 1.6e-11)),
    ):
        assert both(flux, [3.0, 4.0], cosine, 14) == pytest.approx(numu, rel=0.01)
        assert both(flux, [3.0, 4.0], cosine, 12) == pytest.approx(nue, rel=0.04)
    for cosine, flavour, index in ((0.95, 14, -3.60), (0.05, 14, -3.31), (0.95, 12, -3.68), (0.05, 12, -3.58)):
        low, high = both(flux, [4.2, 4.4], cosine, flavour)
        assert np.log(high / low) / np.log(10.0**0.2) == pytest.approx(index, abs=0.03)


@pytest.mark.real_data
def test_prompt_equals_conventional_where_it_is_said_to():
    flux = fluxes.continued(fluxes.flux_from_table(honda()))
    at = np.linspace(3.5, 6.0, 251)
    for cosine, energy in ((1.0, 18e3), (0.0, 154e3)):
        c = np.full(251, cosine)
        ratio = 2 * fluxes.prompt(flux, at, c, np.full(251, 14)) / both(flux, at, cosine, 12)
        assert 10.0 ** np.interp(0.0, np.log(ratio), at) == pytest.approx(energy, rel=0.02)
    assert (fluxes.prompt(flux, at, np.full(251, 0.5), np.full(251, 16)) == 0.0).all()
    assert (fluxes.conventional(flux, at, np.full(251, 0.5), np.full(251, -16)) == 0.0).all()


def test_scatter_of_electron_neutrinos_is_smoothed_and_the_index_steepens_at_the_knee():
    flux = fluxes.continued(made())
    at = np.linspace(3.5, 3.95, 10)
    assert both(flux, at, 0.2, 12) == pytest.approx(2e-3 * 10.0 ** (-3.5 * at), rel=0.06)
    assert np.abs(np.diff(np.log(both(flux, at, 0.2, 12)), 2)).max() < 0.01
    assert both(flux, at, 0.2, 14) == pytest.approx(6e-2 * 10.0 ** (-3.5 * at), rel=1e-3)
    slope = np.diff(np.log10(both(flux, [4.1, 4.3, 7.5, 7.9], 0.2, 14)))[[0, 2]] / [0.2, 0.4]
    assert slope == pytest.approx([-3.5, -3.8], abs=0.01)


def test_a_flux_of_another_shape_is_refused():
    one = made()
    with pytest.raises(InputError, match="average over azimuth"):
        fluxes.AtmosphericFlux(one.log10_energy, one.cos_zenith, one.values[:, :, :-1])
    with pytest.raises(InputError, match="must rise"):
        fluxes.AtmosphericFlux(one.log10_energy, one.cos_zenith[::-1], one.values)


def test_all_particles_are_those_of_other_experiments():
    """All-particle E^2.6 J, (m2 s sr) GeV^1.6: 1.0e4 at 1 PeV and 6.3e3 at 10 PeV to 20 % (PDG review, figure 30.9)."""
    e = np.array([1e6, 1e7])
    assert (sum(fluxes.primary(i, e) for i in range(5)) * e**2.6) == pytest.approx([1.07e4, 6.3e3], rel=0.2)
    # Below the knee five power laws: protons 7860 E^-2.66 and little else of them.
    assert fluxes.primary(0, np.array(1e3)) == pytest.approx(7860 * 1e3**-2.66, rel=0.03)


def test_astrophysical_neutrinos_have_half_of_a_flavour_each():
    found = fluxes.astrophysical(np.array([5.0, 6.0]), per_flavour=1.66e-14, index=2.53)
    assert found == pytest.approx([0.83e-14, 0.83e-14 * 10**-2.53])
