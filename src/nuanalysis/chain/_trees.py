"""Trees of the last level: against muons, and for cascades among neutrinos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nuanalysis.chain._events import Seen, taken
from nuanalysis.chain._judge import Judgement
from nuanalysis.chain._kept import trained_as
from nuanalysis.chain._rates import INDEX, components
from nuanalysis.chain._variables import NAMES, variables
from nuanalysis.detector import Kind
from nuanalysis.learn import Class, Growth, Trees, grow, labels_of, trees_score
from nuanalysis.schema import Bools, Floats

_CLIP = 0.99  # quantile of the weights of a side above which they are cut off in training


@dataclass(frozen=True, slots=True, eq=False)
class LastTrees:
    """muon : high where no muon is.  cascade : high for cascades among neutrinos."""

    muon: Trees
    cascade: Trees


def grown(seen: Seen, judged: Judgement, growth: Growth) -> LastTrees:
    """Trees from judged events, weighted by their rates; both sides of each weigh the same."""
    truth = taken(seen.truth, judged.events)
    given, rates = variables(seen, judged), components(truth, 1.0)
    rate = np.sum([one.rate for one in rates], axis=0)
    muon, cascade = truth.kind == Kind.BUNDLE, labels_of(truth) == Class.CASCADE
    neutrino = np.where(muon, 0.0, truth.weight * truth.energy**-INDEX)
    every = np.where(muon, rate, neutrino)
    return LastTrees(
        muon=grow(NAMES, given, ~muon, _balanced(every, ~muon), growth),
        cascade=grow(NAMES, given[~muon], cascade[~muon], _balanced(neutrino[~muon], cascade[~muon]), growth),
    )


def _balanced(weight: Floats, signal: Bools) -> Floats:
    """Weights with their largest cut off, of sum 1/2 on either side, times their number."""
    out = np.zeros(len(weight))
    for side in (signal, ~signal):
        cut = np.minimum(weight[side], np.quantile(weight[side], _CLIP))
        out[side] = 0.5 * len(weight) * cut / cut.sum()
    return out


def scores(trees: LastTrees, seen: Seen, judged: Judgement) -> tuple[Floats, Floats]:
    """Scores of both trees, (event,) in 0 to 1."""
    given = variables(seen, judged)
    muon, cascade = (1.0 / (1.0 + np.exp(-trees_score(one, given))) for one in (trees.muon, trees.cascade))
    return muon, cascade


def last_trees(folder: Path) -> LastTrees:
    """The trees of a run, else those that come with the package.  Raises DataError where there are neither."""
    return trained_as(LastTrees, folder, "trees")
