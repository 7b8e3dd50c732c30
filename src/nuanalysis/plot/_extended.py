"""The search for extended sources: a strip of the plane with the best extension everywhere, and profiles along it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import matplotlib
from nuanalysis.errors import InputError
from nuanalysis.plot._sky import COLOURS, colour_bar, latitude_ticks, longitude_name, values_at
from nuanalysis.plot.canvas import SERIES, SMALL, Axes, Figure, canvas, finished, grid
from nuanalysis.schema import Floats, Ints

_ACROSS, _UP = 1440, 81
_GAP = 5.0  # deg of longitude without a position: the strip ends there
_DARK = "#00102a"
_LEAST_RADIUS = 0.4  # deg: smaller rings could not be seen
_ROW = 90.0  # deg of longitude in a row of the map at most
_INSIDE = 4.7  # inches of a row
_ROW_INCHES = (0.5, 1.6)  # between these heights of a row, degrees of l and b are as long


@dataclass(frozen=True, slots=True, eq=False)
class ExtensionStrip:
    """-log10 of the local p-value, (position,), at pixels (RING, ICRS) for one extension, deg."""

    extension_deg: float
    nside: int
    pixels: Ints
    log10_p: Floats


@dataclass(frozen=True, slots=True)
class Ring:
    """A place and its extension, deg: Galactic longitude, latitude, Gaussian sigma."""

    longitude: float
    latitude: float
    extension: float


def _span(strips: Sequence[ExtensionStrip]) -> tuple[float, float]:
    """Longitudes, deg, between which the positions lie, the second up to 360 above the first."""
    seen = []
    for strip in strips:
        ra, dec = hp.pix2ang(strip.nside, strip.pixels, lonlat=True)
        seen.append(np.asarray(hp.Rotator(coord=["C", "G"])(ra, dec, lonlat=True)[0]) % 360.0)
    longitude = np.sort(np.concatenate(seen))
    gaps = np.diff(np.append(longitude, longitude[0] + 360.0))
    widest = int(np.argmax(gaps))
    if gaps[widest] < _GAP:
        return -180.0, 180.0
    first = float(longitude[(widest + 1) % len(longitude)])
    return first - 0.5, first + 360.0 - float(gaps[widest]) + 0.5


def _image(strip: ExtensionStrip, longitude: Floats, latitude: Floats) -> Floats:
    """(latitude, longitude), deg; NaN where there is no position."""
    values = np.full(12 * strip.nside**2, np.nan)
    values[strip.pixels] = strip.log10_p
    return values_at(values, "icrs", np.radians(longitude)[None, :], np.radians(latitude)[:, None])


def _middles(low: float, high: float, n: int) -> Floats:
    edges = np.linspace(low, high, n + 1)
    return np.asarray(0.5 * (edges[1:] + edges[:-1]))


def _turned_to(longitude: float, first: float) -> float:
    """The longitude, deg, in the turn that begins at ``first``."""
    return first + (longitude - first) % 360.0


def _edge() -> list[matplotlib.patheffects.AbstractPathEffect]:
    """A dark edge around white lines."""
    return [matplotlib.patheffects.withStroke(linewidth=2.6, foreground=_DARK)]


def _draw(axes: Axes, ring: Ring, first: float, *, line: str, width: float) -> None:
    """A circle on the sky, white on a dark edge."""
    at, radius = (_turned_to(ring.longitude, first), ring.latitude), max(ring.extension, _LEAST_RADIUS)
    across = radius / max(np.cos(np.radians(at[1])), 0.2)
    style: Any = {"edgecolor": "white", "linewidth": width, "linestyle": line, "path_effects": _edge()}
    axes.add_patch(matplotlib.patches.Ellipse(at, 2 * across, 2 * radius, fill=False, **style))


def _marks(axes: Axes, hottest: Ring, sources: Sequence[Ring], first: float) -> None:
    """Rings of the sources, cross and dashed ring of the hottest position."""
    for source in sources:
        _draw(axes, source, first, line="-", width=1.0)
    _draw(axes, hottest, first, line="--", width=1.4)
    spot = (_turned_to(hottest.longitude, first), hottest.latitude)
    axes.plot(*spot, marker="x", color="white", markersize=6, markeredgewidth=1.6, path_effects=_edge())


def _longitudes(axes: Axes, low: float, high: float) -> None:
    """Limits and ticks of an axis of longitude, deg, that grows to the left."""
    step = next((s for s in (2, 5, 10, 20, 30) if (high - low) / s <= 8), 60)
    ticks = np.arange(np.ceil(low / step) * step, high + 1e-9, step)
    axes.set_xlim(high, low)
    axes.set_xticks(ticks, [longitude_name(-tick) for tick in ticks])
    axes.tick_params(labelsize=SMALL)


def _profiles(axes: Axes, strips: Sequence[ExtensionStrip], images: Sequence[Floats], x: Floats, top: float) -> None:
    """The largest value over latitude at each longitude, a line for each extension."""
    for k, (strip, image) in enumerate(zip(strips, images, strict=True)):
        style = SERIES[k % len(SERIES)]
        seen = np.isfinite(image).any(axis=0)
        profile = np.full(len(x), np.nan)
        profile[seen] = np.nanmax(image[:, seen], axis=0)
        axes.plot(x, profile, **style.lined, linewidth=1.2, label=f"{strip.extension_deg:g}°")
    axes.set_ylim(0.0, 1.55 * top)
    axes.set_ylabel("−log₁₀(local p),\nlargest along b", fontsize=10)
    axes.legend(
        title="extension (Gaussian σ)", title_fontsize=SMALL, fontsize=SMALL, ncols=min(len(strips), 4),
        loc="upper center", framealpha=1.0, edgecolor="none",
    )  # fmt: skip
    grid(axes)


def extended_figure(
    strips: Sequence[ExtensionStrip],
    hottest: Ring,
    sources: Sequence[Ring],
    *,
    half_width_deg: float,
    label: str,
    origin: str,
) -> Figure:
    """The strip of the plane with the smallest local p-value over extensions, and that over b for each extension.

    The hottest is marked; sources are rings of their size.
    """
    if not strips:
        raise InputError("a figure of extended sources has no extension; expected at least one")
    first, last = _span(strips)
    x, y = _middles(first, last, _ACROSS), _middles(-half_width_deg, half_width_deg, _UP)
    images = [_image(strip, x, y) for strip in strips]
    best = np.fmax.reduce(images)
    top = max(float(np.nanmax(best)), 1.0)
    rows = int(np.ceil((last - first) / _ROW))
    tall = float(np.clip(_INSIDE * 2 * half_width_deg * rows / (last - first), *_ROW_INCHES))
    figure = canvas(height=rows * (tall + 0.35) + 3.6)
    *maps, below = figure.subplots(rows + 1, 1, height_ratios=[*[tall] * rows, 1.7])
    edges = np.linspace(last, first, rows + 1)
    drawn: Any = None
    for axes, high, low in zip(maps, edges[:-1], edges[1:], strict=True):
        drawn = axes.imshow(
            best, origin="lower", extent=(first, last, -half_width_deg, half_width_deg), aspect="auto", cmap=COLOURS,
            vmin=0.0, vmax=top, interpolation="nearest",
        )  # fmt: skip
        _marks(axes, hottest, sources, first)
        _longitudes(axes, float(low), float(high))
        axes.set_ylim(-half_width_deg, half_width_deg)
        latitude_ticks(axes, half_width_deg)
    maps[rows // 2].set_ylabel("Galactic latitude b", fontsize=10)
    _profiles(below, strips, images, x, top)
    below.axvline(_turned_to(hottest.longitude, first), color="#7a7b7d", linewidth=0.8, linestyle=":")
    _longitudes(below, first, last)
    below.set_xlabel("Galactic longitude l, grows to the left", fontsize=10)
    colour_bar(figure, maps, drawn, "−log₁₀(local p), best extension", pad=0.02)
    return finished(figure, label, origin)
