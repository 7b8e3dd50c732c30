"""The best of several hypotheses: local p-values and the global one, from scrambles that all of them share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from nuanalysis import trials
from nuanalysis.answers._chance import chance_or_reason
from nuanalysis.answers._ensembles import METHOD, PRECISION, Wanted, columns_of, smear_setting, together_ensemble
from nuanalysis.answers._posed import Tested, fit_data, open_all, provenance_of, tested
from nuanalysis.answers._question import Answer, Named, Question
from nuanalysis.answers.significance import MOST_TS, check_trials, trials_setting
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.errors import InputError, PrecisionError
from nuanalysis.library.samples import Samples
from nuanalysis.plot import Drawn, Sidecar, chances_figure
from nuanalysis.records import Chance, Record, Unknown, certain, setting, shown

OF = "the smallest local p-value of the hypotheses, from the same scrambles"
_ZERO = "all test statistics are zero: every scramble has at least as much"


class Together(Question):
    """Local p-values of several hypotheses and the global one of the best, from correlated scrambles."""

    example: ClassVar[Mapping[str, Any]] = {"hypotheses": ("stack:snr", "stack:pwn"), "trials": 400}
    hypotheses: tuple[Named, ...] = setting(help="two or more; each:CATALOGUE stands for every source of it")
    ts: tuple[float, ...] = setting((), help="test statistics in the same order; without: those of the fits")
    precision: float = setting(PRECISION, low=0.001, high=0.3, help="relative statistical error of the p-values")
    trials: int = trials_setting()
    smear_declination: float = smear_setting()
    index: float | None = setting(None, low=1, high=4, help="index of a power law, in place of each hypothesis' own")
    index_free: bool | None = setting(None, help="fit the index; without: for stacks and points alone")

    def model_post_init(self, context: Any) -> None:
        check_trials(self.trials)
        names = [str(getattr(one, "name", one)) for one in self.hypotheses]
        twice = [name for name, times in Counter(names).items() if times > 1]
        if twice:
            raise ValueError(f"{', '.join(twice)} named twice; expected different hypotheses")
        if len(names) < 2 and not any(name.startswith("each:") for name in names):
            raise ValueError(f"hypotheses holds {', '.join(names) or 'nothing'}; expected two or more different ones")
        if any(not 0 <= ts <= MOST_TS for ts in self.ts):
            raise ValueError(f"ts is {', '.join(f'{ts:g}' for ts in self.ts)}; expected 0 to {MOST_TS:g} each")

    def ask(self, samples: Samples, bench: Bench) -> TogetherAnswer:
        problems = open_all(self.hypotheses, samples, index=self.index, index_free=self.index_free)
        if self.ts and len(self.ts) != len(problems):
            raise InputError(f"ts has {len(self.ts)} numbers for {len(problems)} hypotheses; expected one for each")
        observed = self.ts or tuple(fit_data(p)[0].ts for p in problems)
        smear = float(np.radians(self.smear_declination))
        wanted = Wanted(precision=self.precision, n_trials=self.trials, smear=smear)
        return together(problems, observed, samples, wanted, bench)


class Member(Record):
    """One of several hypotheses."""

    tested: Tested = shown("hypothesis", short="hypothesis")
    ts: float = shown("test statistic TS", form=".2f", short="TS")
    chance: Chance | Unknown = shown("local p-value", short="local p")


class TogetherAnswer(Answer):
    """The best of several hypotheses."""

    name: ClassVar[str] = "together"
    rows: ClassVar[str] = "hypotheses"
    best: str = shown("the best one")
    chance: Chance | Unknown = shown("chance")
    local: Chance | Unknown = shown("chance of the best one alone")
    trials_factor: float | None = shown("global over local p", None, form=".3g")
    smear_declination: float = shown("declinations of scrambles smeared by", unit="deg", form="g")
    precision: float | None = shown("relative error asked for; null: whatever the trials give", None, hidden=True)
    hypotheses: tuple[Member, ...] = shown("hypotheses, each alone")

    def headline(self) -> tuple[str, ...]:
        return (f"The best of {len(self.hypotheses)} hypotheses is {self.best}: {self.chance.words()}.",)

    def drawn(self) -> tuple[Drawn, ...]:
        known = [m for m in self.hypotheses if isinstance(m.chance, Chance)]
        labels = [m.tested.label for m in known]
        chances = [(m.chance.p, _known(m.chance.error)) for m in known if isinstance(m.chance, Chance)]
        origin = self.provenance.origin
        of_best = (self.chance.p, _known(self.chance.error)) if isinstance(self.chance, Chance) else (math.nan,) * 2
        figure = chances_figure(labels, chances, of_best, label=f"best of {len(labels)}", origin=origin)
        words = (
            f"Local p-values of {len(labels)} hypotheses on {self.provenance.sample} ({origin}). {self.headline()[0]}"
        )
        return (Drawn(figure, Sidecar("together", words, words, origin)),)


def _known(error: float | Unknown) -> float:
    return math.nan if isinstance(error, Unknown) else error


def together(
    problems: tuple[Problem, ...], observed: tuple[float, ...], samples: Samples, wanted: Wanted, bench: Bench
) -> TogetherAnswer:
    """The answer for prepared problems; where trials are not precise enough it holds the reason."""
    about: dict[str, Any] = {
        "provenance": provenance_of(samples, *problems),
        "smear_declination": math.degrees(wanted.smear),
        "precision": None if math.isinf(wanted.precision) else wanted.precision,
    }
    names = [p.hypothesis.name for p in problems]
    if max(observed) <= 0.0:
        one = certain(why=_ZERO)
        rows = tuple(Member(tested=tested(p), ts=0.0, chance=one) for p in problems)
        return TogetherAnswer(
            **about, best="none", chance=certain("global", _ZERO), local=one, trials_factor=1.0, hypotheses=rows
        )
    found = together_ensemble(problems, np.array(observed), wanted, bench)
    many = len(problems) > 1
    rows = tuple(
        Member(
            tested=tested(problem),
            ts=ts,
            chance=chance_or_reason(
                found.rename({f"ts_{k}": "ts", f"converged_{k}": "converged"}) if many else found, ts
            ),
        )
        for k, (problem, ts) in enumerate(zip(problems, observed, strict=True))
    )
    ts, log_weight = columns_of(found, len(problems))
    tolerated = math.inf if wanted.n_trials else 1.3 * wanted.precision
    try:
        answer = trials.global_p_value(ts, log_weight, np.array(observed), tolerated)
    except PrecisionError as error:
        why = Unknown(reason=str(error))
        best = names[trials.best_of(ts, np.exp(log_weight), np.array(observed))]
        return TogetherAnswer(**about, best=best, chance=why, local=why, hypotheses=rows)
    scope = Chance(
        p=answer.p, error=answer.p_error, n_trials=answer.n_trials, ess=answer.ess, scope="global", of=OF, method=METHOD
    )
    local = rows[answer.best].chance
    return TogetherAnswer(
        **about, best=names[answer.best], chance=scope, local=local, trials_factor=answer.trials_factor, hypotheses=rows
    )


QUESTION = Together
