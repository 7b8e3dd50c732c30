"""How likely is a test statistic at least as large without any signal?"""

from __future__ import annotations

from typing import ClassVar

from nuanalysis.answers import _question as question
from nuanalysis.answers._ensembles import PRECISION, Wanted, chance_of
from nuanalysis.answers._question import Answer, OnHypothesis, Tested, fit_data, provenance_of, tested
from nuanalysis.answers.fit import background_of
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.library.samples import Samples
from nuanalysis.plot import Drawn, ts_figure
from nuanalysis.records import Carried, Chance, Provenance, carried, setting, shown

MOST_TS = 64.0  # 8 sigma: tilts reach a little further


class Significance(OnHypothesis):
    """Local p-value of a test statistic, from scrambles, with its error."""

    example: ClassVar = {"hypothesis": "stack:snr", "trials": 400, "precision": 0.3}
    ts: float | None = setting(None, low=0, high=MOST_TS, help="test statistic; without: that of the fit")
    precision: question.Precision = PRECISION
    trials: question.Scrambled = 0
    smear_declination: question.Smear = 0.0

    def ask(self, samples: Samples, bench: Bench) -> SignificanceAnswer:
        """The answer.  Raises PrecisionError where the trials miss the precision."""
        problem = self.posed(samples)
        ts = fit_data(problem)[0].ts if self.ts is None else self.ts
        background = background_of(problem, ts, Wanted(self.precision, self.trials, self.smear_declination), bench)
        return SignificanceAnswer(
            provenance=provenance_of(samples, problem),
            tested=tested(problem),
            ts=ts,
            chance=chance_of(background, ts, precision=1.1 * self.precision),  # it may be missed by a little
            smear_declination=self.smear_declination,
            background=background,
        )


class SignificanceAnswer(Answer):
    """The local p-value of a test statistic."""

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
        return (ts_drawn(self.tested, self.provenance, self.ts, self.background),)


def ts_drawn(tested: Tested, whose: Provenance, ts: float, background: xr.Dataset) -> Drawn:
    """The distribution of the test statistic under background."""
    return ts_figure(
        background, observed_ts=ts, label=tested.label, sample=whose.sample, origin=whose.origin,
        hypothesis=tested.hypothesis, free_index=tested.index_free,
    )  # fmt: skip
