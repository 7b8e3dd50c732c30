"""Hybrid reconstruction: the cascade whose light explains an event best, by likelihood on a light model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.detector import Detector
from nuanalysis.learn._cascades import Cascade, cascade, point_profile, profile, vertex
from nuanalysis.learn._light_models import LightModel
from nuanalysis.learn._likelihood import expected_charges
from nuanalysis.learn._maximise import Problem, Search, Top, maximise
from nuanalysis.learn._observed import EventPulses, Observed, Trust, first_places, observe, start_time
from nuanalysis.schema import Bools, Floats

_NSIDE = 2  # 192 directions instead of 48 cost a third of the time and end as high
_APART = np.cos(np.radians(30.0))  # of the directions from which a search starts again
_PLACES = 4  # from which short searches begin
_UP = np.array([0.0, 0.0, 1.0])
_SHORT, _ROUGH = Search(rise=0.5, iterations=12), Search(rise=0.1, iterations=25)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A reconstructed cascade.

    vertex (3,) m, time ns : of the interaction.  maximum (3,) : middle of the light, a few m ahead.  energy : GeV, of
    an electromagnetic cascade as bright.  direction (3,) : unit vector of motion.  errors (7,) : of ``PARAMETERS``,
    from the Fisher information.  log_likelihood : at the top, up to what depends on the event alone.  iterations : of
    all searches.  converged : of the last.  top : the same as the likelihood takes it.
    """

    vertex: Floats
    time: float
    maximum: Floats
    energy: float
    direction: Floats
    errors: Floats
    log_likelihood: float
    iterations: int
    converged: bool
    top: Cascade


def reconstruct(
    detector: Detector,
    seen: EventPulses,
    light: LightModel,
    *,
    start: Cascade | None = None,
    excluded: Bools | None = None,
    trust: Trust | None = None,
) -> Fit:
    """The best cascade for one event.

    start : of a network, say; without one the centre of charge is taken.  excluded (module,) : left out.
    First with all light in one place; then 48 directions are tried at the vertex that was found, and the best two that
    are apart are followed; the last search has the light along the axis.  Raises InputError without light.
    """
    begin = start or first_start(detector, seen, light, excluded=excluded, trust=trust)
    observed = observe(detector, seen, begin.position, excluded=excluded, trust=trust)
    point = Problem(observed, light, point_profile())
    first = maximise(point, begin, search=_ROUGH)
    tops = [first, *(maximise(point, one, search=_ROUGH) for one in other_directions(point, first.at))]
    best = max(tops, key=lambda top: top.log_likelihood)
    along = profile(best.at.energy)
    last = maximise(Problem(observed, light, along), best.at)
    return _fit(Problem(observed, light, along), last, sum(top.iterations for top in tops))


def _fit(problem: Problem, top: Top, before: int) -> Fit:
    place, time = vertex(top.at)
    covariance = np.linalg.pinv(problem.information(top.at), hermitian=True)
    return Fit(
        vertex=place,
        time=time,
        maximum=top.at.position,
        energy=top.at.energy,
        direction=top.at.direction,
        errors=np.sqrt(np.maximum(np.diag(covariance), 0.0)),
        log_likelihood=top.log_likelihood,
        iterations=before + top.iterations,
        converged=top.converged,
        top=top.at,
    )


def start_at(detector: Detector, seen: EventPulses, place: Floats, energy: float, direction: Floats) -> Cascade:
    """A start from what a network says: place (3,) m, energy in GeV, direction of motion (3,); the time is found."""
    return cascade(place, start_time(detector, seen, place), energy, direction)


def first_start(
    detector: Detector,
    seen: EventPulses,
    light: LightModel,
    *,
    excluded: Bools | None = None,
    trust: Trust | None = None,
) -> Cascade:
    """A start without a network: ln L at places about two centres of charge, then short searches from the best.

    18 places, 6 directions each, on a thinned event; the energy at each place is what gives the charge.
    """
    places = first_places(detector, seen)
    point = Problem(
        thinned(observe(detector, seen, places[0][0], excluded=excluded, trust=trust)), light, point_profile()
    )
    tried = [_best_along(point, place, time) for place, time in places]
    tried.sort(key=lambda two: -two[0][0])
    starts = [at for two in tried[:_PLACES] for _, at in two]
    tops = [maximise(point, at, search=_SHORT) for at in starts]
    return max(tops, key=lambda top: top.log_likelihood).at


def _best_along(point: Problem, place: Floats, time: float) -> list[tuple[float, Cascade]]:
    """The two best of 6 directions at a place, with their ln L."""
    energy = _energy(point.observed, place, point.light, _UP)
    tried = [cascade(place, time, energy, along) for along in directions(1)[::2]]
    height = [(point.height(at), at) for at in tried]
    return sorted(height, key=lambda one: -one[0])[:2]


def directions(nside: int) -> Floats:
    """Unit vectors of the cells of a HEALPix map, nested, (12 nside^2, 3)."""
    return np.stack(hp.pix2vec(nside, np.arange(12 * nside * nside), nest=True), axis=-1)


def turned(at: Cascade, direction: Floats) -> Cascade:
    """The same cascade along another direction (3,)."""
    return cascade(at.position, at.time, at.energy, direction)


def other_directions(point: Problem, at: Cascade) -> list[Cascade]:
    """Two cascades at the same place along the best of 48 directions, 30 deg apart and away from ``at``'s own."""
    fewer = Problem(thinned(point.observed), point.light, point.profile)
    tried = directions(_NSIDE)
    height = np.array([fewer.height(turned(at, along)) for along in tried])
    found: list[Floats] = [at.direction]
    for along in tried[np.argsort(-height)]:
        if all(along @ one < _APART for one in found):
            found.append(along)
        if len(found) == 3:
            break
    return [turned(at, along) for along in found[1:]]


def deficit_at(problem: Problem, best: Cascade, direction: Floats) -> float:
    """Twice the fall of ln L between the best cascade and the best one along a direction (3,); 0 if that is higher."""
    along = maximise(problem, turned(best, direction), held=2)
    return max(0.0, 2.0 * (problem.value(best).log_likelihood - along.log_likelihood))


def thinned(observed: Observed, most: int = 100, pulses: int = 3) -> Observed:
    """An event with fewer modules and pulses, that stand for those left out: good for coarse comparisons.

    About ``most`` modules with light and as many without.
    """
    lit = observed.charge > 0.0
    rows, every = np.arange(len(lit)), np.ones(len(lit), np.int64)
    for kind in (lit, ~lit):
        every[kind] = max(1, -(-int(kind.sum()) // most))
    kept = (rows - np.where(lit, 0, lit.sum())) % every == 0
    rank = np.arange(len(observed.of)) - np.searchsorted(observed.of, observed.of)
    number = np.bincount(observed.of, minlength=len(observed.charge))
    stride = np.maximum(1, -(-number // pulses))
    chosen = kept[observed.of] & (rank % stride[observed.of] == 0)
    total = np.bincount(observed.of, observed.trust, len(observed.charge))
    left = np.bincount(observed.of[chosen], observed.trust[chosen], len(observed.charge))
    scale = every * total / np.maximum(left, 1e-300)
    of = observed.of[chosen]
    return Observed(
        module=observed.module[kept],
        position=observed.position[kept],
        efficiency=observed.efficiency[kept],
        charge=observed.charge[kept],
        censored=observed.censored[kept],
        weight=(every * observed.weight)[kept],
        variance=observed.variance[kept],
        background=observed.background[kept],
        of=(np.cumsum(kept) - 1)[of],
        time=observed.time[chosen],
        trust=observed.trust[chosen] * scale[of],
        rate=observed.rate[chosen],
    )


def _energy(observed: Observed, place: Floats, light: LightModel, along: Floats) -> float:
    """GeV that give an event its charge, from a place (3,) along a direction (3,)."""
    one = cascade(place, 0.0, 1.0, along)
    expected = expected_charges(observed, one, light, point_profile()) * observed.weight
    return float(max(observed.charge.sum() / expected.sum(), 10.0))
