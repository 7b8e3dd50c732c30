"""Discovery potentials at any significance and median significances, as documents."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from nuanalysis import trials
from nuanalysis.errors import PrecisionError


def reach_ts(sigma: float) -> float:
    """TS that background trials must cover for a threshold of ``sigma``; a free index needs more than sigma^2."""
    return sigma**2 + 9.0


def reach_strength(sigma: float) -> float:
    """Standard deviations of n_s to inject so that half of the experiments reach ``sigma``."""
    return float(max(7.0, np.ceil(1.15 * sigma + 2.0)))


def _potential(background: xr.Dataset, injected: xr.Dataset, per_flux: float, sigma: float) -> dict[str, Any]:
    record: dict[str, Any] = {"sigma": sigma}
    try:
        found = trials.discovery_potential(
            injected["n_injected"].values,
            injected["ts"].values,
            background["ts"].values,
            background["log_weight"].values,
            sigma=sigma,
        )
    except PrecisionError as error:
        nothing = dict.fromkeys(("n_signal", "n_signal_error", "flux", "flux_error", "threshold_ts"))
        return {**record, **nothing, "reason": str(error)}
    return {
        **record,
        "n_signal": found.n_signal,
        "n_signal_error": found.error,
        "flux": found.n_signal / per_flux,
        "flux_error": found.error / per_flux,
        "threshold_ts": found.threshold_ts,
        "threshold_p_relative_error": found.p_relative_error,
    }


def potentials(
    background: xr.Dataset, injected: xr.Dataset, per_flux: float, sigmas: tuple[float, ...]
) -> list[dict[str, Any]]:
    """Strength and flux at which half of the experiments reach each local significance, or the reason why not."""
    return [_potential(background, injected, per_flux, sigma) for sigma in sigmas]


def _median(background: xr.Dataset, n_signal: float, ts: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, Any]:
    record: dict[str, Any] = {"n_signal": n_signal, "n_trials": len(ts)}
    try:
        found = trials.median_significance(ts, background["ts"].values, background["log_weight"].values)
    except PrecisionError as error:
        return {**record, "sigma": None, "sigma_error": None, "median_ts": float(np.median(ts)), "reason": str(error)}
    return {**record, "sigma": found.sigma, "sigma_error": found.error, "median_ts": found.ts}


def median_significances(background: xr.Dataset, injected: xr.Dataset) -> list[dict[str, Any]]:
    """Local significance of the median experiment at each injected strength, or the reason why there is none."""
    n_injected, ts = injected["n_injected"].values, injected["ts"].values
    return [_median(background, float(n), ts[n_injected == n]) for n in np.unique(n_injected)]
