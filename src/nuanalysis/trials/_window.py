"""Fresh trials of a time window: background from the events of a season, with and without injected bursts.

Trial i is a pure function of (problem, seed, i).  A trial with signal counts from 0 to MOST events, added one by one to
the same background: the probability of a test statistic at a mean number of events is then the exact Poisson mixture
of them, a smooth function of that mean, from one ensemble.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis import simulate
from nuanalysis.deferred import scipy
from nuanalysis.errors import PrecisionError
from nuanalysis.likelihood import Places, Yardstick, burst_of, place_vectors
from nuanalysis.likelihood.window_kernels import background_trials, burst_trial
from nuanalysis.model.kernels import trial_key
from nuanalysis.response import Spectrum, acceptance
from nuanalysis.schema import Bools, Floats
from nuanalysis.sky.records import Catalogue, PointSource

MOST = 24  # signal events of a trial
WINDOW_COLUMNS = ("ts", "n_signal")
BURST_COLUMNS = ("share", *(f"ts_{k}" for k in range(MOST + 1)))
_NEGLIGIBLE = 1e-7  # S / (n_b B) below which an event counts as S = 0
_LEAST = 0.999  # of the strongest bursts exceed what a limit asks for, or no limit can be told


@dataclass(frozen=True, slots=True, eq=False)
class WindowProblem:
    """A window of a sample and the places a signal is looked for in it.

    pool, places : see ``likelihood.window_kernels``.    mean : background events of a trial drawn from the pool.
    room : of them near the places, at most.    n_background : of the whole sky.
    spectrum : of injected bursts.    source (place,) : probability that a burst comes from there; its own declination
        decides how many events a fluence brings, ``share`` (place,) times the mean over all places.
    """

    stick: Yardstick
    pool: tuple[Floats, ...]
    places: tuple[Floats, ...]
    mean: float
    room: int
    n_background: float
    spectrum: Spectrum
    where: Places
    source: Floats
    share: Floats


def window_problem(
    stick: Yardstick, chosen: Bools, n_background: float, places: Places, *, spectrum: Spectrum, source: Floats
) -> WindowProblem:
    """A problem ready for trials.

    chosen : which events of the sample background is drawn from, (event,).    source : see ``WindowProblem``.
    """
    sample, rows = stick.sample, np.flatnonzero(chosen)
    burst = burst_of(stick, *(sample.array(name)[rows] for name in ("declination", "log10_energy", "angular_error")))
    height, vectors = burst.height / n_background, places.vectors
    centre = vectors.mean(axis=0)
    centre /= np.linalg.norm(centre)
    radius = 2.0 * np.arcsin(0.5 * float(np.linalg.norm(vectors - centre, axis=1).max()))
    reach = np.minimum(_reach(burst.kappa, height) + radius, np.pi)
    inside = np.abs(burst.declination - np.arcsin(centre[2])) <= reach
    near = burst.take(np.flatnonzero(inside))
    pool = (np.sin(near.declination), np.cos(near.declination), np.cos(reach[inside]), near.kappa, height[inside])
    mean = n_background * len(near.declination) / max(len(rows), 1)
    seen = acceptance(sample.response, spectrum, np.sin(places.declination))
    return WindowProblem(
        stick,
        tuple(map(np.ascontiguousarray, pool)),
        (vectors, places.penalty, centre),
        mean,
        int(mean + 12.0 * np.sqrt(mean) + 30.0),
        n_background,
        spectrum,
        places,
        source / source.sum(),
        seen / float((seen * source).sum() / source.sum()),
    )


def _reach(kappa: Floats, height: Floats) -> Floats:
    """Angle beyond which S / (n_b B) of an event is negligible, (event,) rad."""
    half = np.log(np.maximum(height / _NEGLIGIBLE, 1.0)) / kappa  # 1 - cos of the angle
    return np.asarray(np.arccos(np.clip(1.0 - half, -1.0, 1.0)).max(axis=1))


def window_trials(problem: WindowProblem, seed: int, first: int, last: int) -> Floats:
    """Trials first..last-1 without signal, rows of WINDOW_COLUMNS."""
    out = np.zeros((last - first, 2))
    if problem.mean > 0:
        background_trials(seed, first, last, problem.mean, problem.pool, problem.places, problem.room, out)
    return out


def burst_trials(problem: WindowProblem, seed: int, first: int, last: int) -> Floats:
    """Trials first..last-1 with 0 to MOST signal events, rows of BURST_COLUMNS."""
    out = np.zeros((last - first, len(BURST_COLUMNS)))
    cumulative, known = np.cumsum(problem.source), dict[int, simulate.Emission]()
    for row, trial in zip(out, range(first, last), strict=True):
        rng = np.random.Generator(np.random.Philox(key=[seed, trial]))
        place = min(int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")), len(cumulative) - 1)
        row[0] = problem.share[place]
        if place not in known:
            known[place] = _emission(problem, place)
        key = np.uint64(trial_key(seed, trial, 0))
        signal = _signal(problem, known[place], rng)
        burst_trial(key, problem.mean, problem.pool, problem.places, problem.room, signal, row[1:])
    return out


def _signal(
    problem: WindowProblem, source: simulate.Emission, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """MOST signal events as the kernels take them; those that the user's cuts remove have height 0."""
    drawn = simulate.signal(source, MOST, rng)
    burst = burst_of(problem.stick, drawn.declination, drawn.log10_energy, drawn.angular_error)
    passes = problem.stick.sample.passes(drawn.declination, drawn.log10_energy)
    height = burst.height * passes[:, None] / problem.n_background
    return place_vectors(drawn.right_ascension, drawn.declination), burst.kappa, np.ascontiguousarray(height)


def _emission(problem: WindowProblem, place: int) -> simulate.Emission:
    ra, dec = float(problem.where.right_ascension[place]), float(problem.where.declination[place])
    target = Catalogue("burst", "burst", (PointSource("burst", ra, dec),), (1.0,), "a burst")
    return simulate.emission(target, problem.stick.sample.response, problem.spectrum)


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean number of events with the statistical error of its trials."""

    value: float
    error: float


def exceeding(bursts: Floats, ts: float, mean: float) -> tuple[float, float]:
    """Probability that a burst of a mean number of events has a TS above ``ts``, and its statistical error.

    bursts : rows of BURST_COLUMNS.  Bursts of more than MOST events count as those of MOST.
    """
    above = bursts[:, 1:] > ts
    counts = np.arange(MOST + 1)
    weight = scipy.stats.poisson.pmf(counts, mean * bursts[:, :1])
    weight[:, -1] += scipy.stats.poisson.sf(MOST, mean * bursts[:, 0])
    each = (above * weight).sum(axis=1)
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))


def excluded_mean(bursts: Floats, ts: float, *, level: float = 0.9) -> Mean:
    """Smallest mean number of events of which a share ``level`` of bursts has a TS above ``ts``.

    Above, and not at least: where TS is 0 every burst has at least as much, and only those that are seen at all
    exclude anything.  Raises PrecisionError where bursts of MOST events are not enough to tell.
    """
    high = float(MOST)
    seen = float((bursts[:, -1] > ts).mean())
    if exceeding(bursts, ts, 0.5 * high)[0] < level and seen < _LEAST:
        raise PrecisionError(
            f"{100 * seen:.1f} % of bursts of {MOST} events have a TS above {ts:.3g}: no limit can be told from so few"
        )

    def short(mean: float) -> float:
        return exceeding(bursts, ts, mean)[0] - level

    if short(0.0) >= 0.0:
        return Mean(0.0, 0.0)
    mean = float(scipy.optimize.brentq(short, 0.0, high, xtol=1e-9))
    error = exceeding(bursts, ts, mean)[1]
    slope = (short(1.01 * mean) - short(0.99 * mean)) / (0.02 * mean)
    return Mean(mean, error / slope)
