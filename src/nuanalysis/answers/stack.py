"""Catalogues as stacks: fit, p-value, flux and limit of each, what every source adds, and the best of all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator

from nuanalysis.answers._ensembles import Wanted, smear_setting
from nuanalysis.answers._posed import fit_data, pose, position, provenance_of
from nuanalysis.answers._question import Answer, Question, Sources, stacked
from nuanalysis.answers.fit import FitAnswer, check_injections, fit
from nuanalysis.answers.significance import check_trials, trials_setting
from nuanalysis.answers.together import together
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem
from nuanalysis.interpret import fluxes
from nuanalysis.interpret.stack_terms import event_shares, source_terms
from nuanalysis.library.catalogues import PREFIX, open_selection, parse_catalogue
from nuanalysis.library.samples import Samples
from nuanalysis.plot import Drawn, Sidecar, SourceBar, mark, slug, stack_figure, stack_words
from nuanalysis.records import Chance, Measured, Position, Record, Unknown, setting, shown, table
from nuanalysis.sky import catalogues
from nuanalysis.sky.records import Catalogue

_UNDER = "under the weights of the stack, not a result on this source alone"


class Stack(Question):
    """Catalogues as stacks: TS, flux, limit, the part of every source, local and global p-values."""

    example: ClassVar[Mapping[str, Any]] = {"catalogues": ("snr", "pwn"), "trials": 400, "injections": 300}
    catalogues: Annotated[tuple[Sources, ...], AfterValidator(stacked)] = setting(
        help="lists of sources: snr, pwn, unid, CATALOGUE?rule=..&weight=.., or a file"
    )
    precision: float = setting(0.1, low=0.001, high=0.3, help="relative statistical error of the p-values")
    trials: int = trials_setting()
    injections: int = setting(
        1500, low=0, high=10_000_000, help="injected skies for flux and limit of each; 0: fits and sources alone"
    )
    smear_declination: float = smear_setting()
    index: float | None = setting(None, low=1, high=4, help="index of a power law; without: 2.7")
    index_free: bool | None = setting(None, help="fit the index; without: yes")

    def model_post_init(self, context: Any) -> None:
        check_trials(self.trials)
        check_injections(self.injections)

    def ask(self, samples: Samples, bench: Bench) -> StackAnswer:
        problems = tuple(pose(one, samples, index=self.index, index_free=self.index_free) for one in self.catalogues)
        # Whoever says how many trials takes the precision that they give.
        precision = math.inf if self.trials else self.precision
        smear = float(np.radians(self.smear_declination))
        wanted = Wanted(precision=precision, n_trials=self.trials, smear=smear)
        chosen = tuple(_chosen(one) if isinstance(one, str) else None for one in self.catalogues)
        return stack(problems, chosen, samples, wanted, self.injections, bench)


class Chosen(Record):
    """How the sources of a catalogue were chosen."""

    listed: int = shown("sources of the list")
    rule: str = shown("rule", "")
    weight: str = shown("weight", "")
    left_out: int = shown("left out for missing values", 0)
    notes: tuple[str, ...] = shown("notes", ())


class Stacked(Record):
    """One catalogue: the fit of the stack, and how its sources were chosen (null for a typed list as it is)."""

    catalogue: str = shown("catalogue")
    n_sources: int = shown("sources", short="sources")
    found: FitAnswer = shown("the stack")
    chosen: Chosen | None = shown("how the sources were chosen", None, hidden=True)
    index_of_shares: float = shown("index behind the shares of events", form=".2f", hidden=True)


class SourcePart(Record):
    """What a source adds to its stack."""

    name: str = shown("source", short="source")
    catalogue: str = shown("catalogue", hidden=True)
    at: Position = shown("where", short="RA   dec")
    extension_deg: float = shown("width of the Gaussian extension; 0 for a point", unit="deg", form=".2f", hidden=True)
    weight: float = shown("share of the summed flux at Earth, sums to 1", form=".4f")
    share_of_events: float = shown("expected share of the events; sums to 1", form=".4f", short="events")
    n_signal: float = shown(f"share_of_events x fitted n_s; {_UNDER}", form=".2f", short="n_s")
    flux: float | None = shown(f"weight x summed flux; {_UNDER}", None, unit=fluxes.UNIT, form=".2e", hidden=True)
    flux_upper_limit_90: float | None = shown(
        f"weight x 90 % limit on it; {_UNDER}", None, unit=fluxes.UNIT, form=".2e", hidden=True
    )
    ts_term: float = shown("contribution to TS; negative where events avoid it", form=".3f", short="TS term")

    def bar(self) -> SourceBar:
        """For the figure."""
        return SourceBar(self.name, self.ts_term, self.share_of_events)


class StackAnswer(Answer):
    """Stacked catalogues."""

    name: ClassVar[str] = "stack"
    rows: ClassVar[str] = "sources"
    best: str = shown("the best of them", "")
    chance: Chance | Unknown = shown("chance")
    trials_factor: float | None = shown("global over local p of the best", None, form=".3g")
    smear_declination: float = shown("declinations of scrambles smeared by", unit="deg", form="g")
    catalogues: tuple[Stacked, ...] = shown("catalogues", hidden=True)
    sources: tuple[SourcePart, ...] = shown(f"sources, largest TS terms first; n_s, flux and limit are {_UNDER}")

    def headline(self) -> tuple[str, ...]:
        said = []
        for one in self.catalogues:
            flux = one.found.flux
            limit = flux.words() if isinstance(flux, Unknown) else flux.upper_limit_90.words()
            said.append(
                f"{one.n_sources} sources, {' '.join(one.found.headline())} 90 % limit on the summed flux {limit}."
            )
        if len(self.catalogues) > 1:
            said.append(f"The best of {len(self.catalogues)} is {self.best}: {self.chance.words()}.")
        return tuple(said)

    def drawn(self) -> tuple[Drawn, ...]:
        return tuple(self._figure(one) for one in self.catalogues)

    def _figure(self, one: Stacked) -> Drawn:
        parts = [part for part in self.sources if part.catalogue == one.catalogue]
        bars, whose, fitted = [part.bar() for part in parts], self.provenance, one.found.fitted
        label = f"{one.found.tested.label}, {whose.sample}"
        figure = stack_figure(bars, ts=fitted.ts, label=label, origin=whose.origin)
        words, which = stack_words(bars)
        fit_words = f"{' '.join(one.found.headline())} Seed {whose.seed}"
        caption = (
            f"{label} ({whose.origin}): {fit_words}. Left: contribution of each source to the test statistic, {which}; "
            "a negative one means that the events avoid the source. Right: expected share of the events, weight times "
            f"acceptance times livetime, for index {one.index_of_shares:.2f}."
        )
        name = f"stack-{slug(whose.sample)}-{slug(one.catalogue)}{mark(whose.origin)}"
        alt = f"Contributions to the test statistic, {label} ({whose.origin}), {fit_words}: {words}"
        return Drawn(figure, Sidecar(name, alt, caption, whose.origin, "stacking"), table(parts, whose))


def _chosen(name: str) -> Chosen | None:
    """How the sources were chosen; None for a typed list as it is."""
    bare = name.removeprefix(PREFIX)
    if bare in catalogues.CATALOGUES:
        return None
    found, asked = open_selection(bare), parse_catalogue(bare)
    return Chosen(
        listed=found.listed,
        rule=asked.choice.rule,
        weight=asked.choice.weight,
        left_out=found.unknown,
        notes=tuple(found.notes),
    )


def source_parts(problem: Problem, found: FitAnswer) -> tuple[tuple[SourcePart, ...], float]:
    """What every source adds to a stack that was fitted, largest first, and the index behind the shares of events."""
    target = problem.hypothesis.target
    assert isinstance(target, Catalogue)
    best, data = fit_data(problem)
    index = best.index if best.n_signal > 0 else problem.hypothesis.index
    weights = np.array(target.weights) / sum(target.weights)
    shares, terms = event_shares(problem.prepared, index), source_terms(problem.prepared, data, best)
    flux = None if isinstance(found.flux, Unknown) else found.flux
    limit = flux.upper_limit_90.value if flux is not None and isinstance(flux.upper_limit_90, Measured) else None
    rows = tuple(
        SourcePart(
            name=source.name,
            catalogue=problem.hypothesis.name.removeprefix(PREFIX),
            at=position(source.right_ascension, source.declination),
            extension_deg=float(np.degrees(source.extension)),
            weight=weight,
            share_of_events=share,
            n_signal=share * best.n_signal,
            flux=None if flux is None else weight * flux.best.value,
            flux_upper_limit_90=None if limit is None else weight * limit,
            ts_term=term,
        )
        for source, weight, share, term in zip(
            target.sources, weights.tolist(), shares.tolist(), terms.tolist(), strict=True
        )
    )
    return tuple(sorted(rows, key=lambda one: -abs(one.ts_term))), index


def stack(
    problems: tuple[Problem, ...],
    chosen: tuple[Chosen | None, ...],
    samples: Samples,
    wanted: Wanted,
    n_injections: int,
    bench: Bench,
) -> StackAnswer:
    """The answer for prepared stacks: each alone, its sources, and the best of them.

    chosen : how the sources of each were chosen; None for a list as it is.
    """
    parts: list[SourcePart] = []
    stacks = []
    for problem, how in zip(problems, chosen, strict=True):
        found = fit(problem, samples, wanted, n_injections, bench)
        rows, index = source_parts(problem, found)
        parts += rows
        stacks.append(
            Stacked(
                catalogue=problem.hypothesis.name.removeprefix(PREFIX),
                n_sources=len(rows),
                found=found,
                chosen=how,
                index_of_shares=index,
            )
        )
    first = max(stacks, key=lambda one: one.found.fitted.ts)
    best, chance, factor = first.catalogue, first.found.chance, None
    if len(problems) > 1 and n_injections:
        of_all = together(problems, tuple(one.found.fitted.ts for one in stacks), samples, wanted, bench)
        best, chance, factor = of_all.best, of_all.chance, of_all.trials_factor
    return StackAnswer(
        provenance=provenance_of(samples, *problems),
        best=best,
        chance=chance,
        trials_factor=factor,
        smear_declination=math.degrees(wanted.smear),
        catalogues=tuple(stacks),
        sources=tuple(parts),
    )


QUESTION = Stack
