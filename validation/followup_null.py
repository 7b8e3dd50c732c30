"""p-values of follow-ups on pseudo-alerts in real events, which hold no burst that is known.

    NUANALYSIS_DATA=... python validation/followup_null.py [--alerts 500] [--trials 10000] [--box 0]

The pseudo-alerts are the most energetic events of IC79 at declinations above -5 deg; each is left out of its own
search.  Counted is how many p-values lie below 0.1, 0.03 and 0.01: most are exactly 1, so no other test is of use.
--box : half width of a 90 % region around each, deg; 0 searches the place of the event alone.  Exit status 1 where a
count lies above its nominal value by more than 2 sigma.  ``make validate`` runs it for both kinds of place.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from nuanalysis import trials
from nuanalysis.answers._followup import spectrum_of_nowhere
from nuanalysis.interpret.alert_regions import ellipse_deg, places_of
from nuanalysis.library import samples
from nuanalysis.library.observing import good_runs
from nuanalysis.likelihood import Places, burst_of, window_fit, yardstick
from nuanalysis.selection import window
from nuanalysis.sky.records import PowerLaw
from nuanalysis.trials.streams import Stream, seed_of

INDEX, WINDOWS_S, OFF_D = 2.5, (1000.0, 172_800.0), 10.0
NOMINAL = (0.1, 0.03, 0.01)


def p_values(alerts: int, n_trials: int, box: float) -> dict[float, list[float]]:
    """p of each pseudo-alert, by the length of the window in s."""
    everything = samples.load(samples.sample_spec(name="tracks"), 1)
    season = everything.seasons[1]
    runs, _ = good_runs(everything, season)
    mjd, ra, dec, energy, error = (
        season.array(name) for name in ("mjd", "right_ascension", "declination", "log10_energy", "angular_error")
    )
    stick = yardstick(spectrum_of_nowhere(INDEX), season)
    order = np.argsort(-np.where(dec > np.radians(-5.0), energy, -1.0), kind="stable")
    found: dict[float, list[float]] = {length: [] for length in WINDOWS_S}
    left_out = 0
    for number, k in enumerate(order):
        if min(map(len, found.values())) >= alerts:
            break
        own, chosen = np.array([k]), np.arange(len(mjd)) != k
        if box:
            region = ellipse_deg(*np.degrees([ra[k], dec[k]]), (box / np.cos(dec[k]),) * 2 + (box,) * 2)
            places, source = places_of(region, 0.99, 256)
        else:
            places, source = Places(ra[own], dec[own], np.zeros(1)), np.ones(1)
        if not runs.touch(mjd[own])[0]:
            left_out += 1
            continue
        for length in WINDOWS_S:
            here = window(mjd, runs, centre=mjd[k], length_s=length, off_d=OFF_D, own=own)
            n_b = here.n_background
            fit = window_fit(burst_of(stick, dec[here.on], energy[here.on], error[here.on]), ra[here.on], n_b, places)
            if fit.ts <= 0.0:
                found[length].append(1.0)
                continue
            problem = trials.window_problem(stick, chosen, n_b, places, spectrum=PowerLaw(INDEX), source=source)
            rows = trials.window_trials(problem, seed_of(1 + number, Stream.WINDOWS), 0, n_trials)
            found[length].append(float((rows[:, 0] >= fit.ts).mean()))
    print(f"{alerts} pseudo-alerts, {left_out} outside good runs left out, box {box:g} deg")
    return found


def not_met(found: dict[float, list[float]]) -> list[str]:
    """Print the counts; those above their nominal value by more than 2 sigma."""
    out = []
    for length, p in found.items():
        values = np.array(p)
        for nominal in NOMINAL:
            n, expected = len(values), nominal * len(values)
            spread = np.sqrt(expected * (1.0 - nominal))
            pull = ((values <= nominal).sum() - expected) / spread
            line = (
                f"{length:9,.0f} s: p <= {nominal:<5g} {np.count_nonzero(values <= nominal):4d} of {n}, nominal "
                f"{expected:.0f} +- {spread:.1f}, {pull:+.1f} sigma"
            )
            print(f"{line}: {'good' if pull <= 2.0 else 'NOT MET'}")
            out += [line] if pull > 2.0 else []
        above = np.count_nonzero(values < 1.0)
        print(f"{length:9,.0f} s: TS > 0 in {above} of {len(values)}, smallest p {values.min():.4f}")
    return out


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--alerts", type=int, default=500)
    asked.add_argument("--trials", type=int, default=10_000)
    asked.add_argument("--box", type=float, default=0.0)
    said, started = asked.parse_args(), time.process_time()
    faults = not_met(p_values(said.alerts, said.trials, said.box))
    print(f"{time.process_time() - started:.0f} CPU-seconds")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
