"""The pilot and the mixture it chooses: predicted errors are those that are found, and p-values do not depend on it."""

import re
from functools import lru_cache

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import binom, kstest
from small_problem import sample, stack_hypothesis, template_hypothesis

from nuanalysis import trials
from nuanalysis.errors import InputError, PrecisionError
from nuanalysis.likelihood import REACH_TS
from nuanalysis.model import prepare
from nuanalysis.trials import PLAIN, Pilot, Tilt
from nuanalysis.trials._mixture import _shares, candidates


@lru_cache
def problem(kind="template"):
    if kind == "template":
        return prepare(template_hypothesis(), (sample(1500, seed=31),))
    return prepare(stack_hypothesis(free=kind == "free"), (sample(800, seed=31),))


@lru_cache
def plain(kind="template", n=20_000):
    return trials.scramble_trials(problem(kind), 17, 0, n)


@lru_cache
def long_pilot(kind, n):
    """As trials.pilot for TS 16, of more trials."""
    found = candidates(problem(kind), 16.0)
    share = 1 / (len(found) + 1)
    tilts = (Tilt(0.0, 0, share), *(Tilt(t.n_signal, t.node, share) for t in found))
    fits, ratios = trials.correlated_trials((problem(kind),), 99, 0, n, tilts)
    return Pilot(tilts, fits[:, :, 0], ratios, trials.mixture_log_weight(ratios, np.full(len(tilts), share)))


def meets(run, questions):
    return run.ts[:, 0] >= np.array(questions)[:, None]


# --- the shares --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_shares_are_those_that_scipy_finds(seed):
    rng = np.random.default_rng(seed)
    chances, heavy = np.exp(rng.normal(0, 1.5, (120, 4))), rng.exponential(1.0, 120)

    def variance(shares):
        return float((heavy / (chances @ shares)).sum())

    def loss(free):
        shares = np.exp(free - free.max())
        return variance(shares / shares.sum())

    wanted = min(minimize(loss, rng.normal(0, 1, 4), tol=1e-12).fun for _ in range(4))
    found = _shares(chances, heavy)
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0).all()
    assert variance(found) == pytest.approx(wanted, rel=1e-4)


def test_of_two_disjoint_tails_each_gets_its_own_tilt():
    # One tilt brings each half of the trials ten times as often and the other never: both are needed alike.
    chances = np.repeat([[1.0, 10.0, 0.0], [1.0, 0.0, 10.0]], 50, axis=0)
    assert _shares(chances, np.ones(100)) == pytest.approx([0.0, 0.5, 0.5], abs=2e-3)


@pytest.mark.parametrize(("kind", "questions"), [("template", (9.0,)), ("template", (1.0, 4.0, 9.0)), ("free", (9.0,))])
@pytest.mark.slow
def test_the_variance_predicted_is_the_variance_found(kind, questions):
    run = long_pilot(kind, 4000 if kind == "template" else 3000)
    tilts, predicted = trials.mixture(run, meets(run, questions))
    assert sum(t.share for t in tilts) == pytest.approx(1.0)
    rows = trials.scramble_trials(problem(kind), 7, 0, 3000 if kind == "template" else 2000, tilts)
    for ts, variance in zip(questions, predicted, strict=True):
        weight = np.where(rows[:, 0] >= ts, np.exp(rows[:, 3]), 0.0)
        # Measured: 8 per cent.  A free index leaves rare large weights.
        found = weight.var() / weight.mean() ** 2
        assert found == pytest.approx(variance, rel=0.15 if kind == "template" else 0.35)
        if ts > 1.0:
            assert variance < 0.5 / weight.mean()  # that of plain scrambles is 1 / p


def test_the_chosen_mixture_is_better_than_its_candidates_shared_evenly():
    run = long_pilot("template", 4000)
    met = meets(run, (16.0,))
    _, best = trials.mixture(run, met)
    weight = np.exp(run.log_weight) * met[0]
    assert best[0] < 0.9 * (weight.var() / weight.mean() ** 2)


def test_a_short_pilot_predicts_the_error_roughly():
    prepared = problem()
    for seed in range(3):
        run = trials.pilot((prepared,), seed, np.array([9.0]))
        assert len(run.ts) == 400
        tilts, predicted = trials.mixture(run, meets(run, (9.0,)))
        rows = trials.scramble_trials(prepared, seed, 0, 2000, tilts)
        value = trials.p_value(rows[:, 0], rows[:, 3], 9.0)
        assert value.p_error / value.p == pytest.approx(np.sqrt(predicted[0] / 2000), rel=0.25)


# --- questions ---------------------------------------------------------------------------------------------------


def test_a_question_out_of_the_pilot_s_reach_is_refused():
    run = trials.pilot((problem(),), 0, np.array([4.0]))
    with pytest.raises(PrecisionError, match="1 of 2 test statistics were out of the pilot's reach"):
        trials.mixture(run, meets(run, (4.0, 90.0)))


def test_plain_scrambles_are_drawn_where_small_test_statistics_are_asked_for():
    share = {}
    for ts in (0.0, 1.0, 9.0, 16.0):
        tilts = trials.choose_tilts(problem(), ts)
        share[ts] = sum(t.share for t in tilts if t.n_signal == 0)
        assert sum(t.share for t in tilts) == pytest.approx(1.0)
    assert share[0.0] == pytest.approx(0.75, abs=2e-3)  # a quarter goes to all tilts evenly
    assert share[0.0] > share[1.0] > share[9.0] > 0.03
    run = long_pilot("template", 4000)
    assert all(t.n_signal > 0 for t in trials.mixture(run, meets(run, (16.0,)))[0])  # of no use to a far tail


@pytest.mark.parametrize("kind", ["template", "free"])
def test_every_candidate_is_in_reach_of_the_sums(kind):
    for ts in (0.0, 9.0, 81.0):
        found = candidates(problem(kind), ts)
        assert {t.node for t in found} == ({0} if kind == "template" else {1, 5, 8, 11, 14})
        assert sum(t.share for t in found) == pytest.approx(1.0)
        assert all(0 < t.n_signal <= problem(kind).strength_at(REACH_TS)[t.node] * (1 + 1e-6) for t in found)


@pytest.mark.parametrize("kind", ["free"])
def test_a_mixture_for_nine_sigma_can_be_run(kind):
    rows = trials.scramble_trials(problem(kind), 1, 0, 30, trials.choose_tilts(problem(kind), 81.0))
    assert np.isfinite(rows).all()


def test_the_choice_is_that_of_the_seed():
    assert trials.choose_tilts(problem(), 9.0, seed=3) == trials.choose_tilts(problem(), 9.0, seed=3)
    assert trials.choose_tilts(problem(), 9.0, seed=3) != trials.choose_tilts(problem(), 9.0, seed=4)


# --- p-values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["template", "free"])
def test_p_values_are_those_of_plain_scrambles(kind):
    background = plain(kind, 20_000 if kind == "template" else 5000)
    rows = trials.scramble_trials(problem(kind), 41, 0, 3000, trials.choose_tilts(problem(kind), 9.0))
    for ts in (1.0, 4.0, 9.0):
        count = int((background[:, 0] >= ts).sum())
        assert count >= 8
        found = trials.p_value(rows[:, 0], rows[:, 3], ts)
        assert found.p == pytest.approx(
            count / len(background), abs=3.5 * np.hypot(found.p_error, np.sqrt(count) / len(background))
        )
        assert found.p_error < 0.1 * found.p


def test_p_values_do_not_depend_on_tilts_or_seed():
    prepared = problem()
    n = {ts: float(prepared.strength_at(ts)[0]) for ts in (4.0, 9.0, 16.0, 25.0)}
    mixtures = [
        (trials.choose_tilts(prepared, 16.0, seed=1), 1),
        (trials.choose_tilts(prepared, 25.0, seed=2), 2),
        ((Tilt(n[9.0], 0, 1.0),), 3),
        ((Tilt(0.0, 0, 0.1), Tilt(n[4.0], 0, 0.3), Tilt(n[16.0], 0, 0.6)), 4),
        ((Tilt(n[25.0], 0, 0.5), Tilt(n[4.0], 0, 0.5)), 5),
    ]
    found = []
    for tilts, seed in mixtures:
        rows = trials.scramble_trials(prepared, seed, 0, 3000, tilts)
        found.append([trials.p_value(rows[:, 0], rows[:, 3], ts) for ts in (9.0, 16.0)])
    for values in zip(*found, strict=True):
        p, error = np.array([v.p for v in values]), np.array([v.p_error for v in values])
        mean = np.average(p, weights=error**-2.0)
        assert (((p - mean) / error) ** 2).sum() < 18.5  # 0.1 per cent of a chi-square with 4 degrees of freedom


def bounded(rng, n, *, tilts=(0.0, 2.0, 4.0), slope=1.0):
    """TS = max(z, 0)^2 of n standard normal z: plain, and of a mixture with its log-weights; slope 1 is right."""
    tilt = rng.choice(tilts, n)
    z = rng.normal(tilt, 1.0)
    ratios = np.array(tilts) * z[:, None] * slope - np.square(tilts) / 2.0
    plain = np.maximum(rng.normal(0.0, 1.0, n), 0.0) ** 2
    return plain, np.maximum(z, 0.0) ** 2, -np.log(np.exp(ratios).mean(axis=1))


def test_ensembles_of_one_law_agree_as_often_as_the_comparison_says():
    rng = np.random.default_rng(4)
    p = np.array([trials.agreement(*bounded(rng, 400), rng).p for _ in range(60)])
    assert kstest(p, "uniform").pvalue > 0.01
    assert trials.agreement(*bounded(rng, 20_000), rng).p > 0.01


@pytest.mark.parametrize("what", ["ts", "weights", "slope"])
def test_the_comparison_finds_what_is_wrong(what):
    """TS of one too large by 8 %, weights by 8 %, or the ratio of every tilt as if it were 5 % stronger."""
    rng = np.random.default_rng(5)
    plain, ts, log_weight = bounded(rng, 20_000, slope=1.05 if what == "slope" else 1.0)
    factor, more = (1.08 if what == "ts" else 1.0), (np.log(1.08) if what == "weights" else 0.0)
    assert trials.agreement(plain * factor, ts, log_weight + more, rng).p < 0.003
    with pytest.raises(InputError, match="too few trials"):
        trials.agreement(plain[:12], np.zeros(50), np.zeros(50), rng)


def test_p_values_of_plain_scrambles_are_uniform():
    """20,000 scrambles read against a tilted ensemble, at all TS at once, with the errors of both."""
    rows = trials.scramble_trials(problem(), 43, 0, 8000, trials.choose_tilts(problem(), 12.0))
    assert trials.agreement(plain()[:, 0], rows[:, 0], rows[:, 3], np.random.default_rng(1)).p > 0.01


def test_every_tilt_is_a_density():
    """The mean of L_k / L(0) under the null is 1, strong tilts too: by the mixture, where it is at most 1 / share.

    Plain scrambles alone cannot show it: of the strongest a million would not hold the mean.
    """
    tilts = trials.choose_tilts(problem(), 16.0)
    _, ratios = trials.correlated_trials((problem(),), 44, 0, 6000, tilts)
    weight = np.exp(trials.mixture_log_weight(ratios, np.array([t.share for t in tilts])))
    each = np.exp(ratios) * weight[:, None]
    error = each.std(axis=0) / np.sqrt(len(each))
    assert error.max() < 0.06
    assert np.abs((each.mean(axis=0) - 1.0) / error).max() < 3.5


@lru_cache
def many_ensembles(n=120, size=200):
    rows = trials.scramble_trials(problem(), 51, 0, n * size, trials.choose_tilts(problem(), 9.0))
    return np.random.default_rng(0).permutation(rows).reshape(n, size, -1)  # without it the shares are held too well


@pytest.mark.parametrize("ts", [4.0, 9.0])
def test_stated_errors_of_p_values_cover(ts):
    ensembles = many_ensembles()
    rows = ensembles.reshape(-1, ensembles.shape[-1])
    truth = trials.p_value(rows[:, 0], rows[:, 3], ts).p
    values = [trials.p_value(e[:, 0], e[:, 3], ts) for e in ensembles]
    inside = sum(abs(v.p - truth) < v.p_error for v in values)
    assert binom.cdf(inside, len(values), 0.683) > 0.00135
    assert binom.sf(inside - 1, len(values), 0.683) > 0.00135
    assert np.std([(v.p - truth) / v.p_error for v in values]) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize(("size", "precision", "slack"), [(60, 0.1, 1.25), (200, 0.03, 1.15), (1500, 0.03, 1.05)])
def test_a_refused_p_value_names_a_number_of_trials_that_will_do(size, precision, slack):
    tilts = trials.choose_tilts(problem(), 9.0)
    rows = trials.scramble_trials(problem(), 8, 0, size, tilts)
    with pytest.raises(PrecisionError, match="trials of this mixture would do") as refused:
        trials.p_value(rows[:, 0], rows[:, 3], 9.0, precision)
    number = int(re.search(r"About ([\d,]+) trials", str(refused.value)).group(1).replace(",", ""))
    assert size < number < 10_000
    rows = trials.scramble_trials(problem(), 8, 0, number, tilts)
    # 60, 200 and 1,500 trials know their own error to 20, 10 and 4 per cent.
    value = trials.p_value(rows[:, 0], rows[:, 3], 9.0, slack * precision)
    assert value.p_error > 0.6 * precision * value.p


def test_few_effective_trials_are_refused_with_a_number_too():
    rows = trials.scramble_trials(problem(), 8, 0, 300, PLAIN)
    with pytest.raises(PrecisionError, match="effective trials of 300 reach TS 7") as refused:
        trials.p_value(rows[:, 0], rows[:, 3], 7.0)
    number = int(re.search(r"About ([\d,]+) trials", str(refused.value)).group(1).replace(",", ""))
    assert trials.p_value(plain()[:number, 0], plain()[:number, 3], 7.0).ess >= 10
