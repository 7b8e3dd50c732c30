"""Ensembles: tilted draws and their weights, p-values, smeared declinations, injection, on small problems."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy.stats import binom, chi2, chisquare, kstest, norm
from small_problem import BINNING, SOURCES, sample, seen_alike, stack_hypothesis, template_hypothesis

from nuanalysis import trials
from nuanalysis.errors import InputError, PrecisionError
from nuanalysis.likelihood import maximise, ts_at
from nuanalysis.model import Binning, prepare
from nuanalysis.model._place import place
from nuanalysis.model.kernels import draw_uniform, trial_key
from nuanalysis.trials import PLAIN, Tilt
from nuanalysis.trials._scrambles import _component, _smeared_declinations

N = 1500


@lru_cache
def problem(kind="template", samples=1):
    """A small prepared problem: 'template', 'stack' (fixed index) or 'free' (stack with free index)."""
    hypothesis = template_hypothesis() if kind == "template" else stack_hypothesis(free=kind == "free")
    return prepare(hypothesis, tuple(sample(N // samples, seed=31 + k, name=f"s{k}", nside=32) for k in range(samples)))


@lru_cache
def spread(kind="template", samples=1):
    return trials.uncertainty(problem(kind, samples))


@lru_cache
def plain(kind="template", n=6000, seed=17):
    return trials.scramble_trials(problem(kind), seed, 0, n)


@lru_cache
def injections(reach=7.0, per_strength=250, seed=23):
    """Injection trials on the package's own grid of strengths."""
    grid = trials.injection_grid(problem(), reach)
    return trials.injection_trials(problem(), seed, 0, per_strength * len(grid), grid)


at = trials.known_threshold


# --- one trial ---------------------------------------------------------------------------------------------------


def test_a_trial_depends_on_seed_and_number_alone():
    tilts = trials.choose_tilts(problem(), 16.0)
    whole = trials.scramble_trials(problem(), 5, 0, 24, tilts)
    pieces = [trials.scramble_trials(problem(), 5, a, b, tilts) for a, b in ((17, 24), (0, 3), (3, 17))]
    assert np.concatenate([pieces[1], pieces[2], pieces[0]]).tobytes() == whole.tobytes()
    assert not np.array_equal(trials.scramble_trials(problem(), 6, 0, 24, tilts), whole)
    again = prepare(template_hypothesis(), (sample(N, seed=31, name="s0"),))
    assert trials.scramble_trials(again, 5, 7, 9, tilts).tobytes() == whole[7:9].tobytes()


def test_an_injection_trial_depends_on_seed_and_number_alone():
    means = (0.0, 20.0, 60.0)
    whole = trials.injection_trials(problem("free"), 5, 0, 12, means)
    pieces = [trials.injection_trials(problem("free"), 5, a, b, means) for a, b in ((8, 12), (0, 8))]
    assert np.concatenate(pieces[::-1]).tobytes() == whole.tobytes()
    assert whole[:, 0].tolist() == [means[i % 3] for i in range(12)]


def test_trials_of_several_samples_scramble_each_on_its_own():
    terms = trials.scrambled(problem(samples=3), 1, 0, PLAIN[0])
    first, second = terms.difference[0, :500], terms.difference[0, 500:1000]
    assert terms.n_events == 1500
    assert not np.allclose(first, second)


# --- tilted draws ------------------------------------------------------------------------------------------------


def tilted_draws(kind, event, strength, n=40_000):
    """u of one event drawn n times from 1 + strength (S - <S>), and that ratio on the same event."""
    part = problem(kind).parts[0]
    chosen = part.active[event]
    dec, error = (np.full(n, part.sample.array(name)[chosen]) for name in ("declination", "angular_error"))
    many = place(part.space, seen_alike(dec, error))
    u, key = np.empty(n), np.uint64(trial_key(3, event, 0))
    draw_uniform(key, u)
    many.tilt(key, (np.array([strength]), np.zeros(n, dtype=np.int64), np.ones(n)), np.ones(1), u)
    return u, lambda at: 1 + strength * many.difference_at(np.resize(at, n))[0, : len(at)], many


def test_tilted_right_ascensions_of_a_template_follow_the_signal_on_the_ring():
    total, freedom = 0.0, 0
    for event in (3, 400, 900, 1300):
        _, _, many = tilted_draws("template", event, 0.0, 10)
        u, ratio, many = tilted_draws("template", event, 0.9 / many.mean[0, 0])
        count = int(many.count[0])
        expected = ratio((np.arange(count) + 0.5) / count) / count * len(u)
        assert expected.sum() == pytest.approx(len(u), rel=1e-5)
        counts = np.bincount((u * count).astype(int), minlength=count)
        use = expected > 5
        total += ((counts - expected)[use] ** 2 / expected[use]).sum()
        freedom += use.sum() - 1
    assert chi2.sf(total, freedom) > 0.001


def test_tilted_right_ascensions_of_a_stack_follow_the_signal():
    prepared = problem("stack")
    near = np.argsort(-prepared.parts[0].lookup.mean[0])[[5, 60, 200]]
    for event in near:
        _, _, many = tilted_draws("stack", event, 0.0, 10)
        u, ratio, _ = tilted_draws("stack", event, 0.9 / many.mean[0, 0])
        edges = np.linspace(0, 1, 61)
        fine = ratio((np.arange(6000) + 0.5) / 6000).reshape(60, 100).mean(axis=1)
        assert fine.mean() == pytest.approx(1.0, rel=1e-4)
        expected = fine / fine.sum() * len(u)
        use = expected > 5
        counts = np.histogram(u, edges)[0]
        value = ((counts - expected)[use] ** 2 / expected[use]).sum()
        assert chi2.sf(value, use.sum() - 1) > 0.0005


# --- weights -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "samples", "node"),
    [("template", 1, 0), ("template", 3, 0), ("stack", 1, 0), ("stack", 3, 0), ("free", 1, 5), ("free", 3, 9)],
)
@pytest.mark.slow
def test_the_mean_weight_of_a_tilt_is_one(kind, samples, node):
    prepared, n = problem(kind, samples), 1200
    tilt = Tilt(float(prepared.strength_at(3.0)[node]), node, 0.5)
    _, ratios = trials.correlated_trials((prepared,), 2, 0, n, (replace(PLAIN[0], share=0.5), tilt))
    # Together with plain scrambles no weight exceeds 2; those of the tilt alone have a long tail.
    weight = 2 / (1 + np.exp(ratios[:, 1]))
    error = weight.std() / np.sqrt(n)
    assert 0.005 < error < 0.03
    assert weight.mean() == pytest.approx(1.0, abs=3.5 * error)


def test_the_weight_of_a_tilt_alone_is_one_on_average_backwards_and_forwards():
    n, tilt = 3000, Tilt(float(problem().strength_at(1.5)[0]), 0, 1.0)
    # Tilted to plain, and plain to tilted: a share of 0 is never drawn, but its ratio is told.
    for tilts, sign in (((tilt,), -1.0), ((replace(tilt, share=0.0), PLAIN[0]), 1.0)):
        _, ratios = trials.correlated_trials((problem(),), 2, 0, n, tilts)
        weight = np.exp(sign * ratios[:, 0])
        error = weight.std() / np.sqrt(n)
        assert error < 0.1
        assert weight.mean() == pytest.approx(1.0, abs=3.5 * error)


def test_weights_of_a_mixture_are_those_of_the_balance_heuristic():
    prepared = problem("free")
    tilts = (Tilt(0.0, 3, 0.4), Tilt(5.0, 3, 0.35), Tilt(12.0, 9, 0.25))
    rows = trials.scramble_trials(prepared, 9, 0, 10, tilts)
    for i, row in enumerate(rows):
        data = trials.scrambled(prepared, 9, i, _component(i, tilts))
        ratios = [np.exp(0.5 * ts_at(data, t.n_signal, node=t.node)) for t in tilts]
        assert np.exp(row[3]) == pytest.approx(1 / np.dot([0.4, 0.35, 0.25], ratios), rel=1e-6)
        assert row[0] == pytest.approx(maximise(data).ts, rel=1e-7, abs=1e-7)


def test_every_run_of_trials_holds_the_shares():
    tilts = (Tilt(0.0, 0, 0.3), Tilt(1.0, 0, 0.5), Tilt(2.0, 0, 0.2))
    for first in (0, 1000, 123_456):
        drawn = [_component(i, tilts).n_signal for i in range(first, first + 500)]
        assert np.bincount(np.array(drawn, dtype=int), minlength=3) == pytest.approx([150, 250, 100], abs=3)


def test_shares_that_do_not_sum_to_one_are_refused():
    with pytest.raises(InputError, match=r"sum to 0\.9"):
        trials.scramble_trials(problem(), 1, 0, 1, (Tilt(0.0, 0, 0.9),))


@pytest.mark.parametrize("kind", ["template", "free"])
def test_chosen_tilts_serve_every_test_statistic_up_to_the_one_asked_for(kind):
    tilts = trials.choose_tilts(problem(kind), 16.0)
    assert sum(t.share for t in tilts) == pytest.approx(1.0)
    assert tilts[0].n_signal == 0.0
    rows = trials.scramble_trials(problem(kind), 44, 0, 2000, tilts)
    for ts in (0.5, 1.0, 4.0, 9.0, 16.0):
        value = trials.p_value(rows[:, 0], rows[:, 3], ts)
        assert value.p_error < (0.1 if kind == "template" else 0.15) * value.p


# --- p-values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "n"), [("template", 2500), ("free", 1000)])
@pytest.mark.slow
def test_p_values_of_different_tilts_agree_with_plain_scrambles(kind, n):
    prepared, background = problem(kind), plain(kind, 6000 if kind == "template" else 2500)
    node = 0 if kind == "template" else 8
    weak, middle, strong = (float(prepared.strength_at(ts)[node]) for ts in (2.0, 4.0, 12.0))
    ensembles = [
        trials.scramble_trials(prepared, 41, 0, n, trials.choose_tilts(prepared, 16.0)),
        trials.scramble_trials(prepared, 42, 0, n, (Tilt(0.0, node, 0.5), Tilt(middle, node, 0.5))),
        trials.scramble_trials(
            prepared, 43, 0, n, (Tilt(0.0, node, 0.2), Tilt(weak, node, 0.4), Tilt(strong, node, 0.4))
        ),
    ]
    for ts in (0.5, 2.0, 4.0):
        count = int((background[:, 0] >= ts).sum())
        found = [trials.p_value(e[:, 0], e[:, 3], ts) for e in ensembles]
        direct = (count / len(background), np.sqrt(count) / len(background))
        for value in found:
            assert abs(value.p - direct[0]) < 3.5 * np.hypot(value.p_error, direct[1])
    if kind == "free":
        return  # tilts of one index seldom reach 9 where the fit prefers another
    deep = [trials.p_value(e[:, 0], e[:, 3], 9.0) for e in ensembles[::2]]
    assert abs(deep[0].p - deep[1].p) < 3.5 * np.hypot(deep[0].p_error, deep[1].p_error)


@pytest.mark.slow
def test_stated_errors_of_p_values_cover():
    prepared = problem()
    tilts = trials.choose_tilts(prepared, 9.0)
    rows = trials.scramble_trials(prepared, 51, 0, 18_000, tilts)
    ts, inside, spreads = 6.0, 0, []
    truth = trials.p_value(rows[:, 0], rows[:, 3], ts)
    for part in np.split(rows, 60):
        value = trials.p_value(part[:, 0], part[:, 3], ts)
        inside += abs(value.p - truth.p) < value.p_error
        spreads.append((value.p - truth.p) / value.p_error)
    # Spreading the tilts evenly over the trials makes the true error a little smaller than the stated one.
    assert binom.sf(inside - 1, 60, 0.68) > 1e-3 or inside > 41
    assert binom.cdf(inside, 60, 0.68) > 1e-3
    assert np.std(spreads) < 1.25


def test_without_excess_the_p_value_is_one():
    value = trials.p_value(np.array([0.0, 1.0]), np.zeros(2), 0.0)
    assert (value.p, value.p_error) == (1.0, 0.0)


def test_a_p_value_by_hand():
    ts = np.arange(100.0)
    value = trials.p_value(ts, np.zeros(100), 80.0)
    assert value.p == pytest.approx(0.2)
    assert value.ess == pytest.approx(20)
    assert value.p_error == pytest.approx(np.sqrt(0.2 * 0.8 / 99))
    assert value.sigma == pytest.approx(norm.isf(0.2))
    assert value.sigma_error == pytest.approx(value.p_error / norm.pdf(value.sigma))


@pytest.mark.parametrize("observed", [91.0, 1000.0])
def test_a_p_value_from_too_few_trials_is_refused(observed):
    with pytest.raises(PrecisionError, match="effective trials"):
        trials.p_value(np.arange(100.0), np.zeros(100), observed)


def test_many_trials_with_one_large_weight_count_as_one():
    weight = np.full(100, -20.0)
    weight[50] = 0.0
    with pytest.raises(PrecisionError, match=r"1\.0 effective"):
        trials.p_value(np.full(100, 5.0), weight, 1.0)


def test_weighted_quantiles_are_those_of_the_null():
    background = plain()
    rows = trials.scramble_trials(problem(), 61, 0, 4000, trials.choose_tilts(problem(), 9.0))
    for upper in (0.3, 0.1, 0.02):
        direct = np.quantile(background[:, 0], 1 - upper)
        found = trials.weighted_quantile(rows[:, 0], rows[:, 3], upper)
        slope = 0.5 * chi2.pdf(direct, 1)
        assert found == pytest.approx(direct, abs=4 * np.sqrt(upper / 3000) / slope)
    assert trials.weighted_quantile(np.arange(10.0), np.zeros(10), 0.2) == 8.0


def test_scrambled_test_statistics_are_near_half_a_delta_and_half_a_chi_square():
    ts = plain()[:, 0]
    zero = (ts < 1e-9).mean()
    # Measured on these 1,500 events: 0.514 at zero, tails within 10 per cent of the half chi-square.
    assert zero == pytest.approx(0.5, abs=0.03)
    for value in (1.0, 2.7):
        tail = 0.5 * chi2.sf(value, 1)
        assert (ts > value).mean() == pytest.approx(tail, rel=0.1, abs=3 * np.sqrt(tail / len(ts)))
    assert kstest(ts[ts > 1e-9], chi2(1).cdf).statistic < 0.03


# --- smeared declinations ----------------------------------------------------------------------------------------

WIDTH = float(np.radians(3.0))
CAP = float(np.radians(82.0))


def declinations(kind="template", n=150, seed=5):
    """Declinations of the sample, and those of n smeared trials, (trial, event)."""
    part = problem(kind).parts[0]
    return part.sample.array("declination"), np.array(
        [_smeared_declinations(part, seed, i, 0, WIDTH) for i in range(n)]
    )


def test_declinations_are_smeared_by_the_width_and_stay_out_of_the_caps():
    dec, moved = declinations()
    capped = np.abs(dec) >= CAP
    assert 0 < capped.sum() < 20
    assert (moved[:, capped] == dec[capped]).all()
    assert (np.abs(moved[:, ~capped]) <= CAP).all()
    gap = (moved - dec)[:, np.abs(dec) < np.radians(65.0)]
    assert kstest(gap[:20].ravel() / WIDTH, "norm").pvalue > 0.001
    assert gap.std() == pytest.approx(WIDTH, rel=0.01)
    assert abs(np.corrcoef(gap[0], gap[1])[0, 1]) < 0.1


def test_events_near_a_cap_are_reflected_at_it():
    dec, moved = declinations()
    near = (np.abs(dec) < CAP) & (np.abs(dec) > CAP - 0.3 * WIDTH)
    assert near.sum() >= 2
    inward = (np.abs(dec) - np.abs(moved))[:, near]
    # Half of a Gaussian at the cap itself; none piles up there.
    assert (inward > -0.3 * WIDTH).all()
    assert inward.mean() > 0.6 * WIDTH
    assert (np.abs(np.abs(moved[:, near]) - CAP) < 1e-6 * WIDTH).mean() < 0.01


def test_smeared_trials_depend_on_seed_and_number_alone():
    tilts = (Tilt(0.0, 0, 0.5), Tilt(4.0, 0, 0.5))
    whole = trials.scramble_trials(problem("stack", 3), 5, 0, 8, tilts, WIDTH)
    pieces = [trials.scramble_trials(problem("stack", 3), 5, a, b, tilts, WIDTH) for a, b in ((5, 8), (0, 5))]
    assert np.concatenate(pieces[::-1]).tobytes() == whole.tobytes()
    assert not np.array_equal(whole, trials.scramble_trials(problem("stack", 3), 5, 0, 8, tilts))
    first, other = declinations(n=2, seed=5)[1], declinations(n=2, seed=6)[1]
    assert np.array_equal(first, declinations(n=2, seed=5)[1])
    assert not np.isclose(first[0], first[1]).all()
    assert not np.isclose(first[0], other[0]).all()


def test_all_hypotheses_of_a_trial_see_the_same_smeared_declinations():
    pair = problem("template"), problem("stack")
    together, _ = trials.correlated_trials(pair, 9, 0, 6, PLAIN, WIDTH)
    for k, alone in enumerate(pair):
        assert trials.scramble_trials(alone, 9, 0, 6, PLAIN, WIDTH)[:, :3].tobytes() == together[:, k, :3].tobytes()


@pytest.mark.parametrize("kind", ["template", "stack", "free"])
@pytest.mark.slow
def test_a_smeared_trial_is_the_trial_of_a_sample_with_these_declinations(kind):
    # Few wide bins: none is merged, before or after.
    bins = Binning(np.linspace(-1, 1, 6), np.array([2.0, 3.2, 3.6, 8.0]), BINNING.dec_smoothing, 1)
    hypothesis = template_hypothesis() if kind == "template" else stack_hypothesis(free=kind == "free")
    events = replace(sample(N, seed=31, name="s0"), binning=bins)
    fits, _ = trials.correlated_trials((prepare(hypothesis, (events,)),), 5, 0, 6, PLAIN, WIDTH)
    for trial, (ts, n_signal, index, _) in enumerate(fits[:, 0]):
        moved = events.events.assign(declination=("event", declinations(n=6)[1][trial]))
        again = maximise(trials.scrambled(prepare(hypothesis, (replace(events, events=moved),)), 5, trial, PLAIN[0]))
        assert ts == pytest.approx(again.ts, rel=1e-7, abs=2e-7)
        assert n_signal == pytest.approx(again.n_signal, rel=1e-6, abs=1e-6)
        assert index == pytest.approx(again.index, abs=1e-6) or ts < 1e-6
    assert (fits[:, 0, 0] > 0).any()


@pytest.mark.parametrize(("kind", "node"), [("template", 0), ("stack", 0), ("free", 8)])
@pytest.mark.slow
def test_the_mean_weight_of_smeared_tilts_is_one(kind, node):
    prepared, n = problem(kind), 800
    tilt = Tilt(float(prepared.strength_at(6.0)[node]), node, 0.5)
    # Smeared by 40 degrees the events have little left of their own declinations, which must not enter.
    for width in (WIDTH, np.radians(40.0)):
        _, ratios = trials.correlated_trials((prepared,), 6, 0, n, (replace(PLAIN[0], share=0.5), tilt), width)
        weight = 2 / (1 + np.exp(ratios[:, 1]))
        error = weight.std() / np.sqrt(n)
        assert 0.005 < error < 0.04
        assert weight.mean() == pytest.approx(1.0, abs=3.5 * error)


@pytest.mark.parametrize("kind", ["template", "stack"])
@pytest.mark.slow
def test_p_values_of_smeared_scrambles_are_of_the_order_of_plain_ones(kind):
    tilts = trials.choose_tilts(problem(kind), 9.0)
    plain, smeared = (trials.scramble_trials(problem(kind), 7, 0, 1000, tilts, w) for w in (0.0, WIDTH))
    for ts in (1.0, 4.0, 9.0):
        one, other = (trials.p_value(rows[:, 0], rows[:, 3], ts) for rows in (plain, smeared))
        assert other.p_error < 0.3 * other.p
        assert 0.5 < other.p / one.p < 2.0


# --- injection ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_median_fit_follows_the_injected_signal():
    rows = injections()
    strengths, medians = trials.median_fit(rows[:, 0], rows[:, 2])
    sd = float(spread()[0])
    for n, median in zip(strengths, medians, strict=True):
        if n >= 2 * sd:
            error = 1.25 * rows[rows[:, 0] == n, 2].std() / np.sqrt((rows[:, 0] == n).sum())
            assert abs(median - n) < 0.12 * n + 3 * error


def test_the_bias_factor_turns_the_median_fit_into_what_was_injected():
    rows, factor = injections(), trials.bias_factor(problem(), 200)
    strengths, medians = trials.median_fit(rows[:, 0], rows[:, 2])
    sd = float(spread()[0])
    for n, median in zip(strengths, medians, strict=True):
        if n >= 2 * sd:
            error = 1.25 * rows[rows[:, 0] == n, 2].std() / np.sqrt((rows[:, 0] == n).sum())
            assert abs(median / factor - n) < 0.08 * n + 3 * error


def test_the_sensitivity_agrees_with_direct_counting_at_its_answer():
    rows, median = injections(), float(np.median(plain()[:, 0]))
    found = trials.strength_for(rows[:, 0], rows[:, 1], threshold=at(median), fraction=0.9)
    assert found.error < 0.12 * found.n_signal
    direct = trials.injection_trials(problem(), 71, 0, 1500, (found.n_signal,))
    hit = (direct[:, 1] > median).mean()
    slope = norm.pdf(norm.ppf(0.9)) / float(spread()[0])  # of the fraction with n
    assert hit == pytest.approx(0.9, abs=3.5 * np.hypot(np.sqrt(0.09 / 1500), slope * found.error))


def test_the_discovery_potential_agrees_with_direct_counting_at_its_answer():
    rows = injections()
    found = trials.strength_for(rows[:, 0], rows[:, 1], threshold=at(16.0), fraction=0.5)
    direct = trials.injection_trials(problem(), 72, 0, 1000, (found.n_signal,))
    slope = norm.pdf(0.0) / float(spread()[0])
    assert (direct[:, 1] > 16.0).mean() == pytest.approx(
        0.5, abs=3.5 * np.hypot(0.5 / np.sqrt(1000), slope * found.error)
    )


def test_stated_errors_of_a_strength_cover():
    rng, pulls = np.random.default_rng(81), []
    strengths = np.tile(np.concatenate([np.arange(0, 4.1, 0.5), np.arange(5, 7.1)]), 60)
    for _ in range(150):
        ts = np.maximum(strengths + rng.standard_normal(len(strengths)), 0.0) ** 2
        found = trials.strength_for(strengths, ts, threshold=at(25.0), fraction=0.5)
        pulls.append((found.n_signal - 5.0) / found.error)
    # Gaussian experiments of unit width: the fraction is Phi(n - 5), exactly of the fitted form.
    assert abs(np.mean(pulls)) < 0.35
    assert 0.8 < np.std(pulls) < 1.2


@pytest.mark.parametrize(("threshold", "where"), [(-1.0, "below the smallest"), (400.0, "beyond the largest")])
def test_a_strength_outside_the_injected_range_is_refused(threshold, where):
    rows = injections()
    with pytest.raises(PrecisionError, match=where):
        trials.strength_for(rows[:, 0], rows[:, 1], threshold=at(threshold), fraction=0.9)


def test_injection_strengths_start_at_zero_and_reach_as_far_as_asked():
    grid = np.array(trials.injection_grid(problem(), 7.0)) / float(spread()[0])
    assert grid[0] == 0.0
    assert grid[-1] == pytest.approx(7.0)
    assert (np.diff(grid) > 0).all()


def test_an_interval_beyond_the_injected_strengths_is_refused():
    prepared, sources = problem(), trials.emissions(problem())
    data = trials.injected(prepared, sources, 1, 1, 6 * float(spread()[0]))
    few = np.array([0.0, 1.0]).repeat(50)
    with pytest.raises(PrecisionError, match="wider range"):
        trials.interval(data, maximise(data).ts, few, np.full(100, 0.5), stretch=1.0, level=0.68)


def test_signal_of_a_joint_fit_divides_as_expected_events():
    prepared = problem(samples=3)
    sources = trials.emissions(prepared)
    sizes = []
    for trial in range(60):
        data = trials.injected(prepared, sources, 5, trial, 90.0)
        sizes.append(data.n_events - 1500)
    assert np.mean(sizes) == pytest.approx(90, abs=4 * np.sqrt(90 / 60))
    assert chisquare([p.share[0] for p in prepared.parts], [1 / 3] * 3).statistic < 1e-12
    assert len(SOURCES) == 3
