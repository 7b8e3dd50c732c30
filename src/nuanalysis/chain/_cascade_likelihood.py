"""The hybrid likelihood of a simulated cascade with its direction held, as a sky scan asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from nuanalysis import learn
from nuanalysis.chain._events import array
from nuanalysis.chain._kept import opened_as
from nuanalysis.chain._light import Medium
from nuanalysis.engine.bench import Kept
from nuanalysis.reconstruct import Best, Profile
from nuanalysis.schema import Floats

_FREE = 5  # place, time, ln E
#: A search along a held direction ends where a further step promises less than 0.05 of ln L, or 2 % of how far it is
#: below the best: TS is then good to a few per cent, at a third of the evaluations.
_RISE, _ITERATIONS, _SHARE = 0.05, 12, 0.02


@dataclass(frozen=True, slots=True, eq=False)
class FittedCascade:
    """A simulated cascade after its free fit: all that its likelihood is built from.

    observed, along : modules, pulses and profile of light that the likelihood reads.  top : the best cascade.
    minus_log_likelihood : there.  metric (7, 7) : of searches with the direction held.  errors (7,) : of
    ``PARAMETERS``, from the Fisher information.  medium : ice and modules.  mjd : UTC, of the event; it turns the sky.
    """

    observed: learn.Observed
    along: learn.Profile
    top: learn.Cascade
    minus_log_likelihood: float
    metric: Floats
    errors: Floats
    medium: Medium
    mjd: float

    @property
    def sigma(self) -> float:
        """Error of the direction as that of a round normal law, rad."""
        return float(np.hypot(*self.errors[5:]) / np.sqrt(2.0))


def fitted(seen: learn.EventPulses, medium: Medium, mjd: float) -> FittedCascade:
    """The free fit of an event, and what is needed to hold its direction.  Raises InputError without light."""
    where, light = array(medium), light_of(medium)
    fit = learn.reconstruct(where, seen, light)
    observed, along = learn.observe(where, seen, fit.maximum), learn.profile(fit.energy)
    problem = learn.Problem(observed, light, along)
    # Modules and profile are now those of the fit: it ends a little elsewhere.
    top = learn.maximise(problem, fit.top)
    covariance = np.linalg.pinv(problem.information(top.at), hermitian=True)
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    metric = learn.first_metric(problem, top.at, 2)
    return FittedCascade(observed, along, top.at, -top.log_likelihood, metric, errors, medium, mjd)


@lru_cache(maxsize=2)
def light_of(medium: Medium) -> learn.LightModel:
    """The light network that comes with the package, in some ice."""
    path = Path(str(files("nuanalysis.learn") / "weights" / "light-cascade.npz"))
    return learn.network_light(opened_as(learn.LightNetwork, path), array(medium).ice)


@dataclass(frozen=True, slots=True, eq=False)
class CascadeLikelihood:
    """An ``EventLikelihood``: place, time and ln E are fitted at each direction, as steps from the free fit."""

    event: FittedCascade
    light: learn.LightModel

    @property
    def problem(self) -> learn.Problem:
        """What ln L needs beside the cascade."""
        return learn.Problem(self.event.observed, self.light, self.event.along)

    @property
    def best(self) -> Best | None:
        """The free fit."""
        where = sky_of(self.event.top.direction[None], self.event.mjd)
        return Best(float(where[0][0]), float(where[1][0]), self.event.minus_log_likelihood)

    def first_starts(self, right_ascension: Floats, declination: Floats) -> Floats:
        """Those of the free fit, (n, 5): m, m, m, ns, ln E."""
        top = self.event.top
        return np.tile([*top.position, top.time, top.log_energy], (len(right_ascension), 1))

    def profile(self, right_ascension: Floats, declination: Floats, starts: Floats) -> Profile:
        """See ``EventLikelihood``."""
        problem, event = self.problem, self.event
        search = learn.Search(_RISE, _ITERATIONS, -event.minus_log_likelihood, _SHARE)
        tops = [
            learn.maximise(problem, _cascade(start, along), held=2, search=search, metric=event.metric)
            for start, along in zip(starts, motion_of(right_ascension, declination, event.mjd), strict=True)
        ]
        values = np.array([-top.log_likelihood for top in tops])
        nuisance = np.array([[*top.at.position, top.at.time, top.at.log_energy] for top in tops])
        return Profile(values, nuisance.reshape(-1, _FREE))

    def ts_at(self, right_ascension: float, declination: float) -> float:
        """TS at one direction: twice the fall of ln L from the free fit, not below 0."""
        along = motion_of(np.array([right_ascension]), np.array([declination]), self.event.mjd)[0]
        return learn.deficit_at(self.problem, self.event.top, along)


def _cascade(start: Floats, along: Floats) -> learn.Cascade:
    return learn.cascade(start[:3], float(start[3]), float(np.exp(start[4])), along)


@lru_cache(maxsize=2)
def likelihood_of(kept: Kept) -> CascadeLikelihood:
    """The likelihood of a ``FittedCascade`` that tasks share, built once per process."""
    event: FittedCascade = kept.value
    return CascadeLikelihood(event, light_of(event.medium))


# ---- the sky above the Pole ---------------------------------------------------------------------------------------


def sky_of(direction: Floats, mjd: float) -> tuple[Floats, Floats]:
    """Right ascension and declination (event,) that directions of motion (event, 3) at the detector come from, rad.

    The detector's x points to longitude 90 deg east, y to 0, z up, and up is the southern celestial pole.  The sky is
    turned by the Earth's rotation angle (IERS Conventions 2010, eq. 5.15) with UTC for UT1; precession since 2000 and
    nutation are left out, 0.2 to 0.4 deg: simulated events need a rule, not an almanac.
    """
    back = -np.asarray(direction, dtype=np.float64)
    right_ascension = np.mod(_rotation(mjd) + np.arctan2(back[..., 0], back[..., 1]), 2.0 * np.pi)
    return right_ascension, np.arcsin(np.clip(-back[..., 2], -1.0, 1.0))


def motion_of(right_ascension: Floats, declination: Floats, mjd: float) -> Floats:
    """Directions of motion (event, 3) at the detector of what comes from there; the inverse of ``sky_of``."""
    longitude, level = right_ascension - _rotation(mjd), np.cos(declination)
    return -np.stack([level * np.sin(longitude), level * np.cos(longitude), -np.sin(declination)], axis=-1)


def _rotation(mjd: float) -> float:
    days = mjd - 51544.5
    return float(2.0 * np.pi * ((0.7790572732640 + 0.00273781191135448 * days + days % 1.0) % 1.0))
