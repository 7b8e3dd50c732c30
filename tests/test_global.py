"""Correlated trials of several hypotheses, and the global p-value of the best of them."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy.stats import binom, norm
from small_problem import SOURCES, plane, sample, stack_hypothesis, template_hypothesis

from nuanalysis import trials
from nuanalysis.errors import InputError, PrecisionError
from nuanalysis.model import Hypothesis, prepare
from nuanalysis.trials import PLAIN, Tilt

N = 1000


@lru_cache
def problems():
    """A template, the same with a harder spectrum, a stack and one source with free index, on the same two samples."""
    events = tuple(sample(N // 2, seed=31 + k, name=f"s{k}") for k in range(2))
    hypotheses = (
        template_hypothesis(),
        Hypothesis("template:hard", plane(), 2.2, False),
        stack_hypothesis(free=False),
        stack_hypothesis(free=True, sources=SOURCES[2:]),
    )
    return tuple(prepare(h, events) for h in hypotheses)


@lru_cache
def plain(n=8000):
    """TS of plain scrambles, (trial, hypothesis)."""
    return trials.correlated_trials(problems(), 20, 0, n)[0][:, :, 0]


def tilt_of(number, ts, share=1.0, node=0):
    return Tilt(float(problems()[number].strength_at(ts)[node]), node, share, number)


# --- correlated trials -------------------------------------------------------------------------------------------


def test_correlated_trials_are_the_same_bytes_in_any_batches():
    tilts = (Tilt(0.0, 0, 0.3), tilt_of(0, 4.0, 0.3), tilt_of(2, 4.0, 0.2), tilt_of(3, 4.0, 0.2, node=8))
    whole = trials.scramble_trials(problems(), 5, 0, 12, tilts)
    assert whole.shape == (12, len(trials.columns(4)))
    pieces = [trials.scramble_trials(problems(), 5, a, b, tilts) for a, b in ((9, 12), (0, 1), (1, 9))]
    assert np.concatenate([pieces[1], pieces[2], pieces[0]]).tobytes() == whole.tobytes()
    fits, ratios = trials.correlated_trials(problems(), 5, 0, 12, tilts)
    assert fits.reshape(12, -1).tobytes() == whole[:, :-1].tobytes()
    weight = trials.mixture_log_weight(ratios, np.array([t.share for t in tilts]))
    assert whole[:, -1] == pytest.approx(weight, abs=1e-15)


def test_plain_trials_of_a_hypothesis_in_a_set_are_those_of_it_alone():
    together, _ = trials.correlated_trials(problems(), 7, 0, 20)
    for number, alone in enumerate(problems()):
        rows = trials.scramble_trials(alone, 7, 0, 20)
        assert rows[:, [0, 1, 2, 4]].tobytes() == together[:, number].tobytes()
        assert not rows[:, 3].any()


def test_a_tilt_of_one_hypothesis_in_a_set_draws_what_it_draws_alone():
    together, ratios = trials.correlated_trials(problems(), 8, 0, 10, (tilt_of(2, 9.0),))
    rows = trials.scramble_trials(problems()[2], 8, 0, 10, (replace(tilt_of(2, 9.0), hypothesis=0),))
    assert rows[:, [0, 1, 2, 4]].tobytes() == together[:, 2].tobytes()
    assert rows[:, 3] == pytest.approx(-ratios[:, 0])


def test_hypotheses_that_look_alike_are_correlated():
    fits, _ = trials.correlated_trials(problems(), 9, 0, 400)
    ts = np.sqrt(fits[:, :, 0])
    assert np.corrcoef(ts[:, 0], ts[:, 1])[0, 1] > 0.4
    assert abs(np.corrcoef(ts[:, 0], ts[:, 3])[0, 1]) < 0.25


@pytest.mark.slow
def test_the_mean_weight_is_one_whichever_hypothesis_is_tilted_or_read():
    n, tilts = 3000, (Tilt(0.0, 0, 0.25), tilt_of(0, 4.0, 0.25), tilt_of(2, 4.0, 0.25), tilt_of(3, 4.0, 0.25, node=8))
    fits, ratios = trials.correlated_trials(problems(), 10, 0, n, tilts)
    weight = np.exp(trials.mixture_log_weight(ratios, np.full(4, 0.25)))
    assert weight.max() <= 4.0
    assert weight.mean() == pytest.approx(1.0, abs=3.5 * weight.std() / np.sqrt(n))
    for h in range(4):
        for ts in (0.5, 3.0):
            met, direct = weight * (fits[:, h, 0] >= ts), plain()[:, h] >= ts
            error = np.hypot(met.std() / np.sqrt(n), direct.std() / np.sqrt(len(plain())))
            assert met.mean() == pytest.approx(direct.mean(), abs=3.5 * error)


@pytest.mark.slow
def test_reading_one_hypothesis_under_the_tilt_of_another_is_unbiased():
    n, tilts = 3000, (tilt_of(1, 2.0),)
    fits, ratios = trials.correlated_trials(problems()[:2], 12, 0, n, tilts)
    weight = np.exp(-ratios[:, 0])
    error = weight.std() / np.sqrt(n)
    assert error < 0.1
    assert weight.mean() == pytest.approx(1.0, abs=3.5 * error)
    met, direct = weight * (fits[:, 0, 0] >= 2.0), plain()[:, 0] >= 2.0
    assert met.mean() == pytest.approx(
        direct.mean(), abs=3.5 * np.hypot(met.std() / np.sqrt(n), direct.std() / np.sqrt(len(plain())))
    )


def test_hypotheses_on_other_events_are_refused():
    other = prepare(stack_hypothesis(free=False), (sample(N // 2, seed=31, name="s0"),))
    moved = prepare(stack_hypothesis(free=False), tuple(sample(N // 2, seed=41 + k) for k in range(2)))
    for wrong in (other, moved):
        with pytest.raises(InputError, match="'stack:test' was prepared on other events than 'template:test'"):
            trials.scramble_trials((problems()[0], wrong), 1, 0, 1)


# --- the global p-value by hand ----------------------------------------------------------------------------------


def half_chi_square(rng, shape):
    return np.maximum(rng.standard_normal(shape), 0.0) ** 2


def test_of_one_hypothesis_the_global_p_value_is_the_local_one():
    rng = np.random.default_rng(1)
    ts, weight = half_chi_square(rng, (4000, 1)), rng.normal(-0.1, 0.4, 4000)
    for observed in (0.5, 4.0):
        found = trials.global_p_value(ts, weight, np.array([observed]))
        local = trials.p_value(ts[:, 0], weight, observed)
        assert (found.p, found.best, found.trials_factor) == (local.p, 0, 1.0)
        assert found.local == local
        assert found.p_error == pytest.approx(local.p_error, rel=0.25)


@pytest.mark.parametrize("copies", [2, 6])
def test_identical_hypotheses_count_once(copies):
    rng = np.random.default_rng(2)
    ts = np.repeat(half_chi_square(rng, (4000, 1)), copies, axis=1)
    weight = rng.normal(-0.1, 0.4, 4000)
    found = trials.global_p_value(ts, weight, np.full(copies, 3.0))
    assert found.p == pytest.approx(found.local.p, rel=1e-9)
    # A scale of its own for every hypothesis does not matter: local p-values are compared.
    scaled = trials.global_p_value(ts * np.arange(1, copies + 1), weight, 3.0 * np.arange(1, copies + 1))
    assert scaled.p == pytest.approx(found.p, rel=1e-9)


@pytest.mark.parametrize(("k", "observed"), [(3, 2.0), (3, 6.0), (10, 6.0)])
def test_of_independent_hypotheses_the_global_p_value_is_that_of_the_smallest_of_many(k, observed):
    rng, n = np.random.default_rng(3), 15_000
    ts = half_chi_square(rng, (n, k)) * np.linspace(0.5, 2.0, k)
    values = np.full(k, 0.1)
    values[1] = observed * np.linspace(0.5, 2.0, k)[1]
    found = trials.global_p_value(ts, np.zeros(n), values)
    assert found.best == 1
    p = norm.sf(np.sqrt(observed))
    assert found.p == pytest.approx(1 - (1 - p) ** k, abs=3.5 * found.p_error)
    assert found.sigma == pytest.approx(norm.isf(found.p))
    assert found.trials_factor == pytest.approx(found.p / found.local.p)
    assert found.n_trials == n


def test_the_best_hypothesis_is_that_of_the_smallest_p_value_not_of_the_largest_ts():
    rng = np.random.default_rng(4)
    ts = half_chi_square(rng, (2000, 2)) * np.array([1.0, 10.0])
    assert trials.global_p_value(ts, np.zeros(2000), np.array([4.0, 9.0])).best == 0
    assert trials.best_of(ts, np.ones(2000), np.array([0.0, 0.3])) == 1


def test_trials_as_extreme_by_hand():
    ts = np.array([[9.0, 0.0], [4.0, 8.0], [1.0, 9.0], [0.0, 1.0], [0.0, 0.0]])
    # Above 4 lie two of five trials; the two largest of the other hypothesis count as well.
    assert trials.as_extreme(ts, np.ones(5), 0, 4.0).tolist() == [True, True, True, False, False]
    # With a weight of 2 the largest of the other would be rarer than 1 in 5: only that far and no further.
    heavy = np.array([1.0, 2.0, 0.5, 1.0, 0.5])
    assert trials.as_extreme(ts, heavy, 0, 9.0).tolist() == [True, False, True, False, False]
    # A TS of 0 is never extreme, however large p is.
    ts[3] = 0.0
    assert trials.as_extreme(ts, np.ones(5), 0, 0.5).tolist() == [True, True, True, False, False]


@pytest.mark.slow
def test_stated_errors_of_global_p_values_cover():
    rng, k, observed, pulls = np.random.default_rng(5), 4, 4.0, []
    truth = 1 - (1 - norm.sf(2.0)) ** k
    for _ in range(150):
        # Half of the trials shifted by 1.5 in a random hypothesis, with the exact weight back.
        z = rng.standard_normal((600, k))
        shift = rng.integers(0, 2 * k, 600)
        z[np.arange(600), shift % k] += np.where(shift < k, 1.5, 0.0)
        weight = -np.log(0.5 + 0.5 * np.exp(1.5 * z - 1.125).mean(axis=1))
        found = trials.global_p_value(np.maximum(z, 0.0) ** 2, weight, np.array([observed, 0.5, 0.0, 1.0]))
        pulls.append((found.p - truth) / found.p_error)
    inside = int((np.abs(pulls) < 1).sum())
    assert binom.cdf(inside, 150, 0.683) > 0.00135
    assert binom.sf(inside - 1, 150, 0.683) > 0.00135
    assert np.std(pulls) == pytest.approx(1.0, abs=0.2)
    assert abs(np.mean(pulls)) < 0.3


def test_without_any_excess_the_global_p_value_is_one():
    ts = half_chi_square(np.random.default_rng(6), (500, 3))
    found = trials.global_p_value(ts, np.zeros(500), np.zeros(3))
    assert (found.p, found.p_error, found.sigma, found.trials_factor) == (1.0, 0.0, -np.inf, 1.0)


def test_an_imprecise_global_p_value_is_refused():
    ts = half_chi_square(np.random.default_rng(7), (500, 3))
    with pytest.raises(PrecisionError, match="effective trials of 500"):
        trials.global_p_value(ts, np.zeros(500), np.array([20.0, 1.0, 1.0]))
    with pytest.raises(PrecisionError, match=r"asked for 0\.05.*would do"):
        trials.global_p_value(ts, np.zeros(500), np.array([2.0, 1.0, 1.0]), 0.05)


# --- the global p-value of events --------------------------------------------------------------------------------


def test_the_global_p_value_of_tilted_trials_is_that_of_plain_ones():
    plain_ts, observed = plain(), np.array([6.0, 2.0, 1.0, 3.0])
    direct = trials.global_p_value(plain_ts, np.zeros(len(plain_ts)), observed)
    best = direct.best
    run = trials.pilot(problems(), 21, np.full(4, 9.0))
    met = trials.as_extreme(run.ts, np.exp(run.log_weight), best, float(observed[best]))
    tilts, predicted = trials.mixture(run, np.stack([met, run.ts[:, best] >= observed[best]]))
    assert {t.hypothesis for t in tilts} == {0, 1, 2, 3}
    fits, ratios = trials.correlated_trials(problems(), 22, 0, 2500, tilts)
    weight = trials.mixture_log_weight(ratios, np.array([t.share for t in tilts]))
    found = trials.global_p_value(fits[:, :, 0], weight, observed)
    assert found.best == best
    assert found.trials_factor > 1.5
    assert found.p == pytest.approx(direct.p, abs=3.5 * np.hypot(found.p_error, direct.p_error))
    assert found.local.p == pytest.approx(direct.local.p, abs=3.5 * np.hypot(found.local.p_error, direct.local.p_error))
    # 2,500 tilted trials against 8,000 plain ones.  The local p-value decides what is extreme, and its error counts.
    assert found.p_error / found.p < 0.6 * direct.p_error / direct.p
    assert found.p_error / found.p == pytest.approx(np.sqrt(predicted.max() / 2500), rel=0.35)


def test_a_mixture_for_a_list_of_hypotheses_holds_plain_trials_and_tilts_of_each():
    tilts = trials.list_tilts(problems(), np.array([6.0, 2.0, 1.0, 3.0]))
    assert sum(t.share for t in tilts) == pytest.approx(1.0)
    assert tilts[0] == Tilt(0.0, 0, 0.5)
    assert {t.hypothesis for t in tilts[1:]} == {0, 1, 2, 3}
    fits, ratios = trials.correlated_trials(problems(), 23, 0, 2500, tilts)
    weight = trials.mixture_log_weight(ratios, np.array([t.share for t in tilts]))
    assert np.exp(weight).max() <= 2.0
    for h, observed in enumerate((6.0, 4.0, 4.0, 4.0)):
        found = trials.p_value(fits[:, h, 0], weight, observed)
        direct = trials.p_value(plain()[:, h], np.zeros(len(plain())), observed)
        assert found.p == pytest.approx(direct.p, abs=3.5 * np.hypot(found.p_error, direct.p_error))


def test_plain_is_no_tilt_of_any_hypothesis():
    _, ratios = trials.correlated_trials(problems(), 1, 0, 4, (replace(PLAIN[0], hypothesis=3),))
    assert not ratios.any()
