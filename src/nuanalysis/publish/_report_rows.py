"""Joint fits, scans and source lists in the words of the report: each row beside the published one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from nuanalysis.answers.joint import JointAnswer
from nuanalysis.answers.scan import ScanAnswer
from nuanalysis.answers.sources import SourcesAnswer
from nuanalysis.interpret.published import CAMPAIGN_2023, PublishedSpot
from nuanalysis.plot import plain
from nuanalysis.publish._campaign_rows import published_list
from nuanalysis.publish._numbers import ABSENT, UNIT, chance_words, measured_words, reason_of, shown
from nuanalysis.publish._results import Entry
from nuanalysis.records import Position, Unknown

_LISTED = 10  # sources with the smallest local p-values


@dataclass(frozen=True, slots=True)
class PartRow:
    """One hypothesis of a joint fit, in words; why : its norm is not determined."""

    label: str
    why: str
    n_s: str
    ts: str
    local: str
    flux: str
    bias: str
    correlations: tuple[str, ...]


def joint_rows(answer: JointAnswer) -> Iterator[PartRow]:
    """Every hypothesis of a joint fit."""
    pairs = {(one.one, one.other): shown(one.measured.value, ".2f") for one in answer.correlations}
    names = [one.tested.hypothesis for one in answer.hypotheses]
    for part, recovered in zip(answer.hypotheses, answer.recovered, strict=True):
        name, norm = part.tested.hypothesis, part.norm
        flux = ABSENT if isinstance(norm.flux, Unknown) else measured_words(norm.flux.best, ".2f", per=UNIT)
        if norm.in_models is not None and not isinstance(norm.in_models, Unknown):
            flux += f" = {measured_words(norm.in_models.best, '.2f')} × model"
        chance = part.profiled if isinstance(part.profiled, Unknown) else part.profiled.chance
        bias = None if isinstance(recovered.bias, Unknown) else recovered.bias
        yield PartRow(
            label=plain(part.tested.label),
            why=plain(reason_of(part.profiled)),
            n_s=measured_words(norm.n_signal, ".1f"),
            ts=shown(part.ts, ".2f"),
            local=chance_words(chance),
            flux=flux,
            bias=measured_words(bias, ".3f"),
            correlations=tuple(
                "1.00" if other == name else pairs.get((name, other)) or pairs[other, name] for other in names
            ),
        )


@dataclass(frozen=True, slots=True)
class SpotRow:
    """A direction with its fit, in words."""

    name: str
    place: str
    galactic: str = ABSENT
    n_s: str = ABSENT
    index: str = ABSENT
    ts: str = ABSENT
    local: str = ABSENT
    of_all: str = ABSENT
    published: bool = False


def _place(ra: float, dec: float, form: str = ".2f") -> str:
    return f"{shown(ra, form)}, {shown(dec, form)}"


def _places(at: Position) -> tuple[str, str]:
    return _place(at.ra_deg, at.dec_deg), _place(at.l_deg, at.b_deg)


def _printed(p: float) -> str:
    """A published p-value, no digit added."""
    return shown(p, ".3g")


def _published_spot(name: str, theirs: PublishedSpot) -> SpotRow:
    return SpotRow(
        name=f"{name}, published",
        place=_place(theirs.ra_deg, theirs.dec_deg, ".1f"),
        n_s=shown(theirs.n_signal),
        index=shown(theirs.index),
        local=_printed(theirs.p_local),
        of_all=_printed(theirs.p_global),
        published=True,
    )


def published_spots(answer: ScanAnswer) -> dict[str, PublishedSpot]:
    """The published hottest spots; they belong to one sample and stand beside that one only."""
    return CAMPAIGN_2023.hot_spots if answer.provenance.sample == CAMPAIGN_2023.sample else {}


def spot_rows(answer: ScanAnswer) -> Iterator[SpotRow]:
    """The hottest spot of each hemisphere, the published one below it."""
    published = published_spots(answer)
    for spot in answer.hottest:
        fit = spot.fitted
        yield SpotRow(
            spot.hemisphere,
            *_places(spot.at),
            n_s=shown(fit.n_signal),
            index=shown(fit.index, ".2f"),
            ts=shown(fit.ts, ".2f"),
            local=chance_words(spot.local),
            of_all=chance_words(spot.chance),
        )
        if spot.hemisphere in published:
            yield _published_spot(spot.hemisphere, published[spot.hemisphere])


@dataclass(frozen=True, slots=True)
class Listing:
    """A source list: its best sources, then those below them that were published.

    published : global p-value of the best source, as printed; None where these are not that list and sample.
    """

    entry: Entry
    first: tuple[SpotRow, ...]
    others: tuple[SpotRow, ...]
    published: float | None


def listing(entry: Entry, answer: SourcesAnswer) -> Listing:
    """What the report says of a list; published fits in brackets, published local p-values as ``of_all``."""
    published = published_list(answer)
    made = []
    for source in answer.sources:
        theirs = published.get(source.name, PublishedSpot(math.nan))
        n_s, index = (f" [{shown(one)}]" if math.isfinite(one) else "" for one in (theirs.n_signal, theirs.index))
        row = SpotRow(
            plain(source.name),
            *_places(source.at),
            n_s=shown(source.fitted.n_signal) + n_s,
            index=shown(source.fitted.index, ".2f") + index,
            ts=shown(source.fitted.ts, ".2f"),
            local=chance_words(source.local),
            of_all=_printed(theirs.p_local),
            published=source.name in published,
        )
        made.append(row)
    others = tuple(row for row in made[_LISTED:] if row.published)
    of_list = CAMPAIGN_2023.p[f"each:{answer.catalogue}"] if published else None
    return Listing(entry, tuple(made[:_LISTED]), others, of_list)
