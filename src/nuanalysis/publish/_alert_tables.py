"""What stands of alerts as a table, in the forms that other people's programs read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nuanalysis.alerts import SIMULATION, Region, Revision, Standing, degrees, read_message, utc_text
from nuanalysis.publish import _tables as tables

if TYPE_CHECKING:
    from astropy.table import Table


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: name, unit, meaning, and what stands in it; None where nothing is known."""

    name: str
    unit: str
    meaning: str
    values: tuple[Any, ...]


def notice_path(revision: Revision) -> str:
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", revision.name)[:60]
    ending = "json" if revision.form == "json" else "xml"
    return f"notices/{plain}-r{revision.revision}-{revision.alert_type}-{revision.sha256[:12]}.{ending}"


def region_of(revision: Revision) -> Region:
    return revision.alert.region if revision.alert else read_message(revision.data).region


def columns_of(standings: list[Standing]) -> list[Column]:
    rows = [_row(one) for one in standings]
    names = {(name, unit, meaning): None for row in rows for name, unit, meaning, _ in row}
    return [
        Column(*about, tuple(value for row in rows for *told, value in row if tuple(told) == about)) for about in names
    ]


def _row(standing: Standing) -> list[tuple[str, str, str, Any]]:
    last, region = standing.latest, region_of(standing.latest)
    alert, box = last.alert, region.box
    radius = None if region.radius is None else degrees(region.radius)
    sides = [
        ("ra_plus", "right_ascension_plus"), ("ra_minus", "right_ascension_minus"),
        ("dec_plus", "declination_plus"), ("dec_minus", "declination_minus"),
    ]  # fmt: skip
    return [
        ("name", "", "name as it was given", last.name),
        ("mission", "", "who told of it", last.mission),
        ("id", "", "run and event, or identifier of the mission", last.id),
        ("time", "", "of the event, UTC", utc_text(last.time)),
        ("mjd", "d", "of the event, UTC", last.time),
        ("tier", "", "gold, bronze or cascade", alert and alert.tier),
        ("stream", "", "selection whose numbers these are; empty where it was not said", alert and alert.stream),
        ("ra", "deg", "right ascension, ICRS", degrees(region.right_ascension)),
        ("dec", "deg", "declination, ICRS", degrees(region.declination)),
        *(
            (name, "deg", "90 % error to this side", None if box is None else degrees(getattr(box, side)))
            for name, side in sides
        ),
        ("radius", "deg", "of the circle of that containment", radius),
        ("radius_definition", "", "what the radius is of errors to each side", region.radius_definition),
        ("containment", "", "of the circle", region.containment),
        ("systematic", "", "whether systematic errors are part of the errors", region.systematic),
        ("energy", "TeV", "see energy_kind", alert and alert.energy_tev),
        ("energy_kind", "", "what the energy is", alert and alert.energy_kind),
        ("p_astro", "", "probability to be astrophysical, of events at least as energetic", alert and alert.p_astro),
        ("method", "", "how p_astro was found", alert and alert.method),
        ("far", "yr-1", "false alarms per year like it", alert and alert.far_per_yr),
        ("revision", "", "of the numbers in this row", last.revision),
        ("revisions", "", "messages about this event", standing.revisions),
        ("tense", "", "current, archival, test or injection", last.tense),
        ("origin", "", "real or synthetic", "synthetic" if last.mission == SIMULATION else "real"),
        ("retracted", "", "whether it was taken back", standing.retracted),
        ("reason", "", "why it was taken back", standing.reason),
        ("doubt", "", "why it may be taken back", alert and alert.doubt),
        ("notice", "", "file of the message these numbers are of", notice_path(last)),
        ("notice_sha256", "", "of the exact bytes of that message", last.sha256),
    ]  # fmt: skip


def forms_of(columns: Iterable[Column], head: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    return tables.forms_of(_table(columns, head))


def _table(columns: Iterable[Column], head: Mapping[str, str]) -> Table:
    from astropy.table import Column as Plain
    from astropy.table import MaskedColumn, Table

    out = Table(meta=dict(head))
    for column in columns:
        empty = [value is None for value in column.values]
        words = any(isinstance(value, str) for value in column.values)
        filled = [("" if words else 0.0) if value is None else value for value in column.values]
        about = {"name": column.name, "unit": column.unit or None, "description": column.meaning}
        masked = any(empty) and not words
        out[column.name] = MaskedColumn(filled, mask=empty, **about) if masked else Plain(filled, **about)
    return out
