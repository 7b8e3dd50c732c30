"""CPU time of one right-ascension scramble and its fit, 59,592 synthetic events, beside a plain numpy twin.

The twin does the same work as one would write it down: random right ascension, healpy look-up, scipy minimiser.
Printed: milliseconds of CPU on one core, best of five, and the ratio of the two measured in this run.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"

import healpy as hp
import numpy as np
from scipy.optimize import minimize_scalar

from nuanalysis import trials
from nuanalysis.model import Prepared, prepare
from nuanalysis.workflow import samples
from nuanalysis.workflow.hypotheses import read_hypothesis
from nuanalysis.workflow.spec import SampleSpec


def best_ms(work: Callable[[int], object], calls: int) -> float:
    """CPU milliseconds of one call, best of five rounds."""
    work(0)
    rounds = []
    for _ in range(5):
        start = time.process_time()
        for i in range(calls):
            work(i)
        rounds.append((time.process_time() - start) / calls * 1e3)
    return min(rounds)


def numpy_twin(prepared: Prepared) -> Callable[[int], float]:
    """One template trial in plain numpy, healpy and scipy."""
    part = prepared.parts[0]
    space, sample = part.space, part.sample
    dec = sample.array("declination")[part.active]
    klass = space._class_of(sample.array("angular_error")[part.active])
    weight, n = part.energy.at(0), prepared.n_events

    def trial(i: int) -> float:
        ra = np.random.default_rng(i).uniform(0, 2 * np.pi, len(dec))
        value = space.maps[0, klass, hp.ang2pix(sample.nside, np.pi / 2 - dec, ra)]
        x = weight * (value - part.lookup.mean[0])
        top = 0.99 * n / max(-float(x.min()), 1e-9)
        fit = minimize_scalar(lambda k: -np.log1p(k / n * x).sum(), bounds=(0, min(top, 5000)), method="bounded")
        return max(-2.0 * float(fit.fun), 0.0)

    return trial


def main() -> None:
    ready = samples.load(SampleSpec(name="cascades-2023", signal="none"), seed=1)
    print(f"python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}, {os.cpu_count()} cores")
    template = prepare(read_hypothesis("template:pi0-like"), ready)
    stack = prepare(read_hypothesis("stack:snr"), ready)
    tilts = trials.choose_tilts(template, 27.0)
    plain = best_ms(lambda i: trials.scramble_trials(template, 1, i, i + 1), 50)
    twin = best_ms(numpy_twin(template), 5)
    rows = [
        ("template, plain scramble", plain),
        (
            "template, tilted mixture to 5 sigma",
            best_ms(lambda i: trials.scramble_trials(template, 1, i, i + 1, tilts), 50),
        ),
        ("template, numpy + healpy + scipy twin", twin),
        ("stack of 12, free index, plain scramble", best_ms(lambda i: trials.scramble_trials(stack, 1, i, i + 1), 10)),
    ]
    for name, ms in rows:
        print(f"{name:<42} {ms:8.2f} ms   {ms / plain:6.1f} x the plain template scramble")


if __name__ == "__main__":
    main()
