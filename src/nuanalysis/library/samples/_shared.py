"""Which samples must not be analysed jointly, because an event would count twice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.library.samples._recipe import SampleRecipe
from nuanalysis.library.samples._samples import Samples

_SAME = 1e-7  # d and rad: two rows are one event


def refuse_shared_events(samples: Sequence[SampleRecipe | Samples]) -> None:
    """Raise InputError where two of the samples hold the same real events: each must then be analysed alone.

    Told by the detector seasons that recipes declare.  A user's own table declares none and may repeat a release: its
    events are compared row by row.
    """
    for one, other in combinations(samples, 2):
        shared = [season for season in one.holds if season in other.holds]
        if shared:
            few = ", ".join(shared[:3]) + (" ..." if len(shared) > 3 else "")
            raise InputError(
                f"the samples '{one.name}' and '{other.name}' share events ({few}): analysed jointly they would count "
                "twice; use one of them"
            )
        if found := _equal_rows(one, other):
            raise InputError(
                f"{found:,} events of the samples '{one.name}' and '{other.name}' are equal in time and direction: "
                "analysed jointly they would count twice; use one of them"
            )


def _equal_rows(one: SampleRecipe | Samples, other: SampleRecipe | Samples) -> int:
    """Real events equal in time and direction, where one of two opened samples does not say what it holds."""
    if not (isinstance(one, Samples) and isinstance(other, Samples)) or (one.holds and other.holds):
        return 0

    def rows(samples: Samples) -> set[tuple[float, ...]]:
        columns = ("mjd", "right_ascension", "declination")
        return {
            row
            for season in samples.seasons
            for row in map(tuple, np.round(np.stack([season.array(c) for c in columns], axis=1) / _SAME).tolist())
        }

    return len(rows(one) & rows(other)) if "synthetic" not in (one.origin, other.origin) else 0
