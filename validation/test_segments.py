"""Flux and index of segments of the plane on the full synthetic twin (59,592 events): bias and coverage.

What is compared: numbers that ``segments`` states with what was injected.  Rungs of experiments (five strengths of all
segments at known indices) are drawn once around the injected signal, and other experiments, whose strength lies half a
standard deviation above the middle rung and so on none, are read with them.  Not tested: that the rungs of an answer
stand at the fitted strengths and indices of its neighbours, not at their true ones.

Injected: what IceCube printed for the inner and outer segment (21.4 and 4.3 e-11 TeV cm^-2 s^-1 sr^-1 at 5 TeV), the
best fit of pi0 elsewhere; indices are those of the nearest spectral nodes, 2.8 and 3.0.  Asked for: a bias of at most
0.2 standard deviations and 68 +- 3 % coverage.  Tolerances: that, and three statistical errors of the experiments and
of the quantiles of the rungs.
"""

from functools import lru_cache

import numpy as np
import pytest

from nuanalysis.answers._experiments import Experiments, as_it_is
from nuanalysis.answers._question import pose
from nuanalysis.answers.segments import LOG10_ENERGIES, Ladder, flux_at, flux_estimate, index_estimate, ladder
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.executors import Serial
from nuanalysis.engine.progress import Silent
from nuanalysis.interpret.regions import of_segment
from nuanalysis.library import samples
from nuanalysis.library.samples import sample_spec
from nuanalysis.sky.templates import SEGMENT_SETS
from nuanalysis.trials import at_index
from nuanalysis.trials.streams import JOINT_FIT

N_RUNG, N_TESTED = 200, 300
# E^2 dN/dE at 5 TeV, TeV cm^-2 s^-1 sr^-1, and index.
INJECTED = {
    "segment-inner": (21.4e-11, 2.8),
    "segment-middle": (8.68e-11, 2.8),
    "segment-outer": (4.3e-11, 3.0),
    "lhaaso-inner": (9.27e-11, 2.8),
    "lhaaso-outer": (3.90e-11, 2.8),
}
PARTS = [(cut, j) for cut, each in SEGMENT_SETS.items() for j in range(len(each.segments))]


@lru_cache
def experiments(cut: str, folder: str) -> tuple[Experiments, Ladder, Ladder]:
    """Problems, rungs, and the tested experiments as a ladder of one rung."""
    ready = samples.load(sample_spec(name="cascades-2023", signal="none"), 1)
    each = SEGMENT_SETS[cut].segments
    problems = tuple(pose(f"template:{one.name}", ready, index_free=True) for one in each)
    wanted = np.array([INJECTED[one.name] for one in each])
    index = np.array([at_index(p.prepared, g).hypothesis.index for p, g in zip(problems, wanted[:, 1], strict=True)])
    per_event = [
        flux_at(p, np.ones(1), np.array([g]), LOG10_ENERGIES[0])[0] for p, g in zip(problems, index, strict=True)
    ]
    n_signal = wanted[:, 0] * [of_segment(one).solid_angle for one in each] / per_event
    bench = Bench(folder, Serial(), Silent())
    rungs = ladder(Experiments(problems, N_RUNG, bench), as_it_is(n_signal, index))
    spread = rungs.n_signal[3] - n_signal  # the rung one standard deviation above
    beside = as_it_is(n_signal + 0.5 * spread, index)
    held = Experiments(problems, N_TESTED, bench)
    tested = held.draw(beside, (held.everyone,), JOINT_FIT.rounds[0])
    return held, rungs, Ladder(beside.n_signal[None], index, (tested,))


@pytest.mark.parametrize(("cut", "j"), PARTS)
def test_bias_and_coverage(cut, j, tmp_path_factory, capsys):
    held, rungs, tested = experiments(cut, str(tmp_path_factory.getbasetemp() / cut))
    problem, truth = held.problems[j], tested.index[j]
    fits = np.column_stack([tested.column("n_signal", j)[0], tested.column("index", j)[0]])
    injected = np.array([tested.n_signal[0, j]])
    read = {}
    for at in LOG10_ENERGIES:
        found = [flux_estimate(problem, tuple(fit), rungs, j, at) for fit in fits]
        read[f"flux at {10 ** (at - 3):g} TeV"] = found, float(flux_at(problem, injected, np.array([truth]), at)[0])
    read["index"] = [index_estimate(tuple(fit), rungs, j) for fit in fits if fit[0] > 0.0], truth
    for name, (found, true) in read.items():
        best = np.array([one.best for one in found])
        covered = np.array([one.low <= true <= one.high for one in found])
        off, share = (np.median(best) - true) / best.std(), covered.mean()
        # Of the median, of the share, and of the quantiles of the rungs that it is read with.
        error_off = 1.2533 * np.hypot(1 / np.sqrt(len(best)), 1 / np.sqrt(N_RUNG))
        error = np.hypot(np.sqrt(0.68 * 0.32 / len(best)), np.sqrt(2 * 0.16 * 0.84 / N_RUNG))
        with capsys.disabled():
            print(
                f"\n{problem.hypothesis.name}, {injected[0]:.0f} events, {name}: injected {true:.3g}, median "
                f"{np.median(best):.3g} and mean {best.mean():.3g} of {len(best)}, bias {off:+.2f} +- {error_off:.2f} "
                f"sigma (mean {(best.mean() - true) / best.std():+.2f}), covered {share:.3f} +- {error:.3f}",
                end="",
            )
        assert abs(off) <= 0.2 + 3 * error_off
        assert share == pytest.approx(0.68, abs=0.03 + 3 * error)
