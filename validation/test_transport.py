"""How often the 68 % intervals of A, the gradient of delta, hold a truth: on the full synthetic twin (59,592 events).

Experiments with a seed of their own, at members of the family and between them, where TS and critical values are
interpolated.  The norm is free: each experiment is read, as an answer is, with the critical values of experiments that
hold the signal it fits itself; these are drawn at two norms (0.7 and 1.4 of what the twin fits) and interpolated.
Tolerance: 4 %, what is asked for, and three binomial errors of the experiments and of those behind critical values.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from nuanalysis import trials
from nuanalysis.answers._question import pose
from nuanalysis.answers._transport_family import LEVEL, Family, column, experiments, family, reading
from nuanalysis.answers.transport import SLOPES
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import FamilyExperiments, run
from nuanalysis.engine.executors import Serial
from nuanalysis.engine.progress import Silent
from nuanalysis.interpret.transport import template_name
from nuanalysis.library import samples

GAS = "bronfman-ferriere"
SCALES = (0.7, 1.4)
N_CRITICAL, N_TESTED = 200, 300
OTHER_SEED = 77


@lru_cache
def known(folder: str) -> tuple[samples.Samples, Family, tuple[trials.Critical, ...]]:
    """The twin, its family, and critical values at each scale."""
    twin = samples.load(samples.sample_spec(name="cascades-2023"), 1)
    one, bench, found = family(GAS, SLOPES, twin), Bench(folder, Serial(), Silent()), []
    every = range(len(SLOPES))
    for scale in SCALES:
        scaled = replace(one, n_signal=scale * one.n_signal)
        drawn = tuple(column(experiments(scaled, k, N_CRITICAL, bench, held=False), "ts", len(SLOPES)) for k in every)
        found.append(reading(one.slopes, one.ts, drawn).critical)
    return twin, one, tuple(found)


@pytest.mark.parametrize("slope", [0.0, 0.0275, 0.035, 0.005])
def test_intervals_hold_the_truth_as_often_as_they_say(slope, tmp_path_factory, capsys):
    folder = str(tmp_path_factory.getbasetemp() / "transport")
    twin, one, critical = known(folder)
    truth = pose(f"template:{template_name(GAS, slope)}", twin)
    problems, n = (*one.problems, truth), len(SLOPES)
    injected = float(np.interp(slope, one.slopes, one.n_signal / one.bias))
    plan = FamilyExperiments(OTHER_SEED, N_TESTED, n, injected, (*one.held, 0.0))
    found = run(problems, plan, Bench(folder, Serial(), Silent()))
    ts, fits = column(found, "ts", n), column(found, "n_signal", n)
    mine = np.clip(fits / one.n_signal, SCALES[0], SCALES[-1])
    at_scale, width = np.array([each.tau for each in critical]), float(np.mean([each.width for each in critical]))
    inside, ends = [], []
    for row, scale in zip(ts, mine, strict=True):
        own = np.array([np.interp(scale[k], SCALES, at_scale[:, k]) for k in range(n)])
        low, high = trials.family_ends(
            trials.along(one.slopes, row[None]), trials.Critical(one.slopes, own, np.zeros(n), LEVEL, width)
        )
        ends.append((low[0], high[0]))
        inside.append(low[0] - 1e-9 <= slope <= high[0] + 1e-9)
    covered = float(np.mean(inside))
    error = float(np.hypot(np.sqrt(LEVEL * (1 - LEVEL) / N_TESTED), np.sqrt(LEVEL * (1 - LEVEL) / N_CRITICAL)))
    # The spline through the members, at the truth, beside a fit of the truth itself.
    curve = trials.along(one.slopes, ts)
    off = curve.ts[:, int(np.abs(curve.at - slope).argmin())] - found[f"ts_{n}"].values
    half = 0.5 * np.diff(np.array(ends), axis=1)
    with capsys.disabled():
        print(
            f"\nA = {slope:g}, {injected:.0f} events: covered {covered:.3f} +- {error:.3f}; median half-length "
            f"{np.median(half):.4f}; TS of the spline off by {np.median(np.abs(off)):.3f} (median), "
            f"{np.quantile(np.abs(off), 0.95):.3f} (95 %)"
        )
    assert covered == pytest.approx(LEVEL, abs=3 * error)
