"""A theorist's model of the Milky Way on one page: what is seen of it, what excludes it, what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nuanalysis.answers import _ensembles as ensembles
from nuanalysis.answers import _hadronic_rows as rows
from nuanalysis.answers import _question as question
from nuanalysis.answers._flux import InModels
from nuanalysis.answers._hadronic_rows import SetRow
from nuanalysis.answers._model_card_page import card_page
from nuanalysis.answers._question import Answer, Fitted, OnHypothesis, Tested
from nuanalysis.answers.fit import FitAnswer, fit
from nuanalysis.answers.hadronic import beside
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import DataError, InputError
from nuanalysis.interpret import fluxes
from nuanalysis.interpret.outlook import Expected, asimov, expected, together
from nuanalysis.interpret.regions import e2_flux
from nuanalysis.interpret.spectra import GAMMA_RAYS, Galactic, Strengths
from nuanalysis.library import outlook
from nuanalysis.library.samples import Samples
from nuanalysis.model import Hypothesis
from nuanalysis.plot import Drawn, mark
from nuanalysis.records import Chance, Interval, Measured, Record, Unknown, shown
from nuanalysis.response import cascades_2023
from nuanalysis.simulate import YEAR
from nuanalysis.sky.records import Template
from nuanalysis.trials.streams import Stream, seed_of

GAMMAS = ("lhaaso-inner", "lhaaso-outer", "tibet-inner", "tibet-outer")
_DRAWS = 4000
_UNTIL, _YEARS = 2030, 10.0
_AREA, _THRESHOLDS = 8.0, (5.0, 30.0)  # of Gen2; TeV
_EXCLUDED, _ALLOWED = "excluded", "allowed"
_RELATIVE = "the model says no absolute flux: only its shape can be asked"


class ModelCard(OnHypothesis):
    """What neutrinos and gamma rays say of a model, and when the next detectors will see it."""

    example: ClassVar = {"hypothesis": "template:kra-gamma-like-5", "injections": 300, "precision": 0.3}
    default_sample: ClassVar[str] = "cascades-2023"
    precision: question.Precision = 0.2
    injections: question.Injected = 1500

    def ask(self, samples: Samples, bench: Bench) -> ModelCardAnswer:
        problem = self.posed(samples)
        hypothesis, template = problem.hypothesis, problem.hypothesis.target
        if not isinstance(template, Template):
            raise InputError(f"'{hypothesis.name}' is no map of the sky; a model card is of template:NAME or FILE")
        found = fit(problem, samples, ensembles.Wanted(precision=self.precision), self.injections, bench)
        bench.progress("fitted; gamma rays and projections")
        model = fluxes.model_flux(hypothesis)
        fluxes_of = {"model": model, "best fit": _best(found)}
        rng = np.random.default_rng(seed_of(samples.seed, Stream.READINGS))
        gammas = [row for whose, at in fluxes_of.items() if at > 0 for row in _gamma(whose, at, found, hypothesis, rng)]
        in_models = None if isinstance(found.flux, Unknown) else found.flux.in_models
        return ModelCardAnswer(
            provenance=found.provenance,
            tested=found.tested,
            fitted=found.fitted,
            chance=found.chance,
            flux=_part(found, "best"),
            interval=_part(found, "interval"),
            upper_limit_90=_part(found, "upper_limit_90"),
            in_models=in_models,
            verdict=_verdict(in_models),
            gamma_rays=tuple(gammas),
            outlook=_outlook(hypothesis, fluxes_of),
        )


class GammaBeside(Record):
    """Neutrinos of the model or of its fit over those that a gamma-ray spectrum allows."""

    whose: str = shown("flux")
    data: str = shown("gamma rays")
    ratio: SetRow = shown("geometric mean of R over the spectrum")


class Projected(Record):
    """What a detector is expected to see, without trials: the significance of the median experiment."""

    detector: str = shown("detector")
    years: float = shown("live years", form=".1f")
    model: float | Unknown = shown("sigma if nature is the model", form=".1f")
    best_fit: float | Unknown = shown("sigma if nature is the best fit", form=".1f")
    note: str = shown("what is assumed", hidden=True)


class ModelCardAnswer(Answer):
    """A model of the Milky Way beside what is known."""

    rows: ClassVar = "outlook"
    tested: Tested = shown("model")
    fitted: Fitted = shown("fit")
    chance: Chance | Unknown = shown("chance")
    flux: Measured | Unknown = shown("flux")
    interval: Interval | Unknown = shown("68 % interval")
    upper_limit_90: Measured | Unknown = shown("90 % upper limit")
    in_models: InModels | None = shown("in units of the model", None)
    verdict: str = shown("is the model excluded at 90 %?")
    gamma_rays: tuple[GammaBeside, ...] = shown(
        "R = neutrinos at E/2 over half of the gamma rays; R > 1 is no fraction"
    )
    outlook: tuple[Projected, ...] = shown("PROJECTION: expected local significance, Asimov")

    def headline(self) -> tuple[str, ...]:
        return (
            f"{self.tested.hypothesis}: TS {self.fitted.ts:.2f}; {ensembles.said(self.chance)}; {self.verdict}."
            f"{self.fitted.warning}",
        )

    def drawn(self) -> tuple[Drawn, ...]:
        return ()

    def files(self) -> Mapping[str, bytes]:
        return {f"model-card{mark(self.provenance.origin)}.html": card_page(self).encode()}


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A detector that runs for so many live years; threshold : least log10 E/GeV as reconstructed.

    longest : years of the longest plan with the same sample, so that both count the same rings of declination.
    """

    name: str
    years: float
    seen: tuple[Expected, ...] | Unknown
    note: str
    area: float = 1.0
    threshold: float = 0.0
    longest: float = 0.0


def _best(found: FitAnswer) -> float:
    return 0.0 if isinstance(found.flux, Unknown) else found.flux.best.value


def _part(found: FitAnswer, name: str) -> Any:
    return found.flux if isinstance(found.flux, Unknown) else getattr(found.flux, name)


def _verdict(in_models: InModels | None) -> str:
    if in_models is None:
        return _RELATIVE
    limit, span = in_models.upper_limit_90, in_models.interval
    if isinstance(limit, Unknown):
        return f"not known: {limit.reason}"
    if limit.value < 1.0:
        return f"{_EXCLUDED} at 90 %: at most {limit.value:.2f} of its flux is there"
    allowed = f"{_ALLOWED} at 90 %: up to {limit.value:.2f} times its flux may be there"
    if isinstance(span, Unknown) or span.low <= 1.0:
        return allowed
    return f"{allowed}; the fit asks for {span.low:.2f} to {span.high:.2f} times its flux"


def _gamma(
    whose: str, flux: float, found: FitAnswer, hypothesis: Hypothesis, rng: np.random.Generator
) -> list[GammaBeside]:
    """The hadronic ratio of a flux beside LHAASO and Tibet; the model has no error, the fit that of its interval."""
    target, span = hypothesis.target, _part(found, "interval")
    assert isinstance(target, Template)
    known = whose != "model" and isinstance(span, Interval)
    low, high = (span.low / flux, span.high / flux) if known else (1.0, 1.0)
    spread = Strengths(low, high, np.empty(0), np.empty(0))
    strengths = spread.draws(rng, _DRAWS)
    galactic = Galactic(
        name=hypothesis.name, label=target.label, template=hypothesis.name, source=target.reference,
        at=lambda energy: e2_flux(hypothesis.spectrum, flux, np.log10(energy) + 3.0),
        strengths=spread, origin=found.provenance.origin,
    )  # fmt: skip
    out = []
    for one in (one for one in GAMMA_RAYS if one.name in GAMMAS):
        asked = rows.Asked(one, beside(galactic, target, one), "kelner", None)
        out += [GammaBeside(whose=whose, data=one.name, ratio=mean) for mean in rows.compared(asked, strengths, rng)[1]]
    return out


def _outlook(hypothesis: Hypothesis, of: Mapping[str, float]) -> tuple[Projected, ...]:
    """Expected significances of what there is and what will come, for the flux of the model and that of the fit."""
    cascades, gen2 = (expected(outlook.cascades(), hypothesis),), (expected(outlook.gen2_cascades(), hypothesis),)
    now, then = cascades_2023.LIVETIME_S / YEAR, outlook.Until(_UNTIL).live_years
    plans = [
        Plan("IceCube cascades until May 2021", now, cascades, "the published sample", longest=then),
        Plan(f"IceCube cascades until the end of {_UNTIL}", then, cascades, "the same selection goes on"),
        Plan("KM3NeT/ARCA", _YEARS, _arca(hypothesis), "tracks and showers of ARCA230"),
        *(
            Plan(f"IceCube-Gen2 above {low:g} TeV", _YEARS, gen2, f"assumed: {_AREA:g} times the area of the cascades",
                 _AREA, float(np.log10(1e3 * low)))
            for low in _THRESHOLDS
        ),
    ]  # fmt: skip
    return tuple(_projected(one, of) for one in plans)


def _arca(hypothesis: Hypothesis) -> tuple[Expected, ...] | Unknown:
    try:
        return tuple(expected(outlook.arca(channel), hypothesis) for channel in ("tracks", "showers"))
    except DataError as error:
        return Unknown(reason=str(error))


def _projected(plan: Plan, of: Mapping[str, float]) -> Projected:
    """The expected significance at each flux, or why there is none."""
    found: dict[str, float | Unknown] = {}
    for whose, absent in (("model", _RELATIVE), ("best fit", "nothing was fitted")):
        if isinstance(plan.seen, Unknown) or not of[whose] > 0:
            found[whose] = plan.seen if isinstance(plan.seen, Unknown) else Unknown(reason=absent)
            continue
        how = {"area": plan.area, "threshold": plan.threshold, "longest_s": plan.longest * YEAR}
        found[whose] = together(tuple(asimov(one, of[whose], plan.years * YEAR, **how) for one in plan.seen)).sigma
    return Projected(
        detector=plan.name, years=plan.years, model=found["model"], best_fit=found["best fit"], note=plan.note
    )
