"""What is expected of detectors against years: significance, error of the flux, error of the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nuanalysis.plot.canvas import SERIES, SMALL, Figure, finished, named, single
from nuanalysis.schema import Floats

Kind = Literal["significance", "error", "index"]
_NAMES: dict[Kind, str] = {
    "significance": "significance of the median experiment",
    "error": "error of the flux / flux",
    "index": "error of the spectral index, flux free",
}
_WIDEST = SERIES[3]  # its band is only dotted, so that it hides no other


@dataclass(frozen=True, slots=True, eq=False)
class OutlookSeries:
    """Expectations of a detector, (date,) each: live years, significance and its envelope, errors of flux and index."""

    label: str
    years: Floats
    sigma: Floats
    least: Floats
    most: Floats
    error: Floats
    with_floor: Floats
    index_error: Floats


@dataclass(frozen=True, slots=True)
class Tried:
    """The same from experiments: median significance with 16 and 84 % (the median itself where they are not known), and
    the statistical error of the flux."""

    label: str
    years: float
    sigma: float
    low: float
    high: float
    error: float


def outlook_figure(
    series: Sequence[OutlookSeries],
    tried: Sequence[Tried],
    *,
    kind: Kind,
    floor: float,
    label: str,
    origin: str,
) -> Figure:
    """Lines with their envelopes, and points of experiments (none of the index) in the style of their line.

    floor : systematic error of the flux over the flux, drawn with its errors.
    """
    figure, axes = single(4.6)
    for style, one in zip(SERIES, series, strict=False):
        points = [point for point in tried if point.label == one.label and kind != "index"]
        values = {"significance": one.sigma, "error": one.with_floor, "index": one.index_error}[kind]
        axes.plot(one.years, values, **style.lined, linewidth=1.8, label=one.label)
        if kind == "significance":
            hatched = style is _WIDEST
            axes.fill_between(
                one.years, one.least, one.most, alpha=0.25, linewidth=0, edgecolor=style.colour,
                facecolor="none" if hatched else style.colour, hatch="..." if hatched else None,
            )  # fmt: skip
        for point in points:
            at = point.sigma if kind == "significance" else float(np.hypot(point.error, floor))
            bars = [[point.sigma - point.low], [point.high - point.sigma]] if kind == "significance" else None
            axes.errorbar(
                [point.years], [at], yerr=bars, marker=style.marker, capsize=3, color=style.colour,
                markeredgecolor="black", markersize=6, linestyle="none",
            )  # fmt: skip
    axes.set_xlim(0.0, 20.0)
    if kind == "significance":
        axes.axhline(5.0, color="black", linewidth=0.9)
        axes.text(0.2, 5.1, "5 sigma", fontsize=SMALL, va="bottom")
        axes.set_ylim(0.0, max(12.0, 1.05 * max(float(one.most.max()) for one in series)))
    elif kind == "error":
        axes.axhline(floor, color="black", linewidth=0.9)
        axes.text(19.8, floor, "systematic errors", fontsize=SMALL, va="bottom", ha="right")
        axes.set_ylim(0.0, 0.7)
    else:
        most = max(float(np.nanmax(one.index_error, initial=0.0)) for one in series)
        axes.set_ylim(0.0, min(max(0.5, 1.05 * most), 1.5))
    named(axes, "live years (where ARCA is added to IceCube: those of ARCA)", _NAMES[kind])
    return finished(figure, label, origin, columns=2)
