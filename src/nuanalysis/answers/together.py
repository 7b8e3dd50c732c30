"""The best of several hypotheses: local p-values and the global one, from scrambles that all of them share."""

from __future__ import annotations

import math
from functools import partial
from typing import ClassVar

import numpy as np

from nuanalysis import trials
from nuanalysis.answers import _ensembles
from nuanalysis.answers import _question as question
from nuanalysis.answers._ensembles import Wanted, chance_of, or_reason, said, value_and_error, weighted
from nuanalysis.answers._question import Answer, Named, Question, Tested, fit_data, open_all, provenance_of, tested
from nuanalysis.answers.significance import MOST_TS
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.errors import InputError
from nuanalysis.library.samples import Samples
from nuanalysis.plot import Drawn, Sidecar, chances_figure
from nuanalysis.records import Chance, Record, Unknown, certain, setting, shown

OF = "the smallest local p-value of the hypotheses, from the same scrambles"
_ZERO = "all test statistics are zero: every scramble has at least as much"


class Together(Question):
    """Local p-values of several hypotheses and the global one of the best, from correlated scrambles."""

    example: ClassVar = {"hypotheses": ("stack:snr", "stack:pwn"), "trials": 400}
    hypotheses: tuple[Named, ...] = setting(help="two or more; each:CATALOGUE stands for every source of it")
    ts: tuple[float, ...] = setting((), help="test statistics in the same order; without: those of the fits")
    precision: question.Precision = _ensembles.PRECISION
    trials: question.Scrambled = 0
    smear_declination: question.Smear = 0.0
    index: question.Index = None
    index_free: question.IndexFree = None

    def model_post_init(self, context: object) -> None:
        names = [question.name_of(one) for one in self.hypotheses]
        faults = question.repeated(names, "hypotheses")
        if len(names) < 2 and not any(name.startswith("each:") for name in names):
            faults.append(f"hypotheses holds {', '.join(names) or 'nothing'}; expected two or more different ones")
        if any(not 0 <= ts <= MOST_TS for ts in self.ts):
            faults.append(f"ts is {', '.join(f'{ts:g}' for ts in self.ts)}; expected 0 to {MOST_TS:g} each")
        if faults:
            raise ValueError("; ".join(faults))

    def ask(self, samples: Samples, bench: Bench) -> TogetherAnswer:
        problems = open_all(self.hypotheses, samples, index=self.index, index_free=self.index_free)
        if self.ts and len(self.ts) != len(problems):
            raise InputError(f"ts has {len(self.ts)} numbers for {len(problems)} hypotheses; expected one for each")
        observed = self.ts or tuple(fit_data(p)[0].ts for p in problems)
        wanted = Wanted(self.precision, self.trials, self.smear_declination)
        return together(problems, observed, samples, wanted, bench)


class Member(Record):
    """One of several hypotheses."""

    tested: Tested = shown("hypothesis", short="hypothesis")
    ts: float = shown("test statistic TS", form=".2f", short="TS")
    chance: Chance | Unknown = shown("local p-value", short="local p")


class TogetherAnswer(Answer):
    """The best of several hypotheses."""

    rows: ClassVar = "hypotheses"
    best: str = shown("the best one")
    chance: Chance | Unknown = shown("chance")
    local: Chance | Unknown = shown("chance of the best one alone")
    trials_factor: float | None = shown("global over local p", None, form=".3g")
    smear_declination: float = shown("declinations of scrambles smeared by", unit="deg", form="g")
    precision: float | None = shown("relative error asked for; null: whatever the trials give", None, hidden=True)
    hypotheses: tuple[Member, ...] = shown("hypotheses, each alone")

    def headline(self) -> tuple[str, ...]:
        return (f"The best of {len(self.hypotheses)} hypotheses is {self.best}: {said(self.chance)}.",)

    def drawn(self) -> tuple[Drawn, ...]:
        known, origin = [m for m in self.hypotheses if isinstance(m.chance, Chance)], self.provenance.origin
        labels, chances = [m.tested.label for m in known], [value_and_error(m.chance) for m in known]
        of_best, n = value_and_error(self.chance), len(self.hypotheses)
        figure = chances_figure(labels, chances, of_best, label=f"best of {n}", origin=origin)
        words = f"Local p-values of {n} hypotheses on {self.provenance.sample} ({origin}). {self.headline()[0]}"
        return (Drawn(figure, Sidecar("together", words, words, origin)),)


def together(
    problems: tuple[Problem, ...], observed: tuple[float, ...], samples: Samples, wanted: Wanted, bench: Bench
) -> TogetherAnswer:
    """The answer for prepared problems; where trials are not precise enough it holds the reason."""
    answer = partial(
        TogetherAnswer,
        provenance=provenance_of(samples, *problems),
        smear_declination=wanted.smear_declination,
        precision=None if math.isinf(wanted.precision) else wanted.precision,
    )
    names, seen = [p.hypothesis.name for p in problems], np.array(observed)
    if max(observed) <= 0.0:
        one, of_all = certain(why=_ZERO), certain("global", _ZERO)
        rows = tuple(Member(tested=tested(p), ts=0.0, chance=one) for p in problems)
        return answer(best="none", chance=of_all, local=one, trials_factor=1.0, hypotheses=rows)
    found = _ensembles.together_ensemble(problems, seen, wanted, bench)
    each = [found]
    if len(problems) > 1:
        each = [found.rename({f"ts_{k}": "ts", f"converged_{k}": "converged"}) for k in range(len(problems))]
    rows = tuple(
        Member(tested=tested(problem), ts=ts, chance=or_reason(chance_of, mine, ts))
        for problem, ts, mine in zip(problems, observed, each, strict=True)
    )
    ts, log_weight = _ensembles.columns_of(found, len(problems))
    tolerated = math.inf if wanted.n_trials else 1.3 * wanted.precision
    best = or_reason(trials.global_p_value, ts, log_weight, seen, tolerated)
    if isinstance(best, Unknown):
        first = trials.best_of(ts, np.exp(log_weight), seen)
        return answer(best=names[first], chance=best, local=best, hypotheses=rows)
    return answer(
        best=names[best.best],
        chance=weighted(best, OF, scope="global"),
        local=rows[best.best].chance,
        trials_factor=best.trials_factor,
        hypotheses=rows,
    )
