"""Figure S7: opening angles between true and reconstructed directions."""

from __future__ import annotations

import numpy as np

from nuanalysis.interpret.published import SCIENCE_2023
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, Row, row
from nuanalysis.response import cascades_2023, draw_point_spread
from nuanalysis.schema import Floats
from nuanalysis.trials.streams import Stream, seed_of

ENERGIES = (1e3, 1e4, 1e5, 1e6)
DRAWN = 20_000
_QUANTILES = (0.2, 0.5, 0.8)


def _rows(energy: float, table: Floats, rng: np.random.Generator) -> list[Row]:
    """Opening angles that hold 20, 50 and 80 per cent, deg, with their standard errors."""
    at = np.full(DRAWN, np.log10(energy))
    found = np.degrees(draw_point_spread(cascades_2023.response(), at, np.zeros(DRAWN), rng)[0])
    parts = np.quantile(found.reshape(20, -1), _QUANTILES, axis=1)
    errors = parts.std(axis=1, ddof=1) / np.sqrt(20)
    theirs = [np.exp(np.interp(at[0], np.log10(table[:, 0]), np.log(table[:, k]))) for k in (1, 2, 3)]
    return [
        row(f"opening angle of {100 * q:.0f} % at {energy / 1e3:g} TeV", float(ours), float(error), float(published),
            unit="deg")
        for q, ours, error, published in zip(_QUANTILES, np.quantile(found, _QUANTILES), errors, theirs, strict=True)
    ]  # fmt: skip


def make(desk: Desk) -> Made:
    rng = np.random.default_rng(seed_of(desk.seed, Stream.READINGS))
    table = cascades_2023.released_opening_angle()
    rows = tuple(one for energy in ENERGIES for one in _rows(energy, table, rng))
    return Made(desk.printed(cascades_2023.REFERENCE, drawn=True), rows)


ITEM = Item(
    name="figure-s7",
    title="opening angles between true and reconstructed directions",
    source=f"{SCIENCE_2023}, resolution figures S6 to S8 and their data release",
    origin="synthetic",
    cpu_minutes=0.1,
    make=make,
    left_out="the number of the figure is ours: the release names S6, S7 and S8 together",
)
