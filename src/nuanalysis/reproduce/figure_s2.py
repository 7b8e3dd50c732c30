"""Figure S2: declinations and angular errors of the sample; figure S1: energies."""

from __future__ import annotations

import math

from nuanalysis.answers.pictures import marginal_picture
from nuanalysis.interpret.counts import Marginal, published_marginals
from nuanalysis.interpret.published import SCIENCE_2023
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, Row, row


def _row(one: Marginal) -> Row:
    """chi-square of the sample against the published distribution, beside what chance alone gives."""
    return row(
        f"{one.name}: chi-square of the synthetic sample against the {one.published_label}", one.chi2, math.nan,
        float(one.bins), math.sqrt(2.0 * one.bins), note="published: number of bins, and the scatter that chance gives",
    )  # fmt: skip


def of_marginals(desk: Desk, *names: str) -> Made:
    """Rows and pictures of some distributions of the synthetic sample without Galactic signal.

    The published expectation holds none either.
    """
    held = desk.sample(signal="none")
    chosen = [one for one in published_marginals(held.seasons[0]) if one.name in names]
    pictures = tuple(marginal_picture(one, held.origin) for one in chosen)
    return Made(desk.provenance(held), tuple(_row(one) for one in chosen), pictures)


def make(desk: Desk) -> Made:
    return of_marginals(desk, "sin(declination)", "angular error")


ITEM = Item(
    name="figure-s2",
    title="declinations and angular errors of the events",
    source=f"{SCIENCE_2023}, figure S2 and its data release",
    origin="synthetic",
    cpu_minutes=0.1,
    make=make,
)
