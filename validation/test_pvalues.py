"""p-values of the pi0 template on the synthetic twin: tilted scrambles against a million plain ones, and their errors.

About five minutes on two cores.  Plain scrambles reach TS 16 (p 3e-5); nothing is extrapolated.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nuanalysis import trials
from nuanalysis.library import samples
from nuanalysis.library.hypotheses import read_hypothesis
from nuanalysis.library.samples import SampleSpec
from nuanalysis.model import prepare

N_PLAIN, PORTION = 1_000_000, 2_000
N_REPEATS, PER_REPEAT = 200, 600
PUBLISHED_TS = 22.19


@pytest.fixture(scope="module")
def prepared():
    return prepare(read_hypothesis("template:pi0"), samples.load(SampleSpec(name="cascades-2023"), 1).seasons)


def many(prepared, seed, n, tilts=trials.PLAIN):
    """n scrambles on two threads, (trial, column)."""

    def portion(first):
        return trials.scramble_trials(prepared, seed, first, min(first + PORTION, n), tilts)

    with ThreadPoolExecutor(2) as pool:
        return np.concatenate(list(pool.map(portion, range(0, n, PORTION))))


def best_mixture(prepared, seed, ts):
    run = trials.pilot((prepared,), seed, np.array([ts]))
    return trials.mixture(run, (run.ts[:, 0] >= ts)[None])[0]


def test_tilted_scrambles_agree_with_a_million_plain_ones(prepared, capsys):
    plain = many(prepared, 77, N_PLAIN)[:, 0]
    lines, pulls = [], []
    for ts in (1.0, 4.0, 9.0, 12.0, 16.0):
        rows = many(prepared, int(100 + ts), 8000, best_mixture(prepared, int(100 + ts), ts))
        found = trials.p_value(rows[:, 0], rows[:, 3], ts)
        brute = float((plain >= ts).mean())
        error = np.sqrt(brute * (1 - brute) / N_PLAIN)
        pulls.append((found.p - brute) / np.hypot(found.p_error, error))
        lines.append(
            f"TS {ts:4.0f}: plain {brute:.4g} +- {error:.1g}, tilted {found.p:.4g} +- {found.p_error:.1g}, "
            f"pull {pulls[-1]:+.2f}"
        )
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert np.abs(pulls).max() < 3.0
    assert np.sum(np.square(pulls)) < 15.1  # chi2 of 5 beyond which lies 1 per cent


def test_stated_errors_hold_the_truth_as_often_as_they_say(prepared, capsys):
    """Two hundred small ensembles, each with a pilot, a mixture and a seed of its own."""
    found = []
    for seed in range(1000, 1000 + N_REPEATS):
        rows = many(prepared, seed, PER_REPEAT, best_mixture(prepared, seed, PUBLISHED_TS))
        found.append(trials.p_value(rows[:, 0], rows[:, 3], PUBLISHED_TS))
    p, error = np.array([(f.p, f.p_error) for f in found]).T
    mean = float(p.mean())
    pulls = (p - mean) / error
    inside = float((np.abs(pulls) < 1.0).mean())
    binomial = np.sqrt(0.68 * 0.32 / N_REPEATS)
    with capsys.disabled():
        print(
            f"\np({PUBLISHED_TS}) = {mean:.4g} +- {p.std(ddof=1) / np.sqrt(N_REPEATS):.2g} "
            f"(published 1.26e-06); {inside:.1%} within one stated error, spread of pulls {pulls.std():.2f}"
        )
    assert abs(inside - 0.6827) < 3 * binomial
    assert abs(pulls.std() - 1.0) < 0.2
