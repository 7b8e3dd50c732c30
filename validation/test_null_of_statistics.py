"""p-values of 20,000 plain scrambles against a tilted ensemble, for templates and stacks, published and complete.

The tilted ensemble of 40,000 covers 0 to 5 sigma, 6 to 7 % of it plain: at p = 1/2 its error is 0.006 to 0.007, twice
that of the plain scrambles, and a test that takes it for the law itself fails for that alone.  ``trials.agreement``
holds the errors of both.  Some six minutes of one core.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ks_1samp

from nuanalysis import trials
from nuanalysis.library import samples
from nuanalysis.library.hypotheses import read_hypothesis
from nuanalysis.library.samples import SampleSpec
from nuanalysis.likelihood.statistics import statistic
from nuanalysis.model import prepare

N_PLAIN, N_TILTED = 20_000, 40_000


@pytest.fixture(scope="module", params=["published", "complete"])
def sample(request):
    twin = samples.load(SampleSpec(name="cascades-2023", signal="none"), 1001).seasons[0]
    return replace(twin, statistic=statistic(request.param))


@pytest.fixture(scope="module", params=["template:pi0", "stack:snr"])
def ensembles(request, sample):
    """TS of plain scrambles, TS and ratios of tilted ones, and the shares of the tilts."""
    asked = replace(read_hypothesis(request.param), index=2.7, index_free=False)
    problem = prepare(asked, (sample,))
    tilts = trials.choose_tilts(problem, 25.0)
    plain = trials.scramble_trials(problem, 901, 0, N_PLAIN)[:, 0]
    fits, ratios = trials.correlated_trials((problem,), 902, 0, N_TILTED, tilts)
    return plain, fits[:, 0, 0], ratios, np.array([t.share for t in tilts])


def compare(plain, ts, ratios, shares):
    return trials.agreement(plain, ts, trials.mixture_log_weight(ratios, shares), np.random.default_rng(1))


def test_p_values_of_plain_scrambles_are_uniform(ensembles, capsys):
    plain, ts, ratios, shares = ensembles
    found = compare(*ensembles)
    order, weight = np.argsort(-ts), np.exp(trials.mixture_log_weight(ratios, shares))
    beyond = np.cumsum(weight[order]) / len(ts)
    p = np.interp(plain[plain > 0], ts[order][::-1], beyond[::-1])
    naive = ks_1samp(p / beyond[ts[order] > 0][-1], lambda v: np.clip(v, 0, 1)).pvalue
    with capsys.disabled():
        print(
            f"\nlargest difference {found.pull:+.2f} errors at TS {found.ts:.2f}: p {found.p:.3f}; naive KS {naive:.3f}"
        )
    assert found.p > 0.01


def test_the_comparison_has_power(ensembles):
    """TS of all plain scrambles 10 % larger, or tilts as if they were 10 % stronger than they were drawn."""
    plain, ts, ratios, shares = ensembles
    assert compare(1.1 * plain, ts, ratios, shares).p < 0.005
    assert compare(plain, ts, 1.1 * ratios, shares).p < 0.005


def test_every_tilt_is_a_density(ensembles, capsys):
    """The mean of L_k / L(0) under the null is 1 for every tilt, by the mixture, where it is at most 1 / share."""
    _, _, ratios, shares = ensembles
    each = np.exp(ratios + trials.mixture_log_weight(ratios, shares)[:, None])
    mean, error = each.mean(axis=0), each.std(axis=0) / np.sqrt(len(each))
    with capsys.disabled():
        print("\n" + ", ".join(f"{m:.4f} +- {e:.4f}" for m, e in zip(mean, error, strict=True)))
    assert np.abs((mean - 1.0) / error).max() < 3.5
