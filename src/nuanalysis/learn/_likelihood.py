"""The likelihood of one event under a cascade: charges of all modules, times of the pulses, and exact slopes.

ln L = sum over modules ln NB(Q | mu, s) + sum over pulses w ln[(mu p(t) + n)/(mu + n_tot)]; NB is a negative binomial
of mean mu whose variance is mu + s^2 mu^2, p the density of delays, n that of noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.detector import LIGHT_SPEED, SPEED_OF_LIGHT, Pairs
from nuanalysis.learn._cascades import PHOTONS_PER_GEV, Cascade, Profile
from nuanalysis.learn._light_models import LightModel, Look, Slopes
from nuanalysis.learn._likelihood_kernels import information, sums
from nuanalysis.learn._observed import Observed
from nuanalysis.schema import Floats

_APART = 1e-4  # m2, added to squares of distances: a source inside of a module has a slope too


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """ln L of an event under a cascade, and its slope (7,) in ``PARAMETERS``."""

    log_likelihood: float
    slope: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """A cascade's parts seen from the modules, flat over (part, module): lines (pair, 3) are unit vectors to them."""

    pairs: Pairs
    line: Floats
    delay: Floats  # (part x pulse,)
    log_light: Floats  # (part, module): ln of the accepted photons times efficiency


def log_likelihood(observed: Observed, of: Cascade, light: LightModel, along: Profile) -> Value:
    """ln L and its slope; along : the profile of the light, which does not change with the cascade's energy here."""
    scene, look = _looked(observed, of, light, along)
    parts, modules = scene.log_light.shape
    means = np.exp(scene.log_light + look.log_yield.reshape(parts, modules))
    by_mean, by_density = np.empty_like(means), np.empty((parts, len(observed.of)))
    value = sums(*_arrays(observed), means, look.density.reshape(parts, -1), by_mean, by_density, np.empty(modules))
    slopes = look.pull(by_mean.ravel(), by_density.ravel())
    rows = _by_pair(observed, of, along, scene, slopes)
    slope = np.concatenate([rows.sum(axis=0)[:4], [by_mean.sum()], of.basis @ rows.sum(axis=0)[4:]])
    return Value(float(value), slope)


def height(observed: Observed, of: Cascade, light: LightModel, along: Profile) -> float:
    """ln L alone, at half of the price."""
    scene, look = _looked(observed, of, light, along)
    parts, modules = scene.log_light.shape
    means = np.exp(scene.log_light + look.log_yield.reshape(parts, modules))
    slopes = np.empty_like(means), np.empty((parts, len(observed.of)))
    return float(sums(*_arrays(observed), means, look.density.reshape(parts, -1), *slopes, np.empty(modules)))


def fisher(observed: Observed, of: Cascade, light: LightModel, along: Profile) -> Floats:
    """Information on ``PARAMETERS``, (7, 7): expected of the charges, of the times as each pulse says at its delay.

    How the shape of delays depends on distance and angle is left out of the times.
    """
    scene, look = _looked(observed, of, light, along)
    parts, modules = scene.log_light.shape
    means = np.exp(scene.log_light + look.log_yield.reshape(parts, modules))
    total = means.sum(axis=0) + observed.background
    rows = _by_pair(observed, of, along, scene, look.pull(means.ravel(), np.zeros(len(look.density))))
    charge = _seven(rows.reshape(parts, modules, 7).sum(axis=0), means.sum(axis=0), of)
    out = np.zeros((7, 7))
    information(charge, observed.weight / (total * (1.0 + observed.variance * total)), out)
    bright = look.density.reshape(parts, -1) * means[:, observed.of]
    ratio = bright / (bright.sum(axis=0) + observed.rate)
    late = look.pull(np.zeros(means.size), np.ones(len(look.density))).delay / look.density
    times = _times(observed, of, along, scene, ratio * late.reshape(parts, -1))
    information(times, observed.trust, out)
    return out


def _seven(rows: Floats, by_log_energy: Floats, of: Cascade) -> Floats:
    """Slopes (row, 7) in ``PARAMETERS`` from those in place, time and the vector of direction."""
    return np.concatenate([rows[:, :4], by_log_energy[:, None], rows[:, 4:] @ of.basis.T], axis=1)


def _times(observed: Observed, of: Cascade, along: Profile, scene: _Scene, late: Floats) -> Floats:
    """Slopes of pulses, (pulse, 7), from those in the delays of each part, (part, pulse)."""
    parts, modules = scene.log_light.shape
    line = scene.line.reshape(parts, modules, 3)[:, observed.of]
    place = (late[..., None] * line).sum(axis=0) / LIGHT_SPEED
    axis = ((late * along.offset[:, None])[..., None] * line).sum(axis=0) / LIGHT_SPEED
    return _seven(np.concatenate([place, -late.sum(axis=0)[:, None], axis], axis=1), np.zeros(len(place)), of)


def _arrays(observed: Observed) -> tuple[tuple[Floats, object], tuple[object, Floats]]:
    modules = np.stack([observed.charge, observed.weight, observed.variance, observed.background])
    return (modules, observed.censored), (observed.of, np.stack([observed.trust, observed.rate]))


def _looked(observed: Observed, of: Cascade, light: LightModel, along: Profile) -> tuple[_Scene, Look]:
    scene = _scene(observed, of, along)
    parts, modules = scene.log_light.shape
    pulses = (observed.of + modules * np.arange(parts)[:, None]).ravel()
    return scene, light.look(scene.pairs, pulses, scene.delay)


def _scene(observed: Observed, of: Cascade, along: Profile) -> _Scene:
    source = of.position + along.offset[:, None] * of.direction
    gap = observed.position - source[:, None]
    distance = np.sqrt((gap * gap).sum(axis=2) + _APART)
    line = gap / distance[..., None]
    parts, modules = distance.shape
    started = of.time + along.offset / SPEED_OF_LIGHT
    delay = observed.time - started[:, None] - distance[:, observed.of] / LIGHT_SPEED
    pairs = Pairs(
        np.zeros(parts * modules, bool),
        distance.ravel(),
        np.repeat(source[:, 2], modules),
        np.tile(observed.position[:, 2], parts),
        (line @ of.direction).ravel(),
    )
    bright = of.log_energy + np.log(PHOTONS_PER_GEV * along.share)[:, None] + np.log(observed.efficiency)
    return _Scene(pairs, line.reshape(-1, 3), delay.ravel(), bright)


def _by_pair(observed: Observed, of: Cascade, along: Profile, scene: _Scene, slopes: Slopes) -> Floats:
    """Slopes in place, time and the vector of direction of each pair, (pair, 7)."""
    parts, modules = scene.log_light.shape
    of_pulse = (observed.of + modules * np.arange(parts)[:, None]).ravel()
    late = np.bincount(of_pulse, slopes.delay, parts * modules)
    by_distance = slopes.distance - late / LIGHT_SPEED
    inverse = slopes.cosine / scene.pairs.distance
    place = (inverse * scene.pairs.cosine - by_distance)[:, None] * scene.line - inverse[:, None] * of.direction
    place[:, 2] += slopes.source
    offset = np.repeat(along.offset, modules)[:, None]
    axis = slopes.cosine[:, None] * scene.line + offset * (place - late[:, None] * of.direction / SPEED_OF_LIGHT)
    return np.concatenate([place, -late[:, None], axis], axis=1)


def expected_charges(observed: Observed, of: Cascade, light: LightModel, along: Profile) -> Floats:
    """Photoelectrons that a cascade gives each module, without background, (module,)."""
    scene = _scene(observed, of, along)
    look = light.look(scene.pairs, np.empty(0, np.int64), np.empty(0))
    return np.asarray(np.exp(scene.log_light + look.log_yield.reshape(scene.log_light.shape)).sum(axis=0))
