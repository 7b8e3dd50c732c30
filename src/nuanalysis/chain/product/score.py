"""The score of predictions on the benchmark of the open detector: SYNTHETIC events.  Needs numpy and pandas alone.

Usage: python score.py PREDICTIONS (.ecsv or .csv).  The truth is read beside this file; README.md defines each figure.
"""

import hashlib
import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

PROBABILITIES = [f"probability_{name}" for name in ("cascade", "starting_track", "through_going", "bundle")]
Figures = dict[str, object]  # as JSON holds them
VERTEX = ["vertex_x", "vertex_y", "vertex_z"]
COLUMNS = {  # that are handed in: unit, lowest, highest
    "event": ("", 0, math.inf), **dict.fromkeys(PROBABILITIES, ("", 0, 1)), "zenith": ("rad", 0, math.pi),
    "azimuth": ("rad", 0, 2 * math.pi), "angular_error": ("rad", 1e-5, math.pi), "log10_deposited": ("", -1, 9),
    **dict.fromkeys(VERTEX, ("m", -5000, 5000)),
}  # fmt: skip


def read(path: Path) -> tuple[pd.DataFrame, str]:
    sep = " " if path.suffix.lower() == ".ecsv" else ","
    return pd.read_csv(path, comment="#", sep=sep, encoding="utf-8-sig"), path.read_text(encoding="utf-8-sig")


def faults(table: pd.DataFrame, text: str, wanted: np.ndarray) -> list[str]:
    """Why the predictions cannot be scored."""
    numbers = [name for name in COLUMNS if name in table and pd.api.types.is_numeric_dtype(table[name])]
    if absent := set(COLUMNS) - set(numbers):
        return [f"no column of numbers '{name}'" for name in sorted(absent)]
    found, units = [], dict(re.findall(r"^# - \{name: (\w+), unit: ([^,}]+)", text, re.MULTILINE))
    for name, (unit, low, high) in COLUMNS.items():
        if units.get(name, unit) != unit:
            found.append(f"'{name}' has the unit {units[name]}, expected {unit or 'none'}")
        if wrong := int((~(np.isfinite(table[name]) & (table[name] >= low) & (table[name] <= high))).sum()):
            found.append(f"'{name}' has {wrong} values that are not within {low:g} to {high:g}")
    if off := int((np.abs(table[PROBABILITIES].sum(axis=1) - 1.0) > 1e-6).sum()):
        found.append(f"the probabilities of {off} events do not sum to 1")
    event, times = np.unique(table["event"], return_counts=True)
    bad = {"are missing": np.setdiff1d(wanted, event), "come more than once": event[times > 1],
           "are not of the test split": np.setdiff1d(event, wanted)}  # fmt: skip
    return found + [f"{len(e)} events {said}, such as {e[0]}" for said, e in bad.items() if len(e)]


def measured(value: float, error: float, unit: str = "") -> Figures:
    return {"value": float(value), "error": float(error), "unit": unit}


def share(passed: np.ndarray, w: np.ndarray) -> tuple[float, float]:
    f = w[passed].sum() / w.sum()
    return f, math.sqrt((w**2 * (passed - f) ** 2).sum()) / w.sum()


def below(at: np.ndarray, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Weighted share of x below each of at, ties counted half."""
    order = np.argsort(x, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(w[order])])
    left, right = (np.searchsorted(x[order], at, side=side) for side in ("left", "right"))
    return np.asarray(0.5 * (sums[left] + sums[right]) / sums[-1])


def auc(x: np.ndarray, signal: np.ndarray, w: np.ndarray) -> Figures:
    ws, wb = w[signal], w[~signal]
    sides = (below(x[signal], x[~signal], wb), ws), (1.0 - below(x[~signal], x[signal], ws), wb)
    value = np.average(sides[0][0], weights=ws)
    return measured(value, math.sqrt(sum((v**2 * (p - value) ** 2).sum() / v.sum() ** 2 for p, v in sides)))


def limit(n: float) -> float:
    """Mean at which a Poisson number is above n with 90 %, continued: lower incomplete gamma of n + 1 by its series."""
    low, high = 0.0, n + 50.0
    for _ in range(100):
        x = 0.5 * (low + high)
        total = 1.0 + np.cumprod(x / (n + 1.0 + np.arange(1, 1000))).sum()
        p = total * math.exp((n + 1.0) * math.log(x) - x - math.lgamma(n + 2.0))
        low, high = (x, high) if p < 0.9 else (low, x)
    return 0.5 * (low + high)


def separation(name: str, of: str, x: np.ndarray, signal: np.ndarray, w: np.ndarray) -> Figures:
    order = np.argsort(-x[signal], kind="stable")
    kept, wb = np.cumsum(w[signal][order]), w[~signal]
    cut = x[signal][order][min(int(np.searchsorted(kept, 0.9 * kept[-1] * (1.0 - 1e-12))), len(order) - 1)]
    passed = x[~signal] >= cut
    total, squares = wb[passed].sum(), (wb[passed] ** 2).sum()
    n, one = (total**2 / squares, squares / total) if squares > 0.0 else (0.0, wb.max())
    upper = min(one * limit(n) / wb.sum(), 1.0) if n < 10.0 else None
    left = {"passing": measured(*share(passed, wb)), "upper": upper, "effective": float(n)}
    return {"weighting": name, "cascades": of, "auc": auc(x, signal, w), **left}


def calibration(p: np.ndarray, true: np.ndarray) -> Figures:
    which, gaps, errors = np.minimum((p * 20).astype(int), 19), [], []
    for here in (which == k for k in np.unique(which)):
        f, error = share(true[here], np.ones(here.sum()))
        gaps.append(here.mean() * abs(f - p[here].mean()))
        errors.append(here.mean() * error)
    return measured(sum(gaps), math.hypot(*errors))


def median(x: np.ndarray, unit: str = "") -> Figures:
    picks, at = np.random.default_rng(0).integers(0, len(x), (200, len(x))), (np.arange(len(x)) + 0.5) / len(x)
    return measured(np.interp(0.5, at, np.sort(x)), np.std([np.interp(0.5, at, np.sort(x[p])) for p in picks]), unit)


def medians(true: pd.DataFrame, said: pd.DataFrame, cascade: np.ndarray) -> list[Figures]:
    angles = (t[["zenith", "azimuth"]].to_numpy().T for t in (said, true))
    one, other = (np.stack([np.sin(z) * np.cos(a), np.sin(z) * np.sin(a), np.cos(z)], axis=1) for z, a in angles)
    psi = 2.0 * np.arcsin(np.minimum(0.5 * np.sqrt(((one - other) ** 2).sum(axis=1)), 1.0))
    pull = psi / (math.sqrt(2.0 * math.log(2.0)) * said["angular_error"].to_numpy())
    away = np.sqrt(((said[VERTEX].to_numpy() - true[VERTEX].to_numpy()) ** 2).sum(axis=1))
    energy, deg = np.log10(np.maximum(true["deposited"].to_numpy(), 1.0)), np.degrees(psi)
    off, inside, found = np.abs(said["log10_deposited"].to_numpy() - energy), true["contained"].to_numpy() > 0, []
    for low in (3.0, 3.5, 4.0, 4.5, 5.0, 5.5):
        of = cascade & (energy >= low) & (energy < low + 0.5)
        held = median(deg[of & inside], "deg") if (of & inside).sum() >= 20 else None
        if of.sum() >= 20:
            row = {"low": low, "high": low + 0.5, "events": int(of.sum()), "angle": median(deg[of], "deg")}
            more = {"vertex": median(away[of], "m"), "energy": median(off[of])}
            found.append({**row, "contained": held, "pull": median(pull[of]), **more})
    return found


def main(path: Path) -> int:
    true, head = read(Path(__file__).resolve().parent / "truth-synthetic.ecsv")
    true = true[true["split"] == "test"].sort_values("event")
    try:
        said, text = read(path)
    except (OSError, ValueError) as error:
        print(f"{path.name} is no table of predictions, .ecsv or .csv (see README.md): {error}", file=sys.stderr)
        return 2
    if found := faults(said, text, true["event"].to_numpy()):
        print(f"{path.name} cannot be scored; README.md says what is handed in:", *found, sep="\n  - ", file=sys.stderr)
        return 2
    said, label = said.sort_values("event"), true["class"].to_numpy()
    cascade, p = label == "cascade", said[PROBABILITIES].to_numpy()
    odds, muon = p[:, 0] / np.maximum(p[:, 2] + p[:, 3], 1e-300), (label == "through_going") | (label == "bundle")
    signals = {"all": cascade, "contained": cascade & (true["contained"].to_numpy() > 0)}
    rates = true[["rate_astrophysical", "rate_atmospheric", "rate_muons"]].to_numpy()
    weights = {"generated": np.ones(len(true)), "rate": np.where(cascade, rates[:, 0], rates.sum(axis=1))}
    separations = [separation(k, which, odds[muon | s], s[muon | s], w[muon | s])
                   for k, w in weights.items() for which, s in signals.items()]  # fmt: skip
    name, seed = (re.findall(rf"\W{key}: '?([^,'}}\n]+)", head)[0] for key in ("benchmark", "seed"))
    answer = {"benchmark": f"{name}, seed {seed}", "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
              "events": len(true), "separation": separations,
              "calibration_error": calibration(p[:, 0], cascade), "rows": medians(true, said, cascade),
              "truth": "SYNTHETIC: a parametric simulation, see README.md"}  # fmt: skip
    print(json.dumps(answer, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])) if len(sys.argv) == 2 else __doc__)
