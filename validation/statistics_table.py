"""Statistics beside each other, on the same random numbers: sensitivity, 5 sigma potential, median significance, bias.

    python validation/statistics_table.py run FOLDER [--twins 5] [--statistics published complete] [HYPOTHESIS ...]
    python validation/statistics_table.py show FOLDER
    python validation/statistics_table.py bound - [--twins 5] [HYPOTHESIS ...]

Every twin, hypothesis and statistic is a file in FOLDER; what is there is not made again.  Scrambles and injected
events are the same for all statistics, so that ratios are known better than the numbers themselves; their errors come
from drawing the trials again, the same for both.  Some minutes for each hypothesis and twin.

``show`` prints a second table: do 68 and 90 % intervals of either statistic hold the injected strength?  Critical
values come from one half of the injected skies and judge the other, then in turn.  A pull is the root of tau at the
truth over its 68.27 % critical value, with the sign of fit minus truth: +-1 where the truth is at an end of the
interval.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import norm

from nuanalysis import simulate, trials
from nuanalysis.errors import PrecisionError
from nuanalysis.library import samples
from nuanalysis.library.hypotheses import read_hypothesis
from nuanalysis.likelihood.statistics import statistic
from nuanalysis.model import Background, Hypothesis, Prepared, place, prepare
from nuanalysis.schema import Floats

PLAIN, TILTED, INJECTED = 3000, 2500, 1600
RESAMPLED = 20  # drawings of the trials behind the errors of the first table
STRENGTHS = (0.0, 0.4, 0.7, 0.95, 1.2, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)  # in expected deviations of n_s
POINTS = tuple(f"point:100,{dec}?index={index}" for dec in (-71, -24, 10) for index in (2, 3))
ALL = (
    "template:pi0", "template:kra-gamma-like-5?spectrum=published", "template:kra-gamma-like-50?spectrum=published",
    "stack:snr", "stack:pwn", "stack:unid", *POINTS,
)  # fmt: skip
# Events at the published best fit.
BEST = dict(zip(ALL, (671.1, 242.9, 184.8, 218.6, 279.6, 238.4), strict=False))


def hypothesis(name: str) -> Hypothesis:
    """A hypothesis with its index held; point:RA,DEC?index=I for points."""
    plain, _, index = name.partition("?index=")
    found = read_hypothesis(plain)
    return replace(found, index=float(index) if index else found.index, index_free=False)


def run(folder: Path, names: tuple[str, ...], statistics: list[str], twins: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for twin in range(1, twins + 1):
        sample = None
        for name in names:
            scale = None
            for which in statistics:
                path = folder / f"{twin} {name.replace('/', '_')} {which}.npz"
                if path.exists():
                    scale = float(np.load(path)["scale"])
                    continue
                if sample is None:
                    spec = samples.sample_spec(name="cascades-2023", signal="none")
                    sample = samples.load(spec, 1000 + twin).seasons[0]
                problem = prepare(hypothesis(name), (replace(sample, statistic=statistic(which)),))
                # Signal comes in whole events: a hard source has a deviation far below one, as in injection_grid.
                scale = max(float(problem.spread[trials.flux_node(problem)]), 1.0) if scale is None else scale
                stretch = round(trials.bias_factor(problem), 3)
                strengths = tuple(scale * s for s in STRENGTHS) + ((BEST[name],) * 3 if name in BEST else ())
                tilts, clock = trials.choose_tilts(problem, 32.0), [time.process_time()]
                plain = trials.scramble_trials(problem, 3, 0, PLAIN)
                clock.append(time.process_time())
                tilted = trials.scramble_trials(problem, 4, 0, TILTED, tilts)
                clock.append(time.process_time())
                injected = trials.injection_trials(problem, 5, 0, INJECTED, strengths, stretch)
                clock.append(time.process_time())
                cost = 1e3 * np.diff(clock) / (PLAIN, TILTED, INJECTED)  # ms of CPU
                np.savez(path, scale=scale, stretch=stretch, cost=cost, plain=plain, tilted=tilted, injected=injected)
                print(twin, name, which, flush=True)


_FIVE_SIGMA = float(norm.sf(5.0))
Row = tuple[float, float, float, float]
Held = dict[str, np.ndarray]


def measured(held: Held, rng: np.random.Generator | None, best: float) -> Row:
    """Sensitivity and 5 sigma potential in events, sigma of the median sky and fitted over injected at the best fit."""
    plain, tilted, injected = held["plain"], held["tilted"], held["injected"]
    if rng is not None:
        plain, tilted, injected = (a[rng.integers(0, len(a), len(a))] for a in (plain, tilted, injected))
    n, ts, fitted = injected[:, 0], injected[:, 1], injected[:, 6]
    strong = n == best if best else n == n.max()
    try:
        median = trials.known_threshold(float(np.median(plain[:, 0])))
        far = trials.known_threshold(trials.weighted_quantile(tilted[:, 0], tilted[:, 3], _FIVE_SIGMA))
        low = trials.strength_for(n, ts, threshold=median, fraction=0.9).n_signal
        five = trials.strength_for(n, ts, threshold=far, fraction=0.5).n_signal
        sigma = trials.p_value(tilted[:, 0], tilted[:, 3], float(np.median(ts[strong]))).sigma if best else np.nan
    except PrecisionError:
        return (np.nan,) * 4
    return low, five, sigma, float(np.median(fitted[strong]) / n[strong][0])


def show(folder: Path) -> None:
    """Both tables of the files in a folder."""
    files = sorted(folder.glob("*.npz"))
    of: dict[str, dict[str, dict[str, Held]]] = {}
    for file in files:
        twin, name, which = file.stem.split(" ")
        of.setdefault(name, {}).setdefault(which, {})[twin] = dict(np.load(file))
    print(f"{'hypothesis':44} {'statistic':16} twins  {'sensitivity':>16} {'ratio':>14} {'5 sigma ratio':>14} "
          f"{'sigma - published':>18} {'fitted/injected':>16}")  # fmt: skip
    for name, held in of.items():
        for which, of_twin in held.items():
            _show_strengths(name, which, of_twin, held.get("published", {}))
    print(f"\n{'hypothesis':44} {'statistic':16} {'0: 68 %':>13} {'90 %':>13} {'above 0: 68 %':>14} {'90 %':>14} "
          f"{'pull, mean':>14} {'width':>10}   ms of CPU: plain, tilted, injected")  # fmt: skip
    for name, held in of.items():
        for which, of_twin in held.items():
            _show_coverage(name, which, list(of_twin.values()))


def _show_strengths(name: str, which: str, of_twin: dict[str, Held], base: dict[str, Held]) -> None:
    both = [t for t in of_twin if t in base]
    best = BEST.get(name, 0.0)
    mine = np.array([measured(of_twin[t], None, best) for t in both])
    theirs = np.array([measured(base[t], None, best) for t in both])
    again = []
    for k in range(RESAMPLED):
        pairs = [[measured(one[t], np.random.default_rng(k), best) for one in (of_twin, base)] for t in both]
        a, b = np.array(pairs).transpose(1, 0, 2)
        again.append(compared(a, b))
    values = compared(mine, theirs)
    errors = np.array([np.nanstd(one) if np.isfinite(one).any() else np.nan for one in np.transpose(again)])
    low = mine[np.isfinite(mine[:, 0]), 0]
    mean, spread = (low.mean(), low.std(ddof=1)) if len(low) > 1 else (np.nan, np.nan)
    print(f"{name:44} {which:16} {len(low):5}  {mean:9.1f} +- {spread:4.1f} "
          f"{values[0]:7.3f}({errors[0] * 1e3:3.0f}) {values[1]:8.3f}({errors[1] * 1e3:3.0f}) "
          f"{values[2]:9.2f}({errors[2]:.2f}) {values[3]:9.3f}({errors[3] * 1e3:3.0f})")  # fmt: skip


ONE = 0.6827


def judged(held: Held) -> Floats:
    """Strength, whether the 68 and the 90 % interval hold it, and its pull, of every injected sky, (trial, 4)."""
    injected = held["injected"]
    half = np.cumsum(injected[:, 0] == 0) % 2  # every cycle of strengths begins with 0
    out = []
    for k in (0, 1):
        made, judge = injected[half != k], injected[half == k]
        n, tau = judge[:, 0], judge[:, 4]
        at = [trials.critical_curve(made[:, 0], made[:, 4], p, float(held["scale"])).at(n) for p in (0.68, 0.9, ONE)]
        pull = np.sign(judge[:, 6] - float(held.get("stretch", 1.0)) * n) * np.sqrt(tau / np.maximum(at[2], 1e-9))
        out.append(np.column_stack([n, tau <= at[0], tau <= at[1], pull]))
    return np.concatenate(out)


def _show_coverage(name: str, which: str, twins: list[Held]) -> None:
    rows = np.concatenate([judged(one) for one in twins])
    strong = np.concatenate([judged(one)[judged(one)[:, 0] > 2.5 * float(one["scale"])] for one in twins])
    said = []
    for part in (rows[:, 0] == 0, rows[:, 0] > 0):
        for column, level in ((1, 0.68), (2, 0.9)):
            error = np.sqrt(level * (1 - level) / part.sum())
            said.append(f"{rows[part, column].mean():7.3f}({1e3 * error:3.0f})")
    low, high = np.quantile(strong[:, 3], [0.5 - ONE / 2, 0.5 + ONE / 2])
    cost = [one["cost"] for one in twins if "cost" in one]
    ms = " ".join(f"{v:5.2f}" for v in np.mean(cost, axis=0)) if cost else "not measured"
    print(f"{name:44} {which:16} {'  '.join(said)}  {np.median(strong[:, 3]):8.2f}({1.25 / len(strong) ** 0.5:.2f}) "
          f"{(high - low) / 2:6.3f}({1e3 * 0.96 / len(strong) ** 0.5:3.0f})   {ms}")  # fmt: skip


def compared(mine: Floats, theirs: Floats) -> Floats:
    """Ratios of both strengths, difference in sigma, fitted over injected: means over twins that have them, (4,)."""
    each = np.column_stack([mine[:, :2] / theirs[:, :2], mine[:, 2] - theirs[:, 2], mine[:, 3]])
    return np.array([column[np.isfinite(column)].mean() if np.isfinite(column).any() else np.nan for column in each.T])


def power(problem: Prepared, events: Floats, signal: simulate.Drawn, estimate: Background) -> float:
    """Mean of sum x per signal event over its standard deviation under the null, 1 / sqrt(event): of the score test.

    events (3, event) : declination, log10 E and error of background events that the estimate may not have seen.
    """
    part, node, rng = problem.parts[0], trials.flux_node(problem), np.random.default_rng(5)
    mixing, x = problem.mixing[node], []
    for dec, log10_energy, error in (events, (signal.declination, signal.log10_energy, signal.angular_error)):
        where = part.densities.where(dec, log10_energy, error)
        there = place(part.space, part.seen(dec, error, where))
        turn = rng.random(len(dec)) if not x else there.position(signal.right_ascension)
        x.append(mixing @ there.difference_at(turn) * part.densities.terms(where, estimate).at(node))
    return float(x[1].mean() / np.sqrt((x[0] ** 2).mean()))


def bound(names: tuple[str, ...], statistics: list[str], twins: int) -> None:
    """Sensitivities for weak signals over those of the published statistic: with the background that each twin tells,
    and with the background of 20 twins, as if it were known."""
    columns = ("declination", "log10_energy", "angular_error")
    others = [samples.load(samples.sample_spec(name="cascades-2023", signal="none"), 2000 + k) for k in range(20)]
    pool = np.concatenate([[one.seasons[0].array(c) for c in columns] for one in others], axis=1)
    some = pool[:, : pool.shape[1] // 5]
    mine = [samples.load(samples.sample_spec(name="cascades-2023", signal="none"), 1001 + k) for k in range(twins)]
    print(f"{'hypothesis':44} {'statistic':16} {'own background':>16} {'known background':>18}")
    for name in names:
        asked, base = hypothesis(name), None
        for which in ("published", *statistics):
            found = []
            for one in mine:
                problem = prepare(asked, (replace(one.seasons[0], statistic=statistic(which)),))
                part = problem.parts[0]
                source = simulate.emission(asked.target, part.sample.response, asked.spectrum)
                signal = simulate.signal(source, 60_000, np.random.default_rng(4))
                known = part.densities.background(part.densities.counted(part.densities.where(*pool)))
                found.append([power(problem, some, signal, estimate) for estimate in (part.base, known)])
            values = np.array(found)
            base = values[:, :1] if base is None else base
            ratio = base / values
            error = ratio.std(axis=0, ddof=1) / np.sqrt(twins) if twins > 1 else np.full(2, np.nan)
            print(f"{name:44} {which:16} {ratio[:, 0].mean():9.3f} +- {error[0]:.3f} "
                  f"{ratio[:, 1].mean():11.3f} +- {error[1]:.3f}", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("run", "show", "bound"))
    parser.add_argument("folder", type=Path, help="of the files; '-' for bound")
    parser.add_argument("hypotheses", nargs="*", default=list(ALL))
    parser.add_argument("--twins", type=int, default=5)
    parser.add_argument("--statistics", nargs="+", default=["published", "complete"])
    asked = parser.parse_args()
    if asked.action == "run":
        run(asked.folder, tuple(asked.hypotheses), asked.statistics, asked.twins)
    elif asked.action == "bound":
        bound(tuple(asked.hypotheses), [one for one in asked.statistics if one != "published"], asked.twins)
    else:
        show(asked.folder)


if __name__ == "__main__":
    main()
