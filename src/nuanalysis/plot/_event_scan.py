"""A sky scan of one event: its leaves over the whole sky and about the best fit, with contours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nuanalysis.deferred import matplotlib
from nuanalysis.plot.canvas import SERIES, SMALL, Axes, Figure, canvas, finished, named
from nuanalysis.schema import Floats
from nuanalysis.sphere import cos_separation

_DEEP = 3.0  # levels of 90 % at which the colours end
_MARGIN = 1.35  # of the 90 % region about the best fit


@dataclass(frozen=True, slots=True, eq=False)
class ScanView:
    """What is shown of a scan; all angles in rad, ICRS.

    corners (leaf, 4, 2), ts (leaf,) : right ascension and declination of the corners of each leaf, and its TS.
    whole (row, column) : TS over the sky, declination rising from -pi/2, right ascension from 0, even steps.
    contours : name and closed lines (vertex, 2) of each, innermost first.  ninety : TS of the outer one.
    best, truth : directions; None without a truth.
    """

    corners: Floats
    ts: Floats
    whole: Floats
    contours: tuple[tuple[str, tuple[Floats, ...]], ...]
    ninety: float
    best: tuple[float, float]
    truth: tuple[float, float] | None = None


def scan_figure(view: ScanView, *, label: str, origin: str) -> Figure:
    """Left: all leaves, right ascension and declination.  Right: about the best fit, offsets on the sky."""
    figure = canvas(width=10.0, height=4.6)
    whole, near = figure.subplots(1, 2, width_ratios=(1.5, 1.0))
    norm = matplotlib.colors.Normalize(0.0, _DEEP * view.ninety)
    whole.imshow(
        view.whole, extent=(0.0, 360.0, -90.0, 90.0), origin="lower", cmap="viridis_r", norm=norm, aspect="auto"
    )
    whole.set(xlim=(360.0, 0.0), ylim=(-90.0, 90.0))
    whole.set_xticks([360, 270, 180, 90, 0])
    whole.set_yticks([-90, -45, 0, 45, 90])
    named(whole, "right ascension, ICRS (deg)", "declination, ICRS (deg)")
    shown = _leaves(near, np.degrees(_offsets(view.corners, view.best)), view.ts, norm)
    for (name, lines), series in zip(view.contours, (SERIES[0], SERIES[1]), strict=False):
        colour = "black" if series is SERIES[0] else "#c02020"
        for k, line in enumerate(lines):
            said = name if k == 0 else None
            near.plot(*np.degrees(_offsets(line, view.best)).T, color=colour, linestyle=series.line, label=said)
            for turn in np.array([[-360.0, 0.0], [0.0, 0.0], [360.0, 0.0]]):
                whole.plot(*(np.degrees(line) + turn).T, color=colour, linestyle=series.line, linewidth=1.0)
    _marks(whole, near, view)
    reach = _reach(view)
    near.set(xlim=(reach, -reach), ylim=(-reach, reach), aspect="equal")
    named(near, "east of the best fit (deg)", "north of the best fit (deg)")
    near.grid(visible=False)  # edges of leaves are lines enough
    bar = figure.colorbar(shown, ax=(whole, near), shrink=0.9, pad=0.02, extend="max")
    bar.set_label("TS = 2 (ln L best − ln L)", fontsize=10)
    bar.ax.tick_params(labelsize=SMALL)
    handles, names = near.get_legend_handles_labels()
    return finished(figure, label, origin, columns=4, handles=handles, labels=names)


def _leaves(axes: Axes, corners: Floats, ts: Floats, norm: Any) -> Any:
    held = matplotlib.collections.PolyCollection(
        list(corners), array=np.where(np.isfinite(ts), ts, np.nan), cmap="viridis_r", norm=norm,
        edgecolors="white", linewidths=0.2,
    )  # fmt: skip
    axes.add_collection(held)
    return held


def _offsets(points: Floats, best: tuple[float, float]) -> Floats:
    """East and north of the best fit in the equidistant projection about it, rad; (..., 2) in and out."""
    ra, dec = points[..., 0], points[..., 1]
    away = np.arccos(np.clip(cos_separation(np.asarray(best[0]), np.asarray(best[1]), ra, dec), -1.0, 1.0))
    east = np.cos(dec) * np.sin(ra - best[0])
    north = np.cos(best[1]) * np.sin(dec) - np.sin(best[1]) * np.cos(dec) * np.cos(ra - best[0])
    turn = np.arctan2(east, north)
    return np.stack([away * np.sin(turn), away * np.cos(turn)], axis=-1)


def _reach(view: ScanView) -> float:
    """Half the width of the right panel, deg: the outer contour and the truth are within."""
    points = [np.abs(_offsets(line, view.best)).max() for _, lines in view.contours for line in lines]
    if view.truth is not None:
        points.append(np.abs(_offsets(np.array(view.truth), view.best)).max())
    return float(min(_MARGIN * np.degrees(max(points)), 180.0))


def _marks(whole: Axes, near: Axes, view: ScanView) -> None:
    marks = [("best fit", view.best, "+", "black")]
    if view.truth is not None:
        marks.append(("truth of the simulation", view.truth, "x", "#c02020"))
    for name, where, marker, colour in marks:
        for axes, at in ((whole, np.degrees(where)), (near, np.degrees(_offsets(np.array(where), view.best)))):
            axes.plot(*np.reshape(at, (2, 1)), marker=marker, color=colour, markersize=9, linestyle="none",
                      markeredgewidth=1.6, label=name if axes is near else None)  # fmt: skip
