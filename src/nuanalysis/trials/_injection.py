"""Pseudo-experiments with injected signal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nuanalysis import simulate
from nuanalysis.likelihood import maximise, maximise_at, scan
from nuanalysis.model import Prepared, Terms, energy_terms
from nuanalysis.model._background import background, cells
from nuanalysis.model._kernels import draw_uniform, trial_key
from nuanalysis.model._prepare import join
from nuanalysis.model._space import place
from nuanalysis.sky._records import PowerLaw
from nuanalysis.trials._mixture import uncertainty

Floats = NDArray[np.float64]
INJECTION_COLUMNS = ("n_injected", "ts", "n_signal", "index", "tau", "converged")


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
