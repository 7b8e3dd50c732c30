"""Figure S2: declinations and angular errors of the sample; figure S1: energies."""

from __future__ import annotations

import math

from nuanalysis.interpret.counts import Marginal, published_marginals
from nuanalysis.interpret.published import SCIENCE_2023
from nuanalysis.plot import Drawn, Sidecar, marginals, mark
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, Row, row


def _row(one: Marginal) -> Row:
    """chi-square of the sample against the published distribution, beside what chance alone gives."""
    return row(
        f"{one.name}: chi-square of the synthetic sample against the {one.published_label}", one.chi2, math.nan,
        float(one.bins), math.sqrt(2.0 * one.bins), note="published: number of bins, and the scatter that chance gives",
    )  # fmt: skip


def _drawn(one: Marginal, origin: str) -> Drawn:
    figure = marginals(
        one.edges, one.counts, one.published, one.published_error, quantity=one.quantity, origin=origin,
        label=f"Cascades of 2023: {one.name}", published_label=one.published_label, log_x=one.log_x, log_y=one.log_y,
    )  # fmt: skip
    caption = (
        f"Events per bin of the SYNTHETIC sample (points) and of the {one.published_label} (line), pulls below. "
        f"chi-square {one.chi2:.1f} of {one.bins} bins. {SCIENCE_2023}, data release doi:10.21234/8v5d-rn16."
    )
    alt = f"Distribution of the {one.name} beside the published one, chi-square {one.chi2:.1f} of {one.bins} bins"
    name = f"marginal-{one.name.replace(' ', '-').replace('(', '-').replace(')', '')}{mark(origin)}"
    return Drawn(figure, Sidecar(name, alt, caption, origin, "samples"))


def of_marginals(desk: Desk, *names: str) -> Made:
    """Rows and pictures of some distributions of the synthetic sample without Galactic signal.

    The published expectation holds none either.
    """
    held = desk.sample(signal="none")
    chosen = [one for one in published_marginals(held.seasons[0]) if one.name in names]
    pictures = tuple(_drawn(one, held.origin) for one in chosen)
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
