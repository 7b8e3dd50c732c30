"""Table S3: the stacks of supernova remnants, pulsar wind nebulae and unidentified sources."""

from __future__ import annotations

import numpy as np

from nuanalysis.interpret.published import PUBLISHED, SCIENCE_2023
from nuanalysis.library import samples
from nuanalysis.library.samples import Samples
from nuanalysis.records import Unknown
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, Row, row
from nuanalysis.reproduce.table_1 import STACKS

_SKIES = 10
_NOTE = "mean and scatter of {} synthetic skies that hold the pi0 best fit and no source; published: one sky"


def _of(name: str, held: Samples, desk: Desk) -> tuple[Row, ...]:
    """The fit of a stack over synthetic skies without a source: mean and scatter of n_s, index and significance."""
    fits = []
    for k in range(desk.trials(_SKIES, "twins")):
        sky = samples.twin(held, k)
        fitted = desk.ask("fit", name, sky, hypothesis=name, injections=0).answer.fitted
        chance = desk.ask("significance", name, sky, hypothesis=name, precision=0.3).answer.chance
        sigma = None if isinstance(chance, Unknown) else chance.sigma
        fits.append((fitted.n_signal, fitted.index or np.nan, np.nan if sigma is None else sigma))
    theirs, note = PUBLISHED[name], _NOTE.format(len(fits))
    columns = (("n_s", theirs.n_signal), ("index", theirs.index), ("local significance (sigma)", theirs.sigma))
    found = np.array(fits)
    return tuple(
        row(f"{name}: {what}", float(np.nanmean(column)), float(np.nanstd(column, ddof=1)), published, note=note)
        for (what, published), column in zip(columns, found.T, strict=True)
    )


def make(desk: Desk) -> Made:
    held = desk.sample()
    return Made(desk.provenance(held), tuple(one for name in STACKS for one in _of(name, held, desk)))


ITEM = Item(
    name="table-s3",
    title="stacks of sources: do their fits follow from the diffuse emission alone?",
    source=f"{SCIENCE_2023}, tables 1 and S3",
    origin="synthetic",
    cpu_minutes=5.5,
    make=make,
    left_out="the flux, whose unit the release does not state beyond doubt",
)
