"""Maps of the sky in Galactic coordinates, from HEALPix values in either frame.

Longitude grows to the left, as one sees the sky; the Galactic Centre is in the middle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import matplotlib
from nuanalysis.errors import InputError
from nuanalysis.plot._layers import Marker
from nuanalysis.plot._page import Drawn, Sidecar, mark, slug
from nuanalysis.plot.canvas import SMALL, Axes, Figure, canvas, finished, single
from nuanalysis.schema import Floats

COLOURS = "cividis"
DIVERGING = "RdBu_r"  # of signed values: white at zero, told apart by every kind of colour vision
FRAMES = ("icrs", "galactic")
PLANE_LATITUDE = 30.0  # deg, of a strip of the plane: enough that a degree of b can be as long as one of l
_ACROSS = 720  # pixels of a picture
_LINE = 1e-2  # of the scale, where the line of a signed map is drawn: at zero itself it would follow rounding errors
SIGNED_LINE = f"line: +{100 * _LINE:g} % of the scale"
Scale = Callable[[Floats], "matplotlib.colors.Normalize"]
"""The scale of the colours, from the values that are seen."""


def values_at(values: Floats, frame: str, longitude: Floats, latitude: Floats) -> Floats:
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


def linear_scale(seen: Floats, *, what: str = "a sky map", low: float | None = None) -> matplotlib.colors.Normalize:
    """From ``low``, or the lowest value that is seen, to the highest."""
    finite = seen[np.isfinite(seen)]
    if not finite.size:
        raise InputError(f"{what} has no finite value; expected at least one")
    bottom, top = float(finite.min()) if low is None else low, float(finite.max())
    return matplotlib.colors.Normalize(bottom, top if top > bottom else bottom + 1.0)


def signed_scale(seen: Floats, *, what: str = "a sky map") -> matplotlib.colors.Normalize:
    """Symmetric about zero, to the largest size that is seen."""
    linear_scale(seen, what=what)  # refuses what has no value
    top = float(np.nanmax(np.abs(seen))) or 1.0
    return matplotlib.colors.Normalize(-top, top)


def level_line(axes: Any, x: Floats, y: Floats, seen: Floats, level: float) -> None:
    """A line where the values (latitude, longitude) pass a level; nothing where they do not."""
    if not np.nanmin(seen) < level < np.nanmax(seen):
        return
    where: dict[str, Any] = {}
    if axes.name == "mollweide":  # nodes are projected here, once: matplotlib would do it with 75 points a segment
        nodes = np.stack(np.meshgrid(x, y), axis=-1)
        x, y = axes.transProjection.transform(nodes.reshape(-1, 2)).reshape(nodes.shape).transpose(2, 0, 1)
        where["transform"] = axes.transAffine + axes.transAxes
    axes.contour(x, y, seen, levels=[level], colors="black", linewidths=0.6, **where)


def longitude_name(x: float) -> str:
    """Name of the tick at x = -l in deg: 30 degrees left of the centre is 30, right of it 330."""
    return f"{round(-x) % 360}°"


def colour_bar(figure: Figure, axes: Any, drawn: Any, label: str, *, pad: float = 0.03, upright: bool = False) -> Any:
    """The colour bar of one panel or several, below them, or beside them where ``upright``."""
    way, shrink, aspect = ("vertical", 0.9, 10) if upright else ("horizontal", 0.75, 32)
    bar = figure.colorbar(drawn, ax=axes, pad=pad, orientation=way, shrink=shrink, aspect=aspect)
    bar.set_label(label, fontsize=SMALL if upright else 10)
    bar.ax.tick_params(labelsize=SMALL)
    return bar


def _drawn(
    axes: Axes, values: Floats, frame: str, scale: Scale, x_edges: Floats, y_edges: Floats, *, signed: bool
) -> tuple[Any, Any]:
    """Draw a map at x = -l and y = b, rad; returns what a colour bar belongs to, and (x, y, values) in the middles."""
    x, y = 0.5 * (x_edges[1:] + x_edges[:-1]), 0.5 * (y_edges[1:] + y_edges[:-1])
    strip = axes.name != "mollweide"  # in deg
    turn = np.radians if strip else np.asarray
    seen = values_at(values, frame, turn(-x)[None, :], turn(y)[:, None])
    norm = scale(seen)
    shown = np.clip(seen, norm.vmin, norm.vmax)
    colours = DIVERGING if signed else COLOURS
    made = axes.pcolormesh(x_edges, y_edges, shown, cmap=colours, norm=norm, rasterized=True)
    if signed:
        level_line(axes, x, y, seen, _LINE * float(norm.vmax or 0.0))
    return made, (x, y, seen)


def mollweide(
    figure: Figure, slot: Any, values: Floats, scale: Scale, *, frame: str = "icrs", signed: bool = False
) -> tuple[Axes, Any, Any]:
    """A whole-sky map in a slot of the figure: axes, what a colour bar belongs to, and (x, y, values), rad.

    signed : in diverging colours, with the line of ``SIGNED_LINE``.
    """
    axes = figure.add_subplot(slot, projection="mollweide")
    half = np.pi / 2
    edges = np.linspace(-np.pi, np.pi, _ACROSS + 1), np.linspace(-half, half, _ACROSS // 2 + 1)
    drawn, seen = _drawn(axes, values, frame, scale, *edges, signed=signed)
    degrees = np.array([-120, -60, 0, 60, 120])
    axes.set_xticks(np.radians(degrees), [longitude_name(d) for d in degrees])
    for tick in axes.get_xticklabels():
        tick.set_color("white")
        tick.set_bbox({"boxstyle": "round,pad=0.15", "facecolor": "#00000080", "edgecolor": "none"})
    axes.set_yticks(np.radians([-60, -30, 0, 30, 60]), ["−60°", "−30°", "0°", "30°", "60°"])
    axes.tick_params(labelsize=SMALL)
    axes.grid(visible=True, color="black" if signed else "white", alpha=0.35, linewidth=0.6)
    return axes, drawn, seen


def longitude_axis(axes: Axes) -> None:
    """All longitudes, growing to the left, deg."""
    axes.set_xlim(-180.0, 180.0)
    axes.set_xticks(np.arange(-180, 181, 60), [longitude_name(d) for d in range(-180, 181, 60)])
    axes.tick_params(labelsize=SMALL)


def latitude_ticks(axes: Axes, latitude_deg: float) -> None:
    """The plane and both borders of a strip around it."""
    axes.set_yticks(np.linspace(-latitude_deg, latitude_deg, 3))
    axes.yaxis.set_major_formatter(lambda b, _: f"{b:g}°".replace("-", "−"))


def plane_strip(
    axes: Axes, values: Floats, scale: Scale, *, frame: str = "icrs", signed: bool = False
) -> tuple[Any, Any]:
    """The Galactic plane up to 30 degrees of latitude, plate carree, a degree of b as long as one of l.

    Returns what a colour bar belongs to, and (x, y, values), deg.    signed : as of ``mollweide``.
    """
    edges = np.linspace(-180.0, 180.0, _ACROSS + 1), np.linspace(-PLANE_LATITUDE, PLANE_LATITUDE, 121)
    made = _drawn(axes, values, frame, scale, *edges, signed=signed)
    longitude_axis(axes)
    latitude_ticks(axes, PLANE_LATITUDE)
    axes.set_aspect("equal")
    return made


def _on_map(ra: Floats, dec: Floats) -> tuple[Floats, Floats]:
    """x (longitude to the left, -pi to pi) and y of directions (direction,) in rad, ICRS."""
    theta, phi = (np.atleast_1d(a) for a in hp.Rotator(coord=["C", "G"])(np.pi / 2 - dec, ra))
    return np.pi - (phi + np.pi) % (2 * np.pi), np.pi / 2 - theta


def _draw_marks(axes: Axes, marks: Sequence[Marker]) -> None:
    """Rings with names, and the celestial equator that divides the hemispheres they are named after."""
    around = np.linspace(0.0, 2 * np.pi, 721)
    x, y = _on_map(around, np.zeros_like(around))
    order = np.argsort(x)
    axes.plot(x[order], y[order], color="white", linestyle="--", linewidth=1.0)
    for one in marks:
        [at_x], [at_y] = _on_map(np.array([one.ra]), np.array([one.dec]))
        axes.plot(at_x, at_y, "o", markersize=11, markerfacecolor="none", markeredgecolor="black", markeredgewidth=3.0)
        axes.plot(at_x, at_y, "o", markersize=11, markerfacecolor="none", markeredgecolor="white", markeredgewidth=1.2)
        inwards = -1 if at_x > 0 else 1
        away = np.sign(at_y) if abs(at_y) < 1.0 else -np.sign(at_y)  # from the ticks, which lie along b = 0
        axes.annotate(
            one.name,
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
    marks: Sequence[Marker] = (),
    signed: bool = False,
) -> Figure:
    """Whole sky, Mollweide projection, Galactic coordinates.

    values : (12 nside^2,) HEALPix RING; NaN is left white.    frame : of the values, icrs or galactic.
    unit : quantity and unit of the colour scale.    low : its lower end; without: the lowest value.
    marks  : places ringed and named; with them the celestial equator is drawn, dashed.
    signed : diverging colours symmetric about zero, and the line of ``SIGNED_LINE``; ``low`` is of no use.
    """
    figure = canvas(height=4.2)
    scale = signed_scale if signed else partial(linear_scale, low=low)
    axes, drawn, _ = mollweide(figure, 111, values, scale, frame=frame, signed=signed)
    if marks:
        _draw_marks(axes, marks)
    axes.set_xlabel("Galactic longitude l (ticks inside), grows to the left", fontsize=10)
    axes.set_ylabel("Galactic latitude b (deg)", fontsize=10, labelpad=8)
    finished(figure, label, origin)
    colour_bar(figure, axes, drawn, unit, pad=0.04).formatter.set_powerlimits((-2, 4))
    return figure


def plane_crop(
    values: Floats,
    *,
    label: str,
    unit: str,
    frame: str,
    origin: str,
    low: float | None = None,
    signed: bool = False,
) -> Figure:
    """The Galactic plane up to 30 degrees of latitude, plate carree in Galactic coordinates, both scales the same.

    values, frame, low, signed : as of ``sky_map``.
    """
    figure, axes = single(height=2.4)
    scale = signed_scale if signed else partial(linear_scale, low=low)
    drawn, _ = plane_strip(axes, values, scale, frame=frame, signed=signed)
    axes.axhline(0.0, color="black" if signed else "white", alpha=0.5, linewidth=0.6, linestyle=":" if signed else "-")
    axes.set_xlabel("Galactic longitude l (deg)", fontsize=10)
    axes.set_ylabel("Galactic\nlatitude b (deg)", fontsize=10)
    finished(figure, label, origin)
    colour_bar(figure, axes, drawn, unit, pad=0.04).formatter.set_powerlimits((-2, 4))
    return figure


_UNIT = f"contribution to TS (sr⁻¹); {SIGNED_LINE}"
_WHERE = "Galactic coordinates, Galactic Centre in the middle, longitude grows to the left"


def ts_maps(values: Floats, *, label: str, sample: str, origin: str, hypothesis: str) -> tuple[Drawn, ...]:
    """Where the test statistic comes from, (pixel,) RING ICRS per steradian; of a template the plane alone, too."""
    nside, total = int(np.sqrt(len(values) / 12)), float(values.mean() * 4 * np.pi)
    said = f"{label}, {origin} sample {sample}"
    alt = (
        f"Map of where the test statistic comes from, {said}: values from {values.min():.3g} to {values.max():.3g} "
        f"per steradian, {total:.2f} over the whole sky"
    )
    flat = " It is zero everywhere: no signal was fitted." if not np.any(values) else ""
    meant = f"red where events add to it, blue where they take from it, {SIGNED_LINE}"
    caption = f"{said}: test statistic per steradian, {meant}; HEALPix nside {nside}; {_WHERE}.{flat}"
    name, short = f"{sample}-{slug(hypothesis)}{mark(origin)}", f"{label}, {sample}"
    whole = Drawn(
        sky_map(values, label=short, unit=_UNIT, frame="icrs", origin=origin, signed=True),
        Sidecar(f"map-{name}", alt, caption, origin, "maps"),
    )
    if not hypothesis.startswith("template:"):
        return (whole,)
    crop = plane_crop(values, label=short, unit=_UNIT, frame="icrs", origin=origin, signed=True)
    alone = f"{caption} The plane alone, |b| < {PLANE_LATITUDE:g}°, plate carrée."
    return (
        whole,
        Drawn(crop, Sidecar(f"plane-{name}", f"The Galactic plane of this map. {alt}", alone, origin, "maps")),
    )
