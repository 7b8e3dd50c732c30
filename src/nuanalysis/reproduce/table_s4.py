"""Table S4: the 36 sources of the stacks."""

from __future__ import annotations

import numpy as np

from nuanalysis.ingest import cascades_2023, find
from nuanalysis.interpret.published import SCIENCE_2023
from nuanalysis.library.catalogues import catalogue
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, Row, exact
from nuanalysis.schema import Floats
from nuanalysis.sphere import cos_separation

_ROUNDED = 0.01  # deg: positions are printed so


def _row(name: str, printed: Floats) -> Row:
    """The largest distance between a printed position and the nearest of ours."""
    ours = catalogue(name).sources
    ra, dec = np.radians(printed).T[:, :, None]
    here = np.array([s.right_ascension for s in ours]), np.array([s.declination for s in ours])
    nearest = cos_separation(ra, dec, *here).max(axis=1)
    farthest = float(np.degrees(np.arccos(np.clip(nearest, -1.0, 1.0)).max()))
    note = f"{len(ours)} sources here, {len(printed)} printed"
    return exact(f"{name}: largest distance to the printed positions", farthest, 0.0, _ROUNDED, unit="deg", note=note)


def make(desk: Desk) -> Made:
    printed = cascades_2023.read_stacked_sources(find(cascades_2023.RELEASE))
    rows = tuple(_row(name, sources) for name, sources in printed.items())
    return Made(desk.printed(SCIENCE_2023), rows)


ITEM = Item(
    name="table-s4",
    title="the sources of the three stacks",
    source=f"{SCIENCE_2023}, table S4",
    origin="printed",
    cpu_minutes=0.1,
    make=make,
)
