"""The two figures of the benchmarks: growth of the cost, and ratios to the references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from measures.records import Curve, Report, Row
from measures.scaling import OURS
from nuanalysis.plot.canvas import REFERENCE, SERIES, canvas, finished, grid, origin_of

_DPI = 150


def scaling(curves: tuple[Curve, ...]) -> Figure:
    """Cost over size, one panel for each quantity, with a line of the budgeted power through ours."""
    quantities = list(dict.fromkeys(curve.quantity for curve in curves))
    figure = canvas(height=2.9 * len(quantities) + 0.4)
    finished(figure, "CPU time of one core", "synthetic")
    panels = figure.subplots(len(quantities), 1, squeeze=False)[:, 0]
    for axes, quantity in zip(panels, quantities, strict=True):
        _panel(axes, [curve for curve in curves if curve.quantity == quantity])
    return figure


def _panel(axes: Axes, curves: list[Curve]) -> None:
    for curve in curves:
        style = SERIES[0] if curve.label == OURS else REFERENCE
        axes.plot(curve.x, curve.y, color=style.colour, linestyle="-", marker=style.marker, label=curve.label)
        if curve.exponent_budget is not None:
            _slope(axes, curve)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(f"number of {curves[0].quantity}")
    axes.set_ylabel(f"{curves[0].name} (ms)")
    axes.legend(fontsize=9, frameon=False)
    grid(axes)


def _slope(axes: Axes, curve: Curve) -> None:
    power = curve.exponent_budget or 0.0
    x = np.array([curve.x[curve.first], curve.x[-1]])
    label = "flat" if power == 0 else f"slope {power:g}"
    axes.plot(x, curve.y[curve.first] * (x / x[0]) ** power, color="#7a7b7d", linestyle=":", linewidth=1.2, label=label)


def ratios(rows: tuple[Row, ...]) -> Figure:
    """Reference over ours of each row, as bars on a logarithmic axis."""
    shown = [row for row in rows if row.unit == "ms"]
    figure = canvas(height=0.42 * len(shown) + 1.3)
    finished(figure, "reference time / our time", origin_of(row.origin for row in shown))
    axes = figure.subplots()
    place = np.arange(len(shown))[::-1]
    colours = [SERIES[0].colour if "twin" in row.reference_name else SERIES[1].colour for row in shown]
    axes.barh(place, [row.ratio - 1.0 for row in shown], left=1.0, color=colours, height=0.6)
    for k, row in zip(place, shown, strict=True):
        axes.annotate(
            _times(row.ratio),
            (max(row.ratio, 1.0), k),  # beside the bar, also where it points to the left
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    axes.set_yticks(place, [f"{row.name}\nbeside {row.reference_name}" for row in shown], fontsize=9)
    axes.set_xscale("log")
    low, high = min(0.9, *(0.7 * row.ratio for row in shown)), max(row.ratio for row in shown)
    axes.set_xlim(low, high * (high / low) ** 0.5)  # room for the longest number
    axes.set_ylim(-0.8, len(shown) - 0.2)
    axes.axvline(1.0, color="#7a7b7d", linewidth=1.0)
    axes.set_xlabel("time of the reference over ours")
    grid(axes)
    return figure


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} ×" if ratio >= 100.0 else f"{ratio:.3g} ×"


def draw(report: Report, folder: Path) -> dict[str, str]:
    """Write the figures of a report into a folder; returns {file name: caption}."""
    folder.mkdir(parents=True, exist_ok=True)
    out = {"ratios.png": (ratios(report.rows), "Reference time over our time, trials only.")}
    if report.curves:
        caption = "CPU time over events, trials in one call, and stacked sources; dotted: the budgeted power."
        out["scaling.png"] = (scaling(report.curves), caption)
    for name, (figure, _) in out.items():
        figure.savefig(folder / name, dpi=_DPI)
    return {name: caption for name, (_, caption) in out.items()}
