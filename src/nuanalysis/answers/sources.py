"""Every source of a list: fit and local p-value of each, the global one of the best, and the population test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from nuanalysis import trials
from nuanalysis.answers._chance import tail_of
from nuanalysis.answers._posed import position, provenance_of
from nuanalysis.answers._question import Answer, Question
from nuanalysis.answers._question import Sources as SourceList
from nuanalysis.answers._sky import (
    FEWEST_LOCAL_TRIALS,
    NOT_ASKED,
    SKIES,
    Sky,
    list_skies,
    list_table,
    local_chance,
    look_at,
    of_skies,
    own_log_p,
    places,
)
from nuanalysis.engine.bench import Bench
from nuanalysis.interpret.population import population, smallest_binomial
from nuanalysis.library.catalogues import open_catalogue
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import fit_directions, turned
from nuanalysis.plot import Drawn, Sidecar, chances_figure, mark, slug
from nuanalysis.records import Chance, Position, Record, Unknown, setting, shown
from nuanalysis.schema import Floats
from nuanalysis.sky.records import Catalogue, PointSource


class Sources(Question):
    """Fit every source of a list: local p-values, the global one of the best, and the binomial population test."""

    example: ClassVar[Mapping[str, Any]] = {"catalogue": "snr", "skies": 50, "local_trials": 200}
    catalogue: SourceList = setting(help="a list of sources: list-109, snr, CATALOGUE?rule=.., or a file")
    skies: int = setting(1000, low=0, high=10_000_000, help="background skies for global p-values; 0: local ones alone")
    smear_declination: float = setting(
        0.0, low=0, high=10, unit="deg", help="smear declinations of background skies too (IceCube 2023: 3)"
    )
    local_trials: int = setting(
        1000, low=FEWEST_LOCAL_TRIALS, high=10_000_000, help="tilted scrambles at each source for local p-values"
    )

    def ask(self, samples: Samples, bench: Bench) -> SourcesAnswer:
        listed = open_catalogue(self.catalogue) if isinstance(self.catalogue, str) else self.catalogue
        smear = float(np.radians(self.smear_declination))
        return sources(look_at(samples), listed, self.skies, smear, self.local_trials, bench)


class SourceFit(Record):
    """A source of the list; chance : of it alone."""

    source: str = shown("source")
    at: Position = shown("where", short="RA   dec")
    extension_deg: float = shown("width of the Gaussian extension; 0 for a point", unit="deg", form=".2f", hidden=True)
    n_signal: float = shown("fitted signal events", form=".1f", short="n_s")
    index: float | None = shown("fitted spectral index; NaN where nothing was fitted", None, form=".2f")
    ts: float = shown("test statistic TS", form=".2f", short="TS")
    chance: Chance = shown("local p-value, of this source alone", short="local p")
    converged: bool = shown("the fit converged", hidden=True)


class Population(Record):
    """The k sources of smallest local p-value whose binomial probability is the smallest over all k."""

    k: int = shown("sources")
    p_threshold: float = shown("largest of their local p-values", form=".3g")
    p_binomial: float = shown("binomial probability of as many, smallest over k; local", form=".3g")
    chance: Chance | Unknown = shown("chance that a background sky has one as small")


class SourcesAnswer(Answer):
    """A list of sources, smallest local p-value first."""

    name: ClassVar[str] = "sources"
    rows: ClassVar[str] = "sources"
    catalogue: str = shown("list")
    label: str = shown("label", hidden=True)
    reference: str = shown("reference", hidden=True)
    best: str = shown("best source")
    local: Chance = shown("chance of it alone")
    chance: Chance | Unknown = shown("chance of the best of the list")
    population: Population = shown("population test")
    skies: int = shown("background skies")
    smear_declination: float = shown("declinations of skies smeared by", unit="deg", form="g")
    local_trials: int = shown("scrambles at each source for local p-values")
    sources: tuple[SourceFit, ...] = shown("sources, smallest local p first")

    def headline(self) -> tuple[str, ...]:
        found = self.population
        return (
            f"Best of {len(self.sources)} sources of {self.catalogue}: {self.best}; {self.local.words()}; "
            f"{self.chance.words()}.",
            f"Population: {found.k} sources with local p <= {found.p_threshold:.3g}, binomial p "
            f"{found.p_binomial:.3g}; {found.chance.words()}.",
        )

    def drawn(self) -> tuple[Drawn, ...]:
        chances = [(one.chance.p, _error(one.chance)) for one in self.sources]
        of_best = (self.chance.p, _error(self.chance)) if isinstance(self.chance, Chance) else (float("nan"),) * 2
        whose = self.provenance
        label = f"Sources of {self.catalogue}, {whose.sample}"
        figure = chances_figure(
            [one.source for one in self.sources], chances, of_best, label=label, origin=whose.origin
        )
        words = f"{label} ({whose.origin}): local p-values. {' '.join(self.headline())}"
        name = f"sources-{slug(whose.sample)}-{slug(self.catalogue)}{mark(whose.origin)}"
        return (Drawn(figure, Sidecar(name, words, words, whose.origin), self.to_table()),)


def _error(chance: Chance) -> float:
    return float("nan") if isinstance(chance.error, Unknown) else chance.error


def _row(source: PointSource, fit: Floats, log_p: float, table: trials.LocalP, k: int, n_trials: int) -> SourceFit:
    ts, n_signal, index, converged = map(float, fit)
    error = float(np.interp(np.sqrt(ts), table.root_ts, table.error[k])) if ts > 0 else 0.0
    beyond = ts > float(table.reach[k]) ** 2
    return SourceFit(
        source=source.name,
        at=position(source.right_ascension, source.declination),
        extension_deg=float(np.degrees(source.extension)),
        n_signal=n_signal,
        index=index if n_signal > 0 else None,
        ts=ts,
        chance=local_chance(log_p, error, n_trials, extrapolated=beyond),
        converged=bool(converged),
    )


def _population(p_local: Floats, background: Floats | None) -> Population:
    """The binomial test of the list: local, and global from skies (sky, source) of local p-values."""
    found = population(p_local)
    chance: Chance | Unknown = NOT_ASKED
    if background is not None:
        what = "chance that the smallest binomial probability over k of a background sky is as small"
        chance = tail_of(smallest_binomial(background)[1] <= found.p, what, SKIES, "global")
    return Population(k=found.k, p_threshold=found.p_threshold, p_binomial=found.p, chance=chance)


def sources(sky: Sky, catalogue: Catalogue, n_skies: int, smear: float, n_trials: int, bench: Bench) -> SourcesAnswer:
    """The answer for a sky that is prepared; smear in rad.

    Local p-values are those of ensembles at each source's own place; correlated skies give the global ones.
    """
    fits = fit_directions(sky.events, turned(sky.events.right_ascension()), *places(catalogue))
    bench.progress(f"{sky.samples.name}: {len(fits)} sources fitted, largest TS {fits[:, 0].max():.2f}")
    table = list_table(sky, catalogue, n_trials, bench)
    local = own_log_p(table, fits[None, :, 0])[0]
    background = list_skies(sky, catalogue, table, n_skies, smear, bench) if n_skies else None
    order = np.argsort(local, kind="stable")
    listed = [_row(catalogue.sources[k], fits[k], float(local[k]), table, int(k), n_trials) for k in order]
    chance: Chance | Unknown = NOT_ASKED
    if background is not None:
        chance = of_skies(background.min(axis=1) <= local[int(order[0])], "all sources of the list")
    return SourcesAnswer(
        provenance=provenance_of(sky.samples, sky.anywhere),
        catalogue=catalogue.name,
        label=catalogue.label,
        reference=catalogue.reference,
        best=listed[0].source,
        local=listed[0].chance,
        chance=chance,
        population=_population(np.exp(local), None if background is None else np.exp(background)),
        skies=n_skies,
        smear_declination=float(np.degrees(smear)),
        local_trials=n_trials,
        sources=tuple(listed),
    )


QUESTION = Sources
