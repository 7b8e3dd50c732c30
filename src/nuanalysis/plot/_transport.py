"""TS along the gradient of delta: a curve for each gas model, critical values, and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nuanalysis.plot.canvas import SERIES, Axes, Figure, canvas, finished, named
from nuanalysis.schema import Floats

_BAR = 0.07  # of the height of a panel between two bars
_DEEPEST = 10.0  # TS below the largest value that is shown


@dataclass(frozen=True, slots=True, eq=False)
class TransportCurve:
    """One gas model: TS less its largest value, 0 or below, at A (fine,); critical values at members; the interval."""

    label: str
    at: Floats
    ts: Floats
    members: Floats
    critical: Floats
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class TransportPanel:
    """Curves with the norm treated alike."""

    title: str
    curves: tuple[TransportCurve, ...]


def transport_figure(panels: Sequence[TransportPanel], *, label: str, origin: str) -> Figure:
    """A panel for each way to treat the norm, side by side."""
    figure = canvas(height=4.4)
    for axes, panel in zip(np.ravel(figure.subplots(1, len(panels), squeeze=False)), panels, strict=True):
        _drawn(axes, panel)
    handles, names = figure.axes[0].get_legend_handles_labels()
    return finished(figure, label, origin, columns=2, handles=handles, labels=names)


def _drawn(axes: Axes, panel: TransportPanel) -> None:
    floor = min(float(curve.ts.min()) for curve in panel.curves)
    floor = max(min(floor, *(float(np.nanmin(curve.critical)) for curve in panel.curves)), -_DEEPEST)
    step = _BAR * max(-floor, 1e-3)
    for k, (curve, series) in enumerate(zip(panel.curves, SERIES, strict=False)):
        axes.plot(curve.at, curve.ts, linewidth=1.8, label=curve.label, **series.lined)
        axes.plot(
            curve.members, curve.critical, color=series.colour, linestyle=":", linewidth=1.0, marker=series.marker,
            markersize=3.5, markerfacecolor="white", label=None if k else "critical values, 68 %",
        )  # fmt: skip
        low, high = curve.interval
        axes.errorbar(
            0.5 * (low + high), floor - (k + 1.2) * step, xerr=0.5 * (high - low), color=series.colour, capsize=3.5,
            linewidth=2.2,
        )  # fmt: skip
    axes.set_ylim(floor - (len(panel.curves) + 1.0) * step, 1.2 * step)
    axes.set_title(panel.title, fontsize=10, loc="left")
    named(axes, "A, gradient of δ (kpc⁻¹)", "TS less its largest value")
