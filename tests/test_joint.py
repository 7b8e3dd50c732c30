"""Several hypotheses fitted together: the maximum, its errors, pseudo-experiments, and what is read from them."""

import itertools
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from astropy.table import QTable
from scipy.optimize import LinearConstraint, minimize
from scipy.stats import chi2, norm
from small_problem import SOURCES, plane, sample, stack_hypothesis, template_hypothesis, whole

from nuanalysis import trials
from nuanalysis.answers import _experiments as experiments
from nuanalysis.answers.compare import CompareAnswer, compare, tried
from nuanalysis.answers.joint import Joint, JointAnswer, joint
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import JointExperiments, Problem, problem_fingerprint, run
from nuanalysis.engine.executors import Processes, Serial, Threads
from nuanalysis.errors import InputError
from nuanalysis.library import samples
from nuanalysis.library.samples import sample_spec
from nuanalysis.likelihood import (
    JointTerms,
    _kernels,
    curvature_at,
    event_numbers,
    joint_maximum,
    joint_terms,
    maximise,
    maximise_joint,
    refuse_flat,
)
from nuanalysis.model import Hypothesis, Terms, prepare, terms
from nuanalysis.records import Chance, Unknown
from nuanalysis.sky.records import Catalogue, PointSource, PowerLaw, Template, factorised
from nuanalysis.sphere import pixel_directions
from nuanalysis.trials import as_large
from nuanalysis.trials.streams import JOINT_FIT, joint_model

NSIDE = 32


def template(name, density):
    maps, energies = factorised(density / (density.mean() * 4 * np.pi))
    return Template(name, name, maps, energies, PowerLaw(2.7), "user file", "made here", "0" * 64)


def shifted():
    """The plane moved by 20 deg in right ascension: it overlaps with the plane."""
    ra, dec = pixel_directions(NSIDE)
    density = plane().density
    near = np.argsort(ra + 10.0 * np.round(dec, 6), kind="stable")
    back = np.empty_like(near)
    back[near] = np.arange(len(near))
    out = density.copy()
    for ring in np.unique(np.round(dec, 6)):
        mine = near[np.round(dec, 6)[near] == ring]
        out[mine] = np.roll(density[mine], round(len(mine) * 20 / 360))
    return template("shifted", out)


def isotropic():
    return template("isotropic", np.ones(12 * NSIDE**2))


@lru_cache
def hypothesis(name):
    if name == "plane":
        return template_hypothesis()
    if name == "shifted":
        return Hypothesis("template:shifted", shifted(), 2.7, False)
    if name == "again":
        return Hypothesis("template:again", template("again", plane().density * 3.0), 2.7, False)
    if name == "isotropic":
        return Hypothesis("template:isotropic", isotropic(), 2.7, False)
    kind, _, free = name.partition(" ")
    if kind == "plane-free":
        return Hypothesis("template:plane", plane(), 2.6, True)
    sources = SOURCES if kind == "stack" else SOURCES[:1]
    return Hypothesis(f"stack:{kind}", stack_hypothesis(free=False, sources=sources).target, 2.7, free == "free")


@lru_cache
def problem(name, n=1500, samples=1):
    parts = tuple(sample(n // samples, seed=40 + k, name=f"s{k}") for k in range(samples))
    return prepare(hypothesis(name), parts)


def problems(*names, samples=1):
    return tuple(problem(name, samples=samples) for name in names)


@lru_cache
def experiment(names, seed=3, n_mean=40.0, samples=1):
    """Terms of a pseudo-experiment that holds the signal of every hypothesis."""
    held = problems(*names, samples=samples)
    sources = tuple(trials.emissions(p) for p in held)
    return trials.joint_injected(held, sources, seed, 0, (n_mean,) * len(names))


MIXED = ("plane", "point", "shifted")


# --- slow twins -------------------------------------------------------------------------------------------------------


def columns(data, nodes=None):
    """x of each hypothesis, (j, event of any), lined up by a dictionary of event numbers."""
    nodes = nodes or data.rest
    if not data.places:
        return np.array([t.x(g) for t, g in zip(data.terms, nodes, strict=True)])
    out = np.zeros((len(data.terms), data.n_joined))
    for j, (t, g) in enumerate(zip(data.terms, nodes, strict=True)):
        for place, x in zip(data.places[j], t.x(g), strict=True):
            out[j, place] += x
    return out


def slow_maximum(x, n_events, least=0.01):
    """(TS, n) by a general minimiser from several starts, over n >= 0 where every density is at least ``least``."""
    best = (0.0, np.zeros(len(x)))
    scale = n_events / np.sqrt((x**2).sum(axis=1))

    def minus(v):
        density = 1.0 + (v * scale / n_events) @ x
        return -2.0 * np.log(density).sum() if density.min() > 0 else np.inf

    def slope(v):
        density = 1.0 + (v * scale / n_events) @ x
        return -2.0 * (x / density).sum(axis=1) * scale / n_events

    bound = LinearConstraint((x * (scale / n_events)[:, None]).T, lb=least - 1.0)
    for start in (0.0, 1.0, 3.0):
        with np.errstate(all="ignore"):
            found = minimize(
                minus, np.full(len(x), start), jac=slope, bounds=[(0, None)] * len(x), method="SLSQP",
                constraints=[{"type": "ineq", "fun": lambda v: bound.A @ v - bound.lb, "jac": lambda v: bound.A}],
                options={"ftol": 1e-14, "maxiter": 500},
            )  # fmt: skip
        if np.isfinite(found.fun) and -found.fun > best[0]:
            best = -found.fun, np.maximum(found.x, 0.0) * scale
    return best


def test_kernels_are_the_sums_they_say():
    """Blocks of 512 and of eight: lengths around their edges."""
    rng = np.random.default_rng(1)
    for n, k in itertools.product((0, 1, 7, 8, 511, 512, 513, 2000), (1, 2, 5)):
        x, c = rng.uniform(-0.5, 3.0, (k, n)), rng.uniform(0.0, 1.0 / k, k)
        gradient, curvature = np.empty(k), np.empty((k, k))
        least = _kernels.joint_derivatives(x, c, gradient, curvature)
        density = 1.0 + c @ x
        y = x / density
        assert _kernels.joint_log_ratio(x, c) == pytest.approx(np.log(density).sum(), rel=1e-12, abs=1e-12)
        np.testing.assert_allclose(gradient, y.sum(axis=1), rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(curvature, y @ y.T, rtol=1e-11)
        assert least == pytest.approx(density.min()) if n else least == 1e300


def test_sums_do_not_depend_on_where_arrays_lie():
    """Bit for bit: trials must be the same bytes in any process."""
    rng = np.random.default_rng(3)
    values, c = rng.uniform(-0.5, 3.0, (2, 1537)), np.array([0.1, 0.2])
    seen, elsewhere = set(), []
    for k in range(300):
        elsewhere.append(np.empty(7 * k + 1))
        x, gradient, curvature = values.copy(), np.empty(2), np.empty((2, 2))
        _kernels.joint_derivatives(x, c, gradient, curvature)
        seen.add((gradient.tobytes(), curvature.tobytes(), _kernels.joint_log_ratio(x, c)))
    assert len(seen) == 1


def test_the_bounded_step_is_the_best_of_all_faces():
    """Against every choice of numbers held at a bound, on random problems."""
    rng = np.random.default_rng(2)
    for _ in range(300):
        k = int(rng.integers(1, 5))
        root = rng.standard_normal((k, k))
        curvature, gradient = root @ root.T + 0.01 * np.eye(k), 2.0 * rng.standard_normal(k)
        c = rng.choice([0.0, 0.3, 1.0], k)
        step = np.empty(k)
        _kernels._bounded_step(gradient, curvature, c, 1.0, step)
        best = 0.0
        for face in itertools.product((None, 0.0, 1.0), repeat=k):
            free = [a for a in range(k) if face[a] is None]
            d = np.array([0.0 if v is None else v - cc for v, cc in zip(face, c, strict=True)])
            if free:
                rest = gradient[free] - curvature[np.ix_(free, range(k))] @ d
                d[free] = np.linalg.solve(curvature[np.ix_(free, free)], rest)
            if np.all(c + d > -1e-12) and np.all(c + d < 1.0 + 1e-12):
                best = max(best, float(gradient @ d - d @ curvature @ d / 2))
        assert np.all(c + step >= 0.0)
        assert np.all(c + step <= 1.0)
        # The face is left only where that gains more than rounding (1e-9 of a standard deviation).
        assert gradient @ step - step @ curvature @ step / 2 == pytest.approx(best, abs=1e-7)


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("name", ["plane", "stack", "point", "stack free", "point free"])
@pytest.mark.slow
def test_one_hypothesis_is_the_single_fit(name, samples):
    for seed in (3, 4):
        data = experiment((name,), seed=seed, samples=samples)
        alone, fit = maximise(data.terms[0]), maximise_joint(data)
        assert fit.ts == pytest.approx(alone.ts, abs=1e-6)
        assert fit.ts_each[0] == pytest.approx(alone.ts, abs=1e-6)
        # TS is flat at its top: 1e-6 of it is 1e-3 of a standard deviation.
        assert fit.n_signal[0] == pytest.approx(alone.n_signal, abs=1e-3 * fit.errors[0])
        assert fit.index[0] == pytest.approx(alone.index, abs=1e-3)
        assert fit.converged


@pytest.mark.parametrize("names", [("plane", "shifted"), MIXED, ("plane", "stack", "point", "shifted")])
@pytest.mark.parametrize("samples", [1, 2])
def test_the_maximum_is_that_of_a_general_minimiser(names, samples):
    for seed, n_mean in ((3, 40.0), (4, 0.0), (5, 8.0)):
        data = experiment(names, seed=seed, n_mean=n_mean, samples=samples)
        fit, (ts, n_signal) = maximise_joint(data), slow_maximum(columns(data), data.n_events)
        # 1e-6 of TS: what SLSQP leaves.
        assert fit.ts == pytest.approx(ts, abs=1e-6)
        np.testing.assert_allclose(fit.n_signal, n_signal, atol=0.003 * fit.errors.max())
        for j in range(len(names)):
            less = slow_maximum(np.delete(columns(data), j, axis=0), data.n_events)[0]
            assert fit.ts_each[j] == pytest.approx(ts - less, abs=2e-6)


def toy(x):
    """JointTerms with given x (j, event)."""
    n, one = x.shape[1], np.ones((1, 1))
    each = tuple(Terms(row[None], one, np.zeros(n, np.int64), np.ones(n), one, np.array([2.7]), n) for row in x)
    return JointTerms(tuple("abcdef"[: len(x)]), each, (), n, (0,) * len(x))


def test_no_density_falls_below_its_bound():
    """A few events that pull against many: the maximum lies on the bound of single events, as for one hypothesis."""
    rng = np.random.default_rng(8)
    on_bound = 0
    for _ in range(12):
        x = rng.normal(0.02, 0.002, (2, 400))
        x[0, :2] = -0.02 * rng.uniform(1, 2.5, 2)
        x[1, 1:3] = -0.02 * rng.uniform(1, 2.5, 2)
        data = toy(x)
        fit, (ts, _) = maximise_joint(data), slow_maximum(x, 400)
        density = 1.0 + fit.n_signal / 400 @ x
        assert density.min() >= 0.01 - 1e-9
        assert fit.ts == pytest.approx(ts, abs=1e-5)
        alone = toy(x[:1])
        assert maximise_joint(alone).ts == pytest.approx(maximise(alone.terms[0]).ts, abs=1e-6)
        on_bound += density.min() < 0.0101
        assert any("single events" in note for note in fit.notes) == (density.min() < 0.0101)
    assert on_bound >= 4


def test_order_does_not_matter():
    for names in (MIXED, ("plane", "stack free", "point")):
        fit = maximise_joint(experiment(names))
        for order in itertools.permutations(range(3)):
            data = experiment(names)
            turned = JointTerms(
                *(tuple(v[j] for j in order) if v else v for v in (data.names, data.terms, data.places)),
                data.n_joined,
                tuple(data.rest[j] for j in order),
            )
            other = maximise_joint(turned)
            assert other.ts == pytest.approx(fit.ts, abs=1e-6)
            assert other.names == tuple(fit.names[j] for j in order)
            for name in ("n_signal", "index", "ts_each", "errors"):
                np.testing.assert_allclose(getattr(other, name), getattr(fit, name)[list(order)], rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(other.correlation, fit.correlation[np.ix_(order, order)], atol=1e-3)


@pytest.mark.parametrize("names", [("plane", "shifted", "stack"), ("plane-free", "stack free", "point free")])
def test_one_more_hypothesis_never_lowers_ts(names):
    for seed in (3, 4, 5):
        data = experiment(names, seed=seed, n_mean=15.0)
        alone = [maximise(t).ts for t in data.terms]
        pairs = [joint_maximum(data, pair).ts for pair in itertools.combinations(range(3), 2)]
        fit = maximise_joint(data)
        assert fit.ts >= max(pairs) - 1e-7
        assert all(
            ts >= max(alone[a], alone[b]) - 1e-7
            for ts, (a, b) in zip(pairs, itertools.combinations(range(3), 2), strict=True)
        )
        assert fit.ts_each.min() >= 0.0
        np.testing.assert_allclose(fit.ts - fit.ts_each, np.array(pairs)[[2, 1, 0]], atol=1e-3)


def test_free_indices_seldom_miss_the_best_of_all_combinations():
    """Every pair of nodes by brute force: the search by turns is not guaranteed to, and misses few (decision 0025)."""
    names, short = ("plane-free", "point free"), []
    for seed in range(3, 9):
        data = experiment(names, seed=seed)
        fit = maximise_joint(data)

        def at(nodes, data=data):
            x, c = columns(data, nodes), np.zeros(2)
            _kernels.maximise_joint_c(x, c)
            return 2.0 * _kernels.joint_log_ratio(x, c)

        coarse = max(itertools.product(range(0, 16, 2), repeat=2), key=at)
        around = itertools.product(*(range(max(k - 1, 0), min(k + 2, 16)) for k in coarse))
        best = max(map(at, around))
        short.append(best - fit.ts)
        assert fit.ts <= best + 1.0  # between nodes 0.2 apart there is little to gain
        assert all(1.0 <= g <= 4.0 for g in fit.index)
    assert sum(one > 1e-6 for one in short) <= 1
    assert max(short) < 1.0


def test_no_index_can_be_improved_with_the_others_held():
    """Each node of each hypothesis by brute force, over the density of the others."""
    for seed in range(3, 9):
        data = experiment(("plane-free", "stack free"), seed=seed, n_mean=60.0)
        best = joint_maximum(data)
        rows = [best.strength(j) * best.mixture(data, j) for j in (0, 1)]
        for j in (0, 1):
            other = 1.0 + rows[1 - j]
            now = 2.0 * np.log(1.0 + rows[j] / other).sum()
            for node in range(16):
                x, c = (data.row(j, node) / other)[None], np.zeros(1)
                _kernels.maximise_joint_c(x, c)
                assert 2.0 * _kernels.joint_log_ratio(x, c) <= now + 1e-6


# --- errors -----------------------------------------------------------------------------------------------------------


def test_errors_are_those_of_the_curvature_by_differences():
    data = experiment(MIXED)
    fit, x, n = maximise_joint(data), columns(data), data.n_events

    def log_ratio(v):
        return np.log(1.0 + v / n @ x).sum()

    h = 0.02 * np.sqrt(np.diag(fit.covariance))
    hessian = np.empty((3, 3))
    for a, b in itertools.product(range(3), repeat=2):
        da, db = h[a] * np.eye(3)[a], h[b] * np.eye(3)[b]
        signs = ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))
        hessian[a, b] = sum(s * log_ratio(fit.n_signal + p * da + q * db) for p, q, s in signs) / (4 * h[a] * h[b])
    covariance = np.linalg.inv(-hessian)
    # The differences are good to their step squared times the fourth derivative: below one per cent.
    np.testing.assert_allclose(fit.covariance, covariance, rtol=0.01, atol=0.01 * covariance.max())
    np.testing.assert_allclose(fit.errors, np.sqrt(np.diag(covariance)), rtol=0.01)
    scale = np.outer(fit.errors, fit.errors)
    np.testing.assert_allclose(fit.correlation, fit.covariance / scale, atol=1e-12)
    assert fit.correlation[0, 2] < -0.2  # overlapping templates take from each other


def test_errors_with_a_free_index_are_those_of_both_nodes():
    """Between two nodes n_s is the sum of their strengths and the index their mean: both errors by propagation."""
    mixtures = 0
    for seed in range(3, 12):
        data = experiment(("plane-free",), seed=seed, n_mean=150.0)
        best = joint_maximum(data)
        if len(best.nodes[0]) == 1:
            continue
        mixtures += 1
        x, c = columns_at(data, best.nodes[0]), np.array(best.strengths[0])
        y = x / (1.0 + c @ x)
        covariance = np.linalg.inv(y @ y.T)
        index = data.terms[0].index[list(best.nodes[0])]
        towards = (index - c @ index / c.sum()) / c.sum()
        found = curvature_at(data, best)
        assert found.errors[0] == pytest.approx(data.n_events * np.sqrt(covariance.sum()), rel=1e-6)
        assert found.index_errors[0] == pytest.approx(np.sqrt(towards @ covariance @ towards), rel=1e-6)
        assert found.errors[0] > data.n_events / np.sqrt((best.mixture(data, 0) ** 2 / (1.0 + c @ x) ** 2).sum())
    assert mixtures >= 3


def columns_at(data, nodes):
    return np.array([data.row(0, node) for node in nodes])


@pytest.mark.slow
def test_errors_with_free_indices_hold_the_truth_as_often_as_they_say():
    """With the indices held the same fits have 0.56 and 0.59, below the bounds here by their binomial error.

    Measured 0.645 and 0.658 +- 0.024; the same norms with held indices reach 0.673 on this problem.
    """
    held, n_means = problems("plane-free", "stack free"), (150.0, 60.0)
    names = trials.joint_columns(((0, 1),))
    rows = dict(zip(names, trials.joint_trials(held, 5, 0, 400, n_means, ((0, 1),)).T, strict=True))
    n_signal, error, index_error = (
        np.column_stack([rows[f"{name}_0_{j}"] for j in (0, 1)]) for name in ("n_signal", "error", "index_error")
    )
    found = trials.joint_bias(np.array(n_means), n_signal, error)
    assert np.all(found.coverage_corrected > 0.61)
    assert np.all(found.coverage_corrected < 0.75)
    np.testing.assert_allclose(np.median(error, axis=0), found.deviation, rtol=0.15)
    np.testing.assert_array_equal(np.isfinite(index_error), n_signal > 0)


def test_indices_that_are_held_have_no_error():
    fit = maximise_joint(experiment(("plane", "stack free")))
    assert np.isnan(fit.index_errors[0])
    assert 0.05 < fit.index_errors[1] < 2.0


def test_hypotheses_at_zero_are_named():
    data = toy(np.array([np.full(100, 0.01) + np.tile([0.3, -0.3], 50), np.tile([-0.4, 0.2], 50)]))
    fit = maximise_joint(data)
    assert fit.at_bound == ("b",)
    assert fit.n_signal[1] == 0.0
    assert fit.ts_each[1] == 0.0
    assert np.isfinite(fit.errors).all()
    assert any("'b'" in note and "bound" in note for note in fit.notes)


def test_the_same_template_twice_is_said_and_does_not_crash():
    names = ("plane", "again")
    data = experiment(names)
    fit, alone = maximise_joint(data), maximise(data.terms[0])
    assert fit.ts == pytest.approx(alone.ts, abs=1e-6)
    assert fit.n_signal.sum() == pytest.approx(alone.n_signal, rel=1e-4)
    assert fit.correlation[0, 1] == pytest.approx(-1.0, abs=1e-6)
    assert np.isinf(fit.errors).all()
    assert any("template:test" in note and "template:again" in note and "singular" in note for note in fit.notes)
    assert fit.undetermined == fit.names
    # Exactly: rounding must not become a test statistic.
    assert list(fit.ts_each) == [0.0, 0.0]


def test_a_mixture_of_two_others_is_not_determined_beside_a_third_that_is():
    rng = np.random.default_rng(5)
    x = rng.normal(0.0, 0.3, (4, 3000)).clip(-0.9)
    x[3] = 0.25 * x[0] + 0.75 * x[1]
    fit = maximise_joint(toy(x))
    assert np.isinf(fit.errors[[0, 1, 3]]).all()
    assert np.isfinite(fit.errors[2])
    assert abs(np.delete(fit.correlation[2], 2)).max() < 0.3
    assert fit.correlation[0, 3] == pytest.approx(-1.0, abs=1e-6)
    [note] = [note for note in fit.notes if "singular" in note]
    assert "'c'" not in note
    assert fit.undetermined == ("a", "b", "d")


def test_an_isotropic_hypothesis_is_refused_with_the_reason():
    with pytest.raises(InputError, match=r"template:isotropic.*right ascension.*background"):
        refuse_flat(problems("plane", "isotropic"))
    refuse_flat(problems("plane", "stack", "point"))


def test_hypotheses_of_other_events_are_refused():
    other = prepare(hypothesis("plane"), (sample(1500, seed=99, name="s0"),))
    with pytest.raises(InputError, match="other events"):
        trials.check_same_events((problem("shifted"), other))


# --- pseudo-experiments -----------------------------------------------------------------------------------------------


def test_events_are_lined_up_by_their_number():
    """x of an event is the same whoever stands beside it; a point source sees a part of the events alone."""
    data = experiment(MIXED)
    assert data.places
    held = problems(*MIXED)
    assert len(held[1].parts[0].active) < len(held[0].parts[0].active)
    numbers = [event_numbers(p) for p in held]
    whole = joint_terms(held, tuple(terms(p) for p in held), tuple(numbers))
    lists = [dict(zip(n, terms(p).x(0), strict=True)) for n, p in zip(numbers, held, strict=True)]
    for j, wanted in enumerate(lists):
        row = whole.row(j, 0)
        assert row.sum() == pytest.approx(sum(wanted.values()))
        for other in range(3):  # the same place is the same event
            places = dict(zip(numbers[other], whole.places[other], strict=True))
            common = set(places) & set(wanted)
            assert all(row[places[e]] == wanted[e] for e in common)


def test_the_signal_of_the_first_is_that_of_a_single_injection():
    held = problems("plane", "shifted")
    sources = tuple(trials.emissions(p) for p in held)
    alone = trials.injected(held[0], sources[0], 9, 4, 60.0)
    both = trials.joint_injected(held, sources, 9, 4, (60.0, 0.0))
    n = held[0].n_events
    assert both.n_events == alone.n_events > n
    np.testing.assert_array_equal(both.terms[0].difference[:, n:], alone.difference[:, n:])
    np.testing.assert_array_equal(both.terms[0].ratio, alone.ratio)
    more = trials.joint_injected(held, sources, 9, 4, (60.0, 30.0))
    added = alone.n_events
    np.testing.assert_array_equal(more.terms[0].difference[:, :added], both.terms[0].difference)
    assert more.n_events > added
    assert len(more.terms[1].group) == more.n_events


def test_a_trial_is_a_function_of_its_number():
    held = problems("plane", "point free")
    models = ((0, 1), (1,))
    args = (held, 17)
    whole = trials.joint_trials(*args, 0, 6, (30.0, 8.0), models)
    part = trials.joint_trials(*args, 3, 6, (30.0, 8.0), models)
    assert whole[3:].tobytes() == part.tobytes()
    names = trials.joint_columns(models)
    assert whole.shape == (6, len(names))
    ts, less = (whole[:, names.index(f"ts_{m}")] for m in (0, 1))
    assert np.all(ts >= less - 1e-7)
    again = trials.joint_trials(held, 18, 3, 6, (30.0, 8.0), models)
    assert not np.any(again[:, names.index("n_signal_0_0")] == part[:, names.index("n_signal_0_0")])


def test_fits_of_injected_signal_grow_with_it():
    """Of each hypothesis by itself: the norm of the other stays, within the error of 40 trials."""
    held = problems("plane", "shifted")
    names = trials.joint_columns(((0, 1),))
    mean = {}
    for n_means in ((60.0, 60.0), (120.0, 60.0), (60.0, 120.0)):
        rows = trials.joint_trials(held, 21, 0, 40, n_means, ((0, 1),))
        fits = rows[:, [names.index("n_signal_0_0"), names.index("n_signal_0_1")]]
        mean[n_means] = fits.mean(axis=0), fits.std(axis=0) / np.sqrt(40)
    base, error = mean[60.0, 60.0]
    for k, n_means in enumerate(((120.0, 60.0), (60.0, 120.0))):
        gained = (mean[n_means][0] - base) / 60.0
        spread = np.hypot(error, mean[n_means][1]) / 60.0
        assert abs(gained[k] - 1.1) < 4 * spread[k]
        assert abs(gained[1 - k]) < 4 * spread[1 - k]


def test_at_index_moves_the_signal_of_free_hypotheses_alone():
    held = problems("plane", "stack free")
    assert trials.at_index(held[0], 2.0) is held[0]
    moved = trials.at_index(held[1], 2.13)
    assert moved.hypothesis.index == pytest.approx(2.2)
    assert moved.parts is held[1].parts
    assert trials.emissions(moved)[0].cumulative[-1] != trials.emissions(held[1])[0].cumulative[-1]


# --- what is read from them -------------------------------------------------------------------------------------------


def test_a_share_of_trials_has_its_error_and_its_bound():
    found = trials.share(np.arange(100) < 20)
    assert (found.p, found.n_trials, found.upper_bound) == (0.2, 100, None)
    assert found.error == pytest.approx(0.04)
    none = trials.share(np.zeros(1000, dtype=bool))
    # Of a probability at the bound, 1,000 trials show nothing in one of ten cases.
    assert (none.p, (1 - none.upper_bound) ** 1000) == (0.0, pytest.approx(0.1))
    assert none.upper_bound == pytest.approx(2.3 / 1000, rel=0.01)
    assert trials.share(np.ones(10, dtype=bool)).p == 1.0


@pytest.mark.parametrize(
    ("ts", "p"), [(2.0, 2 / 5), (2.0 + 9e-7, 2 / 5), (2.0 + 2e-6, 1 / 5), (1.0, 4 / 5), (0.0, 1.0), (3.0, 1 / 5)]
)
def test_a_p_value_counts_the_data_and_forgives_rounding(ts, p):
    found = as_large(np.array([0.0, 1.0, 1.0 - 1e-7, 2.0]), ts)
    assert found.p == pytest.approx(p)
    assert found.error == pytest.approx(np.sqrt(p * (1 - p) / 4))
    assert (found.upper_bound is None) == (p > 1 / 5)


def test_a_critical_value_is_exceeded_as_often_as_it_says():
    """Its error is the scatter of critical values of other experiments."""
    rng = np.random.default_rng(9)
    found = np.array([trials.exceeded_by(rng.chisquare(1, 1000), 0.05) for _ in range(300)])
    assert found[:, 0].mean() == pytest.approx(chi2.isf(0.05, 1), abs=0.05)
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.15)
    assert trials.exceeded_by(np.zeros(100), 0.05) == (0.0, 0.0)


def test_ties_are_right_for_neither():
    q_a, q_b = np.array([-1.0, 0.0, 1e-8, 2.0]), np.array([0.0, 3.0, 3.0, -1e-7])
    a, b = trials.separation(q_a, q_b, 0.05), trials.separation(-q_b, -q_a, 0.05)
    assert (a.right.p, a.ties.p, b.right.p, b.ties.p) == (0.25, 0.5, 0.5, 0.5)


def test_bias_coverage_and_correlation_of_gaussian_fits():
    rng = np.random.default_rng(6)
    truth, n = np.array([500.0, 200.0]), 20_000
    fits = rng.multivariate_normal(1.1 * truth, [[900.0, -360.0], [-360.0, 400.0]], n)
    errors = np.broadcast_to([30.0, 20.0], fits.shape)
    found = trials.joint_bias(truth, fits, errors)
    np.testing.assert_allclose(found.median / truth, 1.1, atol=0.005)
    np.testing.assert_allclose(found.mean_error, np.array([30.0, 20.0]) / np.sqrt(n), rtol=0.03)
    assert found.correlation[0, 1] == pytest.approx(-0.6, abs=5 * found.correlation_error[0, 1])
    assert found.correlation_error[0, 1] == pytest.approx(0.64 / np.sqrt(n), rel=0.05)
    # 50 events of bias are 1.67, 20 are 1 standard deviation; corrected fits hold the truth as often as a Gaussian.
    wanted = [norm.cdf(1 - z) - norm.cdf(-1 - z) for z in (50 / 30, 1.0)]
    np.testing.assert_allclose(found.coverage, wanted, atol=0.015)
    np.testing.assert_allclose(found.coverage_corrected, 0.683, atol=0.015)
    # So one error holds the truth in as many, and twice as many are needed where errors are half as long.
    np.testing.assert_allclose(found.needed, 1.0, atol=0.03)
    np.testing.assert_allclose(trials.joint_bias(truth, fits, errors / 2).needed, 2.0 * found.needed)
    nothing = trials.joint_bias(np.zeros(2), np.zeros((10, 2)), np.ones((10, 2)))
    assert nothing.correlation[0, 1] == 0.0


def test_two_gaussian_models_are_told_apart_as_theory_says():
    """q of two simple Gaussian models is normal with mean -+ d^2 and variance 4 d^2."""
    rng = np.random.default_rng(7)
    d, n = 1.5, 40_000
    q_a, q_b = rng.normal(-(d**2), 2 * d, n), rng.normal(d**2, 2 * d, n)
    for one in (trials.separation(q_a, q_b, 0.05), trials.separation(-q_b, -q_a, 0.05)):
        assert one.power.p == pytest.approx(norm.sf(norm.isf(0.05) - d), abs=5 * one.power.error)
        # The error of the quantile is larger than the binomial one.
        assert one.power.error > np.sqrt(one.power.p * (1 - one.power.p) / n)
        assert one.right.p == pytest.approx(norm.cdf(d / 2), abs=5 * one.right.error)


# --- through executors, as an answer ----------------------------------------------------------------------------------


def posed(names):
    return tuple(Problem(problem(name), f"fingerprint-{name}", 5) for name in names)


def part():
    """The sample that the problems are prepared on, as a user opens it."""
    return whole(*(one.sample for one in problem("plane").parts))


class Refusing:
    """An executor that does nothing: what is asked for must be there already."""

    def map(self, function, items):
        assert not list(items)
        return iter(())


@pytest.mark.slow
def test_trials_are_the_same_for_any_executor_and_are_kept(tmp_path):
    plan = JointExperiments(3, 25, (30.0, 10.0), (2.7, 2.7), ((0, 1), (0,)))
    found = [
        run(posed(("plane", "point")), plan, Bench(tmp_path / str(k), executor))
        for k, executor in enumerate((Serial(), Threads(2), Processes(2)))
    ]
    assert found[0].equals(found[1])
    assert found[0].equals(found[2])
    columns = trials.joint_trials(problems("plane", "point"), 3, 0, 25, plan.n_means, plan.models)
    np.testing.assert_array_equal(found[0].to_array().values.T, columns)
    assert run(posed(("plane", "point")), plan, Bench(tmp_path / "0", Refusing())).equals(found[0])


def test_a_joint_fit_as_an_answer(tmp_path):
    answer = joint(posed(("plane", "point")), part(), 100, Bench(tmp_path))
    assert JointAnswer.from_dict(answer.to_dict()) == answer
    fit = maximise_joint(trials.joint_data(problems("plane", "point")))
    assert answer.ts == pytest.approx(fit.ts)
    assert answer.provenance.origin == "synthetic"
    for row, n, ts in zip(answer.hypotheses, fit.n_signal, fit.ts_each, strict=True):
        norm_, chance = row.norm, row.profiled.chance
        assert norm_.n_signal.value == pytest.approx(n)
        assert row.ts == pytest.approx(ts)
        assert (chance.p == 1.0) == (ts == 0.0)
        # A test at 5 %: below the critical value p is above that, and above it is not.
        critical = row.profiled.critical
        assert ts == 0.0 or critical.value < 6.0
        assert ts == 0.0 or (ts > critical.value) == (chance.p <= 0.055)
        assert chance.scope == "local"
        # The two errors are what they say: the fit's is that of the curvature, the correction's that of its trials.
        events, flux = norm_.corrected, norm_.flux
        assert 0.5 < events.best.error / norm_.n_signal.error < 2.0
        assert events.correction_error < 0.5 * events.best.error
        assert flux.best.error * events.best.value == pytest.approx(flux.best.value * events.best.error)
        assert norm_.in_models is None
        assert isinstance(norm_.index.error, Unknown)
        per_flux = n / norm_.flux_uncorrected if n else None
        assert n == 0 or flux.best.value * per_flux == pytest.approx(events.best.value)
    assert answer.correlations[0].curvature == pytest.approx(fit.correlation[0, 1])
    assert answer.correlations[0].covariance == pytest.approx(fit.covariance[0, 1])


def test_the_numbers_of_a_joint_fit_are_those_of_its_streams(tmp_path):
    """By hand: the fit injected, moved by its own bias, and the experiments behind coverage and correlation."""
    held, prepared = (
        experiments.Experiments(posed(("plane", "shifted")), 100, Bench(tmp_path)),
        problems("plane", "shifted"),
    )
    answer = joint(held.problems, part(), 100, held.bench)
    fit = maximise_joint(trials.joint_data(prepared))
    signal = fit.n_signal
    for stream in (*JOINT_FIT.rounds, JOINT_FIT.experiments):
        rows = trials.joint_trials(prepared, 5 + stream, 0, 100, tuple(signal), ((0, 1),))
        last, signal = signal, np.maximum(signal + fit.n_signal - np.median(rows[:, [2, 6]], axis=0), 0.0)
    bias = trials.joint_bias(last, rows[:, [2, 6]], rows[:, [4, 8]])
    assert fit.n_signal.any()
    for j, (row, recovered) in enumerate(zip(answer.hypotheses, answer.recovered, strict=True)):
        assert row.norm.corrected.best.value == signal[j]
        assert recovered.n_injected == last[j]
        assert recovered.coverage.value == bias.coverage[j]
        assert recovered.needed.value == bias.needed[j]
        assert last[j] == 0.0 or recovered.bias.value == bias.median[j] / last[j]
    assert answer.correlations[0].measured.value == pytest.approx(bias.correlation[0, 1], rel=1e-12)


@pytest.mark.slow
@pytest.mark.real_data
def test_numbers_do_not_change(mirror, monkeypatch, tmp_path):
    """Those of ``joint --hypotheses template:pi0,stack:snr --trials 100``, of cascades as they are drawn now."""
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    ready = samples.load(sample_spec(name="cascades-2023"), 1)
    answer = Joint(hypotheses=("template:pi0", "stack:snr"), trials=100).ask(ready, Bench(tmp_path, Threads(2)))
    plane_, stack_ = answer.hypotheses
    found = (
        answer.ts, plane_.norm.corrected.best.value, plane_.norm.flux.best.error,
        stack_.norm.corrected.correction_error,
        plane_.profiled.chance.p, stack_.profiled.chance.p, answer.correlations[0].measured.value,
    )  # fmt: skip
    wanted = (
        24.39456964712859, 811.3973977354478, 7.997826381514735e-12, 6.485718462191663, 0.009900990099009901, 1.0,
        -0.5736657230264612,
    )  # fmt: skip
    assert found == pytest.approx(wanted, rel=1e-9)  # to the bit on one machine


def test_the_same_twice_as_an_answer(tmp_path):
    """Made differently, so that no fingerprint tells: nothing is said of either norm, and why."""
    answer = joint(posed(("plane", "again")), part(), 100, Bench(tmp_path))
    assert JointAnswer.from_dict(answer.to_dict()) == answer
    for row, recovered in zip(answer.hypotheses, answer.recovered, strict=True):
        assert row.undetermined
        assert row.ts == 0.0
        lost = (
            row.norm.n_signal.error, row.norm.corrected, row.norm.flux, row.norm.flux_uncorrected, row.profiled,
            recovered.bias, recovered.coverage,
        )  # fmt: skip
        assert all(isinstance(one, Unknown) for one in lost)
        assert "template:test and template:again" in row.profiled.reason
    assert any("singular" in note for note in answer.notes)
    assert " ".join(str(answer).split()).count("n_s not determined") == 2
    assert "local p 0" not in str(answer)
    answer.plot()


def test_one_hypothesis_under_two_names_is_refused(tmp_path):
    """By what is fitted, not by its name."""
    held = problem("plane")
    other = replace(held.hypothesis, name="template:other")
    parts = tuple(one.sample for one in held.parts)
    one, two, index = (
        Problem(prepare(h, parts), problem_fingerprint(h, parts), 5)
        for h in (held.hypothesis, other, replace(other, index=2.5))
    )
    for verb in (joint, compare):
        with pytest.raises(InputError, match=r"'template:test' and 'template:other' are one .*leave one of them out"):
            verb((one, two), part(), 100, Bench(tmp_path))
    experiments.check_apart((one, index))


@pytest.mark.slow
def test_fluxes_are_given_in_units_of_a_model_that_has_one(tmp_path):
    model, parts = replace(plane(), flux=2e-11), tuple(one.sample for one in problem("plane").parts)
    held, free = (
        Problem(prepare(Hypothesis("template:model", model, 2.7, free), parts), f"model {free}", 5)
        for free in (False, True)
    )
    both = (held, *posed(("point",)))
    for verb, rows in ((compare, "models"), (joint, "hypotheses")):
        answer = verb(both, part(), 100, Bench(tmp_path))
        one, other = (row.norm for row in getattr(answer, rows))
        assert one.model_flux == 2e-11
        assert one.in_models.best.value == pytest.approx(one.flux.best.value / 2e-11)
        assert one.in_models.best.error == pytest.approx(one.flux.best.error / 2e-11)
        assert one.in_models.correction_error == pytest.approx(one.flux.correction_error / 2e-11)
        assert other.in_models is None
        answer.to_table().write(tmp_path / f"{rows}.ecsv")
        column = QTable.read(tmp_path / f"{rows}.ecsv")["norm_in_models_best"]  # "x model" is no unit of astropy's
        assert column[0] == pytest.approx(one.in_models.best.value)
        assert "(x model)" in column.info.description
    # A flux of another spectrum is not one in units of the model.
    signal = experiments.Signal(np.array([80.0]), np.array([2.4]), np.array([3.0]), np.array([1.1]))
    found = experiments.norm_of(free, (88.0, 22.0), (2.4, 0.2), signal, np.full(10, 80.0), 0)
    assert found.in_models is None
    assert "fitted index is held" in found.held
    assert found.corrected.best.error == pytest.approx(20.0)
    assert (found.corrected.best.value, found.corrected.correction_error) == (80.0, 3.0)
    assert (found.index.value, found.index.error) == (2.4, 0.2)


def test_two_models_as_an_answer(tmp_path):
    held = experiments.Experiments(posed(("plane", "point free")), 100, Bench(tmp_path))
    answer = compare(held.problems, part(), 100, held.bench)
    assert CompareAnswer.from_dict(answer.to_dict()).to_dict() == answer.to_dict()
    data = trials.joint_data(problems("plane", "point free"))
    ts = [maximise(t).ts for t in data.terms]
    assert [row.ts for row in answer.models] == pytest.approx(ts, abs=1e-6)
    assert answer.q == pytest.approx(ts[1] - ts[0], abs=1e-6)
    kept = replace(held, bench=Bench(tmp_path, Refusing()))
    tries = [tried(kept, data, k) for k in (0, 1)]
    a, b = (one.q for one in tries)
    first, second = answer.models
    assert first.chance.p == trials.as_large_given(a, tries[0].given, answer.q, tries[0].at).p
    assert second.chance.p == trials.as_large_given(-b, tries[1].given, -answer.q, tries[1].at).p
    # The free index of B is given too.
    assert [one.given.shape[1] for one in tries] == [1, 2]
    assert set(answer.experiments) == {"q_a", "root_ts_a", "q_b", "root_ts_b", "index_b"}
    for row, values, right in ((first, a, a < -1e-6), (second, b, b > 1e-6)):
        assert row.ties.p == (abs(values) <= 1e-6).mean()
        assert row.right.p == right.mean()
        assert row.q.values == tuple(np.quantile(values, row.q.levels))
        assert isinstance(row.power, Chance)
    for row, terms_ in zip(answer.models, data.terms, strict=True):
        fit = maximise_joint(JointTerms(("one",), (terms_,), (), len(terms_.group), (0,)))
        assert row.norm.n_signal.error == pytest.approx(fit.errors[0], rel=1e-6)
        assert (row.norm.corrected.correction_error > 0) == (row.norm.n_signal.value > 0)


def test_experiments_of_a_model_are_those_of_its_stream(tmp_path):
    held = experiments.Experiments(posed(("plane", "point free")), 100, Bench(tmp_path))
    data = trials.joint_data(problems("plane", "point free"))
    one = tried(held, data, 0)
    means = tuple(map(float, one.signal.n_signal))
    rows = trials.joint_trials(
        problems("plane", "point free"), 5 + joint_model(0).experiments, 0, 3, means, ((0,), (1,))
    )
    columns = trials.joint_columns(((0,), (1,)))
    q = rows[:, columns.index("ts_1")] - rows[:, columns.index("ts_0")]
    np.testing.assert_array_equal(one.q[:3], q)


@pytest.mark.slow
def test_figures_say_what_they_show_and_need_their_experiments(tmp_path):
    answer = compare(posed(("plane", "point")), part(), 100, Bench(tmp_path))
    (drawn,) = answer.drawn()
    assert drawn.sidecar.origin == "synthetic"
    assert "pseudo-experiments" in drawn.sidecar.caption
    assert CompareAnswer.from_dict(answer.to_dict()).drawn() == ()
    assert [path.suffix for path in answer.write(tmp_path / "out")] == [".json", ".ecsv", ".png"]
    (drawn,) = joint(posed(("plane", "point")), part(), 100, Bench(tmp_path)).drawn()
    assert "corrected for their bias" in drawn.sidecar.caption


@pytest.mark.slow
def test_a_corrected_signal_has_the_median_fit_of_the_data(tmp_path):
    """Experiments with it, of another seed, are fitted as the data are; those with the fit itself are not."""
    fitted, index, streams = np.array([300.0, 40.0]), np.array([2.7, 2.7]), joint_model(0).rounds
    held = experiments.Experiments(posed(("plane", "point")), 1600, Bench(tmp_path))
    signal = experiments.corrected(held, fitted, index, (0, 1), streams)
    medians = []
    for n_means in (signal.n_signal, fitted):
        rows = trials.joint_trials(problems("plane", "point"), 99, 0, 400, tuple(n_means), ((0, 1),))
        found = trials.joint_bias(n_means, rows[:, [2, 6]], rows[:, [4, 8]])
        medians.append(found.median)
    error = np.hypot(found.median_error, signal.error)
    assert np.all(abs(medians[0] - fitted) < 3.5 * error)
    assert abs(medians[1][0] - fitted[0]) > 3.5 * error[0]
    nothing = experiments.corrected(held, np.zeros(2), index, (0, 1), streams)
    assert not nothing.n_signal.any()


def test_the_flux_of_a_mixture_of_nodes_is_that_of_its_parts():
    (held,) = posed(("stack free",))
    g, at = 4, held.prepared.index
    one, two = (experiments.flux_per_event(held, float(at[k])) for k in (g, g + 1))
    assert one == pytest.approx(1e7 / held.prepared.expected[g])
    mixed = experiments.flux_per_event(held, float(0.25 * at[g] + 0.75 * at[g + 1]))
    assert mixed == pytest.approx(0.25 * one + 0.75 * two)


def test_curvature_of_some_is_that_of_their_own_fit():
    data = experiment(MIXED)
    pair = joint_maximum(data, (0, 2))
    own = JointTerms(
        ("a", "b"), (data.terms[0], data.terms[2]), (data.places[0], data.places[2]), data.n_joined, (0, 0)
    )
    np.testing.assert_allclose(curvature_at(data, pair).errors, maximise_joint(own).errors, rtol=1e-6)


# --- near the poles ---------------------------------------------------------------------------------------------------


def polar(dec, free=True):
    """A point source at a declination in deg, prepared on the events of the other problems."""
    source = PointSource("polar", 1.0, float(np.radians(dec)))
    target = Catalogue("polar", "polar", (source, SOURCES[0]), (3.0, 1.0), "here")
    one = Hypothesis("stack:polar", target, 2.0, free)
    parts = tuple(part.sample for part in problem("plane").parts)
    return Problem(prepare(one, parts), f"fingerprint-polar-{dec}-{free}", 5)


@pytest.mark.parametrize(("dec", "near"), [(-78.0, True), (80.0, True), (-74.0, False), (10.0, False)])
def test_half_of_the_weight_within_15_degrees_of_a_pole_is_near_it(dec, near):
    one = polar(dec)
    assert experiments.near_pole(one) is near
    target = replace(one.hypothesis.target, weights=(1.0, 3.0))
    assert not experiments.near_pole(replace(one, prepared=replace(one.prepared, hypothesis=replace(
        one.hypothesis, target=target))))  # fmt: skip
    assert not experiments.near_pole(posed(("plane",))[0])


@pytest.mark.slow
def test_an_interval_of_experiments_holds_their_signal_as_often_as_their_fits_scatter():
    """Numbers of events, fitted a fifth too large: the interval holds a truth in 68 per cent, a weaker one too."""
    rng = np.random.default_rng(1)
    known = experiments.unbiased(1.2 * rng.poisson(400.0, 20_000), 400.0)
    assert np.median(known) == pytest.approx(400.0)
    for truth in (200.0, 400.0, 700.0):
        found = [experiments.central_ends(float(n), known) for n in rng.poisson(truth, 4000)]
        assert np.mean([low <= truth <= high for low, high in found]) == pytest.approx(0.68, abs=0.03)
    assert experiments.central_ends(0.0, np.where(rng.random(4000) < 0.2, 0.0, 9.0)) == (0.0, 9.0)
    # Ends are quantiles of 400 fits: their errors are what other 400 fits change in them.
    some = experiments.unbiased(rng.poisson(400.0, 400).astype(float), 400.0)
    quoted = experiments.central_interval(400.0, some)
    other = [experiments.central_ends(400.0, rng.poisson(400.0, 400).astype(float)) for _ in range(200)]
    assert [quoted.low_error, quoted.high_error] == pytest.approx(np.std(other, axis=0), rel=0.35)


@pytest.mark.parametrize(("verb", "rows"), [(joint, "hypotheses"), (compare, "models")])
@pytest.mark.slow
def test_no_curvature_error_is_quoted_near_a_pole(tmp_path, verb, rows):
    near, far = polar(-78.0), polar(10.0)
    answer = verb((near, far), part(), 100, Bench(tmp_path))
    one, other = (each.norm for each in getattr(answer, rows))
    assert one.corrected.best.value > 0.0
    for error in (one.n_signal.error, one.corrected.best.error, one.flux.best.error, one.index.error):
        assert isinstance(error, Unknown)
        assert "within 15 deg of a pole" in error.reason
    assert isinstance(other.n_signal.error, float)
    assert (other.interval, other.flux_interval) == (None, None)
    assert one.interval.low < one.corrected.best.value < one.interval.high
    assert one.flux_interval.high / one.flux.best.value == pytest.approx(one.interval.high / one.corrected.best.value)
    assert any("near a pole" in note for note in answer.notes)
    if verb is joint:
        polar_row, other_row = answer.recovered
        assert isinstance(polar_row.coverage, Unknown)
        assert polar_row.index_coverage is None
        assert not isinstance(other_row.coverage, Unknown)
    assert type(answer).from_dict(answer.to_dict()).to_dict() == answer.to_dict()
