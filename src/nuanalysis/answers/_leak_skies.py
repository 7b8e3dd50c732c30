"""Skies that hold a diffuse component and no source: drawn, every stack fitted, and the laws of its test statistic."""

from __future__ import annotations

import numpy as np

from nuanalysis import trials
from nuanalysis.answers._ensembles import LOCAL, counted, scrambles
from nuanalysis.answers._experiments import Experiments, Model, Signal, as_it_is, critical, lost
from nuanalysis.answers._question import fit_data
from nuanalysis.deferred import scipy
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.interpret.published import PUBLISHED
from nuanalysis.likelihood import TS_TOLERANCE, FitResult
from nuanalysis.records import Chance, Measured, Record, Unknown, shown
from nuanalysis.schema import Floats
from nuanalysis.trials.streams import Stream

LOCAL_OF_SKIES = "local p-value of the stack alone, from right-ascension scrambles that know of no diffuse component"
SCRAMBLES = 2000  # tilted ones of each stack, behind its local p-values
HIGH_TS = 3.84  # half of a chi-square of one degree of freedom has 0.025 beyond
_MOST_TS, _REACH_TS = 49.0, 36.0  # of the local p-values, and of the scrambles behind them


def models(n_stacks: int) -> tuple[Model, ...]:
    """Models fitted to every sky: the diffuse, stacks alone, both, and both with the index of the stack held.

    Hypotheses are the diffuse component, every stack with its index free, and every stack with its index held.
    """
    one, held = range(1, n_stacks + 1), range(n_stacks + 1, 2 * n_stacks + 1)
    return ((0,), *((k,) for k in one), *((0, k) for k in one), *((0, k) for k in held))


def _diffuse(held: Experiments, n: float) -> Signal:
    """The diffuse component alone."""
    n_signal, index = np.zeros(len(held.problems)), np.array([p.hypothesis.index for p in held.problems])
    n_signal[0] = n
    return as_it_is(n_signal, index)


def draw(held: Experiments, n_diffuse: float, n_stacks: int) -> xr.Dataset:
    """Skies with the diffuse component alone, one variable a column of ``trials.joint_columns(models(n_stacks))``."""
    return held.draw(_diffuse(held, n_diffuse), models(n_stacks), Stream.LEAK_SKIES)


def draw_empty(held: Experiments, n_stacks: int) -> list[Floats]:
    """TS of every stack with its index free, fitted alone, on skies without any signal, [(sky,)]."""
    found = held.draw(_diffuse(held, 0.0), tuple((k,) for k in range(1, n_stacks + 1)), Stream.LEAK_EMPTY)
    return [found[f"ts_{m}"].values for m in range(n_stacks)]


def local_table(problem: Problem, most: float, bench: Bench) -> trials.LocalP:
    """Local p-values of a stack alone, up to and beyond the TS ``most``; see ``LocalP`` for what is beyond."""
    found = scrambles(problem, SCRAMBLES, min(max(most, 9.0), _REACH_TS), bench)
    return trials.local_p(np.zeros(1), [(found["ts"].values, found["log_weight"].values)], _MOST_TS)


def _gain(found: xr.Dataset, more: int, less: int) -> Floats:
    """TS of one model over that of a smaller one, (sky,); 0 below what a maximum is found to."""
    each = found[f"ts_{more}"].values - found[f"ts_{less}"].values
    return np.where(each > TS_TOLERANCE, each, 0.0)


def fits_of(found: xr.Dataset, n_stacks: int, k: int, table: trials.LocalP) -> xr.Dataset:
    """Stack k, from 0, on the skies of ``draw``, dim ``sky``: fitted alone, and together with the diffuse component.

    n_s, index (NaN without events), ts, log_p : of the stack alone; ln of the local p-value of its TS.
    ts_profiled, ts_profiled_index_held : TS of the stack with the diffuse norm profiled; log_p_profiled : the same
    ensemble read at the first.  n_s_together.  ts_diffuse_profiled : TS of the diffuse with the stack profiled.
    The attribute not_converged counts skies.
    """
    j, one, both, held = 1 + k, 1 + k, 1 + n_stacks + k, 1 + 2 * n_stacks + k
    ts, rest, n_signal = found[f"ts_{one}"].values, _gain(found, both, 0), found[f"n_signal_{one}_{j}"].values
    columns = {
        "n_s": n_signal,
        "index": np.where(n_signal > 0.0, found[f"index_{one}_{j}"].values, np.nan),
        "ts": ts,
        "log_p": table.log_p_of(0.0, ts),
        "n_s_together": found[f"n_signal_{both}_{j}"].values,
        "ts_profiled": rest,
        "log_p_profiled": table.log_p_of(0.0, rest),
        "ts_profiled_index_held": _gain(found, held, 0),
        "ts_diffuse_profiled": _gain(found, both, one),
    }
    attrs = {"not_converged": lost(found[[f"converged_{m}" for m in (0, one, both, held)]])}
    return xr.Dataset({name: ("sky", values) for name, values in columns.items()}, attrs=attrs)


class Placed(Record):
    """A fit of a stack alone, and where it lies among the skies."""

    stack: str = shown("stack")
    fit: str = shown("whose fit")
    n_signal: float = shown("fitted events", form=".1f", short="n_s")
    index: float | None = shown("spectral index", None, form=".2f")
    chance: Chance = shown("local p-value", short="local p")
    fewer: Chance = shown("skies with fewer events", short="fewer")
    smaller: Chance = shown("skies with a smaller p-value", short="smaller p")
    ts: float | None = shown("test statistic TS", None, form=".2f", short="TS")


def _placed(name: str, best: FitResult, chance: Chance, skies: xr.Dataset, log_p: float, *, fit: str) -> Placed:
    """A fit among the skies; log_p : ln of its p-value."""
    return Placed(
        stack=name,
        fit=fit,
        n_signal=best.n_signal,
        index=best.index if best.n_signal > 0 else None,
        chance=chance,
        fewer=counted(trials.share(skies["n_s"].values <= best.n_signal), "skies with fewer events"),
        smaller=counted(trials.share(skies["log_p"].values <= log_p), "skies with a smaller p-value"),
        ts=best.ts if np.isfinite(best.ts) else None,
    )


def placed(problem: Problem, skies: xr.Dataset, table: trials.LocalP) -> Placed:
    """The fit of the events, the stack alone."""
    best, _ = fit_data(problem)
    log_p = float(table.log_p_of(0.0, np.array([best.ts]))[0])
    p, beyond = float(np.exp(log_p)), best.ts > float(table.reach[0]) ** 2
    error = Unknown(reason="beyond the scrambles") if beyond else p * table.error_of(0.0, best.ts)
    chance = Chance(p=p, error=error, n_trials=SCRAMBLES, extrapolated=beyond, of=LOCAL, method=LOCAL_OF_SKIES)
    return _placed(problem.hypothesis.name, best, chance, skies, log_p, fit="sample")


def published_in(name: str, sample: str, skies: xr.Dataset) -> tuple[Placed, ...]:
    """The published fit of a stack; nothing where none was published for this sample."""
    row = PUBLISHED.get(name)
    if row is None or row.sample != sample:
        return ()
    chance = Chance(p=row.p, error=Unknown(reason="as published"), n_trials=0, of=LOCAL, method=row.source)
    best = FitResult(row.ts, row.n_signal, row.index, converged=True)
    return (_placed(name, best, chance, skies, float(np.log(row.p)), fit="published"),)


class Law(Record):
    """The distribution of a TS of a stack over skies without a source, by its share at zero and its tail.

    halves : Kolmogorov-Smirnov p of every second sky against the others, those with TS 0 left out; n_halves of them.
    without_signal : the same against the stack alone on skies without any signal.
    """

    stack: str = shown("stack")
    of: str = shown("which TS")
    at_zero: Chance = shown("share at zero", short="at 0")
    above: Chance = shown("share above 3.84", short="> 3.84")
    critical: Measured = shown("TS that 5 % of the skies exceed", form=".2f", short="5 % above")
    halves: float | Unknown | None = shown("p-values among the skies are uniform: KS p of two halves", None, form=".2g")
    n_halves: int | None = shown("skies in a half", None, hidden=True)
    without_signal: float | None = shown(
        "one law with skies without any signal: KS p", None, form=".2g", short="no signal"
    )


def one_law(rest: Floats, nothing: Floats) -> float:
    """Two-sample Kolmogorov-Smirnov p-value of two ensembles of TS, (sky,) each.

    Both have a share of exact zeros, with which it is conservative.
    """
    return float(scipy.stats.kstest(*(np.where(ts > TS_TOLERANCE, ts, 0.0) for ts in (rest, nothing))).pvalue)


def halves(ts: Floats) -> tuple[float | Unknown, int]:
    """Are p-values among the skies uniform?  Those of every second sky, read off the others; those with TS 0 left out.

    A p-value read off n other skies is a rank, so the two halves are compared with each other, not with a line: a
    two-sample Kolmogorov-Smirnov test holds the error of both.  Returns its p-value, and how many were read.
    """
    law, asked = (half[half > TS_TOLERANCE] for half in (ts[::2], ts[1::2]))
    if min(len(law), len(asked)) < 2:
        return Unknown(reason="fewer than two skies of a half have a TS above zero"), len(asked)
    return float(scipy.stats.kstest(asked, law).pvalue), len(asked)


def laws_of(stack: str, skies: xr.Dataset, nothing: Floats) -> tuple[Law, ...]:
    """The distributions of TS of a stack; nothing (sky,) : its TS on skies without any signal."""
    out = []
    for of, ts, halved, compared in (
        ("alone", skies["ts"].values, False, False),
        ("with the diffuse", skies["ts_profiled"].values, True, True),
        ("alone, no signal at all", nothing, False, False),
        ("with it, index held", skies["ts_profiled_index_held"].values, True, False),
    ):
        uniform, n = halves(ts) if halved else (None, None)
        law = Law(
            stack=stack,
            of=of,
            at_zero=counted(trials.share(ts <= TS_TOLERANCE), "TS of zero"),
            above=counted(trials.share(ts > HIGH_TS), f"TS above {HIGH_TS}"),
            critical=critical(ts),
            halves=uniform,
            n_halves=n,
            without_signal=one_law(ts, nothing) if compared else None,
        )
        out.append(law)
    return tuple(out)
