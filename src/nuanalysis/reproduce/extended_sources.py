"""The search for extended sources in the plane: the published hottest region in public tracks."""

from __future__ import annotations

import math

from nuanalysis.records import Unknown
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, row

SOURCE = "IceCube Collaboration, arXiv:2307.07576, abstract"
EXTENSION = 1.7  # deg, of the most significant region, which coincides with 3HWC J1951+266
LONGITUDES = (55.0, 70.0)  # Galactic, deg: the source lies at l 63.2, b -0.1
PUBLISHED_GLOBAL = 2.6  # sigma, after trials
_NOTE = (
    "best of the positions around the source in one extension and of the list of extended TeV sources, after trials; "
    "published: the best of the whole northern plane and four extensions, in another sample"
)


def make(desk: Desk) -> Made:
    held = desk.sample("tracks", signal="none")
    entry = desk.ask(
        "extended", "3HWC J1951+266", held, extensions=(EXTENSION,), width=2.0, nside=32, longitude=LONGITUDES,
        skies=desk.trials(100, "skies"),
    )  # fmt: skip
    chance = entry.answer.chance
    sigma = math.nan if isinstance(chance, Unknown) or chance.sigma is None else chance.sigma
    error = None if isinstance(chance, Unknown) else chance.sigma_error
    found = row("significance after trials (sigma)", sigma, published=PUBLISHED_GLOBAL, note=_NOTE)
    return Made(entry.answer.provenance, (found.model_copy(update={"error": error}),), entry.answer.drawn())


ITEM = Item(
    name="extended-sources",
    title="extended sources around 3HWC J1951+266, 1.7 deg",
    source=SOURCE,
    origin="real",
    cpu_minutes=5.0,
    make=make,
    left_out="the sample of the paper is not public; the tables of the paper were not found",
)
