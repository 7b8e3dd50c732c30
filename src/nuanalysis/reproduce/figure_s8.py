"""Figure S8: coverage of the angular errors."""

from __future__ import annotations

import math

import numpy as np

from nuanalysis.interpret.published import SCIENCE_2023
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, Row, row
from nuanalysis.response import cascades_2023, draw_point_spread
from nuanalysis.trials.streams import Stream, seed_of

#: Energy in TeV: coverage of the regions that should hold 20, 50, 68 and 90 per cent, baseline simulation.
COVERAGE = {1.0: (0.32, 0.62, 0.75, 0.90), 10.0: (0.31, 0.61, 0.75, 0.90), 500.0: (0.33, 0.63, 0.77, 0.93)}
NOMINAL = (0.2, 0.5, 0.68, 0.9)
_DRAWN = 20_000
_PRINTED = 0.01 / math.sqrt(12.0)


def _rows(energy: float, theirs: tuple[float, ...], rng: np.random.Generator) -> list[Row]:
    at = np.full(_DRAWN, 3.0 + np.log10(energy))
    psi, error = draw_point_spread(cascades_2023.response(), at, np.zeros(_DRAWN), rng)
    inside = 1.0 - np.exp(-0.5 * (psi / error) ** 2)  # level of the region that just holds the true direction
    return [
        row(f"coverage of {100 * level:.0f} % regions at {energy:g} TeV", held := float((inside <= level).mean()),
            math.sqrt(held * (1.0 - held) / _DRAWN), published, _PRINTED)
        for level, published in zip(NOMINAL, theirs, strict=True)
    ]  # fmt: skip


def make(desk: Desk) -> Made:
    rng = np.random.default_rng(seed_of(desk.seed, Stream.READINGS))
    rows = tuple(one for energy, theirs in COVERAGE.items() for one in _rows(energy, theirs, rng))
    return Made(desk.printed(cascades_2023.REFERENCE, drawn=True), rows)


ITEM = Item(
    name="figure-s8",
    title="coverage of the angular errors",
    source=f"{SCIENCE_2023}, resolution figures S6 to S8 and their data release",
    origin="synthetic",
    cpu_minutes=0.1,
    make=make,
    left_out="the number of the figure is ours, see figure-s7; coverage with varied systematics is not drawn",
)
