"""Point-source sensitivities, discovery potentials and upper limits against declination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nuanalysis.deferred import matplotlib
from nuanalysis.errors import InputError
from nuanalysis.plot._page import Sidecar
from nuanalysis.plot._page import mark as _mark
from nuanalysis.plot.canvas import MARKED, SERIES, SMALL, WIDTH, Axes, Figure, Series, canvas, grid, title

_LABEL = "Point sources against declination"
_BELOW = "90 % upper limit of the data"


def _events(origin: str) -> str:
    return {"real": "real events", "synthetic": f"{MARKED} events", "mixed": f"{MARKED} and real events"}[origin]


def _draw(axes: Axes, curve: Mapping[str, Any], series: Series) -> None:
    """One sample: the sensitivity with its errors at the nodes, the discovery potential, limits."""
    line, points, limits = curve["line"], curve["points"], curve["limits"]
    known = [row for row in limits if row["flux"] is not None]
    axes.plot(
        [row["sin_dec"] for row in known],
        [row["flux"] for row in known],
        "v",
        color=series.colour,
        markerfacecolor="none",
        markersize=3.6,
        markeredgewidth=0.7,
        alpha=0.75,
        zorder=2.0,
    )
    for name, style, width, marker in (
        ("sensitivity", "-", 1.7, series.marker),
        ("discovery_potential_5sigma", (0, (4, 1.6)), 1.1, series.marker),
    ):
        if line[name]:
            axes.plot(line["sin_dec"], line[name], color=series.colour, linestyle=style, linewidth=width, zorder=3.0)
        there = [p for p in points if p[name]["flux"] is not None]
        axes.errorbar(
            [p["sin_dec"] for p in there],
            [p[name]["flux"] for p in there],
            [p[name]["flux_error"] for p in there],
            fmt=marker,
            color=series.colour,
            markerfacecolor=series.colour if name == "sensitivity" else "white",
            markersize=4.2,
            elinewidth=1.0,
            zorder=3.5,
        )


def _keys(curves: Sequence[Mapping[str, Any]], styles: Mapping[str, Series]) -> list[matplotlib.lines.Line2D]:
    """What the legend holds: a line and marker a sample, and what solid, dashed and arrows mean."""
    origin = {curve["sample"]: curve["origin"] for curve in curves}
    keys = [
        matplotlib.lines.Line2D(
            [], [], color=s.colour, marker=s.marker, markersize=5, label=f"{name}: {_events(origin[name])}"
        )
        for name, s in styles.items()
    ]
    keys += [
        matplotlib.lines.Line2D([], [], color="black", linestyle="-", linewidth=1.7, label="sensitivity (90 %)"),
        matplotlib.lines.Line2D(
            [], [], color="black", linestyle=(0, (4, 1.6)), linewidth=1.1, label="5σ discovery potential (50 %, local)"
        ),
    ]
    if any(curve["limits"] for curve in curves):
        keys.append(
            matplotlib.lines.Line2D(
                [], [], color="black", marker="v", markerfacecolor="none", markersize=4, linestyle="", label=_BELOW
            )
        )
    return keys


def declination_figure(document: Mapping[str, Any]) -> Figure:
    """E^2 dN/dE at 100 TeV against sin(declination), a panel an index; a second axis says it at 1 TeV.

    document : that of ``workflow.declinations.record``.
    """
    curves = document["curves"]
    if not curves:
        raise InputError("there are no curves to draw; expected at least one sample and index")
    names = list(dict.fromkeys(curve["sample"] for curve in curves))
    # The samples are told apart by colour, which differs in grey too, and marker; solid and dashed say what is shown.
    order = (SERIES[1], SERIES[2], SERIES[0]) if len(names) == 3 else SERIES
    styles = {name: order[k % len(order)] for k, name in enumerate(names)}
    indices = document["indices"]
    figure = canvas(WIDTH, 1.0 + 3.1 * len(indices) + 0.18 * len(names))
    panels = figure.subplots(len(indices), 1, sharex=True, squeeze=False)[:, 0]
    for axes, index in zip(panels, indices, strict=True):
        for curve in curves:
            if curve["index"] == index:
                _draw(axes, curve, styles[curve["sample"]])
        axes.set_yscale("log")
        axes.set_xlim(-1.0, 1.0)
        axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(numticks=20))
        axes.set_ylabel("E² dN/dE at 100 TeV\n(TeV cm⁻² s⁻¹, per flavour)", fontsize=10)
        if index != 2.0:
            factor = 100.0 ** (index - 2.0)
            right = axes.secondary_yaxis("right", functions=(lambda y, f=factor: y * f, lambda y, f=factor: y / f))
            right.set_ylabel("the same at 1 TeV", fontsize=10)
            right.tick_params(labelsize=SMALL)
        axes.set_title(f"E$^{{-{index:g}}}$", loc="left", fontsize=11)
        axes.tick_params(labelsize=SMALL)
        grid(axes)
    panels[-1].set_xlabel("sin(declination), ICRS", fontsize=10)
    figure.legend(handles=_keys(curves, styles), loc="outside lower center", ncols=1, fontsize=SMALL, frameon=False)
    title(figure, _LABEL, document["origin"])
    return figure


def _range(curve: Mapping[str, Any], name: str) -> str:
    values = [p[name]["flux"] for p in curve["points"] if p[name]["flux"] is not None]
    return f"{np.min(values):.2g} to {np.max(values):.2g}" if values else "not computed"


def declination_sidecar(document: Mapping[str, Any]) -> Sidecar:
    """Alt text with the numbers, and the caption."""
    said = "; ".join(
        f"{curve['sample']} ({_events(curve['origin'])}), E^-{curve['index']:g}: sensitivity "
        f"{_range(curve, 'sensitivity')}, 5 sigma discovery potential {_range(curve, 'discovery_potential_5sigma')}"
        for curve in document["curves"]
    )
    first, last = document["declinations_deg"][0], document["declinations_deg"][-1]
    alt = f"Fluxes of point sources in TeV cm^-2 s^-1 at 100 TeV, declinations {first:g} to {last:g} deg: {said}"
    limits = f" Triangles: 90 % upper limits of the data at the sources of {document['sources']}, never below the "
    limits += "sensitivity; those of a sample with SYNTHETIC events are no limits on real sources."
    caption = (
        "Sensitivity (90 % of injected skies above the background median) and local 5σ discovery potential (50 %) of "
        f"point sources, {document['fit']}, seed {document['seed']}, {document['n_trials']} scrambles and "
        f"{document['n_injections']} injected skies at each declination marked; bars are statistical errors. Between "
        "marks the number of events is interpolated and divided by the acceptance, which jumps where the released "
        "effective area does. The right ascension of the source does not matter."
        + (limits if document["sources"] else "")
    )
    return Sidecar(f"declinations{_mark(document['origin'])}", alt, caption, document["origin"], "other")
