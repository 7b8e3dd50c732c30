"""Figure 1: five views of the Galactic plane."""

from __future__ import annotations

from dataclasses import replace

from nuanalysis.answers.pictures import plane_picture
from nuanalysis.interpret.published import SCIENCE_2023
from nuanalysis.plot import mark
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made


def make(desk: Desk) -> Made:
    held = desk.sample()
    answer = desk.ask("fit", "five-views", held, hypothesis="template:pi0", injections=0, precision=0.3).answer
    drawn = plane_picture(answer)
    named = replace(drawn, sidecar=replace(drawn.sidecar, slug=f"figure-1{mark(drawn.sidecar.origin)}"))
    return Made(answer.provenance, (), (named,))


ITEM = Item(
    name="figure-1",
    title="five views of the Galactic plane",
    source=f"{SCIENCE_2023}, figure 1, and the press pictures after it",
    origin="mixed",
    cpu_minutes=0.1,
    make=make,
    left_out=(
        "the optical panel and the Fermi-LAT counts are not among the inputs: atomic gas and dust stand in their "
        "place; the last panel shows where the test statistic of the template comes from, not the scan of the data"
    ),
)
