"""P-values of q = TS_B - TS_A given the fit of a model: theory, a slow twin, and repeated pseudo-experiments."""

from functools import lru_cache

import numpy as np
import pytest
from scipy.stats import kstest, norm
from small_problem import sample, stack_hypothesis, template_hypothesis, whole

from nuanalysis import trials
from nuanalysis.answers.compare import compare
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.model import prepare
from nuanalysis.publish import _evidence
from nuanalysis.trials import as_large, as_large_given

BOTH = ((0,), (1,))


def roots(rng, n, strength, correlation=0.6):
    """Signed roots of TS of two models, (n,) each, where the first is true with this significance."""
    a = rng.standard_normal(n) + strength
    return a, correlation * a + np.sqrt(1.0 - correlation**2) * rng.standard_normal(n)


def test_normal_roots_have_the_p_value_of_theory():
    """q = z_B^2 - z_A^2 given z_A: z_B is normal with mean rho z_A, whatever strength the experiments have."""
    rng = np.random.default_rng(1)
    for strength in (5.0, 6.0, 7.0):
        a, b = roots(rng, 40_000, strength)
        for a0, b0 in ((6.0, 3.6), (6.5, 5.2), (5.5, 2.2)):
            theory = norm.sf((b0 - 0.6 * a0) / 0.8) + norm.cdf((-b0 - 0.6 * a0) / 0.8)
            found = as_large_given(b**2 - a**2, a[:, None], b0**2 - a0**2, np.array([a0]))
            # A parabola and a line are not all of it: the pulls of a square are skew.
            assert found.p == pytest.approx(theory, abs=5 * found.error + 0.01)
            assert found.n_trials == 40_000


def test_p_is_that_of_the_experiments_nearby():
    """The slow twin counts those alone that have nearly the TS of the data, and lines need not be straight."""
    rng = np.random.default_rng(2)
    a = np.abs(rng.standard_normal(200_000) + 4.0)
    q = -(a**2) + 0.3 * a**2 + (0.5 + 0.4 * a) * (rng.gamma(4.0, 1.0, len(a)) - 4.0)
    for a0, q0 in ((4.0, -9.0), (5.0, -12.0), (3.0, -2.0)):
        near = np.abs(a - a0) < 0.03
        twin, found = as_large(q[near], q0), as_large_given(q, a[:, None], q0, np.array([a0]))
        assert found.p == pytest.approx(twin.p, abs=4 * twin.error + 0.01)
        assert abs(as_large(q, q0).p - twin.p) > 20 * found.error  # all experiments alike: another number


def test_another_quantity_moves_the_mean():
    """q that goes with the index too is compared at the index of the data."""
    rng = np.random.default_rng(3)
    a, index = rng.standard_normal(50_000) + 5.0, rng.uniform(1.0, 4.0, 50_000)
    q = -0.6 * a**2 + 3.0 * (index - 2.5) + 2.0 * rng.standard_normal(len(a))
    given, at = np.column_stack([a, index]), np.array([5.5, 3.5])
    found = as_large_given(q, given, -0.6 * 5.5**2 + 3.0 + 2.0, at)
    assert found.p == pytest.approx(norm.sf(1.0), abs=5 * found.error)
    assert as_large_given(q, given[:, :1], -0.6 * 5.5**2 + 3.0 + 2.0, at[:1]).p < found.p - 0.05


def test_experiments_without_ts_are_compared_with_data_without():
    """By hand: two of three with no TS of the model have as much; of the others none counts."""
    q, root = np.array([1.0, 2.0, 3.0, -9.0, -8.0]), np.array([0.0, 0.0, 1e-4, 3.0, 2.0])
    found = as_large_given(q, root[:, None], 2.0, np.array([0.0]))
    assert (found.p, found.n_trials) == (3 / 4, 3)
    # Too few for a mean and a spread: counted as they are.
    found = as_large_given(q, root[:, None], -8.5, np.array([2.5]))
    assert (found.p, found.n_trials) == (2 / 3, 2)
    # None like the data: all are taken.
    assert as_large_given(q, np.ones((5, 1)), 2.5, np.array([0.0])).n_trials == 5


def test_equal_models_tie():
    """q that is rounding alone is as large in every experiment."""
    rng = np.random.default_rng(4)
    q, root = 1e-9 * rng.standard_normal(50), 3.0 + rng.standard_normal(50)
    assert as_large_given(q, root[:, None], 0.0, np.array([3.0])).p == 1.0


# --- repeated pseudo-experiments --------------------------------------------------------------------------------------


@lru_cache
def problems():
    parts = (sample(1500, seed=31),)
    return tuple(prepare(h, parts) for h in (template_hypothesis(), stack_hypothesis(free=False)))


def fits(true, n_signal, seed, n):
    """q for which the true model is refused, and n_s and root of TS of that model, (n,) each."""
    means = tuple(n_signal if k == true else 0.0 for k in (0, 1))
    rows = trials.joint_trials(problems(), seed, 0, n, means, BOTH)
    found = dict(zip(trials.joint_columns(BOTH), rows.T, strict=True))
    q = (1.0 - 2.0 * true) * (found["ts_1"] - found["ts_0"])
    return q, found[f"n_signal_{true}_{true}"], np.sqrt(found[f"ts_{true}"])


@pytest.mark.parametrize(("true", "strength"), [(0, 120.0), (1, 60.0)])
@pytest.mark.slow
def test_p_values_of_the_true_model_are_uniform(true, strength):
    """At a fixed true strength, each compared with experiments whose median fit is the nearest; plain counts are not.

    Experiments are shared by data with nearly the same fit, 100 for each, so that it takes seconds; with experiments of
    their own: validation/test_joint_fits.py.
    """
    ladder = [fits(true, float(n), 100 + k, 100) for k, n in enumerate(np.linspace(0.4, 1.6, 13) * strength)]
    medians = np.array([np.median(n_signal) for _, n_signal, _ in ladder])
    found, plain = [], []
    for q0, n0, root0 in zip(*fits(true, strength, 99, 400), strict=True):
        q, _, root = ladder[int(np.argmin(abs(medians - n0)))]
        found.append(as_large_given(q, root[:, None], q0, np.array([root0])).p)
        plain.append(as_large(q, q0).p)
    assert kstest(found, "uniform").pvalue > 0.01
    assert kstest(plain, "uniform").pvalue < 1e-6
    assert np.mean(np.array(found) <= 0.1) == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / 400))


def test_an_answer_is_recomputed_from_what_is_packed_with_it(tmp_path):
    """p of both models from the experiments beside the answer; with another index of one experiment it differs."""
    parts = (sample(1500, seed=31),)
    posed = tuple(Problem(prepare(h, parts), h.name, 5) for h in (template_hypothesis(), stack_hypothesis(free=True)))
    answer = compare(posed, whole(*parts), 100, Bench(tmp_path))
    assert not list(_evidence._compared(answer))
    assert "TS of the model" in answer.models[0].chance.method
    moved = answer.experiments.assign(q_b=answer.experiments["q_b"] + 5.0)
    assert any("p of" in fault for fault in _evidence._compared(answer.model_copy(update={"experiments": moved})))
