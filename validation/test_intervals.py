"""Bias, intervals, systematics and conditional injection of the pi0 template on the full synthetic twin.

Compared with Table 1 of IceCube, Science 380, 1338 (2023): n_s 748.0 fitted is 671.1 corrected, and the flux is
21.8 +5.3 -4.9; and with the stated probability itself: 68 per cent intervals from independent trials hold the injected
671.1 events in 68 +- 2 per cent of 3,000 experiments (binomial error 0.9 per cent, that of the critical value as
much).  The twin knows the released tables only, so 3 per cent is asked of the correction.  Synthetic events; the
published map is needed.  Trials run in two processes.
"""

import pickle
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pytest

from nuanalysis import simulate, trials
from nuanalysis.engine.executors import open_executor
from nuanalysis.interpret import fluxes
from nuanalysis.library.samples.cascades_2023 import BINNING as CASCADE_BINNING
from nuanalysis.likelihood import maximise, statistics
from nuanalysis.model import Hypothesis, Sample, prepare
from nuanalysis.response import NONE, cascades_2023
from nuanalysis.sky.records import PowerLaw
from nuanalysis.sky.templates import PUBLISHED, pi0_published

pytestmark = pytest.mark.real_data
TRUTH, FITTED = 671.1, 748.0
PER_STRENGTH, N_EXPERIMENTS, N_INTERVALS = 600, 3000, 300


def binomial(p: float, n: int) -> float:
    return float(np.sqrt(p * (1 - p) / n))


@pytest.fixture(scope="module")
def pi0(mirror):
    template = PUBLISHED["pi0"](mirror / "icecube_gp2023_inputs" / pi0_published.UPSTREAM_FILE)
    events = simulate.cascades(2023, None, 0.0, spectrum=PowerLaw(2.7))
    sample = Sample(
        "cascades-2023", "twin", events, cascades_2023.response(), CASCADE_BINNING, 64, statistics.PUBLISHED
    )
    return prepare(Hypothesis("template:pi0", template, 2.7, False), (sample,))


@lru_cache(maxsize=1)
def opened(path):
    return pickle.loads(Path(path).read_bytes())


def batch(path, kind, seed, arguments, span):
    return getattr(trials, kind)(opened(path), seed, *span, *arguments)


@pytest.fixture(scope="module")
def run(pi0, tmp_path_factory):
    """Rows of n trials of a kind: run(kind, seed, n, means, ...)."""
    path = tmp_path_factory.mktemp("problem") / "pi0"
    path.write_bytes(pickle.dumps(pi0))
    with open_executor("processes", workers=2) as pool:

        def trial_rows(kind, seed, n, *arguments):
            spans = [(k, min(k + 300, n)) for k in range(0, n, 300)]
            found = dict(pool.map(partial(batch, str(path), kind, seed, arguments), spans))
            return np.concatenate([found[k] for k in range(len(spans))])

        yield trial_rows


@pytest.fixture(scope="module")
def spread(pi0):
    return float(trials.uncertainty(pi0)[0])


def stretch_of(rows):
    return trials.bias_curve(rows[:, 0], rows[:, 2]).fitted(TRUTH).n_signal / TRUTH


@pytest.fixture(scope="module")
def stretch(run, spread):
    """Fitted over injected n_s from a pilot of its own, as the workflow does."""
    return stretch_of(run("injection_trials", 30, 900, tuple(s * spread for s in (3.0, 4.0, 5.0, 6.0))))


@pytest.fixture(scope="module")
def grid(pi0):
    return trials.injection_grid(pi0, 10.0)


@pytest.fixture(scope="module")
def nominal(run, grid, stretch):
    return run("injection_trials", 31, PER_STRENGTH * len(grid), grid, stretch)


@pytest.fixture(scope="module")
def varied(run, grid, stretch):
    return run("injection_trials", 32, PER_STRENGTH * len(grid), grid, stretch, cascades_2023.SYSTEMATICS)


def curve_of(rows, spread):
    return trials.critical_curve(rows[:, 0], rows[:, 4], 0.68, spread)


def test_the_published_fit_is_corrected_as_published(nominal, capsys):
    curve = trials.bias_curve(nominal[:, 0], nominal[:, 2])
    found, forth = curve.corrected(FITTED), curve.fitted(TRUTH)
    with capsys.disabled():
        print(f"\nn_s {FITTED} -> {found.n_signal:.1f} +- {found.error:.1f}, published {TRUTH}; "
              f"{TRUTH} -> {forth.n_signal:.1f} +- {forth.error:.1f}, published {FITTED}")  # fmt: skip
    assert found.n_signal == pytest.approx(TRUTH, rel=0.03, abs=2 * found.error)


@pytest.mark.parametrize("systematics", [NONE, cascades_2023.SYSTEMATICS], ids=["nominal", "varied"])
def test_bias_corrected_intervals_hold_the_published_signal_in_68_per_cent(
    run, spread, stretch, nominal, varied, systematics, capsys
):
    rows = nominal if systematics == NONE else varied
    critical = float(curve_of(rows, spread).at(np.array([TRUTH]))[0])
    experiments = run("injection_trials", 33, N_EXPERIMENTS, (TRUTH,), stretch, systematics)
    held = float((experiments[:, 4] <= critical).mean())
    wilks = float((experiments[:, 4] <= 0.9889).mean())  # 0.68 quantile of a chi-square
    error = binomial(0.68, N_EXPERIMENTS)
    corrected = trials.bias_curve(rows[:, 0], rows[:, 2]).corrected(float(np.median(experiments[:, 2])))
    with capsys.disabled():
        print(f"\ncoverage at {TRUTH} events: Neyman {held:.4f}, likelihood ratio {wilks:.4f}, +- {error:.4f}; "
              f"median fit corrected {corrected.n_signal:.1f} +- {corrected.error:.1f}")  # fmt: skip
    assert held == pytest.approx(0.68, abs=0.02)
    # The chi-square knows nothing of systematics; without them it holds here as well.
    assert wilks == pytest.approx(0.68, abs=0.02) if systematics == NONE else wilks < held
    median_error = 1.25 * experiments[:, 2].std() / np.sqrt(N_EXPERIMENTS)
    assert corrected.n_signal == pytest.approx(TRUTH, abs=3 * np.hypot(corrected.error, median_error))


def test_systematics_widen_the_interval_of_the_published_result(pi0, spread, stretch, nominal, varied, capsys):
    per_flux, sources = fluxes.prepared_events_per_flux(pi0), trials.emissions(pi0)
    curves = [curve_of(rows, spread) for rows in (nominal, varied)]
    edges, hits = [], []
    for trial in range(N_INTERVALS):
        data = trials.injected(pi0, sources, 34, trial, TRUTH)
        best = maximise(data)
        found = [trials.accepted(data, best.ts, curve, stretch=stretch) for curve in curves]
        found.append(trials.likelihood_interval(data, best, stretch=stretch, level=0.68))
        hits.append([low <= TRUTH <= high for low, high in found])
        if abs(best.n_signal - FITTED) < 60:  # experiments like the published one, moved onto its fit
            edges.append([np.array(pair) - (best.n_signal - FITTED) / stretch for pair in found])
    best_flux = trials.bias_curve(nominal[:, 0], nominal[:, 2]).corrected(FITTED).n_signal / per_flux
    mean = np.mean(edges, axis=0) / per_flux
    half = (mean[:, 1] - mean[:, 0]) / 2
    with capsys.disabled():
        for name, (low, high) in zip(("Neyman", "Neyman with systematics", "likelihood ratio"), mean, strict=True):
            print(f"\n{name}: flux {best_flux * 1e12:.1f} +{(high - best_flux) * 1e12:.1f} "
                  f"-{(best_flux - low) * 1e12:.1f}, published 21.8 +5.3 -4.9", end="")  # fmt: skip
        print(f"\nsystematics widen the interval by {half[1] / half[0] - 1:.1%}; "
              f"held {np.mean(hits, axis=0)} +- {binomial(0.68, N_INTERVALS):.3f}")  # fmt: skip
    assert 1.0 < half[1] / half[0] < 1.2
    assert np.mean(hits, axis=0)[[0, 2]] == pytest.approx([0.68, 0.68], abs=0.02 + 2 * binomial(0.68, N_INTERVALS))
    assert half[1] / 5.1e-12 == pytest.approx(1.0, abs=0.15)


def test_conditional_injection_differs_from_plain_injection_by_the_bias(run, spread, capsys):
    steps = tuple(s * spread for s in (0.3, 0.8, 1.1, 1.3, 1.5, 2.2))
    kinds = {"plain": "injection_trials", "conditional": "conditional_trials"}
    median = trials.threshold(run("scramble_trials", 35, 4000)[:, 0], trials.MEDIAN)
    sensitivity, deep, fits = {}, {}, {}
    for name, kind in kinds.items():
        rows = run(kind, 36, 7200, steps)
        sensitivity[name] = trials.strength_for(rows[:, 0], rows[:, 1], threshold=median, fraction=0.9)
        rows = run(kind, 37, 3000, tuple(s * spread for s in (4.0, 5.0, 6.0, 7.0)))
        deep[name] = trials.strength_for(rows[:, 0], rows[:, 1], threshold=trials.known_threshold(25.0), fraction=0.5)
        fits[name] = trials.bias_curve(rows[:, 0], rows[:, 2]).fitted(TRUTH)
    ratios = []
    for found in (sensitivity, deep, fits):
        a, b = found["conditional"], found["plain"]
        ratio = a.n_signal / b.n_signal
        ratios.append((ratio, ratio * float(np.hypot(a.error / a.n_signal, b.error / b.n_signal))))
    with capsys.disabled():
        for name, (ratio, error) in zip(("sensitivity", "n_s at TS 25", "median fit"), ratios, strict=True):
            print(f"\nconditional over plain, {name}: {ratio:.3f} +- {error:.3f}", end="")
        print(
            f"\nconditional median fit {fits['conditional'].n_signal:.1f} +- {fits['conditional'].error:.1f} of {TRUTH}"
        )
    assert fits["conditional"].n_signal == pytest.approx(TRUTH, abs=3 * fits["conditional"].error)
    # They agree to 10 per cent, not within the errors: plain injection is fitted 8 per cent high.
    assert ratios[0][0] == pytest.approx(1.0, abs=0.10 + 2 * ratios[0][1])
    assert 1.0 < ratios[1][0] < 1.1
    assert ratios[2][0] == pytest.approx(0.92, abs=0.03)
