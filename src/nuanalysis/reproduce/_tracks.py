"""Published point-source fits of track releases, repeated."""

from __future__ import annotations

import math

from scipy.special import ndtri

from nuanalysis.interpret.published import REPRODUCED, Fit
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, Row, exact, row

_SHIFT = "the public response shifts local significances by up to 0.5 sigma (arXiv:2308.12733)"


def _fitted(one: Fit, desk: Desk) -> list[Row]:
    """TS, n_s and index; compared where the published fit says how far they may differ."""
    held = desk.sample(one.sample, signal="none")
    found = desk.ask("fit", one.name, held, hypothesis=one.hypothesis, index_free=True, injections=0).answer.fitted
    pairs = (
        ("TS", found.ts, one.ts, one.relative_tolerance * one.ts),
        ("n_s", found.n_signal, one.spot.n_signal, one.relative_tolerance * one.spot.n_signal),
        ("index", found.index if found.index is not None else math.nan, one.spot.index, one.index_tolerance),
    )
    return [
        exact(f"{one.name}: {what}", ours, theirs, most, note=one.source)
        if math.isfinite(most)
        else row(f"{one.name}: {what}", ours, published=theirs, note=f"{one.source}; {_SHIFT}")
        for what, ours, theirs, most in pairs
        if math.isfinite(theirs)
    ]


def _significance(one: Fit, desk: Desk) -> list[Row]:
    """The local significance of the fit, where a p-value was published."""
    if not math.isfinite(one.spot.p_local):
        return []
    held = desk.sample(one.sample, signal="none")
    answer = desk.ask("significance", one.name, held, hypothesis=one.hypothesis, index_free=True).answer
    sigma, name = answer.chance.sigma or 0.0, f"{one.name}: local significance (sigma)"
    return [exact(name, sigma, float(-ndtri(one.spot.p_local)), one.sigma_tolerance, note=_SHIFT)]


def tracks_item(name: str, title: str, *fits: str) -> Item:
    """The item of a source, from its published fits."""
    known = [one for one in REPRODUCED if one.name in fits]

    def make(desk: Desk) -> Made:
        held = desk.sample(known[0].sample, signal="none")
        rows = tuple(found for one in known for found in (*_fitted(one, desk), *_significance(one, desk)))
        return Made(desk.provenance(held), rows)

    return Item(
        name=name,
        title=title,
        source="; ".join(dict.fromkeys(one.source for one in known)),
        origin="real",
        cpu_minutes=None,
        make=make,
        left_out=f"needs the whole release: 'nuanalysis data fetch {known[0].sample}'",
    )
