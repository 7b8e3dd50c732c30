"""From a table of sources to a catalogue that is stacked: a rule, what to do with duplicates, and weights at Earth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nuanalysis.errors import InputError, did_you_mean, refuse
from nuanalysis.schema import Floats, Ints
from nuanalysis.sky.catalogues._doubts import flux_doubts
from nuanalysis.sky.catalogues._rule import apply_rule, parse_rule
from nuanalysis.sky.catalogues._table import STANDARD, Group, SourceTable, duplicates, some, vectors
from nuanalysis.sky.records import Catalogue, PointSource, weight_faults

EQUAL, FLUX, DISTANCE = "equal", "flux", "1/distance^2"
WEIGHTS = (EQUAL, FLUX, DISTANCE)
DUPLICATES = ("keep", "merge", "first")
WITHIN = float(np.radians(0.02))  # of duplicates: a direction rounded to two decimals is up to 0.007 deg off
_SQUARE = ("1/distance^2", "1/distance**2", "1/d^2", "1/d**2")


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked of a table.

    rule       : see ``_rule``; '' takes every source.
    weight     : 'equal' (at Earth), 'flux', '1/distance^2', or a column of numbers.
    duplicates : 'keep' both, 'merge' (mean direction, mean of what is known, equal weight as one source), the 'first'
        in the table; '' refuses them.
    within     : rad, nearer sources are duplicates.
    """

    rule: str = ""
    weight: str = EQUAL
    duplicates: str = ""
    within: float = WITHIN

    def faults(self) -> list[str]:
        """What is wrong with it before any table is read, the rule included."""
        faults = []
        if self.duplicates not in ("", *DUPLICATES):
            faults.append(f"duplicates is '{self.duplicates}'.{did_you_mean(self.duplicates, DUPLICATES)}")
        if not 0.0 <= self.within <= np.pi:
            faults.append(f"within is {np.degrees(self.within):g} deg, expected 0 to 180")
        try:
            if self.rule:
                parse_rule(self.rule)
        except InputError as error:
            faults.append(str(error))
        return faults


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """A catalogue made from a table, and how.

    rows    : (source,) of the table; of merged sources the first.
    unknown : sources that the rule left out because of a missing value.
    notes   : what was done and what may have been meant, for a person.
    """

    catalogue: Catalogue
    classes: tuple[str, ...]
    rows: Ints
    listed: int
    unknown: int
    notes: tuple[str, ...]

    @property
    def shares(self) -> Floats:
        """Weights that sum to one, (source,)."""
        weights = np.array(self.catalogue.weights)
        return np.asarray(weights / weights.sum())


def chosen_rows(table: SourceTable, rule: str) -> tuple[Ints, int, tuple[str, ...]]:
    """Rows that a rule takes, how many it left out because of a missing value, and notes.  Raises InputError."""
    if not rule:
        return np.arange(len(table)), 0, ()
    outcome = apply_rule(parse_rule(rule), table.column, table.names())
    unknown = int(np.count_nonzero(outcome.unknown))
    notes = list(outcome.notes)
    if unknown:
        notes.insert(0, f"{unknown} sources were left out because a value that the rule asks for is missing")
    return np.flatnonzero(outcome.chosen), unknown, tuple(notes)


def part(table: SourceTable, rows: Ints) -> SourceTable:
    """The same table with some of its rows."""
    columns = {name: replace(column, values=column.values[rows]) for name, column in table.columns.items()}
    arrays: tuple[str, ...] = ("name", "right_ascension", "declination", "classes", "extension", "flux", "distance")
    arrays += ("astray",) if len(table.astray) else ()
    return replace(table, columns=columns, **{key: getattr(table, key)[rows] for key in arrays})


def select(table: SourceTable, choice: Choice, *, name: str) -> Selection:
    """The catalogue of the sources that the rule takes, in the order of the table.

    Raises InputError that lists everything that stands against it: doubtful directions, selected sources without
    one, duplicates, weights that are missing or below zero.
    """
    refuse(choice.faults(), "the selection cannot be made")
    rows, unknown, notes = chosen_rows(table, choice.rule)
    if not len(rows):
        raise InputError(
            f"the rule {choice.rule!r} takes none of the {len(table)} sources of {table.title}"
            + "".join(f"; {note}" for note in notes)
        )
    faults = [*table.faults, *unplaced(table, rows)]
    groups = () if choice.duplicates == "keep" else found_duplicates(table, rows, choice.within)
    if not choice.duplicates:
        faults += duplicate_faults(table, groups, choice.within)
    taken = [np.array([row]) for row in rows]
    if groups and choice.duplicates in ("merge", "first"):
        taken, more = _without(table, rows, groups, choice)
        faults += more
    sources = [_merged(table, members) for members in taken] if not faults else []
    weights, against = _weights(table, taken, choice.weight)
    faults += against + flux_doubts(table, rows, choice.weight)
    refuse(faults, f"{table.title} cannot be stacked as asked")
    points = int(np.count_nonzero(~np.isfinite(table.extension[rows])))
    said = [f"{points} sources without a stated extension are taken as points"] if points > 0 and table.file else []
    if len(taken) < len(rows):
        said.append(f"{len(rows)} rows are {len(taken)} sources: duplicates={choice.duplicates}")
    label = f"{len(sources)} of {len(table)} sources of {table.title}" + (f" with {choice.rule}" if choice.rule else "")
    catalogue = Catalogue(name, label, tuple(sources), tuple(weights.tolist()), _reference(table, choice))
    return Selection(
        catalogue,
        tuple(str(table.classes[members[0]]) for members in taken),
        np.array([members[0] for members in taken]),
        len(table),
        unknown,
        (*notes, *said),
    )


def _reference(table: SourceTable, choice: Choice) -> str:
    """Where the catalogue is from and how it was made: file, checksum, rule, weight, duplicates, column map."""
    parts = [table.reference]
    if table.file:
        parts.append(f"file {table.file}, sha256 {table.sha256}")
    if table.used:
        parts.append("columns " + ", ".join(f"{key}={name}" for key, name in table.used.items()))
    parts += [f"rule: {choice.rule or 'every source'}", f"weight: {choice.weight}"]
    if choice.duplicates:
        parts.append(f"duplicates within {np.degrees(choice.within):g} deg: {choice.duplicates}")
    return "; ".join(parts)


# ---- directions and duplicates ------------------------------------------------------------------------------------


def unplaced(table: SourceTable, rows: Ints) -> list[str]:
    """What is said of rows without a direction, and of those whose numbers are none."""
    missing = rows[~table.placed[rows]]
    out = [row for row in missing.tolist() if len(table.astray) and table.astray[row]]
    missing, faults = np.setdiff1d(missing, out), []
    remedy = "leave them out with 'ra is not None' in the rule"
    if out:
        where = some(f"{table.name[row]} at {table.astray[row]}" for row in out)
        faults.append(
            f"{len(out)} sources lie off the sphere ({where} deg): expected longitudes in [-180, 360], latitudes in "
            f"[-90, 90]; say unit= or which column is which, or {remedy}"
        )
    if len(missing):
        faults.append(
            f"{len(missing)} selected sources have no direction ({some(table.name[missing])}); {remedy}, or complete "
            "the table"
        )
    return faults


def found_duplicates(table: SourceTable, rows: Ints, within: float) -> tuple[Group, ...]:
    """Groups of rows that are the same source; rows without a direction are in none."""
    rows = rows[table.placed[rows]]
    groups = duplicates(table.name[rows], table.right_ascension[rows], table.declination[rows], within)
    return tuple(Group(rows[group.rows], group.spread) for group in groups)


def duplicate_faults(table: SourceTable, groups: Sequence[Group], within: float) -> list[str]:
    """One fault that names the duplicates, and the remedy."""
    if not groups:
        return []
    named = some(
        f"{' + '.join(table.name[row] for row in group.rows)} ({np.degrees(group.spread):.4f} deg)" for group in groups
    )
    return [
        f"{len(groups)} sources are listed more than once (the same name, or nearer than {np.degrees(within):g} deg): "
        f"{named}; say duplicates=keep, merge or first, or leave some out with the rule"
    ]


def _without(table: SourceTable, rows: Ints, groups: Sequence[Group], choice: Choice) -> tuple[list[Ints], list[str]]:
    """The rows of each source that is left, and faults of groups that are too wide to be one source."""
    wide = [group for group in groups if group.spread > max(len(group.rows) * choice.within, WITHIN)]
    faults = [
        f"{' + '.join(table.name[row] for row in group.rows)} have one name and lie {np.degrees(group.spread):.3g} deg "
        f"apart: they cannot be one source; say duplicates=keep, or leave one out with the rule"
        for group in wide
    ]
    first = {int(group.rows[0]): group.rows for group in groups}
    rest = {int(row) for group in groups for row in group.rows[1:]}
    kept = [int(row) for row in rows if int(row) not in rest]
    return [
        first.get(row, np.array([row])) if choice.duplicates == "merge" else np.array([row]) for row in kept
    ], faults


def _merged(table: SourceTable, members: Ints) -> PointSource:
    """One source of one or several rows: names in alphabetical order, mean direction, mean extension of those known."""
    extension = float(np.nan_to_num(_mean_known(table.extension[members])))
    name = " + ".join(sorted(set(table.name[members].tolist())))
    ra, dec = (angle[members] for angle in table.directions)
    if len(members) == 1:
        return PointSource(name, float(ra[0]), float(dec[0]), extension)
    x, y, z = vectors(ra, dec).mean(axis=0)
    return PointSource(name, float(np.arctan2(y, x) % (2 * np.pi)), float(np.arctan2(z, np.hypot(x, y))), extension)


# ---- weights ------------------------------------------------------------------------------------------------------


def _weights(table: SourceTable, taken: list[Ints], asked: str) -> tuple[Floats, list[str]]:
    """Relative weights at Earth, (source,), and what is wrong with them; of merged rows the mean of those known."""
    if asked == EQUAL:
        return np.ones(len(taken)), []
    square = "".join(asked.split()) in _SQUARE
    name = "distance" if square else asked
    values = table.column(name)
    if values is None:
        known = [*WEIGHTS, *(n for n in table.names() if n not in STANDARD)]
        return np.ones(len(taken)), [f"there is no weight '{asked}'.{did_you_mean(asked, known)}"]
    if values.dtype.kind == "U":
        return np.ones(len(taken)), [f"the weight '{asked}' is a column of words, expected numbers"]
    values = np.asarray(values, dtype=np.float64)
    if np.isnan(values).all():
        column = f"{name}=COLUMN, or " if name in STANDARD else ""
        return np.ones(len(taken)), [f"no source has a {name}, by which they are weighted; say {column}another weight"]
    with np.errstate(divide="ignore", over="ignore"):
        values = 1.0 / values**2 if square else values
        means = np.array([_mean_known(values[members]) for members in taken])
    first = np.array([members[0] for members in taken])
    faults = []
    for bad, what, remedy in (
        (np.isnan(means), f"no {name}", f"; leave them out with '{name} is not None' in the rule"),
        (
            np.isinf(means) | (means < 0) | (square & (means == 0)),
            f"a {name} of 0 or beyond all numbers" if square else f"a {name} below 0 or infinite",
            "",
        ),
    ):
        if bad.any():
            faults.append(
                f"{bad.sum()} selected sources have {what}, by which they are weighted "
                f"({some(table.name[first[bad]])}){remedy}"
            )
    if not faults and not means.any():
        faults.append(f"the {name} of every selected source is 0; expected a positive sum of weights")
    return means, faults or [f"weighted by its {name}, {fault}" for fault in weight_faults(means)]


def _mean_known(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def seen_shares(weights: Floats, acceptance: Floats) -> Floats:
    """Shares of the expected events, (source,): weights at Earth times the acceptance at each declination.

    Raises InputError where no event of any source is expected.
    """
    total = np.sum(weights * acceptance)
    if not 0.0 < total < np.inf:
        raise InputError(
            "the sample sees none of these sources: no event of theirs is expected; take others, or another sample"
        )
    return np.asarray(weights * acceptance / total)
