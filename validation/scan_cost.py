"""Pixels and processor time of whole sky scans of simulated cascades, with the default plan.

    python validation/scan_cost.py [--events 4] [--first 0] [--folder runs/open-detector]

Electron neutrinos, charged current, contained, E^-1 within half a decade about 10, 100 and 1000 TeV; one thread.
"""

from __future__ import annotations

import argparse
import time
from itertools import islice
from pathlib import Path

import numpy as np

from nuanalysis import reconstruct as r
from nuanalysis.chain._cascade_likelihood import CascadeLikelihood, fitted, light_of, sky_of
from nuanalysis.chain._light import Medium, light
from nuanalysis.chain._simulated_cascades import cascades
from nuanalysis.chain.scanned_events import cascade_plan
from nuanalysis.engine.bench import Bench
from nuanalysis.trials.streams import Purpose, seed_for

ENERGIES, WIDTH, MJD, SEED = (10.0, 100.0, 1000.0), 10.0**0.5, 60310.0, 9500


def main() -> None:
    """One line for each event, then the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=4)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("runs/open-detector"))
    given = parser.parse_args()
    medium, rows = Medium(), []
    table = light(Bench(given.folder))
    sources = [
        cascades(medium, table, seed=seed_for(SEED + k, Purpose.TESTING), energy_tev=energy, width=WIDTH)
        for k, energy in enumerate(ENERGIES)
    ]
    for events in islice(zip(*sources, strict=True), given.first, given.first + given.events):
        for energy, event in zip(ENERGIES, events, strict=True):
            began = time.process_time()
            found = fitted(event.seen, medium, MJD)
            after_fit = time.process_time()
            likelihood = CascadeLikelihood(found, light_of(medium))
            state = r.begin(likelihood, cascade_plan(found.sigma, r.WILKS))
            while len(wanted := r.next_pixels(state)):
                state = r.with_values(state, likelihood.profile(*wanted.pixels.directions, wanted.starts))
            spent = time.process_time() - after_fit
            leaves = r.leaves_of(state)
            region = r.contour(leaves, r.WILKS.ninety, 0.9)
            where = sky_of(event.truth.direction, MJD)
            area = np.degrees(np.degrees(region.area))
            better = 2.0 * (found.minus_log_likelihood - leaves.best.minus_log_likelihood)
            print(
                f"{energy:6.0f} TeV: fit {after_fit - began:.2f} s, scan {spent:.1f} s, {state.fitted} pixels, order "
                f"{state.plan.last}, {state.ended}, 90 % by Wilks {area:.1f} deg2, failed {leaves.failed}, "
                f"a pixel is better than the free fit by {better:.2f} in TS, TS at the truth "
                f"{likelihood.ts_at(float(where[0][0]), float(where[1][0])):.2f}",
                flush=True,
            )
            rows.append((energy, spent, state.fitted))
    for energy in (*ENERGIES, 0.0):
        part = np.array([row[1:] for row in rows if energy in (row[0], 0.0)])
        cpu, pixels = np.median(part, axis=0)
        print(f"{f'{energy:g} TeV' if energy else 'all'}: median {cpu:.1f} s, {pixels:.0f} pixels, {len(part)} events")


if __name__ == "__main__":
    main()
