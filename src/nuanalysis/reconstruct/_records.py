"""What a sky scan asks of an event: how well each direction fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nuanalysis.schema import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """The best fit at each of some directions.

    minus_log_likelihood (n,) : NaN where no fit converged.
    nuisance (n, k) : place, time, energy or whatever the likelihood frees, at that fit.
    """

    minus_log_likelihood: Floats
    nuisance: Floats


class EventLikelihood(Protocol):
    """The likelihood of one event with its direction held.

    A pure function of its arguments: what it gives for a direction does not depend on the others it is asked with.
    """

    def profile(self, right_ascension: Floats, declination: Floats, starts: Floats) -> Profile:
        """Fits at directions (n,), rad, each from nuisance parameters ``starts`` (n, k)."""
        ...

    def first_starts(self, right_ascension: Floats, declination: Floats) -> Floats:
        """Nuisance parameters (n, k) to begin with where nothing was fitted yet."""
        ...
