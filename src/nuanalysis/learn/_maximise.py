"""The highest likelihood of an event: BFGS in seven parameters, its first metric the Fisher information.

Direction is a point of the sphere: each step is made in the tangent plane of where one stands, and the metric is
carried along with the plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.learn._cascades import Cascade, Profile, moved
from nuanalysis.learn._light_models import LightModel
from nuanalysis.learn._likelihood import Value, fisher, height, log_likelihood
from nuanalysis.learn._observed import Observed
from nuanalysis.schema import Floats

#: Steps that are of the order of one: m, m, m, ns, ln E, rad, rad.
SCALE = np.array([10.0, 10.0, 10.0, 30.0, 0.2, 0.3, 0.3])
_LONGEST = np.array([40.0, 40.0, 40.0, 150.0, 1.0, 0.6, 0.6])  # of one step
_ENOUGH = 1e-4  # of the slope's promise that a step must keep
_HALVINGS = 8


@dataclass(frozen=True, slots=True)
class Search:
    """When a search ends.  rise : ln L that a further step would promise; iterations : at most.

    top, share : where ln L is below ``top``, a share of how far it is below is enough for ``rise``: what is far from
    the best needs no third digit.
    """

    rise: float = 0.01
    iterations: int = 80
    top: float = -np.inf
    share: float = 0.0

    def enough(self, log_likelihood: float) -> float:
        """The rise that is not worth a step, at some ln L."""
        return max(self.rise, self.share * (self.top - log_likelihood))


@dataclass(frozen=True, slots=True, eq=False)
class Top:
    """The end of a search.  converged : the last step promised less than ``Search.enough``."""

    at: Cascade
    log_likelihood: float
    iterations: int
    evaluations: int
    converged: bool


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """An event, a light model, and a profile of light: all that ln L needs beside the cascade."""

    observed: Observed
    light: LightModel
    profile: Profile

    def value(self, at: Cascade) -> Value:
        """ln L and its slope."""
        return log_likelihood(self.observed, at, self.light, self.profile)

    def height(self, at: Cascade) -> float:
        """ln L."""
        return height(self.observed, at, self.light, self.profile)

    def information(self, at: Cascade) -> Floats:
        """Fisher information, (7, 7)."""
        return fisher(self.observed, at, self.light, self.profile)


def maximise(
    problem: Problem, start: Cascade, *, held: int = 0, search: Search | None = None, metric: Floats | None = None
) -> Top:
    """Climb from a start.  held : of the last parameters that stay as they are; 2 holds the direction.

    metric (7, 7) : ``first_metric`` of another start nearby; by default that of this one, the price of two evaluations.

    A search that ends without convergence is a result that says so.
    """
    search, free = search or Search(), 7 - held
    at, here = start, problem.value(start)
    metric = first_metric(problem, at, held) if metric is None else metric
    evaluations = 1
    for iteration in range(search.iterations):
        step = _bounded(metric @ here.slope)
        if 0.5 * float(step @ here.slope) < search.enough(here.log_likelihood):
            return Top(at, here.log_likelihood, iteration, evaluations, True)
        part, after, there, tried = _along(problem, at, here, step)
        evaluations += tried
        if part == 0.0:  # no rise that numbers can resolve
            return Top(at, here.log_likelihood, iteration, evaluations, float(step @ here.slope) < 1.0)
        metric = _updated(metric, part * step, here.slope - there.slope, free)
        at, here = after, there
    return Top(at, here.log_likelihood, search.iterations, evaluations, False)


def first_metric(problem: Problem, at: Cascade, held: int = 0) -> Floats:
    """Inverse of the information on the free parameters, bounded by the scales; zero in the last ``held``, (7, 7)."""
    out, free = np.zeros((7, 7)), 7 - held
    out[:free, :free] = np.linalg.inv((problem.information(at) + np.diag(SCALE**-2.0))[:free, :free])
    return out


def _bounded(step: Floats) -> Floats:
    return step * min(1.0, float((_LONGEST / np.maximum(np.abs(step), 1e-300)).min()))


def _along(problem: Problem, at: Cascade, here: Value, step: Floats) -> tuple[float, Cascade, Value, int]:
    """A part of a step that rises enough: the part, where it leads, and how often ln L was asked; part 0 if none."""
    promise, part = float(step @ here.slope), 1.0
    for tried in range(1, _HALVINGS + 1):
        after = moved(at, part * step)
        there = problem.value(after)
        rise = there.log_likelihood - here.log_likelihood
        if rise >= _ENOUGH * part * promise:
            return part, after, there, tried
        # The top of the parabola through both ends, within a tenth and a half of the step.
        bend = part * promise - rise
        part *= float(np.clip(0.5 * part * promise / bend, 0.1, 0.5)) if np.isfinite(bend) else 0.1
    return 0.0, at, here, _HALVINGS


def _updated(metric: Floats, step: Floats, fall: Floats, free: int) -> Floats:
    """BFGS update of the inverse of the curvature; fall (7,) : of the slope along the step."""
    fall = np.where(np.arange(7) < free, fall, 0.0)
    bend = float(step @ fall)
    if bend <= 1e-8 * float(np.linalg.norm(step) * np.linalg.norm(fall)):
        return metric
    turn = np.eye(7) - np.outer(step, fall) / bend
    updated: Floats = turn @ metric @ turn.T + np.outer(step, step) / bend
    return updated
