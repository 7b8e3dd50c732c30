"""Every source of a list: local p-values, the global one of the best, and the binomial test of the whole list."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import ClassVar

import numpy as np

from nuanalysis import trials
from nuanalysis.answers import _sky
from nuanalysis.answers._ensembles import value_and_error
from nuanalysis.answers._question import Answer, Fitted, Question, Smear, SourceList, position, provenance_of
from nuanalysis.answers._sky import GLOBAL, METHOD, Sky, global_chance
from nuanalysis.engine.bench import Bench
from nuanalysis.interpret.population import population, smallest_binomial
from nuanalysis.library.catalogues import catalogue
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import fit_directions, turned
from nuanalysis.model import Hypothesis
from nuanalysis.plot import Drawn, Sidecar, chances_figure, mark, slug
from nuanalysis.records import Chance, Position, Record, Unknown, setting, shown
from nuanalysis.schema import Floats
from nuanalysis.sky.records import Catalogue
from nuanalysis.store.sky_maps import LOCAL

_SKIES_A_BATCH = 50
_DRAWN = 20


class Sources(Question):
    """Every source of a list: local p-values, the global one of the best, the binomial test of the list."""

    example: ClassVar = {"catalogue": "snr", "skies": 20, "local_trials": 200}
    catalogue: SourceList = setting(help="list of sources: list-109, snr, hgps?rule=.., or a file")
    skies: _sky.NSkies = 1000
    smear_declination: Smear = 0.0
    local_trials: _sky.LocalTrials = 1000

    def ask(self, samples: Samples, bench: Bench) -> SourcesAnswer:
        listed, sky = catalogue(self.catalogue), _sky.look_at(samples, bench)
        return search_list(sky, samples, listed, self.skies, self.local_trials, self.smear_declination).answer


class Source(Record):
    """One source of a list, fitted alone."""

    name: str = shown("source", short="source")
    at: Position = shown("where", short="RA   dec")
    extension_deg: float = shown("width of the Gaussian extension; 0 for a point", unit="deg", form=".2f", hidden=True)
    fitted: Fitted = shown("fit")
    local: Chance = shown(f"p-value {LOCAL}; no error where it lies beyond what the trials reach", short="local p")


class BinomialTest(Record):
    """Whether a list holds more small local p-values than chance gives."""

    k: int = shown("sources at or below the threshold that is least likely by chance")
    p_threshold: float = shown("threshold in local p", form=".3g")
    p_binomial: float = shown("binomial probability of as many, not corrected for the choice of k", form=".3g")
    chance: Chance | Unknown = shown("chance")

    def words(self, form: str = "") -> str:
        return (
            f"{self.k} with local p <= {self.p_threshold:.3g}: binomial p {self.p_binomial:.3g}; {self.chance.words()}"
        )


class SourcesAnswer(Answer):
    """Every source of a list."""

    rows: ClassVar = "sources"
    catalogue: str = shown("name")
    label: str = shown("label", hidden=True)
    reference: str = shown("reference", hidden=True)
    best: str = shown("best source")
    chance: Chance | Unknown = shown("chance of the best")
    population: BinomialTest = shown("binomial test")
    n_skies: int = shown("background skies")
    smear_declination: float = shown("declinations smeared by", unit="deg", form="g")
    local_trials: int = shown("scrambles for each local p")
    sources: tuple[Source, ...] = shown("sources, smallest local p-value first")

    def headline(self) -> tuple[str, ...]:
        return (
            f"The best of {len(self.sources)} sources of {self.catalogue} is {self.best}: "
            f"{self.sources[0].local.words()}; {self.chance.words()}.",
            f"Binomial test of the list: {self.population.words()}.",
        )

    def about(self) -> Mapping[str, str]:
        return {
            "CATALOGUE": self.catalogue,
            "REFERENCE": self.reference,
            "METHOD": METHOD,
            "N_SKIES": f"{self.n_skies}",
            "LOCAL_TRIALS": f"{self.local_trials}",
            "SMEAR_DECLINATION_DEG": f"{self.smear_declination:g}",
            "BEST": self.headline()[0],
            "POPULATION": self.headline()[1],
        }

    def drawn(self) -> tuple[Drawn, ...]:
        whose, rows = self.provenance, self.sources[:_DRAWN]
        names, chances = [row.name for row in rows], [value_and_error(row.local) for row in rows]
        label, of_best = f"{self.catalogue}, {whose.sample}", value_and_error(self.chance)
        figure = chances_figure(names, chances, of_best, label=label, origin=whose.origin)
        words = (
            f"Local p-values of the {len(rows)} sources of {self.catalogue} with the smallest, {whose.stamp} sample "
            f"{whose.sample}. {' '.join(self.headline())}"
        )
        stem = f"sources-{slug(self.catalogue)}-{slug(whose.sample)}{mark(whose.origin)}"
        return (Drawn(figure, Sidecar(stem, words, words, whose.origin), self.to_table()),)


def _alone(catalogue: Catalogue) -> list[Hypothesis]:
    """Every source of a list as a hypothesis of its own, its index free."""
    one_by_one = [Catalogue(s.name, s.name, (s,), (1.0,), "") for s in catalogue.sources]
    return [Hypothesis(f"each:{catalogue.name}/{one.name}", one, 2.7, True) for one in one_by_one]


def _log_p(tables: tuple[trials.LocalP, ...], ts: Floats) -> Floats:
    """ln of the local p-values of (sky, source) TS, each source with a table of its own."""
    return np.stack([one.log_p_of(float(one.declination[0]), ts[:, k]) for k, one in enumerate(tables)], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class ListSearch:
    """A list searched: the answer, ln of local p of its sources (source,), the same on skies (sky, source) or None."""

    answer: SourcesAnswer
    log_p: Floats
    skies: Floats | None


def search_list(
    sky: Sky, samples: Samples, listed: Catalogue, n_skies: int, local_trials: int, smear: float = 0.0
) -> ListSearch:
    """Fit every source of a list, on the data and on background skies; smear in deg."""
    at = tuple(np.array([(s.right_ascension, s.declination, s.extension) for s in listed.sources]).T)
    fits = fit_directions(sky.events, turned(sky.events.right_ascension()), *at)
    sky.bench.progress(f"{len(fits)} sources of {listed.name} fitted, largest TS {fits[:, 0].max():.2f}")
    of_all = _sky.local_table(sky, _alone(listed), at[1], local_trials)
    tables = tuple(
        trials.LocalP(of_all.declination[k : k + 1], of_all.root_ts, of_all.log_p[k : k + 1], of_all.error[k : k + 1],
                      of_all.reach[k : k + 1]) for k in range(len(fits))
    )  # fmt: skip
    skies, log_p = None, _log_p(tables, fits[None, :, 0])[0]
    if n_skies:
        names = tuple(f"ts_{k}" for k in range(len(fits)))
        decides = tuple(map(astuple, listed.sources))
        asked = _sky.Skies("list", trials.source_trials, (at,), decides, names, _SKIES_A_BATCH, (math.radians(smear),))
        found = _sky.background(sky, asked, n_skies)
        skies = _log_p(tables, np.stack([found[name].values for name in names], axis=1))
    rows = [
        Source(
            name=source.name,
            at=position(source.right_ascension, source.declination),
            extension_deg=math.degrees(source.extension),
            fitted=_sky.fitted_row(fit),
            local=_sky.local_chance(table, source.declination, float(fit[0]), float(least), local_trials),
        )
        for source, fit, table, least in zip(listed.sources, fits, tables, log_p, strict=True)
    ]
    best_first = tuple(rows[k] for k in np.argsort(log_p, kind="stable"))
    of = "the smallest binomial probability over k of a background sky is as small"
    binomial = population(np.exp(log_p))
    of_list = global_chance(None if skies is None else smallest_binomial(np.exp(skies))[1], binomial.p, of)
    answer = SourcesAnswer(
        provenance=provenance_of(samples, sky.anywhere),
        catalogue=listed.name,
        label=listed.label,
        reference=listed.reference,
        best=best_first[0].name,
        chance=global_chance(skies, float(log_p.min()), f"{GLOBAL}, all sources of the list"),
        population=BinomialTest(k=binomial.k, p_threshold=binomial.p_threshold, p_binomial=binomial.p, chance=of_list),
        n_skies=n_skies,
        smear_declination=smear,
        local_trials=local_trials,
        sources=best_first,
    )
    return ListSearch(answer, log_p, skies)
