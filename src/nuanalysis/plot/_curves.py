"""Bias of n_s, significance of the median experiment, chances side by side, norms fitted together, two models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nuanalysis.deferred import matplotlib
from nuanalysis.plot.canvas import LONGEST, SERIES, SMALL, Axes, Figure, canvas, finished, named, short, single
from nuanalysis.schema import Floats

_INJECTED = "mean injected signal events"
_LETTERS = 24  # of a name
_BINS = 30


def bias_figure(n_injected: Floats, fits: Floats, errors: Floats, curve: Floats, *, label: str, origin: str) -> Figure:
    """Median fitted n_s with its error against injected n_s, and the smooth curve through it; (strength,) each."""
    figure, axes = single()
    axes.errorbar(n_injected, fits, errors, fmt=SERIES[0].marker, color=SERIES[0].colour, label="median fit")
    axes.plot(n_injected, curve, **SERIES[0].lined, label="smooth curve")
    axes.plot(n_injected, n_injected, **SERIES[1].lined, label="no bias")
    named(axes, _INJECTED, "fitted nₛ")
    axes.legend(fontsize=SMALL, frameon=False)
    return finished(figure, label, origin)


def median_significance(
    n_injected: Floats, sigma: Floats, errors: Floats, *, twins: Floats, label: str, origin: str
) -> Figure:
    """Local significance of the median experiment with its error against injected events; (strength,) each.

    twins (strength, 3): strength, mean and rms over synthetic twins; empty for this sample alone.
    """
    figure, axes = single()
    axes.errorbar(n_injected, sigma, errors, fmt=SERIES[0].marker, color=SERIES[0].colour, label="this sample")
    if len(twins):
        n, mean, rms = twins.T
        axes.fill_between(n, mean - rms, mean + rms, color=SERIES[1].colour, alpha=0.3, linewidth=0.0)
        axes.plot(n, mean, **SERIES[1].lined, label="mean and rms of twins")
        axes.legend(fontsize=SMALL, frameon=False)
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
    axes.set_yticks(np.arange(len(order)), [short(labels[k], LONGEST) for k in order])
    axes.set_ylim(len(order) - 0.5, -0.5)
    named(axes, "p-value")
    return finished(figure, label, origin, columns=2)


def _norms(axes: Axes, norms: Floats) -> None:
    """Fitted and corrected events with their errors, (hypothesis, 4); NaN is not drawn."""
    for k, words in enumerate(("as fitted", "corrected for the bias")):
        value, error = norms[:, 2 * k], norms[:, 2 * k + 1]
        place = np.arange(len(norms)) + 0.24 * k - 0.12
        axes.errorbar(
            value, place, xerr=np.where(np.isfinite(error), error, 0.0), fmt=SERIES[k].marker,
            color=SERIES[k].colour, label=words,
        )  # fmt: skip
    axes.axvline(0.0, color="black", linewidth=0.8)
    named(axes, "signal events nₛ")


def _matrix(axes: Axes, correlation: Floats) -> None:
    """The correlation in shades and in numbers, (hypothesis, hypothesis)."""
    axes.imshow(correlation, cmap="cividis", vmin=-1.0, vmax=1.0, aspect="auto")
    for (row, column), value in np.ndenumerate(correlation):
        colour = "black" if value > 0.2 else "white"
        words = f"{value:.2f}".replace("-", "−") if row != column else "1"
        axes.text(column, row, words, ha="center", va="center", fontsize=SMALL, color=colour)
    axes.set_xticks(range(len(correlation)), [str(k + 1) for k in range(len(correlation))])
    axes.set_xlabel("correlation\nbelow: of the curvature\nabove: of experiments", fontsize=10)
    axes.tick_params(labelsize=SMALL)


def joint_figure(labels: Sequence[str], norms: Floats, correlation: Floats, *, label: str, origin: str) -> Figure:
    """Hypotheses fitted together: norms with their errors, and how they go together.

    norms (hypothesis, 4) : fitted events, error, the same corrected for the bias.  An error that is not known is NaN.
    correlation (hypothesis, hypothesis) : from the curvature below the diagonal, of fits of experiments above it.
    """
    figure = canvas(height=2.3 + 0.45 * len(labels))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.4, 1.0))
    _norms(left, norms)
    _matrix(right, correlation)
    left.set_yticks(range(len(labels)), [f"{short(name, _LETTERS)}  {k + 1}" for k, name in enumerate(labels)])
    left.set_ylim(len(labels) - 0.5, -0.5)
    return finished(figure, label, origin, columns=2)


def comparison_of_models(
    q_a: Floats, q_b: Floats, observed: float, names: tuple[str, str], *, label: str, origin: str
) -> Figure:
    """Distribution of q = TS_B - TS_A in experiments (trial,) of each of two models, and the observed one.

    names : of A and of B.
    """
    figure, axes = single()
    values = np.concatenate([q_a, q_b, [observed]])
    bins = np.linspace(values.min(), values.max() + 1e-9, _BINS + 1).tolist()
    for letter, q, name, series in zip("AB", (q_a, q_b), names, SERIES, strict=False):
        axes.hist(q, bins=bins, histtype="step", linewidth=1.8, **series.lined, label=f"{letter}: {name}")
    axes.axvline(observed, color="black", linestyle=":", linewidth=2.0, label="observed")
    axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    named(axes, "q = TS of B − TS of A", "experiments")
    return finished(figure, label, origin, columns=1)
