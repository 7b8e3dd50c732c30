"""How a typed table of degrees becomes a catalogue."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nuanalysis.sky.records import Catalogue, PointSource

Row = tuple[str, float, float]


def equal_weights(name: str, *, label: str, rows: Iterable[Row], reference: str) -> Catalogue:
    """Catalogue whose sources have equal weights at Earth.

    rows : (name, right ascension, declination), J2000, in **degrees**, as printed.
    Raises InputError for a position off the sphere or an empty table.
    """
    sources = tuple(PointSource(source, float(np.radians(ra)), float(np.radians(dec))) for source, ra, dec in rows)
    return Catalogue(name, label, sources, (1.0,) * len(sources), reference)
