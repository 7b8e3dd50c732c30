"""A parameter of a family of templates: profiled likelihoods on shared skies, and intervals by Feldman and Cousins.

Every member of the family, a template for each value of the parameter, is fitted to the same events; n_s is free in
each, or held.  TS along the parameter is a cubic spline through the members, and ends at the outermost two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import scipy
from nuanalysis.errors import InputError
from nuanalysis.likelihood import maximise_and_scan
from nuanalysis.model import Prepared, Terms
from nuanalysis.schema import Floats
from nuanalysis.trials._injection import emissions, signal_events
from nuanalysis.trials._interval import bounded_critical
from nuanalysis.trials._joint import exceeded_by, on_one_sky, signal_generator

_FINE = 240  # steps along the parameter, in which intervals end
_FEWEST = 3  # members


def family_columns(n_members: int) -> tuple[str, ...]:
    """Columns of ``family_trials``: of each member TS and n_s with n_s free, and TS with n_s held."""
    return tuple(f"{name}_{k}" for k in range(n_members) for name in ("ts", "n_signal", "ts_held"))


def family_fits(data: tuple[Terms, ...], held: tuple[float, ...]) -> list[float]:
    """One row of ``family_columns``; held (member,) : n_s at which TS is read too."""
    row: list[float] = []
    for terms, n_held in zip(data, held, strict=True):
        fit, at_held = maximise_and_scan(terms, 0, np.array([n_held]))
        row += [fit.ts, fit.n_signal, float(at_held[0])]
    return row


def family_trials(
    problems: tuple[Prepared, ...], seed: int, first: int, last: int, truth: int, n_mean: float, held: tuple[float, ...]
) -> Floats:
    """Trials first..last-1 with the signal of one member, all members fitted: (trial, column of ``family_columns``).

    truth : number of the member whose signal is drawn, n_mean events of it on average.    held (member,) : see
    ``family_fits``.  Trial i is a pure function of (problems, truth, n_mean, held, seed, i).  Indices are held.
    """
    if any(len(problem.index) > 1 for problem in problems):
        raise InputError("a template of the family has a free index; its spectrum is that of the model: hold the index")
    source, rows = emissions(problems[truth]), np.empty((last - first, len(family_columns(len(problems)))))
    for row, trial in zip(rows, range(first, last), strict=True):
        drawn = signal_events(problems[truth], source, signal_generator(seed, trial), n_mean)
        row[:] = family_fits(on_one_sky(problems, seed, trial, drawn), held)
    return rows


# --- what they say ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """TS along the parameter, of many skies.

    members (member,), at (fine,) : values of the parameter.    ts (sky, fine).
    """

    members: Floats
    at: Floats
    ts: Floats

    @property
    def best(self) -> Floats:
        """The value at which TS is largest, (sky,)."""
        return np.asarray(self.at[self.ts.argmax(axis=1)])

    @property
    def tau(self) -> Floats:
        """The largest TS less TS at each value, (sky, fine)."""
        return np.asarray(self.ts.max(axis=1, keepdims=True) - self.ts)

    def tau_at(self, value: float) -> Floats:
        """The largest TS less TS at one value, (sky,)."""
        return np.asarray(self.tau[:, int(np.abs(self.at - value).argmin())])


def along(members: Floats, ts: Floats, by: Floats | None = None) -> Profile:
    """TS (sky, member) at rising values of the parameter as a curve; the members are among its points.

    by (member,) : what TS is close to a parabola in, rising and positive, such as a held n_s; without: the parameter.
    Raises InputError for fewer than three members, or for some that do not rise.
    """
    measure = members if by is None else by
    if len(members) < _FEWEST or np.any(np.diff(members) <= 0.0) or np.any(np.diff(measure) <= 0.0):
        raise InputError(f"the members are at {members.tolist()}; expected {_FEWEST} or more rising values")
    at = np.unique(np.concatenate([np.linspace(members[0], members[-1], _FINE + 1), members]))
    where = at if by is None else np.exp(scipy.interpolate.CubicSpline(members, np.log(by))(at))
    return Profile(members, at, np.asarray(scipy.interpolate.CubicSpline(measure, ts, axis=1)(where)))


@dataclass(frozen=True, slots=True, eq=False)
class Critical:
    """tau that ``level`` of the experiments at each member stay below, and its error: (member,) each.

    Towards an end of the family the critical value falls steeply, since fits pile up there.  That of a normal fit of
    this width, bounded at the nearer end, falls almost alike: the curve is it times a factor, linear between members.
    """

    members: Floats
    tau: Floats
    errors: Floats
    level: float
    width: float

    def at(self, value: Floats, shift: float = 0.0) -> Floats:
        """Critical tau, any shape; shift : how many of its own errors are added."""
        factor = np.maximum(self.tau + shift * self.errors, 0.0) / self._normal(self.members)
        return self._normal(value) * np.interp(value, self.members, factor)

    def _normal(self, value: Floats) -> Floats:
        nearer = np.minimum(value - self.members[0], self.members[-1] - value)
        return bounded_critical(nearer / self.width, self.level)


def normal_width(profile: Profile) -> float:
    """Width of a normal fit whose TS would fall as the mean of these does between the members; at most the family's."""
    whole = float(profile.members[-1] - profile.members[0])
    bend = float(np.polyfit(profile.at, profile.ts.mean(axis=0), 2)[0])
    return min((-bend) ** -0.5, whole) if bend < 0.0 else whole


def family_critical(drawn: tuple[Profile, ...], level: float) -> Critical:
    """Critical values of experiments; drawn[k] : of those of member k."""
    members = drawn[0].members
    tau = [one.tau_at(float(member)) for member, one in zip(members, drawn, strict=True)]
    found = np.array([exceeded_by(one, 1.0 - level) for one in tau])
    return Critical(members, found[:, 0], found[:, 1], level, normal_width(drawn[len(members) // 2]))


def family_accepts(profile: Profile, critical: Critical, shift: float = 0.0) -> NDArray[np.bool_]:
    """Which values belong to the interval, (sky, fine): the best always does."""
    tau = profile.tau
    return np.asarray((tau <= critical.at(profile.at, shift)) | (tau <= 0.0))


def family_ends(profile: Profile, critical: Critical, shift: float = 0.0) -> tuple[Floats, Floats]:
    """Smallest and largest accepted value, (sky,) each: the interval of Feldman and Cousins (1998)."""
    inside = family_accepts(profile, critical, shift)
    last = inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    return np.asarray(profile.at[inside.argmax(axis=1)]), np.asarray(profile.at[last])
