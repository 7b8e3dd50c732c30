"""A theorist's model of the Milky Way on one page: what is seen of it, what excludes it, what comes next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import numpy as np

from nuanalysis.answers import _ensembles as ensembles
from nuanalysis.answers import _hadronic_rows as rows
from nuanalysis.answers import _question as question
from nuanalysis.answers._flux import Flux
from nuanalysis.answers._hadronic_rows import SetRow
from nuanalysis.answers._outlook_lines import Line, arca, gen2_line, icecube
from nuanalysis.answers._question import Answer, Fitted, OnHypothesis, Tested
from nuanalysis.answers.fit import fit
from nuanalysis.answers.hadronic import beside
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.errors import DataError
from nuanalysis.interpret import fluxes
from nuanalysis.interpret.outlook import expected
from nuanalysis.interpret.regions import e2_flux
from nuanalysis.interpret.spectra import GAMMA_RAYS, Galactic, Strengths
from nuanalysis.library import outlook
from nuanalysis.library.hypotheses import hypothesis
from nuanalysis.library.samples import Samples
from nuanalysis.library.spectrum_files import with_spectrum
from nuanalysis.model import OWN_SPECTRUM, Hypothesis
from nuanalysis.plot import mark, plain
from nuanalysis.records import Chance, Interval, Record, Unknown, setting, shown
from nuanalysis.response import cascades_2023, gen2
from nuanalysis.schema import Floats
from nuanalysis.simulate import YEAR
from nuanalysis.sky.records import Template
from nuanalysis.trials.streams import Stream, seed_of

GAMMAS = ("lhaaso-inner", "lhaaso-outer", "tibet-inner", "tibet-outer")
MODEL, BEST_FIT = "model", "best fit"
_UNTIL, _YEARS = 2030, 10.0  # IceCube's cascades; ARCA and Gen2
_DRAWS = 4000
_RELATIVE = "the model says no absolute flux: only its shape can be asked"
_CAUTION = (
    "The directions of the real events are not public: what is fitted, excluded or allowed here is so in these drawn "
    "events, and says what an analysis of the real ones can reach, not what it found."
)


class ModelCard(OnHypothesis):
    """What neutrinos and gamma rays say of a model, and when the next detectors will see it."""

    example: ClassVar = {"hypothesis": "template:kra-gamma-like-5", "injections": 300, "precision": 0.3}
    default_sample: ClassVar[str] = cascades_2023.NAME
    precision: question.Precision = 0.2
    injections: question.Injected = 1500
    spectrum: str = setting(
        "", help="CSV of E in GeV and dN/dE per flavour over the sky in GeV-1 cm-2 s-1, in place of the map's own"
    )

    def model_post_init(self, context: object) -> None:
        target = getattr(self.hypothesis, "target", None)  # of one that Python holds
        if not (isinstance(target, Template) or str(self.hypothesis).startswith("template:")):
            raise ValueError(
                f"'{question.name_of(self.hypothesis)}' is no map of the sky; a model card is of template:NAME or FILE"
            )
        if self.spectrum and (self.index is not None or self.index_free):
            raise ValueError("a spectrum was given and an index too; leave one out")

    def ask(self, samples: Samples, bench: Bench) -> ModelCardAnswer:
        problem = self._with_spectrum(samples) if self.spectrum else self.posed(samples)
        found = fit(problem, samples, ensembles.Wanted(precision=self.precision), self.injections, bench)
        bench.progress("fitted; gamma rays and projections")
        sizes = tuple(_sizes(problem.hypothesis, found.flux))
        rng = np.random.default_rng(seed_of(samples.seed, Stream.READINGS))
        return ModelCardAnswer(
            provenance=found.provenance,
            tested=found.tested,
            fitted=found.fitted,
            chance=found.chance,
            flux=found.flux,
            gamma_rays=tuple(_gamma_rays(problem.hypothesis, sizes, rng)),
            outlook=tuple(_outlook(problem.hypothesis, sizes)),
        )

    def _with_spectrum(self, samples: Samples) -> Problem:
        """The map with the spectrum of a table, which is held.  Raises InputError for a table that cannot be used."""
        posed = hypothesis(self.hypothesis)
        assert isinstance(posed.target, Template)
        target = with_spectrum(posed.target, Path(self.spectrum))
        return question.prepared_on(Hypothesis(posed.name, target, OWN_SPECTRUM, False), samples)


@dataclass(frozen=True, slots=True, eq=False)
class Size:
    """A flux of the template: that of the model itself, or of its fit.

    flux : E^2 dN/dE at 100 TeV, TeV cm^-2 s^-1.    strengths : what is known of it, in units of itself.
    """

    whose: str
    flux: float
    strengths: Strengths


def _sizes(hypothesis: Hypothesis, fitted: Flux | Unknown) -> Iterator[Size]:
    """The flux of the model, which has no error, and that of the fit; without those that are not known or zero."""
    model = fluxes.model_flux(hypothesis)
    if model > 0:
        yield Size(MODEL, model, Strengths(1.0, 1.0, np.empty(0), np.empty(0)))
    if not isinstance(fitted, Unknown) and fitted.best.value > 0:
        best, span = fitted.best.value, fitted.interval
        low, high = (span.low / best, span.high / best) if isinstance(span, Interval) else (1.0, 1.0)
        yield Size(BEST_FIT, best, Strengths(low, high, np.empty(0), np.empty(0)))


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


class ModelCardAnswer(Answer):
    """A model of the Milky Way beside what is known."""

    rows: ClassVar = "outlook"
    tested: Tested = shown("model")
    fitted: Fitted = shown("fit")
    chance: Chance | Unknown = shown("chance")
    flux: Flux | Unknown = shown("flux")
    gamma_rays: tuple[GammaBeside, ...] = shown("R, neutrinos over what gamma rays allow; R > 1 is no fraction")
    outlook: tuple[Projected, ...] = shown("PROJECTION: expected local significance, Asimov")

    @property
    def verdict(self) -> str:
        """Whether the flux of the model is excluded."""
        if isinstance(self.flux, Unknown):
            return f"excluded or not is not known: {self.flux.reason}"
        if self.flux.in_models is None:
            return _RELATIVE
        limit, span = self.flux.in_models.upper_limit_90, self.flux.in_models.interval
        if isinstance(limit, Unknown):
            return f"excluded or not is not known: {limit.reason}"
        if limit.value < 1.0:
            return f"excluded at 90 %: at most {limit.value:.2f} of its flux is there"
        allowed = f"allowed at 90 %: up to {limit.value:.2f} times its flux may be there"
        if isinstance(span, Unknown) or span.low <= 1.0:
            return allowed
        return f"{allowed}; the fit asks for {span.low:.2f} to {span.high:.2f} times its flux"

    def headline(self) -> tuple[str, ...]:
        found = f"TS {self.fitted.ts:.2f}; {ensembles.said(self.chance)}"
        return (f"{self.tested.hypothesis}: {found}; {self.verdict}.{self.fitted.warning}",)

    def files(self) -> Mapping[str, bytes]:
        return {f"model-card{mark(self.provenance.origin)}.html": self._page().encode()}

    def _page(self) -> str:
        """One HTML file that needs nothing else."""
        from jinja2 import Environment, StrictUndefined

        environment = Environment(autoescape=True, undefined=StrictUndefined)
        environment.filters["plain"] = lambda text: plain(str(text)).replace("+-", "±")
        template = (files("nuanalysis.answers") / "model_card.html.j2").read_text(encoding="utf-8")
        return environment.from_string(template).render(card=self, caution=_CAUTION, area=f"{gen2.AREA:g}")


def _gamma_rays(hypothesis: Hypothesis, sizes: tuple[Size, ...], rng: np.random.Generator) -> Iterator[GammaBeside]:
    """The hadronic ratio of each flux beside LHAASO and Tibet."""
    target = hypothesis.target
    assert isinstance(target, Template)
    for size in sizes:
        galactic = Galactic(
            name=hypothesis.name, label=target.label, template=hypothesis.name, source=target.reference,
            at=partial(_at, hypothesis, size.flux), strengths=size.strengths,
        )  # fmt: skip
        strengths = size.strengths.draws(rng, _DRAWS)
        for one in (one for one in GAMMA_RAYS if one.name in GAMMAS):
            asked = rows.Asked(one, beside(galactic, target, one), "kelner", None)
            _, means = rows.compared(asked, strengths, rng)
            yield from (GammaBeside(whose=size.whose, data=one.name, ratio=mean) for mean in means)


def _at(hypothesis: Hypothesis, flux: float, energy: Floats) -> Floats:
    return e2_flux(hypothesis.spectrum, flux, np.log10(energy) + 3.0)


def _outlook(hypothesis: Hypothesis, sizes: tuple[Size, ...]) -> Iterator[Projected]:
    """Expected significances of what there is and what will come."""
    then = outlook.live_years(_UNTIL)
    cascades, seen = icecube(hypothesis, then), expected(outlook.gen2_cascades(), hypothesis)
    yield _projected("IceCube cascades until May 2021", cascades, cascades_2023.LIVETIME_S / YEAR, sizes)
    yield _projected(f"IceCube cascades until the end of {_UNTIL}", cascades, then, sizes)
    try:
        yield _projected("KM3NeT/ARCA", arca(hypothesis), _YEARS, sizes)
    except DataError as error:
        absent = Unknown(reason=str(error))
        yield Projected(detector="KM3NeT/ARCA", years=_YEARS, model=absent, best_fit=absent)
    for threshold in (gen2.THRESHOLDS_TEV[0], gen2.THRESHOLDS_TEV[-1]):
        name = f"IceCube-Gen2, assumed, above {threshold:g} TeV"
        yield _projected(name, gen2_line(seen, threshold), _YEARS, sizes)


def _projected(name: str, line: Line, years: float, sizes: tuple[Size, ...]) -> Projected:
    sigma = {size.whose: line.at(years, size.flux).sigma for size in sizes}
    return Projected(
        detector=name,
        years=years,
        model=sigma.get(MODEL, Unknown(reason=_RELATIVE)),
        best_fit=sigma.get(BEST_FIT, Unknown(reason="nothing was fitted")),
    )
