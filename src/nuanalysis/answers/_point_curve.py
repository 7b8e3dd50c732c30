"""A curve against declination: trials of a point source at some declinations, and strengths between these.

Under scrambles of right ascension a source's own right ascension does not matter; sources are put at 0.  At each
declination background is seen from several right ascensions, and skies are injected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from nuanalysis import trials
from nuanalysis.answers._ensembles import REACH_TS, or_reason, quantile_of, scrambles, sigma_threshold, spread_of
from nuanalysis.answers._flux import Energies, energies_of, strength_for
from nuanalysis.answers._question import direction, pose
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Injections, Problem, problem_fingerprint, run
from nuanalysis.errors import PrecisionError
from nuanalysis.interpret import fluxes
from nuanalysis.library.samples import Samples, joined
from nuanalysis.likelihood import circle, fit_circle, fit_directions, sky_events, turned
from nuanalysis.model import Hypothesis
from nuanalysis.records import Unknown
from nuanalysis.schema import Floats
from nuanalysis.sky.records import Catalogue
from nuanalysis.trials.streams import Stream, seed_of

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
_FINE = 161  # sin(declination) between the outermost nodes at which a curve is drawn


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
    def median(self) -> trials.Threshold:
        """The TS that half of the background skies exceed."""
        return trials.threshold(self.plain, trials.MEDIAN)

    def strength(self, threshold: trials.Threshold) -> trials.Strength:
        """Mean events that lift 90 % of the skies above a TS.  Raises PrecisionError beyond what was injected."""
        return strength_for(self.injected, threshold, 0.9)

    def threshold(self, sigma: float) -> trials.Threshold:
        """The TS of a local significance.  Raises PrecisionError where background trials do not reach it."""
        return sigma_threshold(self.background, sigma)

    def discovery_potential(self, sigma: float) -> trials.Strength:
        """The strength at which half of the skies reach a local significance.  Raises PrecisionError."""
        return strength_for(self.injected, self.threshold(sigma), 0.5)


def plain_ts(problem: Problem, n_skies: int) -> Floats:
    """TS of plain scrambles at places around the circle of a single source, (sky, place)."""
    (source,) = problem.hypothesis.target.sources  # type: ignore[union-attr]
    events = sky_events(problem.prepared)
    share = events.shares(np.array([source.declination]))[0]
    where = circle(events, source.declination, share)
    at = np.linspace(0.0, 2 * np.pi, _PLACES, endpoint=False, dtype=np.float64)
    seed = seed_of(problem.seed, Stream.CURVE_SKIES)
    return np.array([fit_circle(where, trials.draw_sky(events, seed, k), at)[:, 0] for k in range(n_skies)])


def _inject(problem: Problem, n: int, n_means: Iterable[float], stream: Stream, bench: Bench) -> xr.Dataset:
    """Mean injected events and TS of n injected skies, n_injected and ts.

    Strengths have four digits: the name of an ensemble must not hang on the last bits of a fit.
    """
    strengths = tuple(float(f"{s:.4g}") for s in n_means)
    return run((problem,), Injections(seed_of(problem.seed, stream), n, strengths), bench)[["n_injected", "ts"]]


def _pilot(
    problem: Problem, n: int, plain: Floats, background: xr.Dataset, bench: Bench
) -> tuple[xr.Dataset, float, float]:
    """A few injected skies, and the strengths of the sensitivity and of the discovery potential that they give.

    Strengths rise by factors: the expected standard deviation of n_s may be that of a rare event alone, and far from
    what a typical sky has.
    """
    deep, middle = (trials.known_threshold(ts) for ts in (quantile_of(background, 5.0), np.median(plain)))
    for times in _TOPS:
        top = times * max(_TOP_SPREADS * spread_of(problem), _TOP_EVENTS)
        found = _inject(problem, n, top * 2.0 ** (-0.5 * np.arange(13.0)), Stream.CURVE_PILOT, bench)
        far = or_reason(strength_for, found, deep, 0.5)
        if isinstance(far, Unknown):
            continue
        few = found.isel(trial=found["n_injected"].values <= far.n_signal / 1.5)
        near = or_reason(strength_for, few, middle, 0.9)
        # A quarter is as usual; it only says where the next injections are placed.
        return found, far.n_signal / 4.0 if isinstance(near, Unknown) else near.n_signal, far.n_signal
    raise PrecisionError(
        f"{problem.hypothesis.name}: injections of up to {top:.4g} events do not reach the discovery potential; "
        "ask for other declinations, or for more injections"
    )


def _injected(problem: Problem, n: int, plain: Floats, background: xr.Dataset, bench: Bench) -> xr.Dataset:
    """Injected skies, most of them near the strengths that are asked for; n_injected and ts."""
    n_pilot = max(n // _PILOT, 100)
    pilot, near, far = _pilot(problem, n_pilot, plain, background, bench)
    steps = [k * near for k in _NEAR_SENSITIVITY] * 2
    steps += [near ** (1.0 - k) * far**k for k in _BETWEEN] + [k * far for k in _NEAR_DISCOVERY]
    rest = _inject(problem, n - n_pilot, steps, Stream.CURVE_INJECTIONS, bench)
    return xr.concat([pilot, rest], "trial", combine_attrs="drop")


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


def _between(sin_dec: Floats, at: float) -> tuple[int, int, float]:
    """The nodes around a sine of declination, and the weight of the second; the outer node beyond the ends."""
    if len(sin_dec) == 1:
        return 0, 0, 0.0
    k = int(np.clip(np.searchsorted(sin_dec, at) - 1, 0, len(sin_dec) - 2))
    return k, k + 1, float(np.clip((at - sin_dec[k]) / (sin_dec[k + 1] - sin_dec[k]), 0.0, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Trials at rising declinations, (node,) rad each, of one sample and index: limits anywhere.

    least (node,): the sensitivity, or why there is none.
    parts : the curves of the samples alone, where several are together.

    Numbers of events are interpolated linearly in sin(declination), and turned into fluxes with the acceptance at the
    place itself, which jumps where the released effective area does.  Of several samples together what is interpolated
    is the number over the one that their own sensitivities would give (``shape``): it drops where the horizon ends.
    """

    samples: Samples
    plan: Plan
    nodes: tuple[float, ...]
    index: float
    found: tuple[PointTrials, ...]
    least: tuple[trials.Strength | Unknown, ...]
    parts: tuple[Curve, ...] = ()

    @property
    def sin_dec(self) -> Floats:
        """Of the nodes, (node,)."""
        return np.asarray(np.sin(self.nodes), dtype=np.float64)

    def per_flux(self, declination: float) -> float:
        """Events for a flux of 1 TeV cm^-2 s^-1 at a declination in rad."""
        return fluxes.events_per_flux(self.plan.hypothesis(declination, self.index), self.samples.seasons)

    def shape(self, declination: float) -> float:
        """Events that several independent samples of the known sensitivities would take together; 1 for one sample."""
        if not self.parts or any(isinstance(s, Unknown) for part in self.parts for s in part.least):
            return 1.0
        alone = [part.upper_limit(declination, 0.0).n_signal / part.per_flux(declination) for part in self.parts]
        return self.per_flux(declination) / float(np.sqrt(sum(flux**-2.0 for flux in alone)))

    def scale_to(self, declination: float) -> Floats:
        """What the number of events of each node is multiplied by before it is interpolated, (node,)."""
        here = self.shape(declination)
        return np.array([here / self.shape(node) for node in self.nodes])

    def upper_limit(self, declination: float, ts: float) -> trials.Strength:
        """Mean events excluded at 90 % by a TS at a declination in rad; never below the sensitivity.

        Raises PrecisionError where it lies beyond what was injected.
        """
        first, second, part = _between(self.sin_dec, float(np.sin(declination)))
        scale, (low, high) = self.scale_to(declination), (self._limit_at(k, ts) for k in (first, second))
        weights = (1.0 - part) * scale[first], part * scale[second]
        error = float(np.hypot(weights[0] * low.error, weights[1] * high.error))
        return trials.Strength(float(weights[0] * low.n_signal + weights[1] * high.n_signal), error)

    def _limit_at(self, node: int, ts: float) -> trials.Strength:
        found, least = self.found[node], self.least[node]
        if ts > found.median.ts:
            return found.strength(found.median.at_least(ts))
        if isinstance(least, Unknown):
            raise PrecisionError(least.reason)
        return least

    def line(self, *n_signal: Floats) -> tuple[Floats, ...]:
        """sin(declination) in fine steps, and fluxes at 100 TeV there from events at the nodes, (point,) each.

        n_signal (node,) each: NaN where there is none.  The line ends at the nodes around it, and is NaN between them.
        """
        at = np.linspace(self.sin_dec[0], self.sin_dec[-1], _FINE)
        per_flux = np.array([self.per_flux(dec) for dec in np.arcsin(at).tolist()])
        shape = np.array([self.shape(dec) for dec in np.arcsin(at).tolist()])
        own = np.array([self.shape(node) for node in self.nodes])
        return (at, *(_broken_line(at, self.sin_dec, events / own) * shape / per_flux for events in n_signal))


def _broken_line(at: Floats, x: Floats, y: Floats) -> Floats:
    """Straight lines between neighbours that are both known; NaN elsewhere, (point,).  x (node,) rises."""
    known = np.isfinite(y)
    if len(x) == 1:
        return np.full(len(at), y[0])
    first = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    line = np.interp(at, x[known], y[known]) if known.any() else np.full(len(at), np.nan)
    return np.where(known[first] & known[first + 1], line, np.nan)


def fits_of(samples: Samples, plan: Plan, sources: Catalogue, index: float) -> Floats:
    """Fits of all sources in the data, (source, FIT_COLUMNS)."""
    events = sky_events(pose(plan.hypothesis(0.0, index), samples).prepared)
    places = np.array([(s.right_ascension, s.declination) for s in sources.sources])
    return fit_directions(events, turned(events.right_ascension()), *places.T)


def curves_of(samples: Sequence[Samples], plan: Plan, declinations: tuple[float, ...], bench: Bench) -> list[Curve]:
    """Curves of every sample alone and of all jointly, each index; declinations rising, in deg.

    Those of all jointly, which have most events, come first: a long task at the end would be waited for alone.
    """
    groups = [*samples, *([joined(samples)] if len(samples) > 1 else [])]
    nodes = tuple(np.radians(declinations).tolist())
    items = [(group, node) for group in reversed(groups) for node in nodes]
    done = bench.map(partial(at_declination, bench.here(), plan), items, "declinations")
    rows = [done[first : first + len(nodes)] for first in range(0, len(done), len(nodes))]
    made: list[Curve] = []
    for group, found in zip(groups, reversed(rows), strict=True):
        for k, index in enumerate(plan.indices):
            here = tuple(of_index[k] for of_index in found)
            alone = tuple(c for c in made if c.index == index) if group is groups[-1] and len(groups) > 1 else ()
            least = tuple(or_reason(one.strength, one.median) for one in here)
            made.append(Curve(group, plan, nodes, index, here, least, alone))
    return made
