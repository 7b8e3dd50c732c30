"""Trials of a point source at one declination: background seen from several right ascensions, and injected skies.

Under scrambles of right ascension a source's own right ascension does not matter; sources are put at 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nuanalysis import trials
from nuanalysis.answers._ensembles import REACH_TS, scrambles, spread_of
from nuanalysis.answers._flux import Energies, energies_of
from nuanalysis.answers._posed import direction, pose
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Injections, Problem, problem_fingerprint, run
from nuanalysis.errors import PrecisionError
from nuanalysis.interpret import fluxes
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import circle, fit_circle, sky_events
from nuanalysis.model import Hypothesis
from nuanalysis.trials.streams import Stream, seed_of

Floats = NDArray[np.float64]
METHOD = (
    "thresholds of the discovery potential from tilted scrambles weighted back to the null, those of the sensitivity "
    "from plain scrambles seen at several right ascensions; signal drawn from the response into scrambled data, "
    "background estimated again from both"
)
_PLACES = 24  # right ascensions at which a plain scramble is looked at
_A_SKY = 10  # scrambles asked for, to one sky with all its places
_PILOT = 5  # a fifth of the injections finds where the rest are worth their time
_TOPS = (1.0, 2.0, 4.0)  # the pilot's largest strength, the next where the answer lies beyond one
_TOP_SPREADS, _TOP_EVENTS = 10.0, 40.0  # in standard deviations of n_s, and at least in events
# Strengths in parts of the pilot's sensitivity and discovery potential.  The sensitivity asks for the rare tenth below
# a threshold, and takes four times as many trials for the same error.
_NEAR_SENSITIVITY, _NEAR_DISCOVERY = (0.7, 0.85, 1.0, 1.15, 1.35), (0.85, 1.0, 1.2, 1.5)
_BETWEEN = (0.4, 0.7)  # logarithmic way from one to the other, for limits


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run at each declination.

    indices : of the injected power laws.  index_free : whether fits have their index free, or held at the injected one.
    """

    indices: tuple[float, ...]
    index_free: bool
    n_trials: int
    n_injections: int

    def hypothesis(self, declination: float, index: float) -> Hypothesis:
        """A source at right ascension 0 and a declination in rad; injected with the index."""
        return replace(direction(0.0, declination), index=index, index_free=self.index_free)


@dataclass(frozen=True, slots=True, eq=False)
class PointTrials:
    """Experiments of one declination and index: background and injected trials, and what turns events into fluxes.

    background : tilted scrambles; plain (sky, place): TS of plain ones; injected : variables n_injected and ts.
    spread : standard deviation of n_s without signal.  per_flux : events for a flux of 1 TeV cm^-2 s^-1.
    energies : those that the sensitivity comes from.
    """

    background: xr.Dataset
    plain: Floats
    injected: xr.Dataset
    spread: float
    per_flux: float
    energies: Energies

    @property
    def median(self) -> float:
        """Median TS of background skies."""
        return _quantile(self.plain, 0.5)

    def strength(self, threshold: float) -> trials.Strength:
        """Mean events that lift 90 % of the skies above a TS.  Raises PrecisionError beyond what was injected."""
        n_injected, ts = self.injected["n_injected"].values, self.injected["ts"].values
        return trials.strength_for(n_injected, ts, threshold=threshold, fraction=0.9)

    def sensitivity(self) -> trials.Strength:
        """Mean events that lift 90 % of the skies above the background median; its error holds that of the median.

        Raises PrecisionError where that lies beyond what was injected.
        """
        beyond = (self.plain > self.median).mean(axis=1)
        error = float(beyond.std(ddof=1) / np.sqrt(len(beyond)))
        low, here, high = (self.strength(_quantile(self.plain, 0.5 + s * error)) for s in (1.0, 0.0, -1.0))
        return trials.Strength(here.n_signal, float(np.hypot(here.error, 0.5 * (high.n_signal - low.n_signal))))

    def discovery_potential(self, sigma: float) -> trials.Potential:
        """The strength at which half of the skies reach a local significance.  Raises PrecisionError."""
        injected, background = self.injected, self.background
        return trials.discovery_potential(
            injected["n_injected"].values,
            injected["ts"].values,
            background["ts"].values,
            background["log_weight"].values,
            sigma=sigma,
        )


def _quantile(plain: Floats, upper: float) -> float:
    return trials.weighted_quantile(plain.ravel(), np.zeros(plain.size), upper)


def plain_ts(problem: Problem, n_skies: int) -> Floats:
    """TS of plain scrambles at places around the circle of a single source, (sky, place)."""
    (source,) = problem.hypothesis.target.sources  # type: ignore[union-attr]
    events = sky_events(problem.prepared)
    share = events.shares(np.array([source.declination]))[0]
    where = circle(events, source.declination, share)
    at = np.linspace(0.0, 2 * np.pi, _PLACES, endpoint=False, dtype=np.float64)
    seed = seed_of(problem.seed, Stream.CURVE_SKIES)
    return np.array([fit_circle(where, trials.draw_sky(events, seed, k), at)[:, 0] for k in range(n_skies)])


def _inject(problem: Problem, n: int, n_means: Iterable[float], stream: Stream, bench: Bench) -> tuple[Floats, Floats]:
    """Mean injected events and TS of n injected skies, (trial,) each.

    Strengths have four digits: the name of an ensemble must not hang on the last bits of a fit.
    """
    strengths = tuple(float(f"{s:.4g}") for s in n_means)
    found = run((problem,), Injections(seed_of(problem.seed, stream), n, strengths), bench)
    return found["n_injected"].values, found["ts"].values


def _pilot(
    problem: Problem, n: int, plain: Floats, background: xr.Dataset, bench: Bench
) -> tuple[Floats, Floats, float, float]:
    """A few injected skies, and the strengths of the sensitivity and of the discovery potential that they give.

    Strengths rise by factors: the expected standard deviation of n_s may be that of a rare event alone, and far from
    what a typical sky has.
    """
    deep = trials.weighted_quantile(background["ts"].values, background["log_weight"].values, trials.FIVE_SIGMA)
    for times in _TOPS:
        top = times * max(_TOP_SPREADS * spread_of(problem), _TOP_EVENTS)
        n_injected, ts = _inject(problem, n, top * 2.0 ** (-0.5 * np.arange(13.0)), Stream.CURVE_PILOT, bench)
        try:
            far = trials.strength_for(n_injected, ts, threshold=deep, fraction=0.5).n_signal
        except PrecisionError:
            continue
        few = n_injected <= far / 1.5
        try:
            median = _quantile(plain, 0.5)
            near = trials.strength_for(n_injected[few], ts[few], threshold=median, fraction=0.9).n_signal
        except PrecisionError:
            near = far / 4.0  # as usual; it only says where the next injections are placed
        return n_injected, ts, near, far
    raise PrecisionError(
        f"{problem.hypothesis.name}: injections of up to {top:.4g} events do not reach the discovery potential; "
        "ask for other declinations, or for more injections"
    )


def _injected(problem: Problem, n: int, plain: Floats, background: xr.Dataset, bench: Bench) -> xr.Dataset:
    """Injected skies, most of them near the strengths that are asked for; n_injected and ts."""
    n_pilot = max(n // _PILOT, 100)
    n_injected, ts, near, far = _pilot(problem, n_pilot, plain, background, bench)
    steps = [k * near for k in _NEAR_SENSITIVITY] * 2
    steps += [near ** (1.0 - k) * far**k for k in _BETWEEN] + [k * far for k in _NEAR_DISCOVERY]
    rest = _inject(problem, n - n_pilot, steps, Stream.CURVE_INJECTIONS, bench)
    both = (np.concatenate(pair) for pair in zip((n_injected, ts), rest, strict=True))
    return xr.Dataset({k: ("trial", v) for k, v in zip(("n_injected", "ts"), both, strict=True)})


def problems(samples: Samples, plan: Plan, declination: float) -> Iterator[tuple[Problem, Problem]]:
    """What is scrambled and what is injected, for each index, at a declination in rad.

    With a free index scrambles do not depend on the injected one, and are those of a sky scan.
    """
    if not plan.index_free:
        posed = [pose(plan.hypothesis(declination, index), samples) for index in plan.indices]
        yield from zip(posed, posed, strict=True)
        return
    null = pose(direction(0.0, declination), samples)
    for index in plan.indices:
        hypothesis = plan.hypothesis(declination, index)
        fingerprint = problem_fingerprint(hypothesis, null.samples)
        yield null, replace(null, prepared=replace(null.prepared, hypothesis=hypothesis), fingerprint=fingerprint)


def at_declination(bench: Bench, plan: Plan, item: tuple[Samples, float]) -> tuple[PointTrials, ...]:
    """Trials of a sample at a declination in rad, one entry an index."""
    samples, declination = item
    out: list[PointTrials] = []
    null_of: dict[str, tuple[xr.Dataset, Floats]] = {}
    for null, problem in problems(samples, plan, declination):
        if null.fingerprint not in null_of:
            background = scrambles(null, plan.n_trials, REACH_TS, bench)
            null_of[null.fingerprint] = background, plain_ts(null, plan.n_trials // _A_SKY)
        background, plain = null_of[null.fingerprint]
        injected = _injected(problem, plan.n_injections, plain, background, bench)
        per_flux = fluxes.prepared_events_per_flux(problem.prepared)
        spread, energies = spread_of(problem), energies_of(problem)[0]
        out.append(PointTrials(background, plain, injected, spread, per_flux, energies))
    return tuple(out)
