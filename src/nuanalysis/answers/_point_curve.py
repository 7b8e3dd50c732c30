"""A curve against declination: strengths between the declinations at which trials were run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nuanalysis import trials
from nuanalysis.answers._ensembles import or_reason
from nuanalysis.answers._point_trials import Plan, PointTrials, at_declination
from nuanalysis.answers._posed import pose
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import PrecisionError
from nuanalysis.interpret import fluxes
from nuanalysis.library.samples import Samples, joined
from nuanalysis.likelihood import fit_directions, sky_events, turned
from nuanalysis.records import Unknown
from nuanalysis.sky.records import Catalogue

Floats = NDArray[np.float64]
FINE = 161  # sin(declination) between the outermost nodes at which a curve is drawn


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
        if ts > found.median:
            return found.strength(ts)
        if isinstance(least, Unknown):
            raise PrecisionError(least.reason)
        return least

    def line(self, *n_signal: Floats) -> tuple[Floats, ...]:
        """sin(declination) in fine steps, and fluxes at 100 TeV there from events at the nodes, (point,) each.

        n_signal (node,) each: NaN where there is none, which is left out; without any the line is empty.
        """
        at = np.linspace(self.sin_dec[0], self.sin_dec[-1], FINE)
        per_flux = np.array([self.per_flux(dec) for dec in np.arcsin(at).tolist()])
        shape = np.array([self.shape(dec) for dec in np.arcsin(at).tolist()])
        own = np.array([self.shape(node) for node in self.nodes])
        lines = []
        for events in n_signal:
            y = events / own
            known = np.isfinite(y)
            lines.append(np.interp(at, self.sin_dec[known], y[known]) * shape / per_flux if known.any() else y[known])
        return (at, *lines)


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
            made.append(
                Curve(group, plan, nodes, index, here, tuple(or_reason(one.sensitivity) for one in here), alone)
            )
    return made
