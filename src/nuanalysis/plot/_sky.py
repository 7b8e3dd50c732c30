"""Maps of the sky in Galactic coordinates, from HEALPix values in either frame.

Longitude grows to the left, as one sees the sky; the Galactic Centre is in the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import matplotlib
from nuanalysis.errors import InputError
from nuanalysis.plot.canvas import SMALL, Axes, Figure, canvas, title

Floats = NDArray[np.float64]
COLOURS = "cividis"
FRAMES = ("icrs", "galactic")
_LONGITUDES = np.arange(-150, 151, 30)  # deg, of the ticks
_PIXELS_ACROSS = 720


@dataclass(frozen=True, slots=True)
class Mark:
    """A named place on a map; right ascension and declination in rad, ICRS."""

    name: str
    ra: float
    dec: float


def _values_at(values: Floats, frame: str, longitude: Floats, latitude: Floats) -> Floats:
    """Look a RING map up at Galactic longitude and latitude in rad; shapes broadcast."""
    npix = len(values)
    if np.ndim(values) != 1 or not hp.isnpixok(npix):
        raise InputError(f"a sky map has shape {np.shape(values)}; expected (12 nside^2,), HEALPix RING")
    if frame not in FRAMES:
        raise InputError(f"the frame of a sky map is '{frame}'; expected {' or '.join(FRAMES)}")
    longitude, latitude = np.broadcast_arrays(longitude, latitude)
    theta, phi = np.pi / 2 - latitude.ravel(), longitude.ravel()
    if frame == "icrs":
        theta, phi = hp.Rotator(coord=["G", "C"])(theta, phi)
    seen: Floats = np.asarray(values)[hp.ang2pix(hp.npix2nside(npix), theta, phi)].reshape(longitude.shape)
    return seen


def _limits(seen: Floats, low: float | None, high: float | None) -> tuple[float, float]:
    finite = seen[np.isfinite(seen)]
    if not finite.size:
        raise InputError("a sky map has no finite value; expected at least one")
    bottom = float(finite.min()) if low is None else low
    top = float(finite.max()) if high is None else high
    return bottom, top if top > bottom else bottom + 1.0


def _longitude_name(x: float) -> str:
    """Name of the tick at x = -l in deg: 30 degrees left of the centre is 30, right of it 330."""
    return f"{round(-x) % 360}°"


def _colour_bar(figure: Figure, axes: Axes, drawn: matplotlib.cm.ScalarMappable, unit: str) -> None:
    bar = figure.colorbar(drawn, ax=axes, orientation="horizontal", shrink=0.75, pad=0.04, aspect=32)
    bar.set_label(unit, fontsize=10)
    bar.ax.tick_params(labelsize=SMALL)
    bar.formatter.set_powerlimits((-2, 3))  # type: ignore[attr-defined]


def _on_map(ra: Floats, dec: Floats) -> tuple[Floats, Floats]:
    """x (longitude to the left, -pi to pi) and y of directions (direction,) in rad, ICRS."""
    theta, phi = (np.atleast_1d(a) for a in hp.Rotator(coord=["C", "G"])(np.pi / 2 - dec, ra))
    return np.pi - (phi + np.pi) % (2 * np.pi), np.pi / 2 - theta


def _draw_marks(axes: Axes, marks: Sequence[Mark]) -> None:
    """Rings with names, and the celestial equator that divides the hemispheres they are named after."""
    around = np.linspace(0.0, 2 * np.pi, 721)
    x, y = _on_map(around, np.zeros_like(around))
    order = np.argsort(x)
    axes.plot(x[order], y[order], color="white", linestyle="--", linewidth=1.0)
    for mark in marks:
        [at_x], [at_y] = _on_map(np.array([mark.ra]), np.array([mark.dec]))
        axes.plot(at_x, at_y, "o", markersize=11, markerfacecolor="none", markeredgecolor="black", markeredgewidth=3.0)
        axes.plot(at_x, at_y, "o", markersize=11, markerfacecolor="none", markeredgecolor="white", markeredgewidth=1.2)
        inwards = -1 if at_x > 0 else 1
        away = np.sign(at_y) if abs(at_y) < 1.0 else -np.sign(at_y)  # from the ticks, which lie along b = 0
        axes.annotate(
            mark.name,
            (at_x, at_y),
            xytext=(10 * inwards, 12 * away),
            textcoords="offset points",
            horizontalalignment="left" if inwards > 0 else "right",
            verticalalignment="center",
            fontsize=SMALL,
            bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "black", "linewidth": 0.6},
        )


def sky_map(
    values: Floats,
    *,
    label: str,
    unit: str,
    frame: str,
    origin: str,
    low: float | None = None,
    high: float | None = None,
    marks: Sequence[Mark] = (),
) -> Figure:
    """Whole sky, Mollweide projection, Galactic coordinates.

    values : (12 nside^2,) HEALPix RING; NaN is left white.    frame : of the values, icrs or galactic.
    unit : quantity and unit of the colour scale.
    marks  : places ringed and named; with them the celestial equator is drawn, dashed.
    """
    x_edges = np.linspace(-np.pi, np.pi, _PIXELS_ACROSS + 1)
    y_edges = np.linspace(-np.pi / 2, np.pi / 2, _PIXELS_ACROSS // 2 + 1)
    x, y = 0.5 * (x_edges[1:] + x_edges[:-1]), 0.5 * (y_edges[1:] + y_edges[:-1])
    seen = _values_at(values, frame, -x[None, :], y[:, None])
    bottom, top = _limits(seen, low, high)
    figure = canvas(height=4.2)
    axes = figure.add_subplot(projection="mollweide")
    drawn = axes.pcolormesh(x_edges, y_edges, seen, cmap=COLOURS, vmin=bottom, vmax=top, rasterized=True)
    axes.set_xticks(np.radians(_LONGITUDES[1:-1:2]), [_longitude_name(d) for d in _LONGITUDES[1:-1:2]])
    for tick in axes.get_xticklabels():
        tick.set_color("white")
        tick.set_bbox({"boxstyle": "round,pad=0.15", "facecolor": "#00000080", "edgecolor": "none"})
    axes.set_yticks(np.radians([-60, -30, 0, 30, 60]), ["−60°", "−30°", "0°", "30°", "60°"])
    axes.tick_params(labelsize=SMALL)
    axes.grid(visible=True, color="white", alpha=0.35, linewidth=0.6)
    if marks:
        _draw_marks(axes, marks)
    axes.set_xlabel("Galactic longitude l (ticks inside), grows to the left", fontsize=10)
    axes.set_ylabel("Galactic latitude b", fontsize=10, labelpad=8)
    title(figure, label, origin)
    _colour_bar(figure, axes, drawn, unit)
    return figure


def plane_crop(
    values: Floats,
    *,
    label: str,
    unit: str,
    frame: str,
    origin: str,
    latitude_deg: float = 15.0,
    low: float | None = None,
    high: float | None = None,
) -> Figure:
    """The Galactic plane, plate carree in Galactic coordinates; the scale in b is stretched to fill the height.

    values, frame : as of ``sky_map``.
    """
    x_edges = np.linspace(-180.0, 180.0, _PIXELS_ACROSS + 1)
    y_edges = np.linspace(-latitude_deg, latitude_deg, 121)
    x, y = 0.5 * (x_edges[1:] + x_edges[:-1]), 0.5 * (y_edges[1:] + y_edges[:-1])
    seen = _values_at(values, frame, np.radians(-x)[None, :], np.radians(y)[:, None])
    bottom, top = _limits(seen, low, high)
    figure = canvas(height=2.9)
    axes = figure.add_subplot()
    drawn = axes.pcolormesh(x_edges, y_edges, seen, cmap=COLOURS, vmin=bottom, vmax=top, rasterized=True)
    axes.set_xticks(np.arange(-180, 181, 60), [_longitude_name(d) for d in range(-180, 181, 60)])
    axes.set_yticks(np.linspace(-latitude_deg, latitude_deg, 3))
    axes.yaxis.set_major_formatter(lambda b, _: f"{b:g}°".replace("-", "−"))
    axes.axhline(0.0, color="white", alpha=0.5, linewidth=0.6)
    axes.tick_params(labelsize=SMALL)
    axes.set_xlabel("Galactic longitude l", fontsize=10)
    axes.set_ylabel("Galactic\nlatitude b", fontsize=10)
    title(figure, label, origin)
    _colour_bar(figure, axes, drawn, unit)
    return figure
