"""Likelihoods that need no light: one with a known answer, and a published scan replayed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.reconstruct._neighbours import covering
from nuanalysis.reconstruct._records import Best, Profile, pixels_of
from nuanalysis.schema import Floats, Ints
from nuanalysis.sphere import cos_separation


@dataclass(frozen=True, slots=True)
class GaussianLikelihood:
    """-ln L of an ellipse on the sphere: half the sum of squares of the two angles from a centre, over their widths.

    right_ascension, declination : of the centre, rad.  wide, narrow : rad, along and across ``position_angle``, from
    north to east.  Angles are those of the equidistant projection about the centre, so a round contour at TS is a
    circle of radius wide sqrt(TS) of area 2 pi (1 - cos radius).  The one nuisance parameter is TS itself.
    """

    right_ascension: float
    declination: float
    wide: float
    narrow: float
    position_angle: float = 0.0

    @property
    def best(self) -> Best | None:
        """The centre."""
        return Best(self.right_ascension, self.declination, 0.0)

    def first_starts(self, right_ascension: Floats, declination: Floats) -> Floats:
        """Zeros, (n, 1)."""
        return np.zeros((len(right_ascension), 1))

    def profile(self, right_ascension: Floats, declination: Floats, starts: Floats) -> Profile:
        """See ``EventLikelihood``."""
        away, towards = _polar(self.right_ascension, self.declination, right_ascension, declination)
        along, across = away * np.cos(towards - self.position_angle), away * np.sin(towards - self.position_angle)
        ts = (along / self.wide) ** 2 + (across / self.narrow) ** 2
        return Profile(0.5 * ts, ts[:, None])


def _polar(ra: float, dec: float, right_ascension: Floats, declination: Floats) -> tuple[Floats, Floats]:
    """Angle from a centre, and its position angle from north to east, (n,) each, rad."""
    away = np.arccos(np.clip(cos_separation(np.asarray(ra), np.asarray(dec), right_ascension, declination), -1.0, 1.0))
    turn = right_ascension - ra
    east = np.cos(declination) * np.sin(turn)
    north = np.cos(dec) * np.sin(declination) - np.sin(dec) * np.cos(declination) * np.cos(turn)
    return away, np.arctan2(east, north)


@dataclass(frozen=True, slots=True, eq=False)
class TableLikelihood:
    """A published scan replayed: each direction has the values of the finest pixel that holds it.

    uniq (pixel,) : rising numbers of the pixels, which hold a whole order at least.
    minus_log_likelihood (pixel,), nuisance (pixel, k) : there.
    Raises InputError for lists that do not go together or do not cover the sky.
    """

    uniq: Ints
    minus_log_likelihood: Floats
    nuisance: Floats

    def __post_init__(self) -> None:
        n, order = len(self.uniq), pixels_of(self.uniq).order
        if self.minus_log_likelihood.shape != (n,) or len(self.nuisance) != n or not (np.diff(self.uniq) > 0).all():
            raise InputError(f"a table of {n} pixels; expected rising numbers, and a value for each")
        if not n or (order == order.min()).sum() != 12 * 4 ** int(order.min()):
            raise InputError("the coarsest pixels of the table do not cover the sky; a scan begins with all of them")

    @property
    def best(self) -> Best | None:
        """None: a table has no fit between its pixels."""
        return None

    def first_starts(self, right_ascension: Floats, declination: Floats) -> Floats:
        """Zeros, (n, k): nothing is fitted."""
        return np.zeros((len(right_ascension), self.nuisance.shape[1]))

    def profile(self, right_ascension: Floats, declination: Floats, starts: Floats) -> Profile:
        """See ``EventLikelihood``."""
        rows = covering(self.uniq, right_ascension, declination)
        return Profile(self.minus_log_likelihood[rows], self.nuisance[rows])
