"""The ensembles that several questions share, background to a precision and signal to a reach, and chances of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nuanalysis import trials
from nuanalysis.deferred import scipy
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Injections, Problem, Scrambles, run
from nuanalysis.engine.executors import Threads
from nuanalysis.errors import PrecisionError
from nuanalysis.records import Chance, Measured, Scope, Unknown, certain
from nuanalysis.response import NONE, Systematics
from nuanalysis.schema import Floats
from nuanalysis.trials.streams import Stream, seed_of

T = TypeVar("T")
Tails = Callable[[Floats, Floats], list[NDArray[np.bool_]]]
LOCAL = "of this hypothesis alone, not corrected for others that were asked"
METHOD = "right-ascension scrambles, mixture of tilted ensembles weighted back to the null"
PRECISION = 0.05  # relative statistical error of a p-value that is asked for
MOST_TRIALS = 2_000_000  # as many as are run without being asked for
_LEAST_TRIALS = 1000
_ROUNDS = 4
FEW = 12  # hypotheses for which a pilot is worth its cost
_LIST_TRIALS = 2000
REACH_TS = 34.0  # 5 sigma with a free index, and a little
INJECTED_REACH = 7.0  # standard deviations of n_s
MOST_REACH = 40.0
_DOUBLINGS = 3  # of the range of injections, where they do not reach
_NEARLY_ALWAYS = 0.95  # of the strongest injected skies lie above what a 90 % limit asks for


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a p-value is asked for: relative error, trials (0: as many as that takes), smearing in deg.

    precision : inf for whatever the trials give.
    """

    precision: float = PRECISION
    n_trials: int = 0
    smear_declination: float = 0.0

    @property
    def smear(self) -> float:
        """The smearing in rad."""
        return math.radians(self.smear_declination)


def or_reason(work: Callable[..., T], *args: Any) -> T | Unknown:
    """What the work returns, or why its trials do not give it."""
    try:
        return work(*args)
    except PrecisionError as error:
        return Unknown(reason=str(error))


def or_nan(value: float | Unknown | None) -> float:
    """The number; NaN for what is not known."""
    return math.nan if value is None or isinstance(value, Unknown) else value


def scrambles(problem: Problem, n: int, reach_ts: float, bench: Bench) -> xr.Dataset:
    """Background trials that cover test statistics up to ``reach_ts``."""
    # Round upwards so that slightly different requests share one ensemble.
    reach = 9.0 * np.ceil(max(reach_ts, 1.0) / 9.0)
    tilts = trials.choose_tilts(problem.prepared, float(reach), problem.seed)
    return run((problem,), Scrambles(seed_of(problem.seed, Stream.SCRAMBLES), n, tilts), bench)


def plain_scrambles(problem: Problem, n: int, bench: Bench) -> xr.Dataset:
    """Scrambles that are not tilted, for the background median: a mixture for far tails holds a twentieth of them."""
    return run((problem,), Scrambles(seed_of(problem.seed, Stream.PLAIN_SCRAMBLES), n), bench)


def median_of(plain: xr.Dataset) -> trials.Threshold:
    """The TS that half of the plain scrambles exceed."""
    return trials.threshold(plain["ts"].values, trials.MEDIAN)


def sigma_threshold(background: xr.Dataset, sigma: float) -> trials.Threshold:
    """The TS of a local significance from weighted trials.  Raises PrecisionError where they do not reach it."""
    return trials.sigma_threshold(background["ts"].values, background["log_weight"].values, sigma)


def columns_of(found: xr.Dataset, n: int) -> tuple[Floats, Floats]:
    """TS (trial, hypothesis) and log-weight (trial,) of correlated scrambles."""
    names = [f"ts_{k}" for k in range(n)] if n > 1 else ["ts"]
    return np.stack([found[name].values for name in names], axis=1), found["log_weight"].values


def _tail_error(met: NDArray[np.bool_], log_weight: Floats) -> float:
    """Relative error of the probability of a tail; 1 where the ensemble hardly reaches it."""
    weight = np.where(met, np.exp(log_weight), 0.0)
    p = float(weight.mean())
    return min(float(weight.std(ddof=1)) / (p * np.sqrt(len(weight))), 1.0) if p > 0 else 1.0


def _enough(problems: tuple[Problem, ...], seen: Floats, tails: Tails, wanted: Wanted, bench: Bench) -> xr.Dataset:
    """An ensemble large enough for the precision, as far as its mixture serves; grown in rounds from a first guess.

    Mixture and guess come from a pilot; those of a long list from its test statistics.  seen (hypothesis,) TS.
    tails : the trials that lie in each tail, from TS (trial, hypothesis) and log-weights (trial,).
    """
    prepared = tuple(p.prepared for p in problems)
    if len(problems) > FEW:
        tilts, guess = trials.list_tilts(prepared, seen), float(_LIST_TRIALS)
    else:
        # A pilot is too short to be sent to other processes; threads share it.
        order = bench.executor.map if isinstance(bench.executor, Threads) else trials.in_turn
        pilot = trials.pilot(prepared, problems[0].seed, np.full(len(seen), seen.max()), wanted.smear, order)
        tilts, variance = trials.mixture(pilot, np.stack(tails(pilot.ts, pilot.log_weight)))
        guess = float(variance.max()) / wanted.precision**2
    n = wanted.n_trials or int(np.clip(1.1 * guess, _LEAST_TRIALS, MOST_TRIALS))
    seed = seed_of(problems[0].seed, Stream.SCRAMBLES)
    for _ in range(_ROUNDS):
        found = run(problems, Scrambles(seed, n, tilts, wanted.smear), bench)
        ts, log_weight = columns_of(found, len(problems))
        error = max(_tail_error(met, log_weight) for met in tails(ts, log_weight))
        if wanted.n_trials or error <= wanted.precision or n >= MOST_TRIALS or found.sizes["trial"] < n:
            break
        n = int(np.clip(n * min(1.15 * (error / wanted.precision) ** 2, 8.0), n + 1, MOST_TRIALS))
    return found


def p_value_ensemble(problem: Problem, ts: float, wanted: Wanted, bench: Bench) -> xr.Dataset:
    """Background trials from the mixture that is best for this test statistic, found by a pilot."""
    return _enough((problem,), np.array([ts]), lambda found, _: [found[:, 0] >= ts], wanted, bench)


def together_ensemble(problems: tuple[Problem, ...], seen: Floats, wanted: Wanted, bench: Bench) -> xr.Dataset:
    """Correlated scrambles for the global p-value of the best of several hypotheses, and the local one of that.

    seen (hypothesis,) TS.
    """

    def tails(ts: Floats, log_weight: Floats) -> list[NDArray[np.bool_]]:
        best = trials.best_of(ts, np.exp(log_weight), seen)
        extreme = trials.as_extreme(ts, np.exp(log_weight), best, float(seen[best]))
        return [extreme, ts[:, best] >= seen[best]]

    return _enough(problems, seen, tails, wanted, bench)


def injections(problem: Problem, n: int, reach: float, bench: Bench, systematics: Systematics = NONE) -> xr.Dataset:
    """Injection trials from 0 to ``reach`` standard deviations of n_s."""
    return injections_at(problem, n, trials.injection_grid(problem.prepared, reach), bench, systematics)


def injections_at(
    problem: Problem, n: int, means: tuple[float, ...], bench: Bench, systematics: Systematics = NONE
) -> xr.Dataset:
    """Injection trials of these mean events."""
    stretch = round(trials.bias_factor(problem.prepared), 3)
    plan = Injections(seed_of(problem.seed, Stream.INJECTIONS), n, means, stretch, systematics)
    return run((problem,), plan, bench)


def reach_ts(sigma: float) -> float:
    """TS that background trials must cover for a threshold of ``sigma``; a free index needs more than sigma^2."""
    return sigma**2 + 9.0


def reach_strength(sigma: float) -> float:
    """Standard deviations of n_s to inject so that half of the experiments reach ``sigma``."""
    return float(max(INJECTED_REACH, np.ceil(1.15 * sigma + 2.0)))


def injections_reaching(problem: Problem, background: xr.Dataset, n: int, sigma: float, bench: Bench) -> xr.Dataset:
    """Injection trials up to a strength at which half of the skies reach a local significance.

    The expected standard deviation of n_s may be that of one rare event, far below what a typical sky has: the range
    is doubled, up to three times, where the strongest skies do not reach.
    """
    return _lifting(problem, n, reach_strength(sigma), bench, quantile_of(background, sigma), 0.5)[0]


def injections_for_limit(
    problem: Problem, median: trials.Threshold, ts: float, n: int, reach: float, bench: Bench
) -> tuple[xr.Dataset, float]:
    """Injection trials up to a strength that nearly always gives more than the limit of a fit asks for, and its reach.

    median : of background skies; ts : of the fit.  The range is doubled, up to three times, as in
        ``injections_reaching``.
    """
    return _lifting(problem, n, reach, bench, max(ts, median.ts), _NEARLY_ALWAYS)


def _lifting(
    problem: Problem, n: int, reach: float, bench: Bench, threshold: float, part: float
) -> tuple[xr.Dataset, float]:
    """Injections whose strongest lie above a threshold in TS in ``part`` of the skies, and their reach."""
    found = injections(problem, n, reach, bench)
    for _ in range(_DOUBLINGS):
        injected = found["n_injected"].values
        if np.quantile(found["ts"].values[injected == injected.max()], 1.0 - part) > threshold:
            break
        reach *= 2.0
        bench.progress(f"injections up to {injected.max():.3g} events do not reach TS {threshold:.3g}; twice as many")
        found = injections(problem, n, reach, bench)
    return found, reach


def spread_of(problem: Problem) -> float:
    """Standard deviation of n_s without signal, with the spectrum of quoted fluxes."""
    return float(trials.uncertainty(problem.prepared)[trials.flux_node(problem.prepared)])


def quantile_of(background: xr.Dataset, sigma: float) -> float:
    """The TS of a local significance without its error, to place trials by, however few there are."""
    p = float(scipy.special.ndtr(-sigma))
    return trials.weighted_quantile(background["ts"].values, background["log_weight"].values, p)


def chance_of(background: xr.Dataset, ts: float, *, precision: float = math.inf) -> Chance:
    """Local p-value of a test statistic from weighted trials.  Raises PrecisionError where they do not reach it."""
    if ts <= 0.0:
        return certain()
    found = trials.p_value(background["ts"].values, background["log_weight"].values, ts, precision)
    return weighted(found, LOCAL, not_converged=int((background["converged"].values < 1).sum()))


def weighted(
    found: trials.PValue | trials.GlobalPValue, of: str, *, scope: Scope = "local", not_converged: int = 0
) -> Chance:
    """A p-value from weighted trials."""
    return Chance(
        p=found.p, error=found.p_error, n_trials=found.n_trials, ess=found.ess, scope=scope, of=of, method=METHOD,
        not_converged=not_converged,
    )  # fmt: skip


def value_and_error(found: Chance | Measured | Unknown) -> tuple[float, float]:
    """A value, or p-value, and its error; NaN for what is not known."""
    if isinstance(found, Unknown):
        return math.nan, math.nan
    return found.p if isinstance(found, Chance) else found.value, or_nan(found.error)


def said(chance: Chance | Unknown) -> str:
    """A p-value in a sentence, which names it where it is not known."""
    return f"p-value {chance.words()}" if isinstance(chance, Unknown) else chance.words()


def counted(found: trials.Share, of: str, method: str = "", scope: Scope = "local") -> Chance:
    """A share of plain trials, with its bound where none was counted."""
    return Chance(
        p=found.p,
        error=found.error,
        n_trials=found.n_trials,
        bound=found.upper_bound,
        of=of,
        method=method,
        scope=scope,
    )
