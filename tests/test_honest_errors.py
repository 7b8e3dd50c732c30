"""Errors of thresholds, strengths and twins: against the spread of repeated calls, and where there is no density."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy.stats import norm
from small_problem import sample, template_hypothesis, whole

from nuanalysis import trials
from nuanalysis.answers._twins import Spread, spread_of
from nuanalysis.answers.sensitivity import Sensitivity
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import InputError, PrecisionError
from nuanalysis.library import samples
from nuanalysis.records import Measured, Unknown

CUT = samples.sample_spec(name="cascades-2023", signal="stack:snr", n_signal=300.0, min_log10_energy=4.0)


def background(rng, n, at_zero):
    """TS of plain scrambles of which a share fits 0; the rest is the square of a normal one."""
    z = np.abs(rng.standard_normal(n))
    return np.where(rng.random(n) < at_zero, 0.0, z**2)


# --- thresholds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_zero", [0.1, 0.3, 0.47])
def test_the_error_of_a_median_is_its_spread_however_close_to_the_atom_at_zero(at_zero):
    rng = np.random.default_rng(3)
    found = [trials.threshold(background(rng, 2000, at_zero), trials.MEDIAN) for _ in range(300)]
    truth = trials.threshold(background(rng, 2_000_000, at_zero), trials.MEDIAN).ts
    assert np.median([one.ts for one in found]) == pytest.approx(truth, rel=0.2)
    ratio = np.std([one.ts for one in found]) / np.sqrt(np.mean([one.error**2 for one in found]))
    assert 0.85 < ratio < 1.2
    inside = np.mean([one.low <= truth <= one.high for one in found])
    assert inside == pytest.approx(0.68, abs=3.5 * np.sqrt(0.68 * 0.32 / 300))


def test_a_median_that_lies_in_the_atom_is_zero_without_an_error_and_beside_it_with_one():
    rng = np.random.default_rng(4)
    sure = trials.threshold(background(rng, 2000, 0.6), trials.MEDIAN)
    assert (sure.ts, sure.low, sure.high, sure.error) == (0.0, 0.0, 0.0, 0.0)
    beside = [trials.threshold(background(rng, 2000, 0.5), trials.MEDIAN) for _ in range(40)]
    zero = [one for one in beside if one.ts == 0.0]
    assert 10 < len(zero) < 30
    assert max(one.high for one in zero) > 0.0
    assert all(one.low == 0.0 for one in beside if one.ts < 1e-5)


def test_a_rare_excess_leaves_a_median_of_zero_that_is_not_refused():
    assert trials.threshold(np.append(np.zeros(500), 3.0), trials.MEDIAN).error == 0.0
    with pytest.raises(PrecisionError, match="too few for an estimate with an error, at least 10 are needed"):
        trials.threshold(np.linspace(0.0, 9.0, 500), 0.003)


def test_places_of_one_scramble_are_not_counted_as_independent():
    ts = background(np.random.default_rng(5), 900, 0.3)
    once, copied = trials.threshold(ts, 0.5), trials.threshold(np.repeat(ts[:, None], 24, axis=1), 0.5)
    assert (copied.ts, copied.p_error) == (once.ts, pytest.approx(once.p_error))
    assert (copied.low, copied.high) == (once.low, once.high)
    turned = np.stack([np.roll(ts, k) for k in range(24)], axis=1)  # as if places were independent
    assert trials.threshold(turned, 0.5).p_error < 0.4 * once.p_error


def test_the_threshold_of_a_limit_has_an_error_only_where_the_median_may_be_the_larger():
    median = trials.threshold(background(np.random.default_rng(6), 900, 0.3), 0.5)
    assert median.at_least(0.0) == median
    above = median.at_least(median.high + 1.0)
    assert (above.ts, above.error) == (median.high + 1.0, 0.0)
    between = median.at_least(median.ts + 0.5 * (median.high - median.ts))
    assert 0.0 < between.error < median.error
    assert trials.known_threshold(7.0).error == 0.0


def test_the_message_about_few_trials_does_not_speak_of_a_precision_that_is_met():
    ts = np.append(np.zeros(990), np.arange(1.0, 8.0))
    with pytest.raises(PrecisionError) as few:
        trials.p_value(ts, np.zeros(len(ts)), 1.0, 1.0)
    assert "asked for" not in str(few.value)
    assert "7.0 effective trials of 997 reach TS 1: too few for an estimate with an error" in str(few.value)
    ts = np.append(np.zeros(900), np.full(100, 4.0))
    with pytest.raises(PrecisionError, match=r"relative error of 0\.095, asked for 0\.05"):
        trials.p_value(ts, np.zeros(len(ts)), 4.0, 0.05)
    with pytest.raises(PrecisionError, match=r"0\.0 effective trials of 1000 reach TS 9: no estimate, at least 10"):
        trials.p_value(ts, np.zeros(len(ts)), 9.0)


# --- strengths --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_error_of_a_strength_holds_that_of_a_rough_median():
    """Few plain scrambles, many experiments: by hand, Gaussian experiments of unit width."""
    rng, found = np.random.default_rng(13), []
    strengths = np.tile(np.arange(0.0, 5.1, 0.5), 300)
    ts = np.maximum(strengths + rng.standard_normal(len(strengths)), 0.0) ** 2
    for _ in range(80):
        threshold = trials.threshold(background(rng, 200, 0.2), trials.MEDIAN)
        found.append(trials.strength_for(strengths, ts, threshold=threshold, fraction=0.9))
    known = trials.strength_for(strengths, ts, threshold=trials.known_threshold(0.4), fraction=0.9).error
    stated = np.sqrt(np.mean([f.error**2 for f in found]) - known**2)
    assert stated == pytest.approx(np.std([f.n_signal for f in found]), rel=0.25)


# Looks, share of noise beyond the threshold, fraction, and how far off the model may be: a parabola is 1.3, 1.6, 0.5
# and 0.8 per cent off, the cubic 0.3, 0.3, 0.1 and 0.2.
MODEL = [(3, 0.5, 0.9, 0.005), (10, 0.5, 0.9, 0.005), (10, 0.00135, 0.5, 0.003), (30, 0.00135, 0.5, 0.003)]


def exact_experiments(looks, p, per_strength=2000):
    """Strengths, hits without noise, and the strength at any fraction: the largest of several looks above a threshold.

    All looks but one see noise alone, as a free index may; p : of noise beyond the threshold.
    """
    steps = np.array([0.0, 0.1, 0.25, 0.5, 0.75, *np.arange(1.0, 4.1, 0.5), 5.0, 6.0, 7.0, 8.0])
    root = norm.ppf((1.0 - p) ** (1.0 / looks))
    share = 1.0 - norm.cdf(root - steps) * norm.cdf(root) ** (looks - 1)
    hits = [np.arange(per_strength) < round(per_strength * one) for one in share]
    strengths, hits = np.repeat(steps, per_strength), np.concatenate(hits).astype(float)
    return strengths, hits, lambda fraction: root - norm.ppf((1.0 - fraction) / norm.cdf(root) ** (looks - 1))


@pytest.mark.parametrize(("looks", "p", "fraction", "most"), MODEL)
def test_the_model_of_the_fraction_is_not_too_stiff(looks, p, fraction, most):
    strengths, hits, truth = exact_experiments(looks, p)
    found = trials.strength_for(strengths, hits, threshold=trials.known_threshold(0.5), fraction=fraction)
    assert found.n_signal == pytest.approx(truth(fraction), rel=most)


# --- repeated calls ---------------------------------------------------------------------------------------------------


@lru_cache
def repeated(folder):
    """Twenty calls of sensitivity on the same events, with other seeds of all trials."""
    events, bench = whole(sample(900)), Bench(folder)
    question = Sensitivity(hypothesis=template_hypothesis(), trials=300, sigmas=(2.0,))
    return tuple(question.ask(replace(events, seed=100 + k), bench) for k in range(20))


def spread_over_quoted(found):
    """Spread of answers over the root mean square of their quoted errors."""
    errors = np.array([one.error for one in found])
    return float(np.std([one.value for one in found], ddof=1) / np.sqrt(np.mean(errors**2)))


@pytest.mark.slow
def test_quoted_errors_cover_what_repeated_calls_differ_by(tmp_path_factory):
    answers = repeated(tmp_path_factory.mktemp("repeated"))
    # Twenty answers know their spread to 16 per cent; three such errors, and an error that is twice too small fails.
    ratios = [
        spread_over_quoted([one.sensitivity.flux for one in answers]),
        spread_over_quoted([one.potentials[0].strength.flux for one in answers]),
        *(spread_over_quoted([one.medians[k].sigma for one in answers]) for k in (6, 8, 10)),
    ]
    assert 0.52 < min(ratios) <= max(ratios) < 1.48, ratios
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.25)


# --- twins ------------------------------------------------------------------------------------------------------------


def test_a_twin_has_the_signal_and_the_cuts_of_its_sample_and_other_events():
    events = samples.load(CUT, 3).cut(declination=(-40.0, 90.0))
    first, again, second = (samples.twin(events, k) for k in (0, 0, 1))
    assert first.injected == events.injected != "none"
    assert first.n_events == pytest.approx(events.n_events, rel=0.05)
    assert first.seasons[0].array("declination").min() >= np.radians(-40.0)
    assert first.seasons[0].array("log10_energy").min() >= 4.0
    assert first.seasons[0].declination_range == events.seasons[0].declination_range
    assert first.seasons[0].livetime == events.seasons[0].livetime
    columns = [one.seasons[0].array("right_ascension") for one in (first, again, second, events)]
    assert np.array_equal(columns[0], columns[1])
    assert len({column.tobytes() for column in columns}) == 3
    assert len({one.seed for one in (first, second, events)}) == 3
    bare = samples.twin(samples.load(CUT.model_copy(update={"signal": "none"}), 3), 0)
    assert bare.injected == "none"


def test_twins_are_refused_where_there_is_one_sky():
    events = samples.load(CUT, 3)
    season = events.seasons[0]
    real = replace(season, events=season.events.assign_attrs(origin="real"))
    with pytest.raises(InputError, match="real events, of which there is one sky"):
        samples.twin(replace(events, seasons=(real,)), 0)
    with pytest.raises(InputError, match="nothing says how to draw another"):
        samples.twin(whole(sample(300)), 0)
    with pytest.raises(InputError, match="nothing says how to draw another"):
        Sensitivity(hypothesis=template_hypothesis(), trials=200, twins=2).ask(whole(sample(300)), Bench("nowhere"))
    with pytest.raises(InputError, match="twins is 1; expected 2 or more, or 0"):
        Sensitivity.of(hypothesis="stack:snr", twins=1)


@pytest.mark.slow
def test_the_mean_over_twins_is_that_of_the_same_question_asked_of_each(tmp_path):
    """Each twin alone gives the same number; mean, rms and error of the mean by hand."""
    events, bench = samples.load(CUT, 3), Bench(tmp_path)
    question = Sensitivity(hypothesis="stack:snr", index_free=False, trials=300, sigmas=(3.0,), twins=3)
    answer = question.ask(events, bench)
    assert answer.sensitivity == question.model_copy(update={"twins": 0}).ask(events, bench).sensitivity
    over = answer.twins
    assert [one.seed for one in over.each] == [samples.twin(events, k).seed for k in range(3)]
    assert len({one.n_events for one in over.each}) > 1
    values = np.array([one.sensitivity.flux.value for one in over.each])
    found = over.sensitivity.flux
    assert (found.mean.value, found.rms, found.n_twins) == pytest.approx((values.mean(), values.std(ddof=1), 3))
    assert found.mean.error == pytest.approx(found.rms / np.sqrt(3.0))
    assert found.of_trials == pytest.approx(np.sqrt(np.mean([one.sensitivity.flux.error**2 for one in over.each])))
    strengths = [one.n_signal for one in answer.medians]
    assert all([one.n_signal for one in twin.medians] == strengths for twin in over.each)
    assert over.medians[8].sigma.mean.value == pytest.approx(np.mean([one.medians[8].sigma.value for one in over.each]))
    assert over.potentials[0].sigma == 3.0
    assert abs(found.mean.value - answer.sensitivity.flux.value) < 5.0 * answer.sensitivity.flux.error
    assert "Over twins: flux" in answer.headline()[1]


def test_a_mean_is_not_that_of_the_twins_with_an_answer_alone():
    one, none = Measured(value=2.0, error=0.1), Unknown(reason="too far")
    found = spread_of([one, none, one])
    assert isinstance(found, Unknown)
    assert found.reason == "1 of 3 twins have no answer: too far"
    both = spread_of([one, Measured(value=4.0, error=0.1)])
    assert isinstance(both, Spread)
    assert (both.mean.value, both.rms, both.mean.error) == pytest.approx((3.0, 2**0.5, 1.0))
