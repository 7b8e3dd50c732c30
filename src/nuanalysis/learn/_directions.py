"""The likelihood of an event over the sky: a map refined where it matters, contours, and one error from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.errors import InputError
from nuanalysis.learn._cascades import Cascade
from nuanalysis.learn._hybrid import directions, turned
from nuanalysis.learn._maximise import Problem, Search, first_metric, maximise
from nuanalysis.schema import Bools, Floats, Ints

#: Twice the fall of ln L that holds 50 and 90 % by Wilks' theorem, for two parameters.
WILKS_50, WILKS_90 = float(-2.0 * np.log(0.5)), float(-2.0 * np.log(0.1))
_LOWEST, _HIGHEST = 2, 6  # HEALPix orders: nside 4 and 64
# Deficit below which cells of an order are divided, wider where a cell is wide; and always the best few.
_DEEP, _LEAST = {2: 40.0, 3: 25.0, 4: 14.0, 5: 9.0}, 8
_QUICK = Search(rise=0.05, iterations=12)


@dataclass(frozen=True, slots=True, eq=False)
class DirectionMap:
    """Profile likelihood of directions of *motion* in detector coordinates, in cells that cover the sphere once.

    order, pixel (cell,) : HEALPix order and nested index of each cell.  value (cell,) : -ln L at its centre, highest
    over vertex, time and energy.  best : -ln L of the best cascade, never above the least ``value``.
    """

    order: Ints
    pixel: Ints
    value: Floats
    best: float

    @property
    def area(self) -> Floats:
        """Steradian of each cell, (cell,)."""
        return np.asarray(np.pi / 3.0 * 0.25**self.order)

    @property
    def direction(self) -> Floats:
        """Unit vectors of the cells' centres, (cell, 3)."""
        return np.stack(hp.pix2vec(2**self.order, self.pixel, nest=True), axis=-1)

    @property
    def deficit(self) -> Floats:
        """Twice the fall of ln L from the best, (cell,): to be compared with critical values."""
        return np.asarray(2.0 * (self.value - self.best))


def scan(problem: Problem, best: Cascade, *, highest: int = _HIGHEST) -> DirectionMap:
    """Map of an event about its best cascade, from nside 4 to nside 2^highest, coarse to fine.

    At each centre vertex, time and energy are fitted anew, from those of the cell above.  About 1,000 searches of 5
    evaluations: several seconds.
    Raises InputError for an order below that of nside 4.
    """
    if highest < _LOWEST:
        raise InputError(f"a map to order {highest}; the coarsest is order {_LOWEST}, nside {2**_LOWEST}")
    pixel: Ints = np.arange(12 * 4**_LOWEST)
    metric = first_metric(problem, best, 2)
    climbed = partial(maximise, problem, held=2, search=_QUICK, metric=metric)
    tops = [climbed(turned(best, u)) for u in directions(2**_LOWEST)]
    level, kept = _LOWEST, []
    top = problem.value(best).log_likelihood
    while True:
        height = np.array([one.log_likelihood for one in tops])
        top = max(top, float(height.max()))
        divided = _divided(2.0 * (top - height), level) if level < highest else np.zeros(len(height), bool)
        kept.append((np.full((~divided).sum(), level), pixel[~divided], -height[~divided]))
        if level == highest:
            break
        level += 1
        parents = np.flatnonzero(divided)
        pixel = (4 * pixel[parents][:, None] + np.arange(4)).ravel()
        centre = np.stack(hp.pix2vec(2**level, pixel, nest=True), axis=-1)
        tops = [climbed(turned(tops[i].at, u)) for i, u in zip(np.repeat(parents, 4), centre, strict=True)]
    order, cells, value = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return DirectionMap(order, cells, value, -top)


def _divided(deficit: Floats, level: int) -> Bools:
    chosen: Bools = deficit < _DEEP.get(level, _DEEP[5])
    chosen[np.argsort(deficit)[:_LEAST]] = True
    return chosen


def contour_area(of: DirectionMap, critical: float = WILKS_90) -> float:
    """Steradian where the deficit is below a critical value; at least one cell."""
    inside = of.deficit <= critical
    return float(of.area[inside].sum() if inside.any() else of.area[np.argmin(of.value)])


def circular_sigma(of: DirectionMap, critical_50: float = WILKS_50) -> float:
    """Error in rad of a circular normal law whose half lies in as large an area: sqrt(area_50 / (pi 2 ln 2))."""
    return float(np.sqrt(contour_area(of, critical_50) / (np.pi * WILKS_50)))


def deficit_at(problem: Problem, best: Cascade, direction: Floats) -> float:
    """Twice the fall of ln L between the best cascade and the best one along a direction (3,); 0 if that is higher."""
    along = maximise(problem, turned(best, direction), held=2)
    return max(0.0, 2.0 * (problem.value(best).log_likelihood - along.log_likelihood))
