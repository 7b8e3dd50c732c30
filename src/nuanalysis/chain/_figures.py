"""Figures of the chain, each with its sidecar, under the folder of the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nuanalysis import plot
from nuanalysis.chain._events import Seen, array, hits_of
from nuanalysis.chain._judge import Judgement
from nuanalysis.chain._light import Medium
from nuanalysis.detector import TRUTH, Area, AreaRatio, CutFlow, Reconstructed, point_spread_quantiles
from nuanalysis.learn import Class, Scores
from nuanalysis.library.samples.open_detector import LABEL
from nuanalysis.plot.canvas import Figure
from nuanalysis.response import cascades_2023
from nuanalysis.schema import Bools, Floats, Ints

ORIGIN = "synthetic"
_MUONS = (Class.THROUGH_GOING, Class.BUNDLE)


def kept(figure: Figure, folder: Path, name: str, words: str) -> Path:
    """Write a figure as figures/NAME-synthetic.png."""
    sidecar = plot.Sidecar(
        slug=f"{name}-{ORIGIN}", alt=words, caption=f"{words} {TRUTH[0].upper()}{TRUTH[1:]}.", origin=ORIGIN,
        section="samples",
    )  # fmt: skip
    return plot.save(figure, folder / "figures", sidecar)


def event_figure(seen: Seen, judged: Judgement, medium: Medium, folder: Path) -> Path:
    """The judged event of the median charge, in three dimensions, with its true and its reconstructed axis."""
    charge = seen.variables.charge[judged.events]
    k = int(np.argsort(charge)[len(charge) // 2])
    event, said = int(judged.events[k]), judged.said
    hits = hits_of(seen.hits, judged.events[k : k + 1])
    where, truth = array(medium), seen.truth
    view = plot.EventView(
        modules=where.position,
        position=where.position[hits.module],
        charge=hits.values[:, 0].astype(float),
        time=hits.values[:, 3].astype(float),
        axes=(
            plot.ShownAxis("true", truth.vertex[event], truth.direction[event]),
            plot.ShownAxis("network", said.vertex[k], said.direction[k]),
        ),
    )
    energy = float(truth.deposited[event]) * 1e-3
    words = f"A simulated cascade of {energy:.3g} TeV deposited, {charge[k]:.0f} photoelectrons after cleaning."
    return kept(plot.event_display(view, label=f"{LABEL}: a cascade", origin=ORIGIN), folder, "event", words)


def score_figures(scores: Scores, label: Ints, folder: Path) -> tuple[Path, ...]:
    """Of a network of classes on events it has not seen: its scores, and what passes against what is kept.

    label (event,) : ``learn.Class``.
    """
    classes = [
        plot.ScoreClass(one.name.lower().replace("_", " "), scores.cascade[label == one], np.ones((label == one).sum()))
        for one in Class
        if (label == one).any()
    ]
    cascade = label == Class.CASCADE
    curves = [
        _curve("muons and bundles", scores.cascade_over_muons, cascade, np.isin(label, _MUONS)),
        _curve("starting tracks", scores.cascade, cascade, label == Class.STARTING_TRACK),
    ]
    drawn = (
        ("scores", plot.score_figure(classes, np.linspace(0.0, 1.0, 41), score="probability of a cascade",
                                     label=f"{LABEL}: scores", origin=ORIGIN),
         "Scores of the network of classes on events it has not seen, as generated."),
        ("passing", plot.passing_figure(curves, signal="cascades", background="tracks and bundles",
                                        label=f"{LABEL}: what passes", origin=ORIGIN),
         "Part of the tracks that pass against the part of the cascades that is kept, as generated."),
    )  # fmt: skip
    return tuple(kept(figure, folder, name, words) for name, figure, words in drawn)


def _curve(name: str, score: Floats, signal: Bools, other: Bools) -> plot.Passing:
    """What of the others lies above cuts that keep 30 to 100 per cent of the signal; binomial errors."""
    efficiency = np.linspace(0.3, 1.0, 71)
    cut = np.quantile(score[signal], 1.0 - efficiency)
    left = (score[other] >= cut[:, None]).mean(axis=1) if other.any() else np.zeros(len(cut))
    return plot.Passing(name, efficiency, left, np.sqrt(left * (1.0 - left) / max(int(other.sum()), 1)))


def angle_figure(curves: tuple[plot.AngleCurve, ...], folder: Path) -> Path:
    """Median angles of contained cascades against energy, beside those of the published release."""
    figure = plot.angle_figure(curves, cascades_2023.released_opening_angle(), label=f"{LABEL}: angle", origin=ORIGIN)
    words = "Median angle to the true direction against the energy of the neutrino, vertex among the strings, beside "
    return kept(figure, folder, "angle", f"{words}the published one.")


def selection_figures(
    flow: CutFlow, areas: tuple[Area, Area, Area], ratios: tuple[AreaRatio, ...], seen: Reconstructed, folder: Path
) -> tuple[Path, ...]:
    """Levels, effective area and resolution; areas : ours, the published one, the geometric limit."""
    drawn = (
        ("levels", plot.level_figure(flow, label=f"{LABEL}: levels", origin=ORIGIN),
         "Rates of every component at every level, and the effective events behind them."),
        ("area", plot.area_figure(*areas, ratios, label=f"{LABEL}: effective area", origin=ORIGIN),
         "Effective area of the last level beside the published one and the geometric limit."),
        ("resolution", plot.resolution_figure(
            point_spread_quantiles(seen), cascades_2023.released_opening_angle(), label=f"{LABEL}: resolution",
            origin=ORIGIN),
         "Opening angles of the last level beside the published ones."),
    )  # fmt: skip
    return tuple(kept(figure, folder, name, words) for name, figure, words in drawn)
