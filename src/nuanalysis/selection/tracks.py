"""Published seasons of tracks.

The published samples are final, so nothing is removed: the good-run, quality, duplicate and overlap cuts are measured,
and the cut flow says how many events would fail each.  Only a user's own cuts remove events.
"""

from __future__ import annotations

import numpy as np

from nuanalysis.selection._cuts import NO_RUNS, Check, Runs
from nuanalysis.selection.cuts import Duplicates, GoodRuns, Overlap, Quality

SMALLEST_SIGMA, LARGEST_SIGMA = float(np.radians(0.05)), float(np.radians(30.0))


def checks(runs: Runs, *, earlier: Runs = NO_RUNS, resolution_d: float = 0.0) -> tuple[Check, ...]:
    """What is measured on the published events of a season.

    runs : good runs of the season.    earlier : those of the season before it among those used, or none.
    resolution_d : how coarsely its times are released, d; with whole days, whether an event lies in a good run, or in
        the overlap with the season before, can be told to a day only.
    """
    return (
        Check(GoodRuns(runs, resolution_d)),
        Check(Quality(SMALLEST_SIGMA, LARGEST_SIGMA)),
        Check(Duplicates()),
        Check(Overlap(earlier, resolution_d)),
    )
