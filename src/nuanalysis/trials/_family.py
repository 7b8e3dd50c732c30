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


def along(members: Floats, ts: Floats) -> Profile:
    """TS (sky, member) at rising values of the parameter as a curve; the members are among its points.

    Raises InputError for fewer than three members.
    """
    if len(members) < _FEWEST or np.any(np.diff(members) <= 0.0):
        raise InputError(f"the members are at {members.tolist()}; expected {_FEWEST} or more rising values")
    at = np.unique(np.concatenate([np.linspace(members[0], members[-1], _FINE + 1), members]))
    return Profile(members, at, np.asarray(scipy.interpolate.CubicSpline(members, ts, axis=1)(at)))


@dataclass(frozen=True, slots=True, eq=False)
class Critical:
    """tau that ``level`` of the experiments at each member stay below, and its error: (member,) each."""

    members: Floats
    tau: Floats
    errors: Floats
    level: float

    def at(self, value: Floats, shift: float = 0.0) -> Floats:
        """Linear between the members, any shape; shift : how many of its own errors are added."""
        return np.interp(value, self.members, np.maximum(self.tau + shift * self.errors, 0.0))


def family_critical(members: Floats, tau: tuple[Floats, ...], level: float) -> Critical:
    """Critical values of experiments; tau[k] (trial,) : of those drawn from member k, at member k.

    Near an end of the family fits pile up there and the critical value falls: that is what the experiments are for.
    """
    found = np.array([exceeded_by(one, 1.0 - level) for one in tau])
    return Critical(members, found[:, 0], found[:, 1], level)


def family_accepts(profile: Profile, critical: Critical, shift: float = 0.0) -> NDArray[np.bool_]:
    """Which values belong to the interval, (sky, fine): the best always does."""
    tau = profile.tau
    return np.asarray((tau <= critical.at(profile.at, shift)) | (tau <= 0.0))


def family_ends(profile: Profile, critical: Critical, shift: float = 0.0) -> tuple[Floats, Floats]:
    """Smallest and largest accepted value, (sky,) each: the interval of Feldman and Cousins (1998)."""
    inside = family_accepts(profile, critical, shift)
    last = inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    return np.asarray(profile.at[inside.argmax(axis=1)]), np.asarray(profile.at[last])
