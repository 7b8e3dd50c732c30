"""Figure S9: the templates as the detector sees them."""

from __future__ import annotations

import math

from nuanalysis.interpret.published import KRA_5, KRA_50, SCIENCE_2023
from nuanalysis.interpret.template_comparison import seen_by
from nuanalysis.library.templates import template
from nuanalysis.plot import Drawn, Sidecar, sky_map
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made
from nuanalysis.response import cascades_2023

WIDTHS = (0.0, 7.0, 15.0)  # deg


def _drawn(name: str, width: float) -> Drawn:
    model = template(name)
    seen = seen_by(cascades_2023.response(), model, width=math.radians(width))
    how = f"smeared by {width:g} deg" if width else "not smeared"
    figure = sky_map(
        seen, label=f"{model.label}\ntimes acceptance, {how}", unit="detected events, normalised (sr⁻¹)", frame="icrs",
        origin="real", low=0.0,
    )  # fmt: skip
    stem = name.partition("?")[0]
    caption = (
        f"Template {name} times the acceptance of the cascades of 2023, {how}, integral one. Galactic coordinates, "
        f"longitude grows to the left. A model, no events. {model.reference}; response {cascades_2023.REFERENCE}."
    )
    alt = f"Sky map of {stem} as the detector sees it, {how}, brightest along the Galactic plane"
    return Drawn(figure, Sidecar(f"figure-s9-{stem}-{width:g}deg", alt, caption, "real", "maps"))


def make(desk: Desk) -> Made:
    pictures = tuple(_drawn(name, width) for name in ("pi0", KRA_5, KRA_50) for width in WIDTHS)
    return Made(desk.printed(SCIENCE_2023, cascades_2023.REFERENCE), (), pictures)


ITEM = Item(
    name="figure-s9",
    title="the templates as the detector sees them, not smeared and by 7 and 15 deg",
    source=f"{SCIENCE_2023}, figure S9",
    origin="printed",
    cpu_minutes=0.2,
    make=make,
    left_out="the released maps are not among the inputs here, so nothing is compared; KRA-gamma maps are our own",
)
