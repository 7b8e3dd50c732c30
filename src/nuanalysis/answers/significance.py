"""How likely is a test statistic at least as large without any signal?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from nuanalysis.answers._chance import chance_of
from nuanalysis.answers._ensembles import PRECISION, Wanted, smear_setting
from nuanalysis.answers._posed import Tested, fit_data, pose, provenance_of, tested
from nuanalysis.answers._question import Answer, Named, Question
from nuanalysis.answers.fit import background_of
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.library.samples import Samples
from nuanalysis.plot import Drawn, ts_figure
from nuanalysis.records import Carried, Chance, carried, setting, shown

MOST_TS = 64.0  # 8 sigma: tilts reach a little further
FEWEST_TRIALS = 200


def trials_setting() -> Any:
    """How many scrambles a p-value is read from."""
    return setting(0, low=0, high=100_000_000, help="scrambles, 200 or more; 0: as many as the precision takes")


def check_trials(n: int) -> None:
    """Raise ValueError for too few trials to say anything."""
    if 0 < n < FEWEST_TRIALS:
        raise ValueError(f"trials is {n}; expected {FEWEST_TRIALS} or more, or 0 for as many as the precision takes")


class Significance(Question):
    """Local p-value of a test statistic, from scrambles, with its error."""

    example: ClassVar[Mapping[str, Any]] = {"hypothesis": "stack:snr", "trials": 400, "precision": 0.3}
    hypothesis: Named = setting(help="template:NAME or FILE, stack:CATALOGUE, or point:RA,DEC in degrees")
    ts: float | None = setting(None, low=0, high=MOST_TS, help="test statistic; without: that of the fit")
    precision: float = setting(PRECISION, low=0.001, high=0.3, help="relative statistical error of the p-value")
    trials: int = trials_setting()
    smear_declination: float = smear_setting()
    index: float | None = setting(None, low=1, high=4, help="index of a power law, in place of the hypothesis' own")
    index_free: bool | None = setting(None, help="fit the index; without: for stacks and points alone")

    def model_post_init(self, context: Any) -> None:
        check_trials(self.trials)

    def ask(self, samples: Samples, bench: Bench) -> SignificanceAnswer:
        problem = pose(self.hypothesis, samples, index=self.index, index_free=self.index_free)
        return significance(problem, samples, self, bench)


class SignificanceAnswer(Answer):
    """The local p-value of a test statistic."""

    name: ClassVar[str] = "significance"
    tested: Tested = shown("hypothesis")
    ts: float = shown("test statistic TS", form=".2f")
    chance: Chance = shown("chance")
    smear_declination: float = shown("declinations of scrambles smeared by", unit="deg", form="g")
    background: Carried[xr.Dataset] = carried()

    def headline(self) -> tuple[str, ...]:
        return (f"{self.tested.hypothesis}: TS {self.ts:.2f} has {self.chance.words()}.",)

    def drawn(self) -> tuple[Drawn, ...]:
        if self.background is None or not self.background.sizes["trial"]:
            return ()
        return (ts_drawn(self.tested, self.provenance.sample, self.provenance.origin, self.ts, self.background),)


def ts_drawn(tested: Tested, sample: str, origin: str, ts: float, background: xr.Dataset) -> Drawn:
    """The distribution of the test statistic under background."""
    return ts_figure(
        background, observed_ts=ts, label=tested.label, sample=sample, origin=origin,
        hypothesis=tested.hypothesis, free_index=tested.index_free,
    )  # fmt: skip


def significance(problem: Problem, samples: Samples, asked: Significance, bench: Bench) -> SignificanceAnswer:
    """The answer for a problem that is prepared.  Raises PrecisionError where the trials miss the precision."""
    ts = fit_data(problem)[0].ts if asked.ts is None else asked.ts
    smear = float(np.radians(asked.smear_declination))
    background = background_of(
        problem, ts, Wanted(precision=asked.precision, n_trials=asked.trials, smear=smear), bench
    )
    tolerated = 1.1 * asked.precision  # an ensemble may miss its precision by a little
    return SignificanceAnswer(
        provenance=provenance_of(samples, problem),
        tested=tested(problem),
        ts=ts,
        chance=chance_of(background, ts, precision=tolerated),
        smear_declination=asked.smear_declination,
        background=background,
    )


QUESTION = Significance
