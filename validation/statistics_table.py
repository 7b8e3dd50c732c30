"""Statistics beside each other, on the same random numbers: sensitivity, 5 sigma potential, median significance, bias.

    python validation/statistics_table.py run FOLDER [--twins 5] [--statistics published complete] [HYPOTHESIS ...]
    python validation/statistics_table.py show FOLDER
    python validation/statistics_table.py bound - [--twins 5] [HYPOTHESIS ...]

Every twin, hypothesis and statistic is a file in FOLDER; what is there is not made again.  Scrambles and injected
events are the same for all statistics, so that ratios are known better than the numbers themselves; their errors come
from drawing the trials again, the same for both.  Some minutes for each hypothesis and twin.
"""

from __future__ import annotations

import argparse
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
                scale = float(problem.spread[trials.flux_node(problem)]) if scale is None else scale
                strengths = tuple(scale * s for s in STRENGTHS) + ((BEST[name],) * 3 if name in BEST else ())
                plain = trials.scramble_trials(problem, 3, 0, PLAIN)
                tilted = trials.scramble_trials(problem, 4, 0, TILTED, trials.choose_tilts(problem, 32.0))
                injected = trials.injection_trials(problem, 5, 0, INJECTED, strengths)
                np.savez(path, scale=scale, plain=plain, tilted=tilted, injected=injected)
                print(twin, name, which, flush=True)


_FIVE_SIGMA = float(norm.sf(5.0))
Row = tuple[float, float, float, float]


def measured(held: dict[str, np.ndarray], rng: np.random.Generator | None, best: float) -> Row:
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
    files = sorted(folder.glob("*.npz"))
    keys = [f.stem.split(" ") for f in files]
    names = dict.fromkeys(k[1] for k in keys)
    print(f"{'hypothesis':44} {'statistic':16} twins  {'sensitivity':>16} {'ratio':>14} {'5 sigma ratio':>14} "
          f"{'sigma - published':>18} {'fitted/injected':>16}")  # fmt: skip
    for name in names:
        held: dict[str, dict[str, dict[str, np.ndarray]]] = {}
        for file, (twin, this, which) in zip(files, keys, strict=True):
            if this == name:
                held.setdefault(which, {})[twin] = dict(np.load(file))
        base = held.get("published", {})
        for which, of_twin in held.items():
            both = [t for t in of_twin if t in base]
            best = BEST.get(name, 0.0)
            mine = np.array([measured(of_twin[t], None, best) for t in both])
            theirs = np.array([measured(base[t], None, best) for t in both])
            again = []
            for k in range(20):
                pairs = [[measured(one[t], np.random.default_rng(k), best) for one in (of_twin, base)] for t in both]
                a, b = np.array(pairs).transpose(1, 0, 2)
                again.append(compared(a, b))
            values, errors = compared(mine, theirs), np.nanstd(again, axis=0)
            spread = np.nanstd(mine[:, 0], ddof=1) if len(both) > 1 else np.nan
            print(f"{name:44} {which:16} {len(both):5}  {np.nanmean(mine[:, 0]):9.1f} +- {spread:4.1f} "
                  f"{values[0]:7.3f}({errors[0] * 1e3:3.0f}) {values[1]:8.3f}({errors[1] * 1e3:3.0f}) "
                  f"{values[2]:9.2f}({errors[2]:.2f}) {values[3]:9.3f}({errors[3] * 1e3:3.0f})")  # fmt: skip


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
