"""Stacks on skies that hold diffuse emission and no source: how many events they fit, and how significant they seem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nuanalysis.errors import InputError
from nuanalysis.plot.canvas import SERIES, SMALL, canvas, grid, title

Floats = NDArray[np.float64]
_BINS = 24
_MOST_DECADES = 8.0


class Skies(Protocol):
    """Fits of one stack to every sky, (sky,) each."""

    @property
    def n_signal(self) -> Floats:
        """Events, the stack fitted alone."""
        ...

    @property
    def log_p(self) -> Floats:
        """Ln of the local p-value, the stack fitted alone."""
        ...

    @property
    def log_p_profiled(self) -> Floats:
        """Ln of the local p-value at the TS that is left with the diffuse component fitted too."""
        ...


def _short(label: str) -> str:
    return label if len(label) <= 34 else label[:33].rstrip() + "…"


def _events(axes: Axes, row: Mapping[str, Any], skies: Skies) -> None:
    """How many events the stack fits where there is no source."""
    published = row["alone"]["published"]
    top = max(float(skies.n_signal.max()), 0.0 if published is None else published["n_s"], 1.0)
    axes.hist(
        skies.n_signal, bins=np.linspace(0.0, 1.05 * top, _BINS + 1).tolist(), color=SERIES[2].colour, alpha=0.55,
        edgecolor=SERIES[0].colour, linewidth=0.6, label="skies without a source",
    )  # fmt: skip
    axes.axvline(
        row["alone"]["data"]["n_s"], color=SERIES[0].colour, linestyle=":", linewidth=1.8, label="sample as it is"
    )
    if published is not None:
        axes.axvline(published["n_s"], color=SERIES[1].colour, linestyle="-", linewidth=2.2, label="published (2023)")
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("skies", fontsize=10)


def _steps(log_p: Floats, decades: Floats) -> Floats:
    """Share of skies with a p-value at or below 10^-decades, (step,)."""
    order = np.sort(-log_p / np.log(10.0))
    return 1.0 - np.searchsorted(order, decades - 1e-12, side="left") / len(order)


def _chances(axes: Axes, row: Mapping[str, Any], skies: Skies) -> None:
    """Share of skies with a local p-value as small: alone, with the diffuse fitted too, and as it should be."""
    published = row["alone"]["published"]
    seen = float(-skies.log_p.min() / np.log(10.0))
    top = float(np.clip(max(seen, 4.0), 4.0, _MOST_DECADES))
    decades, floor = np.linspace(0.0, top, 400), 0.5 / len(skies.log_p)
    for name, log_p, colour, line in (
        ("stack alone", skies.log_p, SERIES[0].colour, "-"),
        ("with the diffuse fitted too", skies.log_p_profiled, SERIES[3].colour, "-."),
    ):
        share = _steps(log_p, decades)
        shown = np.where(share > 0.0, share, np.nan)
        axes.plot(decades, shown, color=colour, linestyle=line, linewidth=1.8, label=name)
    axes.plot(decades, 10.0**-decades, color=SERIES[2].colour, linestyle="--", linewidth=1.2, label="no signal: p")
    if published is not None:
        axes.axvline(-np.log10(published["p"]), color=SERIES[1].colour, linestyle="-", linewidth=2.2)
    axes.set_yscale("log")
    axes.set_ylim(floor, 1.5)
    axes.set_xlim(0.0, top)
    axes.set_ylabel("share of skies", fontsize=10)


def leak(document: Mapping[str, Any], fits: Mapping[str, Skies], origin: str) -> Figure:
    """A row for each stack: fitted events, and local p-values, on skies with the diffuse component alone.

    document, fits : as ``workflow.leak.leak_record`` returns them.  Raises InputError where there is no stack.
    """
    rows = document["stacks"]
    if not rows:
        raise InputError("there are no stacks to draw; expected at least one")
    figure = canvas(height=1.9 + 1.9 * len(rows))
    panels = figure.subplots(len(rows), 2, squeeze=False)
    for (left, right), row in zip(panels, rows, strict=True):
        skies = fits[row["hypothesis"]]
        _events(left, row, skies)
        _chances(right, row, skies)
        left.set_title(_short(row["label"]), fontsize=10, loc="left")
        for axes in (left, right):
            axes.tick_params(labelsize=SMALL)
            grid(axes)
    panels[-1][0].set_xlabel("fitted events n_s", fontsize=10)
    panels[-1][1].set_xlabel("local p-value, −log₁₀ p", fontsize=10)
    named = [pair for axes in panels[0] for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    figure.legend(
        [handle for handle, _ in named], [name for _, name in named], loc="outside lower center", ncols=2,
        fontsize=SMALL, frameon=False,
    )  # fmt: skip
    title(figure, f"{document['diffuse']['n_injected']:.0f} diffuse events, no source: what stacks find", origin)
    return figure


def _range(record: Mapping[str, Any], form: str) -> str:
    low, middle, high = record["values"][1:4]
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def _said(row: Mapping[str, Any]) -> str:
    alone, published = row["alone"], row["alone"]["published"]
    words = (
        f"{row['label']}: n_s {_range(alone['n_s'], '.0f')}, local p {_range(alone['p'], '.2g')}, below 0.05 in "
        f"{100 * alone['share_p_below_0_05']['share']:.0f} % of the skies"
    )
    if published is not None:
        words += (
            f"; published n_s {published['n_s']:.1f}, above {100 * published['skies_with_fewer_events']['share']:.0f} "
            f"% of the skies, p {published['p']:.2g}, smaller in "
            f"{100 * published['skies_with_smaller_p']['share']:.0f} %"
        )
    above = row["together"]["share_above_3_84"]["share"]
    return f"{words}; with the diffuse fitted too TS is above 3.84 in {100 * above:.1f} %"


def leak_words(document: Mapping[str, Any]) -> tuple[str, str]:
    """Caption and alt text of the figure ``leak``."""
    diffuse = document["diffuse"]
    what = (
        f"{document['n_trials']} pseudo-experiments (SYNTHETIC) on the sample {document['sample']}: scrambled events "
        f"and {diffuse['n_injected']:.1f} events on average of {diffuse['label']}, no source"
    )
    caption = (
        f"{what}. Left: events that stacks of point sources fit, index free, as if nothing diffuse were there. Right: "
        "share of the skies with a local p-value as small, for the stack alone, for the test statistic that is left "
        "with the diffuse component fitted too, and as expected without any signal. Local p-values come from scrambles "
        "of each stack alone and are not corrected for the number of stacks."
    )
    return caption, f"{what}. Median (16 to 84 %). " + ". ".join(map(_said, document["stacks"]))
