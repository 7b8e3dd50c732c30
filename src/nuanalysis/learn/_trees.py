"""Boosted trees as plain arrays: what scikit-learn grew says the same without scikit-learn, to the last bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.detector import Singles
from nuanalysis.errors import InputError
from nuanalysis.learn._records import Card
from nuanalysis.schema import Bools, Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Gradient boosted trees of two classes.

    names : of the variables, the columns that are given.  Of each node, flat, tree after tree: feature (node,) a
    column; threshold (node,): up to it to the left; left, right (node,) : of the children, counted in the tree;
    missing_left (node,): where NaN goes; leaf (node,); value (node,) of a leaf, the learning rate inside.
    start (tree + 1,).  baseline : before the first tree.
    """

    names: tuple[str, ...]
    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    missing_left: Bools
    leaf: Bools
    value: Floats
    start: Ints
    baseline: float
    card: Card


def trees_score(trees: Trees, variables: Floats | Singles) -> Floats:
    """Raw score of each event, (event,): the logarithm of the odds.  variables (event, name); NaN where missing.

    Raises InputError for another number of columns.
    """
    if variables.ndim != 2 or variables.shape[1] != len(trees.names):
        raise InputError(f"variables have shape {variables.shape}, expected (event, {len(trees.names)}): {trees.names}")
    x, events = np.asarray(variables, dtype=np.float64), np.arange(len(variables))
    score = np.full(len(x), trees.baseline)
    for first in trees.start[:-1]:
        node = np.full(len(x), first)
        while (walking := ~trees.leaf[node]).any():
            value = x[events, trees.feature[node]]
            left = np.where(np.isnan(value), trees.missing_left[node], value <= trees.threshold[node])
            node = np.where(walking, first + np.where(left, trees.left[node], trees.right[node]), node)
        score += trees.value[node]
    return score
