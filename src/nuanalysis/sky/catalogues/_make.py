"""How a typed table of degrees becomes a catalogue."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from importlib import resources

import numpy as np

from nuanalysis.sky.records import Catalogue, PointSource

Row = tuple[str, float, float, *tuple[float, ...]]  # name, right ascension, declination and, where extended, sigma


def typed(table: str) -> list[tuple[str, Row]]:
    """The lines of ``TABLE.csv`` in this folder: what kind a source is, and its name and numbers."""
    text = (resources.files("nuanalysis.sky.catalogues") / f"{table}.csv").read_text(encoding="utf-8")
    lines = csv.reader(text.splitlines()[1:])
    return [(kind, (name, float(ra), float(dec), *map(float, size))) for kind, name, ra, dec, *size in lines]


def equal_weights(name: str, *, label: str, rows: Iterable[Row], reference: str) -> Catalogue:
    """Catalogue whose sources have equal weights at Earth.

    rows : (name, right ascension, declination), J2000, and sigma of extended ones, in **degrees**, as printed.
    Raises InputError for a position off the sphere or an empty table.
    """
    sources = tuple(PointSource(source, *(float(np.radians(angle)) for angle in angles)) for source, *angles in rows)
    return Catalogue(name, label, sources, (1.0,) * len(sources), reference)
