"""The bias curve of a problem as a document: what was injected, what is fitted, and fits turned back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from nuanalysis import trials
from nuanalysis.errors import PrecisionError
from nuanalysis.interpret.published import PUBLISHED

_MARGIN = 2.5  # standard deviations beyond the largest fit to correct


def published_pair(hypothesis: str, sample: str) -> tuple[float, float, str] | None:
    """Fitted and corrected n_s as published, and where; None where nothing was."""
    row = PUBLISHED.get(hypothesis)
    if row is None or row.sample != sample or not math.isfinite(row.n_signal_corrected):
        return None
    return row.n_signal, row.n_signal_corrected, row.source


def reach_for(fits: tuple[float, ...], spread: float) -> float:
    """Standard deviations of n_s to inject so that the curve holds these fits."""
    return float(max(7.0, math.ceil(max(fits, default=0.0) / spread + _MARGIN)))


def _corrected(curve: trials.BiasCurve, n_fitted: float, pair: tuple[float, float, str] | None) -> dict[str, Any]:
    """A fit turned back, or the reason why not; with the published number where it is about this fit."""
    record: dict[str, Any] = {"n_signal_fitted": n_fitted}
    try:
        found = curve.corrected(n_fitted)
        record |= {"n_signal": found.n_signal, "n_signal_error": found.error}
    except PrecisionError as error:
        record |= {"n_signal": None, "n_signal_error": None, "reason": str(error)}
    if pair is not None and pair[0] == n_fitted:
        record |= {"published_n_signal": pair[1], "published_source": pair[2]}
    return record


def curve_record(
    injected: xr.Dataset, fits: tuple[float, ...] = (), pair: tuple[float, float, str] | None = None
) -> dict[str, Any]:
    """The bias curve of injection trials, with fits corrected and published pairs beside them.

    Lists have one entry a strength.  Raises PrecisionError for too few strengths.
    """
    curve = trials.bias_curve(injected["n_injected"].values, injected["n_signal"].values)
    return {
        "n_injected": curve.strengths.tolist(),
        "n_fitted_median": curve.medians.tolist(),
        "n_fitted_median_error": curve.errors.tolist(),
        "spline": curve.curve.value(curve.strengths).tolist(),
        "spline_error": curve.curve.spread(curve.strengths).tolist(),
        "corrected": [_corrected(curve, n, pair) for n in fits],
        "n_trials": curve.n_trials,
        "not_converged": int((injected["converged"].values < 1).sum()),
        "injection_seed": int(injected.attrs["seed"]),
    }


def all_fits(asked: tuple[float, ...], pair: tuple[float, float, str] | None) -> tuple[float, ...]:
    """The fits asked for, and the published one."""
    return tuple(np.unique([*asked, *([pair[0]] if pair else [])]).tolist())
