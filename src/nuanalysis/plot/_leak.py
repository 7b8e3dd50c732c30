"""Stacks on skies that hold diffuse emission and no source: how many events they fit, and how significant they seem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.plot.canvas import SERIES, Axes, Figure, canvas, finished, named, short
from nuanalysis.schema import Floats

_BINS = 24
_MOST_DECADES = 8.0
_LETTERS = 34  # of a name


@dataclass(frozen=True, slots=True, eq=False)
class LeakPanel:
    """Fits of one stack to every sky, (sky,) each.

    n_signal, log_p : events and ln of the local p-value, the stack fitted alone.  log_p_profiled : ln of the local
    p-value at the TS that is left with the diffuse component fitted too.  n_observed : events fitted to the sample.
    published : events and p-value, where there are some.
    """

    label: str
    n_signal: Floats
    log_p: Floats
    log_p_profiled: Floats
    n_observed: float
    published: tuple[float, float] | None = None


def _events(axes: Axes, one: LeakPanel) -> None:
    """How many events the stack fits where there is no source."""
    top = max(float(one.n_signal.max()), 0.0 if one.published is None else one.published[0], 1.0)
    axes.hist(
        one.n_signal, bins=np.linspace(0.0, 1.05 * top, _BINS + 1).tolist(), color=SERIES[2].colour, alpha=0.55,
        edgecolor=SERIES[0].colour, linewidth=0.6, label="skies without a source",
    )  # fmt: skip
    axes.axvline(one.n_observed, color=SERIES[0].colour, linestyle=":", linewidth=1.8, label="sample as it is")
    if one.published is not None:
        axes.axvline(one.published[0], color=SERIES[1].colour, linewidth=2.2, label="published (2023)")
    axes.set_ylim(bottom=0.0)


def _steps(log_p: Floats, decades: Floats) -> Floats:
    """Share of skies with a p-value at or below 10^-decades, (step,)."""
    order = np.sort(-log_p / np.log(10.0))
    return 1.0 - np.searchsorted(order, decades - 1e-12, side="left") / len(order)


def _chances(axes: Axes, one: LeakPanel) -> None:
    """Share of skies with a local p-value as small: alone, with the diffuse fitted too, and as it should be."""
    seen = float(-one.log_p.min() / np.log(10.0))
    top = float(np.clip(seen, 4.0, _MOST_DECADES))
    decades = np.linspace(0.0, top, 400)
    for name, log_p, colour, line in (
        ("stack alone", one.log_p, SERIES[0].colour, "-"),
        ("with the diffuse fitted too", one.log_p_profiled, SERIES[3].colour, "-."),
    ):
        share = _steps(log_p, decades)
        share[share <= 0.0] = np.nan
        axes.plot(decades, share, color=colour, linestyle=line, linewidth=1.8, label=name)
    axes.plot(decades, 10.0**-decades, color=SERIES[2].colour, linestyle="--", linewidth=1.2, label="no signal: p")
    if one.published is not None:
        axes.axvline(-np.log10(one.published[1]), color=SERIES[1].colour, linewidth=2.2)
    axes.set_yscale("log")
    axes.set_ylim(0.5 / len(one.log_p), 1.5)
    axes.set_xlim(0.0, top)


def leak_figure(panels: Sequence[LeakPanel], *, label: str, origin: str) -> Figure:
    """A row for each stack: fitted events, and local p-values, on skies with the diffuse component alone.

    Raises InputError where there is no stack.
    """
    if not panels:
        raise InputError("there are no stacks to draw; expected at least one")
    figure = canvas(height=1.9 + 1.9 * len(panels))
    rows = figure.subplots(len(panels), 2, squeeze=False)
    for (left, right), one in zip(rows, panels, strict=True):
        _events(left, one)
        _chances(right, one)
        left.set_title(short(one.label, _LETTERS), fontsize=10, loc="left")
        named(left, y="skies")
        named(right, y="share of skies")
    rows[-1][0].set_xlabel("fitted events nₛ", fontsize=10)
    rows[-1][1].set_xlabel("local p-value, −log₁₀ p", fontsize=10)
    drawn = [pair for axes in rows[0] for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    handles, names = zip(*drawn, strict=True)
    return finished(figure, label, origin, columns=2, handles=handles, labels=names)
