"""How often the 90 % upper limits of follow-ups hold injected bursts of 0.5 to 8 expected events.

    NUANALYSIS_DATA=... python validation/followup_coverage.py [--experiments 10000]

Season IC79, four declinations, both windows; a place that is known exactly and, at one declination, a region of 1 deg.
The limit holds a burst of mean n where the share of bursts of n with a TS above the observed one is at most 0.9.  That
share is read from 4,000 trials; the experiments are others, with a seed of their own.  Exit status 1 where one is held
in less than 0.89.  ``make validate`` runs it too.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nuanalysis import trials
from nuanalysis.answers._followup import spectrum_of_nowhere
from nuanalysis.interpret.alert_regions import ellipse_deg, places_of
from nuanalysis.library import samples
from nuanalysis.likelihood import Places, yardstick
from nuanalysis.sky.records import PowerLaw

Floats = NDArray[np.float64]
INDEX, RATE_HZ, LIMIT_TRIALS = 2.5, 0.003411, 4000
LEAST = 0.89  # coverage
MEANS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
SEEDS = (1, 2)  # of the trials behind limits, and of experiments


def above(bursts: Floats, mean: float, ts: Floats) -> Floats:
    """Share of bursts of a mean number of events with a TS above each value, (value,)."""
    counts = np.arange(bursts.shape[1] - 1)
    weight = stats.poisson.pmf(counts, mean * bursts[:, :1])
    weight[:, -1] += stats.poisson.sf(counts[-1], mean * bursts[:, 0])
    order = np.argsort(bursts[:, 1:].ravel(), kind="stable")
    values, summed = bursts[:, 1:].ravel()[order], np.cumsum(weight.ravel()[order]) / len(bursts)
    return 1.0 - np.append(0.0, summed)[np.searchsorted(values, ts, side="right")]


def experiments(bursts: Floats, mean: float, rng: np.random.Generator) -> Floats:
    """TS of an experiment from each row: a Poisson number of its signal events."""
    n = np.minimum(rng.poisson(mean * bursts[:, 0]), bursts.shape[1] - 2)
    return bursts[np.arange(len(bursts)), 1 + n]


def lowest_coverage(many: int) -> float:
    """Of all places, windows and means, from ``many`` experiments each; prints them all."""
    season = samples.load(samples.sample_spec(name="tracks"), 1).seasons[1]
    stick, chosen = yardstick(spectrum_of_nowhere(INDEX), season), np.ones(season.events.sizes["event"], dtype=bool)
    print("dec   region  window   " + "  ".join(f"{mean:5g}" for mean in MEANS) + "   events expected")
    lowest = 1.0
    for dec_deg, box in ((-30.0, 0.0), (0.0, 0.0), (20.0, 0.0), (60.0, 0.0), (20.0, 1.0)):
        if box:
            places, source = places_of(ellipse_deg(90.0, dec_deg, (box,) * 4), 0.99, 128)
        else:
            places, source = Places(np.array([1.5]), np.radians([dec_deg]), np.zeros(1)), np.ones(1)
        for length in (1000.0, 172_800.0):
            problem = trials.window_problem(
                stick, chosen, RATE_HZ * length, places, spectrum=PowerLaw(INDEX), source=source
            )
            limits, tests = (
                trials.burst_trials(problem, seed, 0, n) for seed, n in zip(SEEDS, (LIMIT_TRIALS, many), strict=True)
            )
            rng = np.random.default_rng(SEEDS[1])
            held = [float((above(limits, mean, experiments(tests, mean, rng)) <= 0.9).mean()) for mean in MEANS]
            lowest = min(lowest, *held)
            print(f"{dec_deg:+4.0f}  {box:4g}    {length:7.0f}  " + "  ".join(f"{one:.3f}" for one in held))
    return lowest


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--experiments", type=int, default=10_000)
    many, started = asked.parse_args().experiments, time.process_time()
    lowest = lowest_coverage(many)
    error = np.sqrt(0.09 / many)
    print(f"lowest {lowest:.3f}, each with an error of {error:.3f}: {'good' if lowest >= LEAST else 'NOT MET'}")
    print(f"{time.process_time() - started:.0f} CPU-seconds")
    return 0 if lowest >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
