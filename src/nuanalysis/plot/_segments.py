"""Segments of the Galactic plane: flux and index of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nuanalysis.plot.canvas import SERIES, Axes, Figure, canvas, finished, named, short
from nuanalysis.schema import Floats

Ends = tuple[float, float, float]  # best, low, high; NaN where nothing is known
_SCALE = 1e-11
_LETTERS = 28


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment: E^2 dN/dE at 5 TeV per sr (TeV cm^-2 s^-1 sr^-1) and index, ours and published."""

    label: str
    intensity: Ends
    index: Ends
    published_intensity: Ends
    published_index: Ends


def segments_figure(rows: Sequence[SegmentRow], *, label: str, origin: str) -> Figure:
    """A row for each segment: flux per sr at 5 TeV on the left, spectral index on the right."""
    figure = canvas(height=2.2 + 0.55 * len(rows))
    left, right = figure.subplots(1, 2, sharey=True)
    at = np.arange(len(rows), dtype=np.float64)
    _marks(left, at, np.array([one.intensity for one in rows]) / _SCALE, 0, "this sample")
    _marks(left, at + 0.2, np.array([one.published_intensity for one in rows]) / _SCALE, 1, "published, real events")
    _marks(right, at, np.array([one.index for one in rows]), 0, "")
    _marks(right, at + 0.2, np.array([one.published_index for one in rows]), 1, "")
    left.set_yticks(range(len(rows)), [short(one.label, _LETTERS) for one in rows])
    left.set_ylim(len(rows) - 0.4, -0.6)
    named(left, "E² dN/dE at 5 TeV\n(10⁻¹¹ TeV cm⁻² s⁻¹ sr⁻¹)")
    named(right, "spectral index")
    return finished(figure, label, origin, columns=2)


def _marks(axes: Axes, at: Floats, ends: Floats, series: int, label: str) -> None:
    """Values with their intervals; ends (row, 3) best, low, high."""
    known, one = np.isfinite(ends[:, 0]), SERIES[series]
    if not known.any():
        return
    best, low, high = ends[known].T
    errors = np.maximum([best - low, high - best], 0.0)
    face = "white" if series else one.colour
    axes.errorbar(
        best, at[known], xerr=errors, fmt=one.marker, color=one.colour, markerfacecolor=face, capsize=3.0,
        linewidth=1.4, label=label or None,
    )  # fmt: skip
