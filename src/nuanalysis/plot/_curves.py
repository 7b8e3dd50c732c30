"""Curves of single questions: the bias of n_s, the significance of the median experiment, chances side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nuanalysis.plot.canvas import SERIES, SMALL, Figure, canvas, grid, title

Floats = NDArray[np.float64]


def bias_figure(n_injected: Floats, fits: Floats, errors: Floats, curve: Floats, *, label: str, origin: str) -> Figure:
    """Median fitted n_s with its error against injected n_s, and the smooth curve through it; (strength,) each."""
    figure = canvas()
    axes = figure.add_subplot()
    axes.errorbar(n_injected, fits, errors, fmt=SERIES[0].marker, color=SERIES[0].colour, label="median fit")
    axes.plot(n_injected, curve, SERIES[0].line, color=SERIES[0].colour, label="smooth curve")
    axes.plot(n_injected, n_injected, SERIES[1].line, color=SERIES[1].colour, label="no bias")
    axes.set_xlabel("mean injected signal events", fontsize=10)
    axes.set_ylabel("fitted n_s", fontsize=10)
    axes.tick_params(labelsize=SMALL)
    axes.legend(fontsize=SMALL, frameon=False)
    grid(axes)
    title(figure, label, origin)
    return figure


def median_significance(n_injected: Floats, sigma: Floats, errors: Floats, *, label: str, origin: str) -> Figure:
    """Local significance of the median experiment with its error against injected events; (strength,) each."""
    figure = canvas()
    axes = figure.add_subplot()
    axes.errorbar(n_injected, sigma, errors, fmt=SERIES[0].marker, color=SERIES[0].colour)
    for level in (3.0, 5.0):
        axes.axhline(level, color=SERIES[2].colour, linestyle=SERIES[2].line, linewidth=1.0)
    axes.set_xlabel("mean injected signal events", fontsize=10)
    axes.set_ylabel("local significance (σ)\nof the median experiment", fontsize=10)
    axes.set_ylim(bottom=0.0)
    axes.tick_params(labelsize=SMALL)
    grid(axes)
    title(figure, label, origin)
    return figure


def chances_figure(
    labels: Sequence[str],
    chances: Sequence[tuple[float, float]],
    of_best: tuple[float, float],
    *,
    label: str,
    origin: str,
    most: int = 30,
) -> Figure:
    """Local p-values of several hypotheses with their errors, smallest first, and the global one of the best.

    At most ``most`` are drawn.  An error that is not known is NaN.
    """
    order = np.argsort([p for p, _ in chances], kind="stable")[:most]
    figure = canvas(height=1.9 + 0.25 * len(order))
    axes = figure.add_subplot()
    values, errors = (np.array([chances[k][part] for k in order]) for part in (0, 1))
    shown = np.where(np.isfinite(errors), np.minimum(errors, 0.9 * values), 0.0)
    axes.errorbar(values, np.arange(len(order)), xerr=shown, fmt=SERIES[0].marker, color=SERIES[0].colour,
                  label="local p")  # fmt: skip
    if np.isfinite(of_best[0]):
        axes.axvline(of_best[0], color=SERIES[1].colour, linestyle=SERIES[1].line, label="global p of the best")
    axes.set_xscale("log")
    axes.set_yticks(np.arange(len(order)), [labels[k] for k in order])
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set_xlabel("p-value", fontsize=10)
    axes.tick_params(labelsize=SMALL)
    grid(axes)
    figure.legend(loc="outside lower center", ncols=2, fontsize=SMALL, frameon=False)
    title(figure, label, origin)
    return figure
