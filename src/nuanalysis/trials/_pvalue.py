"""p-values of weighted ensembles: of one hypothesis (local) and of the best of several (global)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import scipy
from nuanalysis.errors import PrecisionError
from nuanalysis.schema import Floats

LEAST_EFFECTIVE = 10.0
_RESAMPLED = 200


@dataclass(frozen=True, slots=True)
class PValue:
    """Probability under the null of a test statistic at least as large; local; sigma is one-sided.

    ess : effective number of trials beyond the test statistic, (sum w)^2 / sum w^2.
    """

    ts: float
    p: float
    p_error: float
    sigma: float
    sigma_error: float
    n_trials: int
    ess: float


def effective_trials(weight: Floats) -> float:
    """(sum w)^2 / sum w^2 of the weights (trial,) of trials that were counted, 0 for the others."""
    square = float((weight**2).sum())
    return float(weight.sum()) ** 2 / square if square > 0 else 0.0


def refuse_imprecise(what: str, ess: float, n_trials: int, relative: float = 0.0, precision: float = np.inf) -> None:
    """Raise PrecisionError, with the number of trials that would do, where trials are too few or an error too large.

    ess : effective trials that reach what is asked, ten at least.  relative : error of their share, at most
    ``precision``.
    """
    if ess >= LEAST_EFFECTIVE and relative <= precision:
        return
    wanted = min(precision, LEAST_EFFECTIVE**-0.5)
    if ess >= LEAST_EFFECTIVE:
        fault = f"their share has a relative error of {relative:.2g}, asked for {precision:.2g}"
        needed = n_trials * (relative / wanted) ** 2
    else:
        few = "no estimate" if ess == 0 else "too few for an estimate with an error"
        fault = f"{few}, at least {LEAST_EFFECTIVE:g} are needed"
        needed = n_trials / (max(ess, 0.2) * wanted**2)
    raise PrecisionError(
        f"{ess:.1f} effective trials of {n_trials} reach {what}: {fault}. "
        f"About {float(f'{1.3 * needed:.2g}'):,.0f} trials of this mixture would do."
    )


def _sigma(p: float, error: float) -> tuple[float, float]:
    sigma = float(-scipy.special.ndtri(p))
    density = np.exp(-np.square([sigma]) / 2.0) / np.sqrt(2.0 * np.pi)
    return sigma, error / float(density[0]) if 0.0 < p < 1.0 else 0.0


def p_value(ts: Floats, log_weight: Floats, observed: float, precision: float = np.inf) -> PValue:
    """Estimate p and its statistical error from an ensemble, (trial,) each.

    Raises PrecisionError where fewer than ten effective trials lie beyond the observed value, or where the relative
    error of p exceeds ``precision``; the message holds the number of trials that would do.
    """
    if observed <= 0.0:
        return PValue(observed, 1.0, 0.0, -np.inf, 0.0, len(ts), float(len(ts)))
    weight = np.where(ts >= observed, np.exp(log_weight), 0.0)
    p, ess = float(weight.mean()), effective_trials(weight)
    error = float(weight.std(ddof=1) / np.sqrt(len(ts)))
    refuse_imprecise(f"TS {observed:g}", ess, len(ts), error / p if p > 0 else np.inf, precision)
    return PValue(observed, min(p, 1.0), error, *_sigma(min(p, 1.0), error), len(ts), ess)


@dataclass(frozen=True, slots=True)
class GlobalPValue:
    """Probability under the null that any of several hypotheses has a local p-value as small as the best one here.

    best : number of the hypothesis with the smallest local p-value; local : that p-value and its error;
    trials_factor : global over local p.
    """

    best: int
    local: PValue
    p: float
    p_error: float
    sigma: float
    sigma_error: float
    trials_factor: float
    n_trials: int
    ess: float


def best_of(ts: Floats, weight: Floats, observed: Floats) -> int:
    """Number of the hypothesis with the smallest local p-value; ts (trial, hypothesis), the others as below."""
    p = (weight[:, None] * (ts >= observed)).mean(axis=0)
    return int(np.argmin(np.where(observed > 0.0, p, 1.0)))


def as_extreme(ts: Floats, weight: Floats, best: int, observed: float) -> NDArray[np.bool_]:
    """Which trials hold, for any hypothesis, a local p-value as small as ``observed`` has for ``best``, (trial,).

    ts (trial, hypothesis), weight (trial,).  Local p-values of trials are read off the same ensemble.
    """
    met = np.asarray(ts[:, best] >= observed)
    p_best = float((weight * met).mean())
    for h in range(ts.shape[1]):
        if h == best:
            continue
        order = np.argsort(ts[:, h])[::-1]
        tail = np.cumsum(weight[order]) / len(weight)
        inside = order[: int(np.searchsorted(tail, p_best * (1 + 1e-12), side="right"))]
        met[inside] |= ts[inside, h] > 0.0
    return met


def global_p_value(ts: Floats, log_weight: Floats, observed: Floats, precision: float = np.inf) -> GlobalPValue:
    """Estimate the global p-value of the best of several hypotheses from correlated trials.

    ts (trial, hypothesis), log_weight (trial,), observed (hypothesis,).  The error comes from resampling the trials:
    it holds that of the local p-values that define "as extreme".  Raises PrecisionError as ``p_value``.
    """
    weight, n = np.exp(log_weight), len(log_weight)
    best = best_of(ts, weight, observed)
    local = p_value(ts[:, best], log_weight, float(observed[best]), precision)
    if local.p >= 1.0:
        return GlobalPValue(best, local, 1.0, 0.0, -np.inf, 0.0, 1.0, n, local.ess)
    beaten = float(observed[best])
    met = as_extreme(ts, weight, best, beaten)
    p, ess = float((weight * met).mean()), effective_trials(weight * met)
    rng = np.random.default_rng(0)
    resampled = []
    for _ in range(_RESAMPLED):
        again = weight * rng.poisson(1.0, n).astype(np.float64)
        resampled.append(float((again * as_extreme(ts, again, best, beaten)).mean()))
    error = float(np.std(resampled, ddof=1))
    refuse_imprecise("the global p-value", ess, n, error / p, precision)
    p = min(p, 1.0)
    return GlobalPValue(best, local, p, error, *_sigma(p, error), p / local.p, n, ess)


def smallest_p(observed: Floats, found: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Local p-values of several statistics, and the trials whose smallest one is as small: plain trials, ties counted.

    observed (column,), found (trial, column), larger is more extreme.  Returns (column,) and (trial,).
    The data are ranked as one of the experiments, so that ``tail`` of the second is exact for any number of trials and
    for counts, of which many are equal (as ``as_extreme`` is not: it reads weighted, continuous ensembles).
    """
    rows = np.concatenate([observed[None], found])
    p = np.stack([_tie_rank(column) for column in rows.T], axis=1)
    smallest = p.min(axis=1)
    return p[0], np.asarray(smallest[1:] <= smallest[0])


def _tie_rank(values: Floats) -> Floats:
    """Share of the values that are at least as large as each, (trial,)."""
    return np.asarray(1.0 - np.searchsorted(np.sort(values), values, side="left") / len(values))
