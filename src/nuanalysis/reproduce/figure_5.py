"""Figure 5: the Galactic flux beside the isotropic one."""

from __future__ import annotations

import math

from nuanalysis.interpret.published import KRA_5, KRA_50, PUBLISHED, SCIENCE_2023
from nuanalysis.interpret.regions import galactic_fraction
from nuanalysis.library.templates import template
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, exact

STATED = (6.0, 13.0)  # per cent of the astrophysical flux at 30 TeV, from the least of three templates to the largest
_ROUNDED, _AT = 0.5, math.log10(30e3)


def share(name: str) -> float:
    """Part of the astrophysical flux at 30 TeV that the published best fit of a template is, per cent."""
    model, theirs = template(name.removeprefix("template:")), PUBLISHED[name]
    flux = theirs.flux if math.isfinite(theirs.flux) else theirs.in_models * model.flux
    return 100.0 * galactic_fraction(model, flux, _AT)


def make(desk: Desk) -> Made:
    shares = {name: share(name) for name in ("template:pi0", f"template:{KRA_5}", f"template:{KRA_50}")}
    said = "; ".join(f"{name} {value:.1f}" for name, value in shares.items())
    rows = tuple(
        exact(f"{which} part of the astrophysical flux at 30 TeV, of three templates", ours, stated, _ROUNDED, unit="%",
              note=f"of the published best fits: {said} %")
        for which, ours, stated in zip(("least", "largest"), (min(shares.values()), max(shares.values())), STATED,
                                       strict=True)
    )  # fmt: skip
    return Made(desk.printed(SCIENCE_2023, "isotropic flux: PRL 125, 121104 (2020)"), rows)


ITEM = Item(
    name="figure-5",
    title="the Galactic flux beside the flux of the whole sky",
    source=f"{SCIENCE_2023}, text: 6 to 13 per cent",
    origin="printed",
    cpu_minutes=0.1,
    make=make,
    left_out="the bands of the figure, of which no numbers were released",
)
