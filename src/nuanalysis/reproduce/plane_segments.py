"""Fluxes of parts of the plane: the published best fit beside measurements in the same regions."""

from __future__ import annotations

from nuanalysis.interpret.published import INTENSITIES, PUBLISHED, Intensity
from nuanalysis.interpret.regions import region_fluxes
from nuanalysis.library.templates import template
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, Row, row

_UNIT = 1e-11  # TeV cm^-2 s^-1 sr^-1
_FIT = PUBLISHED["template:pi0"]


def _row(one: Intensity) -> Row:
    found = region_fluxes(template("pi0"), flux=_FIT.flux, log10_energy=(one.log10_energy,), regions=(one.region,))
    ours = float(found.intensity[0, 0]) / _UNIT
    share = 0.5 * (_FIT.flux_high - _FIT.flux_low) / _FIT.flux
    energy = 10.0 ** (one.log10_energy - 3.0)
    return row(
        f"{one.region.label}: E^2 dN/dE at {energy:.0f} TeV, {one.label}", ours, share * ours, one.value / _UNIT,
        0.5 * (one.high - one.low) / _UNIT, unit="1e-11 TeV cm-2 s-1 sr-1", note=one.note,
    )  # fmt: skip


def make(desk: Desk) -> Made:
    return Made(desk.printed(*(one.source for one in INTENSITIES)), tuple(_row(one) for one in INTENSITIES))


ITEM = Item(
    name="plane-segments",
    title="the pi0 best fit of 2023 in parts of the plane, beside what was measured there",
    source="; ".join(dict.fromkeys(one.source for one in INTENSITIES)),
    origin="printed",
    cpu_minutes=0.1,
    make=make,
    left_out="spectral indices: the index of the template is held",
)
