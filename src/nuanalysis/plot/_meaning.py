"""What the fitted neutrinos mean: luminosities, and gamma rays beside neutrinos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import matplotlib
from nuanalysis.plot.canvas import SERIES, SMALL, Axes, Figure, canvas, finished, log_ticks, named, short, single
from nuanalysis.schema import Floats


@dataclass(frozen=True, slots=True, eq=False)
class DesertBand:
    """A ratio against energy in TeV, (energy,) each: 5 %, median, 95 %."""

    energy: Floats
    low: Floats
    median: Floats
    high: Floats


def desert_figure(band: DesertBand, plain: Floats, *, stated: tuple[float, float], origin: str) -> Figure:
    """Luminosity of an average galaxy over that of the Milky Way against energy.

    plain : (2, point) energy and ratio of the estimate that has one distance.    stated : ends of the published band.
    """
    figure, axes = single(4.2)
    ours, simple = SERIES[0], SERIES[1]
    axes.axhspan(*stated, facecolor="none", edgecolor="#8a8b8d", hatch="///", linewidth=0, label="published: 10 to 100")
    axes.fill_between(band.energy, band.low, band.high, color=ours.colour, alpha=0.22, linewidth=0,
                      label="all inputs, 5 to 95 %")  # fmt: skip
    axes.plot(band.energy, band.median, **ours.lined, label="median")
    axes.plot(*plain, simple.marker, color=simple.colour, markeredgecolor="black", markersize=7,
              label="8 kpc, n₀ = 0.01, ξ = 2.4")  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    log_ticks(axes.xaxis)
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_ylim(0.7, max(1e4, 1.5 * float(band.high.max())))
    named(axes, "neutrino energy (TeV)", "L (average galaxy) / L (Milky Way)")
    return finished(figure, "Neutrino luminosity: an average galaxy over the Milky Way", origin, columns=2)


@dataclass(frozen=True, slots=True, eq=False)
class RegionSeries:
    """Points of E^2 dN/dE of gamma rays against energy in TeV, errors positive, TeV cm^-2 s^-1 sr^-1; (point,) each."""

    label: str
    energy: Floats
    value: Floats
    err_low: Floats
    err_high: Floats


@dataclass(frozen=True, slots=True, eq=False)
class RegionPanel:
    """A region: what was measured there, and the gamma rays that go with the fitted neutrinos.

    energy (energy,) TeV of the gamma ray; expected, low, high : best fit and 68 %; absorbed, masked : best fit after
    the loss on the way, and over the part that is left open by masks (empty where there is none).
    """

    title: str
    measured: tuple[RegionSeries, ...]
    energy: Floats
    expected: Floats
    low: Floats
    high: Floats
    absorbed: Floats
    masked: Floats


def spectra_figure(panels: Sequence[RegionPanel], *, label: str, origin: str) -> Figure:
    """Gamma rays and those that accompany the fitted neutrinos, a panel for each region."""
    rows = (len(panels) + 1) // 2
    figure = canvas(width=7.6, height=1.2 + 2.5 * rows)
    every = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, panel in zip(every, panels, strict=False):
        _panel(axes, panel)
    for axes in every[len(panels) :]:
        axes.set_axis_off()
    lines = dict[str, object]()
    for axes in every[: len(panels)]:
        lines |= {str(one.get_label()): one for one in axes.get_lines() if one.get_label() in _LINES}
    return finished(figure, label, origin, columns=3, handles=list(lines.values()), labels=list(lines))


_EXPECTED, _ABSORBED, _OPEN = _LINES = (
    "with the fitted neutrinos, 68 %", "after loss on the microwaves", "same, outside source masks",
)  # fmt: skip


def _panel(axes: Axes, panel: RegionPanel) -> None:
    line, lost = SERIES[0], SERIES[1]
    axes.fill_between(panel.energy, panel.low, panel.high, color=line.colour, alpha=0.2, linewidth=0)
    axes.plot(panel.energy, panel.expected, **line.lined, label=_EXPECTED)
    axes.plot(panel.energy, panel.absorbed, **lost.lined, label=_ABSORBED)
    if len(panel.masked):
        axes.plot(panel.energy, panel.masked, **SERIES[2].lined, label=_OPEN)
    points = []
    for k, one in enumerate(panel.measured):
        drawn = axes.errorbar(
            one.energy, one.value, yerr=[np.minimum(one.err_low, 0.95 * one.value), one.err_high], fmt="os^"[k],
            color="black", markerfacecolor="white" if k else "black", markersize=4, linewidth=1.0, label=one.label,
        )  # fmt: skip
        points.append(drawn)
    axes.legend(handles=points, loc="lower left", fontsize=SMALL, frameon=False)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(matplotlib.ticker.LogLocator())
        axis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    named(axes, "gamma-ray energy (TeV)", "E² dN/dE\n(TeV cm⁻² s⁻¹ sr⁻¹)")
    axes.xaxis.label.set_fontsize(SMALL)
    axes.yaxis.label.set_fontsize(SMALL)
    axes.set_title(short(panel.title, 44), fontsize=10)


@dataclass(frozen=True, slots=True, eq=False)
class RatioSeries:
    """R with its 68 % interval against gamma-ray energy in TeV, (point,) each."""

    label: str
    energy: Floats
    median: Floats
    low: Floats
    high: Floats


_APART = 1.04  # factor in energy between the series of a figure, so that none hides another


def ratio_figure(series: Sequence[RatioSeries], *, label: str, origin: str) -> Figure:
    """Neutrinos over what these gamma rays allow, against energy; above 1 it is no fraction."""
    figure, axes = single(4.6)
    axes.axhspan(1.0, 30.0, color="#ececec", linewidth=0)
    axes.axhline(1.0, color="black", linewidth=1.0)
    for k, one in enumerate(series):
        moved = one.energy * _APART ** (k - len(series) / 2)
        style = SERIES[k % len(SERIES)]
        axes.errorbar(
            moved, one.median, yerr=[one.median - one.low, one.high - one.median], fmt="oDs^vXP"[k % 7],
            color=style.colour, markeredgecolor="black", markerfacecolor="white" if k % 2 else style.colour,
            markersize=5.5, linewidth=1.2, label=one.label,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(0.2, 30.0)
    axes.set_yticks([0.2, 0.5, 1, 2, 5, 10, 20], ["0.2", "0.5", "1", "2", "5", "10", "20"])
    axes.text(0.02, 0.97, "more than these gamma rays allow: no fraction", transform=axes.transAxes, va="top",
              fontsize=SMALL)  # fmt: skip
    named(axes, "gamma-ray energy (TeV)", "hadronic ratio R")
    return finished(figure, label, origin, columns=2)


@dataclass(frozen=True, slots=True, eq=False)
class LatitudeSkies:
    """Medians of |b|: counts (bin,) of scrambled skies in equal bins from 0 to 90 deg, and that of the data in deg."""

    label: str
    counts: Floats
    median: float


def latitude_figure(rows: Sequence[LatitudeSkies], *, origin: str) -> Figure:
    """Distribution of the median |b| of scrambled skies, and the data, for each selection."""
    figure, axes = single(4.2)
    for style, one in zip(SERIES, rows, strict=False):
        edges = np.linspace(0.0, 90.0, len(one.counts) + 1)
        axes.stairs(one.counts / one.counts.sum(), edges, color=style.colour, linestyle=style.line, linewidth=1.6,
                    label=one.label)  # fmt: skip
        axes.axvline(one.median, color=style.colour, linestyle=style.line, linewidth=1.6)
    axes.set_xlim(10.0, 60.0)
    named(axes, "median |b| (deg)", "part of the skies")
    return finished(figure, "Distance of energetic neutrinos from the Galactic plane", origin, columns=1)
