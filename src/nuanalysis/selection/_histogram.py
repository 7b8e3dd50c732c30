"""Marginals: how the events of a sample are distributed in one quantity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.schema import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Events per bin: counts (bin,), edges (bin + 1,) in the unit of the column, and how many fell outside."""

    column: str
    edges: Floats
    counts: Ints
    outside: int


def histogram(events: xr.Dataset, column: str, edges: Floats) -> Histogram:
    """Events per bin of a column; 'sin_declination' is understood too.

    edges : (bin + 1,), rising.  Bins hold their lower edge; the last one holds both.  Raises InputError otherwise.
    """
    edges = np.asarray(edges, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 2 or not np.all(np.diff(edges) > 0):
        raise InputError(f"histogram edges of '{column}' have shape {edges.shape}; expected two or more that rise")
    known = [*map(str, events.data_vars), "sin_declination"]
    if column not in known:
        raise InputError(f"there is no event column '{column}'.{did_you_mean(column, known)}")
    values = np.sin(events["declination"].values) if column == "sin_declination" else events[column].values
    counts = np.histogram(values, edges)[0].astype(np.int64)
    return Histogram(column, edges, counts, len(values) - int(counts.sum()))
