"""The synthetic twin against the released distributions, and injected signal against its template and response."""

from dataclasses import replace

import healpy as hp
import numpy as np
import pytest
from scipy.stats import chi2, chisquare, kstest, norm
from small_problem import catalogue, plane, twin

from nuanalysis import simulate
from nuanalysis.errors import InputError
from nuanalysis.response import (
    NOMINAL,
    Kernel,
    Variation,
    acceptance,
    band_of,
    cascades_2023,
    draw_true_energy,
    energy_density,
)
from nuanalysis.sky.records import PointSource, PowerLaw
from nuanalysis.sphere import cos_separation, harmonics, pixel_directions, smoothed

SEEDS = (1, 2, 3)
SPECTRUM = PowerLaw(2.7)


def column(events, name):
    return np.asarray(events[name].values)


def counted(events, name, edges, of=lambda v: v):
    return np.histogram(of(column(events, name)), edges)[0].astype(float)


def pearson(counts, expected):
    """Chi-square and degrees of freedom; bins with fewer than five expected are joined."""
    joined = [[0.0, 0.0]]
    for c, e in zip(counts, expected, strict=True):
        joined[-1][0] += c
        joined[-1][1] += e
        if joined[-1][1] >= 5.0:
            joined.append([0.0, 0.0])
    c, e = np.array(joined[:-1]).T
    c[-1] += joined[-1][0]
    e[-1] += joined[-1][1]
    return float(((c - e) ** 2 / e).sum()), len(c) - 1


def marginals(seed):
    """(counts, expectation) of the twin without signal for each released distribution."""
    table, events = cascades_2023.marginals(), twin(seed)
    yield counted(events, "declination", table.sin_dec_edges, np.sin), table.sin_dec[:, 0]
    yield counted(events, "angular_error", table.angular_error_edges), table.angular_error[:, 0]
    edges = np.maximum(table.log10_energy_edges, cascades_2023.THRESHOLD_LOG10)
    use = np.diff(edges) > 0
    edges = np.append(edges[:-1][use], edges[-1])
    atmospheric, astrophysical = table.energy[use].T
    expected = astrophysical + atmospheric * (cascades_2023.N_EVENTS - astrophysical.sum()) / atmospheric.sum()
    # The twin keeps nothing below 500 GeV.
    yield counted(events, "log10_energy", edges), expected


def test_the_twin_holds_the_published_number_of_events_and_says_synthetic():
    events = twin()
    assert events.sizes["event"] == 59_592
    assert events.attrs["origin"] == "synthetic"
    assert "SYNTHETIC" in events.attrs["note"]
    assert events.attrs["livetime_s"] == pytest.approx(304_047_105.07)
    assert (np.diff(column(events, "mjd")) >= 0).all()


@pytest.mark.parametrize("which", [0, 1, 2], ids=["sin(dec)", "angular error", "energy"])
def test_marginals_agree_with_the_released_tables_within_statistical_errors(which):
    total, freedom = 0.0, 0
    for seed in SEEDS:
        counts, expected = list(marginals(seed))[which]
        value, n = pearson(counts, expected)
        assert chi2.sf(value, n) > 0.001, (seed, value, n)
        total, freedom = total + value, freedom + n
    assert chi2.sf(total, freedom) > 0.001


def test_isotropic_astrophysical_energies_follow_the_released_figure_s1():
    table = cascades_2023.marginals()
    edges = table.log10_energy_edges
    use = edges[:-1] >= 2.75  # above the bin that the threshold cuts
    counts = sum(
        np.histogram(column(twin(s), "log10_energy")[column(twin(s), "component") == 2], edges)[0] for s in SEEDS
    )[use].astype(float)
    expected = table.energy[use, 1]
    value, freedom = pearson(counts, expected * counts.sum() / expected.sum())
    assert chi2.sf(value, freedom) > 0.001


def test_angular_errors_have_the_released_quantiles():
    error = np.degrees(column(twin(), "angular_error"))
    assert np.quantile(error, [0.05, 0.16, 0.5, 0.84, 0.95]) == pytest.approx([5.8, 9.4, 18.2, 30.5, 37.4], rel=0.03)
    assert (error > 40).mean() == pytest.approx(0.02, abs=0.003)


def test_background_is_uniform_in_right_ascension():
    ra = column(twin(), "right_ascension")
    assert kstest(ra / (2 * np.pi), "uniform").pvalue > 0.001
    southern = ra[column(twin(), "declination") < -0.5]
    assert kstest(southern / (2 * np.pi), "uniform").pvalue > 0.001


def test_components_are_labelled_and_have_the_released_shares():
    events = simulate.cascades(9, plane(), 700.0, spectrum=SPECTRUM, label="plane")
    kinds = np.bincount(column(events, "component"), minlength=4)
    assert kinds[3] == events.attrs["n_signal_drawn"]
    assert kinds[2] == pytest.approx(3999, abs=4 * 63)
    table = cascades_2023.marginals().sin_dec.sum(axis=0)
    assert kinds[1] / (kinds[0] + kinds[1]) == pytest.approx(table[2] / (table[1] + table[2]), abs=0.01)
    assert events.attrs["signal"] == "plane"


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    first, again = (simulate.cascades(4, plane(), 50.0, spectrum=SPECTRUM) for _ in range(2))
    other = simulate.cascades(5, plane(), 50.0, spectrum=SPECTRUM)
    for name in first.variables:
        assert first[name].values.tobytes() == again[name].values.tobytes()
    assert first["declination"].values.tobytes() != other["declination"].values.tobytes()


@pytest.mark.slow
def test_the_number_of_signal_events_is_poisson_and_the_total_stays():
    drawn = []
    for seed in range(12):
        events = simulate.cascades(seed, catalogue(), 400.0, spectrum=SPECTRUM)
        assert events.sizes["event"] == 59_592
        drawn.append(events.attrs["n_signal_drawn"])
    assert np.mean(drawn) == pytest.approx(400, abs=4 * 20 / np.sqrt(12))
    assert chi2.cdf(0.001, 11) < ((np.array(drawn) - 400.0) ** 2 / 400).sum() < chi2.isf(0.001, 12)


@pytest.mark.parametrize("n_signal", [-1.0, float("nan"), float("inf"), 59_592.0])
def test_impossible_signal_strengths_are_refused(n_signal):
    with pytest.raises(InputError, match="n_signal"):
        simulate.cascades(1, plane(), n_signal, spectrum=SPECTRUM)


# --- injected signal ---------------------------------------------------------------------------------------------


def test_signal_is_where_the_smeared_template_is():
    n = 60_000
    response, rng = cascades_2023.response(), np.random.default_rng(11)
    drawn = simulate.signal(simulate.emission(plane(), response, SPECTRUM), n, rng)
    _, dec = pixel_directions(32)
    seen = plane().density * acceptance(response, SPECTRUM, np.sin(dec))
    # The point spread of the signal is a mixture over errors: average the smeared maps over many drawn ones.
    true = draw_true_energy(response, SPECTRUM, np.sin(rng.choice(dec, 300, p=seen / seen.sum())), rng)
    kernel = response.errors.kernel
    widths = response.errors.draw(true, rng)[:, None] * kernel.scale
    parts = smoothed(harmonics(seen / seen.sum(), 95), 32, widths.ravel() ** -2.0)
    expected = np.average(parts, axis=0, weights=np.tile(kernel.weight, 300))
    group = hp.ud_grade(expected, 4, power=-2)
    counts = np.bincount(hp.ang2pix(4, np.pi / 2 - drawn.declination, drawn.right_ascension), minlength=192)
    expected = group / group.sum() * n
    # 300 widths stand for the spectrum: 3 per cent a pixel on top of the Poisson error.
    pulls = (counts - expected) / np.sqrt(expected + (0.03 * expected) ** 2)
    assert np.sqrt((pulls**2).mean()) < 1.25
    assert np.abs(pulls).max() < norm.isf(1e-5)


def test_signal_energies_follow_the_spectrum_through_the_response():
    n, edges = 40_000, np.linspace(2.7, 6.7, 30)
    response = cascades_2023.response()
    for index in (2.0, 3.0):
        source = catalogue([PointSource("one", 1.0, -0.9)])
        drawn = simulate.signal(simulate.emission(source, response, PowerLaw(index)), n, np.random.default_rng(12))
        expected = energy_density(response, PowerLaw(index), np.array([-0.8, -0.75]), edges)[0] * n
        value, freedom = pearson(np.histogram(drawn.log10_energy, edges)[0].astype(float), expected)
        assert chi2.sf(value, freedom) > 0.001


def sharp(response):
    """The response without its point spread: true directions are seen."""
    return replace(response, errors=replace(response.errors, kernel=Kernel(np.ones(1), np.full(1, 1e-7))))


def test_signal_of_a_stack_comes_from_its_sources_by_weight_and_acceptance():
    sources = (PointSource("south", 1.0, -1.2), PointSource("north", 4.0, 1.2))
    response, n = sharp(cascades_2023.response()), 40_000
    source = simulate.emission(catalogue(sources, (2.0, 1.0)), response, SPECTRUM)
    drawn = simulate.signal(source, n, np.random.default_rng(13))
    share = np.array([2.0, 1.0]) * acceptance(response, SPECTRUM, np.sin([-1.2, 1.2]))
    south = drawn.declination < 0
    assert chisquare([south.sum(), n - south.sum()], share / share.sum() * n).pvalue > 0.001
    assert np.allclose(drawn.declination, np.where(south, -1.2, 1.2), atol=1e-5)
    assert np.allclose(drawn.right_ascension, np.where(south, 1.0, 4.0), atol=1e-5)


def test_an_extended_source_is_a_gaussian_of_its_extension():
    response = sharp(cascades_2023.response())
    source = simulate.emission(catalogue([PointSource("disc", 1.0, 0.4, 0.02)]), response, SPECTRUM)
    drawn = simulate.signal(source, 20_000, np.random.default_rng(14))
    psi = np.arccos(np.clip(cos_separation(drawn.right_ascension, drawn.declination, 1.0, 0.4), -1, 1))
    assert kstest(psi / 0.02, "rayleigh").pvalue > 0.001


# --- varied detectors ------------------------------------------------------------------------------------------------


class Curved:
    """E^-2 with an exponential cut-off at 30 TeV."""

    def shape(self, log10_energy):
        return 10.0 ** (-2.0 * (log10_energy - 5.0)) * np.exp(-(10.0 ** (log10_energy - 4.48)))


def test_the_nominal_variation_changes_no_bit():
    source = simulate.emission(plane(), cascades_2023.response(), SPECTRUM)
    first = simulate.signal(source, 500, np.random.default_rng(15))
    again = simulate.signal(source, 500, np.random.default_rng(15), NOMINAL)
    assert all(getattr(first, n).tobytes() == getattr(again, n).tobytes() for n in first.__slots__)
    assert simulate.relative_rate(source, NOMINAL) == 1.0
    assert np.allclose(source.bands.sum(), 1.0)


@pytest.mark.parametrize("index", [2.0, 2.7, 3.5])
def test_a_shifted_energy_scale_changes_only_the_rate_of_a_power_law(index):
    # With A the area as a function of the light, N = integral A(s E) E^-index dE = s^(index - 1) N(s = 1).
    source = simulate.emission(plane(), cascades_2023.response(), PowerLaw(index))
    varied = Variation(acceptance=1.3, energy_shift=0.04)
    assert simulate.relative_rate(source, varied) == pytest.approx(1.3 * 10 ** (0.04 * (index - 1)), rel=1e-12)
    nominal = simulate.signal(source, 2000, np.random.default_rng(16))
    shifted = simulate.signal(source, 2000, np.random.default_rng(16), varied)
    for name in nominal.__slots__:
        # Rounding may move an event over the edge of a bin.
        assert np.isclose(getattr(nominal, name), getattr(shifted, name), atol=1e-9).mean() > 0.99


def test_a_shifted_energy_scale_of_a_curved_spectrum_is_that_of_brighter_events():
    response, shift, n = cascades_2023.response(), 0.1, 60_000
    source = simulate.emission(catalogue([PointSource("one", 1.0, 0.1)]), response, Curved())
    # The slow way: true energies in small steps, each seen by the area at its own light.
    log10_energy = np.arange(2.4, 7.2, 1e-4)
    edges = response.array("log10_true_edges")
    area = response.array("effective_area")[band_of(np.sin(0.1), response.array("sin_dec_edges"))]

    def events(by):
        seen = np.searchsorted(edges, log10_energy + by) - 1
        inside = (seen >= 0) & (seen < len(area))
        return (
            np.where(inside, area[np.clip(seen, 0, len(area) - 1)], 0.0)
            * Curved().shape(log10_energy)
            * (10.0**log10_energy)
        )

    found = simulate.relative_rate(source, Variation(energy_shift=shift))
    assert found == pytest.approx(events(shift).sum() / events(0.0).sum(), rel=2e-3)
    drawn = simulate.signal(source, n, np.random.default_rng(17), Variation(energy_shift=shift))
    true = np.random.default_rng(18).choice(log10_energy, n, p=events(shift) / events(shift).sum()) + shift
    wanted = np.histogram(true, response.array("migration_true_edges"))[0] @ response.array("migration")[1]
    value, freedom = pearson(np.histogram(drawn.log10_energy, response.array("migration_reco_edges"))[0], wanted)
    assert chi2.sf(value / 2, freedom) > 0.001  # both sides are drawn
    nominal = simulate.signal(source, n, np.random.default_rng(17))
    assert np.median(drawn.log10_energy) > np.median(nominal.log10_energy) + 0.02


def test_a_wider_point_spread_moves_events_further_and_leaves_their_errors():
    source = simulate.emission(catalogue([PointSource("one", 1.0, 0.1)]), cascades_2023.response(), SPECTRUM)
    nominal, wide = (
        simulate.signal(source, 20_000, np.random.default_rng(19), v) for v in (NOMINAL, Variation(angular_scale=1.1))
    )
    near, far = (
        np.median(np.arccos(np.clip(cos_separation(d.right_ascension, d.declination, 1.0, 0.1), -1, 1)))
        for d in (nominal, wide)
    )
    assert far / near == pytest.approx(1.1, abs=0.01)
    assert np.array_equal(nominal.angular_error, wide.angular_error)
