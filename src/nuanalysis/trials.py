"""Ensembles: right-ascension scrambles (plain and tilted), injected signal, and what is read from them.

Trial i is a pure function of (problem, plan, seed, i), the plan being its tilts or injected strengths.
A tilted scramble draws the right ascension of event i from
r_i = 1 + (n*/N) x_i, which has mean 1 over right ascension; the exact weight back to the null is the product of
1/r_i, that is L(0) / L(n*).  With a mixture of tilts, shares a_k, the weight is 1 / sum_k a_k L(n_k) / L(0) (balance
heuristic).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from scipy.special import log_ndtr, logsumexp
from scipy.stats import norm

from nuanalysis import simulate
from nuanalysis.errors import InputError, PrecisionError
from nuanalysis.likelihood import maximise, maximise_at, scan
from nuanalysis.likelihood._kernels import ceiling_of, log_ratio
from nuanalysis.model import Prepared, Terms, energy_terms
from nuanalysis.model._background import background, cells
from nuanalysis.model._kernels import draw_uniform, trial_key
from nuanalysis.model._prepare import PreparedSample, join
from nuanalysis.model._space import place
from nuanalysis.sky._records import PowerLaw

Floats = NDArray[np.float64]
SCRAMBLE_COLUMNS = ("ts", "n_signal", "index", "log_weight", "converged")
INJECTION_COLUMNS = ("n_injected", "ts", "n_signal", "index", "tau", "converged")
_GOLDEN = 0.6180339887498949
_TILT_INDEX = (1.2, 2.0, 2.6, 3.2, 3.8)  # a free index fluctuates anywhere in [1, 4]
FIVE_SIGMA = float(norm.sf(5.0))


@dataclass(frozen=True, slots=True)
class Tilt:
    """One part of a mixture of scrambles: signal strength n_signal at a spectral node, and its share of the trials."""

    n_signal: float
    node: int
    share: float


PLAIN = (Tilt(0.0, 0, 1.0),)


# --- scrambles -----------------------------------------------------------------------------------------------------


def _scaled_energy(prepared: Prepared, part: PreparedSample, node: int) -> Floats:
    """Energy term of the active events with the sample's share of the signal folded in, as in join()."""
    return np.asarray(part.energy.at(node) * (part.share[node] * prepared.n_events / len(part.where.fine)))


def scrambled(prepared: Prepared, seed: int, trial: int, tilt: Tilt) -> Terms:
    """Terms of one scramble of all samples; the same for any caller."""
    differences = []
    for stream, part in enumerate(prepared.parts):
        key = np.uint64(trial_key(seed, trial, stream))
        u = np.empty(len(part.active))
        if tilt.n_signal == 0.0:
            draw_uniform(key, u)
        else:
            strength = tilt.n_signal / prepared.n_events * _scaled_energy(prepared, part, tilt.node)
            part.lookup.tilt(key, strength, prepared.mixing[tilt.node], u)
        differences.append(part.lookup.at(u) - part.lookup.mean)
    return join(prepared, differences, [p.energy for p in prepared.parts], [len(p.where.fine) for p in prepared.parts])


def _log_weight(terms: Terms, tilts: tuple[Tilt, ...]) -> float:
    """Log of 1 / sum_k a_k L(n_k) / L(0)."""
    logs = []
    for node in {t.node for t in tilts}:
        x = terms.x(node)
        for tilt in tilts:
            if tilt.node == node:
                ratio = log_ratio(x, tilt.n_signal / terms.n_events) if tilt.n_signal else 0.0
                logs.append(np.log(tilt.share) + ratio)
    return -float(logsumexp(logs))


def _component(trial: int, tilts: tuple[Tilt, ...]) -> Tilt:
    """The tilt of a trial: a low-discrepancy sequence, so that any run of trials holds the shares closely."""
    edges = np.cumsum([t.share for t in tilts])
    return tilts[
        min(int(np.searchsorted(edges, (trial + 0.5) * _GOLDEN % 1.0 * edges[-1], side="right")), len(tilts) - 1)
    ]


def scramble_trials(prepared: Prepared, seed: int, first: int, last: int, tilts: tuple[Tilt, ...] = PLAIN) -> Floats:
    """Trials first..last-1 as rows of SCRAMBLE_COLUMNS, (trial, 5)."""
    if abs(sum(t.share for t in tilts) - 1.0) > 1e-9:
        raise InputError(f"the shares of the tilts sum to {sum(t.share for t in tilts):g}; expected 1")
    rows = np.empty((last - first, len(SCRAMBLE_COLUMNS)))
    for row, trial in zip(rows, range(first, last), strict=True):
        terms = scrambled(prepared, seed, trial, _component(trial, tilts))
        fit = maximise(terms)
        row[:] = fit.ts, fit.n_signal, fit.index, _log_weight(terms, tilts) if tilts != PLAIN else 0.0, fit.converged
    return rows


def uncertainty(prepared: Prepared) -> Floats:
    """Expected standard deviation of n_s under the null at each spectral node, (node,), from one plain scramble."""
    terms = scrambled(prepared, 0, 0, PLAIN[0])
    return np.array(
        [terms.n_events / np.sqrt(max(float((terms.x(g) ** 2).sum()), 1e-300)) for g in range(len(terms.index))]
    )


def choose_tilts(prepared: Prepared, ts: float) -> tuple[Tilt, ...]:
    """A mixture that covers test statistics from 0 to ``ts``: n* in steps of 1.5 standard deviations, n* = 0 included.

    With a free index the tilts are spread over five indices.  A tilt is kept below the strength at which some
    density would come near zero.
    """
    spread = uncertainty(prepared)
    reach = np.sqrt(max(ts, 0.0))
    steps = np.arange(1.5, reach + 0.75, 1.5)
    nodes = [0] if len(prepared.index) == 1 else [int(np.argmin(abs(prepared.index - g))) for g in _TILT_INDEX]
    terms = scrambled(prepared, 0, 0, PLAIN[0])
    tops = {g: 0.5 * float(ceiling_of(terms.x(g))) * terms.n_events for g in nodes}
    for g in nodes:
        mean = np.concatenate(
            [prepared.mixing[g] @ p.lookup.mean * _scaled_energy(prepared, p, g) for p in prepared.parts]
        )
        tops[g] = min(tops[g], 0.5 * terms.n_events / max(float(mean.max(initial=0.0)), 1e-300))
    wanted = [(min(t * spread[g], tops[g]), g) for t in steps for g in nodes]
    if not wanted:
        return PLAIN
    share = 0.7 / len(wanted)
    return (Tilt(0.0, nodes[0], 0.3), *(Tilt(float(n), g, share) for n, g in wanted))


# --- p-values ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PValue:
    """Probability under the null of a test statistic at least as large; local; sigma is one-sided.

    ess : effective number of trials beyond the test statistic.
    """

    ts: float
    p: float
    p_error: float
    sigma: float
    sigma_error: float
    n_trials: int
    ess: float


def p_value(ts: Floats, log_weight: Floats, observed: float) -> PValue:
    """Estimate p and its statistical error from an ensemble, (trial,) each.

    Raises PrecisionError where fewer than ten effective trials lie beyond the observed value.
    """
    if observed <= 0.0:
        return PValue(observed, 1.0, 0.0, -np.inf, 0.0, len(ts), float(len(ts)))
    weight = np.where(ts >= observed, np.exp(log_weight), 0.0)
    p, square = float(weight.mean()), float((weight**2).sum())
    ess = float(weight.sum()) ** 2 / square if square > 0 else 0.0
    if ess < 10.0:
        raise PrecisionError(
            f"{ess:.1f} effective trials of {len(ts)} reach TS {observed:g}; at least 10 are needed for a p-value. "
            "Ask for more trials, or let the tilts be chosen for this TS."
        )
    error = float(weight.std(ddof=1) / np.sqrt(len(ts)))
    p = min(p, 1.0)
    sigma = float(norm.isf(p))
    return PValue(observed, p, error, sigma, error / float(norm.pdf(sigma)) if p < 1 else 0.0, len(ts), ess)


def weighted_quantile(values: Floats, log_weight: Floats, upper: float) -> float:
    """Value exceeded with probability ``upper`` under the null."""
    order = np.argsort(values)[::-1]
    tail = np.cumsum(np.exp(log_weight[order])) / len(values)
    k = min(int(np.searchsorted(tail, upper)), len(values) - 1)
    return float(values[order[k]])


# --- injection -----------------------------------------------------------------------------------------------------


def flux_node(prepared: Prepared) -> int:
    """The spectral node of injected signal and quoted fluxes."""
    return int(np.argmin(abs(prepared.index - prepared.hypothesis.index)))


def emissions(prepared: Prepared) -> tuple[simulate.Emission, ...]:
    """What the signal of each sample is drawn from; made once for many trials."""
    spectrum = PowerLaw(prepared.hypothesis.index)
    target = prepared.hypothesis.target
    return tuple(simulate.emission(target, part.sample.response, spectrum) for part in prepared.parts)


def injected(prepared: Prepared, sources: tuple[simulate.Emission, ...], seed: int, trial: int, n_mean: float) -> Terms:
    """Terms of one pseudo-experiment: scrambled data plus Poisson signal, background re-estimated from both."""
    rng = np.random.Generator(np.random.Philox(key=[seed, trial]))
    node = flux_node(prepared)
    differences, energies, counts = [], [], []
    for stream, (part, source) in enumerate(zip(prepared.parts, sources, strict=True)):
        n = int(rng.poisson(n_mean * part.share[node]))
        drawn = simulate.signal(source, n, rng)
        drawn = drawn.take(np.flatnonzero(part.sample.passes(drawn.declination, drawn.log10_energy)))
        u = np.empty(len(part.active))
        draw_uniform(np.uint64(trial_key(seed, trial, stream)), u)
        new = cells(drawn.declination, drawn.log10_energy, part.sample.binning)
        everything = type(new)(np.concatenate([part.where.fine, new.fine]), np.concatenate([part.where.cell, new.cell]))
        estimate = background(everything, part.groups, part.kernel)
        seen = type(new)(
            np.concatenate([part.where.fine[part.active], new.fine]),
            np.concatenate([part.where.cell[part.active], new.cell]),
        )
        there = place(part.space, drawn.declination, drawn.angular_error)
        differences.append(
            np.concatenate(
                [part.lookup.at(u) - part.lookup.mean, there.at(there.position(drawn.right_ascension)) - there.mean],
                axis=1,
            )
        )
        energies.append(energy_terms(part.signal_energy, part.groups, seen, estimate))
        counts.append(len(everything.fine))
    return join(prepared, differences, energies, counts)


def injection_trials(
    prepared: Prepared, seed: int, first: int, last: int, n_means: tuple[float, ...], stretch: float = 1.0
) -> Floats:
    """Trials first..last-1 as rows of INJECTION_COLUMNS, (trial, 6); trial i injects n_means[i modulo their number].

    tau = TS of the fit with the index held at the injected one, minus TS at ``stretch`` times the injected mean; see
    ``interval``.
    """
    rows = np.empty((last - first, len(INJECTION_COLUMNS)))
    sources, node = emissions(prepared), flux_node(prepared)
    for row, trial in zip(rows, range(first, last), strict=True):
        n_mean = n_means[trial % len(n_means)]
        terms = injected(prepared, sources, seed, trial, n_mean)
        fit = maximise(terms)
        held = maximise_at(terms, node)
        tau = held.ts - float(scan(terms, np.array([stretch * n_mean]), (node,))[0])
        row[:] = n_mean, fit.ts, fit.n_signal, fit.index, min(max(tau, 0.0), 1e6), fit.converged
    return rows


def bias_factor(prepared: Prepared, n_trials: int = 60) -> float:
    """Median of fitted over injected n_s at four standard deviations, index held; a pilot with a seed of its own."""
    node, sources = flux_node(prepared), emissions(prepared)
    strength = 4.0 * float(uncertainty(prepared)[node])
    fits = [maximise_at(injected(prepared, sources, 2**40, i, strength), node) for i in range(n_trials)]
    return float(np.median([fit.n_signal for fit in fits]) / strength)


def injection_grid(prepared: Prepared, largest: float) -> tuple[float, ...]:
    """Signal strengths to inject: 0 to ``largest`` standard deviations of n_s, denser where limits lie."""
    node = flux_node(prepared)
    sd = float(uncertainty(prepared)[node])
    steps = np.unique(
        np.concatenate([np.arange(0.0, min(4.0, largest) + 0.1, 0.5), np.arange(5.0, largest + 0.1, 1.0)])
    )
    return tuple(float(s * sd) for s in steps)


@dataclass(frozen=True, slots=True)
class Strength:
    """A signal strength in mean injected events, with its statistical error."""

    n_signal: float
    error: float


def strength_for(n_injected: Floats, ts: Floats, *, threshold: float, fraction: float) -> Strength:
    """Mean injected events for which ``fraction`` of the experiments exceed the threshold.

    The fraction is fitted to all experiments as Phi(a + b n + c n^2) by maximum likelihood; the error follows from
    the expected information of the fit.  Raises PrecisionError if the answer lies beyond the injected range.
    """
    scale = max(float(n_injected.max()), 1e-300)
    design = np.stack([np.ones(len(ts)), n_injected / scale, (n_injected / scale) ** 2])
    hit = np.where(ts > threshold, 1.0, -1.0)

    def loss(p: Floats) -> float:
        return -float(log_ndtr(hit * (p @ design)).sum()) + 1e-3 * float(p @ p)

    fit = minimize(loss, np.array([-1.0, 3.0, 0.0]), method="BFGS")
    target = float(norm.ppf(fraction))

    def gap(s: float) -> float:
        return float(fit.x @ np.array([1.0, s, s * s])) - target

    grid = np.linspace(0.0, 1.0, 201)
    values = np.array([gap(s) for s in grid])
    crossing = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    if values[0] >= 0 or not len(crossing):
        where = "below the smallest" if values[0] >= 0 else "beyond the largest"
        raise PrecisionError(
            f"the strength at which {fraction:.0%} exceed TS {threshold:g} lies {where} "
            f"injected strength ({scale:.3g} events); inject over a wider range"
        )
    s = float(brentq(gap, grid[crossing[0]], grid[crossing[0] + 1]))
    slope = fit.x[1] + 2 * fit.x[2] * s
    v = np.array([1.0, s, s * s])
    z = fit.x @ design
    weight = np.exp(2 * norm.logpdf(z) - log_ndtr(z) - log_ndtr(-z))
    information = (design * weight) @ design.T + 2e-3 * np.eye(3)  # the second term is that of the pull in the loss
    return Strength(s * scale, float(np.sqrt(v @ np.linalg.solve(information, v)) / slope * scale))


def critical_values(n_injected: Floats, tau: Floats, level: float) -> tuple[Floats, Floats]:
    """Injected strengths and the tau that ``level`` of the experiments stay below, (strength,) both.

    Each strength above zero borrows the experiments of its two neighbours: tau hardly changes from one to the next.
    """
    strengths = np.unique(n_injected)
    out = []
    for k, n in enumerate(strengths):
        near = strengths[max(1, k - 1) : k + 2] if n > 0 else strengths[:1]
        out.append(np.quantile(tau[np.isin(n_injected, near)], level))
    return strengths, np.array(out)


def interval(
    terms: Terms, best_ts: float, n_injected: Floats, tau: Floats, *, stretch: float, level: float, node: int = 0
) -> tuple[float, float]:
    """Signal strengths whose observed tau is at most what ``level`` of the experiments at that strength give.

    Neyman construction with likelihood-ratio ordering (Feldman and Cousins 1998), tau = TS(best) - TS(stretch n) at
    the spectral node of the flux, where ``best_ts`` is the maximum too: an interval for the strength of that spectrum;
    ``stretch`` moves the ordering onto the biased fit and is the same for data and trials, so coverage holds for any
    value of it.  Critical values are interpolated between injected strengths, and constant below the smallest
    above zero.  0 belongs to the interval when its own critical value accepts it.
    Raises PrecisionError where the interval reaches the largest injected strength.
    """
    strengths, critical = critical_values(n_injected, tau, level)
    grid = np.linspace(0.0, float(strengths[-1]), 801)
    some = strengths > 0
    allowed = np.interp(grid, strengths[some], critical[some])
    if not some[0]:
        allowed[0] = critical[0]
    inside = grid[best_ts - scan(terms, stretch * grid, (node,)) <= allowed]
    if not len(inside):
        raise PrecisionError(
            "no injected strength of this spectrum is compatible with the fit; inject over a wider range"
        )
    if inside[-1] == grid[-1]:
        raise PrecisionError("the interval reaches beyond the largest injected strength; inject over a wider range")
    return float(inside[0]), float(inside[-1])


def median_fit(n_injected: Floats, n_fitted: Floats) -> tuple[Floats, Floats]:
    """The bias curve: median fitted n_s at each injected strength, (strength,) both."""
    strengths = np.unique(n_injected)
    return strengths, np.array([np.median(n_fitted[n_injected == n]) for n in strengths])
