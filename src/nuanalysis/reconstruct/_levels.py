"""Critical values of TS, where they come from, and what a map of probability makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.schema import Bools, Floats

SHARES = (0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Levels:
    """Critical values of TS whose contours are to hold 50 and 90 %.

    name : whose they are.  recipe : how they were found.  events : behind them, 0 where that does not apply.
    errors : of either value, 0 where it is exact.
    """

    name: str
    half: float
    ninety: float
    recipe: str
    events: int = 0
    errors: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if not 0.0 < self.half < self.ninety < np.inf:
            raise InputError(
                f"critical values '{self.name}' are {self.half:g} for 50 % and {self.ninety:g} for 90 %; expected two "
                "that rise, above 0"
            )

    def log_beyond(self, ts: Floats) -> Floats:
        """ln of the probability that the truth has a larger TS, any shape; finite TS of 0 or more.

        Straight lines from 0 through either level and beyond, so that Wilks' levels give the chi-squared law itself.
        """
        at, log_left = np.array([0.0, self.half, self.ninety]), np.log1p(-np.array([0.0, *SHARES]))
        slope = (log_left[2] - log_left[1]) / (at[2] - at[1])
        return np.asarray(np.where(ts > at[2], log_left[2] + (ts - at[2]) * slope, np.interp(ts, at, log_left)))

    def containment(self, ts: Floats) -> Floats:
        """Probability that the truth has a TS of at most so much, any shape: 0 at 0, exact at either level."""
        return np.asarray(-np.expm1(self.log_beyond(ts)))


#: Two free parameters and a parabola: S. S. Wilks, Ann. Math. Stat. 9, 60 (1938).
WILKS = Levels(
    "Wilks", float(-2.0 * np.log(0.5)), float(-2.0 * np.log(0.1)), "chi-squared of two parameters, no simulation"
)
#: What ICECAT-1 uses for every alert track; both scans that are public give its areas with them to 0.001 deg2.
PUBLISHED = Levels(
    "published", 22.2, 64.2, "resimulations of one event, IC160427A, for all alert tracks (icecube/skymap_scanner)"
)


def critical_value(ts: Floats, share: float) -> tuple[float, float]:
    """The ceil((N + 1) share)-th smallest of TS at the truth of N events, with its error.

    Of an event exchangeable with these, TS at the truth is not larger with a probability of ``share`` at least.
    The error is half the distance between the order statistics one binomial deviation to either side.
    Raises InputError for NaN, or too few events: the N + 1 must leave room above the level.
    """
    n, rank = len(ts), int(np.ceil((len(ts) + 1) * share - 1e-9))
    if rank > n or np.isnan(ts).any():
        least = int(np.ceil(share / (1.0 - share)))
        raise InputError(f"{n} events, {int(np.isnan(ts).sum())} without TS; expected numbers of {least} or more")
    ordered, spread = np.sort(ts), np.sqrt(n * share * (1.0 - share))
    low, high = (int(np.clip(round(rank + side * spread), 1, n)) for side in (-1, 1))
    return float(ordered[rank - 1]), float(0.5 * (ordered[high - 1] - ordered[low - 1]))


def levels_from(ts: Floats, *, name: str, recipe: str) -> Levels:
    """Levels of a class from TS at the truth of its simulated events, (event,)."""
    (half, half_error), (ninety, ninety_error) = (critical_value(ts, share) for share in SHARES)
    return Levels(name, half, ninety, recipe, len(ts), (half_error, ninety_error))


@dataclass(frozen=True, slots=True)
class Coverage:
    """Share of events whose truth lies within a contour, with its binomial error."""

    share: float
    error: float
    events: int


def coverage(ts: Floats, critical: Floats | float) -> Coverage:
    """How often the truth lies within the contour; ts (event,) at the truth, critical (event,) or one for all."""
    share = float((ts <= critical).mean())
    return Coverage(share, float(np.sqrt(share * (1.0 - share) / len(ts))), len(ts))


def probability_density(ts: Floats, area: Floats, levels: Levels) -> Floats:
    """Probability per steradian of leaves, (leaf,): {TS <= half} holds 0.5 and {TS <= ninety} 0.9, to rounding.

    ts (leaf,) : infinite where nothing is known.  area (leaf,) : sr.
    Within each of the three bands the density falls as 1 - q(TS), which for a parabola and Wilks' levels is its
    exp(-TS/2), bounded by one density at each border: it never rises with TS beyond a level, so a reader
    that takes the densest leaves first finds the same contours.  Where a band holds no leaf its probability goes to
    the next one inside of it, or to the first that has any.
    Raises InputError where no leaf has a TS.
    """
    if not np.isfinite(ts).any():
        raise InputError("no leaf of the map has a fit; nothing can be said of its probability")
    log_shape = levels.log_beyond(np.where(np.isfinite(ts), ts, 0.0))
    far = np.isfinite(ts) & (ts > levels.ninety)
    inner, middle = ts <= levels.half, (ts > levels.half) & (ts <= levels.ninety)
    bands = [one for one in (inner, middle, far) if one.any()]
    share = _shares(inner, middle, far)
    mass = [share[k] for k, one in enumerate((inner, middle, far)) if one.any()]
    return _banded(log_shape, area, bands, mass)


def _shares(inner: Bools, middle: Bools, far: Bools) -> list[float]:
    share = [0.5, 0.4, 0.1]
    if not far.any():
        share = [0.5, 0.5, 0.0] if middle.any() else [1.0, 0.0, 0.0]
    elif not middle.any():
        share = [0.9, 0.0, 0.1] if inner.any() else [0.0, 0.0, 1.0]
    elif not inner.any():
        share = [0.0, 0.9, 0.1]
    return share


def _banded(log_shape: Floats, area: Floats, bands: list[Bools], mass: list[float]) -> Floats:
    """Densities with so much mass in each band, that do not rise from one to the next."""
    log_scale = [np.log(m) - _log_sum(log_shape[of], area[of]) for of, m in zip(bands, mass, strict=True)]
    mean = [np.log(m / area[of].sum()) for of, m in zip(bands, mass, strict=True)]
    borders = [np.inf]
    for k in range(len(bands) - 1):
        end, begin = log_scale[k] + log_shape[bands[k]].min(), log_scale[k + 1] + log_shape[bands[k + 1]].max()
        borders.append(float(np.clip(0.5 * (end + begin), min(mean[k + 1], mean[k]), mean[k])))
    borders.append(-np.inf)
    out = np.zeros(len(area))
    for k, (of, m) in enumerate(zip(bands, mass, strict=True)):
        # A hair below the border from outside, so that no two leaves on its sides are as dense.
        top, bottom = borders[k] - (1e-6 if k else 0.0), borders[k + 1]
        log_density = _bounded(log_shape[of], area[of], m, (bottom, max(top, mean[k])))
        out[of] = np.exp(log_density)
        out[of] *= m / (out[of] * area[of]).sum()
    return out


def _log_sum(log_shape: Floats, area: Floats) -> float:
    top = float(log_shape.max())
    return top + float(np.log((area * np.exp(log_shape - top)).sum()))


def _bounded(log_shape: Floats, area: Floats, mass: float, bounds: tuple[float, float]) -> Floats:
    """ln of a density of the given shape and mass, cut at both bounds: its scale is found by halving."""
    low = np.log(mass) - _log_sum(log_shape, area)
    if bounds[0] <= low + log_shape.min() and low + log_shape.max() <= bounds[1]:
        return np.asarray(low + log_shape)
    least, most = low - 2000.0, low - float(log_shape.min()) + 2000.0
    for _ in range(200):
        middle = 0.5 * (least + most)
        held = float((area * np.exp(np.clip(middle + log_shape, *bounds))).sum())
        least, most = (middle, most) if held < mass else (least, middle)
    return np.asarray(np.clip(0.5 * (least + most) + log_shape, *bounds))
