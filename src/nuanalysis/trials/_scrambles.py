"""Right-ascension scrambles, plain and tilted, and their exact weights back to the null."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from nuanalysis.errors import InputError
from nuanalysis.likelihood import maximise
from nuanalysis.likelihood._kernels import log_ratio
from nuanalysis.model import Prepared, Terms
from nuanalysis.model._kernels import draw_uniform, trial_key
from nuanalysis.model._prepare import PreparedSample, join

Floats = NDArray[np.float64]
SCRAMBLE_COLUMNS = ("ts", "n_signal", "index", "log_weight", "converged")
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Tilt:
    """One part of a mixture of scrambles: signal strength n_signal at a spectral node, and its share of the trials."""

    n_signal: float
    node: int
    share: float


PLAIN = (Tilt(0.0, 0, 1.0),)


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
