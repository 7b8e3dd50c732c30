"""Pseudo-experiments with signal: injected from the response, or conditional on the events of the sample."""

from __future__ import annotations

import numpy as np

from nuanalysis import simulate
from nuanalysis.errors import InputError
from nuanalysis.likelihood import maximise, maximise_and_scan, maximise_at
from nuanalysis.model import Background, Prepared, Terms, join, place
from nuanalysis.model.kernels import draw_uniform, trial_key
from nuanalysis.response import NOMINAL, NONE, Systematics, Variation, draw_variation
from nuanalysis.schema import Floats, Ints
from nuanalysis.trials._mixture import uncertainty
from nuanalysis.trials._scrambles import Tilt, scrambled
from nuanalysis.trials.streams import OF_PROBLEMS

INJECTION_COLUMNS = ("n_injected", "ts", "n_signal", "index", "tau", "converged", "n_signal_held")
_LEAST_PILOT = 8.0  # events of the pilot of a bias


def flux_node(prepared: Prepared) -> int:
    """The spectral node of injected signal and quoted fluxes."""
    return int(np.argmin(abs(prepared.index - prepared.hypothesis.index)))


def emissions(prepared: Prepared) -> tuple[simulate.Emission, ...]:
    """What the signal of each sample is drawn from; made once for many trials."""
    spectrum = prepared.hypothesis.spectrum
    target = prepared.hypothesis.target
    return tuple(simulate.emission(target, part.sample.response, spectrum) for part in prepared.parts)


def variation_of(systematics: Systematics, seed: int, trial: int) -> Variation:
    """The detector of one trial, the same for all samples; from random numbers that nothing else uses."""
    if systematics == NONE:
        return NOMINAL
    return draw_variation(systematics, np.random.Generator(np.random.Philox(key=[seed, trial], counter=[0, 0, 1, 0])))


def signal_events(
    prepared: Prepared,
    sources: tuple[simulate.Emission, ...],
    rng: np.random.Generator,
    n_mean: float,
    varied: Variation = NOMINAL,
) -> list[simulate.Drawn]:
    """Poisson signal of one hypothesis as the detectors see it, less what the user's cuts remove; one entry a sample.

    n_mean : mean signal events of the nominal detector.
    """
    node, out = flux_node(prepared), []
    for part, source in zip(prepared.parts, sources, strict=True):
        n = int(rng.poisson(n_mean * part.share[node] * simulate.relative_rate(source, varied)))
        drawn = simulate.signal(source, n, rng, varied)
        out.append(drawn.take(np.flatnonzero(part.sample.passes(drawn.declination, drawn.log10_energy))))
    return out


def backgrounds(prepared: Prepared, drawn: list[simulate.Drawn]) -> list[Background]:
    """The background of each sample estimated from its own events and the drawn ones; the same for any hypothesis."""
    out = []
    for part, new in zip(prepared.parts, drawn, strict=True):
        more = part.densities.where(new.declination, new.log10_energy, new.angular_error)
        out.append(part.densities.background(part.counts + part.densities.counted(more)))
    return out


def with_signal(
    prepared: Prepared, scrambled_at: list[Floats], drawn: list[simulate.Drawn], estimates: list[Background]
) -> Terms:
    """Terms of scrambled events and drawn ones; one entry a sample.

    scrambled_at : right ascension / 2 pi of the active events of each sample, (active event,).
    """
    differences, energies = [], []
    for part, u, signal, estimate in zip(prepared.parts, scrambled_at, drawn, estimates, strict=True):
        new = part.densities.where(signal.declination, signal.log10_energy, signal.angular_error)
        there = place(part.space, part.seen(signal.declination, signal.angular_error, new))
        differences += [part.lookup.difference_at(u), there.difference_at(there.position(signal.right_ascension))]
        energies += [part.densities.terms(where, estimate) for where in (part.where, new)]
    return join(prepared, differences, energies, tuple(map(len, drawn)))


def injected(
    prepared: Prepared,
    sources: tuple[simulate.Emission, ...],
    seed: int,
    trial: int,
    n_mean: float,
    systematics: Systematics = NONE,
) -> Terms:
    """Terms of one pseudo-experiment: scrambled data plus Poisson signal, background re-estimated from both.

    n_mean : mean signal events of the nominal detector.
    systematics : the signal is that of one varied detector; the analysis keeps the nominal response.
    """
    return experiment(prepared, sources, seed, trial, n_mean, systematics)[0]


def experiment(
    prepared: Prepared,
    sources: tuple[simulate.Emission, ...],
    seed: int,
    trial: int,
    n_mean: float,
    systematics: Systematics = NONE,
) -> tuple[Terms, Ints]:
    """``injected``, and the first event of each sample among the terms with their number behind, (sample + 1,)."""
    rng = np.random.Generator(np.random.Philox(key=[seed, trial]))
    drawn = signal_events(prepared, sources, rng, n_mean, variation_of(systematics, seed, trial))
    scrambled_at = [np.empty(len(part.active)) for part in prepared.parts]
    for stream, u in enumerate(scrambled_at):
        draw_uniform(np.uint64(trial_key(seed, trial, stream)), u)
    sizes = [len(u) + len(new) for u, new in zip(scrambled_at, drawn, strict=True)]
    return with_signal(prepared, scrambled_at, drawn, backgrounds(prepared, drawn)), np.cumsum([0, *sizes])


def _row(terms: Terms, node: int, n_mean: float, stretch: float) -> tuple[float, ...]:
    """One row of INJECTION_COLUMNS."""
    held, ts = maximise_and_scan(terms, node, np.array([stretch * n_mean]))
    fit = maximise(terms) if len(terms.index) > 1 else held
    tau = held.ts - float(ts[0])
    return n_mean, fit.ts, fit.n_signal, fit.index, min(max(tau, 0.0), 1e6), fit.converged, held.n_signal


def injection_trials(
    prepared: Prepared,
    seed: int,
    first: int,
    last: int,
    n_means: tuple[float, ...],
    stretch: float = 1.0,
    systematics: Systematics = NONE,
) -> Floats:
    """Trials first..last-1 as rows of INJECTION_COLUMNS, (trial, 7); trial i injects n_means[i modulo their number].

    n_signal_held = n_s fitted with the index held at the injected one; tau = TS of that fit minus TS at ``stretch``
    times the injected mean, see ``interval``.
    systematics : every trial has a varied detector of its own, so that what is read from the trials contains it.
    """
    rows = np.empty((last - first, len(INJECTION_COLUMNS)))
    sources, node = emissions(prepared), flux_node(prepared)
    for row, trial in zip(rows, range(first, last), strict=True):
        n_mean = n_means[trial % len(n_means)]
        row[:] = _row(injected(prepared, sources, seed, trial, n_mean, systematics), node, n_mean, stretch)
    return rows


def conditional_limit(prepared: Prepared) -> float:
    """Largest strength at which every tilted density stays positive."""
    node = flux_node(prepared)
    tops = [
        (prepared.mixing[node] @ p.lookup.mean * p.energy.at(node) * p.share[node] / p.n_events).max(initial=0.0)
        for p in prepared.parts
    ]
    return 0.99 / max(float(max(tops)), 1e-300)


def conditional_trials(
    prepared: Prepared, seed: int, first: int, last: int, n_means: tuple[float, ...], stretch: float = 1.0
) -> Floats:
    """Tilted scrambles read as injection, rows of INJECTION_COLUMNS like ``injection_trials``.

    The sample keeps its declinations, energies, angular errors and number of events, and n_s of them come from the
    signal as the likelihood models it, so n_s is fitted without bias.  Plain injection draws new events from the
    response, whose point spread is not the likelihood's.  Where the two agree is measured in
    docs/decisions/0011-injection-and-intervals.md.
    Raises InputError beyond ``conditional_limit``.
    """
    limit = conditional_limit(prepared)
    if max(n_means) > limit:
        raise InputError(f"a tilt of {max(n_means):.4g} events makes a density negative; at most {limit:.4g} here")
    node = flux_node(prepared)
    rows = np.empty((last - first, len(INJECTION_COLUMNS)))
    for row, trial in zip(rows, range(first, last), strict=True):
        n_mean = n_means[trial % len(n_means)]
        row[:] = _row(scrambled(prepared, seed, trial, Tilt(n_mean, node, 1.0)), node, n_mean, stretch)
    return rows


def bias_factor(prepared: Prepared, n_trials: int = 60) -> float:
    """Median of fitted over injected n_s at four standard deviations, index held; a pilot with a seed of its own.

    At eight events at least, and at more where the median of the fits is zero; 1 where it is zero at 256 events too.
    """
    node, sources = flux_node(prepared), emissions(prepared)
    strength = max(4.0 * float(uncertainty(prepared)[node]), _LEAST_PILOT)
    for _ in range(6):
        fits = [maximise_at(injected(prepared, sources, OF_PROBLEMS, i, strength), node) for i in range(n_trials)]
        if median := float(np.median([fit.n_signal for fit in fits])):
            return median / strength
        strength *= 2.0
    return 1.0


def injection_grid(prepared: Prepared, largest: float) -> tuple[float, ...]:
    """Signal strengths to inject: 0 to ``largest`` standard deviations of n_s, denser where limits lie.

    A hard source among few events has a deviation far below one event; signal comes in whole ones all the same.
    """
    sd = max(float(uncertainty(prepared)[flux_node(prepared)]), 1.0)
    near = [0.0, 0.1, 0.25, 0.5, 0.75]
    steps = np.unique([*near, *np.arange(1.0, min(4.0, largest) + 0.1, 0.5), *np.arange(5.0, largest + 0.1, 1.0)])
    return tuple(float(s * sd) for s in steps)
