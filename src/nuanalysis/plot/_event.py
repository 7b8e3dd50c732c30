"""One event in the detector, in three dimensions: which modules saw light, how much, when, and the axes through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nuanalysis.deferred import matplotlib, scipy
from nuanalysis.errors import InputError
from nuanalysis.plot.canvas import SERIES, SMALL, Figure, Series, canvas, finished, short
from nuanalysis.schema import Floats

Axes3D = Any  # of mpl_toolkits, which has no types
_WAYS = (Series("black", "-", "o"), *SERIES[1:])

_LENGTH = 700.0  # m of an axis, ending beyond the vertex
_AHEAD = 250.0  # m of it after the vertex
_LARGEST, _LEAST = 110.0, 2.0  # points squared of the brightest module, and of any
_OUTLINE = {"color": "#7a7b7d", "linewidth": 0.8}


@dataclass(frozen=True, slots=True, eq=False)
class ShownAxis:
    """An axis of an event: vertex (3,) m and unit vector of motion (3,)."""

    name: str
    vertex: Floats
    direction: Floats


@dataclass(frozen=True, slots=True, eq=False)
class EventView:
    """What is shown of an event.

    modules (module, 3) m : of the whole detector.  position (hit, 3) m, charge (hit,) photoelectrons and time (hit,) ns
    of the modules that saw light.  axes : up to five, true ones first.
    """

    modules: Floats
    position: Floats
    charge: Floats
    time: Floats
    axes: tuple[ShownAxis, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.charge)
        if not n or self.position.shape != (n, 3) or self.time.shape != (n,):
            raise InputError(
                f"an event to be shown has {self.position.shape} places, {n} charges and {self.time.shape} times; "
                "expected as many of each, and at least one hit"
            )


def event_display(view: EventView, *, label: str, origin: str) -> Figure:
    """Modules as dots: their area grows with the root of the charge, their colour is the time of the first light.

    The outline of the detector is the hull of its strings; strings are faint.  Axes point where particles move.
    """
    figure = canvas(height=5.6)
    axes = figure.add_subplot(projection="3d")
    _outline(axes, view.modules)
    size = np.maximum(_LARGEST * np.sqrt(view.charge / view.charge.max()), _LEAST)
    since = (view.time - view.time.min()) * 1e-3
    order = np.argsort(-size)
    dots = axes.scatter(*view.position[order].T, s=size[order], c=since[order], cmap="viridis", alpha=0.8,
                        linewidths=0.0, depthshade=False)  # fmt: skip
    for one, series in zip(view.axes, _WAYS, strict=False):
        _axis(axes, one, series)
    _frame(axes, view.modules)
    bar = figure.colorbar(dots, ax=axes, shrink=0.62, pad=0.09, orientation="horizontal", aspect=32)
    bar.set_label("time of the first light (µs)", fontsize=10)
    bar.ax.tick_params(labelsize=SMALL)
    handles = _sizes(float(view.charge.max()))
    shown = [line for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
    return finished(figure, label, origin, columns=3, handles=[*shown, *handles])


def _outline(axes: Axes3D, modules: Floats) -> None:
    """Strings as faint lines, and the hull of them at its top and bottom."""
    flat, string = np.unique(np.round(modules[:, :2], 0), axis=0, return_inverse=True)
    for k, (x, y) in enumerate(flat):
        z = modules[np.ravel(string) == k, 2]
        axes.plot([x, x], [y, y], [z.min(), z.max()], color="#d8d8d8", linewidth=0.4, zorder=0)
    corners = flat[scipy.spatial.ConvexHull(flat).vertices]
    ring, low, high = np.vstack([corners, corners[:1]]), modules[:, 2].min(), modules[:, 2].max()
    for z in (low, high):
        axes.plot(*ring.T, np.full(len(ring), z), **_OUTLINE)
    for x, y in corners:
        axes.plot([x, x], [y, y], [low, high], **_OUTLINE)


def _axis(axes: Axes3D, one: ShownAxis, series: Series) -> None:
    """The way of a particle: a line through the vertex, with a marker there and a head where it goes."""
    ends = one.vertex + np.multiply.outer([_AHEAD - _LENGTH, _AHEAD], one.direction)
    colour = series.colour
    axes.plot(*ends.T, **series.lined, linewidth=1.8, label=short(one.name, 40))
    axes.plot(*one.vertex[:, None], color=colour, marker=series.marker, markersize=5, linestyle="none")
    head = ends[1] - 60.0 * one.direction
    axes.quiver(*head, *one.direction, length=60.0, arrow_length_ratio=1.0, color=colour, linewidth=1.8)


def _frame(axes: Axes3D, modules: Floats) -> None:
    """Equal scales, few ticks, names with units."""
    low, high = modules.min(axis=0) - 50.0, modules.max(axis=0) + 50.0
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    axes.set_box_aspect(high - low, zoom=1.12)
    for axis, name in zip((axes.xaxis, axes.yaxis, axes.zaxis), ("x (m)", "y (m)", "z (m)"), strict=True):
        axis.set_major_locator(matplotlib.ticker.FixedLocator([-500.0, 0.0, 500.0]))
        axis.set_label_text(name, fontsize=10)
        axis.pane.set_visible(False)
        axis.set_tick_params(labelsize=SMALL, pad=0)
    axes.view_init(elev=14.0, azim=-62.0)
    axes.grid(visible=False)


def _sizes(largest: float) -> list[Any]:
    """What dots of three charges look like, for the legend."""
    out = []
    for charge in sorted({10.0 ** np.floor(np.log10(largest) - k) for k in range(3)}):
        area = max(_LARGEST * np.sqrt(charge / largest), _LEAST)
        said = f"{charge:,g} photoelectron{'s' if charge != 1.0 else ''}"
        out.append(matplotlib.lines.Line2D([], [], linestyle="none", marker="o", color="#7a7b7d", markeredgewidth=0.0,
                                           markersize=float(np.sqrt(area)), label=said))  # fmt: skip
    return out
