"""Median opening angles of the hybrid reconstruction and of its oracle, with coverage, on simulated cascades.

    python validation/hybrid_medians.py run light-table.npz results.npz --events 60 [--first 0] [--light table network]
    python validation/hybrid_medians.py show results.npz [more.npz ...]

Electron neutrinos, charged current, vertices evenly in the hull of the strings, all directions, energies E^-1 within
each half-decade of neutrino energy from 1 TeV to 1 PeV.  Events need the trigger, 12 modules after cleaning and 20
photoelectrons in them.  No start is given: each
search begins at the centre of charge.  ``show`` calibrates contours on the even events and tests them on the odd ones.
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nuanalysis import learn, reconstruct
from nuanalysis.detector import (
    Detector,
    Kind,
    LightTable,
    Mix,
    Particles,
    Pulses,
    cleaned,
    generate,
    hull,
    inside,
    only,
    simulate_events,
    summarise,
)
from nuanalysis.library.detectors import detector
from nuanalysis.store import read_object

Floats = NDArray[np.float64]

EDGES = np.arange(3.0, 6.01, 0.5)  # log10 of the neutrino's energy in GeV
TARGETS = (22.0, 11.8, 10.0, 7.6, np.nan, np.nan)  # deg: for the first four
LATER = 0x5EED  # seed of these events; no network is trained on it
MODULES, CHARGE = 12, 20.0
WEIGHTS = Path(learn.__file__).parent / "weights" / "light-cascade.npz"
COLUMNS = (
    "log10_energy", "angle", "away", "log10_ratio", "deficit", "worse", "sigma", "seconds", "converged", "modules",
    "fitted",
)  # fmt: skip


def events_of(array: Detector, place: int, first: int, last: int) -> Particles:
    """Events of one half-decade."""
    low, high = 10.0 ** EDGES[place], 10.0 ** EDGES[place + 1]
    mix = Mix(hull(array), total=10**6, shares=only(Kind.ELECTRON_CHARGED), low=low, high=high, index=1.0)
    return generate(mix, seed=LATER + place, first=first, last=last)


def wanted(array: Detector, made: Particles, pulses: Pulses) -> NDArray[np.bool_]:
    """Events that are contained and pass, (event,)."""
    hits = cleaned(array, summarise(pulses))
    charge = np.add.reduceat(np.append(hits.values[:, 0], 0.0), hits.start[:-1]) * (np.diff(hits.start) > 0)
    enough = (np.diff(hits.start) >= MODULES) & (charge > CHARGE) & pulses.triggered
    return np.asarray(enough & inside(hull(array), made.truth.vertex))


def measured(array: Detector, light: learn.LightModel, made: Particles, seen: learn.EventPulses, i: int) -> Floats:
    """One row of ``COLUMNS`` for an event."""
    begin = time.process_time()
    fit = learn.reconstruct(array, seen, light)
    spent = time.process_time() - begin
    truth = made.truth
    start = learn.cascade(truth.maximum[i], truth.time[i], truth.deposited[i], truth.direction[i])
    problem = learn.Problem(learn.observe(array, seen, fit.maximum), light, learn.profile(fit.energy))
    own, other = learn.maximise(problem, fit.top), learn.maximise(problem, start)
    angle = np.degrees(np.arccos(np.clip(fit.direction @ truth.direction[i], -1.0, 1.0)))
    sigma = np.degrees(np.hypot(*fit.errors[5:]) / np.sqrt(2.0))
    return np.array([
        np.log10(truth.energy[i]), angle, np.linalg.norm(fit.maximum - truth.maximum[i]),
        np.log10(fit.energy / truth.deposited[i]), learn.deficit_at(problem, own.at, truth.direction[i]),
        other.log_likelihood - own.log_likelihood, sigma, spent, fit.converged, len(np.unique(seen.module)),
        np.log10(fit.energy),
    ])  # fmt: skip


def run(table: Path, target: Path, names: list[str], first: int, number: int) -> None:
    """Fit ``number`` contained events of each half-decade with each light model; write a row for each."""
    array, found = detector(), read_object(table)
    assert isinstance(found, LightTable)
    lights: dict[str, learn.LightModel] = {"table": learn.table_light(found, array.ice)}
    if "network" in names:
        lights["network"] = learn.network_light(read_object(WEIGHTS), array.ice)
    rows: dict[str, list[Floats]] = {name: [] for name in names}
    for place in range(len(EDGES) - 1):
        # Nearly half of the vertices lie within the hull; the rest is the volume about it.
        made = events_of(array, place, first, first + 4 * number)
        pulses = simulate_events(array, found, made, LATER)
        for i in np.flatnonzero(wanted(array, made, pulses))[:number]:
            seen = learn.event_pulses(pulses, int(i))
            for name in names:
                rows[name].append(measured(array, lights[name], made, seen, int(i)))
        np.savez(target, **{one: np.array(rows[one]) for one in names})
        print(f"{10 ** EDGES[place]:8.0f} GeV:", *(f"{n} {len(r)}" for n, r in rows.items()), flush=True)


def median(values: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """A median and its bootstrap error."""
    again = np.median(rng.choice(values, (500, len(values))), axis=1)
    return float(np.median(values)), float(again.std())


def show(sources: list[Path]) -> None:
    """Tables of all that was measured."""
    rng = np.random.default_rng(1)
    files = [np.load(source) for source in sources]
    for name in files[0].files:
        rows = np.concatenate([one[name] for one in files])
        of = dict(zip(COLUMNS, rows.T, strict=True))
        print(
            f"\n{name}: {len(rows)} events, {of['converged'].mean():.3f} converged, {of['seconds'].mean():.2f} s a fit"
        )
        print("log10 E    events  median deg     target  Fisher  away m  rms lnE  Wilks 50  90      worse  s")
        for low, high, target in zip(EDGES[:-1], EDGES[1:], TARGETS, strict=True):
            part = {key: value[(of["log10_energy"] >= low) & (of["log10_energy"] < high)] for key, value in of.items()}
            if len(part["angle"]):
                print(line(part, low, high, target, rng))
        calibrated(of)


def line(of: dict[str, Floats], low: float, high: float, target: float, rng: np.random.Generator) -> str:
    """One half-decade."""
    value, error = median(of["angle"], rng)
    half, ninety = (
        reconstruct.coverage(of["deficit"], c).share for c in (reconstruct.WILKS.half, reconstruct.WILKS.ninety)
    )
    ratio = np.log(10.0) * (np.quantile(of["log10_ratio"], 0.84) - np.quantile(of["log10_ratio"], 0.16)) / 2.0
    return (
        f"{low:.1f}-{high:.1f}  {len(of['angle']):6d}  {value:6.2f} +- {error:.2f}  {target:5.1f}  "
        f"{1.177 * np.median(of['sigma']):6.2f}  {np.median(of['away']):5.2f}  {ratio:6.3f}   {half:.3f}     "
        f"{ninety:.3f}   {(of['worse'] > 1.0).mean():.3f}  {of['seconds'].mean():.2f}"
    )


def calibrated(of: dict[str, Floats]) -> None:
    """Critical values from even events, coverage of the odd ones, by decade."""
    edges, inside = np.arange(3.0, 6.1, 1.0), np.ones(len(of["angle"]), bool)
    even = np.arange(len(inside)) % 2 == 0
    critical = learn.calibrate(of["deficit"][even], inside[even], of["fitted"][even], edges)
    values = learn.critical_values(critical, inside, of["fitted"])
    for low, high in [*pairwise(edges), (edges[0], edges[-1])]:
        chosen = ~even & (of["log10_energy"] >= low) & (of["log10_energy"] < high)
        if chosen.any():
            found = [reconstruct.coverage(of["deficit"][chosen], values[chosen, k]) for k in (0, 1)]
            print(
                f"calibrated, unseen, 10^{low:.0f}-10^{high:.0f} GeV:",
                *(f"{one.share:.3f} +- {one.error:.3f}" for one in found), f"({found[0].events} events)",
            )  # fmt: skip
    print("critical values, contained, by decade:", np.round(critical.value[1], 2).tolist())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("run")
    one.add_argument("table", type=Path)
    one.add_argument("target", type=Path)
    one.add_argument("--events", type=int, default=60)
    one.add_argument("--first", type=int, default=0)
    one.add_argument("--light", nargs="+", default=["table", "network"])
    verbs.add_parser("show").add_argument("sources", type=Path, nargs="+")
    given = parser.parse_args()
    if given.verb == "run":
        run(given.table, given.target, given.light, given.first, given.events)
    else:
        show(given.sources)


if __name__ == "__main__":
    main()
