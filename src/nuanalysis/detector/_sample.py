"""A sample of events with a livetime, drawn from weighted simulated events of the last level.

An event that stands for a rate comes as often as that rate says, so it may come several times: each time it is moved a
little, by less than what is known of it.  At the South Pole the declination is the zenith less 90 degrees (of date;
the 0.1 to 0.3 degrees to J2000 are left out beside errors of degrees), and right ascension is even.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError
from nuanalysis.schema import EVENTS, WEIGHTED, Floats, Ints, dataset
from nuanalysis.sphere import offset, vmf_draw

NEUTRINO, MUON, ISOTROPIC = 0, 1, 2  # components of schema EVENTS
FIRST_MJD, LAST_MJD = 55694.0, 59357.0  # of the published cascades: May 2011 to May 2021
SMOOTHING = 0.25  # of the angular error by which a drawn event is moved: the point spread is 3 per cent wider
_ENERGY_STEP = 0.04  # in log10 E, a third of a bin of the analysis
_ERROR_STEP = 0.1  # of the logarithm of the angular error


def weighted_events(columns: dict[str, Floats], *, reference: str) -> xr.Dataset:
    """Weighted events of the last level as a dataset of schema WEIGHTED; columns by its names."""
    return dataset(WEIGHTED, columns, {"sample": "open-detector", "origin": "synthetic", "reference": reference})


def joined_components(parts: Sequence[tuple[int, Floats]]) -> tuple[Ints, Ints, Floats]:
    """Event, component and rate of every event that has a rate in a component, one component after the other.

    parts : component of schema EVENTS, and the rate (event,) Hz of every simulated event in it.  A simulated neutrino
    stands for several rates, with the flux of each; here it becomes as many rows.
    """
    found = [(np.flatnonzero(rate > 0.0), component, rate) for component, rate in parts]
    return (
        np.concatenate([events for events, _, _ in found]),
        np.concatenate([np.full(len(events), component) for events, component, _ in found]),
        np.concatenate([rate[events] for events, _, rate in found]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class DrawnSample:
    """events : schema EVENTS, synthetic.    source (event,) : row of the weighted events that each was drawn from."""

    events: xr.Dataset
    source: Ints


def draw_sample(
    weighted: xr.Dataset, *, livetime_s: float, rng: np.random.Generator, smoothing: float = SMOOTHING
) -> DrawnSample:
    """Events of a livetime, their number Poisson, each drawn with probability proportional to its rate.

    weighted : schema WEIGHTED.  smoothing : part of its angular error by which an event is moved; 0 leaves events as
    they are.  Energies move by 0.04 in log10 and errors by a tenth in the same proportion, never below the smallest.
    Raises InputError without rates.
    """
    rate = np.asarray(weighted["rate"].values, dtype=np.float64)
    if not rate.sum() > 0.0 or not livetime_s > 0.0:
        raise InputError(
            f"rates sum to {rate.sum():g} Hz and the livetime is {livetime_s:g} s; expected both above zero"
        )
    n = int(rng.poisson(rate.sum() * livetime_s))
    source = np.sort(rng.choice(len(rate), size=n, p=rate / rate.sum()))
    source = source[rng.permutation(n)]
    values = {name: np.asarray(weighted[name].values)[source] for name in weighted.variables if name in EVENTS.columns}
    values |= _moved(weighted, source, smoothing, rng)
    values["mjd"] = np.sort(rng.uniform(FIRST_MJD, LAST_MJD, n))
    attrs = {
        "sample": "open-detector",
        "origin": "synthetic",
        "livetime_s": livetime_s,
        "reference": str(weighted.attrs["reference"]),
        "most_copies": float(rate.max() * livetime_s),
    }
    return DrawnSample(dataset(EVENTS, values, attrs), np.asarray(source, dtype=np.int64))


def _moved(weighted: xr.Dataset, source: Ints, smoothing: float, rng: np.random.Generator) -> dict[str, Floats]:
    """Directions, energies and errors of the drawn events, each moved a little."""
    n, step = len(source), smoothing / SMOOTHING
    dec, energy, error = (
        np.asarray(weighted[name].values, dtype=np.float64)[source]
        for name in ("declination", "log10_energy", "angular_error")
    )
    ra = rng.uniform(0.0, 2.0 * np.pi, n)
    if smoothing > 0.0:
        ra, dec = offset(ra, dec, vmf_draw((smoothing * error) ** -2.0, rng), rng.uniform(0.0, 2.0 * np.pi, n))
    lowest = float(weighted["log10_energy"].min())
    energy = energy + step * _ENERGY_STEP * rng.standard_normal(n)
    error = error * np.exp(step * _ERROR_STEP * rng.standard_normal(n))
    return {
        "right_ascension": ra,
        "declination": dec,
        "zenith": np.clip(dec + 0.5 * np.pi, 0.0, np.pi),
        "log10_energy": np.maximum(energy, lowest),
        "angular_error": np.clip(error, 1e-4, np.pi),
    }
