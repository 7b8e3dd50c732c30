"""Catalogues as stacks: fit, p-value, flux and limit of each, what every source adds, and the best of all."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
from pydantic import AfterValidator

from nuanalysis.answers import _question as question
from nuanalysis.answers._ensembles import Wanted, said
from nuanalysis.answers._question import Answer, Question, SourceList, fit_data, pose, position, provenance_of, stacked
from nuanalysis.answers.fit import FitAnswer, fit
from nuanalysis.answers.together import together
from nuanalysis.engine.bench import Bench
from nuanalysis.interpret import fluxes
from nuanalysis.interpret.contributions import event_shares, source_terms
from nuanalysis.library.catalogues import PREFIX, open_selection, parse_catalogue
from nuanalysis.library.samples import Samples
from nuanalysis.plot import Drawn, Sidecar, SourceBar, mark, slug, stack_figure, stack_words
from nuanalysis.records import Chance, Measured, Position, Record, Unknown, setting, shown, table
from nuanalysis.sky import catalogues
from nuanalysis.sky.records import Catalogue

_UNDER = "under the weights of the stack, not a result on this source alone"


class Stack(Question):
    """Catalogues as stacks: TS, flux, limit, the part of every source, local and global p-values."""

    example: ClassVar = {"catalogues": ("snr", "pwn"), "trials": 400, "injections": 300}
    catalogues: Annotated[tuple[SourceList, ...], AfterValidator(stacked)] = setting(
        help="lists of sources: snr, pwn, unid, CATALOGUE?rule=..&weight=.., or a file"
    )
    precision: question.Precision = 0.1
    trials: question.Scrambled = 0
    injections: question.Injected = setting(
        1500, help="injected skies for flux and limit of each; 0: fits and sources alone"
    )
    smear_declination: question.Smear = 0.0
    index: question.Index = setting(None, help="index of a power law; without: 2.7")
    index_free: question.IndexFree = setting(None, help="fit the index; without: yes")

    def ask(self, samples: Samples, bench: Bench) -> StackAnswer:
        problems = tuple(pose(one, samples, index=self.index, index_free=self.index_free) for one in self.catalogues)
        # Whoever says how many trials takes the precision that they give.
        precision = math.inf if self.trials else self.precision
        wanted = Wanted(precision, self.trials, self.smear_declination)
        fits = [fit(problem, samples, wanted, self.injections, bench) for problem in problems]
        first = max(fits, key=lambda one: one.fitted.ts)
        best, chance, factor = first.tested.hypothesis, first.chance, None
        if len(problems) > 1 and self.injections:
            of_all = together(problems, tuple(one.fitted.ts for one in fits), samples, wanted, bench)
            best, chance, factor = of_all.best, of_all.chance, of_all.trials_factor
        return StackAnswer(
            provenance=provenance_of(samples, *problems),
            best=best,
            chance=chance,
            trials_factor=factor,
            smear_declination=self.smear_declination,
            catalogues=tuple(stacked_fit(one, name) for one, name in zip(fits, self.catalogues, strict=True)),
        )


class Chosen(Record):
    """How the sources of a catalogue were chosen."""

    listed: int = shown("sources of the list")
    rule: str = shown("rule", "")
    weight: str = shown("weight", "")
    left_out: int = shown("left out for missing values", 0)
    notes: tuple[str, ...] = shown("notes", ())


class SourcePart(Record):
    """What a source adds to its stack."""

    name: str = shown("source", short="source")
    catalogue: str = shown("catalogue", hidden=True)
    at: Position = shown("where", short="RA   dec")
    ts_term: float = shown(
        "contribution to TS, to which they sum; negative where events avoid it", form=".3f", short="TS term"
    )
    share_of_events: float = shown("expected share of the events; sums to 1", form=".4f", short="events")
    n_signal: float = shown(f"share_of_events x fitted n_s; {_UNDER}", form=".2f", short="n_s")
    flux: float | Unknown = shown(f"weight x summed flux; {_UNDER}", unit=fluxes.UNIT, form=".2e")
    flux_upper_limit_90: float | Unknown = shown(
        f"weight x 90 % limit on it; {_UNDER}", unit=fluxes.UNIT, form=".2e", short="limit"
    )
    weight: float = shown("share of the summed flux at Earth; sums to 1", form=".4f")
    extension_deg: float = shown("width of the Gaussian extension; 0 for a point", unit="deg", form=".2f", hidden=True)


class Stacked(Record):
    """One catalogue: the fit of the stack, its sources, and how they were chosen (null for a typed list as it is)."""

    catalogue: str = shown("catalogue", hidden=True)
    n_sources: int = shown("sources", hidden=True)
    found: FitAnswer = shown("")
    chosen: Chosen | None = shown("chosen", None)
    index_of_shares: float = shown("index behind the shares of events", form=".2f", hidden=True)
    sources: tuple[SourcePart, ...] = shown(
        f"sources, largest contribution to TS first; n_s, flux and limit ({fluxes.UNIT}) are {_UNDER}"
    )

    def headline(self) -> tuple[str, ...]:
        return (f"{self.n_sources} sources, {' '.join(self.found.headline())}",)

    def drawn(self) -> Drawn:
        """What each source adds, with its words."""
        bars = [SourceBar(one.name, one.ts_term, one.share_of_events) for one in self.sources]
        whose, fitted = self.found.provenance, self.found.fitted
        label = f"{self.found.tested.label}, {whose.sample}"
        words, which = stack_words(bars)
        fit_words = f"{' '.join(self.found.headline())} Seed {whose.seed}"
        caption = (
            f"{label} ({whose.origin}): {fit_words}. Left: contribution of each source to the test statistic, {which}; "
            "a negative one means that the events avoid the source. Right: expected share of the events, weight times "
            f"acceptance times livetime, for index {self.index_of_shares:.2f}."
        )
        name = f"stack-{slug(whose.sample)}-{slug(self.catalogue)}{mark(whose.origin)}"
        alt = f"Contributions to the test statistic, {label} ({whose.origin}), {fit_words}: {words}"
        figure = stack_figure(bars, ts=fitted.ts, label=label, origin=whose.origin)
        return Drawn(figure, Sidecar(name, alt, caption, whose.origin, "stacking"), table(self.sources, whose))


class StackAnswer(Answer):
    """Stacked catalogues."""

    rows: ClassVar = "catalogues.sources"  # read back as a catalogue they are the same sources
    best: str = shown("the best of them", "")
    chance: Chance | Unknown = shown("chance")
    trials_factor: float | None = shown("global over local p of the best", None, form=".3g")
    smear_declination: float = shown("declinations of scrambles smeared by", unit="deg", form="g")
    catalogues: tuple[Stacked, ...] = shown("catalogues")

    def headline(self) -> tuple[str, ...]:
        many = f"The best of {len(self.catalogues)} stacks is" if len(self.catalogues) > 1 else "One stack,"
        return (f"{many} {self.best}: {said(self.chance)}.",)

    def drawn(self) -> tuple[Drawn, ...]:
        return tuple(one.drawn() for one in self.catalogues)


def _chosen(name: object) -> Chosen | None:
    """How the sources were chosen; None for a list as it is."""
    bare = str(name).removeprefix(PREFIX)
    if not isinstance(name, str) or bare in catalogues.CATALOGUES:
        return None
    found, how = open_selection(bare), parse_catalogue(bare).choice
    notes = tuple(found.notes)
    return Chosen(listed=found.listed, rule=how.rule, weight=how.weight, left_out=found.unknown, notes=notes)


def stacked_fit(found: FitAnswer, listed: object) -> Stacked:
    """A fit of this list with its sources, largest contribution first."""
    assert found.problem is not None
    problem, name = found.problem, found.tested.hypothesis.removeprefix(PREFIX)
    target, (best, data) = problem.hypothesis.target, fit_data(problem)
    assert isinstance(target, Catalogue)
    index = best.index if best.n_signal > 0 else problem.hypothesis.index
    weights = np.array(target.weights) / sum(target.weights)
    shares, terms = event_shares(problem.prepared, index), source_terms(problem.prepared, data, best)
    flux: Measured | Unknown = found.flux if isinstance(found.flux, Unknown) else found.flux.best
    limit = found.flux if isinstance(found.flux, Unknown) else found.flux.upper_limit_90
    sources = [
        SourcePart(
            name=source.name,
            catalogue=name,
            at=position(source.right_ascension, source.declination),
            ts_term=term,
            share_of_events=share,
            n_signal=share * best.n_signal,
            flux=flux if isinstance(flux, Unknown) else weight * flux.value,
            flux_upper_limit_90=limit if isinstance(limit, Unknown) else weight * limit.value,
            weight=weight,
            extension_deg=float(np.degrees(source.extension)),
        )
        for source, weight, share, term in zip(
            target.sources, weights.tolist(), shares.tolist(), terms.tolist(), strict=True
        )
    ]
    return Stacked(
        catalogue=name,
        n_sources=len(sources),
        found=found,
        chosen=_chosen(listed),
        index_of_shares=index,
        sources=tuple(sorted(sources, key=lambda one: -abs(one.ts_term))),
    )
