"""Segments of the plane: how fits become fluxes and indices, and the question itself."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
import xarray as xr
from small_problem import plane, sample, whole

import nuanalysis as nu
from nuanalysis import trials
from nuanalysis.answers._question import pose
from nuanalysis.answers.segments import (
    LOG10_ENERGIES,
    Ladder,
    Segments,
    flux_at,
    flux_estimate,
    index_estimate,
    published_segment,
)
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.executors import Serial
from nuanalysis.engine.progress import Silent
from nuanalysis.errors import InputError
from nuanalysis.interpret import fluxes, published
from nuanalysis.model import Hypothesis, expected_events
from nuanalysis.records import Unknown
from nuanalysis.sky.records import PowerLaw
from nuanalysis.sky.templates import SEGMENT_SETS, SEGMENTS

ENDS = NormalDist().inv_cdf(0.84)  # standard deviations that 68 % lie within


def normal(truths, sigma, n=20_001):
    """Quantiles of a normal distribution around each truth, (step, trial): no randomness."""
    shape = np.array([NormalDist().inv_cdf((k + 0.5) / n) for k in range(n)])
    return np.asarray(truths)[:, None] + sigma * shape


def test_neyman_gives_the_interval_of_a_normal_fit_and_undoes_a_bias():
    truths = np.array([0.0, 5.0, 10.0, 15.0, 20.0])
    found = trials.inverted(11.0, truths, 1.1 * normal(truths, 2.0))
    assert [found.best, found.low, found.high] == pytest.approx([10.0, 10 - 2 * ENDS, 10 + 2 * ENDS], abs=2e-3)
    beyond = trials.inverted(44.0, truths, 1.1 * normal(truths, 2.0))
    assert [beyond.best, beyond.low, beyond.high] == pytest.approx([40.0, 40 - 2 * ENDS, 40 + 2 * ENDS], abs=2e-3)


def test_neyman_at_the_bound_gives_an_interval_from_zero():
    truths = np.array([0.0, 1.0, 2.0, 4.0])
    found = trials.inverted(0.0, truths, np.maximum(normal(truths, 1.0), 0.0))
    assert (found.best, found.low) == (pytest.approx(0.0, abs=1e-9), 0.0)
    assert found.high == pytest.approx(ENDS, abs=2e-3)  # where 16 % of the fits are 0


@pytest.mark.slow
def test_neyman_covers_68_percent_of_truths_between_the_steps():
    """Fits whose spread grows with the truth, as that of signal on a background does."""
    rng = np.random.default_rng(3)

    def drawn(truth, n):
        return np.maximum(rng.normal(truth, np.sqrt(4.0 + truth), n), 0.0)

    truths = np.array([0.0, 2.0, 4.0, 8.0, 12.0])
    steps = np.stack([drawn(t, 20_000) for t in truths])
    # Two standard errors, and lines for curves; below ENDS standard deviations no fit is too low.
    for truth, wanted in ((1.0, 0.84), (5.5, 0.68), (9.0, 0.68)):
        found = [trials.inverted(fit, truths, steps) for fit in drawn(truth, 2000)]
        covered = np.mean([one.low <= truth <= one.high for one in found])
        assert covered == pytest.approx(wanted, abs=0.02 + 0.02)


def test_an_index_is_moved_by_its_median_deviation_and_kept_within_its_bounds():
    fits = normal([2.9], 0.2)[0]
    found = trials.recentred(3.0, 2.8, fits, lowest=1.0, highest=4.0)
    wanted = [2.9, 2.9 - 0.2 * ENDS, 2.9 + 0.2 * ENDS]
    assert [found.best, found.low, found.high] == pytest.approx(wanted, abs=1e-3)
    one_sided = trials.recentred(3.0, 3.0, np.minimum(normal([3.0], 2.0)[0], 4.0), lowest=1.0, highest=4.0)
    assert (one_sided.low, one_sided.high) == (pytest.approx(3 - 2 * ENDS, abs=1e-3), 4.0)
    nothing = trials.recentred(3.0, 3.0, np.clip(normal([3.0], 9.0)[0], 1.0, 4.0), lowest=1.0, highest=4.0)
    assert (nothing.low, nothing.high) == (1.0, 4.0)
    astray = trials.recentred(1.0, 1.0, np.minimum(normal([3.5], 1.0)[0], 4.0), lowest=1.0, highest=4.0)
    assert (astray.low, astray.high) == (1.0, 4.0)


def test_intervals_hold_their_best_value_where_experiments_do_not_follow_the_truth():
    falling = np.stack([normal([n], 1.0)[0] for n in (5.0, 4.0, 3.0)])
    found = trials.inverted(4.2, np.array([0.0, 1.0, 2.0]), falling)
    assert found.low <= found.best <= found.high


@pytest.fixture(scope="module")
def small():
    return whole(sample(4000, nside=32))


def test_expected_events_are_turned_back_into_their_flux(small):
    problem = pose("template:segment-inner?nside=32", small, index_free=True)
    for index in (2.0, 2.8):
        n = expected_events(problem.hypothesis, small.seasons[0], PowerLaw(index)) * 1e-18
        at_100, at_5 = (flux_at(problem, np.array(n), np.array(index), at) for at in (5.0, LOG10_ENERGIES[0]))
        assert at_100 == pytest.approx(1e-18 * 1e7, rel=1e-9)  # of (100 TeV)^2 in GeV, as TeV
        assert at_5 == pytest.approx(at_100 * 20 ** (index - 2), rel=1e-12)


def test_a_flux_is_the_one_whose_experiments_have_the_fit_as_their_median(small):
    problem = pose("template:segment-inner?nside=32", small, index_free=True)
    truths = np.array([0.0, 10.0, 20.0, 30.0, 40.0])
    fits = tuple(_fits(1.2 * n, 2.8) for n in truths)
    up = Ladder(np.repeat(truths[:, None], 2, axis=1), np.array([2.8, 2.8]), fits)
    found = flux_estimate(problem, (24.0, 2.8), up, 1, 5.0)
    wanted = flux_at(problem, np.array([20.0]), np.array([2.8]), 5.0)[0]
    assert [found.best, found.low, found.high] == pytest.approx([wanted] * 3, rel=1e-9)


def test_an_index_is_read_between_the_strengths_around_the_fit():
    truths, found = np.array([0.0, 10.0, 20.0]), (2.9, 2.9, 3.1)
    up = Ladder(truths[:, None] * [1, 1], np.array([2.8, 2.8]), tuple(map(_fits, truths, found)))
    for n, best in ((5.0, 2.9), (10.0, 2.9), (15.0, 2.8), (20.0, 2.7), (30.0, 2.7)):
        assert index_estimate((n, 3.0), up, 1).best == pytest.approx(best)


def _fits(n, index):
    alike = {"n_signal": np.full(50, n), "index": np.full(50, index)}
    return xr.Dataset({f"{name}_0_{j}": ("trial", values) for j in (0, 1) for name, values in alike.items()})


@pytest.mark.slow
def test_the_question_measures_what_lies_in_a_segment(small, tmp_path):
    answer = Segments.of(cut="lhaaso", trials=100).ask(small, Bench(tmp_path, Serial(), Silent()))
    assert [one.tested.hypothesis for one in answer.segments] == ["template:lhaaso-inner", "template:lhaaso-outer"]
    for one in answer.segments:
        low, high = one.fluxes
        assert one.intensity_5_tev == low.intensity
        assert low.flux.best == pytest.approx(low.intensity.best * one.solid_angle)
        assert low.flux.interval.low <= low.flux.best <= low.flux.interval.high
        assert isinstance(one.index, Unknown) == (one.n_signal.value == 0.0)
        assert high.log10_energy == 5.0
        assert one.tested.index_free


def test_unknown_cuts_are_refused_at_once():
    with pytest.raises(InputError, match="no set of segments 'icecube'"):
        Segments.of(cut="icecube")


def test_published_numbers_stand_beside_the_segments_they_belong_to():
    inner, middle = (published_segment(SEGMENTS[name]) for name in ("segment-inner", "segment-middle"))
    assert inner.intensity.best == 21.4e-11
    assert (inner.intensity.interval.low, inner.intensity.interval.high) == (16.2e-11, 27.7e-11)
    assert inner.index.best == 2.76
    assert middle is None
    assert published_segment(SEGMENTS["segment-outer"]).index.best == 3.10
    assert [published_segment(one) for one in SEGMENT_SETS["lhaaso"].segments] == [None, None]


# --- whose model the unit of a flux is ---------------------------------------------------------------------------


def test_a_flux_in_models_says_whose_and_how_many_events_it_has(small, tmp_path, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path))
    template = replace(plane(), flux=2e-11, model="somebody's model")
    asked = Hypothesis("template:mine", template, 2.7, False)
    found = nu.fit(small, asked, injections=300, precision=0.3).flux.in_models
    per_flux = fluxes.events_per_flux(asked, small.seasons)
    assert (found.model, found.model_flux) == ("somebody's model", 2e-11)
    assert found.model_events == pytest.approx(2e-11 * per_flux)
    assert found.published_events is None


def test_published_events_are_those_of_the_model_a_template_is_meant_for():
    of = published.events_of_model
    assert of("template:kra-gamma-like-5?spectrum=published", "cascades-2023") == 441.6
    assert of("template:kra-gamma-like-5", "cascades-2023") == 441.6
    assert of("template:kra-gamma-compact-proxy-50", "cascades-2023") == 499.5
    assert of("template:pi0-like?spectrum=physical", "cascades-2023") is None
    assert of("template:kra-gamma-like-5", "tracks") is None
    theirs = published.PUBLISHED["template:kra-gamma-like-5?spectrum=published"]
    assert theirs.n_signal_corrected / theirs.in_models == pytest.approx(441.6, rel=1e-3)


def test_steps_that_end_at_zero_alike_count_once():
    """Two strengths below zero are both zero: the reading is that of one of them, without a division by their gap."""
    rng = np.random.default_rng(3)
    fits = np.maximum(rng.normal(np.array([0.0, 0.0, 2.0, 5.0])[:, None], 1.0, (4, 500)), 0.0)
    found = trials.inverted(3.0, np.array([0.0, 0.0, 2.0, 5.0]), fits)
    alone = trials.inverted(3.0, np.array([0.0, 2.0, 5.0]), fits[1:])
    assert found.low <= found.best <= found.high
    assert found.best == pytest.approx(alone.best, abs=0.1)
