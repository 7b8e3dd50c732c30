"""What does a diffuse component alone do to stacked sources, and what is left of them when both are fitted together?

The skies hold scrambled events and the diffuse component, no source.  Stacks fitted to them alone say what the diffuse
emission leaks into them; fitted together with it, what is left.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator

from nuanalysis import trials
from nuanalysis.answers import _experiments, _leak_skies
from nuanalysis.answers import _question as question
from nuanalysis.answers._ensembles import LOCAL, counted
from nuanalysis.answers._experiments import (
    METHOD,
    Experiments,
    Profiled,
    Quantiles,
    critical,
    origin_of_skies,
    quantiles,
)
from nuanalysis.answers._leak_skies import LOCAL_OF_SKIES, SCRAMBLES, Law, Placed
from nuanalysis.answers._question import (
    Answer,
    Fitted,
    Named,
    Question,
    Tested,
    fit_data,
    fitted,
    provenance_of,
    tested,
)
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.errors import InputError
from nuanalysis.library.catalogues import PREFIX
from nuanalysis.library.hypotheses import hypothesis
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import TS_TOLERANCE, curvature_at, joint_maximum, refuse_flat
from nuanalysis.model import Hypothesis
from nuanalysis.plot import Drawn, LeakPanel, Sidecar, leak_figure
from nuanalysis.records import Carried, Chance, Measured, Record, Unknown, carried, certain, setting, shown
from nuanalysis.sky.records import Catalogue, Template
from nuanalysis.trials.streams import LEAK_BEST_FIT

_EDGE = 0.025  # share of the skies below, and above, the outer quantiles
_NOTES = (
    "skies are pseudo-experiments: scrambled events of the sample and Poisson events of the diffuse component, no "
    "source; the background is estimated again from both",
    "alone: the stack is fitted as if there were no diffuse component; together: both are free, and TS is what the fit "
    "loses without the one, the other fitted again",
    "the null of the TS of a stack, the diffuse profiled, are these skies; 'no signal at all' is its TS, fitted alone, "
    "on as many skies without any signal",
    "with its index held a stack should follow half a chi-square: 0.5 at zero, 0.025 above 3.84, 0.05 above 2.71; with "
    "it free TS is the largest over all indices and lies above, so its critical value is that of these skies",
    "p-values are local: of one stack, not corrected for the others",
    "n_s is as fitted, not corrected for its bias, as the published ones are",
)


def _template(given: object) -> object:
    target = getattr(given, "target", given)
    if not (isinstance(target, Template) or str(target).startswith("template:")):
        raise ValueError(f"'{question.name_of(given)}' is no template; expected one, for example template:pi0")
    return given


class Leak(Question):
    """What a diffuse component alone does to stacked sources, and both fitted together."""

    example: ClassVar = {
        "diffuse": "template:galactic-plane-box", "catalogues": ("snr",), "n_diffuse": 200.0, "skies": 100
    }  # fmt: skip
    diffuse: Annotated[Named, AfterValidator(_template)] = setting("template:pi0", help="the diffuse component")
    catalogues: Annotated[tuple[question.SourceList, ...], AfterValidator(question.stacked)] = setting(
        ("snr", "pwn", "unid"), help="lists of sources: snr, pwn, unid, CATALOGUE?rule=..&weight=.., or a file"
    )
    n_diffuse: float | None = setting(
        None, above=0, high=1e6, help="mean diffuse events of a sky; without: the best fit, corrected for its bias"
    )
    skies: _experiments.Trials = setting(
        300, help="skies with the diffuse component alone, and as many without any signal"
    )

    def ask(self, samples: Samples, bench: Bench) -> LeakAnswer:
        problems = tuple(question.prepared_on(one, samples) for one in hypotheses(self.diffuse, self.catalogues))
        return leak(Experiments(problems, self.skies, bench), samples, self.n_diffuse)


def hypotheses(diffuse: object, catalogues: tuple[Any, ...]) -> tuple[Hypothesis, ...]:
    """The diffuse hypothesis, every stack with its index free, and every stack with its index held, in this order."""
    stacks = [hypothesis(one, index_free=free) for free in (True, False) for one in question.stacked(catalogues)]
    return (hypothesis(diffuse), *stacks)


class Alone(Record):
    """A stack fitted to skies without any source, as if there were no diffuse component."""

    tested: Tested = shown("stack", short="stack")
    n_signal: Quantiles = shown("fitted events", form=".0f", short="n_s (68 %)")
    index: Quantiles | Unknown = shown("index, where there are events", form=".2f", short="index (68 %)")
    p: Quantiles = shown(LOCAL_OF_SKIES, form=".2g", short="local p (68 %)")
    below: Chance = shown("skies with p below 0.05", short="p < 0.05")
    ts: Quantiles = shown("test statistic TS", form=".1f", hidden=True)
    p_trials: int = shown("scrambles behind p", SCRAMBLES, hidden=True)
    n_sources: int = shown("sources", hidden=True)
    not_converged: int = shown("skies in which a fit did not converge", hidden=True)

    def sentence(self) -> str:
        index = "" if isinstance(self.index, Unknown) else f"index {self.index.words('.2f')}, "
        return (
            f"{self.tested.hypothesis} ({self.n_sources} sources) fits n_s {self.n_signal.words('.0f')}, "
            f"{index}local p {self.p.words('.2g')}; p < 0.05 in {100 * self.below.p:.0f} % of the skies."
        )


class Beside(Record):
    """A stack, or the diffuse component, fitted together with the other to the events."""

    hypothesis: str = shown("hypothesis")
    beside: str = shown("the other")
    n_signal: Measured = shown("fitted events", short="n_s")
    index: Measured | None = shown("spectral index", None)
    ts: float = shown("test statistic TS, the other profiled", form=".2f", short="TS")
    profiled: Profiled = shown("chance")


class Pair(Record):
    """A stack and the diffuse component fitted together: to the events, and to the skies."""

    stack: str = shown("stack")
    ts: float = shown("TS of both, of the events", form=".2f", short="TS of both")
    correlation: float = shown("correlation of their norms", form=".2f")
    n_signal: Quantiles = shown("n_s of the stack on the skies", form=".0f", short="n_s on skies")
    diffuse_ts: Quantiles = shown("TS of the diffuse on the skies, the stack profiled", form=".1f", short="diffuse TS")
    converged: bool = shown("the fit of the events converged", hidden=True)


class LeakAnswer(Answer):
    """Stacks beside a diffuse component."""

    rows: ClassVar = "stacks"
    diffuse: Tested = shown("diffuse component")
    fitted: Fitted = shown("its fit to the events, alone")
    n_signal_corrected: Measured = shown("the same n_s corrected for its bias")
    n_injected: float = shown("mean events of it in the skies", form=".1f")
    n_injected_from: str = shown("these are")
    stacks: tuple[Alone, ...] = shown("stacks alone, on skies without any source: median (16 to 84 %)")
    placed: tuple[Placed, ...] = shown("fits of the stacks alone, and the share of the skies below each")
    together: tuple[Beside, ...] = shown("each stack and the diffuse fitted together to the events")
    pairs: tuple[Pair, ...] = shown("the same pairs on the events, and on the skies")
    laws: tuple[Law, ...] = shown("TS of the stacks on skies without any source")
    n_trials: int = shown("skies")
    notes: tuple[str, ...] = shown("notes", _NOTES)
    skies: Carried[xr.Dataset] = carried()

    def headline(self) -> tuple[str, ...]:
        said = f"{self.n_trials} skies with {self.n_injected:.1f} events of {self.diffuse.hypothesis}"
        return (f"{said} ({self.n_injected_from}) and no source.", *(one.sentence() for one in self.stacks))

    def drawn(self) -> tuple[Drawn, ...]:
        if self.skies is None:
            return ()
        origin = origin_of_skies(self.provenance.origin)
        label = f"{self.n_injected:.0f} diffuse events, no source: what stacks find"
        panels = [_panel(self, k, self.skies.isel(stack=k)) for k in range(len(self.stacks))]
        what = (
            f"{self.n_trials} pseudo-experiments (SYNTHETIC) on the sample {self.provenance.sample}: scrambled events "
            f"and {self.n_injected:.1f} events on average of {self.diffuse.label}, no source"
        )
        caption = (
            f"{what}. Left: events that stacks of point sources fit, index free, as if nothing diffuse were there. "
            "Right: share of the skies with a local p-value as small, for the stack alone, for the test statistic that "
            "is left with the diffuse component fitted too, and as expected without any signal. Local p-values come "
            "from scrambles of each stack alone and are not corrected for the number of stacks."
        )
        alt = f"{what}. Median (16 to 84 %). " + " ".join(one.sentence() for one in self.stacks)
        sidecar = Sidecar("leak-skies", alt, caption, origin, "stacking")
        return (Drawn(leak_figure(panels, label=label, origin=origin), sidecar, _table(self, self.skies, origin)),)


def _panel(answer: LeakAnswer, k: int, skies: xr.Dataset) -> LeakPanel:
    tested = answer.stacks[k].tested
    fits = {row.fit: row for row in answer.placed if row.stack == tested.hypothesis}
    theirs = fits.get("published")
    published = None if theirs is None else (theirs.n_signal, theirs.chance.p)
    n_signal, log_p, rest = (skies[name].values for name in ("n_s", "log_p", "log_p_profiled"))
    return LeakPanel(tested.label, n_signal, log_p, rest, fits["sample"].n_signal, published)


def _table(answer: LeakAnswer, skies: xr.Dataset, origin: str) -> object:
    """Every sky as a row of an astropy Table."""
    from astropy.table import Table

    logs = {"log10_p": skies["log_p"] / np.log(10.0)}
    known = skies.drop_vars(["log_p", "log_p_profiled"]).assign(logs)
    columns = {"sky": np.arange(answer.n_trials)}
    for k, row in enumerate(answer.stacks):
        short = row.tested.hypothesis.removeprefix(PREFIX)
        columns |= {f"{name} {short}": values.values[k] for name, values in known.items()}
    meta = {
        "ORIGIN": origin,
        "DESCRIPTION": f"SYNTHETIC: {answer.headline()[0]} log10_p: {LOCAL_OF_SKIES}",
        "SAMPLE": answer.provenance.sample,
        "SEED": answer.provenance.seed,
    }
    return Table(columns, meta=meta)


def _alone(problem: Problem, skies: xr.Dataset) -> Alone:
    target, index = problem.hypothesis.target, skies["index"].values
    assert isinstance(target, Catalogue)
    fitted = index[np.isfinite(index)]
    return Alone(
        tested=tested(problem),
        n_sources=len(target.sources),
        n_signal=quantiles(skies["n_s"].values, _EDGE),
        index=quantiles(fitted, _EDGE) if len(fitted) else Unknown(reason="no sky has events of it"),
        p=quantiles(np.exp(skies["log_p"].values), _EDGE),
        below=counted(trials.share(skies["log_p"].values < np.log(0.05)), "skies with p below 0.05"),
        ts=quantiles(skies["ts"].values, _EDGE),
        not_converged=skies.attrs["not_converged"],
    )


def _together(held: Experiments, skies: xr.Dataset) -> tuple[Pair, tuple[Beside, ...]]:
    """Diffuse and stack, the two problems of these experiments, fitted together to the events."""
    data = trials.joint_data(tuple(p.prepared for p in held.problems))
    best = joint_maximum(data)
    rest = [joint_maximum(data, (1 - j,), (best,)) for j in (0, 1)]
    best = joint_maximum(data, (0, 1), (best, *rest))
    ts = [gain if (gain := best.ts - one.ts) > TS_TOLERANCE else 0.0 for one in rest]
    as_large = counted(trials.as_large(skies["ts_profiled"].values, ts[1]), LOCAL, METHOD) if ts[1] else certain()
    # The null of the diffuse component are skies with the stack alone, as strong as it is without the diffuse.
    chances = (
        _experiments.profiled(held, data, ts[0], 0),
        Profiled(chance=as_large, critical=critical(skies["ts_profiled"].values)),
    )
    shape, n, index = curvature_at(data, best), best.n_signal(data), best.index(data)
    rows = tuple(
        Beside(
            hypothesis=problem.hypothesis.name,
            beside=held.problems[1 - j].hypothesis.name,
            n_signal=_experiments.fitted_events(problem, (float(n[j]), float(shape.errors[j]))),
            index=_experiments.index_of(problem, float(n[j]), float(index[j]), float(shape.index_errors[j])),
            ts=ts[j],
            profiled=chances[j],
        )
        for j, problem in enumerate(held.problems)
    )
    pair = Pair(
        stack=held.problems[1].hypothesis.name,
        ts=best.ts,
        correlation=float(shape.correlation[0, 1]),
        n_signal=quantiles(skies["n_s_together"].values, _EDGE),
        diffuse_ts=quantiles(skies["ts_diffuse_profiled"].values, _EDGE),
        converged=best.converged,
    )
    return pair, rows


def best_fit(held: Experiments) -> tuple[Fitted, Measured]:
    """The diffuse component fitted alone to the data, and the signal whose median fit that is."""
    problem = held.problems[0]
    best, _ = fit_data(problem)
    if best.n_signal <= 0.0:
        return fitted(problem, best), Measured(value=0.0, error=Unknown(reason="nothing was fitted"))
    alone, n, index = replace(held, problems=(problem,)), np.array([best.n_signal]), np.array([best.index])
    signal = _experiments.corrected(alone, n, index, (0,), LEAK_BEST_FIT.rounds)
    return fitted(problem, best), Measured(value=float(signal.n_signal[0]), error=float(signal.error[0]))


def leak(held: Experiments, samples: Samples, n_diffuse: float | None = None) -> LeakAnswer:
    """The answer for the problems of ``hypotheses``.

    n_diffuse : mean diffuse events of a sky; by default the best fit of the data, corrected for its bias.
    Raises InputError where that fit holds none.
    """
    prepared, (diffuse, *stacks) = tuple(p.prepared for p in held.problems), held.problems
    trials.check_same_events(prepared)
    refuse_flat(prepared)
    fit, signal = best_fit(held)
    n_injected, source = n_diffuse, "as asked"
    if n_injected is None:
        n_injected, source = signal.value, "the data's best fit, corrected for its bias"
    if n_injected <= 0.0:
        raise InputError(
            f"the best fit of {diffuse.hypothesis.name} holds no events: there is nothing to inject; "
            "say how many with n_diffuse"
        )
    n = len(stacks) // 2
    found, empty = _leak_skies.draw(held, n_injected, n), _leak_skies.draw_empty(held, n)
    alone, pairs, skies = [], [], []
    placed: list[Placed] = []
    together: list[Beside] = []
    laws: list[Law] = []
    for k, stack in enumerate(stacks[:n]):
        name, ts = stack.hypothesis.name, float(found[f"ts_{1 + k}"].values.max())
        table = _leak_skies.local_table(stack, ts, held.bench)
        mine = _leak_skies.fits_of(found, n, k, table)
        pair, beside = _together(replace(held, problems=(diffuse, stack)), mine)
        skies.append(mine)
        alone.append(_alone(stack, mine))
        placed += [_leak_skies.placed(stack, mine, table), *_leak_skies.published_in(name, samples.name, mine)]
        pairs.append(pair)
        together += beside
        laws += _leak_skies.laws_of(name, mine, empty[k])
    return LeakAnswer(
        provenance=provenance_of(samples, diffuse),
        diffuse=tested(diffuse),
        fitted=fit,
        n_signal_corrected=signal,
        n_injected=n_injected,
        n_injected_from=source,
        stacks=tuple(alone),
        placed=tuple(placed),
        together=tuple(together),
        pairs=tuple(pairs),
        laws=tuple(laws),
        n_trials=held.n_trials,
        skies=xr.concat(skies, "stack", combine_attrs="drop"),
    )
