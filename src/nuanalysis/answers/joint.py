"""Several hypotheses fitted together: a norm each, their correlation, and each with the others profiled."""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, ClassVar

import numpy as np
from pydantic import AfterValidator

from nuanalysis import trials
from nuanalysis.answers import _experiments
from nuanalysis.answers._ensembles import value_and_error
from nuanalysis.answers._experiments import Experiments, Norm, Profiled, Signal, Unbiased, corrected
from nuanalysis.answers._question import Answer, Named, Question, Tested, pose, provenance_of, tested
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import JointFit, JointTerms, maximise_joint
from nuanalysis.plot import Drawn, Sidecar, joint_figure, slug
from nuanalysis.records import Measured, Record, Unknown, known, setting, shown
from nuanalysis.schema import Floats
from nuanalysis.trials.streams import JOINT_FIT

_LETTERS = 120  # of a file name, at most
_LOST = "the events cannot tell {names} apart: only the sum of their norms is determined; leave one of them out"
_NOTES = (
    *_experiments.ERRORS,
    "coverage is how often fit and error hold the truth in the experiments (stated: 0.683), coverage corrected the "
    "same after the correction, index coverage that of an index; bias is the median fit over what was injected",
    "an error times how many hold the truth in 68.3 % of the experiments covers as it says, of skew fits too",
    "TS of a hypothesis: all free against its n_s = 0, the others fitted again",
    "a free index is as fitted, not corrected for its bias: injected sources of 6 standard deviations come back 0.39 "
    "too hard to 0.23 too soft (validation/test_injected_sources.py)",
)


class Joint(Question):
    """Several hypotheses fitted together: a norm each, their correlation, and each with the others profiled."""

    example: ClassVar = {"hypotheses": ("stack:snr", "stack:pwn"), "trials": 100}
    hypotheses: Annotated[tuple[Named, ...], AfterValidator(_experiments.different)] = setting(
        help="two or more: template:NAME or FILE, stack:CATALOGUE, or point:RA,DEC in degrees"
    )
    trials: _experiments.Trials = 1000
    index: float | None = setting(None, low=1, high=4, help="index of a power law, in place of each hypothesis' own")
    index_free: bool = setting(False, help="fit the indices of all hypotheses, in [1, 4]")

    def ask(self, samples: Samples, bench: Bench) -> JointAnswer:
        problems = tuple(pose(h, samples, index=self.index, index_free=self.index_free) for h in self.hypotheses)
        return joint(problems, samples, self.trials, bench)


class Part(Record):
    """One of the hypotheses: its norm, and its test statistic with the others profiled."""

    tested: Tested = shown("hypothesis", short="hypothesis")
    ts: float = shown("test statistic TS, the others profiled", form=".2f", short="TS")
    norm: Norm = shown("norm")
    profiled: Profiled | Unknown = shown("chance", short="local p")
    at_bound: bool = shown("whether n_s is at its bound of zero", hidden=True)
    undetermined: bool = shown("whether the events cannot tell it from another", hidden=True)


class Recovered(Record):
    """What joint fits of experiments with a known signal give back of one norm."""

    hypothesis: str = shown("hypothesis")
    n_injected: float = shown("mean injected events", form=".1f", short="injected")
    bias: Measured | Unknown = shown("median fit over injected events")
    bias_of_mean: Measured | Unknown = shown("mean fit over injected events", hidden=True)
    deviation: float = shown("standard deviation of the fits", hidden=True)
    coverage: Measured | Unknown = shown("how often fit and error hold the truth (stated: 0.683)")
    coverage_corrected: Measured | Unknown = shown("the same after the correction", short="corrected")
    needed: Measured | Unknown = shown("how many errors hold the truth in 68.3 % of them", short="errors for 68.3 %")
    index_coverage: float | None = shown("coverage of a free index", None, form=".3f", short="of index")
    index_needed: Measured | None = shown("errors of the index for 68.3 %", None, short="of index for 68.3 %")


class Correlation(Record):
    """How two norms go together; covariance of their events, from the curvature."""

    one: str = shown("one hypothesis")
    other: str = shown("another")
    curvature: float = shown("correlation from the curvature of ln L", form=".2f")
    measured: Measured = shown("correlation of the fits of experiments")
    covariance: float | Unknown = shown("covariance from the curvature", hidden=True)


class JointAnswer(Answer):
    """Hypotheses fitted together."""

    rows: ClassVar = "hypotheses"
    ts: float = shown("TS of all together", form=".2f")
    converged: bool = shown("the fit converged")
    hypotheses: tuple[Part, ...] = shown("each hypothesis, the others profiled")
    recovered: tuple[Recovered, ...] = shown("fits of experiments with the fitted signal")
    correlations: tuple[Correlation, ...] = shown("correlations of the norms")
    n_trials: int = shown("experiments of each kind")
    not_converged: int = shown("experiments whose fit did not converge")
    notes: tuple[str, ...] = shown("notes")

    def headline(self) -> tuple[str, ...]:
        parts = "; ".join(f"{one.tested.hypothesis}: {_words(one)}" for one in self.hypotheses)
        converged = "" if self.converged else " The fit did NOT converge."
        return (f"TS of all together {self.ts:.2f}. With the others profiled, {parts}.{converged}",)

    def drawn(self) -> tuple[Drawn, ...]:
        labels, origin = [one.tested.label for one in self.hypotheses], self.provenance.origin
        ends = ((one.norm.n_signal, one.norm.corrected) for one in self.hypotheses)
        norms = [(*value_and_error(n), *value_and_error(c.best if isinstance(c, Unbiased) else c)) for n, c in ends]
        correlation, above = np.eye(len(labels)), np.triu_indices(len(labels), 1)
        correlation[above] = [one.measured.value for one in self.correlations]
        correlation.T[above] = [one.curvature for one in self.correlations]
        figure = joint_figure(labels, np.array(norms), correlation, label=self.provenance.sample, origin=origin)
        words = f"{', '.join(labels)} fitted together to {self.provenance.sample} ({origin}). {self.headline()[0]}"
        caption = (
            f"{words} Left: fitted signal events, and the same corrected for their bias. Right: correlation of the "
            "norms, from the curvature below the diagonal and of the fits of pseudo-experiments above it."
        )
        name = "-".join(["joint", *(slug(one.tested.hypothesis) for one in self.hypotheses)])
        return (Drawn(figure, Sidecar(name[:_LETTERS], words, caption, origin)),)


def _words(part: Part) -> str:
    if part.undetermined:
        return "n_s not determined"
    assert isinstance(part.profiled, Profiled)
    return f"n_s {part.norm.n_signal.words()}, TS {part.ts:.2f}, {part.profiled.chance.words()}"


def _index_pulls(problem: Problem, found: xr.Dataset, injected: float, j: int) -> Floats:
    """Distance of the fitted index from the injected one in its own errors, (fit,); none where it is held."""
    index, error = (found[f"{name}_0_{j}"].values for name in ("index", "index_error"))
    fitted = np.isfinite(error) & problem.hypothesis.index_free
    at = trials.at_index(problem.prepared, injected).hypothesis.index
    return np.asarray(np.abs(index - at)[fitted] / error[fitted])


def _of(found: tuple[float, float]) -> Measured:
    return Measured(value=found[0], error=found[1])


def _recovered(
    problem: Problem, found: xr.Dataset, bias: trials.JointBias, index: Floats, j: int, why: str
) -> Recovered:
    """What the experiments with the fitted signal say about one norm; why : where they say nothing."""
    injected, nothing = float(bias.n_injected[j]), Unknown(reason=why or "nothing was injected")
    polar = _experiments.near_pole(problem)

    def ratio(value: Floats, error: Floats) -> Measured | Unknown:
        if why or injected <= 0.0:
            return nothing
        return Measured(value=float(value[j]) / injected, error=float(error[j]) / injected)

    def share(value: Floats) -> Measured | Unknown:
        if polar and not why:
            return Unknown(reason=_experiments.NEAR_POLE)
        return nothing if why else Measured(value=float(value[j]), error=float(bias.coverage_error[j]))

    pulls = np.empty(0) if why or polar else _index_pulls(problem, found, float(index[j]), j)
    return Recovered(
        hypothesis=problem.hypothesis.name,
        n_injected=injected,
        bias=ratio(bias.median, bias.median_error),
        bias_of_mean=ratio(bias.mean, bias.mean_error),
        deviation=float(bias.deviation[j]),
        coverage=share(bias.coverage),
        coverage_corrected=share(bias.coverage_corrected),
        needed=nothing if why else _of((float(bias.needed[j]), float(bias.needed_error[j]))),
        index_coverage=float((pulls <= 1.0).mean()) if len(pulls) else None,
        index_needed=_of(trials.exceeded_by(pulls, 1.0 - trials.ONE_SIGMA)) if len(pulls) else None,
    )


def _part(held: Experiments, data: JointTerms, fit: JointFit, signal: Signal, fits: Floats, j: int, why: str) -> Part:
    """One hypothesis of the fit; fits : (trial,) its n_s in experiments; why : the reason where its norm is not
    determined."""
    problem, ts = held.problems[j], float(fit.ts_each[j])
    n, index = (float(fit.n_signal[j]), float(fit.errors[j])), (float(fit.index[j]), float(fit.index_errors[j]))
    return Part(
        tested=tested(problem),
        ts=ts,
        norm=_experiments.norm_of(problem, n, index, signal, fits, j, why),
        profiled=Unknown(reason=why) if why else _experiments.profiled(held, data, ts, j),
        at_bound=fit.names[j] in fit.at_bound,
        undetermined=bool(why),
    )


def _correlations(fit: JointFit, bias: trials.JointBias) -> tuple[Correlation, ...]:
    return tuple(
        Correlation(
            one=fit.names[a],
            other=fit.names[b],
            curvature=float(fit.correlation[a, b]),
            measured=Measured(value=float(bias.correlation[a, b]), error=float(bias.correlation_error[a, b])),
            covariance=known(float(fit.covariance[a, b]), "the curvature is singular"),
        )
        for a, b in combinations(range(len(fit.names)), 2)
    )


def joint(problems: tuple[Problem, ...], samples: Samples, n_trials: int, bench: Bench) -> JointAnswer:
    """The answer for prepared problems.  Raises InputError for hypotheses that cannot be told apart."""
    _experiments.check_apart(problems)
    data = trials.joint_data(tuple(p.prepared for p in problems))
    fit, held = maximise_joint(data), Experiments(problems, n_trials, bench)
    first = corrected(held, fit.n_signal, fit.index, held.everyone, JOINT_FIT.rounds)
    found = held.draw(first, (held.everyone,), JOINT_FIT.experiments)
    fits, errors = (_experiments.columns(found, name, held.everyone, len(problems)) for name in ("n_signal", "error"))
    bias = trials.joint_bias(first.n_signal, fits, errors)
    signal = _experiments.moved(first, fit.n_signal, found, held.everyone)
    known = [_experiments.unbiased(fits[:, j], float(first.n_signal[j])) for j in held.everyone]
    why = _LOST.format(names=" and ".join(fit.undetermined))
    reasons = [why if name in fit.undetermined else "" for name in fit.names]
    return JointAnswer(
        provenance=provenance_of(samples, *problems),
        ts=fit.ts,
        converged=fit.converged,
        hypotheses=tuple(_part(held, data, fit, signal, known[j], j, reasons[j]) for j in held.everyone),
        recovered=tuple(_recovered(p, found, bias, first.index, j, reasons[j]) for j, p in enumerate(problems)),
        correlations=_correlations(fit, bias),
        n_trials=n_trials,
        not_converged=_experiments.lost(found),
        notes=(*_NOTES, *fit.notes),
    )
