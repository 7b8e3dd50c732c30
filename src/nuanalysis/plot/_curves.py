"""Curves of single questions: the bias of n_s, the significance of the median experiment, chances side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nuanalysis.plot.canvas import SERIES, SMALL, Figure, finished, named, single
from nuanalysis.schema import Floats

_INJECTED = "mean injected signal events"


def bias_figure(n_injected: Floats, fits: Floats, errors: Floats, curve: Floats, *, label: str, origin: str) -> Figure:
    """Median fitted n_s with its error against injected n_s, and the smooth curve through it; (strength,) each."""
    figure, axes = single()
    axes.errorbar(n_injected, fits, errors, fmt=SERIES[0].marker, color=SERIES[0].colour, label="median fit")
    axes.plot(n_injected, curve, **SERIES[0].lined, label="smooth curve")
    axes.plot(n_injected, n_injected, **SERIES[1].lined, label="no bias")
    named(axes, _INJECTED, "fitted n_s")
    axes.legend(fontsize=SMALL, frameon=False)
    return finished(figure, label, origin)


def median_significance(n_injected: Floats, sigma: Floats, errors: Floats, *, label: str, origin: str) -> Figure:
    """Local significance of the median experiment with its error against injected events; (strength,) each."""
    figure, axes = single()
    axes.errorbar(n_injected, sigma, errors, fmt=SERIES[0].marker, color=SERIES[0].colour)
    for level in (3.0, 5.0):
        axes.axhline(level, **SERIES[2].lined, linewidth=1.0)
    named(axes, _INJECTED, "local significance (σ)\nof the median experiment")
    axes.set_ylim(bottom=0.0)
    return finished(figure, label, origin)


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
    figure, axes = single(height=1.9 + 0.25 * len(order))
    values, errors = (np.array([chances[k][part] for k in order]) for part in (0, 1))
    shown = np.where(np.isfinite(errors), np.minimum(errors, 0.9 * values), 0.0)
    axes.errorbar(values, np.arange(len(order)), xerr=shown, fmt=SERIES[0].marker, color=SERIES[0].colour,
                  label="local p")  # fmt: skip
    if np.isfinite(of_best[0]):
        axes.axvline(of_best[0], **SERIES[1].lined, label="global p of the best")
    axes.set_xscale("log")
    axes.set_yticks(np.arange(len(order)), [labels[k] for k in order])
    axes.set_ylim(len(order) - 0.5, -0.5)
    named(axes, "p-value")
    return finished(figure, label, origin, columns=2)
