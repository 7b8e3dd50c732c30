"""Pseudo-experiments with the signals of several hypotheses, and what joint fits of them say."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nuanalysis import simulate
from nuanalysis.errors import InputError
from nuanalysis.likelihood import (
    TS_TOLERANCE,
    JointMaximum,
    JointTerms,
    curvature_at,
    event_numbers,
    joint_maximum,
    joint_terms,
)
from nuanalysis.model import Prepared, Terms, terms
from nuanalysis.model.kernels import draw_uniform, trial_key
from nuanalysis.schema import Floats
from nuanalysis.trials._injection import backgrounds, emissions, signal_events, with_signal

Model = tuple[int, ...]  # numbers of the hypotheses that are free
ONE_SIGMA = 0.6827  # probability within one standard deviation


def joint_data(problems: tuple[Prepared, ...]) -> JointTerms:
    """Terms of all hypotheses on the samples as they are."""
    return joint_terms(problems, tuple(terms(p) for p in problems), tuple(event_numbers(p) for p in problems))


def at_index(prepared: Prepared, index: float) -> Prepared:
    """The same problem with signal of the spectral node nearest to an index; a held index stays as it is."""
    if not prepared.hypothesis.index_free:
        return prepared
    node = int(np.argmin(abs(prepared.index - index)))
    return replace(prepared, hypothesis=replace(prepared.hypothesis, index=float(prepared.index[node])))


def _together(parts: list[list[simulate.Drawn]]) -> list[simulate.Drawn]:
    """The drawn events of all hypotheses in each sample; parts (hypothesis, sample)."""
    return [
        simulate.Drawn(*(np.concatenate([getattr(d, name) for d in drawn]) for name in simulate.Drawn.__slots__))
        for drawn in zip(*parts, strict=True)
    ]


def joint_injected(
    problems: tuple[Prepared, ...],
    sources: tuple[tuple[simulate.Emission, ...], ...],
    seed: int,
    trial: int,
    n_means: tuple[float, ...],
) -> JointTerms:
    """Terms of all hypotheses on one pseudo-experiment: scrambled data and the Poisson signal of each hypothesis.

    sources, n_means (j,) : what the signal of each is drawn from, and its mean events.  The right ascension of an
    event does not depend on the hypotheses, nor the signal of one on that of those behind it.  The background is
    estimated once, from everything.
    """
    drawn = _together(
        [
            signal_events(problem, source, signal_generator(seed, trial, j), n_mean)
            for j, (problem, source, n_mean) in enumerate(zip(problems, sources, n_means, strict=True))
        ]
    )
    data, added = on_one_sky(problems, seed, trial, drawn), tuple(map(len, drawn))
    return joint_terms(problems, data, tuple(event_numbers(problem, added) for problem in problems))


def on_one_sky(problems: tuple[Prepared, ...], seed: int, trial: int, drawn: list[simulate.Drawn]) -> tuple[Terms, ...]:
    """Terms of each hypothesis on one scrambled sky with these signal events; drawn : one entry a sample."""
    everywhere = [np.empty(part.n_events) for part in problems[0].parts]
    for stream, u in enumerate(everywhere):
        draw_uniform(np.uint64(trial_key(seed, trial, stream)), u)
    estimates, data = backgrounds(problems[0], drawn), []
    for problem in problems:
        scrambled_at = [u[part.active] for u, part in zip(everywhere, problem.parts, strict=True)]
        data.append(with_signal(problem, scrambled_at, drawn, estimates))
    return tuple(data)


def signal_generator(seed: int, trial: int, hypothesis: int = 0) -> np.random.Generator:
    """Random numbers of the signal of one hypothesis: those of ``injected`` for the first."""
    counter = [0, 0, hypothesis + 1 if hypothesis else 0, 0]
    return np.random.Generator(np.random.Philox(key=[seed, trial], counter=counter))


def check_same_events(problems: tuple[Prepared, ...]) -> None:
    """Raise InputError unless all hypotheses were prepared on the same samples."""
    first = problems[0]
    for other in problems[1:]:
        same = len(other.parts) == len(first.parts) and all(
            np.array_equal(a.sample.array(c), b.sample.array(c))
            for a, b in zip(first.parts, other.parts, strict=True)
            for c in ("right_ascension", "declination", "log10_energy", "angular_error")
        )
        if not same:
            raise InputError(
                f"'{other.hypothesis.name}' was prepared on other events than '{first.hypothesis.name}'; "
                "a joint fit needs the same samples for every hypothesis"
            )


# --- trials -----------------------------------------------------------------------------------------------------------


def joint_columns(models: tuple[Model, ...]) -> tuple[str, ...]:
    """Columns of ``joint_trials``, for each model ts_m and converged_m, and of each of its hypotheses NAME_m_j.

    NAME is n_signal, index, error (of n_signal) and index_error.
    """
    out: list[str] = []
    for m, model in enumerate(models):
        out += [f"ts_{m}", f"converged_{m}"]
        out += [f"{name}_{m}_{j}" for j in model for name in ("n_signal", "index", "error", "index_error")]
    return tuple(out)


def _fits(data: JointTerms, models: tuple[Model, ...]) -> list[JointMaximum]:
    """The maximum of each model; those that hold others begin from them too, so that their TS is not less."""
    found: dict[Model, JointMaximum] = {}
    for model in sorted(models, key=len):
        inside = tuple(f for known, f in found.items() if set(known) < set(model))
        found[model] = joint_maximum(data, model, inside)
    return [found[model] for model in models]


def _row(data: JointTerms, models: tuple[Model, ...]) -> list[float]:
    row: list[float] = []
    for model, found in zip(models, _fits(data, models), strict=True):
        n_signal, index = found.n_signal(data), found.index(data)
        shape = curvature_at(data, found)
        row += [found.ts, float(found.converged)]
        for j, error, index_error in zip(model, shape.errors, shape.index_errors, strict=True):
            row += [float(n_signal[j]), float(index[j]), float(error), float(index_error)]
    return row


def joint_trials(
    problems: tuple[Prepared, ...],
    seed: int,
    first: int,
    last: int,
    n_means: tuple[float, ...],
    models: tuple[Model, ...],
) -> Floats:
    """Trials first..last-1 with the signals of all hypotheses, each model fitted, (trial, column of ``joint_columns``).

    n_means (j,) : mean signal events of each hypothesis, of the spectrum its flux is quoted for (see ``at_index``).
    models : which hypotheses are free in each fit.  Trial i is a pure function of (problems, n_means, models, seed, i).
    """
    sources = tuple(emissions(p) for p in problems)
    rows = np.empty((last - first, len(joint_columns(models))))
    for row, trial in zip(rows, range(first, last), strict=True):
        row[:] = _row(joint_injected(problems, sources, seed, trial, n_means), models)
    return rows


# --- what they say ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Share:
    """The part p of the trials in which something happened, with its binomial error.

    upper_bound : where it happened in none, the 90 % upper bound of its probability, 2.3 / n for large n; else None.
    """

    p: float
    error: float
    n_trials: int
    upper_bound: float | None


def _counted(p: float, met: NDArray[np.bool_]) -> Share:
    n = len(met)
    bound = None if met.any() else float(1.0 - 0.1 ** (1.0 / n))
    return Share(p, float(np.sqrt(p * (1.0 - p) / n)), n, bound)


def share(met: NDArray[np.bool_]) -> Share:
    """The share of trials (trial,) in which ``met`` is true, k / n."""
    return _counted(float(met.mean()), met)


def tail(met: NDArray[np.bool_]) -> Share:
    """A p-value from trials (trial,) that ``met`` says to be as extreme as the data: (k + 1) / (n + 1).

    The data count as one of the experiments, so that P(p <= a) <= a for any number of trials drawn from the truth;
    trials drawn from a fit promise it only as far as the fit is the truth (Phipson and Smyth 2010,
    Stat. Appl. Genet. Mol. Biol. 9, 39).
    """
    return _counted(float((met.sum() + 1.0) / (len(met) + 1.0)), met)


def exceeded_by(values: Floats, upper: float) -> tuple[float, float]:
    """The value that a part ``upper`` of trials (trial,) exceeds, and its error.

    The error is half of what lies between the values that one binomial error more and less exceed.
    """
    off = np.sqrt(upper * (1.0 - upper) / len(values))
    low, here, high = np.quantile(values, 1.0 - np.clip([upper + off, upper, upper - off], 0.0, 1.0))
    return float(here), float(high - low) / 2.0


@dataclass(frozen=True, slots=True, eq=False)
class JointBias:
    """What joint fits of pseudo-experiments say about each norm, (j,) each.

    mean, mean_error, median, median_error of the fitted n_s; deviation its standard deviation.
    coverage, coverage_error : how often the fit is within its own error of the truth.
    coverage_corrected : the same once fit and error are divided by median / injected; of the plain fit where nothing
        was injected.
    needed, needed_error : how many of their own errors hold the truth in 68.3 % of these corrected fits.
    correlation, correlation_error (j, j) : of the fitted norms; 0 where one of them never differs.
    """

    n_injected: Floats
    mean: Floats
    mean_error: Floats
    median: Floats
    median_error: Floats
    deviation: Floats
    coverage: Floats
    coverage_error: Floats
    coverage_corrected: Floats
    needed: Floats
    needed_error: Floats
    correlation: Floats
    correlation_error: Floats
    n_trials: int


def joint_bias(n_injected: Floats, n_fitted: Floats, errors: Floats) -> JointBias:
    """Bias, coverage and correlation of fits; n_injected (j,), n_fitted and errors (trial, j)."""
    n = len(n_fitted)
    deviation, median = n_fitted.std(axis=0, ddof=1), np.median(n_fitted, axis=0)
    known = (n_injected > 0.0) & (median > 0.0)
    factor = np.where(known, median / np.where(known, n_injected, 1.0), 1.0)
    held = np.abs(n_fitted - n_injected) <= errors
    pulls = np.abs(n_fitted - factor * n_injected) / np.maximum(errors, 1e-300)
    needed = np.array([exceeded_by(pull, 1.0 - ONE_SIGMA) for pull in pulls.T])
    coverage = held.mean(axis=0)
    moved = n_fitted - n_fitted.mean(axis=0)
    size = np.where(deviation > 0.0, deviation, np.inf)
    correlation = moved.T @ moved / (n - 1) / np.outer(size, size)
    np.fill_diagonal(correlation, 1.0)
    return JointBias(
        n_injected,
        n_fitted.mean(axis=0),
        deviation / np.sqrt(n),
        median,
        # That of normal fits, as in the bias curve of one hypothesis.
        np.sqrt(np.pi / 2.0) * deviation / np.sqrt(n),
        deviation,
        coverage,
        np.sqrt(coverage * (1.0 - coverage) / n),
        (pulls <= 1.0).mean(axis=0),
        needed[:, 0],
        needed[:, 1],
        correlation,
        (1.0 - correlation**2) / np.sqrt(n - 1),
        n,
    )


@dataclass(frozen=True, slots=True)
class Estimate:
    """What experiments with known truths say of a fitted number: best value, and the ends of its 68 % interval."""

    best: float
    low: float
    high: float


def recentred(fitted: float, truth: float, fits: Floats, *, lowest: float, highest: float) -> Estimate:
    """A fit less the median deviation of fits (trial,) from one truth; its interval from their 16 and 84 %.

    The basic bootstrap: fits are taken to deviate from the truth of the data as those of experiments do from theirs,
    which is why that should be close to the fit.  lowest, highest : bounds of fit and truth.  Where 16 % of the fits
    lie at a bound, how far they would fall is not seen, and the deviation on the other side stands for it; where they
    do at both, or the truth lies on the wrong side, nothing is known and the interval reaches from bound to bound.
    """
    low, middle, high = np.quantile(fits, [0.16, 0.5, 0.84])
    best, cut = float(np.clip(fitted - middle + truth, lowest, highest)), (low <= lowest, high >= highest)
    if all(cut) or (any(cut) and not low <= truth <= high):
        return Estimate(best, lowest, highest)
    below, above = low - truth, high - truth
    below, above = (-above if cut[0] else below), (-below if cut[1] else above)
    return _around(best, *(float(end) for end in np.clip([fitted - above, fitted - below], lowest, highest)))


def inverted(fitted: float, truths: Floats, fits: Floats) -> Estimate:
    """The truths that give a fit as the median, and as the 84 and 16 %, of experiments: Neyman's construction.

    truths (step,) 0 or more, not falling; fits (step, trial) of experiments with each.  Quantiles are made to rise with
    the truth, are linear between the steps, and go on as between the outermost two, also where fits are held at 0;
    truths end at 0.
    """
    levels = np.maximum.accumulate(np.quantile(fits, [0.84, 0.5, 0.16], axis=1), axis=1)
    last = np.append(np.diff(truths) > 0.0, True)  # of steps with the same truth, as those that end at 0
    truths, levels = truths[last], levels[:, last]
    low, best, high = (_truth_of(fitted, truths, _unheld(truths, level)) for level in levels)
    return _around(best, low, high)


def _around(best: float, low: float, high: float) -> Estimate:
    """An interval that holds its best value: where truths hardly change the fits, quantiles cross by chance."""
    return Estimate(best, min(low, best), max(high, best))


def _unheld(truths: Floats, level: Floats) -> Floats:
    """Quantiles (step,) whose zeros before the first two positive ones are put on the line through those."""
    first = int(np.argmax(level > 0.0))
    if first == 0 or first + 1 >= len(level):
        return level
    slope = (level[first + 1] - level[first]) / (truths[first + 1] - truths[first])
    line = level[first] + slope * (truths[:first] - truths[first])
    return np.concatenate([np.minimum(line, 0.0), level[first:]])


def _truth_of(fitted: float, truths: Floats, level: Floats) -> float:
    """The largest truth whose quantile, ``level`` (step,), does not lie above a fit; 0 where all do."""
    kept = np.append(np.diff(level) > 0.0, True)
    x, y = truths[kept], level[kept]
    if len(x) == 1 or y[0] <= fitted <= y[-1]:
        return float(np.interp(fitted, y, x))
    a, b = (0, 1) if fitted < y[0] else (-2, -1)
    return max(0.0, float(x[b] + (x[b] - x[a]) / (y[b] - y[a]) * (fitted - y[b])))


def as_large(values: Floats, observed: float) -> Share:
    """p-value of a test statistic, or of a difference of two: how often experiments (trial,) have as much."""
    return tail(values >= observed - TS_TOLERANCE)
