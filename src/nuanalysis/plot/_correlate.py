"""Neutrinos beside cosmic rays and maps: what was found against angle or multipole, with the bands of the skies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nuanalysis.plot.canvas import SERIES, SMALL, Axes, Figure, canvas, finished, named, short
from nuanalysis.schema import Floats

_WIDE, _NARROW = "#cfd4dd", "#9aa5b8"


@dataclass(frozen=True, slots=True, eq=False)
class BandSeries:
    """Found and skies without correlation at angles in deg or multipoles, (point,) each.

    skies : (5, point) quantiles 0.025, 0.16, 0.5, 0.84, 0.975.    note : written into the panel.
    """

    label: str
    note: str
    at: Floats
    found: Floats
    skies: Floats


def pairs_figure(series: Sequence[BandSeries], *, origin: str) -> Figure:
    """Pairs over the median of the skies against the angle, a panel for each selection and kind of skies."""
    scaled = [_over(one, np.maximum(one.skies[2], 1.0)) for one in series]
    figure = _panels(scaled, "angle (deg)", "pairs / median of skies", level=1.0, bars=False)
    return finished(
        figure, "Pairs of neutrinos and ultra-high-energy cosmic rays", origin, columns=3, **_legend(figure)
    )


def multipole_figure(series: Sequence[BandSeries], *, origin: str) -> Figure:
    """C_l over the standard deviation of the skies, a panel for each map."""
    figure = _panels(series, "multipole l", "C_l / rms of skies", level=0.0, bars=True)
    return finished(figure, "Cross-correlation of neutrinos with maps", origin, columns=3, **_legend(figure))


def _over(one: BandSeries, unit: Floats) -> BandSeries:
    return BandSeries(one.label, one.note, one.at, one.found / unit, one.skies / unit)


def _panels(series: Sequence[BandSeries], x: str, y: str, *, level: float, bars: bool) -> Figure:
    rows, columns = (len(series) + 1) // 2, min(len(series), 2)
    figure = canvas(width=3.8 * columns if columns > 1 else 5.6, height=1.2 + 2.5 * rows)
    every = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, one in zip(every, series, strict=False):
        _panel(axes, one, level=level, bars=bars)
        named(axes, x, y)
    for axes in every[len(series) :]:
        axes.set_axis_off()
    return figure


def _panel(axes: Axes, one: BandSeries, *, level: float, bars: bool) -> None:
    low, lower, _, upper, high = one.skies
    step: Literal["mid"] | None = "mid" if bars else None
    axes.fill_between(one.at, low, high, step=step, color=_WIDE, linewidth=0, label="95 % of skies")
    axes.fill_between(one.at, lower, upper, step=step, color=_NARROW, linewidth=0, label="68 % of skies")
    axes.axhline(level, color="black", linewidth=0.8)
    line = SERIES[0]
    axes.plot(one.at, one.found, color=line.colour, linestyle="none" if bars else "-", marker=line.marker,
              markersize=3.5, label="found")  # fmt: skip
    # The first angles hold a handful of pairs: their bands would hide all others.
    shown = slice(0 if bars else 2, None)
    top = 1.3 * float(max(one.found[shown].max(initial=0.0), high[shown].max(initial=0.0), level + 0.5))
    bottom = 1.15 * float(min(one.found.min(), low.min())) if bars else 0.0
    axes.set_ylim(bottom, top)
    axes.set_title(short(one.label, 42), fontsize=10)
    axes.text(0.97, 0.95, one.note, transform=axes.transAxes, ha="right", va="top", fontsize=SMALL,
              bbox={"facecolor": "white", "edgecolor": "none", "pad": 2.0})  # fmt: skip


def _legend(figure: Figure) -> dict[str, list[object]]:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    return {"handles": handles, "labels": labels}
