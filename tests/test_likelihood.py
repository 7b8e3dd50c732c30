"""The maximiser against the formula, scipy and brute force; what n_s may not do."""

from dataclasses import replace

import numpy as np
import pytest
import slow_twin
from scipy.optimize import minimize_scalar
from small_problem import SOURCES, plane, sample, stack_hypothesis, template_hypothesis

from nuanalysis import likelihood, trials
from nuanalysis.errors import InputError
from nuanalysis.likelihood import _fit, _kernels, maximise, scan
from nuanalysis.model import Terms, prepare, terms
from nuanalysis.sphere import regrade
from nuanalysis.trials import PLAIN, scrambled

NSIDE = 16
FREE = np.round(np.arange(1.0, 4.01, 0.2), 10)


def make_terms(x, n_events=None):
    """Terms with the given x, (node, event)."""
    x = np.atleast_2d(x)
    nodes, n = x.shape
    index = np.array([2.0]) if nodes == 1 else np.linspace(1.0, 4.0, nodes)
    # One spatial shape, one group an event: the energy ratio carries all of x.
    return Terms(np.ones((1, n)), x, np.arange(n), np.ones(n), np.ones((nodes, 1)), index, n_events or n)


def plain_ts(x, c):
    return 2 * np.log1p(c * x).sum()


def best_c(x):
    """Maximum over 0 <= c <= ceiling by scipy's bounded scalar search."""
    top = min(100.0, 0.99 / max(-x.min(), 1e-300))
    found = minimize_scalar(lambda c: -plain_ts(x, c), bounds=(0, top), method="bounded", options={"xatol": 1e-12})
    return max((float(plain_ts(x, c)), c) for c in (0.0, float(found.x), top))


def random_x(rng, n=400, nodes=1, strength=1.0):
    """Skew like the real thing: most events a little negative, a few strongly positive."""
    space = np.where(rng.random(n) < 0.2, rng.exponential(2.0, n), -rng.uniform(0, 0.6, n)) * strength
    slope = rng.normal(0, 1.5, n)
    return np.array([space * np.exp(slope * t) for t in np.linspace(-0.6, 0.6, nodes)])


# --- data against the slow twin ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def few():
    return sample(300, nside=NSIDE, seed=21)


@pytest.mark.slow
def test_the_fit_of_a_template_on_events_is_that_of_the_slow_twin(few):
    x = slow_twin.template_x(few, regrade(plane().density, NSIDE), 2.7)
    wanted, c = best_c(x)
    fit = maximise(terms(prepare(template_hypothesis(), (few,))))
    assert fit.converged
    assert fit.ts == pytest.approx(wanted, rel=1e-3, abs=1e-4)
    assert fit.n_signal == pytest.approx(c * len(x), rel=1e-3, abs=0.01)


@pytest.mark.slow
def test_a_joint_fit_of_two_samples_is_that_of_the_slow_twin(few):
    other = sample(200, nside=NSIDE, seed=22)
    other = replace(other, events=other.events.assign_attrs(livetime_s=2 * other.livetime))
    parts = [
        (slow_twin.template_x(s, regrade(plane().density, NSIDE), 2.7), f) for s, f in ((few, 3 / 7), (other, 4 / 7))
    ]
    top = min(0.99 * len(x) / (f * -x.min()) for x, f in parts)
    found = minimize_scalar(lambda n: -slow_twin.ts(parts, n), bounds=(0, top), method="bounded")
    fit = maximise(terms(prepare(template_hypothesis(), (few, other))))
    assert fit.ts == pytest.approx(max(-found.fun, 0.0), rel=1e-3, abs=1e-4)
    assert fit.n_signal == pytest.approx(found.x if found.fun < 0 else 0.0, rel=2e-3, abs=0.02)


@pytest.mark.parametrize("seed", [21, 24])
@pytest.mark.slow
def test_the_fit_of_a_stack_with_free_index_is_that_of_the_slow_twin(seed):
    events = sample(250, nside=NSIDE, seed=seed)
    mixtures = {}
    for index in FREE:
        low = min(int(index + 1e-9), 3)
        mixtures[index] = {low: low + 1 - index, low + 1: index - low}
    xs = list(slow_twin.stack_x(events, SOURCES, mixtures).values())
    best = (0.0, 0.0, None)
    for k in range(len(FREE) - 1):
        for t in np.linspace(0, 1, 41):
            value, c = best_c((1 - t) * xs[k] + t * xs[k + 1])
            best = max(best, (value, c, FREE[k] + 0.2 * t), key=lambda b: b[0])
    fit = maximise(terms(prepare(stack_hypothesis(free=True), (events,))))
    assert fit.ts == pytest.approx(best[0], rel=2e-3, abs=1e-3)
    if best[0] > 0.1:
        assert fit.n_signal == pytest.approx(best[1] * 250, rel=0.02, abs=0.1)
        assert fit.index == pytest.approx(best[2], abs=0.03)


# --- one node ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_the_maximum_is_that_of_scipy(seed):
    rng = np.random.default_rng(seed)
    x = random_x(rng, n=int(rng.integers(1, 500)), strength=10 ** rng.uniform(-1, 1.5))[0]
    wanted, c = best_c(x)
    fit = maximise(make_terms(x))
    assert fit.converged
    assert fit.ts == pytest.approx(wanted, rel=1e-7, abs=1e-9)
    assert fit.n_signal == pytest.approx(c * len(x), rel=1e-3, abs=1e-6 * len(x))
    assert 0 <= fit.n_signal <= 100 * len(x)


def test_a_maximum_by_hand():
    # ln(1 + c) + ln(1 - c / 2): 1 / (1 + c) = (1/2) / (1 - c / 2), so c = 1/2.
    fit = maximise(make_terms(np.array([1.0, -0.5])))
    assert fit.n_signal == pytest.approx(0.5 * 2)
    assert fit.ts == pytest.approx(2 * (np.log(1.5) + np.log(0.75)))


def test_where_the_gradient_is_negative_at_zero_the_fit_is_zero():
    fit = maximise(make_terms(np.array([-0.5, 0.2, 0.2])))
    assert (fit.ts, fit.n_signal, fit.converged) == (0.0, 0.0, True)
    free = maximise(make_terms(-np.abs(random_x(np.random.default_rng(1), nodes=16))))
    assert (free.ts, free.n_signal, free.converged) == (0.0, 0.0, True)


def test_without_events_near_the_signal_the_fit_is_zero():
    fit = maximise(make_terms(np.empty((1, 0)), n_events=10))
    assert (fit.ts, fit.n_signal, fit.converged) == (0.0, 0.0, True)


@pytest.mark.parametrize("x", [np.full(10, 3.0), np.array([50.0] * 9 + [-4.0])])
def test_n_stays_where_every_density_is_positive_and_below_a_hundred_times_the_events(x):
    fit = maximise(make_terms(x))
    c = fit.n_signal / len(x)
    assert c <= 100.0
    assert (1 + c * x).min() >= 0.01 * (1 - 1e-9)
    assert fit.ts == pytest.approx(best_c(x)[0], rel=1e-6)


def test_events_left_out_only_count_in_n():
    x = random_x(np.random.default_rng(3))[0]
    alone, padded = maximise(make_terms(x)), maximise(make_terms(np.append(x, np.zeros(600))))
    short = maximise(make_terms(x, n_events=1000))
    assert short.ts == pytest.approx(padded.ts, rel=1e-12)
    assert short.n_signal == pytest.approx(padded.n_signal, rel=1e-12)
    assert short.n_signal == pytest.approx(alone.n_signal * 1000 / 400, rel=1e-6)


# --- sums --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 1001])
def test_the_sum_of_logarithms_is_the_plain_one(n):
    x = random_x(np.random.default_rng(n), n=n)[0] if n else np.empty(0)
    c = 0.9 / max(-x.min(initial=0.0), 0.1)
    assert 2 * _kernels.log_ratio(x, c) == pytest.approx(plain_ts(x, c), rel=1e-11, abs=1e-11)


def test_the_test_statistic_vanishes_without_signal_and_refuses_negative_densities():
    data = make_terms(np.array([3.0, -2.0, 0.5]))
    assert likelihood.ts_at(data, 0.0) == 0.0
    assert likelihood.ts_at(data, 0.9) == pytest.approx(plain_ts(np.array([3.0, -2.0, 0.5]), 0.3))
    with pytest.raises(InputError, match="negative"):
        likelihood.ts_at(data, 1.5)


def test_a_scan_is_the_best_node_at_each_strength_and_minus_infinity_beyond_the_bound():
    x = random_x(np.random.default_rng(5), nodes=16)
    n = np.linspace(0, 400, 9)
    found = scan(make_terms(x), n)
    for k, c in enumerate(n / 400):
        allowed = [plain_ts(row, c) for row in x if c <= min(1.0, 0.99 / -row.min())]
        assert found[k] == pytest.approx(max(allowed, default=-np.inf), abs=1e-9)


# --- free index --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_the_mixture_of_two_nodes_reaches_the_optimum_of_a_fine_grid(seed):
    rng = np.random.default_rng(seed)
    x, y = random_x(rng, nodes=2, strength=4.0)
    (vx, cx), (vy, cy) = best_c(x), best_c(y)
    if vy > vx:
        x, y, cx, vx = y, x, cy, vy
    if vx == 0.0:
        return
    a, b, improved, ok = _kernels.maximise_pair(x, y, cx)
    value = plain_ts(a * x + b * y, 1.0)
    grid = max(best_c((1 - t) * x + t * y)[0] for t in np.linspace(0, 1, 201))
    assert ok
    assert a >= 0
    assert b >= 0
    assert value >= grid - 1e-6 * max(grid, 1.0)
    assert value <= grid + 1e-3 * max(grid, 1.0)
    assert improved == (b > 0)


def test_the_mixture_is_concave_along_any_line():
    rng = np.random.default_rng(9)
    x, y = random_x(rng, nodes=2)
    x, y = x / -x.min(), y / -y.min()
    for _ in range(200):
        (a1, b1), (a2, b2) = rng.uniform(0, 0.5, (2, 2))
        ends = [plain_ts(a * x + b * y, 1.0) for a, b in ((a1, b1), (a2, b2))]
        assert plain_ts((a1 + a2) / 2 * x + (b1 + b2) / 2 * y, 1.0) >= np.mean(ends) - 1e-9


@pytest.mark.slow
def test_the_free_fit_finds_the_best_node_and_mixture_of_a_full_search():
    missed = 0
    for seed in range(60):
        x = random_x(np.random.default_rng(100 + seed), nodes=16, strength=2.0)
        fit = maximise(make_terms(x))
        full = max(best_c((1 - t) * x[k] + t * x[k + 1])[0] for k in range(15) for t in np.linspace(0, 1, 11))
        assert fit.ts <= full + 0.05 * max(full, 1.0)
        missed += fit.ts < full - 0.01 * max(full, 1.0)
    # Every third node is tried first: a second maximum between two of them may be missed, rarely.
    assert missed <= 2


@pytest.mark.slow
def test_the_free_fit_of_scrambles_finds_the_maximum_over_all_nodes():
    prepared = prepare(stack_hypothesis(free=True), (sample(2000),))
    for trial in range(60):
        data = scrambled(prepared, 3, trial, PLAIN[0])
        nodes = max(best_c(data.x(g))[0] for g in range(16))
        assert maximise(data).ts >= nodes * (1 - 1e-6) - 1e-3


@pytest.mark.parametrize("sources", [SOURCES, SOURCES[:1]])
def test_nodes_that_are_not_worth_a_fit_never_hold_the_best_one(sources, monkeypatch):
    """With a free index most nodes are left out by bounds; fits of all of them give the same to the last bit."""
    problem = prepare(stack_hypothesis(free=True, sources=sources), (sample(6000),))
    emitted, spread = trials.emissions(problem), float(problem.spread.max())
    drawn = [trials.injected(problem, emitted, 5, i, spread * (i % 7)) for i in range(70)]
    assert all(len(data.group) > _fit._FEW for data in drawn)
    left_out = sum(int((~_fit._worth_fitting(data)).sum()) for data in drawn)
    assert left_out > 0.8 * 70 * len(problem.index)
    quick = [maximise(data) for data in drawn]
    monkeypatch.setattr(_fit, "_FEW", 10**9)
    assert quick == [maximise(data) for data in drawn]
    assert sum(fit.ts > 4.0 for fit in quick) > 10


@pytest.mark.parametrize("sources", [SOURCES, SOURCES[:1]])
@pytest.mark.slow
def test_a_proposed_index_is_that_of_the_fit(sources):
    """From power sums, over the density of another component too; a stack has four shapes, a source one."""
    problem = prepare(stack_hypothesis(free=True, sources=sources), (sample(6000),))
    emitted, spread = trials.emissions(problem), float(problem.spread.max())
    before, by_sums = None, 0
    for trial in range(40):
        data = trials.injected(problem, emitted, 6, trial, spread * (trial % 8))
        beside = replace(data, scale=data.scale / np.random.default_rng(trial).uniform(0.9, 1.5, len(data.group)))
        for one in (data, beside):
            fit, before = maximise(one), _fit.propose(one, before)
            assert before.fit.ts == pytest.approx(fit.ts, abs=1e-5)
            if fit.ts > 1.0:  # below, TS is flat in the index
                assert before.fit.index == pytest.approx(fit.index, abs=0.01)
                assert before.fit.n_signal == pytest.approx(fit.n_signal, rel=0.01)
            by_sums += before.largest is not None
        before = None
    assert by_sums >= 70


def test_a_proposal_out_of_reach_is_the_fit_itself():
    """Sums that reach too short are known to; what is held, or has few events, needs none."""
    problem = prepare(stack_hypothesis(free=True), (sample(6000),))
    data = trials.injected(problem, trials.emissions(problem), 6, 1, 5.0 * float(problem.spread.max()))
    short = _fit.Proposal(maximise(data), np.full(16, 1e-6))
    few = make_terms(np.random.default_rng(1).uniform(-0.5, 3.0, (16, 100)))
    for found, fit in ((_fit.propose(data, short), maximise(data)), (_fit.propose(few), maximise(few))):
        assert found.fit == fit
        assert found.largest is None


@pytest.mark.parametrize("sources", [SOURCES, SOURCES[:1]])
def test_x_of_chosen_events_is_that_of_all(sources):
    """The kernel of the near events against x of every event, node by node."""
    problem = prepare(stack_hypothesis(free=True, sources=sources), (sample(6000),))
    data = terms(problem)
    chosen = np.flatnonzero(np.random.default_rng(1).uniform(size=len(data.group)) < 0.1)
    near = np.empty((len(data.index), len(chosen)))
    _kernels.near_x(data.difference, data.group, data.scale, chosen, data.ratio, data.mixing, near)
    np.testing.assert_allclose(near, [data.x(g)[chosen] for g in range(len(data.index))], rtol=1e-12, atol=1e-14)
