"""Coverage of 68 per cent intervals and calibration of p-values, by simulation on 3,000 synthetic events.

Compared with the stated probability itself: 2 per cent are asked of the coverage, with two binomial standard deviations
of the experiments added.
"""

import numpy as np
import pytest
from scipy.stats import chi2, kstest

from nuanalysis import simulate, trials
from nuanalysis.library.samples.cascades_2023 import BINNING as CASCADE_BINNING
from nuanalysis.likelihood import maximise, scan
from nuanalysis.likelihood.statistics import PUBLISHED
from nuanalysis.model import Hypothesis, Sample, prepare
from nuanalysis.response import cascades_2023
from nuanalysis.sky.records import PowerLaw
from nuanalysis.sky.templates import BUILT_IN
from nuanalysis.sky.templates._recipe import parse_recipe

N_EXPERIMENTS, PER_STRENGTH = 3000, 1500


@pytest.fixture(scope="module")
def prepared():
    events = simulate.cascades(7, None, 0.0, spectrum=PowerLaw(2.7))
    chosen = np.sort(np.random.default_rng(7).permutation(events.sizes["event"])[:3000])
    part = events.isel(event=chosen).assign_attrs(livetime_s=events.attrs["livetime_s"] * 3000 / events.sizes["event"])
    sample = Sample("part", "part", part, cascades_2023.response(), CASCADE_BINNING, 32, PUBLISHED)
    template = parse_recipe("pi0-like?nside=32", BUILT_IN).make()
    return prepare(Hypothesis("template:pi0-like", template, 2.7, False), (sample,))


@pytest.mark.parametrize(("stretch", "strengths"), [(1.07, (0.0, 0.25, 0.4, 0.6, 1.0, 2.0, 4.0)), (1.0, (0.25,))])
def test_intervals_hold_the_truth_as_often_as_stated(prepared, stretch, strengths, capsys):
    """Neyman intervals hold it in 68 +- 2 per cent at every strength; that they are right for any stretch is the point.

    Likelihood-ratio intervals (Wilks) are printed beside them: nothing makes them cover near zero or for few events.
    """
    grid, sd = trials.injection_grid(prepared, 6.0), float(trials.uncertainty(prepared)[0])
    rows = trials.injection_trials(prepared, 1, 0, PER_STRENGTH * len(grid), grid, stretch)
    curve = trials.critical_curve(rows[:, 0], rows[:, 4], 0.68, sd)
    error = np.sqrt(0.68 * 0.32 / N_EXPERIMENTS)
    for k, strength in enumerate(strengths):
        truth = strength * sd
        tau = trials.injection_trials(prepared, 20 + k, 0, N_EXPERIMENTS, (truth,), stretch)[:, 4]
        held, wilks = (tau <= curve.at(np.array([truth]))[0]).mean(), (tau <= chi2.ppf(0.68, 1)).mean()
        with capsys.disabled():
            print(f"\nstretch {stretch}, {strength} sd: Neyman {held:.4f}, Wilks {wilks:.4f} +- {error:.4f}", end="")
        assert held == pytest.approx(0.68, abs=0.02 + 2 * error)


def test_accepting_the_truth_is_holding_it(prepared):
    """The interval that is read off contains exactly the strengths whose tau is small enough."""
    grid, sd = trials.injection_grid(prepared, 9.0), float(trials.uncertainty(prepared)[0])
    rows = trials.injection_trials(prepared, 1, 0, 100 * len(grid), grid)
    curve, sources = trials.critical_curve(rows[:, 0], rows[:, 4], 0.68, sd), trials.emissions(prepared)
    for strength in (0.0, 0.25, 1.0, 3.0):
        truth = np.array([strength * sd])
        for trial in range(40):
            data = trials.injected(prepared, sources, 5, trial, truth[0])
            best = maximise(data)
            low, high = trials.accepted(data, best.ts, curve, stretch=1.0)
            inside = best.ts - scan(data, truth)[0] <= curve.at(truth)[0]
            assert inside == (low <= truth[0] <= high)


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
