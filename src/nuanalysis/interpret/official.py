"""The published template fits, repeated on the official per-event terms of IceCube 2023 where a user has that file.

The release holds no directions: signal over background in direction, its mean over right ascension, and signal over
background in energy are given for every event, and nothing else is needed for n_s and TS.
"""

from __future__ import annotations

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError, InputError, did_you_mean
from nuanalysis.interpret import published
from nuanalysis.likelihood import FitResult, maximise
from nuanalysis.model import Terms
from nuanalysis.records import Record, shown

PUBLISHED = {
    name: published.PUBLISHED[f"template:{key}"]
    for name, key in (("pi0", "pi0"), ("kra5", published.KRA_5), ("kra50", published.KRA_50))
}


def terms_of(contributions: xr.Dataset, template: str) -> Terms:
    """Terms of one template, from a dataset as ``ingest.cascades_2023.read_event_contributions`` returns it.

    Raises InputError for a template that the file does not hold, DataError for terms that are not finite.
    """
    if template not in PUBLISHED:
        raise InputError(f"the release has no per-event terms of '{template}'.{did_you_mean(template, PUBLISHED)}")
    space, mean, energy = (
        np.asarray(contributions[f"{template}_SoB_{term}"].values, dtype=np.float64)
        for term in ("space", "space_ss", "energy")
    )
    if broken := int(np.count_nonzero(~np.isfinite(space + mean + energy))):
        raise DataError(f"{broken} per-event terms of '{template}' are not finite. Fetch the file again.")
    index = np.array([PUBLISHED[template].index])
    one = np.ones((1, 1))
    return Terms((space - mean)[None], one, np.zeros(len(space), dtype=np.int64), energy, one, index, len(space))


def fit_official(contributions: xr.Dataset, template: str) -> FitResult:
    """Maximise TS(n_s) = 2 sum ln[1 + (n_s / N) (space - space_ss) energy] over n_s >= 0."""
    return maximise(terms_of(contributions, template))


class OfficialFit(Record):
    """A published fit of a template, and the same repeated."""

    template: str = shown("template")
    n_signal: float = shown("signal events", form=".1f", short="n_s")
    published_n_signal: float = shown("published", form="g")
    ts: float = shown("test statistic", form=".2f", short="TS")
    published_ts: float = shown("published", form="g")
    converged: bool = shown("the fit converged", hidden=True)


class OfficialFits(Record):
    """All published fits repeated on the official per-event file."""

    n_events: int = shown("events")
    results: tuple[OfficialFit, ...] = shown("fits")


def repeated(contributions: xr.Dataset) -> OfficialFits:
    """The fit of every template beside the published one."""
    rows = (
        OfficialFit.taken_from(
            fit_official(contributions, name),
            template=name,
            published_n_signal=theirs.n_signal,
            published_ts=theirs.ts,
        )
        for name, theirs in PUBLISHED.items()
    )
    return OfficialFits(n_events=contributions.sizes["event"], results=tuple(rows))
