"""The response and the sample of the open detector, from toy events whose law is known."""

from __future__ import annotations

import numpy as np
import pytest
from toy_detector import EDGES, LIVETIME_S, area, products, simulated, weighted

import nuanalysis as nu
from nuanalysis import detector
from nuanalysis.detector import Reconstructed
from nuanalysis.detector._response import ENERGY_EDGES, error_kernel, weighted_quantiles
from nuanalysis.errors import DataError, InputError
from nuanalysis.library import samples
from nuanalysis.response import cascades_2023, draw_point_spread, draw_reconstructed_energy
from nuanalysis.schema import EVENTS, RESPONSE, WEIGHTED, faults

# ---- energy --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [40, 400, 40_000])
def test_rows_of_the_migration_sum_to_one_however_few_events_there_are(n):
    found = detector.migration(simulated(n, 1))
    assert found.shape == (29, 29)
    assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    assert (found >= 0.0).all()


def test_axis_0_of_the_migration_is_truth():
    found = detector.migration(simulated(40_000, 2))
    middles = 0.5 * (ENERGY_EDGES[1:] + ENERGY_EDGES[:-1])
    mean = found @ middles
    assert mean[5:] == pytest.approx(middles[5:] - 0.2, abs=0.03)
    assert np.sqrt(found @ middles**2 - mean**2)[5:] == pytest.approx(np.hypot(0.15, 0.138 / np.sqrt(6.0)), rel=0.1)


def test_a_migration_with_enough_events_is_the_table_of_their_bins():
    seen = simulated(20_000, 3)
    inside = np.minimum(seen.log10_energy, 6.7)
    table = np.histogram2d(seen.log10_true, inside, bins=(ENERGY_EDGES, ENERGY_EDGES), weights=seen.weight)[0]
    assert detector.migration(seen) == pytest.approx(table / table.sum(axis=1, keepdims=True), abs=1e-12)


def test_few_events_give_the_migration_of_many_within_what_they_can_tell():
    """Sums below the middle of each row: 300 events on 29 rows, windows of 50."""
    many, few = detector.migration(simulated(60_000, 4)), detector.migration(simulated(300, 5))
    below = np.tril(np.ones((29, 29)), -1)
    difference = ((few - many) * below).sum(axis=1)[3:]
    assert np.sqrt((difference**2).mean()) < 0.12


# ---- direction -----------------------------------------------------------------------------------------------------


def test_weighted_quantiles_of_equal_weights_are_the_usual_ones():
    values = np.random.default_rng(6).random(2001)
    found = weighted_quantiles(values, np.ones(2001), (0.2, 0.5, 0.8))
    assert found == pytest.approx(np.quantile(values, (0.2, 0.5, 0.8)), abs=1e-3)
    doubled = np.concatenate([values, values[:700]])
    weight = np.ones(2001)
    weight[:700] = 2.0
    expected = np.quantile(doubled, (0.2, 0.5, 0.8))
    assert weighted_quantiles(values, weight, (0.2, 0.5, 0.8)) == pytest.approx(expected, abs=2e-3)


def test_opening_angles_hold_what_they_say_and_have_the_errors_of_repeated_draws():
    found = np.array([[(row.at_20.value, row.at_50.value, row.at_80.value) for row in
                       detector.point_spread_quantiles(simulated(3000, seed))] for seed in range(20)])  # fmt: skip
    said = detector.point_spread_quantiles(simulated(3000, 0))
    errors = np.array([(row.at_20.error, row.at_50.error, row.at_80.error) for row in said])
    assert np.median(errors / found.std(axis=0)) == pytest.approx(1.0, abs=0.2)
    nodes = np.log10([row.energy_gev for row in said])
    many = detector.point_spread_quantiles(simulated(200_000, 30))
    at = int(np.argmin(np.abs(nodes - 4.1)))
    truth = np.array([many[at].at_20.value, many[at].at_50.value, many[at].at_80.value])
    assert found.mean(axis=0)[at] == pytest.approx(truth, rel=0.05)
    assert truth[1] == pytest.approx(1.177 * 12.0, rel=0.06), "the median radius of a Gaussian"


def test_pulls_of_right_errors_are_one_and_of_wrong_ones_are_not():
    rows = detector.pulls(simulated(60_000, 7))
    pull = np.array([(row.median.value - 1.0) / row.median.error for row in rows])
    assert len(rows) == 9
    assert np.abs(pull).max() < 3.5
    for row in rows:
        held = np.array([row.within_20, row.within_50, row.within_80, row.within_90])
        assert held == pytest.approx((0.2, 0.5, 0.8, 0.9), abs=4 * np.sqrt(0.25 / row.n_effective))
    wide = detector.pulls(simulated(60_000, 8, scale=(1.3, 1.3)))
    assert [row.median.value for row in wide] == pytest.approx([1.3] * 9, rel=0.06)


def test_the_point_spread_at_a_given_error_has_its_two_parts_back():
    kernel = error_kernel(simulated(30_000, 9, scale=(0.6, 1.8)))
    assert kernel.weight.sum() == 1.0
    assert kernel.scale == pytest.approx((0.6, 1.8), rel=0.04)
    assert kernel.weight[0] == pytest.approx(0.5, abs=0.03)


def test_the_law_of_errors_is_a_probability_and_follows_the_energy():
    law = detector.error_law(simulated(5000, 10))
    assert law.share.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    assert (law.share > 0.0).all()
    drawn = [np.median(law.draw(np.full(4000, at), np.random.default_rng(11))) for at in (3.0, 5.0)]
    assert drawn == pytest.approx(np.radians(12.0) * 10.0 ** np.array([0.1, -0.1]), rel=0.06)


def test_what_failed_is_refused_at_once():
    good = simulated(10, 12)
    broken = {name: getattr(good, name).copy() for name in good.__slots__}
    broken["opening_angle"][3] = np.nan
    broken["angular_error"] = broken["angular_error"][:4]
    with pytest.raises(InputError, match=r"'opening_angle' has 1 values that are NaN(.|\n)*'angular_error' has \(4,\)"):
        Reconstructed(**broken)


# ---- the response --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def response():
    return detector.open_response(
        area(3000, 13), simulated(3000, 14), name="open-detector", label="open", reference="-"
    )


def test_the_response_has_the_form_of_the_published_one(response):
    published = cascades_2023.response()
    assert not faults(response.dataset, RESPONSE)
    assert set(response.dataset.variables) == set(published.dataset.variables)
    for name in ("effective_area", "sin_dec_edges", "log10_true_edges", "migration_true_edges", "psf_log10_true"):
        assert response.array(name).shape == published.array(name).shape
    assert response.array("migration_reco_edges") == pytest.approx(published.array("migration_reco_edges"))
    assert np.isfinite(response.array("effective_area")).all()
    assert (response.array("effective_area")[:, EDGES[1][:-1] > 2.3] > 0.0).all()
    assert any("parametric simulation" in note for note in response.notes)


def test_events_drawn_from_the_response_are_those_it_was_made_of(response):
    rng = np.random.default_rng(15)
    true = np.full(20_000, 4.45)  # the middle of a bin of energy is 4.4241 and 4.5621
    seen = draw_reconstructed_energy(response, true, np.zeros(len(true)), rng)
    assert seen.mean() == pytest.approx(4.45 - 0.2, abs=0.06)
    psi, error = draw_point_spread(response, true, np.zeros(len(true)), rng)
    assert np.median(psi / error) == pytest.approx(1.177, rel=0.05)


# ---- the sample ----------------------------------------------------------------------------------------------------


def test_a_drawn_sample_has_the_rates_of_its_weights():
    events = weighted(4000, 16)
    assert not faults(events, WEIGHTED)
    drawn = detector.draw_sample(events, livetime_s=LIVETIME_S, rng=np.random.default_rng(17))
    assert not faults(drawn.events, EVENTS)
    assert drawn.events.attrs["origin"] == "synthetic"
    expected = LIVETIME_S * events["rate"].values
    assert drawn.events.sizes["event"] == pytest.approx(expected.sum(), abs=4 * np.sqrt(expected.sum()))
    counts = np.bincount(drawn.source, minlength=4000)
    assert ((counts - expected) ** 2 / expected).mean() == pytest.approx(1.0, abs=0.15), "Poisson, each by its rate"
    assert (drawn.events["component"].values == events["component"].values[drawn.source]).all()
    assert (drawn.events["cascade_score"].values == events["cascade_score"].values[drawn.source]).all()
    assert drawn.events.attrs["most_copies"] == pytest.approx(expected.max())


def test_zenith_is_declination_and_90_degrees_and_right_ascension_is_even():
    drawn = detector.draw_sample(weighted(4000, 18), livetime_s=LIVETIME_S, rng=np.random.default_rng(19)).events
    assert drawn["zenith"].values - 0.5 * np.pi == pytest.approx(drawn["declination"].values, abs=1e-12)
    ra = drawn["right_ascension"].values
    assert np.abs(np.exp(1j * ra).mean()) < 3.0 / np.sqrt(len(ra))


def test_smoothing_moves_copies_apart_by_a_quarter_of_their_error_and_none_without():
    events = weighted(500, 20)
    same = detector.draw_sample(events, livetime_s=LIVETIME_S, rng=np.random.default_rng(21), smoothing=0.0)
    for name in ("declination", "log10_energy", "angular_error"):
        assert same.events[name].values == pytest.approx(events[name].values[same.source], abs=1e-12)
    moved = detector.draw_sample(events, livetime_s=LIVETIME_S, rng=np.random.default_rng(22))
    old, error = (events[name].values[moved.source] for name in ("declination", "angular_error"))
    near_equator = np.abs(old) < 0.5
    step = (moved.events["declination"].values - old)[near_equator] / error[near_equator]
    assert step.std() == pytest.approx(0.25, rel=0.03)
    assert len(np.unique(moved.events["declination"].values)) == moved.events.sizes["event"]


def test_a_simulated_neutrino_is_a_row_of_every_component_it_has_a_rate_in():
    event, component, rate = detector.joined_components(
        [(0, np.array([1.0, 0.0, 2.0])), (2, np.array([0.5, 0.0, 0.0]))]
    )
    assert event.tolist() == [0, 2, 0]
    assert component.tolist() == [0, 0, 2]
    assert rate.tolist() == [1.0, 2.0, 0.5]


def test_scores_and_rates_out_of_range_are_refused():
    columns = {name: one.values for name, one in weighted(10, 23).items()}
    with pytest.raises(DataError, match="'muon_score' has 1 values outside"):
        detector.weighted_events({**columns, "muon_score": np.append(columns["muon_score"][1:], 1.5)}, reference="toy")
    silent = detector.weighted_events({**columns, "rate": np.zeros(10)}, reference="toy")
    with pytest.raises(InputError, match="rates sum to 0 Hz"):
        detector.draw_sample(silent, livetime_s=1.0, rng=np.random.default_rng(1))


# ---- the sample of the package -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A data folder with the two files of a toy."""
    root = tmp_path_factory.mktemp("data")
    products(root / "open_detector")
    return root


@pytest.fixture
def toy(files, monkeypatch):
    """The data folder is that of the toy."""
    monkeypatch.setenv("NUANALYSIS_DATA", str(files))


def test_without_its_files_the_sample_says_what_it_lacks(tmp_path, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_DATA", str(tmp_path))
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match="release 'open-detector' is not here"):
        samples.at_hand(samples.sample_spec(name="open-detector", signal="none"))


def test_the_pi0_template_is_found_in_a_toy_sample_that_holds_it(toy):
    spec = samples.sample_spec(name="open-detector", signal="template:pi0-like?nside=32", n_signal=1500.0)
    found = nu.fit(samples.load(spec, 3), "template:pi0-like?nside=32", index=2.7, injections=0)
    assert found.provenance.origin == "synthetic"
    assert any("parametric simulation" in note for note in found.provenance.notes)
    assert found.fitted.converged
    assert found.fitted.ts > 25.0
    assert found.fitted.n_signal == pytest.approx(1500.0, rel=0.35)
    nothing = samples.load(samples.sample_spec(name="open-detector", signal="none"), 3)
    assert nu.fit(nothing, "template:pi0-like?nside=32", index=2.7, injections=0).fitted.ts < 12.0


def test_twins_are_drawn_anew_and_the_same_seed_is_the_same_sky(toy):
    one, same = (samples.load(samples.sample_spec(name="open-detector", signal="none"), 5) for _ in range(2))
    assert one.seasons[0].events.identical(same.seasons[0].events)
    assert "cascade_score" in one.seasons[0].events
    other = samples.twin(one, 0)
    assert other.n_events != one.n_events
    assert other.livetime == one.livetime == LIVETIME_S


def test_the_published_sensitivity_stands_beside_that_of_the_simulation():
    from small_results import RESULTS, measured

    from nuanalysis.publish import _compare

    answer = measured(*RESULTS[0])
    ours = answer.model_copy(update={"provenance": answer.provenance.model_copy(update={"sample": "open-detector"})})
    lines = {line.key: line for line in _compare.compare(ours)}
    assert lines["sensitivity"].published == "5.98"
    assert lines["n_signal"].published == _compare.ABSENT, "counts belong to the published sample"
    assert any("no IceCube simulation" in said for said in _compare.remarks(ours))
