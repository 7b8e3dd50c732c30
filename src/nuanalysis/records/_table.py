"""A record as an astropy table, with the units and labels of its fields."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nuanalysis.records._kinds import Chance, Interval, Measured, Position, Provenance, Unknown
from nuanalysis.records._layout import said_of
from nuanalysis.records._record import Record

if TYPE_CHECKING:
    from astropy.table import QTable

Cell = tuple[str, Any, str, str]  # column, value, unit, label


def _parts(name: str, value: Record, label: str) -> list[Cell] | None:
    """Columns of the small records; None for others."""
    if isinstance(value, Interval):
        said = f"{label}: {100 * value.level:.0f} % interval"
        return [(f"{name}_{end}", getattr(value, end), value.unit, said) for end in ("low", "high")]
    if not isinstance(value, Measured | Chance):
        return [(name, math.nan, "", label)] if isinstance(value, Unknown) else None
    error = math.nan if isinstance(value.error, Unknown) else value.error
    if isinstance(value, Measured):
        said = f"{label}: statistical error"
        return [(name, value.value, value.unit, label), (f"{name}_error", error, value.unit, said)]
    return [
        (name, value.p, "", f"{label}: {value.scope} p"),
        (f"{name}_error", error, "", f"{label}: statistical error of p"),
        (f"{name}_sigma", math.nan if value.sigma is None else value.sigma, "", f"{label}: significance"),
        (f"{name}_trials", value.n_trials, "", f"{label}: trials"),
    ]


def cells(record: Record, prefix: str = "") -> Iterator[Cell]:
    """Column, value, unit and label of every number and word of a record, small records spread out."""
    for key, field in type(record).model_fields.items():
        value, name, label = getattr(record, key), prefix + key, field.description or key
        if field.exclude or isinstance(value, Provenance | tuple):
            continue
        if isinstance(value, Position):
            yield from cells(value, prefix)
        elif isinstance(value, Record):
            small = _parts(name, value, label)
            yield from cells(value, f"{name}_") if small is None else small
        else:
            yield name, math.nan if value is None else value, said_of(field, "unit"), label


def table(rows: Sequence[Record], provenance: Provenance | None = None, **about: str) -> QTable:
    """An astropy QTable, one row a record; what is not known is NaN.  about : more lines of its head."""
    import numpy as np
    from astropy.table import QTable
    from astropy.units import Quantity, Unit, UnrecognizedUnit

    lines = [{name: (value, unit, label) for name, value, unit, label in cells(row)} for row in rows]
    names = dict.fromkeys(name for line in lines for name in line)
    out = QTable(meta=about)
    if provenance is not None:
        keys = ("sample", "origin", "n_events", "seed", "injected", "fingerprint", "version")
        whose = {key.upper(): getattr(provenance, key) for key in keys} | {"NOTES": "; ".join(provenance.notes)}
        out.meta = {**whose, **about}
    for name in names:
        unit = next((line[name][1] for line in lines if name in line and line[name][1]), "")
        label = next(line[name][2] for line in lines if name in line)
        values = [line[name][0] if name in line else math.nan for line in lines]
        words = any(isinstance(value, str) for value in values)
        column = ["" if isinstance(v, float) and v != v else str(v) for v in values] if words else np.array(values)
        known = unit and not words and not isinstance(Unit(unit, parse_strict="silent"), UnrecognizedUnit)
        out[name] = Quantity(column, unit) if known else column
        out[name].info.description = label if known or not unit else f"{label} ({unit})"
    return out
