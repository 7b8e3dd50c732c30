"""Templates as pictures: the map and its profiles, two maps side by side, fluxes by region, panels of the plane.

Everything is drawn in Galactic coordinates, longitude growing to the left, from maps in ICRS.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nuanalysis.deferred import matplotlib
from nuanalysis.errors import InputError
from nuanalysis.interpret.published import Intensity
from nuanalysis.interpret.regions import Region, RegionFluxes
from nuanalysis.interpret.template_comparison import LATITUDE_EDGES, LONGITUDE_EDGES, Comparison, Profiles
from nuanalysis.plot._sky import (
    SIGNED_LINE,
    colour_bar,
    level_line,
    linear_scale,
    longitude_axis,
    mollweide,
    plane_strip,
    signed_scale,
)  # fmt: skip
from nuanalysis.plot.canvas import (
    SERIES,
    SMALL,
    Axes,
    Figure,
    Series,
    canvas,
    finished,
    log_ticks,
    marked,
    named,
    origin_of,
)  # fmt: skip
from nuanalysis.schema import Floats
from nuanalysis.sky.records import Template
from nuanalysis.sphere import regrade

DECADES = 4.0  # of a logarithmic colour scale below its top
RATIO_REACH = 4.0  # colour scale of a ratio: from 1/4 to 4
LATITUDE_SHOWN = 30.0  # deg
DENSITY_UNIT = "share of the flux (sr⁻¹)"
ORIGINS = {"published": "published map", "built-in": "built-in model", "user file": "user file"}
TITLE_LETTERS = 56  # of a line of a title, at 11 pt
LEGEND_LETTERS = 24  # of the longest of two or three names beside each other


@dataclass(frozen=True, slots=True, eq=False)
class PlanePanel:
    """One panel of the Galactic plane.

    values : (pixel,) HEALPix RING in ICRS; NaN is left white.    label, unit : quantity and unit of its colour scale.
    signed : the scale is symmetric about zero, and a line is drawn where the values turn positive.
    log : the scale is logarithmic, over ``DECADES`` decades.
    origin : of what was measured, real or synthetic; '' for a model.
    """

    title: str
    values: Floats
    label: str
    unit: str = ""
    signed: bool = False
    log: bool = False
    origin: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A fitted template by region; low, high: ends of the 68 % interval of its flux in units of the best fit."""

    label: str
    fluxes: RegionFluxes
    low: float
    high: float
    origin: str = "real"


def energy_name(log10_energy: float) -> str:
    """An energy in words: 5.0 -> '100 TeV', 6.0 -> '1 PeV'."""
    for unit, power in (("PeV", 6), ("TeV", 3)):
        if log10_energy >= power - 1e-9:
            return f"{10.0 ** (log10_energy - power):.3g} {unit}"
    return f"{10.0**log10_energy:.3g} GeV"


def _wrapped(text: str) -> str:
    """A title in lines that fit the width of a figure."""
    return textwrap.fill(text, TITLE_LETTERS, break_long_words=True)


# ---- pieces -------------------------------------------------------------------------------------------------------


def _log_scale(tops: Sequence[Floats]) -> matplotlib.colors.LogNorm:
    """One logarithmic scale for several maps: down from the brightest pixel."""
    top = max(float(np.nanmax(values)) for values in tops)
    if not top > 0:
        raise InputError("a map has no positive value; a logarithmic colour scale needs one")
    lowest = min(float(values[values > 0].min()) for values in tops if np.any(values > 0))
    return matplotlib.colors.LogNorm(max(top * 10**-DECADES, min(lowest, 0.5 * top)), top)


def _whole_sky(figure: Figure, slot: Any, values: Floats, norm: Any, name: str) -> tuple[Axes, Any, Any]:
    """A whole-sky map in a slot of the figure's grid, as of ``mollweide``."""
    axes, drawn, seen = mollweide(figure, slot, values, lambda _: norm)
    axes.set_ylabel("b", fontsize=10, labelpad=4)
    axes.set_title(name, fontsize=10, pad=6)
    return axes, drawn, seen


def _densities(figure: Figure, rows: Any, maps: Sequence[Floats], names: Sequence[str]) -> None:
    """Maps below each other on one logarithmic scale, their colour bar below the last."""
    norm = _log_scale(maps)
    made = [_whole_sky(figure, rows[k, :], maps[k], norm, name) for k, name in enumerate(names)]
    label = f"{DENSITY_UNIT}; Galactic coordinates, l grows to the left"
    colour_bar(figure, [axes for axes, *_ in made], made[-1][1], label)


def _longitude_panel(axes: Axes, lines: Sequence[tuple[str, Profiles, Series]]) -> None:
    edges = -np.degrees(LONGITUDE_EDGES)[::-1]
    for name, line, series in lines:
        axes.stairs(1e3 * line.per_degree[::-1], edges, **series.lined, linewidth=1.6, label=name)
    longitude_axis(axes)
    axes.set_ylim(bottom=0.0)
    named(axes, "Galactic longitude l", "flux per degree\n(10⁻³ of all)")
    axes.set_title("|b| < 8°", fontsize=10)


def _latitude_panel(axes: Axes, lines: Sequence[tuple[str, Profiles, Series]], part: str, y: str = "") -> None:
    for name, line, series in lines:
        share = np.where(line.latitude_per_sr(part) > 0, line.latitude_per_sr(part), np.nan)
        axes.stairs(share, np.degrees(LATITUDE_EDGES), baseline=None, **series.lined, linewidth=1.6, label=name)
    axes.set_yscale("log")
    axes.set_xlim(-LATITUDE_SHOWN, LATITUDE_SHOWN)
    axes.set_xticks([-30, -15, 0, 15, 30], ["−30°", "−15°", "0°", "15°", "30°"])
    named(axes, "Galactic latitude b", y)
    axes.set_title("|l| < 60°" if part == "inner" else "|l| > 60°", fontsize=10)


def _with_profiles(figure: Figure, slots: Any, lines: Sequence[tuple[str, Profiles, Series]], label: str) -> Figure:
    """Finish with the longitude profile in the first row of two slots, both latitude profiles in the second."""
    _longitude_panel(figure.add_subplot(slots[0, :]), lines)
    left = figure.add_subplot(slots[1, 0])
    right = figure.add_subplot(slots[1, 1], sharey=left)
    _latitude_panel(left, lines, "inner", "flux share\n(sr⁻¹)")
    _latitude_panel(right, lines, "outer")
    right.tick_params(labelleft=False)
    if len(lines) == 1:
        return finished(figure, label, "real")
    handles, names = left.get_legend_handles_labels()
    columns = 1 if max(map(len, names)) > LEGEND_LETTERS else len(names)
    return finished(figure, label, "real", columns=columns, handles=handles, labels=names)


# ---- figures ------------------------------------------------------------------------------------------------------


def template_figure(template: Template, profiles: Sequence[Profiles]) -> Figure:
    """One template: a map at the energy of each profile, Mollweide, and the profiles in longitude and latitude.

    One profile is enough where the map is the same at all energies; the title says where the map is from.
    """
    if not profiles or len(profiles) > len(SERIES):
        raise InputError(f"a template figure got {len(profiles)} profiles; expected 1 to {len(SERIES)}")
    maps = [template.density_at(line.log10_energy) for line in profiles]
    figure = canvas(height=2.9 * len(maps) + 4.9)
    rows = figure.add_gridspec(len(maps) + 2, 2, height_ratios=[2.5] * len(maps) + [1.7, 1.7])
    alone = len(template.maps) == 1
    energies = [energy_name(line.log10_energy) for line in profiles]
    _densities(figure, rows, maps, ["the same at all energies" if alone else name for name in energies])
    head = _wrapped(f"{template.label} ({ORIGINS[template.origin]}), nside {template.nside}")
    slots = rows[len(maps) :, :].subgridspec(2, 2)
    return _with_profiles(figure, slots, list(zip(energies, profiles, SERIES, strict=False)), head)


def comparison_figure(a: Template, b: Template, comparison: Comparison) -> Figure:
    """Two templates: both maps on one colour scale, the ratio of the densities, and both profiles.

    The ratio is drawn at the coarser of the two resolutions; a black line marks where it is one.
    """
    at = comparison.log10_energy
    maps = [template.density_at(at) for template in (a, b)]
    nside = min(a.nside, b.nside)
    first, second = (regrade(values, nside) for values in maps)
    ratio = np.divide(first, second, out=np.full(len(first), np.nan), where=second > 0)
    figure = canvas(height=13.4)
    rows = figure.add_gridspec(5, 2, height_ratios=[2.5, 2.5, 2.6, 1.7, 1.7])
    _densities(figure, rows, maps, [_wrapped(f"{one.label} ({ORIGINS[one.origin]})") for one in (a, b)])
    norm = matplotlib.colors.LogNorm(1 / RATIO_REACH, RATIO_REACH)
    axes, shade, (x, y, shares) = _whole_sky(figure, rows[2, :], ratio, norm, "first over second")
    level_line(axes, x, y, shares, 1.0)
    bar = colour_bar(figure, axes, shade, "ratio of the shares (line: 1)")
    bar.ax.xaxis.set_major_locator(matplotlib.ticker.FixedLocator([0.25, 0.5, 1.0, 2.0, 4.0]))
    bar.ax.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    bar.ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    alike = ", ".join(
        f"{one.cosine:.3f} " + (f"at {np.degrees(one.width):.3g}°" if one.width else "as they are")
        for one in comparison.likeness
    )
    head = _wrapped(f"{a.label} and {b.label} at {energy_name(at)}")
    lines = list(zip((a.label, b.label), comparison.profiles, SERIES, strict=False))
    slots = rows[3:, :].subgridspec(2, 2)
    return _with_profiles(figure, slots, lines, f"{head}\ncosine similarity: {alike}")


def region_figure(fitted: Sequence[Fitted], measured: Sequence[Intensity]) -> Figure:
    """E^2 dN/dE per sr by region against energy: fitted templates with 68 % bands beside measurements by others.

    One panel for each region that is both in ``fitted`` and measured.
    """
    regions: list[Region] = list(dict.fromkeys(one.region for one in measured))
    regions = [part for part in regions if all(part in one.fluxes.regions for one in fitted)]
    if not fitted or len(fitted) > len(SERIES) or not regions:
        raise InputError(
            f"a figure by region got {len(fitted)} fits (1 to {len(SERIES)} can be told apart) and {len(regions)} "
            "regions that are measured and part of each fit; expected at least one"
        )
    figure = canvas(height=1.6 + 2.1 * len(regions) + 0.2 * len(fitted))
    panels = figure.subplots(len(regions), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, part in zip(panels, regions, strict=True):
        for one, series in zip(fitted, SERIES, strict=False):
            row = one.fluxes.intensity[one.fluxes.regions.index(part)]
            energy = 10.0 ** (one.fluxes.log10_energy - 3.0)
            axes.fill_between(energy, row * one.low, row * one.high, color=series.colour, alpha=0.22, linewidth=0.0)
            axes.plot(energy, row, **series.lined, linewidth=1.6, label=marked(one.label, one.origin))
        for marker, point in zip("osD^v", (m for m in measured if m.region == part), strict=False):
            axes.errorbar(
                [10.0 ** (point.log10_energy - 3.0)], [point.value],
                yerr=[[point.value - point.low], [point.high - point.value]], fmt=marker, color="black",
                markerfacecolor="white", markersize=6.5, capsize=3, linewidth=1.4, label=point.label,
            )  # fmt: skip
        axes.set_title(part.label, fontsize=10)
        named(axes)
        handles, names = axes.get_legend_handles_labels()
        lines = len(fitted)
        axes.legend(handles[lines:], names[lines:], fontsize=SMALL, frameon=False, loc="upper right")
    panels[0].set_xscale("log")
    panels[0].set_yscale("log")
    panels[0].yaxis.set_major_locator(matplotlib.ticker.LogLocator(numticks=12))
    log_ticks(panels[-1].xaxis)
    panels[-1].set_xlabel("neutrino energy (TeV); bands and bars: 68 %", fontsize=10)
    figure.supylabel("E² dN/dE per flavour, mean over the region (TeV cm⁻² s⁻¹ sr⁻¹)", fontsize=10)
    return finished(
        figure, "Fluxes by region beside measurements", origin_of(one.origin for one in fitted), columns=1,
        handles=handles[:lines], labels=names[:lines],
    )  # fmt: skip


def plane_panels(panels: Sequence[PlanePanel], *, label: str = "The Galactic plane") -> Figure:
    """Panels of the Galactic plane one above the other: |b| < 30 deg, l from 180 to -180, growing to the left.

    For what is seen of the plane in several messengers: gas, template, template through the detector, fit.  A degree
    of latitude is as long as one of longitude: stretched, the smear of a detector would look like structure.
    """
    if not panels:
        raise InputError("no panel of the Galactic plane was given; expected at least one")
    figure = canvas(height=1.0 + 1.75 * len(panels))
    slots = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for letter, axes, panel in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", slots, panels, strict=False):
        drawn, _ = plane_strip(axes, panel.values, partial(_panel_scale, panel=panel), signed=panel.signed)
        axes.set_title(f"{letter}  {marked(panel.title, panel.origin or 'real')}", fontsize=10, loc="left")
        said = panel.label + (f" ({panel.unit})" if panel.unit else "") + (f"; {SIGNED_LINE}" if panel.signed else "")
        bar = colour_bar(figure, axes, drawn, said, pad=0.05)
        if not panel.log:
            bar.formatter.set_powerlimits((-2, 3))
    slots[-1].set_xlabel("Galactic longitude l (deg)", fontsize=10)
    figure.supylabel("Galactic latitude b (deg)", fontsize=10)
    measured = [panel.origin for panel in panels if panel.origin]
    return finished(figure, label, origin_of(measured or ["real"]))


def _panel_scale(seen: Floats, panel: PlanePanel) -> matplotlib.colors.Normalize:
    norm = linear_scale(seen, what=f"the panel '{panel.title}'")
    if panel.log:
        return _log_scale([seen[np.isfinite(seen)]])
    return signed_scale(seen) if panel.signed else norm
