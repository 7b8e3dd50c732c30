"""Figure 3: where the test statistic of the templates comes from."""

from __future__ import annotations

import numpy as np

from nuanalysis.answers.fit import Fit
from nuanalysis.interpret.published import KRA_5, KRA_50, SCIENCE_2023
from nuanalysis.plot import Drawn, ts_maps
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, Row, exact

_TOLERANCE = 0.003  # of TS: what an integral over pixels of a degree loses


def make(desk: Desk) -> Made:
    held, rows, pictures = desk.sample(), list[Row](), list[Drawn]()
    for name in ("template:pi0", f"template:{KRA_5}", f"template:{KRA_50}"):
        answer = Fit.of(hypothesis=name, injections=0, precision=0.3).ask(held, desk.bench)
        density, ts = answer.contributions(), answer.fitted.ts
        whole = float(density.mean() * 4.0 * np.pi)
        rows.append(exact(f"{name}: integral of the map over the sky less TS", whole - ts, 0.0, _TOLERANCE * ts))
        pictures += ts_maps(density, label=answer.tested.label, sample=held.name, origin=held.origin, hypothesis=name)
    return Made(desk.provenance(held), tuple(rows), tuple(pictures))


ITEM = Item(
    name="figure-3",
    title="where the test statistic of the templates comes from",
    source=f"{SCIENCE_2023}, figure 3",
    origin="synthetic",
    cpu_minutes=0.3,
    make=make,
    left_out="the map of the data; of the synthetic sky the integral is checked: it must be the TS of the fit",
)
