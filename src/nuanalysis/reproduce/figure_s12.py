"""Figure S12: sensitivity to point sources against declination."""

from __future__ import annotations

from nuanalysis.interpret.published import DECLINATIONS_S12, SCIENCE_2023, SENSITIVITY_S12
from nuanalysis.records import Unknown
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, Row, error_of, row

_UNIT = 1e-12  # TeV cm^-2 s^-1


def make(desk: Desk) -> Made:
    held = desk.sample(signal="none")
    many = {"trials": desk.trials(2000), "injections": desk.trials(2000, "injections")}
    entry = desk.ask("curves", "s12", held, indices=(2.0, 3.0), declinations=DECLINATIONS_S12, sources="", **many)
    rows = list[Row]()
    for curve in entry.answer.curves:
        for node, published in zip(curve.nodes, SENSITIVITY_S12[curve.index], strict=True):
            if isinstance(node.sensitivity, Unknown):
                continue
            flux = node.sensitivity.flux
            name = f"E^-{curve.index:g} sensitivity at dec {node.dec_deg:g} deg"
            rows.append(row(name, flux.value / _UNIT, error_of(flux) / _UNIT, published, unit="1e-12 TeV cm-2 s-1"))
    return Made(entry.answer.provenance, tuple(rows), entry.answer.drawn())


ITEM = Item(
    name="figure-s12",
    title="sensitivity to point sources against declination",
    source=f"{SCIENCE_2023}, figure S12 and its data release",
    origin="synthetic",
    cpu_minutes=6.5,
    make=make,
    left_out=(
        "the 4 sigma potential (ours is drawn at 5 sigma); errors are those of the trials, and the scatter from one "
        "synthetic sky to the next, up to a third for E^-2, is not in them"
    ),
)
