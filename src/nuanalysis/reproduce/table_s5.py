"""Table S5: the list of 109 sources."""

from __future__ import annotations

from nuanalysis.interpret.published import SCIENCE_2023
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, of_campaign


def make(desk: Desk) -> Made:
    held = desk.sample()
    entry = desk.ask("sources", "source-list", held, catalogue="list-109", skies=desk.trials(3000, "skies"))
    return Made(entry.answer.provenance, tuple(of_campaign(one) for one in desk.table(entry)), entry.answer.drawn())


ITEM = Item(
    name="table-s5",
    title="the list of 109 sources, local p-values and that of the best after all trials",
    source=f"{SCIENCE_2023}, tables 1 and S5",
    origin="synthetic",
    cpu_minutes=23,
    make=make,
    left_out="fits and p-values of the data: one synthetic sky has others, nothing can be compared",
)
