"""Figure S8: coverage of the angular errors."""

from __future__ import annotations

import math

import numpy as np

from nuanalysis.interpret.published import SCIENCE_2023
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, Row, row
from nuanalysis.reproduce.figure_s7 import DRAWN
from nuanalysis.response import cascades_2023, draw_point_spread
from nuanalysis.schema import Floats
from nuanalysis.trials.streams import Stream, seed_of

ENERGIES = (1.0, 10.0, 500.0)  # TeV, columns of the released table
NOMINAL = (0.2, 0.5, 0.68, 0.9)


def _rows(energy: float, published: Floats, rng: np.random.Generator) -> list[Row]:
    """published (level,) : the part of the baseline simulation inside regions of the levels of NOMINAL."""
    psi, error = draw_point_spread(
        cascades_2023.response(), np.full(DRAWN, 3.0 + np.log10(energy)), np.zeros(DRAWN), rng
    )
    level = -np.expm1(-0.5 * (psi / error) ** 2)  # of the region that just holds the true direction
    held = [float((level <= nominal).mean()) for nominal in NOMINAL]
    return [
        row(f"coverage of {100 * nominal:.0f} % regions at {energy:g} TeV", ours,
            math.sqrt(ours * (1.0 - ours) / DRAWN), float(theirs))
        for nominal, ours, theirs in zip(NOMINAL, held, published, strict=True)
    ]  # fmt: skip


def make(desk: Desk) -> Made:
    rng, table = np.random.default_rng(seed_of(desk.seed, Stream.READINGS)), cascades_2023.released_coverage()
    rows = (
        one
        for k, energy in enumerate(ENERGIES, start=1)
        for one in _rows(energy, np.interp(NOMINAL, table[:, 0], table[:, k]), rng)
    )
    return Made(desk.printed(cascades_2023.REFERENCE, drawn=True), tuple(rows))


ITEM = Item(
    name="figure-s8",
    title="coverage of the angular errors",
    source=f"{SCIENCE_2023}, resolution figures S6 to S8 and their data release",
    origin="synthetic",
    cpu_minutes=0.1,
    make=make,
    left_out="the number of the figure is ours, see figure-s7; coverage with varied systematics is not drawn",
)
