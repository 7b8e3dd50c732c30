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


def _error(error: float | Unknown) -> float:
    return math.nan if isinstance(error, Unknown) else error


def _named(name: str, value: Record, label: str) -> Iterator[Cell] | None:
    """Columns of the small records; None for others."""
    match value:
        case Unknown():
            return iter([(name, math.nan, "", label)])
        case Measured():
            ends = (("", value.value, label), ("_error", _error(value.error), f"{label}: statistical error"))
            return iter([(name + end, number, value.unit, said) for end, number, said in ends])
        case Interval():
            said = f"{label}: {100 * value.level:.0f} % interval"
            return iter([(f"{name}_{end}", getattr(value, end), value.unit, said) for end in ("low", "high")])
        case Chance():
            return iter(
                [
                    (name, value.p, "", f"{label}: {value.scope} p"),
                    (f"{name}_error", _error(value.error), "", f"{label}: statistical error of p"),
                    (f"{name}_sigma", math.nan if value.sigma is None else value.sigma, "", f"{label}: significance"),
                    (f"{name}_trials", value.n_trials, "", f"{label}: trials"),
                ]
            )
    return None


def cells(record: Record, prefix: str = "") -> Iterator[Cell]:
    """Column, value, unit and label of every number and word of a record, small records spread out."""
    for key, field in type(record).model_fields.items():
        value, name, label = getattr(record, key), prefix + key, field.description or key
        if field.exclude or isinstance(value, Provenance) or (isinstance(value, tuple) and not isinstance(value, str)):
            continue
        if isinstance(value, Position):
            yield from cells(value, prefix)
        elif isinstance(value, Record):
            small = _named(name, value, label)
            yield from small if small is not None else cells(value, f"{name}_")
        else:
            yield name, math.nan if value is None else value, said_of(field, "unit"), label


def _about(provenance: Provenance) -> dict[str, str | int]:
    keys = ("sample", "origin", "n_events", "seed", "injected", "fingerprint", "version")
    return {key.upper(): getattr(provenance, key) for key in keys} | {"NOTES": "; ".join(provenance.notes)}


def table(rows: Sequence[Record], provenance: Provenance | None = None, **about: str) -> QTable:
    """An astropy QTable, one row a record; what is not known is NaN.  about : more lines of its head."""
    import numpy as np
    from astropy.table import QTable
    from astropy.units import Quantity, Unit, UnrecognizedUnit

    lines = [{name: (value, unit, label) for name, value, unit, label in cells(row)} for row in rows]
    names = dict.fromkeys(name for line in lines for name in line)
    out = QTable(meta={**(_about(provenance) if provenance is not None else {}), **about})
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
