"""Injection ensembles: bias, discovery potentials, intervals and their coverage, systematics, conditional trials."""

import json
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import xarray as xr
from scipy.interpolate import make_smoothing_spline
from scipy.stats import chi2, multivariate_normal, norm
from small_problem import plane, sample, stack_hypothesis, template_hypothesis, whole

from nuanalysis import trials
from nuanalysis.answers import bias
from nuanalysis.answers._ensembles import reach_strength, reach_ts
from nuanalysis.answers.sensitivity import medians_of, potential_of
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.errors import InputError, PrecisionError
from nuanalysis.interpret import fluxes
from nuanalysis.likelihood import FitResult, maximise, maximise_at, ts_at
from nuanalysis.model import Hypothesis, Terms, place, prepare
from nuanalysis.model.kernels import draw_uniform, trial_key
from nuanalysis.records import Measured, Unknown
from nuanalysis.response import NOMINAL, NONE, Systematics, draw_variation
from nuanalysis.trials._injection import signal_events
from nuanalysis.trials._smooth import hat, smooth

STEPS = np.array([0.0, 0.1, 0.25, 0.5, 0.75, *np.arange(1.0, 4.1, 0.5), 5.0, 6.0, 7.0])


@lru_cache
def problem(kind="template", samples=1):
    hypothesis = template_hypothesis() if kind == "template" else stack_hypothesis(free=kind == "free")
    parts = tuple(sample(1500 // samples, seed=31 + k, name=f"s{k}", nside=32) for k in range(samples))
    return prepare(hypothesis, parts)


def deviation(kind="template"):
    prepared = problem(kind)
    return float(trials.uncertainty(prepared)[trials.flux_node(prepared)])


@lru_cache
def injections(per_strength=140):
    grid = trials.injection_grid(problem(), 7.0)
    return trials.injection_trials(problem(), 23, 0, per_strength * len(grid), grid)


# --- Gaussian experiments, where everything is known ------------------------------------------------------------------

WIDTH = 150.0


def gaussian_terms(z):
    """Terms whose TS is 2 n z / w - (n / w)^2 with w = WIDTH, to 1e-4: a measurement z of n / w with unit error."""
    n = int(WIDTH**2)
    x = np.where(np.arange(n) % 2 == 0, 1.0, -1.0) + z / WIDTH
    one = np.ones((1, 1))
    return Terms(x[None], one, np.zeros(n, dtype=np.int64), np.ones(n), one, np.array([2.7]), n)


def gaussian_tau(n_injected, rng):
    """tau of Gaussian experiments with a fit that cannot be negative, (trial,)."""
    mean = n_injected / WIDTH
    z = mean + rng.standard_normal(len(mean))
    return (z - mean) ** 2 - (z - np.maximum(z, 0.0)) ** 2


@lru_cache
def gaussian_trials(per_strength=20_000):
    n_injected = np.tile(STEPS * WIDTH, per_strength)
    return n_injected, gaussian_tau(n_injected, np.random.default_rng(5))


def bounded_coverage(critical, mean):
    """Probability that tau <= critical, summed over fine steps of z: slow and obvious."""
    z = np.linspace(mean - 12.0, mean + 12.0, 120_001)
    tau = (z - mean) ** 2 - (z - np.maximum(z, 0.0)) ** 2
    weight = norm.pdf(z - mean)
    return float(weight[tau <= critical].sum() / weight.sum())


def test_the_toy_is_the_gaussian_it_says():
    for z in (-1.0, 0.7, 3.0):
        best = maximise(gaussian_terms(z))
        assert best.n_signal / WIDTH == pytest.approx(max(z, 0.0), abs=2e-3)
        assert best.ts == pytest.approx(max(z, 0.0) ** 2, abs=3e-3)


# --- the smoothing spline ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [1e-6, 0.3, 1e4])
def test_the_smoothing_spline_is_that_of_scipy(penalty):
    rng = np.random.default_rng(1)
    x, y, error = np.sort(rng.uniform(0, 9, 14)), rng.standard_normal(14), rng.uniform(0.5, 2.0, 14)
    other = make_smoothing_spline(x, y, error**-2.0, lam=penalty)
    assert hat(x, error, penalty) @ y == pytest.approx(other(x), abs=1e-7)
    curve = smooth(x, y, error)
    found = curve.value(x)  # at its own penalty it is the spline through its own values
    fine = np.linspace(x[0], x[-1], 301)
    through = make_smoothing_spline(x, found, lam=0.0)
    assert curve.value(fine) == pytest.approx(through(fine), abs=1e-7)
    assert curve.slope(4.0) == pytest.approx(float(through(4.0, 1)), abs=1e-7)


def test_the_penalty_is_the_most_likely_one():
    rng, x = np.random.default_rng(3), np.array([0.0, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.5, 7.0])
    error = rng.uniform(0.02, 0.1, 10)
    y = np.sin(x) + error * rng.standard_normal(10)
    # Slow and direct: second differences q^T y are normal with covariance q^T e^2 q + r / penalty.
    h = np.diff(x)
    q, r = np.zeros((10, 8)), np.diag((h[1:] + h[:-1]) / 3) + np.diag(h[1:-1] / 6, 1) + np.diag(h[1:-1] / 6, -1)
    for j in range(8):
        q[j : j + 3, j] = 1 / h[j], -1 / h[j] - 1 / h[j + 1], 1 / h[j + 1]
    penalties = np.geomspace(1e-5, 1e5, 2001)
    values = [
        multivariate_normal(np.zeros(8), q.T @ np.diag(error**2) @ q + r / p, allow_singular=True).logpdf(q.T @ y)
        for p in penalties
    ]
    best = float(penalties[np.argmax(values)])
    assert smooth(x, y, error).values == pytest.approx(hat(x, error, best) @ y, abs=2e-3)
    assert abs(hat(x, error, best) @ y - hat(x, error, 3 * best) @ y).max() > 4e-3  # so that the penalty shows


def test_points_on_a_line_give_the_line_and_scatter_gives_the_stated_error():
    rng, x = np.random.default_rng(2), np.array([0.0, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.5, 7.0])
    assert smooth(x, 2.0 + 3.0 * x, np.ones(10)).value(np.array([0.7, 9.0])) == pytest.approx([4.1, 23.0])
    error, at = np.full(10, 0.3), np.array([0.1, 1.2, 6.0])
    pulls = []
    for _ in range(400):
        curve = smooth(x, np.sqrt(1.0 + x) + error * rng.standard_normal(10), error)
        pulls.append((curve.value(at) - np.sqrt(1.0 + at)) / curve.spread(at))
    # The curve is as smooth as the points allow: bends below their errors are partly smoothed away.
    assert np.abs(np.mean(pulls, axis=0)).max() < 0.6
    assert np.sqrt(np.mean(np.square(pulls), axis=0)) == pytest.approx(np.ones(3), abs=0.2)


# --- the bias curve ---------------------------------------------------------------------------------------------------


def test_a_bias_curve_by_hand():
    n = np.repeat([0.0, 100.0, 200.0, 300.0, 400.0], 3)
    curve = trials.bias_curve(n, 20.0 + 1.1 * n + np.tile([-1.0, 0.0, 4.0], 5))
    assert curve.medians == pytest.approx(20.0 + 1.1 * curve.strengths)
    assert curve.fitted(150.0).n_signal == pytest.approx(185.0)
    assert curve.corrected(185.0).n_signal == pytest.approx(150.0)
    assert curve.corrected(185.0).error == pytest.approx(curve.fitted(150.0).error / 1.1)
    assert (curve.corrected(20.0).n_signal, curve.corrected(0.0).n_signal) == (pytest.approx(0.0, abs=1e-4), 0.0)


@pytest.mark.parametrize(
    ("fits", "asked", "message"),
    [
        ((0.0, 1.0, 2.0, 3.0), 3.5, "wider range"),
        ((5.0, 6.0, 7.0, 8.0), 8.5, "wider range"),
        ((0.0, 9.0, 1.0, 12.0), 5.0, "more trials"),
    ],
)
def test_a_fit_that_the_curve_does_not_take_just_once_is_not_corrected(fits, asked, message):
    n = np.repeat([0.0, 1.0, 2.0, 3.0], 4)
    with pytest.raises(PrecisionError, match=message):
        trials.bias_curve(n, np.repeat(fits, 4) + np.tile([-1e-3, 0.0, 0.0, 1e-3], 4)).corrected(asked)


def test_a_bias_curve_without_zero_does_not_reach_down_to_it():
    n = np.repeat([1.0, 2.0, 3.0], 4)
    curve = trials.bias_curve(n, n + np.tile([-0.1, 0.0, 0.0, 0.1], 3))
    for ask in (curve.corrected, curve.fitted):
        with pytest.raises(PrecisionError, match="wider range"):
            ask(0.5)
    with pytest.raises(PrecisionError, match="do not make a curve"):
        trials.bias_curve(n[:8], n[:8])


def test_the_error_of_a_median_is_that_of_the_bootstrap():
    rng = np.random.default_rng(8)
    fits = np.maximum(3.0 + rng.standard_normal(3000), 0.0)
    medians = [np.median(rng.choice(fits, 3000)) for _ in range(400)]
    found = trials.bias_curve(np.repeat([1.0, 2.0, 3.0], 3000), np.tile(fits, 3))
    assert found.errors == pytest.approx(np.full(3, np.std(medians)), rel=0.2)


def test_stated_errors_of_corrected_fits_cover():
    rng, pulls = np.random.default_rng(7), []
    n = np.tile(STEPS, 120)
    for _ in range(200):
        curve = trials.bias_curve(n, np.maximum(1.1 * n + rng.standard_normal(len(n)), 0.0))
        found = [curve.corrected(1.1 * truth) for truth in (1.3, 3.0, 5.2)]
        pulls.append([(f.n_signal - truth) / f.error for f, truth in zip(found, (1.3, 3.0, 5.2), strict=True)])
    assert np.abs(np.mean(pulls, axis=0)).max() < 0.3
    assert ((np.std(pulls, axis=0) > 0.75) & (np.std(pulls, axis=0) < 1.3)).all()


@pytest.mark.slow
def test_the_bias_curve_holds_at_strengths_that_were_not_injected():
    rows = injections()
    curve = trials.bias_curve(rows[:, 0], rows[:, 2])
    for strength in (1.2, 4.6):
        n = strength * deviation()
        fits = trials.injection_trials(problem(), 24, 0, 400, (n,))[:, 2]
        error = 1.25 * fits.std() / np.sqrt(400)
        found = curve.fitted(n)
        assert found.n_signal == pytest.approx(np.median(fits), abs=3.5 * np.hypot(error, found.error))
        back = curve.corrected(float(np.median(fits)))
        assert back.n_signal == pytest.approx(n, abs=3.5 * np.hypot(error, found.error))


# --- discovery potential and median significance ----------------------------------------------------------------------


def tilted_background(rng, n=4000):
    """TS of unit Gaussians, a mixture of means 0 to 7, and log weights back to mean 0."""
    means = np.arange(0.0, 7.1, 1.0)
    z = rng.choice(means, n) + rng.standard_normal(n)
    weight = -np.log(np.exp(z[:, None] * means - means**2 / 2).mean(axis=1))
    return np.maximum(z, 0.0) ** 2, weight


@pytest.mark.slow
def test_discovery_potentials_of_gaussian_experiments_are_their_sigma_and_errors_cover():
    rng, pulls = np.random.default_rng(11), []
    strengths = np.tile(np.arange(0.0, 9.1, 0.5), 60)
    for _ in range(40):
        background = tilted_background(rng)
        ts = np.maximum(strengths + rng.standard_normal(len(strengths)), 0.0) ** 2
        thresholds = [trials.sigma_threshold(*background, s) for s in (3.0, 5.0, 7.0)]
        assert [one.ts for one in thresholds] == pytest.approx([9.0, 25.0, 49.0], rel=0.05)
        found = [trials.strength_for(strengths, ts, threshold=one, fraction=0.5) for one in thresholds]
        pulls.append([(f.n_signal - s) / f.error for f, s in zip(found, (3.0, 5.0, 7.0), strict=True)])
    assert np.abs(np.mean(pulls, axis=0)).max() < 0.5
    assert ((np.std(pulls, axis=0) > 0.7) & (np.std(pulls, axis=0) < 1.3)).all()


def test_the_error_of_a_discovery_potential_holds_that_of_a_rough_threshold():
    rng, found = np.random.default_rng(13), []
    strengths = np.tile(np.arange(0.0, 6.1, 0.5), 150)
    ts = np.maximum(strengths + rng.standard_normal(len(strengths)), 0.0) ** 2
    for _ in range(40):
        threshold = trials.sigma_threshold(*tilted_background(rng, 300), 3.0)
        found.append(trials.strength_for(strengths, ts, threshold=threshold, fraction=0.5))
    fit = trials.strength_for(strengths, ts, threshold=trials.known_threshold(9.0), fraction=0.5).error
    stated = np.sqrt(np.mean([f.error**2 for f in found]) - fit**2)
    assert stated == pytest.approx(np.std([f.n_signal for f in found]), rel=0.35)


def test_the_median_significance_of_gaussian_experiments_is_their_mean_and_errors_cover():
    rng, pulls = np.random.default_rng(12), []
    for _ in range(60):
        background = tilted_background(rng)
        found = [
            trials.median_significance(np.maximum(m + rng.standard_normal(300), 0.0) ** 2, background)
            for m in (1.0, 3.0, 6.0)
        ]
        pulls.append([(f.sigma - m) / f.error for f, m in zip(found, (1.0, 3.0, 6.0), strict=True)])
    assert np.abs(np.mean(pulls, axis=0)).max() < 0.5
    assert ((np.std(pulls, axis=0) > 0.7) & (np.std(pulls, axis=0) < 1.3)).all()
    none, some = np.array([0.0, 0.0, 0.0]), np.array([0.0, 0.0, 3.0])
    assert trials.median_significance(none, background) == trials.Significance(0.0, 0.0, 0.0)
    assert trials.median_significance(some, background).sigma == 0.0
    assert trials.median_significance(some, background).error > 0.5  # the next of three is at 1.7 sigma


def test_the_median_experiment_at_the_discovery_potential_has_that_significance():
    prepared, rows = problem(), injections()
    background = trials.scramble_trials(prepared, 61, 0, 3000, trials.choose_tilts(prepared, 18.0))
    threshold = trials.sigma_threshold(background[:, 0], background[:, 3], 3.0)
    found = trials.strength_for(rows[:, 0], rows[:, 1], threshold=threshold, fraction=0.5)
    direct = trials.injection_trials(prepared, 62, 0, 1000, (found.n_signal,))[:, 1]
    median = trials.median_significance(direct, (background[:, 0], background[:, 3]))
    assert median.sigma == pytest.approx(3.0, abs=3.5 * np.hypot(median.error, found.error / deviation()))


def test_what_the_background_does_not_reach_is_refused():
    background = np.maximum(np.random.default_rng(1).standard_normal(2000), 0.0) ** 2, np.zeros(2000)
    with pytest.raises(PrecisionError, match="effective trials"):
        trials.sigma_threshold(*background, 5.0)
    with pytest.raises(PrecisionError, match="effective trials"):
        trials.median_significance(np.full(9, 25.0), background)
    with pytest.raises(InputError, match="up to 10"):
        trials.sigma_threshold(*background, -1.0)


# --- intervals of Gaussian experiments --------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.5, 0.68, 0.9, 0.99])
def test_critical_values_of_a_bounded_gaussian_cover_exactly(level):
    means = np.array([0.0, 0.02, 0.1, 0.3, 0.7, 1.5, 4.0])
    critical = trials.bounded_critical(means, level)
    for mean, value in zip(means[1:], critical[1:], strict=True):
        assert bounded_coverage(value, mean) == pytest.approx(level, abs=2e-4)
    assert critical[0] == pytest.approx(norm.ppf(level) ** 2, abs=1e-9)
    assert critical[-1] == pytest.approx(chi2.ppf(level, 1), rel=2e-3)


def test_intervals_are_those_of_feldman_and_cousins():
    # Phys. Rev. D 57, 3873 (1998), table X: Gaussian with unit error and a mean that cannot be negative, 90 per cent.
    for z, low, high in ((-3, 0, 0.26), (-2, 0, 0.40), (-1, 0, 0.81), (0, 0, 1.64), (1, 0, 2.64), (2, 0.58, 3.64)):
        data = gaussian_terms(z)
        found = trials.interval(data, maximise(data).ts, *gaussian_trials(), stretch=1.0, level=0.9)
        assert np.array([found.low, found.high]) / WIDTH == pytest.approx([low, high], abs=0.025)


def test_critical_values_from_few_trials_cover_at_every_strength():
    rng, steps = np.random.default_rng(21), np.array([0.0, 0.05, 0.17, 0.25, 0.4, 0.6, 1.2, 2.7, 5.5])
    found = []
    for _ in range(48):
        n_injected = np.tile(STEPS * WIDTH, 200)
        curve = trials.critical_curve(n_injected, gaussian_tau(n_injected, rng), 0.68, 0.9 * WIDTH)  # a wrong width
        found.append([bounded_coverage(c, s) for c, s in zip(curve.at(steps * WIDTH), steps, strict=True)])
    assert np.mean(found, axis=0) == pytest.approx(np.full(9, 0.68), abs=0.015)
    # 200 experiments a strength know a quantile to 0.033; the curve joins them.
    assert np.std(found, axis=0)[1:].max() < 0.025


def test_where_most_experiments_fit_zero_the_interval_covers_zero_more_often():
    rng = np.random.default_rng(22)
    n_injected = np.tile(STEPS, 3000)
    z = n_injected - 0.8 + rng.standard_normal(len(n_injected))  # 79 per cent fit 0
    tau = (z - n_injected) ** 2 - (z - np.maximum(z, 0.0)) ** 2
    tau[n_injected == 0] = np.maximum(z[n_injected == 0], 0.0) ** 2
    curve = trials.critical_curve(n_injected, tau, 0.68, 1.0)
    assert curve.at_zero == 0.0
    assert (tau[n_injected == 0] <= curve.at_zero).mean() == pytest.approx(norm.cdf(0.8), abs=0.03)
    # Any fit above zero then excludes zero, and nothing else near it.
    data = gaussian_terms(0.3)
    wide = trials.critical_curve(WIDTH * n_injected, tau, 0.68, WIDTH)
    assert 0.0 < trials.accepted(data, maximise(data).ts, wide, stretch=1.0)[0] < 1e-3 * WIDTH


def test_an_interval_that_leaves_out_zero_begins_above_it():
    n_injected, tau = gaussian_trials()
    data = gaussian_terms(0.6)  # above the critical value at zero, below that of small strengths
    found = trials.interval(data, maximise(data).ts, n_injected, tau, stretch=1.0, level=0.68)
    low, high = found.low, found.high
    assert 0.0 < low < 0.3 * WIDTH
    assert high == pytest.approx(1.6 * WIDTH, rel=0.02)
    data = gaussian_terms(0.4)
    assert trials.interval(data, maximise(data).ts, n_injected, tau, stretch=1.0, level=0.68).low == 0.0


def test_strengths_beyond_the_end_of_the_likelihood_are_never_excluded():
    n_injected, tau = (a.copy() for a in gaussian_trials())
    tau[n_injected >= 5 * WIDTH] = 1e6
    curve = trials.critical_curve(n_injected, tau, 0.68, WIDTH)
    assert curve.at(np.array([4.9, 5.0, 6.5]) * WIDTH).tolist()[1:] == [np.inf, np.inf]
    assert curve.at(np.array([3.0 * WIDTH]))[0] == pytest.approx(chi2.ppf(0.68, 1), rel=0.05)
    data = gaussian_terms(2.0)
    with pytest.raises(PrecisionError, match="wider range"):
        trials.interval(data, maximise(data).ts, n_injected, tau, stretch=1.0, level=0.68)


@pytest.mark.parametrize(("z", "low", "high"), [(3.0, 2.0, 4.0), (0.5, 0.0, 1.5), (-1.0, 0.0, np.sqrt(2.0) - 1.0)])
def test_a_likelihood_interval_by_hand(z, low, high):
    data = gaussian_terms(z)
    one_sigma = float(chi2.cdf(1.0, 1))
    found = trials.likelihood_interval(data, maximise(data), stretch=1.0, level=one_sigma)
    assert np.array(found) / WIDTH == pytest.approx([low, high], abs=5e-3)
    assert (found[0] == 0.0) == (low == 0.0)
    moved = trials.likelihood_interval(data, maximise(data), stretch=1.25, level=one_sigma)
    assert moved == pytest.approx(np.array(found) / 1.25)


def test_both_constructions_agree_far_from_zero_and_the_likelihood_interval_covers_too_often_near_it():
    data = gaussian_terms(4.5)
    neyman = trials.interval(data, maximise(data).ts, *gaussian_trials(), stretch=1.0, level=0.68)
    wilks = trials.likelihood_interval(data, maximise(data), stretch=1.0, level=0.68)
    assert np.array([neyman.low, neyman.high]) / WIDTH == pytest.approx(np.array(wilks) / WIDTH, abs=0.02)
    # With the critical value of a chi-square a bounded Gaussian is covered in 84 per cent at 0.
    assert bounded_coverage(chi2.ppf(0.68, 1), 1e-9) == pytest.approx(0.84, abs=1e-3)
    assert bounded_coverage(chi2.ppf(0.68, 1), 3.0) == pytest.approx(0.68, abs=2e-3)


def test_a_likelihood_that_ends_too_early_gives_no_interval():
    one = np.ones((1, 1))
    x = np.append(np.full(4, 3.0), np.full(96, -1e-3))
    data = Terms(x[None], one, np.zeros(100, dtype=np.int64), np.ones(100), one, np.array([2.7]), 100)
    best = maximise(data)
    with pytest.raises(PrecisionError, match="ends at"):
        trials.likelihood_interval(data, FitResult(best.ts, best.n_signal, 2.7, True), stretch=1.0, level=1 - 1e-15)


@pytest.mark.slow
def test_the_errors_of_the_ends_of_an_interval_cover():
    """Against the spread over independent trials; the quoted errors hold what smoothing may take away too."""
    rng, found = np.random.default_rng(31), {z: [] for z in (2.2, 0.9, -0.5)}
    for _ in range(60):
        n_injected = np.tile(STEPS * WIDTH, 100)
        tau = gaussian_tau(n_injected, rng)
        for z, ends in found.items():
            data = gaussian_terms(z)
            ends.append(trials.interval(data, maximise(data).ts, n_injected, tau, stretch=1.0, level=0.68))
    for z, ends in found.items():
        for low, error in (("low", "low_error"), ("high", "high_error")):
            values, errors = (np.array([getattr(one, name) for one in ends]) for name in (low, error))
            if z < 1 and low == "low":  # at 0, and close to it, an end has no normal spread
                assert (values < 0.4 * WIDTH).all()
                continue
            ratio = values.std(ddof=1) / np.sqrt(np.mean(errors**2))
            assert 0.65 < ratio < 1.3, (z, low, ratio)


def test_an_end_whose_trials_do_not_tell_its_error_says_why():
    n_injected, tau = (a[gaussian_trials()[0] <= 4.0 * WIDTH] for a in gaussian_trials())
    few = np.arange(len(tau)) % 400 < 4
    data = gaussian_terms(2.97)  # its upper end is at 3.98 of the 4 standard deviations injected
    found = trials.interval(data, maximise(data).ts, n_injected[few], tau[few], stretch=1.0, level=0.68)
    assert found.low_error is None
    assert "wider range" in found.why


# --- coverage with events ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.0, 0.25, 0.6, 2.2])
@pytest.mark.slow
def test_an_interval_holds_the_truth_as_often_as_it_says(strength):
    rows, n, truth = injections(), 900, strength * deviation()
    curve = trials.critical_curve(rows[:, 0], rows[:, 4], 0.68, deviation())
    tau = trials.injection_trials(problem(), 93, 0, n, (truth,))[:, 4]
    # The curve is known to 0.02: 140 experiments a strength, several strengths joined.
    accepted = (tau <= curve.at(np.array([truth]))[0]).mean()
    assert accepted == pytest.approx(0.68, abs=3 * np.hypot(np.sqrt(0.68 * 0.32 / n), 0.02))
    sources = trials.emissions(problem())
    for trial in range(12):  # that the truth is accepted is that it lies in the interval
        data = trials.injected(problem(), sources, 93, trial, truth)
        low, high = trials.accepted(data, maximise(data).ts, curve, stretch=1.0)
        inside = tau[trial] <= curve.at(np.array([truth]))[0]
        assert inside == (low <= truth <= high)


# --- what is fixed between trials is worked out once, and changes no bit ----------------------------------------------


def the_long_way(prepared, seed, trial, n_mean):
    """S - <S>, energy ratio (node, event) and scale of scrambled and drawn events, all of it from single events."""
    drawn = signal_events(prepared, trials.emissions(prepared), generator(seed, trial), n_mean)
    total = sum(part.n_events + len(new) for part, new in zip(prepared.parts, drawn, strict=True))
    differences, ratios, scales = [], [], []
    for stream, (part, new) in enumerate(zip(prepared.parts, drawn, strict=True)):
        own = [part.sample.array(name) for name in ("declination", "log10_energy", "angular_error")]
        own = part.densities.where(*own)
        more = part.densities.where(new.declination, new.log10_energy, new.angular_error)
        fine = np.concatenate([own.fine, more.fine])
        group, row = np.concatenate([own.group, more.group]), part.densities.groups.row
        direction = part.densities.kernel.matrix @ np.bincount(fine, minlength=400) / len(fine)
        held = np.bincount(group, minlength=len(row)).astype(float)
        energy = held / np.maximum(np.bincount(row, weights=held), 1.0)[row]
        ratio = np.maximum(part.densities.signal / np.where(energy > 0, energy, np.inf), 1e-12)
        chosen = np.concatenate([part.active, np.arange(part.n_events, len(fine))])
        ratios.append((ratio * (part.share * total / len(fine))[:, None])[:, group[chosen]])
        scales.append(1.0 / direction[fine[chosen]])
        u, everywhere = np.empty(len(part.active)), np.empty(part.n_events)
        draw_uniform(np.uint64(trial_key(seed, trial, stream)), u)
        everywhere[part.active] = u
        there = place(part.space, part.seen(new.declination, new.angular_error, more))
        differences += [part.lookup.difference(everywhere), there.difference(there.position(new.right_ascension))]
    return np.concatenate(differences, axis=1), np.concatenate(ratios, axis=1), np.concatenate(scales)


def generator(seed, trial):
    return np.random.Generator(np.random.Philox(key=[seed, trial]))


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("kind", ["template", "stack", "free"])
@pytest.mark.slow
def test_an_injected_trial_is_that_of_all_its_events_one_by_one_to_the_last_bit(kind, samples):
    prepared = problem(kind, samples)
    for trial, n_mean in enumerate((0.0, 60.0)):
        data = trials.injected(prepared, trials.emissions(prepared), 5, trial, n_mean)
        difference, ratio, scale = the_long_way(prepared, 5, trial, n_mean)
        assert np.array_equal(data.difference, difference)
        assert np.array_equal(data.ratio[:, data.group], ratio)
        assert np.array_equal(data.scale, scale)


# --- systematics ------------------------------------------------------------------------------------------------------

WIDE = Systematics(acceptance=0.3, energy_shift=0.02, angular_scale=0.05)


def test_without_systematics_every_detector_is_the_nominal_one():
    assert trials.variation_of(NONE, 1, 2) == NOMINAL
    assert trials.variation_of(WIDE, 1, 2) != NOMINAL


def test_the_random_numbers_of_a_variation_are_its_own():
    # A variation that changes nothing in double precision leaves every other random number where it was.
    for kind, samples in (("template", 1), ("free", 3)):
        means = (0.0, 15.0, 60.0)
        plain = trials.injection_trials(problem(kind, samples), 5, 0, 9, means)
        same = trials.injection_trials(problem(kind, samples), 5, 0, 9, means, 1.0, Systematics(acceptance=1e-18))
        assert plain.tobytes() == same.tobytes()
    streams = [np.random.Philox(key=[5, 3], counter=[0, 0, 0, k]) for k in range(4)]
    drawn = [draw_variation(WIDE, np.random.Generator(stream)) for stream in streams]
    assert trials.variation_of(WIDE, 5, 3) not in drawn


def test_a_varied_trial_depends_on_seed_and_number_alone():
    means = (0.0, 20.0, 60.0)
    whole = trials.injection_trials(problem("free", 3), 5, 0, 9, means, 1.0, WIDE)
    pieces = [trials.injection_trials(problem("free", 3), 5, a, b, means, 1.0, WIDE) for a, b in ((6, 9), (0, 6))]
    assert np.concatenate(pieces[::-1]).tobytes() == whole.tobytes()
    assert not np.array_equal(whole, trials.injection_trials(problem("free", 3), 5, 0, 9, means))
    drawn = [trials.variation_of(WIDE, 8, trial) for trial in range(2000)]
    assert np.std([np.log(v.acceptance) for v in drawn]) == pytest.approx(0.3, rel=0.06)
    assert np.std([v.energy_shift for v in drawn]) == pytest.approx(0.02, rel=0.06)
    assert np.mean([np.log(v.angular_scale) for v in drawn]) == pytest.approx(0.05 * np.sqrt(2 / np.pi), rel=0.06)
    assert min(v.angular_scale for v in drawn) >= 1.0


def test_the_spread_of_the_acceptance_adds_to_that_of_the_fit_and_widens_the_interval():
    prepared, n, width = problem(), 4.0 * deviation(), 0.3
    plain = trials.injection_trials(prepared, 94, 0, 900, (n,))
    varied = trials.injection_trials(prepared, 94, 0, 900, (n,), 1.0, Systematics(acceptance=width))
    bias = np.median(plain[:, 2]) / n
    # exp of a normal number has variance exp(w^2) (exp(w^2) - 1)
    added = np.exp(width**2) * np.expm1(width**2) * (bias * n) ** 2
    assert varied[:, 2].var() - plain[:, 2].var() == pytest.approx(added, rel=0.3)
    assert np.quantile(varied[:, 4], 0.68) > 1.5 * np.quantile(plain[:, 4], 0.68)


def test_a_wider_point_spread_of_the_signal_is_fitted_as_fewer_events():
    prepared, n = problem(), 4.0 * deviation()
    plain = trials.injection_trials(prepared, 95, 0, 200, (n,))[:, 2]
    wide = trials.injection_trials(prepared, 95, 0, 200, (n,), 1.0, Systematics(angular_scale=0.5))[:, 2]
    lost = plain - wide  # the same Poisson numbers and scrambles
    assert lost.mean() > 5 * lost.std() / np.sqrt(len(lost))


@pytest.mark.parametrize("kind", ["template", "free"])
def test_a_row_holds_the_fit_with_the_index_held_and_its_tau(kind):
    prepared, means, stretch = problem(kind), (0.0, 30.0), 1.2
    rows, node = trials.injection_trials(prepared, 6, 0, 6, means, stretch), trials.flux_node(prepared)
    for trial, row in enumerate(rows):
        data = trials.injected(prepared, trials.emissions(prepared), 6, trial, means[trial % 2])
        free, held = maximise(data), maximise_at(data, node)
        assert tuple(row[1:4]) == (free.ts, free.n_signal, free.index)
        assert row[6] == held.n_signal
        tau = held.ts - ts_at(data, stretch * means[trial % 2], node=node)
        assert row[4] == pytest.approx(max(tau, 0.0), abs=1e-9)
    assert (kind == "template") == np.array_equal(rows[:, 2], rows[:, 6])


# --- conditional trials -----------------------------------------------------------------------------------------------


def test_conditional_trials_without_signal_are_plain_scrambles():
    for kind in ("template", "free"):
        rows = trials.conditional_trials(problem(kind), 17, 3, 9, (0.0,))
        plain = trials.scramble_trials(problem(kind), 17, 3, 9)
        assert rows[:, 1:4] == pytest.approx(plain[:, :3], rel=1e-9, abs=1e-9)


def test_a_conditional_trial_depends_on_seed_and_number_alone():
    means = (0.0, 10.0, 25.0)
    whole = trials.conditional_trials(problem("free"), 5, 0, 9, means)
    pieces = [trials.conditional_trials(problem("free"), 5, a, b, means) for a, b in ((6, 9), (0, 6))]
    assert np.concatenate(pieces[::-1]).tobytes() == whole.tobytes()
    assert whole[:, 0].tolist() == list(means) * 3


@pytest.mark.parametrize("strength", [1.5, 2.5])
def test_conditional_trials_are_fitted_without_bias(strength):
    n, m = strength * deviation(), 1500
    rows = trials.conditional_trials(problem(), 18, 0, m, (n,))
    assert np.median(rows[:, 2]) == pytest.approx(n, abs=3.5 * 1.25 * rows[:, 2].std() / np.sqrt(m))
    # They are drawn from the likelihood that is fitted: E[L(0) / L(n)] = 1 is tested with the tilts; here Wilks holds.
    assert (rows[:, 4] <= chi2.ppf(0.68, 1)).mean() == pytest.approx(0.68, abs=0.05)


def test_a_tilt_that_makes_a_density_negative_is_refused():
    limit = trials.conditional_limit(problem())
    assert limit > 2.5 * deviation()
    with pytest.raises(InputError, match="at most"):
        trials.conditional_trials(problem(), 1, 0, 1, (1.01 * limit,))


# --- as answers -------------------------------------------------------------------------------------------------------


def stored(rows, seed=23):
    """Injection trials as the trial store gives them."""
    values = {name: ("trial", rows[:, k]) for k, name in enumerate(trials.INJECTION_COLUMNS)}
    return xr.Dataset(values, attrs={"seed": seed})


def test_a_fit_that_was_published_has_the_published_correction_beside_ours():
    pair = bias.published_fit("template:pi0", "cascades-2023")
    assert pair[:2] == (748.0, 671.1)
    assert bias.published_fit("template:pi0", "tracks") is None
    assert bias.published_fit("stack:snr", "cascades-2023") is None
    rows = injections()
    nodes, found = bias.curve_of(stored(rows))
    curve = trials.bias_curve(rows[:, 0], rows[:, 2])
    assert [node.n_injected for node in nodes] == curve.strengths.tolist()
    assert [node.n_fitted.value for node in nodes] == curve.medians.tolist()
    assert [node.n_fitted.error for node in nodes] == curve.errors.tolist()
    assert [node.curve.value for node in nodes] == pytest.approx([curve.fitted(n.n_injected).n_signal for n in nodes])
    assert found.n_trials == len(rows)
    ours, published, far = (bias._corrected(found, n, pair) for n in (50.0, 748.0, 1e5))
    assert ours.n_signal == Measured(value=curve.corrected(50.0).n_signal, error=curve.corrected(50.0).error)
    assert ours.published is None
    assert (published.published, published.source) == pair[1:]
    assert isinstance(far.n_signal, Unknown)
    assert "wider range" in far.n_signal.reason


def test_the_published_fit_is_corrected_once_whether_asked_for_or_not(tmp_path):
    small = replace(whole(sample(1500, seed=31, nside=32)), name="cascades-2023")
    asked = Hypothesis("template:pi0", plane(), 2.7, False)
    answer = bias.Bias.of(hypothesis=asked, n_signal_fitted=(748.0, 300.0), trials=200).ask(small, Bench(tmp_path))
    assert [one.n_signal_fitted for one in answer.corrected] == [300.0, 748.0]
    assert [one.published for one in answer.corrected] == [None, 671.1]


def test_potentials_and_medians_say_why_a_number_is_missing():
    rng, strengths = np.random.default_rng(31), np.tile(np.arange(0.0, 8.1, 0.5), 60)
    ts, weight = tilted_background(rng)
    background = xr.Dataset({"ts": ("trial", ts), "log_weight": ("trial", weight)})
    found = np.maximum(strengths + rng.standard_normal(len(strengths)), 0.0) ** 2
    injected = xr.Dataset({"n_injected": ("trial", strengths), "ts": ("trial", found)})
    asked = Problem(problem(), "", 1)
    three, nine = (potential_of(asked, background, injected, sigma) for sigma in (3.0, 9.0))
    assert three.n_signal.value == pytest.approx(3.0, abs=0.3)
    assert three.flux.value == pytest.approx(three.n_signal.value / fluxes.prepared_events_per_flux(problem()))
    assert isinstance(nine, Unknown)
    assert "effective trials" in nine.reason
    medians = medians_of(injected, background)
    assert [m.n_signal for m in medians] == np.unique(strengths).tolist()
    assert medians[10].sigma.value == pytest.approx(5.0, abs=5 * medians[10].sigma.error)
    # Plain scrambles know small TS better: the smallest error of all serves, and none may lack all.
    plain = background.isel(trial=np.argsort(ts)[:400]).assign(log_weight=("trial", np.full(400, 9.0)))
    assert medians_of(injected, plain, background)[10] == medians[10]
    assert reach_ts(5.0) == 34.0
    assert reach_strength(7.0) > 7.0


@pytest.mark.slow
def test_the_verb_prints_one_document_with_the_curve(tmp_path, monkeypatch, call):
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path))
    words = "bias --sample cascades-2023 --hypothesis template:pi0-like --trials 200 --executor serial"
    code, out, err = call(*words.split(), "--n-signal-fitted", "600", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["provenance"]["origin"] == "synthetic"
    assert document["n_trials"] == 200
    assert document["corrected"][0]["n_signal"]["value"] == pytest.approx(600, rel=0.3)
    assert len(document["provenance"]["fingerprint"]) == 64
    assert len(document["curve"]) > 10
    assert all(set(node) >= {"n_injected", "n_fitted", "curve"} for node in document["curve"])
    code, _, err = call(*words.split(), "--n-signal-fitted", "-3")
    assert code == 2
    assert "n_signal_fitted is -3; expected 0 to" in err
