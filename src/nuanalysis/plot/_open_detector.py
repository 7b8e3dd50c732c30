"""The selection of the open detector: rates by level, scores, what passes, and resolution and area beside others'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import matplotlib
from nuanalysis.detector import Area, AreaRatio, CutFlow, SpreadRow
from nuanalysis.errors import InputError
from nuanalysis.plot.canvas import SERIES, SMALL, Axes, Figure, Series, canvas, finished, log_ticks, named, single
from nuanalysis.records import Unknown
from nuanalysis.schema import Floats

_MORE = (Series("#a0522d", "-", "P"), Series("#1f78a0", "-.", "X"))  # for components beyond those of the canvas
_ALL = (*SERIES, *_MORE)
_LEAST_EFFECTIVE = 10.0
_M2 = 1e-4  # in a cm2
_BANDS = 5
_FROM = 500.0  # GeV, where areas begin to be shown


def level_figure(flow: CutFlow, *, label: str, origin: str) -> Figure:
    """Rates of every component at every level, and the effective events behind them; an arrow is an upper limit."""
    figure = canvas(height=5.4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2.0, 1.0))
    names = [one.component for one in flow.levels[0].components]
    place = np.arange(len(flow.levels))
    for k, name in enumerate(names):
        series, shift = _ALL[k % len(_ALL)], 0.09 * (k - 0.5 * (len(names) - 1))
        rates = [level.components[k].rate for level in flow.levels]
        value = np.array([one.value if one.bound is None else one.bound for one in rates])
        error = np.array([one.error if one.bound is None else 0.4 * one.bound for one in rates])
        limit = np.array([one.bound is not None for one in rates])
        bars = np.vstack([np.minimum(error, 0.9 * value), np.where(limit, 0.0, error)])
        style = {"color": series.colour, "marker": series.marker, "markersize": 4.5, "linewidth": 1.2}
        upper.errorbar(place + shift, value, bars, uplims=limit, linestyle=series.line, label=name, **style)
        effective = np.array([one.effective for one in rates])
        lower.plot(place + shift, np.maximum(effective, 0.3), linestyle=series.line, **style)
    upper.set_yscale("log")
    lower.set_yscale("log")
    lower.axhline(_LEAST_EFFECTIVE, color="black", linestyle=":", linewidth=1.2)
    said = {"fontsize": SMALL, "ha": "right", "va": "bottom"}
    lower.text(0.995, _LEAST_EFFECTIVE * 1.05, "10: below, a limit", transform=lower.get_yaxis_transform(), **said)
    lower.set_xticks(place, [level.level for level in flow.levels])
    named(upper, y="rate (Hz)")
    named(lower, "level of the selection", "effective events")
    return finished(figure, label, origin, columns=3)


@dataclass(frozen=True, slots=True, eq=False)
class ScoreClass:
    """The scores of one class of events: score and weight (event,) each."""

    name: str
    score: Floats
    weight: Floats


def score_figure(classes: Sequence[ScoreClass], edges: Floats, *, score: str, label: str, origin: str) -> Figure:
    """Distributions of a score by class, each of area 1, with their statistical errors.

    edges (bin + 1,) ; score : name of the axis.
    """
    if not classes:
        raise InputError("a figure of scores needs at least one class of events")
    figure, axes = single()
    width = np.diff(edges)
    for one, series in zip(classes, _ALL, strict=False):
        found, squares = (np.histogram(one.score, edges, weights=w)[0] for w in (one.weight, one.weight**2))
        total = max(float(found.sum()), 1e-300)
        density, error = found / total / width, np.sqrt(squares) / total / width
        axes.stairs(density, edges, baseline=None, **series.lined, linewidth=1.7, label=one.name)
        low, high = np.maximum(density - error, 1e-12), density + error
        axes.stairs(high, edges, baseline=low, fill=True, color=series.colour, alpha=0.22, linewidth=0.0)
    axes.set_yscale("log")
    axes.set_ylim(bottom=_floor(classes, edges))
    named(axes, score, "events per unit of score, area 1")
    return finished(figure, label, origin, columns=2)


def _floor(classes: Sequence[ScoreClass], edges: Floats) -> float:
    """Lower end of a logarithmic axis: half of the smallest density that is there."""
    found = [np.histogram(c.score, edges, weights=c.weight / c.weight.sum())[0] / np.diff(edges) for c in classes]
    positive = np.concatenate(found)
    return float(0.5 * positive[positive > 0.0].min())


@dataclass(frozen=True, slots=True, eq=False)
class Passing:
    """What a cut on a score leaves: efficiency of the signal, and part of the background, (threshold,) each.

    error : of ``passing``, statistical.
    """

    name: str
    efficiency: Floats
    passing: Floats
    error: Floats


def passing_figure(
    curves: Sequence[Passing], *, signal: str, background: str, at: float = 0.9, label: str, origin: str
) -> Figure:
    """Background that passes against the efficiency of the signal, one curve a score; ``at`` is marked and told."""
    figure, axes = single()
    for one, series in zip(curves, _ALL, strict=False):
        order = np.argsort(one.efficiency, kind="stable")
        order = order[one.passing[order] > 0.0]
        efficiency, passing, error = one.efficiency[order], one.passing[order], one.error[order]
        told = f"{one.name}: {100 * at:.0f} % is beyond its events"
        if len(order) and efficiency[0] <= at <= efficiency[-1]:
            here = float(np.interp(at, efficiency, passing))
            told = f"{one.name}: {here:.2g} at {100 * at:.0f} %"
            axes.plot(at, here, marker=series.marker, color=series.colour, markersize=6)
        axes.plot(efficiency, passing, **series.lined, linewidth=1.7, label=told)
        low, high = np.maximum(passing - error, 0.03 * passing), passing + error
        axes.fill_between(efficiency, low, high, color=series.colour, alpha=0.22, linewidth=0.0)
    axes.axvline(at, color="black", linestyle=":", linewidth=1.0)
    axes.set_yscale("log")
    named(axes, f"efficiency for {signal}", f"part of {background} that passes")
    return finished(figure, label, origin, columns=1)


def resolution_figure(rows: Sequence[SpreadRow], published: Floats, *, label: str, origin: str) -> Figure:
    """Opening angles that hold 20, 50 and 80 per cent against the true energy, beside the published ones.

    published (row, 4) : energy in GeV and the three angles in deg.
    """
    figure, axes = single(height=4.2)
    energy = np.array([row.energy_gev for row in rows])
    for k, (part, series) in enumerate(zip(("20", "50", "80"), (SERIES[3], SERIES[0], SERIES[2]), strict=True)):
        found = [getattr(row, f"at_{part}") for row in rows]
        value, error = np.array([one.value for one in found]), np.array([one.error for one in found])
        axes.errorbar(energy, value, error, color=series.colour, marker=series.marker, markersize=4, linestyle="none",
                      linewidth=1.0, label=f"{part} % (ours)")  # fmt: skip
        axes.plot(published[:, 0], published[:, k + 1], color=series.colour, linestyle=("--", "-", ":")[k],
                  linewidth=1.6, label=f"{part} % (published)")  # fmt: skip
    axes.set(xscale="log", yscale="log")
    axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    named(axes, "energy of the neutrino (GeV)", "angle to the true direction (deg)")
    return finished(figure, label, origin, columns=3)


@dataclass(frozen=True, slots=True, eq=False)
class AngleCurve:
    """Median angles of a reconstruction: energy in GeV, median and its error in deg, (bin,) each."""

    name: str
    energy: Floats
    median: Floats
    error: Floats


def angle_figure(curves: Sequence[AngleCurve], published: Floats, *, label: str, origin: str) -> Figure:
    """Median angles against the energy of the neutrino, one curve a reconstruction, beside the published ones.

    published (row, 4) : energy in GeV and the angles in deg that hold 20, 50 and 80 per cent.
    """
    figure, axes = single()
    shown = [one.energy for one in curves if len(one.energy)]
    for one, series in zip(curves, (SERIES[1], SERIES[0], *SERIES[3:]), strict=False):
        axes.errorbar(one.energy, one.median, one.error, **series.lined, marker=series.marker, markersize=5,
                      linewidth=1.5, label=one.name)  # fmt: skip
    axes.plot(published[:, 0], published[:, 2], color=SERIES[2].colour, linestyle=":", linewidth=2.0,
              label="published (50 %)")  # fmt: skip
    axes.set(xscale="log", yscale="log")
    if shown:
        axes.set_xlim(0.5 * min(one.min() for one in shown), 2.0 * max(one.max() for one in shown))
    log_ticks(axes.yaxis)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    named(axes, "energy of the neutrino (GeV)", "median angle (deg)")
    return finished(figure, label, origin, columns=3)


def area_figure(
    found: Area, published: Area, limit: Area, ratios: Sequence[AreaRatio], *, label: str, origin: str
) -> Figure:
    """Effective area against energy in each of five bands, the published one, the geometric limit, and their ratio.

    All areas in the same bins.
    """
    if len(found.area) != _BANDS:
        raise InputError(f"a figure of areas shows {_BANDS} bands of sin(declination); got {len(found.area)}")
    figure = canvas(height=6.6)
    cells = figure.add_gridspec(3, 2)
    panels = [figure.add_subplot(cells[k // 2, k % 2]) for k in range(_BANDS)]
    energy = 10.0 ** (0.5 * (found.log10_edges[1:] + found.log10_edges[:-1]))
    seen = published.area[:, energy > _FROM]
    top, least = float(limit.area.max()) * _M2, float(seen[seen > 0.0].min()) * _M2
    for band, axes in enumerate(panels):
        low, high = found.sin_dec_edges[band : band + 2]
        _area_panel(axes, energy, (found, published, limit), band)
        axes.set(xscale="log", yscale="log", xlim=(_FROM, 1e7), ylim=(0.5 * least, 3.0 * top))
        named(axes, "neutrino energy (GeV)" if band > 2 else "", "area (m²)" if band % 2 == 0 else "")
        axes.set_title(f"sin(dec) {low:g} to {high:g}".replace("-", "−"), fontsize=10)
        axes.tick_params(labelbottom=band > 2, labelleft=band % 2 == 0)
    _ratio_panel(figure.add_subplot(cells[2, 1]), ratios)
    return finished(figure, label, origin, columns=3, handles=panels[0].get_legend_handles_labels()[0])


def _area_panel(axes: Axes, energy: Floats, areas: tuple[Area, Area, Area], band: int) -> None:
    """One band: ours with its errors, the published area, and what a detector of this size can have at most."""
    ours, theirs, most = (one.area[band] * _M2 for one in areas)
    error, shown = areas[0].error[band] * _M2, areas[0].area[band] > 0.0
    bars = np.vstack([np.minimum(error, 0.9 * ours), error])[:, shown]
    axes.errorbar(energy[shown], ours[shown], bars, color=SERIES[0].colour, marker="o", markersize=1.6,
                  linestyle="none", linewidth=0.6, label="this simulation")  # fmt: skip
    known = theirs > 0.0
    axes.plot(energy[known], theirs[known], **SERIES[1].lined, linewidth=1.7, label="published")
    axes.plot(energy, most, color="black", linestyle=":", linewidth=1.3, label="geometric limit")


def _ratio_panel(axes: Axes, ratios: Sequence[AreaRatio]) -> None:
    """Ours over the published area in each band, at each energy."""
    energies = sorted({row.energy_tev for row in ratios})
    for k, (energy, series) in enumerate(zip(energies, _ALL, strict=False)):
        rows = [row for row in ratios if row.energy_tev == energy]
        place = np.array([0.5 * (row.sin_dec_low + row.sin_dec_high) for row in rows]) + 0.05 * (k - 1)
        value = np.array([row.ratio.value for row in rows])
        error = [0.0 if isinstance(row.ratio.error, Unknown) else row.ratio.error for row in rows]
        axes.errorbar(place, value, np.minimum(error, 0.9 * value), **series.lined, marker=series.marker, markersize=4,
                      linewidth=1.0, label=f"{energy:g} TeV")  # fmt: skip
    axes.axhline(1.0, color="#7a7b7d", linewidth=0.9)
    axes.set_ylim(0.0, 1.35 * axes.get_ylim()[1])  # room for the legend above all points
    axes.set_title("this simulation / published", fontsize=10)
    named(axes, "sin(declination)")
    axes.legend(loc="upper center", ncols=3, fontsize=SMALL, frameon=False, handlelength=1.0, columnspacing=0.6)
