"""What a catalogue holds, what is selected of it, what it shares with another: records that show themselves."""

from collections import Counter

import numpy as np

from nuanalysis.library.catalogues import Asked
from nuanalysis.records import Record, shown
from nuanalysis.schema import Floats
from nuanalysis.sky import catalogues
from nuanalysis.sky.catalogues import Match, Selection, SourceTable
from nuanalysis.store import table_ecsv

NAMED = 20  # sources that a sentence names


class ColumnCard(Record):
    """A column of a catalogue."""

    name: str = shown("name")
    unit: str = shown("unit")
    kind: str = shown("words or numbers")

    def words(self, form: str = "") -> str:
        return f"{self.name} [{self.unit}]" if self.unit else self.name


class CatalogueCard(Record):
    """What a catalogue holds: sources, classes, columns with units, notes, faults and duplicates."""

    source: str = shown("name", hidden=True)
    title: str = shown("title", hidden=True)
    reference: str = shown("reference")
    file: str = shown("file")
    sha256: str = shown("sha256")
    sources: int = shown("sources")
    with_direction: int = shown("with a direction")
    classes: dict[str, int] = shown("classes")
    flux_unit: str = shown("unit of fluxes")
    flux_band: str = shown("band of fluxes")
    with_flux: int = shown("with a flux")
    with_extension: int = shown("with an extension")
    with_distance: int = shown("with a distance")
    read_as: dict[str, str] = shown("read as")
    columns: tuple[ColumnCard, ...] = shown("columns")
    columns_no_rule_can_use: tuple[str, ...] = shown("columns that no rule can use")
    notes: tuple[str, ...] = shown("notes")
    faults: tuple[str, ...] = shown("faults")
    duplicates: tuple[tuple[str, ...], ...] = shown("listed more than once", hidden=True)
    duplicates_within_deg: float = shown("angle within which sources are the same, deg", hidden=True)

    def headline(self) -> tuple[str, ...]:
        twice = [" + ".join(group) for group in self.duplicates]
        return self.title, *((f"Listed more than once: {_some(twice, '; ')}.",) if twice else ())


def catalogue_card(asked: Asked, table: SourceTable) -> CatalogueCard:
    """What a catalogue holds."""
    groups = catalogues.found_duplicates(table, np.arange(len(table)), asked.choice.within)
    known = {f"with_{name}": np.isfinite(getattr(table, name)).sum() for name in ("flux", "extension", "distance")}
    return CatalogueCard.taken_from(
        table,
        source=asked.source,
        sources=len(table),
        with_direction=int(table.placed.sum()),
        classes=dict(Counter(filter(None, table.classes.tolist())).most_common()),
        read_as=dict(table.used),
        columns=tuple(
            ColumnCard(name=name, unit=column.unit, kind="words" if column.values.dtype.kind == "U" else "numbers")
            for name, column in table.columns.items()
        ),
        columns_no_rule_can_use=tuple(table.vectors),
        duplicates=tuple(tuple(table.name[group.rows].tolist()) for group in groups),
        duplicates_within_deg=float(np.degrees(asked.choice.within)),
        **{name: int(number) for name, number in known.items()},
    )


def _some(names: list[str], between: str = ", ") -> str:
    """The first names, and how many more there are."""
    return between.join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


class WeightCard(Record):
    """A source with its weight; share_of_events: None where no sample is given."""

    name: str = shown("source", short="source")
    source_class: str = shown("class", short="class")
    ra_deg: float = shown("right ascension, deg", form=".3f", short="ra")
    dec_deg: float = shown("declination, deg", form=".3f", short="dec")
    extension_deg: float = shown("extension, deg", form=".3f", short="sigma")
    weight: float = shown("weight at Earth", form=".3e", short="weight")
    share: float = shown("share of the flux", form=".4f")
    share_of_events: float | None = shown("share of the expected events", None, form=".4f", short="events")


class SelectionCard(Record):
    """What is selected of a catalogue, with its table of weights."""

    name: str = shown("name", hidden=True)
    label: str = shown("label", hidden=True)
    reference: str = shown("reference", hidden=True)
    listed: int = shown("sources listed", hidden=True)
    selected: int = shown("sources selected", hidden=True)
    left_out_for_missing_values: int = shown("left out for missing values", hidden=True)
    notes: tuple[str, ...] = shown("notes")
    weights: tuple[WeightCard, ...] = shown("weights; angles in deg")

    def headline(self) -> tuple[str, ...]:
        return (self.label,)


def selection_card(selection: Selection, *, seen_shares: Floats | None = None) -> SelectionCard:
    """What is selected.    seen_shares : see ``samples.event_shares``; None where no sample is given."""
    return SelectionCard.taken_from(
        selection.catalogue,
        listed=selection.listed,
        selected=len(selection.catalogue.sources),
        left_out_for_missing_values=selection.unknown,
        notes=selection.notes,
        weights=tuple(
            WeightCard(
                name=source.name,
                source_class=selection.classes[k],
                ra_deg=float(np.degrees(source.right_ascension)),
                dec_deg=float(np.degrees(source.declination)),
                extension_deg=float(np.degrees(source.extension)),
                weight=selection.catalogue.weights[k],
                share=share,
                share_of_events=None if seen_shares is None else float(seen_shares[k]),
            )
            for k, (source, share) in enumerate(
                zip(selection.catalogue.sources, selection.shares.tolist(), strict=True)
            )
        ),
    )


def weights_ecsv(card: SelectionCard) -> bytes:
    """The table of weights as ECSV; read back as a catalogue it gives the same sources."""
    from astropy.table import Table

    keys = [key for key in WeightCard.model_fields if getattr(card.weights[0], key) is not None]
    columns = {key: [getattr(row, key) for row in card.weights] for key in keys}
    table: Table = Table(columns, units={"ra_deg": "deg", "dec_deg": "deg", "extension_deg": "deg"})
    table.meta = {"label": card.label, "reference": card.reference}
    return table_ecsv(table)


class Pair(Record):
    """A source of the first catalogue and the nearest of the second; shared: which others have as their nearest too."""

    a: str = shown("source of A", short="A")
    b: str = shown("source of B", short="B")
    classes: tuple[str, str] = shown("classes", hidden=True)
    separation_deg: float = shown("separation, deg", form=".4f", short="deg")
    shared: bool = shown("shared with another of A", short="shared")


class Alone(Record):
    """A source without a partner; nearest_deg: None where it has no direction."""

    name: str = shown("source")
    nearest_deg: float | None = shown("nearest of the other catalogue, deg", None, form=".4f")


class MatchCard(Record):
    """For each source of one catalogue the nearest of another within an angle; which of both have none."""

    catalogues: tuple[str, str] = shown("catalogues", hidden=True)
    within_deg: float = shown("within, deg", hidden=True)
    pairs: tuple[Pair, ...] = shown("pairs")
    unmatched: tuple[tuple[Alone, ...], tuple[Alone, ...]] = shown("unmatched", hidden=True)

    def headline(self) -> tuple[str, ...]:
        (a, b), n = self.catalogues, len(self.pairs)
        first = f"A = {a}, B = {b}: {n} of A have a source of B within {self.within_deg:g} deg"
        return first, *(
            f"Unmatched in {letter}: {len(rows)}" + (f": {_some([row.name for row in rows])}" if rows else "")
            for letter, rows in zip("AB", self.unmatched, strict=True)
        )


def match_card(one: SourceTable, other: SourceTable, found: Match, *, within_deg: float) -> MatchCard:
    """A cross-match."""
    times = Counter(found.second.tolist())
    return MatchCard(
        catalogues=(one.title, other.title),
        within_deg=within_deg,
        pairs=tuple(
            Pair(
                a=str(one.name[a]),
                b=str(other.name[b]),
                classes=(str(one.classes[a]), str(other.classes[b])),
                separation_deg=float(np.degrees(apart)),
                shared=times[b] > 1,
            )
            for a, b, apart in zip(found.first.tolist(), found.second.tolist(), found.separation, strict=True)
        ),
        unmatched=(
            _alone(one, found.alone_first.tolist(), found.nearest_first),
            _alone(other, found.alone_second.tolist(), found.nearest_second),
        ),
    )


def _alone(table: SourceTable, rows: list[int], nearest: Floats) -> tuple[Alone, ...]:
    angles = np.degrees(nearest)
    return tuple(
        Alone(name=str(table.name[row]), nearest_deg=float(angles[row]) if np.isfinite(angles[row]) else None)
        for row in rows
    )
