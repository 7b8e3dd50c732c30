"""A diffuse plane without sources: what stacks find of it in cascades, in ARCA, and in both fitted together.

    NUANALYSIS_DATA=... python validation/leak_in_detectors.py [--years 3] [--skies 300] [--catalogues snr pwn unid]

All SYNTHETIC, a projection.  The published pi0 map at its published best fit, 2.18e-11, is injected into scrambled
events, and nothing else.  Fitted alone, a stack of sources in the plane takes it for sources.  Fitted together with the
map, its p-values should be those of no source: with the index held half a chi-square
(0.5 at zero, 0.025 above 3.84), with it free uniform among skies (Kolmogorov-Smirnov p of two halves).  ARCA's tracks
are to tell the two apart where the cascades cannot: the correlation of both norms is printed too.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from nuanalysis.answers._experiments import Experiments
from nuanalysis.answers._outlook_trials import projected_samples
from nuanalysis.answers._question import prepared_on
from nuanalysis.answers.leak import hypotheses, leak
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.executors import Threads
from nuanalysis.interpret import fluxes
from nuanalysis.interpret.published import PUBLISHED
from nuanalysis.response import cascades_2023
from nuanalysis.simulate import YEAR

PI0 = "template:pi0"
SEED = 61


def _said(p: object) -> str:
    return f"{p:.2g}" if isinstance(p, float) else str(p)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--years", type=float, default=3.0, help="live years of ARCA")
    asked.add_argument("--skies", type=int, default=300)
    asked.add_argument("--catalogues", nargs="+", default=["snr", "pwn", "unid"])
    asked.add_argument("--threads", type=int, default=2)
    given = asked.parse_args()
    cascades, arca = ("cascades-2023",), ("arca230-tracks", "arca230-showers")
    own = (cascades_2023.LIVETIME_S / YEAR,)
    for names, years in ((cascades, own), (arca, (given.years,) * 2), (cascades + arca, (*own, *(given.years,) * 2))):
        started = time.process_time()
        samples = projected_samples(names, years, SEED)
        problems = tuple(prepared_on(one, samples) for one in hypotheses(PI0, tuple(given.catalogues)))
        mean = fluxes.prepared_events_per_flux(problems[0].prepared) * PUBLISHED[PI0].flux
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(Path(folder), Threads(given.threads))
            with bench.executor:
                found = leak(Experiments(problems, given.skies, bench), samples, mean)
        laws = {(law.stack, law.of): law for law in found.laws}
        print(f"{samples.name}: {mean:.0f} events of {PI0}, {found.n_trials} skies, "
              f"{time.process_time() - started:.0f} CPU s")  # fmt: skip
        for row, pair in zip(found.stacks, found.pairs, strict=True):
            name = row.tested.hypothesis
            both, held = laws[name, "with the diffuse"], laws[name, "with it, index held"]
            print(
                f"  {name}: alone n_s {row.n_signal.words('.1f')}, p {row.p.words('.2g')}, p < 0.05 in "
                f"{row.below.p:.3f}; together n_s {pair.n_signal.words('.1f')}, correlation {pair.correlation:.2f}; "
                f"index held: at zero {held.at_zero.p:.3f}, above 3.84 {held.above.p:.3f}, halves "
                f"{_said(held.halves)}; free: above 3.84 {both.above.p:.3f}, halves {_said(both.halves)}, "
                f"one law with no signal {both.without_signal:.2g}",
                flush=True,
            )


if __name__ == "__main__":
    main()
