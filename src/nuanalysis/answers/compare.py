"""Which of two models do the events prefer, and how well could they tell?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import numpy as np
from pydantic import AfterValidator

from nuanalysis import trials
from nuanalysis.answers import _experiments
from nuanalysis.answers._ensembles import counted
from nuanalysis.answers._experiments import LEVEL, METHOD, Experiments, Norm, Quantiles, Signal, quantiles
from nuanalysis.answers._question import Answer, Named, Question, Tested, pose, provenance_of, tested
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import JointMaximum, JointTerms, curvature_at, joint_maximum
from nuanalysis.plot import Drawn, Sidecar, comparison_of_models, slug
from nuanalysis.records import Carried, Chance, Record, carried, setting, shown
from nuanalysis.schema import Floats
from nuanalysis.trials.streams import joint_model

_ALONE: tuple[_experiments.Model, ...] = ((0,), (1,))
CONDITIONAL = f"{METHOD}; q compared at the TS of the model"
_NOTES = (
    "q = TS_B - TS_A on the same events; A is the first model, B the second",
    "ties: experiments in which both have the same TS, as a rule zero; they count as equal for p-values, and as right "
    "for neither",
    *_experiments.ERRORS,
    "p of q is conditional: q goes with TS of the model itself, so it is compared at the TS of the events, by mean and "
    "spread of q there (docs/decisions/0025-comparing-models.md); experiments count in which the model has no TS as in "
    "the events, or has some as in the events",
    "powers are those of a plain test on q between the two models at the strengths that the experiments hold",
)


class Compare(Question):
    """Which of two models the events prefer, and how well they could tell, from experiments of both."""

    example: ClassVar = {"models": ("stack:snr", "stack:pwn"), "trials": 100}
    models: Annotated[tuple[Named, ...], AfterValidator(partial(_experiments.different, exactly=2))] = setting(
        help="two: template:NAME or FILE, stack:CATALOGUE, or point:RA,DEC in degrees"
    )
    trials: _experiments.Trials = 1000
    index: float | None = setting(None, low=1, high=4, help="index of a power law, in place of each model's own")
    index_free: bool = setting(False, help="fit the indices of both models, in [1, 4]")

    def ask(self, samples: Samples, bench: Bench) -> CompareAnswer:
        problems = tuple(pose(one, samples, index=self.index, index_free=self.index_free) for one in self.models)
        return compare(problems, samples, self.trials, bench)


class Side(Record):
    """One of two models: its own fit of the events, and its experiments."""

    tested: Tested = shown("model", short="model")
    ts: float = shown("test statistic TS", form=".2f", short="TS")
    chance: Chance = shown("p-value of q if it is true", short="p of q")
    power: Chance = shown("experiments of the other that a test at 5 % tells from it")
    right: Chance = shown("its experiments in which it has the larger TS")
    ties: Chance = shown("its experiments in which both have the same TS")
    norm: Norm = shown("norm")
    q: Quantiles = shown("q in its experiments", form=".2f")
    converged: bool = shown("the fit converged", hidden=True)


class CompareAnswer(Answer):
    """Two models on the same events."""

    rows: ClassVar = "models"
    q: float = shown("q = TS of B - TS of A", form=".2f")
    models: tuple[Side, ...] = shown("the models: A, then B")
    power_level: float = shown("level of the tests behind the powers", hidden=True)
    n_trials: int = shown("experiments of each model")
    not_converged: int = shown("experiments whose fit did not converge")
    notes: tuple[str, ...] = shown("notes")
    experiments: Carried[xr.Dataset] = carried()

    def headline(self) -> tuple[str, ...]:
        a, b = self.models
        first = "neither has" if self.q == 0.0 else f"{'B' if self.q > 0.0 else 'A'} has"
        return (
            f"A is {a.tested.hypothesis}, B {b.tested.hypothesis}: {first} the larger TS, TS_B - TS_A = {self.q:.2f}.",
            f"q as large if A is true: {a.chance.words()}; as small if B is true: {b.chance.words()}.",
        )

    def drawn(self) -> tuple[Drawn, ...]:
        if self.experiments is None:
            return ()
        q_a, q_b = (self.experiments[name].values for name in ("q_a", "q_b"))
        a, b = (one.tested.label for one in self.models)
        origin = _experiments.origin_of_skies(self.provenance.origin)
        figure = comparison_of_models(q_a, q_b, self.q, (a, b), label=self.provenance.sample, origin=origin)
        words = (
            f"{a} (A) or {b} (B) on {self.provenance.sample} ({self.provenance.origin}): distribution of q = TS_B - "
            f"TS_A in {self.n_trials} pseudo-experiments of each, and q of the events. {' '.join(self.headline())}"
        )
        name = "-".join(["compare", *(slug(one.tested.hypothesis) for one in self.models)])
        return (Drawn(figure, Sidecar(name, words, words, origin)),)


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """A model's own fit of the data, that signal corrected for its bias, and experiments with it.

    q (trial,) : TS_B - TS_A.  given (trial, quantity) : root of TS of the model, and its index where that is free.
    at (quantity,) : the same of the data.  fits : (trial,) n_s that the model itself fits in them.
    """

    best: JointMaximum
    signal: Signal
    q: Floats
    given: Floats
    at: Floats
    fits: Floats
    not_converged: int

    def columns(self, letter: str) -> dict[str, tuple[str, Floats]]:
        """The experiments as variables of a Dataset: q, the root of TS, and the index where it is free."""
        named = zip(("q", "root_ts", "index"), (self.q, *self.given.T), strict=False)
        return {f"{name}_{letter}": ("trial", values) for name, values in named}


def tried(held: Experiments, data: JointTerms, k: int) -> Tried:
    """Fit model k, 0 for A and 1 for B, and draw experiments of it; data are the terms of the observed events."""
    best, streams = joint_maximum(data, _ALONE[k]), joint_model(k)
    index = best.index(data)
    signal = _experiments.corrected(held, best.n_signal(data), index, _ALONE[k], streams.rounds)
    found = held.draw(signal, _ALONE, streams.experiments)
    quantities = 1 + (len(data.terms[k].index) > 1)
    given = np.column_stack([np.sqrt(found[f"ts_{k}"].values), found[f"index_{k}_{k}"].values])[:, :quantities]
    at = np.array([np.sqrt(best.ts), index[k]])[:quantities]
    q, fits = found["ts_1"].values - found["ts_0"].values, found[f"n_signal_{k}_{k}"].values
    return Tried(best, signal, q, given, at, fits, _experiments.lost(found))


def _side(problem: Problem, data: JointTerms, both: tuple[Tried, Tried], q: float, k: int) -> Side:
    """Model k with what its experiments say."""
    one, other, sign = both[k], both[1 - k], 1.0 - 2.0 * k
    found = trials.separation(sign * one.q, sign * other.q, LEVEL)
    me, rival, as_extreme, beyond = (
        ("A", "B", "P(q >= observed | A, its TS)", "above the 95 %"),
        ("B", "A", "P(q <= observed | B, its TS)", "below the 5 %"),
    )[k]
    shape, mine = curvature_at(data, one.best), f"experiments of {me} in which"
    n = float(one.best.n_signal(data)[k]), float(shape.errors[0])
    chance = trials.as_large_given(sign * one.q, one.given, sign * q, one.at)
    index = float(one.best.index(data)[k]), float(shape.index_errors[0])
    fits = _experiments.unbiased(one.fits, float(one.signal.n_signal[k]))
    return Side(
        tested=tested(problem),
        ts=one.best.ts,
        chance=counted(chance, as_extreme, CONDITIONAL),
        power=counted(found.power, f"experiments of {rival} {beyond} quantile of q of {me}", METHOD),
        right=counted(found.right, f"{mine} {me} has the larger TS", METHOD),
        ties=counted(found.ties, f"{mine} both have the same TS", METHOD),
        norm=_experiments.norm_of(problem, n, index, one.signal, fits, k),
        q=quantiles(one.q, LEVEL),
        converged=one.best.converged,
    )


def compare(problems: tuple[Problem, ...], samples: Samples, n_trials: int, bench: Bench) -> CompareAnswer:
    """The answer for two prepared models.  Raises InputError where they cannot be told apart."""
    _experiments.check_apart(problems)
    held, data = Experiments(problems, n_trials, bench), trials.joint_data(tuple(p.prepared for p in problems))
    a, b = tried(held, data, 0), tried(held, data, 1)
    q = b.best.ts - a.best.ts
    empty = [p.hypothesis.name for p, one in zip(problems, (a, b), strict=True) if not one.signal.n_signal.any()]
    return CompareAnswer(
        provenance=provenance_of(samples, *problems),
        q=q,
        models=tuple(_side(problem, data, (a, b), q, k) for k, problem in enumerate(problems)),
        power_level=LEVEL,
        n_trials=n_trials,
        not_converged=a.not_converged + b.not_converged,
        notes=(*(f"the best fit of {name} is n_s = 0: its experiments hold no signal" for name in empty), *_NOTES),
        experiments=xr.Dataset({**a.columns("a"), **b.columns("b")}),
    )
