"""Compile every kernel once, on a small problem of each kind, so that the first question is answered at once."""

import time
from collections.abc import Callable

import numpy as np

from nuanalysis import trials
from nuanalysis.library import samples
from nuanalysis.library.samples import SampleSpec
from nuanalysis.likelihood import Places, yardstick
from nuanalysis.model import Hypothesis, Sample, prepare
from nuanalysis.sky.records import Catalogue, PointSource, PowerLaw
from nuanalysis.sky.templates import BUILT_IN, parse_recipe

_EVENTS = 400


def compile_kernels(progress: Callable[[str], None]) -> float:
    """Run two plain, two tilted and one injection trial of each kind; returns the seconds it took.

    Numba keeps the machine code beside the sources, or in the user's cache folder where that cannot be written.
    """
    started = time.monotonic()
    [sample] = samples.load(SampleSpec(name="cascades-2023", signal="none"), 1).seasons
    few = sample.events.isel(event=slice(0, _EVENTS))
    sources = tuple(PointSource(str(k), 1.0 + k, -0.8 + 0.5 * k) for k in range(3))
    targets = (
        Hypothesis("template:warm", parse_recipe("pi0-like?nside=16", BUILT_IN).make(), 2.7, False),
        Hypothesis("stack:warm", Catalogue("warm", "warm", sources, (1.0,) * 3, "none"), 2.7, True),
        Hypothesis("point:warm", Catalogue("warm", "warm", sources[:1], (1.0,), "none"), 2.7, True),
    )
    for nside in (16, 64):  # a stack is summed exactly on the coarse grid, to maps on the fine one
        small = Sample("warm", "warm", few, sample.response, sample.binning, nside, sample.statistic)
        for hypothesis in targets:
            progress(f"compiling: {hypothesis.name.partition(':')[0]}, nside {nside}")
            prepared = prepare(hypothesis, (small,))
            tilts = trials.pilot_tilts((prepared,), np.array([4.0]))
            trials.scramble_trials(prepared, 0, 0, 2)
            trials.scramble_trials(prepared, 0, 0, 2 * len(tilts), tilts)
            trials.injection_trials(prepared, 0, 0, 1, (5.0,))
    progress("compiling: time windows")
    where = Places(np.zeros(1), np.zeros(1), np.zeros(1))
    fixed = Hypothesis("point:warm", targets[2].target, 2.5, False)
    about = yardstick(fixed, small), np.ones(_EVENTS, dtype=bool), 5.0, where
    window = trials.window_problem(*about, spectrum=PowerLaw(2.5), source=np.ones(1))
    trials.window_trials(window, 0, 0, 1)
    trials.burst_trials(window, 0, 0, 1)
    return time.monotonic() - started
