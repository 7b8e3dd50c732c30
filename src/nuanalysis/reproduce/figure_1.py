"""Figure 1: five views of the Galactic plane."""

from __future__ import annotations

from nuanalysis.interpret.published import SCIENCE_2023
from nuanalysis.plot import Drawn, Sidecar, mark, plane_panels
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made

_CAPTION = (
    "The Galactic plane, |b| < 15 deg, Galactic coordinates, longitude grows to the left: gas and dust where their "
    "maps are here, the pi0 template at 100 TeV, its detected events smeared by 7 deg, and where the test statistic "
    "of the fit comes from. The last panel is of SYNTHETIC events. Maps: HI4PI, Planck 2013, Fermi-LAT."
)


def make(desk: Desk) -> Made:
    held = desk.sample()
    answer = desk.ask("fit", "five-views", held, hypothesis="template:pi0", injections=0, precision=0.3).answer
    figure = plane_panels(answer.plane_panels(), label="The Galactic plane in gas, model and neutrinos")
    alt = f"Five strips of the Galactic plane. {answer.headline()[0]}"
    return Made(
        answer.provenance, (), (Drawn(figure, Sidecar(f"figure-1{mark('mixed')}", alt, _CAPTION, "mixed", "maps")),)
    )


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
