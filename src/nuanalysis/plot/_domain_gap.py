"""The parametric simulation of the detector beside the official one, at the same truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nuanalysis.deferred import matplotlib
from nuanalysis.errors import InputError
from nuanalysis.interpret.domain_gap import ChargeGap, DomainGap, EventGap, TimeGap
from nuanalysis.plot.canvas import SERIES, Axes, Figure, canvas, finished, named

OFFICIAL, OURS = "official simulation", "parametric simulation"
_TIMES = {"t20": "20 % of charge", "t50": "50 % of charge", "spread": "spread"}  # of what is in ``TimeGap.what``


def _ratio(axes: Axes, rows: Sequence[ChargeGap | EventGap], name: str, *, logarithmic: bool = False) -> None:
    """Charge, official over parametric, in steps of something."""
    low, high, ratio = (np.array([getattr(row, key) for row in rows]) for key in ("low", "high", "ratio"))
    middle = np.sqrt(low * high) if logarithmic else 0.5 * (low + high)
    axes.axhline(1.0, color=SERIES[2].colour, linewidth=1.0)
    axes.errorbar(
        middle, ratio, xerr=[middle - low, high - middle], fmt=SERIES[0].marker, color=SERIES[0].colour,
        markersize=4.5, elinewidth=1.2,
    )  # fmt: skip
    if logarithmic:
        axes.set_xscale("log")
    reach = 1.1 * max(2.0, float(ratio.max()), 1.0 / float(ratio.min()))
    axes.set_yscale("log")
    axes.set_ylim(1.0 / reach, reach)
    axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    named(axes, name, "charge, official / parametric")


def _times(axes: Axes, rows: Sequence[TimeGap]) -> None:
    """Times since the first pulse against distance: full marks official, open ones ours."""
    for (what, words), series in zip(_TIMES.items(), SERIES, strict=False):
        mine = [row for row in rows if row.what == what]
        middle = [0.5 * (row.low + row.high) for row in mine]
        for values, face, line in (
            ([row.official for row in mine], series.colour, "-"),
            ([row.ours for row in mine], "white", "--"),
        ):
            axes.plot(
                middle, values, linestyle=line, marker=series.marker, color=series.colour, markersize=4.5,
                markerfacecolor=face,
            )  # fmt: skip
        if mine:
            axes.annotate(
                words, (middle[-1], mine[-1].official), xytext=(5, 0), textcoords="offset points", fontsize=9,
                color=series.colour, va="center",
            )  # fmt: skip
    axes.set_yscale("log")
    axes.set_xlim(0.0, 1.6 * max(row.high for row in rows))
    named(axes, "distance from the vertex / m", "time since the first / ns")


def domain_gap_figure(gap: DomainGap) -> Figure:
    """Charge ratios by distance, angle and energy, and times by distance; both simulations are named.

    Raises InputError where there is nothing to draw.
    """
    if not (gap.by_distance and gap.by_cosine and gap.by_energy):
        raise InputError("the gap has no rows by distance, angle or energy; compare more events")
    figure = canvas(height=6.4)
    axes = figure.subplots(2, 2).ravel()
    _ratio(axes[0], gap.by_distance, "distance from the vertex / m")
    _ratio(axes[1], gap.by_cosine, "cosine to the axis, within 200 m")
    _ratio(axes[2], gap.by_energy, "visible energy / GeV", logarithmic=True)
    if gap.times:
        _times(axes[3], gap.times)
    else:
        axes[3].set_visible(False)
    keys = [
        matplotlib.lines.Line2D([], [], color="black", linestyle="-", marker="o", markersize=4.5, label=OFFICIAL),
        matplotlib.lines.Line2D(
            [], [], color="black", linestyle="--", marker="o", markersize=4.5, markerfacecolor="white", label=OURS
        ),
    ]
    label = f"{gap.events} events of {gap.official} and of the parametric simulation, efficiency x {gap.efficiency:g}"
    return finished(figure, label, "synthetic", columns=2, handles=keys)
