"""Calibration and coverage of the contours of sky scans, on simulated cascades.

    python validation/scan_coverage.py run events.npz --cpu 900 [--folder runs/open-detector]
    python validation/scan_coverage.py show events.npz
    python validation/scan_coverage.py table events.npz > src/nuanalysis/chain/scan_levels.csv

Electron neutrinos, charged current, vertex inside the hull of the strings, all directions, energies E^-1 within half a
decade about 10, 100 and 1000 TeV; modules at the efficiency of the chain.  TS at the truth is twice the fall of ln L
from the free fit to the fit with the direction held at the truth: no map is needed.  Of five events two calibrate, two
test the calibration, and one is made in other ice: its scattering and absorption lengths are longer or shorter by 10
per cent, all four combinations in turn, which the reconstruction does not know.  ``run`` goes on where it was.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from nuanalysis import reconstruct as r
from nuanalysis.chain._cascade_likelihood import CascadeLikelihood, fitted, light_of, sky_of
from nuanalysis.chain._events import array
from nuanalysis.chain._light import Medium, light
from nuanalysis.chain._simulated_cascades import SimulatedCascade, cascades
from nuanalysis.detector import hull, inside
from nuanalysis.engine.bench import Bench
from nuanalysis.trials.streams import Purpose, seed_for

ENERGIES = (10.0, 100.0, 1000.0)  # TeV
WIDTH = 10.0**0.5
CALIBRATE, TEST, OTHER_ICE = 0, 1, 2
TURN = (CALIBRATE, TEST, CALIBRATE, TEST, OTHER_ICE)
SIGNS = ((1.1, 1.1), (0.9, 0.9), (1.1, 0.9), (0.9, 1.1))
MJD = 60310.0
COLUMNS = ("energy", "purpose", "log10_true", "log10_fit", "ts", "sigma", "angle", "inside", "seconds")


def streams(medium: Medium, table: Path, energy: float) -> dict[int, Iterator[SimulatedCascade]]:
    """Events of each purpose; those in other ice take turns between four kinds of it."""
    own = array(medium).ice
    others = [
        replace(own, scattering=a * own.scattering, absorption=b * own.absorption, label=f"{own.label} x {a}, {b}")
        for a, b in SIGNS
    ]
    place = ENERGIES.index(energy)

    def made(purpose: Purpose, seed: int, ice=None) -> Iterator[SimulatedCascade]:
        return cascades(medium, table, seed=seed_for(seed, purpose), energy_tev=energy, width=WIDTH, ice=ice)

    varied = [made(Purpose.TESTING, 9100 + 10 * place + k, ice) for k, ice in enumerate(others)]
    return {
        CALIBRATE: made(Purpose.CALIBRATION, 9000 + place),
        TEST: made(Purpose.TESTING, 9000 + place),
        OTHER_ICE: (next(varied[k % 4]) for k in range(10**6)),
    }


def measured(event: SimulatedCascade, medium: Medium, energy: float, purpose: int) -> list[float]:
    """One row of ``COLUMNS``."""
    began = time.process_time()
    fit = fitted(event.seen, medium, MJD)
    truth = event.truth
    where = sky_of(truth.direction, MJD)
    ts = CascadeLikelihood(fit, light_of(medium)).ts_at(float(where[0][0]), float(where[1][0]))
    angle = np.degrees(np.arccos(np.clip(fit.top.direction @ truth.direction[0], -1.0, 1.0)))
    contained = inside(hull(array(medium)), fit.top.position[None])[0]
    spent = time.process_time() - began
    return [energy, purpose, np.log10(truth.energy[0]), fit.top.log_energy / np.log(10.0), ts, np.degrees(fit.sigma),
            angle, float(contained), spent]  # fmt: skip


def run(target: Path, folder: Path, budget: float) -> None:
    """Rows until the processor time is spent, in turn over energies and purposes."""
    medium = Medium()
    table = light(Bench(folder))
    rows = np.load(target)["rows"].tolist() if target.exists() else []
    sources = {energy: streams(medium, table, energy) for energy in ENERGIES}
    began, k = time.process_time(), 0
    while time.process_time() - began < budget:
        energy, purpose = ENERGIES[k % 3], TURN[(k // 3) % 5]
        event = next(sources[energy][purpose])
        if k >= len(rows):
            rows.append(measured(event, medium, energy, purpose))
        k += 1
        if k % 30 == 0 and k >= len(rows):
            np.savez(target, rows=np.array(rows))
    np.savez(target, rows=np.array(rows))


def show(source: Path) -> None:
    """Levels of each class with their errors, coverage of Wilks' and of our own, on events that they have not seen."""
    of = dict(zip(COLUMNS, np.array(np.load(source)["rows"], dtype=float).T, strict=False))
    print(f"{len(of['ts'])} events, {of['seconds'].mean():.2f} s each")
    for energy in ENERGIES:
        decade = np.abs(of["log10_fit"] - np.log10(1e3 * energy)) < 0.5
        good = (of["energy"] == energy) & decade & (of["inside"] > 0)
        one = {p: of["ts"][good & (of["purpose"] == p)] for p in (CALIBRATE, TEST, OTHER_ICE)}
        levels = r.levels_from(one[CALIBRATE], name=f"cascade {energy:g} TeV", recipe="")
        print(f"\n{energy:g} TeV: {good.sum()} of {(of['energy'] == energy).sum()} in the class, "
              f"median angle {np.median(of['angle'][good]):.2f} deg")  # fmt: skip
        print(f"  levels {levels.half:.3f} +- {levels.errors[0]:.3f}, {levels.ninety:.3f} +- {levels.errors[1]:.3f} "
              f"from {levels.events}")  # fmt: skip
        both = {"Wilks": r.WILKS, "own": levels}
        for purpose, words in ((TEST, "new events"), (OTHER_ICE, "other ice")):
            for name, level in both.items():
                half, ninety = (r.coverage(one[purpose], c) for c in (level.half, level.ninety))
                print(f"  {words}, {name}: {half.share:.3f} +- {half.error:.3f}, {ninety.share:.3f} +- "
                      f"{ninety.error:.3f} ({half.events})")  # fmt: skip
        half, ninety = held_by_the_other_half(one[OTHER_ICE])
        print(f"  other ice, levels from the other half of it: {half:.3f}, {ninety:.3f}")


def held_by_the_other_half(ts: np.ndarray) -> tuple[float, float]:
    """Coverage of 50 and 90 % levels made from every second event and judged on those between, then in turn."""
    halves = ts[::2], ts[1::2]
    levels = [r.levels_from(one, name="", recipe="") for one in halves]
    pairs = list(zip(levels, halves[::-1], strict=True))
    return (
        float(np.mean(np.concatenate([other <= level.half for level, other in pairs]))),
        float(np.mean(np.concatenate([other <= level.ninety for level, other in pairs]))),
    )


def table(source: Path) -> None:
    """The rows of ``chain/scan_levels.csv``: levels from the calibrating events, and from those in other ice."""
    of = dict(zip(COLUMNS, np.array(np.load(source)["rows"], dtype=float).T, strict=False))
    print("topology,low,high,contained,ice,half,half_error,ninety,ninety_error,events,recipe")
    for energy in ENERGIES:
        middle = np.log10(1e3 * energy)
        good = (of["energy"] == energy) & (np.abs(of["log10_fit"] - middle) < 0.5) & (of["inside"] > 0)
        for purpose, ice in ((CALIBRATE, "own"), (OTHER_ICE, "varied")):
            found = r.levels_from(of["ts"][good & (of["purpose"] == purpose)], name="", recipe="")
            print(
                f"shower,{middle - 0.5:g},{middle + 0.5:g},yes,{ice},{found.half:.3f},{found.errors[0]:.3f},"
                f"{found.ninety:.3f},{found.errors[1]:.3f},{found.events},"
                "validation/scan_coverage.py: contained nu_e CC of the open detector; light network"
            )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("run")
    one.add_argument("target", type=Path)
    one.add_argument("--cpu", type=float, default=900.0)
    one.add_argument("--folder", type=Path, default=Path("runs/open-detector"))
    for name in ("show", "table"):
        verbs.add_parser(name).add_argument("source", type=Path)
    given = parser.parse_args()
    if given.verb == "run":
        run(given.target, given.folder, given.cpu)
    else:
        {"show": show, "table": table}[given.verb](given.source)


if __name__ == "__main__":
    main()
