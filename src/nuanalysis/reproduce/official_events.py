"""The template fits on the official file of event contributions, where a user has it."""

from __future__ import annotations

from nuanalysis.ingest import cascades_2023, find
from nuanalysis.interpret.official import repeated
from nuanalysis.interpret.published import SCIENCE_2023
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, Row, exact


def make(desk: Desk) -> Made:
    found = repeated(cascades_2023.read_event_contributions(find(cascades_2023.RELEASE)))
    rows = list[Row]()
    for one in found.results:
        rows.append(exact(f"{one.template}: fitted n_s", one.n_signal, one.published_n_signal, 0.1))
        rows.append(exact(f"{one.template}: TS", one.ts, one.published_ts, 0.1))
    return Made(desk.printed(SCIENCE_2023), tuple(rows))


ITEM = Item(
    name="official-events",
    title="the template fits of the real events, from their released likelihood terms",
    source=f"{SCIENCE_2023}, table 1; file event_contributions_gp.csv of the data release",
    origin="real",
    cpu_minutes=None,
    make=make,
    left_out="needs the file of event contributions: 'nuanalysis data import cascades-2023 THE.zip'",
)
