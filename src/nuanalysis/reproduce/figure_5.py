"""Figure 5: the Galactic flux beside the isotropic one."""

from __future__ import annotations

import math

from nuanalysis.interpret.published import KRA_5, KRA_50, PUBLISHED, SCIENCE_2023
from nuanalysis.interpret.regions import galactic_fraction
from nuanalysis.library.templates import template
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, exact

#: Parts of the astrophysical flux at 30 TeV, per cent, as the published best fits and isotropic flux give them.
SHARES = {"template:pi0": 12.8, f"template:{KRA_5}": 7.7, f"template:{KRA_50}": 6.2}
_AT = math.log10(30e3)


def make(desk: Desk) -> Made:
    rows = []
    for name, published in SHARES.items():
        model, theirs = template(name.removeprefix("template:")), PUBLISHED[name]
        flux = theirs.flux if math.isfinite(theirs.flux) else theirs.in_models * model.flux
        ours = 100.0 * galactic_fraction(model, flux, _AT)
        rows.append(
            exact(f"{name}: part of the astrophysical flux at 30 TeV", ours, published, 0.5, unit="%",
                  note="of the published best fit; the paper says 6 to 13 %")
        )  # fmt: skip
    return Made(desk.printed(SCIENCE_2023, "isotropic flux: PRL 125, 121104 (2020)"), tuple(rows))


ITEM = Item(
    name="figure-5",
    title="the Galactic flux beside the flux of the whole sky",
    source=f"{SCIENCE_2023}, figure 5 and text",
    origin="printed",
    cpu_minutes=0.1,
    make=make,
)
