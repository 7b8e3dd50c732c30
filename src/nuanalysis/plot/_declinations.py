"""Point-source sensitivities, discovery potentials and upper limits against declination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nuanalysis.deferred import matplotlib
from nuanalysis.errors import InputError
from nuanalysis.plot.canvas import MARKED, SERIES, SMALL, WIDTH, Axes, Figure, Series, canvas, finished, named
from nuanalysis.schema import Floats

_DASHED = (0, (4, 1.6))
# How a node without a number is marked, at the foot of its panel: nothing is drawn through it.
_NO_SENSITIVITY: dict[str, Any] = {"marker": "X", "markersize": 6.5, "markeredgecolor": "white"}
_NO_DISCOVERY: dict[str, Any] = {"marker": "x", "markersize": 5.5, "markeredgewidth": 1.4}
_LOWEST, _APART = 0.04, 0.05  # heights of those marks, as parts of the panel


def _events(origin: str) -> str:
    return {"real": "real events", "synthetic": f"{MARKED} events", "mixed": f"{MARKED} and real events"}[origin]


@dataclass(frozen=True, slots=True, eq=False)
class DeclinationCurve:
    """Fluxes at 100 TeV of one sample and index, TeV cm^-2 s^-1; NaN for what is not known.

    sin_dec (node,).  sensitivity, discovery (node, 2): fluxes with their errors.
    line_sin_dec (point,).  sensitivity_line, discovery_line (point,): fluxes between the nodes, NaN beside one without.
    limits (source, 2): sin(declination) and upper limit; or empty.
    """

    sample: str
    origin: str
    index: float
    sin_dec: Floats
    sensitivity: Floats
    discovery: Floats
    line_sin_dec: Floats
    sensitivity_line: Floats
    discovery_line: Floats
    limits: Floats


def _draw(axes: Axes, curve: DeclinationCurve, series: Series, height: float) -> None:
    """One sample: the sensitivity with its errors at the nodes, the discovery potential, limits.

    height : of the marks of nodes without a number, as a part of the panel.
    """
    x, y = curve.limits.reshape(-1, 2).T
    axes.plot(
        x[np.isfinite(y)], y[np.isfinite(y)], "v", color=series.colour, markersize=3.6, markeredgewidth=0.7,
        alpha=0.75, zorder=2.0, markerfacecolor="none",
    )  # fmt: skip
    for nodes, line, style, width, face, missing in (
        (curve.sensitivity, curve.sensitivity_line, "-", 1.7, series.colour, _NO_SENSITIVITY),
        (curve.discovery, curve.discovery_line, _DASHED, 1.1, "white", _NO_DISCOVERY),
    ):
        axes.plot(curve.line_sin_dec, line, color=series.colour, linestyle=style, linewidth=width, zorder=3.0)
        known = np.isfinite(nodes).all(axis=1)
        axes.plot(
            curve.sin_dec[~known], np.full((~known).sum(), height), transform=axes.get_xaxis_transform(),
            color=series.colour, linestyle="", zorder=3.5, **missing,
        )  # fmt: skip
        axes.errorbar(
            curve.sin_dec[known], nodes[known, 0], nodes[known, 1], fmt=series.marker, color=series.colour,
            markerfacecolor=face, markersize=4.2, elinewidth=1.0, zorder=3.5,
        )  # fmt: skip


def _keys(curves: Sequence[DeclinationCurve], styles: Mapping[str, Series]) -> list[matplotlib.lines.Line2D]:
    """What the legend holds: a line and marker a sample, and what solid, dashed and arrows mean."""
    origin = {curve.sample: curve.origin for curve in curves}

    def key(label: str, color: str = "black", **style: Any) -> matplotlib.lines.Line2D:
        return matplotlib.lines.Line2D([], [], label=label, color=color, **style)

    keys = [
        *(key(f"{n}: {_events(origin[n])}", s.colour, marker=s.marker, markersize=5) for n, s in styles.items()),
        key("sensitivity (90 %)", linestyle="-", linewidth=1.7),
        key("5σ discovery potential (50 %, local)", linestyle=_DASHED, linewidth=1.1),
    ]
    for words, mark, nodes in (
        ("no sensitivity at this declination", _NO_SENSITIVITY, [curve.sensitivity for curve in curves]),
        ("no 5σ discovery potential at this declination", _NO_DISCOVERY, [curve.discovery for curve in curves]),
    ):
        if not all(np.isfinite(one).all() for one in nodes):
            keys.append(key(words, linestyle="", **mark))
    if any(len(curve.limits) for curve in curves):
        name = "90 % upper limit of the data"
        keys.append(key(name, marker="v", markerfacecolor="none", markersize=4, linestyle=""))
    return keys


def declination_figure(curves: Sequence[DeclinationCurve], *, origin: str) -> Figure:
    """E^2 dN/dE at 100 TeV against sin(declination), a panel an index; a second axis says it at 1 TeV."""
    if not curves:
        raise InputError("there are no curves to draw; expected at least one sample and index")
    names = list(dict.fromkeys(curve.sample for curve in curves))
    # The samples are told apart by colour, which differs in grey too, and marker; solid and dashed say what is shown.
    order = (SERIES[1], SERIES[2], SERIES[0]) if len(names) == 3 else SERIES
    styles = {name: order[k % len(order)] for k, name in enumerate(names)}
    indices = list(dict.fromkeys(curve.index for curve in curves))
    figure = canvas(WIDTH, 1.0 + 3.1 * len(indices) + 0.18 * len(names))
    panels = figure.subplots(len(indices), 1, sharex=True, squeeze=False)[:, 0]
    for axes, index in zip(panels, indices, strict=True):
        for curve in curves:
            if curve.index == index:
                _draw(axes, curve, styles[curve.sample], _LOWEST + _APART * names.index(curve.sample))
        axes.set_yscale("log")
        axes.set_xlim(-1.0, 1.0)
        axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(numticks=20))
        if index != 2.0:
            factor = 100.0 ** (index - 2.0)
            right = axes.secondary_yaxis("right", functions=(lambda y, f=factor: y * f, lambda y, f=factor: y / f))
            right.set_ylabel("the same at 1 TeV", fontsize=10)
            right.tick_params(labelsize=SMALL)
        axes.set_title(f"E$^{{-{index:g}}}$", loc="left", fontsize=11)
        named(axes, y="E² dN/dE at 100 TeV\n(TeV cm⁻² s⁻¹, per flavour)")
    panels[-1].set_xlabel("sin(declination), ICRS", fontsize=10)
    return finished(figure, "Point sources against declination", origin, columns=1, handles=_keys(curves, styles))
