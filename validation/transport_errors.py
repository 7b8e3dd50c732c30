"""Errors of A, the gradient of delta, that samples allow: pseudo-experiments at every A of the family, norm free.

    NUANALYSIS_DATA=... python validation/transport_errors.py cascades-2023 [arca230-tracks,years=10 ...] [--trials 300]

Samples that are named together are fitted together, with one flux.  Behind the name of a sample stand its settings.
The norm of the experiments is what each member fits to the samples as they are.  The error is the median half-length of
the 68 % intervals by Feldman and Cousins, beside it the rms of the fits.  Synthetic samples: a projection, no result.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from nuanalysis.answers._transport_family import column, experiments, family, reading
from nuanalysis.answers.transport import SLOPES, expected
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.executors import Serial
from nuanalysis.face import sample
from nuanalysis.library.samples import Samples, joined
from nuanalysis.sky.galaxy import GAS


def opened(text: str) -> Samples:
    """The sample that NAME,key=value,... stands for."""
    name, *pairs = text.split(",")
    words = dict(pair.split("=", 1) for pair in pairs)
    return sample(name, **{key: word if key in ("signal", "statistic") else float(word) for key, word in words.items()})


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("samples", nargs="+", help="NAME or NAME,key=value,...")
    asked.add_argument("--gas", nargs="+", default=list(GAS), choices=list(GAS))
    asked.add_argument("--slopes", nargs="+", type=float, default=list(SLOPES))
    asked.add_argument("--trials", type=int, default=300)
    given = asked.parse_args()
    samples = tuple(opened(text) for text in given.samples)
    whole = joined(samples) if len(samples) > 1 else samples[0]
    print(f"{whole.name}: {whole.n_events:,} {whole.origin} events, seed {whole.seed}, {given.trials} experiments each")
    for gas in given.gas:
        started = time.process_time()
        one, every = family(gas, tuple(given.slopes), whole), range(len(given.slopes))
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(Path(folder), Serial())
            drawn = tuple(experiments(one, k, given.trials, bench, held=False) for k in every)
        read = reading(one.slopes, one.ts, tuple(column(found, "ts", len(every)) for found in drawn))
        print(f"{gas} ({time.process_time() - started:.0f} CPU s): true A, events, median, rms, error, share above 0")
        for k in every:
            said = expected(one, read, k)
            print(
                f"  {said.slope:5.3f} {said.n_injected:6.0f} {said.median:7.4f} {said.rms:7.4f}  {said.error.cell()}  "
                f"{said.above_zero.cell()}",
                flush=True,
            )


if __name__ == "__main__":
    main()
