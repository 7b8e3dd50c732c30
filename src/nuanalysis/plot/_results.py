"""What the fits say: test-statistic distributions, likelihood scans, and our numbers beside published ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import matplotlib, scipy
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError
from nuanalysis.interpret.published import Published
from nuanalysis.plot._page import Drawn, Sidecar, mark, slug
from nuanalysis.plot._typeset import typeset
from nuanalysis.plot.canvas import (
    LONGEST,
    MARKED,
    REFERENCE,
    SERIES,
    SMALL,
    Axes,
    Figure,
    Series,
    canvas,
    finished,
    log_ticks,
    named,
    origin_of,
    short,
    single,
)  # fmt: skip
from nuanalysis.schema import Floats

FLUX_SCALE = 1e-12
FLUX_AXIS = "E² dN/dE at 100 TeV, per flavour\nwhole sky or all sources (10⁻¹² TeV cm⁻² s⁻¹)"


@dataclass(frozen=True, slots=True)
class FluxRow:
    """A row of the figure of fluxes, TeV cm^-2 s^-1; NaN for what is not known."""

    hypothesis: str
    label: str
    sample: str
    origin: str
    best: float = math.nan
    low: float = math.nan
    high: float = math.nan
    limit: float = math.nan
    sensitivity: float = math.nan


@dataclass(frozen=True, slots=True)
class StackRow:
    """A row of the figure of stacks; NaN for what is not known."""

    hypothesis: str
    label: str
    sample: str
    origin: str
    n_signal: float
    index: float
    sigma: float


def survival(ts: Floats, log_weight: Floats, threshold: Floats) -> tuple[Floats, Floats]:
    """P(TS >= threshold) of weighted trials and its statistical error; both (threshold,).

    The mean of the weights above the threshold over *all* trials, as the tilted ensembles of trials.py want it; no
    TS is negative, so at 0 it is 1 by definition, where the mean of the weights of a finite ensemble only scatters
    about 1.
    """
    order = np.argsort(ts)
    weight = np.exp(np.asarray(log_weight, dtype=np.float64))[order]
    start = np.searchsorted(np.asarray(ts)[order], threshold, side="left")
    above = np.append(np.cumsum(weight[::-1])[::-1], 0.0)[start] / len(ts)
    square = np.append(np.cumsum((weight**2)[::-1])[::-1], 0.0)[start] / len(ts)
    error = np.sqrt(np.maximum(square - above**2, 0.0) / len(ts))
    every = np.asarray(threshold) <= 0.0
    return np.where(every, 1.0, np.minimum(above, 1.0)), np.where(every, 0.0, error)


def half_chi2(threshold: Floats) -> Floats:
    """P(TS >= t) of half a delta at zero and half a chi-square with one degree of freedom."""
    return np.where(np.asarray(threshold) > 0.0, 0.5 * scipy.stats.chi2.sf(threshold, 1), 1.0)


def ts_grid(trials: xr.Dataset, observed_ts: float, points: int = 241) -> Floats:
    """Thresholds of the survival function: from 0 to beyond the observed value and the bulk of the trials."""
    bulk = float(np.quantile(trials["ts"].values, 0.999)) if trials.sizes["trial"] else 0.0
    return np.linspace(0.0, max(1.25 * observed_ts, min(bulk, 45.0), 6.0), points)


def ts_figure(
    trials: xr.Dataset, *, observed_ts: float, label: str, sample: str, origin: str, hypothesis: str, free_index: bool
) -> Drawn:
    """Probability to exceed each test statistic under the null hypothesis with its error band, words and table.

    trials : dataset of schema TRIALS.  The dashed curve is 1/2 chi-square (1 d.o.f.), for comparison only.
    """
    from astropy.table import Table

    if not trials.sizes["trial"]:
        raise InputError("an ensemble with no trials was given; run the trials step first")
    at = ts_grid(trials, observed_ts)
    probability, error = survival(trials["ts"].values, trials["log_weight"].values, at)
    known = probability > 0
    figure, axes = single()
    ours = SERIES[0]
    label_of = "trials (weighted)" if np.any(trials["log_weight"].values != 0) else "trials"
    floor = 10 ** np.floor(np.log10(min(probability[known].min(), half_chi2(at).min())) - 0.3)
    axes.fill_between(
        at[known], np.maximum(probability - error, floor)[known], (probability + error)[known],
        step="pre", color=ours.colour, alpha=0.3, linewidth=0.0, label="their 1σ error",
    )  # fmt: skip
    axes.step(at[known], probability[known], where="pre", **ours.lined, linewidth=1.6, label=label_of)
    axes.plot(at[1:], half_chi2(at)[1:], color=SERIES[1].colour, linestyle="--", linewidth=1.6, label="½ χ² (1 d.o.f.)")
    axes.axvline(observed_ts, color="black", linestyle=":", linewidth=1.6, label=f"observed TS = {observed_ts:.2f}")
    axes.set_yscale("log")
    axes.set_ylim(floor, 2.0)
    axes.set_xlim(0.0, float(at[-1]))
    for sigma, p in enumerate(scipy.stats.norm.sf(range(1, 9)), start=1):
        if p > floor:
            axes.axhline(p, color="#c0c0c0", linewidth=0.6, zorder=0)
            axes.text(0.99 * at[-1], p, f"{sigma}σ", ha="right", va="bottom", fontsize=SMALL, color="#505050")
    axes.set_xlabel("test statistic TS" + " (free index)" * free_index, fontsize=10)
    axes.set_ylabel("P(TS or more | background)", fontsize=10)
    axes.tick_params(labelsize=SMALL)
    finished(figure, f"{label}, {sample}", origin, columns=2)
    failed = int(np.count_nonzero(trials["converged"].values == 0))
    [here], _ = survival(trials["ts"].values, trials["log_weight"].values, np.array([observed_ts]))
    said = (
        f"{label}, {origin} sample {sample}: {trials.sizes['trial']:,} background trials, {failed} of them not "
        f"converged; local p = {here:.3g} at the observed {observed_ts:.2f}"
    )
    columns = {"ts": at, "probability": probability, "probability_error": error, "half_chi2": half_chi2(at)}
    meta = {"ORIGIN": origin, "DESCRIPTION": f"P(TS >= ts | background), {label}, {sample}"}
    sidecar = Sidecar(
        f"ts-{sample}-{slug(hypothesis)}{mark(origin)}",
        f"Probability to reach each test statistic under background. {said}",
        f"Distribution of the test statistic under background with its statistical error. {said}.",
        origin,
        "trials",
    )
    return Drawn(figure, sidecar, Table(columns, meta=meta))


def profile_figure(
    n_signal: Floats, ts: Floats, *, label: str, sample: str, origin: str, hypothesis: str, free_index: bool
) -> Drawn:
    """-2 ln(L/L_best) against the number of signal events, from TS(n) on a grid, both (point,); words and table."""
    from astropy.table import Table

    n_signal, ts = np.asarray(n_signal, dtype=np.float64), np.asarray(ts, dtype=np.float64)
    if n_signal.shape != ts.shape or n_signal.ndim != 1 or not len(ts):
        raise InputError(
            f"a likelihood profile got shapes {n_signal.shape} and {ts.shape}; expected two equal (point,) arrays"
        )
    best = int(np.argmax(ts))
    figure, axes = single()
    axes.plot(n_signal, ts[best] - ts, **SERIES[0].lined, linewidth=1.6)
    words = f"best fit nₛ = {n_signal[best]:.1f}"
    axes.plot(n_signal[best], 0.0, SERIES[1].marker, color=SERIES[1].colour, markersize=8, clip_on=False, label=words)
    for drop, name, line in ((1.0, "68 %", "--"), (2.706, "90 %", ":")):
        words = f"drop of {drop:g} ({name} if Gaussian)"
        axes.axhline(drop, color="#7a7b7d", linestyle=line, linewidth=1.0, label=words)
    axes.set_ylim(0.0, min(max(float((ts[best] - ts).max()), 4.0), 30.0))
    named(axes, "number of signal events nₛ", "−2 ln(L / L at best fit)")
    axes.legend(fontsize=SMALL, frameon=False)
    finished(figure, f"{label}, {sample}", origin)
    free = "the index fitted anew at each, so that it may be steep near nₛ = 0"
    held = free if free_index else "the index held"
    caption = f"{label}, {origin} sample {sample}: likelihood along the number of signal events, {held}."
    alt = f"{caption} Lowest at n_s = {n_signal[best]:.1f}, from {n_signal[0]:.0f} to {n_signal[-1]:.0f}"
    table = Table({"n_signal": n_signal, "ts": ts}, meta={"ORIGIN": origin, "DESCRIPTION": caption})
    return Drawn(figure, Sidecar(f"profile-{sample}-{slug(hypothesis)}{mark(origin)}", alt, caption, origin), table)


def _row_name(row: FluxRow | StackRow) -> str:
    return f"{short(typeset(row.label), LONGEST)}\n{short(row.sample, LONGEST)}" + (
        f" ({MARKED})" if row.origin == "synthetic" else " (real)"
    )


def _interval(axes: Axes, y: float, span: tuple[float, float, float], series: Series, face: str, label: str) -> None:
    low, best, high = span
    axes.plot([low, high], [y, y], color=series.colour, linewidth=1.6, linestyle="-")
    axes.plot([best], [y], series.marker, color=series.colour, markerfacecolor=face, markersize=6.5, label=label)


def _reach(axes: Axes, y: float, sensitivity: float, series: Series, label: str) -> None:
    axes.plot([sensitivity], [y], "|", color=series.colour, markersize=15, markeredgewidth=1.8, label=label)


def _beside(figure: Figure, axes: Axes, label: str, rows: Sequence[FluxRow | StackRow], columns: int) -> Figure:
    """The figure with a legend that names each kind of mark once, and the names of the rows."""
    axes.set_yticks(range(len(rows)), [_row_name(row) for row in rows])
    marks = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    legend = {"handles": list(marks.values()), "labels": list(marks)}
    return finished(figure, label, origin_of(row.origin for row in rows), columns=columns, **legend)


def flux_comparison(results: Sequence[FluxRow], published: Mapping[str, Published]) -> Figure:
    """Best fit with 68 % interval, 90 % limit and sensitivity of every result, beside the published values.

    published : {hypothesis: row}.  A best fit of zero has no place on the log
    axis: its limit is drawn alone.
    """
    if not results:
        raise InputError("there are no results to compare; expected at least one row")
    figure, axes = single(height=1.9 + 0.62 * len(results))
    ours, theirs = SERIES[:2]
    seen: list[float] = []
    for place, row in enumerate(results):
        values = (row.low, row.best, row.high, row.limit, row.sensitivity)
        low, best, high, limit, reach = (value / FLUX_SCALE for value in values)
        y = place - 0.14
        if best > 0:
            _interval(axes, y, (low, best, high), ours, ours.colour, "this run: best fit, 68 %")
        label = "this run: 90 % upper limit"
        axes.plot([limit], [y], "<", color=ours.colour, markerfacecolor="white", markersize=8, label=label)
        _reach(axes, y, reach, ours, "this run: sensitivity (90 %)")
        seen += [low, best, high, limit, reach]
        if (of := published.get(row.hypothesis)) is None:
            continue
        low, best, high, reach = (v / FLUX_SCALE for v in (of.flux_low, of.flux, of.flux_high, of.sensitivity))
        _interval(axes, place + 0.2, (low, best, high), theirs, "white", "published (cascades): best fit, 68 %")
        _reach(axes, place + 0.2, reach, theirs, "published: sensitivity")
        seen += [low, best, high, reach]
    axes.set_xscale("log")
    if positive := [value for value in seen if value > 0]:
        axes.set_xlim(0.5 * min(positive), 2.0 * max(positive))
    axes.set_ylim(len(results) - 0.4, -0.6)
    named(axes, FLUX_AXIS)
    log_ticks(axes.xaxis)
    compared = any(row.hypothesis in published for row in results)
    return _beside(figure, axes, "Fluxes beside the published values" if compared else "Fluxes and limits", results, 1)


_PANELS = (("signal\nevents nₛ", "n_signal"), ("spectral\nindex", "index"), ("local signi-\nficance (σ)", "sigma"))


def stacking(rows: Sequence[StackRow], published: Mapping[str, Published]) -> Figure:
    """Fitted events, index and local significance of every stacked catalogue, beside the published values.

    Where no signal was fitted the index means nothing, and is left out.
    """
    if not rows:
        raise InputError("there are no stacks to draw; expected at least one row")
    figure = canvas(height=1.9 + 0.5 * len(rows))
    panels = figure.subplots(1, 3, sharey=True)
    for axes, (name, attribute) in zip(panels, _PANELS, strict=True):
        for place, row in enumerate(rows):
            ours = getattr(row, attribute) if attribute != "index" or row.n_signal > 0 else math.nan
            axes.plot(ours, place - 0.12, SERIES[0].marker, color=SERIES[0].colour, markersize=6.5, label="this run")
            if (theirs := published.get(row.hypothesis)) is not None and theirs.sample == row.sample:
                axes.plot(
                    [getattr(theirs, attribute)], [place + 0.14], REFERENCE.marker, color=SERIES[1].colour,
                    markerfacecolor="white", markersize=6.5, label="published (cascades)",
                )  # fmt: skip
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.margins(x=0.2)
        axes.set_xlim(left=min(0.0, axes.get_xlim()[0]) if attribute != "index" else axes.get_xlim()[0])
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(nbins=2, min_n_ticks=2))  # panels are narrow
        named(axes, name)
    return _beside(figure, panels[0], "Stacked source classes", rows, 2)
