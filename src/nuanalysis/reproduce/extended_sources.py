"""The search for extended sources in the plane: the published hottest region in public tracks."""

from __future__ import annotations

from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, row

SOURCE = "IceCube Collaboration, arXiv:2307.07576, abstract"
#: 3HWC J1951+266, which the most significant region coincides with; its extension in deg.
PLACE, EXTENSION = (297.90, 26.61), 1.7
PUBLISHED_GLOBAL = 2.6  # sigma, after trials


def make(desk: Desk) -> Made:
    held = desk.sample("tracks", signal="none")
    name = f"point:{PLACE[0]},{PLACE[1]}"
    entry = desk.ask(
        "extended", "3HWC J1951+266", held, extensions=(EXTENSION,), width=2.0, nside=32, longitude=(55.0, 70.0),
        skies=desk.trials(100, "skies"),
    )  # fmt: skip
    chance = getattr(entry.answer, "chance", None)
    sigma, error = getattr(chance, "sigma", None), getattr(chance, "sigma_error", None)
    note = (
        f"best of the positions around {name} in one extension, after trials; published: the best of the whole "
        "northern plane and four extensions, in another sample"
    )
    nan = float("nan")
    found = row("significance after trials (sigma)", nan if sigma is None else sigma, nan, nan, note=note)
    printed = {"published": PUBLISHED_GLOBAL, "error": error}
    return Made(entry.answer.provenance, (found.model_copy(update=printed),), entry.answer.drawn())


ITEM = Item(
    name="extended-sources",
    title="extended sources around 3HWC J1951+266, 1.7 deg",
    source=SOURCE,
    origin="real",
    cpu_minutes=None,
    make=make,
    left_out="the sample of the paper is not public; the tables of the paper were not found",
)
