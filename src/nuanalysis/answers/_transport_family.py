"""The family of one gas model on samples: fits of all its members, experiments of each, and what they allow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis import trials
from nuanalysis.answers._question import pose
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import FamilyExperiments, Problem, run
from nuanalysis.errors import PrecisionError
from nuanalysis.interpret import fluxes
from nuanalysis.interpret.transport import Member, member, template_name
from nuanalysis.library.samples import Samples
from nuanalysis.model import terms
from nuanalysis.schema import Floats
from nuanalysis.trials.streams import family_member, seed_of

LEVEL = 0.68
TOO_BRIGHT = "the model's own flux is more than a density of the events allows"


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """The members of one gas model on the same events, (member,) each, by rising A.

    slopes : A per kpc.    members : what the templates send.    model : events of the model at its own flux.
    bias : median fit over injected signal.    ts, n_signal : of the fit with n_s free.    ts_held : TS at the model's
    own flux.
    """

    gas: str
    slopes: Floats
    problems: tuple[Problem, ...]
    members: tuple[Member, ...]
    model: Floats
    bias: Floats
    ts: Floats
    n_signal: Floats
    ts_held: Floats

    @property
    def held(self) -> tuple[float, ...]:
        """n_s that experiments with the model's own flux have as their median fit."""
        return tuple((self.bias * self.model).tolist())

    def truth(self, k: int, *, held: bool) -> float:
        """Mean events of experiments of member k: those of its own flux, or of the fit of the data."""
        return float(self.model[k] if held else self.n_signal[k] / self.bias[k])


def family(gas: str, slopes: tuple[float, ...], samples: Samples) -> Family:
    """All members prepared on samples, and fitted.  Seconds each; templates are built once and kept in the cache."""
    problems = tuple(pose(f"template:{template_name(gas, one)}", samples) for one in slopes)
    prepared = tuple(one.prepared for one in problems)
    model = np.array([fluxes.model_flux(p.hypothesis) * fluxes.prepared_events_per_flux(p) for p in prepared])
    bias = np.array([round(trials.bias_factor(p), 3) for p in prepared])
    row = trials.family_fits(tuple(terms(p) for p in prepared), tuple((bias * model).tolist()))
    ts, n_signal, ts_held = np.array(row).reshape(len(slopes), 3).T
    members = tuple(member(p.hypothesis.target) for p in prepared)  # type: ignore[arg-type]
    return Family(gas, np.array(slopes), problems, members, model, bias, ts, n_signal, ts_held)


def experiments(one: Family, k: int, n: int, bench: Bench, *, held: bool) -> xr.Dataset:
    """Experiments of member k, all members fitted to each: columns of ``trials.family_columns``."""
    seed = seed_of(one.problems[0].seed, family_member(k, held=held))
    return run(one.problems, FamilyExperiments(seed, n, k, one.truth(k, held=held), one.held), bench)


def column(found: xr.Dataset, name: str, n_members: int) -> Floats:
    """A column of all members, (trial, member)."""
    return np.stack([found[f"{name}_{k}"].values for k in range(n_members)], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """TS along A of the data and of experiments, and the critical values.

    drawn : of the experiments of each member, (member,).
    """

    data: trials.Profile
    drawn: tuple[trials.Profile, ...]
    critical: trials.Critical

    def ends(self, shift: float = 0.0) -> tuple[float, float]:
        """The interval of the data; shift : see ``trials.Critical``."""
        low, high = trials.family_ends(self.data, self.critical, shift)
        return float(low[0]), float(high[0])


def reading(slopes: Floats, ts: Floats, skies: tuple[Floats, ...], by: Floats | None = None) -> Reading:
    """From TS of the data, (member,), and of experiments of each member, (trial, member); by : see ``trials.along``."""
    drawn = tuple(trials.along(slopes, one, by) for one in skies)
    return Reading(trials.along(slopes, ts[None], by), drawn, trials.family_critical(drawn, LEVEL))


def reading_held(one: Family, skies: tuple[Floats, ...]) -> Reading:
    """The same with each norm held at the model's own flux, where TS is close to a parabola in the events of the model.

    Members whose own flux is more than a density of the events allows, which are the last ones, are left out: nothing
    excludes a model more.  Raises PrecisionError where fewer than three are left.
    """
    for n in range(len(one.slopes), 2, -1):
        kept = tuple(sky[:, :n] for sky in skies[:n])
        if all(np.isfinite(each).all() for each in (one.ts_held[:n], *kept)):
            return reading(one.slopes[:n], one.ts_held[:n], kept, one.model[:n])
    raise PrecisionError(TOO_BRIGHT)
