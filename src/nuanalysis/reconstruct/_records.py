"""What a sky scan asks of an event, and what it makes of the answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.errors import InputError
from nuanalysis.schema import Bools, Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """The best fit at each of some directions.

    minus_log_likelihood (n,) : NaN where no fit converged.
    nuisance (n, k) : place, time, energy or whatever the likelihood frees, at that fit.
    """

    minus_log_likelihood: Floats
    nuisance: Floats


@dataclass(frozen=True, slots=True)
class Best:
    """The best fit with the direction free: rad, ICRS, and its -ln L."""

    right_ascension: float
    declination: float
    minus_log_likelihood: float


class EventLikelihood(Protocol):
    """The likelihood of one event with its direction held.

    A pure function of its arguments: what it gives for a direction does not depend on the others it is asked with.
    """

    @property
    def best(self) -> Best | None:
        """The fit with the direction free; None where there is none, and the best pixel stands for it."""
        ...

    def profile(self, right_ascension: Floats, declination: Floats, starts: Floats) -> Profile:
        """Fits at directions (n,), rad, each from nuisance parameters ``starts`` (n, k)."""
        ...

    def first_starts(self, right_ascension: Floats, declination: Floats) -> Floats:
        """Nuisance parameters (n, k) to begin with where nothing was fitted yet."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """Some HEALPix pixels: order and nested index of each, (pixel,)."""

    order: Ints
    index: Ints

    def __len__(self) -> int:
        return len(self.order)

    @property
    def uniq(self) -> Ints:
        """4 nside^2 + index, (pixel,): one number for order and index."""
        return np.asarray(4 ** (self.order + 1) + self.index, dtype=np.int64)

    @property
    def area(self) -> Floats:
        """Steradian of each, (pixel,)."""
        return np.asarray(np.pi / 3.0 * 0.25**self.order)

    @property
    def directions(self) -> tuple[Floats, Floats]:
        """Right ascension and declination of the centres, (pixel,) each, rad."""
        theta, phi = hp.pix2ang(2**self.order, self.index, nest=True)
        return np.asarray(phi), np.asarray(np.pi / 2 - theta)

    def take(self, which: Ints | Bools | slice) -> Pixels:
        """Some of them."""
        return Pixels(self.order[which], self.index[which])


def pixels_of(uniq: Ints) -> Pixels:
    """Order and index of pixels by their numbers 4 nside^2 + index, (pixel,)."""
    order = np.asarray((np.frexp(np.asarray(uniq, dtype=np.float64))[1] - 1) // 2 - 1, dtype=np.int64)
    return Pixels(order, np.asarray(uniq - 4 ** (order + 1), dtype=np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Leaves:
    """The sky in pixels that cover it once, with the fit at the centre of each, in the order of ``Pixels.uniq``.

    minus_log_likelihood (leaf,) : NaN where no fit converged.  nuisance (leaf, k).
    best : the fit that TS is counted from, never worse than any leaf.
    complete : whether every leaf that may touch the contour is as fine as was asked for.
    unresolved (leaf,) : leaves that are still to be divided, or failed beside the contour.
    """

    pixels: Pixels
    minus_log_likelihood: Floats
    nuisance: Floats
    best: Best
    complete: bool
    unresolved: Bools

    def __post_init__(self) -> None:
        n, covered = len(self.pixels), float(self.pixels.area.sum())
        if self.minus_log_likelihood.shape != (n,) or len(self.nuisance) != n or self.unresolved.shape != (n,):
            raise InputError(f"{n} leaves with {len(self.minus_log_likelihood)} fits; expected one for each")
        if abs(covered / (4.0 * np.pi) - 1.0) > 1e-9:
            raise InputError(f"the leaves cover {covered / (4.0 * np.pi):.6f} of the sky; expected all of it, once")

    @property
    def ts(self) -> Floats:
        """Twice the fall of ln L from the best, (leaf,); infinite where no fit converged."""
        fall = 2.0 * (self.minus_log_likelihood - self.best.minus_log_likelihood)
        return np.where(np.isnan(fall), np.inf, np.maximum(fall, 0.0))

    @property
    def failed(self) -> int:
        """Leaves without a fit."""
        return int(np.isnan(self.minus_log_likelihood).sum())
