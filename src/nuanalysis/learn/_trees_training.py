"""Growing boosted trees with scikit-learn, imported when it is called."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.errors import EnvironmentFault, InputError
from nuanalysis.learn._network import LIMITS
from nuanalysis.learn._records import Card
from nuanalysis.learn._trees import Trees
from nuanalysis.schema import Bools, Floats


@dataclass(frozen=True, slots=True)
class Growth:
    """How trees are grown: number, learning rate, depth, events in a leaf at least, strength of the L2 term, seed."""

    trees: int = 500
    rate: float = 0.03
    depth: int = 4
    leaf: int = 20
    ridge: float = 0.0
    seed: int = 1


def grow(names: tuple[str, ...], variables: Floats, signal: Bools, weight: Floats, growth: Growth) -> Trees:
    """Trees that part signal (event,) from the rest by variables (event, name), NaN where missing.

    Raises InputError for shapes that differ, EnvironmentFault without scikit-learn.
    """
    if variables.shape != (len(signal), len(names)):
        raise InputError(f"variables have shape {variables.shape}, expected {(len(signal), len(names))}")
    return exported(names, fitted(variables, signal, weight, growth), growth.seed)


def fitted(variables: Floats, signal: Bools, weight: Floats, growth: Growth) -> Any:
    """The HistGradientBoostingClassifier of scikit-learn; no early stop, so the number of trees is that asked for."""
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError as missing:
        raise EnvironmentFault(
            "trees need scikit-learn, which is not installed; pip install 'nuanalysis[learn]'"
        ) from missing
    model = HistGradientBoostingClassifier(
        max_iter=growth.trees, learning_rate=growth.rate, max_depth=growth.depth, min_samples_leaf=growth.leaf,
        l2_regularization=growth.ridge, early_stopping=False, random_state=growth.seed,
    )  # fmt: skip
    return model.fit(variables, signal, sample_weight=weight)


def exported(names: tuple[str, ...], model: Any, seed: int) -> Trees:
    """The arrays of a fitted classifier of two classes.  They are private names of scikit-learn: a test holds them."""
    nodes = [stage[0].nodes for stage in model._predictors]
    flat = np.concatenate(nodes)
    start = np.concatenate([[0], np.cumsum([len(one) for one in nodes])]).astype(np.int64)
    baseline = float(np.asarray(model._baseline_prediction).ravel()[0])
    arrays = (
        flat["feature_idx"].astype(np.int64), flat["num_threshold"].astype(np.float64), flat["left"].astype(np.int64),
        flat["right"].astype(np.int64), flat["missing_go_to_left"].astype(bool), flat["is_leaf"].astype(bool),
        flat["value"].astype(np.float64), start,
    )  # fmt: skip
    return Trees(names, *arrays, baseline, Card("", seed, (), LIMITS, _digest(names, arrays, baseline)))


def _digest(names: tuple[str, ...], arrays: tuple[NDArray[Any], ...], baseline: float) -> str:
    hasher = hashlib.sha256(repr((names, baseline)).encode())
    for array in arrays:
        hasher.update(np.ascontiguousarray(array).tobytes())
    return hasher.hexdigest()
