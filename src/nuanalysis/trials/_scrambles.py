"""Right-ascension scrambles, plain and tilted, of one or several hypotheses, and their exact weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.errors import InputError
from nuanalysis.likelihood import Sums, at_rest, maximise_sums, sums, tilt_log_ratio
from nuanalysis.model import Prepared, PreparedSample, Terms, in_reading_order, join, place
from nuanalysis.model.kernels import draw_uniform, trial_key
from nuanalysis.schema import Floats, Ints

SCRAMBLE_COLUMNS = ("ts", "n_signal", "index", "log_weight", "converged")
_GOLDEN = 0.6180339887498949
_POLE_CAP = np.radians(8.0)  # within it declinations are not smeared (IceCube 2023)


@dataclass(frozen=True, slots=True)
class Tilt:
    """One part of a mixture of scrambles: signal strength n_signal at a spectral node, and its share of the trials.

    hypothesis : which of several the signal belongs to.
    """

    n_signal: float
    node: int
    share: float
    hypothesis: int = 0


PLAIN = (Tilt(0.0, 0, 1.0),)


def columns(n_hypotheses: int) -> tuple[str, ...]:
    """Columns of correlated trials: SCRAMBLE_COLUMNS for one hypothesis, else one fit a hypothesis and one weight."""
    if n_hypotheses == 1:
        return SCRAMBLE_COLUMNS
    fits = [f"{name}_{k}" for k in range(n_hypotheses) for name in ("ts", "n_signal", "index", "converged")]
    return (*fits, "log_weight")


# --- right ascensions ------------------------------------------------------------------------------------------------


def _strength(prepared: Prepared, part: PreparedSample, tilt: Tilt) -> tuple[Floats, Ints, Floats]:
    """n* / N times the energy term, the sample's share of the signal folded in as in join(); see Place.tilt."""
    factor = tilt.n_signal * part.share[tilt.node] / part.n_events
    return part.energy.ratio[tilt.node] * factor, part.energy.group, part.energy.scale


def _draw(prepared: Prepared, parts: tuple[PreparedSample, ...], seed: int, trial: int, tilt: Tilt) -> list[Floats]:
    """Right ascension / 2 pi of every event of every sample, [(event,)]; the same for any caller."""
    drawn = []
    for stream, part in enumerate(parts):
        key = np.uint64(trial_key(seed, trial, stream))
        u = np.empty(part.n_events)
        draw_uniform(key, u)
        if tilt.n_signal:
            part.lookup.tilt(key, _strength(prepared, part, tilt), prepared.mixing[tilt.node], u)
        drawn.append(u)
    return drawn


def _smeared_declinations(part: PreparedSample, seed: int, trial: int, stream: int, width: float) -> Floats:
    """Declinations with a Gaussian of ``width`` rad added, away from the poles; reflected at the cap, (event,)."""
    dec = part.sample.array("declination")
    rng = np.random.Generator(np.random.Philox(key=[seed, trial], counter=[0, 0, 0, stream + 1]))
    edge = np.pi / 2 - _POLE_CAP
    moved = dec + width * rng.standard_normal(len(dec))
    moved = np.where(np.abs(moved) > edge, np.sign(moved) * 2 * edge - moved, moved)
    return np.asarray(np.where(np.abs(dec) < edge, moved, dec))


def _at_declinations(part: PreparedSample, declination: Floats) -> PreparedSample:
    """The same sample with its events at other declinations: look-up, background and energy terms are made anew."""
    error = part.sample.array("angular_error")
    where = part.densities.where(declination, part.sample.array("log10_energy"), error)
    counts = part.densities.counted(where)
    estimate = part.densities.background(counts)
    events = part.seen(declination, error, where)
    active = in_reading_order(part.space, events)
    lookup = place(part.space, events.take(active), active)
    where = where.take(active)
    energy = part.densities.terms(where, estimate)
    return replace(part, where=where, counts=counts, base=estimate, active=active, lookup=lookup, energy=energy)


def _parts(problems: tuple[Prepared, ...], seed: int, trial: int, smear: float) -> list[tuple[PreparedSample, ...]]:
    """The samples of each problem in one trial: as they are, or with the same smeared declinations for all."""
    if smear == 0.0:
        return [problem.parts for problem in problems]
    moved = [_smeared_declinations(part, seed, trial, k, smear) for k, part in enumerate(problems[0].parts)]
    return [tuple(_at_declinations(p, d) for p, d in zip(problem.parts, moved, strict=True)) for problem in problems]


def scrambled(prepared: Prepared, seed: int, trial: int, tilt: Tilt) -> Terms:
    """Terms of one scramble of all samples; the same for any caller."""
    drawn = _draw(prepared, prepared.parts, seed, trial, tilt)
    differences = [part.lookup.difference(u) for part, u in zip(prepared.parts, drawn, strict=True)]
    return join(prepared, differences, [p.energy for p in prepared.parts])


# --- trials ----------------------------------------------------------------------------------------------------------


def log_ratios(data: list[Sums], tilts: tuple[Tilt, ...]) -> Floats:
    """ln of density over the plain one of every tilt, (tilt,); data holds the sums of each hypothesis."""
    return np.array([tilt_log_ratio(data[t.hypothesis], t.node, t.n_signal) for t in tilts])


def _component(trial: int, tilts: tuple[Tilt, ...]) -> Tilt:
    """The tilt of a trial: a low-discrepancy sequence, so that any run of trials holds the shares closely."""
    edges = np.cumsum([t.share for t in tilts])
    return tilts[
        min(int(np.searchsorted(edges, (trial + 0.5) * _GOLDEN % 1.0 * edges[-1], side="right")), len(tilts) - 1)
    ]


def _check(problems: tuple[Prepared, ...], tilts: tuple[Tilt, ...]) -> None:
    if abs(sum(t.share for t in tilts) - 1.0) > 1e-9:
        raise InputError(f"the shares of the tilts sum to {sum(t.share for t in tilts):g}; expected 1")
    first = problems[0]
    for other in problems[1:]:
        same = len(other.parts) == len(first.parts) and all(
            np.array_equal(a.sample.array(c), b.sample.array(c))
            for a, b in zip(first.parts, other.parts, strict=True)
            for c in ("declination", "log10_energy", "angular_error")
        )
        if not same:
            raise InputError(
                f"'{other.hypothesis.name}' was prepared on other events than '{first.hypothesis.name}'; "
                "correlated trials need the same samples for every hypothesis"
            )


def correlated_trials(
    problems: tuple[Prepared, ...],
    seed: int,
    first: int,
    last: int,
    tilts: tuple[Tilt, ...] = PLAIN,
    smear: float = 0.0,
) -> tuple[Floats, Floats]:
    """Trials first..last-1 of several hypotheses on the same scrambles.

    smear : width in rad of a Gaussian by which declinations are smeared too, away from the poles (IceCube 2023:
        3 degrees for point sources and stacks).  Given the declinations, the weights are exact as before.
    Returns the fits (trial, hypothesis, 4): ts, n_signal, index, converged; and the ln of every tilt's density over
    the plain one, (trial, tilt): ln L(n_k) / L(0), with the slope of single events held where it would turn negative.
    """
    _check(problems, tilts)
    fits = np.empty((last - first, len(problems), 4))
    ratios = np.zeros((last - first, len(tilts)))
    parts = _parts(problems, seed, 0, 0.0)
    rests = [[at_rest(p, part) for part in p.parts] for p in problems]
    for row, trial in enumerate(range(first, last)):
        tilt = _component(trial, tilts)
        if smear:
            parts = _parts(problems, seed, trial, smear)
            rests = [[at_rest(p, part) for part in moved] for p, moved in zip(problems, parts, strict=True)]
        drawn = _draw(problems[tilt.hypothesis], parts[tilt.hypothesis], seed, trial, tilt)
        data = []
        for h, problem in enumerate(problems):
            held = sums(problem, parts[h], rests[h], drawn)
            fit = maximise_sums(held, problem, parts[h], drawn)
            fits[row, h] = fit.ts, fit.n_signal, fit.index, fit.converged
            data.append(held)
        if tilts != PLAIN:
            ratios[row] = log_ratios(data, tilts)
    return fits, ratios


def mixture_log_weight(ratios: Floats, shares: Floats) -> Floats:
    """Log of 1 / sum_k a_k L(n_k) / L(0), (trial,), from (trial, tilt) and (tilt,): the balance heuristic."""
    return np.asarray(-scipy.special.logsumexp(ratios, b=shares, axis=1))


def scramble_trials(
    prepared: Prepared | tuple[Prepared, ...],
    seed: int,
    first: int,
    last: int,
    tilts: tuple[Tilt, ...] = PLAIN,
    smear: float = 0.0,
) -> Floats:
    """Trials first..last-1 as rows of ``columns(number of hypotheses)``, (trial, column); see ``correlated_trials``."""
    problems = prepared if isinstance(prepared, tuple) else (prepared,)
    fits, ratios = correlated_trials(problems, seed, first, last, tilts, smear)
    weight = mixture_log_weight(ratios, np.array([t.share for t in tilts])) + 0.0  # no minus zero
    if len(problems) == 1:
        return np.column_stack([fits[:, 0, :3], weight, fits[:, 0, 3]])
    return np.column_stack([fits.reshape(last - first, -1), weight])
