"""What a sample looks like: marginals beside a published table, and the cut flow."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np

from nuanalysis.deferred import matplotlib
from nuanalysis.errors import InputError
from nuanalysis.plot._typeset import typeset
from nuanalysis.plot.canvas import SERIES, SMALL, Figure, canvas, finished, named, single
from nuanalysis.schema import Floats


def pulls(counts: Floats, published: Floats, published_error: Floats) -> Floats:
    """(counts - published) / sqrt(published_error^2 + counts); 0 where both are empty.  All (bin,)."""
    width = np.sqrt(np.asarray(published_error) ** 2 + np.asarray(counts))
    difference = np.asarray(counts, dtype=np.float64) - published
    return np.divide(difference, width, out=np.zeros_like(difference), where=width > 0)


def marginals(
    edges: Floats,
    counts: Floats,
    published: Floats,
    published_error: Floats,
    *,
    quantity: str,
    label: str,
    origin: str,
    published_label: str = "published table",
    log_x: bool = False,
    log_y: bool = False,
) -> Figure:
    """Events per bin beside a published table, pulls below.

    edges : (bin + 1,).    counts, published, published_error : (bin,) events.
    quantity : name and unit of the x axis.  The bars of the counts are sqrt(counts).
    """
    counts, published = np.asarray(counts, dtype=np.float64), np.asarray(published, dtype=np.float64)
    if not len(edges) - 1 == len(counts) == len(published) == len(published_error):
        raise InputError(
            f"marginals got {len(edges)} edges, {len(counts)} counts, {len(published)} published values and "
            f"{len(published_error)} errors; expected one edge more than values, and as many of each"
        )
    figure = canvas(height=4.4)
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    middle = np.sqrt(edges[1:] * edges[:-1]) if log_x else 0.5 * (edges[1:] + edges[:-1])
    ours, theirs = SERIES[0], SERIES[1]
    upper.stairs(published, edges, baseline=None, **theirs.lined, linewidth=1.6, label=published_label)
    band = {"color": theirs.colour, "alpha": 0.3, "linewidth": 0.0, "fill": True}
    upper.stairs(published + published_error, edges, baseline=published - published_error, **band)
    dots = {"markersize": 3.5, "color": ours.colour}
    upper.errorbar(middle, counts, np.sqrt(counts), fmt=ours.marker, linewidth=1.0, label="this sample", **dots)
    upper.set_yscale("log" if log_y else "linear")
    if not log_y:
        upper.set_ylim(bottom=0.0)
    upper.legend(fontsize=SMALL, frameon=False)
    lower.axhspan(-1.0, 1.0, color="#e6e6e6", linewidth=0.0)
    lower.axhline(0.0, color="#7a7b7d", linewidth=0.8)
    pull = pulls(counts, published, np.asarray(published_error))
    lower.plot(middle, pull, ours.marker, **dots)
    reach = max(3.0, float(np.ceil(np.abs(pull).max())) + 0.5)
    lower.set_ylim(-reach, reach)
    lower.set_xscale("log" if log_x else "linear")
    named(upper, y="events per bin")
    named(lower, quantity, "pull (σ)")
    return finished(figure, label, origin)


def _shares_lost(left: Sequence[int]) -> list[float]:
    """What each cut takes, in % of the events that come to it; 0 for the first row, to which all come."""
    before = [left[0], *left[:-1]]
    return [100.0 * (had - kept) / had if had > 0 else 0.0 for had, kept in zip(before, left, strict=True)]


_NOTHING_LOST = 1.0  # %, of the axis where no cut takes an event
_LABEL: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.0}


def cut_flow(rows: Sequence[tuple[str, str, int]], *, label: str, origin: str) -> Figure:
    """Share of the events that each cut takes, and how many it leaves: a bar for each season, in the order of the rows.

    rows : season, cut and events left, of one sample.
    """
    if not rows:
        raise InputError("the cut flow has no rows; expected at least one, from the selection step")
    cuts = list(dict.fromkeys(cut for _, cut, _ in rows))
    seasons = list(dict.fromkeys(season for season, _, _ in rows))
    one, gap = 0.24, 0.36  # inches: a bar with its numbers, and the name of the cut above its bars
    band = one * len(seasons) + gap
    figure, axes = single(height=1.7 + band * len(cuts))
    most = 0.0
    for number, season in enumerate(seasons):
        mine = [(cuts.index(cut), events) for of, cut, events in rows if of == season]
        lost = _shares_lost([events for _, events in mine])
        places = [band * place + gap + one * (number + 0.5) for place, _ in mine]
        series = SERIES[number % len(SERIES)]
        axes.barh(places, lost, height=0.8 * one, color=series.colour, label=season)
        for at, share, (_, events) in zip(places, lost, mine, strict=True):
            axes.annotate(
                f"{share:.2g} % lost, {events:,} left" if share else f"{events:,} left", (share, at), xytext=(4, 0),
                textcoords="offset points", fontsize=SMALL, va="center", bbox=_LABEL,
            )  # fmt: skip
        most = max(most, *lost)
    for place, cut in enumerate(cuts):
        axes.annotate(
            fill(typeset(cut), 62), (0.0, band * place + 0.5 * gap), xycoords=("axes fraction", "data"), xytext=(4, 0),
            textcoords="offset points", fontsize=SMALL, va="center", fontweight="bold", bbox=_LABEL,
        )  # fmt: skip
    axes.set_yticks([])
    axes.set_ylim(band * len(cuts), 0.0)
    axes.set_xlim(0.0, 1.9 * most if most else _NOTHING_LOST)  # room for the numbers behind the longest bar
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5))
    named(axes, "share of the events that the cut takes (%)", "cuts, from the first down")
    return finished(figure, label, origin, columns=min(len(seasons), 3), title="season")
