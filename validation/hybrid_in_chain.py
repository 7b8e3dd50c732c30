"""Network and hybrid directions side by side, and coverage of calibrated contours, as the chain makes them.

    python validation/hybrid_in_chain.py run FOLDER results.npz --events 600
    python validation/hybrid_in_chain.py show results.npz

Electron neutrinos, charged current, energies E^-1 within each half-decade of neutrino energy from 1 TeV to 1 PeV, all
directions, vertex in the hull of the strings, modules at the efficiency of the chain.  Events need the trigger, 12
modules after cleaning and 20 photoelectrons in them.  Fits start from the network that comes with the package; contours
and errors are calibrated with the laws that come with it, which have seen none of these events.  A run that is killed
goes on where it was; all half-decades grow in turns, and what is finished is in the results.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import fields
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nuanalysis.chain import _hybrid as hybrid
from nuanalysis.chain._events import Recipe, Seen, array, joined, opened, simulated, taken
from nuanalysis.chain._judge import Judgement, judge, judges
from nuanalysis.chain._light import Medium
from nuanalysis.detector import MEDIAN_PULL, Kind, hull, inside, only
from nuanalysis.engine.bench import Bench
from nuanalysis.learn import WILKS_50, WILKS_90, angle, coverage, median
from nuanalysis.trials.streams import Purpose, seed_for

Floats = NDArray[np.float64]
EDGES = np.arange(3.0, 6.01, 0.5)  # log10 of the neutrino's energy in GeV
TURN = 50  # events of each half-decade before the next one has its turn
PER_EVENT = 3.2  # events made for one that is contained and passes


@cache
def judged_events(folder: Path, place: int, number: int) -> tuple[Recipe, Seen, Judgement]:
    """Events of one half-decade, enough for ``number`` that are contained, and what the networks say of them."""
    recipe = Recipe(
        seed_for(1 + place, Purpose.TESTING), int(PER_EVENT * number), Medium(), only(Kind.ELECTRON_CHARGED),
        float(10.0 ** EDGES[place]), float(10.0 ** EDGES[place + 1]), 1.0,
    )  # fmt: skip
    seen = joined([opened(path) for path in simulated(recipe, Bench(folder), f"measured-{place}")])
    return recipe, seen, judge(seen, judges(Path("of the package")), Medium())


def measured(folder: Path, place: int, number: int, turn: int) -> dict[str, Floats]:
    """Columns (event,) of one half-decade: of its first ``number`` contained usable events, those of a turn."""
    recipe, seen, judged = judged_events(folder, place, number)
    chosen = np.flatnonzero(inside(hull(array(Medium())), seen.truth.vertex[judged.events]))[:number]
    chosen = chosen[turn * TURN : (turn + 1) * TURN]
    began = time.process_time()
    fits = hybrid.fitted(recipe, Bench(folder), f"measured-{place}-{turn}", hybrid.starts_of(seen, judged, chosen))
    spent = time.process_time() - began
    events = judged.events[chosen]
    truth = taken(seen.truth, events)
    found = {f"fit_{one.name}": np.asarray(getattr(fits, one.name)) for one in fields(fits)}
    return found | {
        "place": np.full(len(chosen), float(place)),
        "log10_true": np.log10(truth.energy),
        "log10_deposited": np.log10(truth.deposited),
        "network": angle(judged.said.direction[chosen], truth.direction),
        "network_sigma": judged.sigma[chosen],
        "network_away": np.linalg.norm(judged.said.vertex[chosen] - truth.vertex, axis=1),
        "apart": angle(judged.said.direction[chosen], fits.direction),
        "hybrid": angle(fits.direction, truth.direction),
        "away": np.linalg.norm(fits.vertex - truth.vertex, axis=1),
        "charge": seen.variables.charge[events],
        "seconds": np.full(len(chosen), spent / len(chosen)),
    }


def run(folder: Path, target: Path, number: int) -> None:
    """Measure all half-decades in turns, and keep what is finished after each."""
    rows: list[dict[str, Floats]] = []
    for turn in range(-(-number // TURN)):
        for place in range(len(EDGES) - 1):
            rows.append(measured(folder, place, number, turn))
            np.savez(target, **{name: np.concatenate([one[name] for one in rows]) for name in rows[0]})
        print(f"{(turn + 1) * TURN} events of each half-decade", flush=True)


def show(source: Path) -> None:
    """Tables of what was measured."""
    rng, medium = np.random.default_rng(1), Medium()
    rows, laws = dict(np.load(source)), hybrid.hybrid_errors(Path("of the package"))
    fits = hybrid.Fits(*(rows[f"fit_{one.name}"] for one in fields(hybrid.Fits)))
    pull = rows["hybrid"] / (MEDIAN_PULL * hybrid.calibrated(fits, rows["charge"], laws))
    critical = hybrid.critical_of(fits, medium, laws)
    print(f"{len(pull)} events, {fits.converged.mean():.4f} converged; laws: {laws.data}")
    print("log10 E  events  network deg     hybrid deg      away m  rms lnE  pull         Wilks 50/90   "
          "calibrated 50/90            s")  # fmt: skip
    groups = [(k, k + 1) for k in range(len(EDGES) - 1)] + [(0, 2), (2, 4), (4, 6), (0, 4), (0, 6)]
    for low, high in groups:
        of = (rows["place"] >= low) & (rows["place"] < high)
        if not of.any():
            continue
        network, own, middle = (median(x[of], rng) for x in (np.degrees(rows["network"]), np.degrees(rows["hybrid"]),
                                                             pull))  # fmt: skip
        ratio = np.log(10.0) * (fits.log10_energy - rows["log10_deposited"])[of]
        spread = 0.5 * float(np.diff(np.quantile(ratio, (0.16, 0.84)))[0])
        wilks = [coverage(fits.deficit[of], value).share for value in (WILKS_50, WILKS_90)]
        held = [coverage(fits.deficit[of], critical[of, k]) for k in (0, 1)]
        print(
            f"{EDGES[low]:.1f}-{EDGES[high]:.1f}  {of.sum():5d}  {network.value:6.2f} +- {network.error:.2f}  "
            f"{own.value:6.2f} +- {own.error:.2f}  {np.median(rows['away'][of]):6.2f}  {spread:6.3f}   "
            f"{middle.value:.3f} +- {middle.error:.3f}  {wilks[0]:.3f} {wilks[1]:.3f}   "
            + "  ".join(f"{one.share:.3f} +- {one.error:.3f}" for one in held)
            + f"   {rows['seconds'][of].mean():.2f}"
        )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("run")
    one.add_argument("folder", type=Path)
    one.add_argument("target", type=Path)
    one.add_argument("--events", type=int, default=600)
    verbs.add_parser("show").add_argument("source", type=Path)
    given = parser.parse_args()
    if given.verb == "run":
        run(given.folder, given.target, given.events)
    else:
        show(given.source)


if __name__ == "__main__":
    main()
