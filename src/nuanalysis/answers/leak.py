"""What a diffuse component alone does to stacked sources, and both fitted together: pseudo-experiments and an answer.

The skies hold scrambled events and the diffuse component, no source.  Stacks fitted to them alone say what the diffuse
emission leaks into them; fitted together with it, what is left.  Skies go through the trial store as those of joint
fits: a killed call goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import kstest

from nuanalysis import store, trials
from nuanalysis.answers import inference, joint, joint_in_words
from nuanalysis.answers.inference import Problem
from nuanalysis.answers.joint import Bench, Truth
from nuanalysis.engine.ensembles import Progress
from nuanalysis.engine.executors import Executor
from nuanalysis.errors import InputError
from nuanalysis.interpret.published import PUBLISHED
from nuanalysis.library.catalogues import PREFIX
from nuanalysis.library.hypotheses import check_name, read_hypothesis
from nuanalysis.likelihood import TS_TOLERANCE, curvature_at, joint_maximum, refuse_flat
from nuanalysis.model import Hypothesis
from nuanalysis.sky.records import Catalogue

Floats = NDArray[np.float64]
LEVELS = (0.025, 0.16, 0.5, 0.84, 0.975)
SCRAMBLES = 2000  # tilted ones of each stack, behind its local p-values
HIGH_TS = 3.84  # half of a chi-square of one degree of freedom has 0.025 beyond
_MOST_TS, _REACH_TS = 49.0, 36.0  # of the local p-values, and of the scrambles behind them
_SKIES, _EMPTY, _BEST_FIT = 70, 75, 80  # stages of the bench: each has a seed of its own
LOCAL_OF_SKIES = "local p-value of the stack alone, from right-ascension scrambles that know of no diffuse component"
_NOTES = (
    "skies are pseudo-experiments: scrambled events of the sample and Poisson events of the diffuse component, no "
    "source; the background is estimated again from both",
    "alone: the stack is fitted as if there were no diffuse component. together: both are free, and ts_profiled is "
    "what the fit loses without the one, the other fitted again",
    "the null of ts_profiled of a stack are these skies; without_signal is the distribution of its TS, fitted alone, "
    "on as many skies without any signal",
    "p-values are local: of one stack, not corrected for the others",
    "n_s is as fitted, not corrected for its bias, as the published ones are",
)


# --- what is asked ---------------------------------------------------------------------------------------------------


def check(diffuse: str, catalogues: Sequence[str], n_diffuse: float | None) -> None:
    """Raise InputError, with all faults, for names that cannot be asked, before anything is prepared."""
    faults = []
    if not diffuse.startswith("template:"):
        faults.append(f"--diffuse is '{diffuse}'; expected a template, for example template:pi0")
    names = [PREFIX + name.removeprefix(PREFIX) for name in catalogues]
    if not names:
        faults.append("--catalogue names no list of sources; expected one or more, for example snr")
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            faults.append(f"--catalogue names {name.removeprefix(PREFIX)} twice; expected different ones")
    if n_diffuse is not None and not 0.0 < n_diffuse < np.inf:
        faults.append(f"--n-diffuse is {n_diffuse:g}; expected a positive number of events")
    for name in dict.fromkeys((diffuse, *names)):
        try:
            check_name(name)
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("; ".join(faults))


def read(diffuse: str, catalogues: Sequence[str]) -> tuple[Hypothesis, ...]:
    """The diffuse hypothesis, every stack with its index free, and every stack with its index held, in this order."""
    names = [PREFIX + name.removeprefix(PREFIX) for name in catalogues]
    free = [read_hypothesis(name, index_free=True) for name in names]
    return (read_hypothesis(diffuse), *free, *(read_hypothesis(name, index_free=False) for name in names))


def models(n_stacks: int) -> tuple[joint.Model, ...]:
    """The models fitted to every sky, with the hypotheses of ``read``: diffuse, stacks alone, both, both held."""
    one, held = range(1, n_stacks + 1), range(n_stacks + 1, 2 * n_stacks + 1)
    return ((0,), *((k,) for k in one), *((0, k) for k in one), *((0, k) for k in held))


# --- the skies -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """One stack on every sky, (sky,) each: fitted alone, and together with the diffuse component.

    log_p : ln of the local p-value of ``ts``, of the stack alone.  log_p_profiled : the same ensemble read at the
    profiled TS.  profiled, profiled_held : TS of the stack with the diffuse norm profiled, index free and held.
    diffuse : TS of the diffuse component with the stack profiled.
    """

    ts: Floats
    n_signal: Floats
    index: Floats
    log_p: Floats
    profiled: Floats
    n_together: Floats
    log_p_profiled: Floats
    profiled_held: Floats
    diffuse: Floats
    not_converged: int


def draw(bench: Bench, n_diffuse: float) -> xr.Dataset:
    """Skies with the diffuse component alone, one variable a column of ``trials.joint_columns(models(..))``."""
    return bench.draw(_truth(bench, n_diffuse), models((len(bench.problems) - 1) // 2), _SKIES)


def draw_empty(bench: Bench) -> list[Floats]:
    """TS of every stack with its index free, fitted alone, on skies without any signal, [(sky,)]."""
    stacks = range(1, (len(bench.problems) - 1) // 2 + 1)
    found = bench.draw(_truth(bench, 0.0), tuple((k,) for k in stacks), _EMPTY)
    return [found[f"ts_{m}"].values for m in range(len(stacks))]


def _truth(bench: Bench, n_diffuse: float) -> Truth:
    n = len(bench.problems)
    indices = np.array([p.hypothesis.index for p in bench.problems])
    return Truth(np.array([n_diffuse, *(0.0,) * (n - 1)]), indices, np.zeros(n), np.ones(n))


def local_table(problem: Problem, most: float, executor: Executor, progress: Progress) -> trials.LocalP:
    """Local p-values of a stack alone, up to and beyond the TS ``most``; see ``LocalP`` for what is beyond."""
    found = inference.scrambles(problem, SCRAMBLES, min(max(most, 9.0), _REACH_TS), executor, progress)
    ensemble = (found["ts"].values, found["log_weight"].values)
    return trials.local_p(np.zeros(1), [ensemble], _MOST_TS)


def _gain(found: xr.Dataset, more: int, less: int) -> Floats:
    """TS of one model over that of a smaller one, (sky,); 0 below what a maximum is found to."""
    each = found[f"ts_{more}"].values - found[f"ts_{less}"].values
    return np.where(each > TS_TOLERANCE, each, 0.0)


def fits_of(found: xr.Dataset, n_stacks: int, k: int, table: trials.LocalP) -> Fits:
    """Stack k, from 0, on the skies of ``draw``."""
    one, both, held, j = 1 + k, 1 + n_stacks + k, 1 + 2 * n_stacks + k, 1 + k
    ts, profiled = found[f"ts_{one}"].values, _gain(found, both, 0)
    converged = np.prod([found[f"converged_{m}"].values for m in (0, one, both, held)], axis=0)
    return Fits(
        ts,
        found[f"n_signal_{one}_{j}"].values,
        found[f"index_{one}_{j}"].values,
        table.log_p_of(0.0, ts),
        profiled,
        found[f"n_signal_{both}_{j}"].values,
        table.log_p_of(0.0, profiled),
        _gain(found, held, 0),
        _gain(found, both, one),
        int((converged < 1).sum()),
    )


# --- what they say ---------------------------------------------------------------------------------------------------


def _quantiles(values: Floats) -> dict[str, Any]:
    found = np.quantile(values, LEVELS).tolist() if len(values) else [None] * len(LEVELS)
    return {"levels": list(LEVELS), "values": found}


def _share(met: NDArray[np.bool_]) -> dict[str, Any]:
    found = trials.share(met)
    return {
        "share": found.p,
        "share_error": found.error,
        "n_trials": found.n_trials,
        "upper_bound_90": found.upper_bound,
    }


def _null_of(ts: Floats) -> dict[str, Any]:
    """A distribution of TS, (sky,), by its share at zero and its tail."""
    return {"share_at_zero": _share(ts <= TS_TOLERANCE), "share_above_3_84": _share(ts > HIGH_TS)}


def same_as_without_signal(profiled: Floats, nothing: Floats) -> dict[str, Any]:
    """Profiled TS of a stack beside diffuse emission, and its TS alone on skies without any signal, (sky,) each.

    A two-sample Kolmogorov-Smirnov test; both have a share of exact zeros, with which it is conservative.
    """
    found = kstest(np.where(profiled > TS_TOLERANCE, profiled, 0.0), np.where(nothing > TS_TOLERANCE, nothing, 0.0))
    return {**_null_of(nothing), "ks_p": float(found.pvalue)}


def halves(ts: Floats) -> dict[str, Any]:
    """Are p-values among the skies uniform?  Those of every second sky, read off the others; those with TS 0 left out.

    A p-value read off n other skies is a rank, so the two halves are compared with each other, not with a line: a
    two-sample Kolmogorov-Smirnov test holds the error of both.
    """
    law, asked = (half[half > TS_TOLERANCE] for half in (ts[::2], ts[1::2]))
    if min(len(law), len(asked)) < 2:
        return {"ks_p": None, "n": len(asked), "reason": "fewer than two skies of a half have a TS above zero"}
    return {"ks_p": float(kstest(asked, law).pvalue), "n": len(asked), "reason": None}


def published_in(name: str, sample: str, fits: Fits) -> dict[str, Any] | None:
    """Where the published fit of a stack lies among the skies; None where none was published for this sample."""
    row = PUBLISHED.get(name)
    if row is None or row.sample != sample:
        return None
    return {
        "n_s": row.n_signal,
        "index": row.index,
        "p": row.p,
        "source": row.source,
        "skies_with_fewer_events": _share(fits.n_signal <= row.n_signal),
        "skies_with_smaller_p": _share(fits.log_p <= np.log(row.p)),
    }


def _alone(problem: Problem, sample: str, fits: Fits, table: trials.LocalP) -> dict[str, Any]:
    """The stack fitted alone, to the skies and to the data."""
    best, _ = inference.fit(problem)
    log_p = float(table.log_p_of(0.0, np.array([best.ts]))[0])
    beyond = best.ts > float(table.reach[0]) ** 2
    error = None if beyond else float(np.exp(log_p)) * table.error_of(0.0, best.ts)
    return {
        "n_s": _quantiles(fits.n_signal),
        "index": _quantiles(fits.index[fits.n_signal > 0.0]),
        "ts": _quantiles(fits.ts),
        "p": _quantiles(np.exp(fits.log_p)),
        "p_kind": LOCAL_OF_SKIES,
        "p_trials": SCRAMBLES,
        "share_p_below_0_05": _share(fits.log_p < np.log(0.05)),
        **_null_of(fits.ts),
        "data": {
            "n_s": best.n_signal,
            "index": best.index if best.n_signal > 0 else None,
            "ts": best.ts,
            "p": float(np.exp(log_p)),
            "p_error": error,
            "p_extrapolated": beyond,
            "kind": joint.LOCAL,
            "skies_with_fewer_events": _share(fits.n_signal <= best.n_signal),
            "skies_with_smaller_p": _share(fits.log_p <= log_p),
        },
        "published": published_in(problem.hypothesis.name, sample, fits),
    }


def _together(bench: Bench, skies: Floats) -> dict[str, Any]:
    """Diffuse and stack, the two problems of a bench, fitted together to the data; skies: profiled TS of the stack."""
    data = trials.joint_data(tuple(p.prepared for p in bench.problems))
    best = joint_maximum(data)
    rest = [joint_maximum(data, (1 - j,), (best,)) for j in (0, 1)]
    best = joint_maximum(data, (0, 1), (best, *rest))
    shape = curvature_at(data, best)
    out: dict[str, Any] = {"ts": best.ts, "converged": best.converged}
    for j, name in enumerate(("diffuse", "stack")):
        gain = best.ts - rest[j].ts
        ts = gain if gain > TS_TOLERANCE else 0.0
        n = float(best.n_signal(data)[j])
        free = bench.problems[j].hypothesis.index_free
        out[name] = {
            "n_s": n,
            "n_s_error": joint._number(float(shape.errors[j])),
            "index": float(best.index(data)[j]) if free and n > 0 else None,
            "index_error": joint._number(float(shape.index_errors[j])) if free else None,
            "ts_profiled": ts,
        }
    ts = out["stack"]["ts_profiled"]
    out["stack"]["p_value"] = (
        joint._p_value(trials.as_large(skies, ts))
        if ts > 0.0
        else joint._without_trials(1.0, {"method": "the test statistic is zero: every sky has at least as much"})
    )
    # The null of the diffuse component are skies with the stack alone, as strong as it is without the diffuse.
    out["diffuse"]["p_value"] = joint.null(bench, data, out["diffuse"]["ts_profiled"], 0)
    out["correlation"] = joint._number(float(shape.correlation[0, 1]))
    return out


def _row(bench: Bench, k: int, sample: str, found: xr.Dataset, nothing: Floats) -> tuple[dict[str, Any], Fits]:
    """Everything about stack k; bench and found hold the hypotheses of ``read``, nothing its TS without any signal."""
    n = (len(bench.problems) - 1) // 2
    diffuse, free, held = bench.problems[0], bench.problems[1 + k], bench.problems[1 + n + k]
    most = float(found[f"ts_{1 + k}"].values.max())
    table = local_table(free, most, bench.executor, bench.progress)
    fits = fits_of(found, n, k, table)
    assert isinstance(free.hypothesis.target, Catalogue)
    row = {
        "hypothesis": free.hypothesis.name,
        "label": free.hypothesis.target.label,
        "n_sources": len(free.hypothesis.target.sources),
        "alone": _alone(free, sample, fits, table),
        "together": {
            "data": _together(Bench((diffuse, free), bench.n_trials, bench.executor, bench.progress), fits.profiled),
            "n_s": _quantiles(fits.n_together),
            **_null_of(fits.profiled),
            "without_signal": same_as_without_signal(fits.profiled, nothing),
            "halves": halves(fits.profiled),
            "diffuse_ts_profiled": _quantiles(fits.diffuse),
        },
        "together_index_held": {
            "index": held.hypothesis.index,
            **_null_of(fits.profiled_held),
            "half_chi_square": {"share_at_zero": 0.5, "share_above_3_84": 0.025},
            "halves": halves(fits.profiled_held),
        },
        "not_converged": fits.not_converged,
    }
    bench.progress(f"{free.hypothesis.name}: {_sentence(row)}")
    return row, fits


def best_fit(diffuse: Problem, bench: Bench) -> dict[str, Any]:
    """The diffuse component fitted alone to the data, and the signal whose median fit that is."""
    alone = Bench((diffuse,), bench.n_trials, bench.executor, bench.progress)
    best, _ = inference.fit(diffuse)
    if best.n_signal <= 0.0:
        return {"n_s": 0.0, "ts": best.ts, "n_s_corrected": 0.0, "n_s_corrected_error": None}
    truth = joint.corrected(alone, np.array([best.n_signal]), np.array([best.index]), (0,), _BEST_FIT)
    return {
        "n_s": best.n_signal,
        "ts": best.ts,
        "n_s_corrected": float(truth.n_signal[0]),
        "n_s_corrected_error": float(truth.error[0]),
    }


def leak_record(
    problems: tuple[Problem, ...],
    sample_name: str,
    n_trials: int,
    executor: Executor,
    progress: Progress,
    *,
    n_diffuse: float | None = None,
) -> tuple[dict[str, Any], dict[str, Fits]]:
    """What the diffuse component alone does to every stack, and both fitted together; and the skies, by hypothesis.

    problems : those of ``read``.  n_diffuse : mean diffuse events of a sky; by default the best fit of the data,
    corrected for its bias.  Raises InputError where that fit holds none.
    """
    started = time.monotonic()
    prepared = tuple(p.prepared for p in problems)
    trials.check_same_events(prepared)
    refuse_flat(prepared)
    bench = Bench(problems, n_trials, executor, progress)
    fitted = best_fit(problems[0], bench)
    n_mean = fitted["n_s_corrected"] if n_diffuse is None else n_diffuse
    if n_mean <= 0.0:
        raise InputError(
            f"the best fit of {problems[0].hypothesis.name} holds no events: there is nothing to inject; "
            "say how many with --n-diffuse"
        )
    progress(f"{sample_name}: {n_trials} skies with {n_mean:.1f} events of {problems[0].hypothesis.name} and no source")
    found, empty = draw(bench, n_mean), draw_empty(bench)
    rows, fits = [], {}
    for k, nothing in enumerate(empty):
        row, skies = _row(bench, k, sample_name, found, nothing)
        rows.append(row)
        fits[row["hypothesis"]] = skies
    head = joint._head(problems[:1], sample_name)
    document = {
        **head,
        "notes": [*head["notes"], *_NOTES],
        "diffuse": {
            "hypothesis": problems[0].hypothesis.name,
            "label": problems[0].hypothesis.target.label,
            "n_injected": n_mean,
            "n_injected_from": "the data's best fit, corrected for its bias" if n_diffuse is None else "as asked",
            "best_fit": fitted,
        },
        "stacks": rows,
        "n_trials": n_trials,
        "seconds": time.monotonic() - started,
    }
    return document, fits


# --- in words --------------------------------------------------------------------------------------------------------


def _range(record: dict[str, Any], form: str) -> str:
    """Median and central 68 % of quantiles."""
    low, middle, high = record["values"][1:4]
    return "none" if middle is None else f"{middle:{form}} ({low:{form}} to {high:{form}})"


def _percent(record: dict[str, Any]) -> str:
    if record["upper_bound_90"] is not None:
        return f"0 % (below {100 * record['upper_bound_90']:.2g} % with 90 %)"
    return f"{100 * record['share']:.1f} +- {100 * record['share_error']:.1f} %"


def _sentence(row: dict[str, Any]) -> str:
    alone = row["alone"]
    return (
        f"without any source n_s {_range(alone['n_s'], '.0f')}, index {_range(alone['index'], '.2f')}, "
        f"local p {_range(alone['p'], '.2g')}; p < 0.05 in {_percent(alone['share_p_below_0_05'])} of the skies"
    )


def _chance(record: dict[str, Any]) -> str:
    if record["is_upper_bound"]:
        return f"p < {record['upper_bound_90']:.2g} (90 %: none of {record['n_trials']} skies)"
    sigma = f", {record['sigma']:.2f} sigma" if (record["sigma"] or 0.0) > 0.0 else ""
    return f"p {record['p']:.2g} +- {record['p_error']:.1g}{sigma}"


def _tails(record: dict[str, Any]) -> str:
    return f"{_percent(record['share_at_zero'])} at zero, {_percent(record['share_above_3_84'])} above 3.84"


def _row_in_words(row: dict[str, Any]) -> list[str]:
    alone, both, held = row["alone"], row["together"], row["together_index_held"]
    lines = [f"{row['hypothesis']} ({row['n_sources']} sources): {_sentence(row)}"]
    for name in ("data", "published"):
        one = alone[name]
        if one is not None:
            index = "-" if one["index"] is None else f"{one['index']:.2f}"
            lines.append(
                f"  {name:<9} n_s {one['n_s']:.1f}, index {index}, local p {one['p']:.2g}: "
                f"{_percent(one['skies_with_fewer_events'])} of the skies have fewer events, "
                f"{_percent(one['skies_with_smaller_p'])} a smaller p"
            )
    stack, diffuse = both["data"]["stack"], both["data"]["diffuse"]
    return [
        *lines,
        f"  together  the data: stack n_s {stack['n_s']:.1f}, TS {stack['ts_profiled']:.2f} with the diffuse profiled, "
        f"local {_chance(stack['p_value'])}",
        f"            the data: diffuse n_s {diffuse['n_s']:.1f}, TS {diffuse['ts_profiled']:.2f} with the stack "
        f"profiled, local {_chance(diffuse['p_value'])}",
        f"            the skies: stack TS {_tails(both)}",
        f"            skies without any signal, stack alone: {_tails(both['without_signal'])}; one law: "
        f"KS p {both['without_signal']['ks_p']:.2g}",
        f"            the skies, index held: {_tails(held)} (half a chi-square: 50 %, 2.5 %)",
    ]


def in_words(document: dict[str, Any]) -> str:
    """The answer for a terminal."""
    diffuse = document["diffuse"]
    lines = [
        *joint_in_words._head(document),
        f"{document['n_trials']} pseudo-experiments with {diffuse['n_injected']:.1f} events of "
        f"{diffuse['hypothesis']} ({diffuse['n_injected_from']}) and no source; median (16 to 84 %)",
        *(line for row in document["stacks"] for line in _row_in_words(row)),
    ]
    lines += [f"{kind}: {path}" for kind, path in document.get("files", {}).items()]
    return "\n".join(lines)


# --- files -----------------------------------------------------------------------------------------------------------


def origin_of_skies(document: dict[str, Any]) -> str:
    """Skies hold simulated signal: 'synthetic', or 'mixed' where the events that are scrambled are real."""
    return "mixed" if document["origin"] == "real" else "synthetic"


def table_of(document: dict[str, Any], fits: dict[str, Fits]) -> Any:
    """Every sky as a row of an astropy Table."""
    from astropy.table import Table

    columns: dict[str, Any] = {"sky": np.arange(document["n_trials"])}
    for name, one in fits.items():
        short = name.removeprefix(PREFIX)
        columns |= {
            f"n_s {short}": one.n_signal,
            f"index {short}": np.where(one.n_signal > 0.0, one.index, np.nan),
            f"ts {short}": one.ts,
            f"log10_p {short}": one.log_p / np.log(10.0),
            f"n_s_together {short}": one.n_together,
            f"ts_profiled {short}": one.profiled,
            f"ts_profiled_index_held {short}": one.profiled_held,
            f"ts_diffuse_profiled {short}": one.diffuse,
        }
    diffuse = document["diffuse"]
    said = f"{document['n_trials']} pseudo-experiments with {diffuse['n_injected']:.1f} events of "
    meta = {
        "ORIGIN": origin_of_skies(document),
        "DESCRIPTION": f"SYNTHETIC: {said}{diffuse['hypothesis']} and no source; log10_p: {LOCAL_OF_SKIES}",
        "SAMPLE": document["sample"],
        "SEED": document["seed"],
    }
    return Table(columns, meta=meta)


def write(output: Path, document: dict[str, Any], fits: dict[str, Fits]) -> dict[str, Any]:
    """Write the document, the skies (ECSV) and the figure into a folder; returns it with the names of its files."""
    from nuanalysis import plot

    origin = origin_of_skies(document)
    caption, alt = plot.leak_words(document)
    sidecar = plot.Sidecar("leak-skies", alt, caption, origin, "stacking")
    picture = plot.save(plot.leak(document, fits, origin), output, sidecar, table=table_of(document, fits))
    files = {"document": output / "leak.json", "skies": picture.with_suffix(".ecsv"), "figure": picture}
    said = {**document, "files": {kind: str(path) for kind, path in files.items()}}
    store.atomic_write(files["document"], json.dumps(said, indent=2, allow_nan=False).encode())
    return said
