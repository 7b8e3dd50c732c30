"""Coverage of 68 per cent intervals and calibration of p-values, by simulation on 3,000 synthetic events.

Compared with the stated probability itself; the tolerance is three binomial standard deviations of the experiments,
with those of the critical values added.
"""

import numpy as np
import pytest
from scipy.stats import kstest

from nuanalysis import simulate, trials
from nuanalysis.likelihood import maximise
from nuanalysis.model import Hypothesis, Sample, prepare
from nuanalysis.response import cascades_2023
from nuanalysis.sky._records import PowerLaw
from nuanalysis.sky.templates import BUILT_IN
from nuanalysis.workflow.samples import CASCADE_BINNING

N_EXPERIMENTS, PER_STRENGTH = 800, 1000


@pytest.fixture(scope="module")
def prepared():
    events = simulate.cascades(7, None, 0.0, spectrum=PowerLaw(2.7))
    chosen = np.sort(np.random.default_rng(7).permutation(events.sizes["event"])[:3000])
    part = events.isel(event=chosen).assign_attrs(livetime_s=events.attrs["livetime_s"] * 3000 / events.sizes["event"])
    sample = Sample("part", "part", part, cascades_2023.response(), CASCADE_BINNING, 32)
    return prepare(Hypothesis("template:pi0-like", BUILT_IN["pi0-like"](32), 2.7, False), (sample,))


@pytest.mark.parametrize("stretch", [1.0, 1.1])
def test_intervals_hold_the_truth_as_often_as_stated(prepared, stretch, capsys):
    grid = trials.injection_grid(prepared, 9.0)
    rows = trials.injection_trials(prepared, 1, 0, PER_STRENGTH * len(grid), grid, stretch)
    sources, sd = trials.emissions(prepared), float(trials.uncertainty(prepared)[0])
    found = {}
    for strength in (0.0, 0.25, 0.5, 1.0, 2.0, 3.0):
        hits = 0
        for trial in range(N_EXPERIMENTS):
            data = trials.injected(prepared, sources, 2, trial, strength * sd)
            low, high = trials.interval(data, maximise(data).ts, rows[:, 0], rows[:, 4], stretch=stretch, level=0.68)
            # The interval is read off a grid of 800 steps.
            hits += low - 0.01 * sd <= strength * sd <= high + 0.01 * sd
        found[strength] = hits / N_EXPERIMENTS
    with capsys.disabled():
        print(f"\ncoverage by strength in standard deviations, stretch {stretch}: {found}")
    # Between 0 and the first injected strength, half a standard deviation, the critical value is that of the latter:
    # too large there, so that the interval covers more than it says.
    tolerance = 3 * np.sqrt(0.68 * 0.32 * (1 / N_EXPERIMENTS + 1 / PER_STRENGTH))
    for strength, coverage in found.items():
        assert coverage > 0.68 - tolerance
        assert coverage < 0.68 + tolerance + (0.15 if strength == 0.25 else 0.0)


def test_p_values_of_scrambles_are_uniform(prepared):
    """The p-value of a plain scramble, read from tilted trials, is uniform where the test statistic is positive."""
    tilted = trials.scramble_trials(prepared, 3, 0, 20_000, trials.choose_tilts(prepared, 16.0))
    plain = trials.scramble_trials(prepared, 4, 0, 3000)[:, 0]
    positive = plain[plain > 0.01]
    order = np.argsort(-tilted[:, 0])
    tail = np.cumsum(np.exp(tilted[order, 3])) / len(tilted)
    p = np.interp(positive, tilted[order, 0][::-1], tail[::-1])
    share = len(positive) / len(plain)
    assert kstest(p / p.max(), "uniform").pvalue > 0.001
    assert p.max() == pytest.approx(share, abs=0.04)
