"""The three real track samples: IC40, IC79 and IC86-2011.

The published samples are final, so nothing is removed: the good-run, quality, duplicate and overlap cuts are measured,
and the cut flow says how many events would fail each.  Only a user's own cuts remove events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.selection._cuts import Check, Cut
from nuanalysis.selection._runs import NO_RUNS, Runs
from nuanalysis.selection.event_cuts import Duplicates, Quality
from nuanalysis.selection.time_cuts import GoodRuns, Overlap

SMALLEST_SIGMA, LARGEST_SIGMA = float(np.radians(0.05)), float(np.radians(30.0))


@dataclass(frozen=True, slots=True)
class Season:
    """A published season of tracks.

    n_published  : events in the release.
    resolution_d : how coarsely its times are released, d; 0 where they are exact.
    note         : what a reader of the cut flow must know; '' where there is nothing.
    """

    name: str
    label: str
    n_published: int
    livetime_d: float
    reference: str
    resolution_d: float = 0.0
    note: str = ""

    def checks(self, runs: Runs, *, earlier: Runs = NO_RUNS) -> tuple[Cut | Check, ...]:
        """What is measured on the published events.

        runs    : good runs of the season.
        earlier : good runs of the season before it among those used, or none.
        """
        return (
            Check(GoodRuns(runs, self.resolution_d)),
            Check(Quality(SMALLEST_SIGMA, LARGEST_SIGMA)),
            Check(Duplicates()),
            Check(Overlap(earlier, self.resolution_d)),
        )


RECIPES: dict[str, Season] = {
    season.name: season
    for season in (
        Season("tracks-ic40", "IC40 (2008/09)", 36_900, 376.36, "doi:10.7910/DVN/VKL316, arXiv:2101.09836"),
        Season("tracks-ic79", "IC79 (2010/11)", 93_133, 316.05, "IceCube PS-3years release (2018)"),
        Season(
            "tracks-ic86-2011",
            "IC86-2011 (2011/12)",
            138_322,
            332.96,
            "IceCube PS-IC86-2011 release, ApJ 796, 109 (2014)",
            resolution_d=1.0,
            note=(
                "Times are whole days: whether an event lies in a good run, or in the overlap with the season before, "
                "can be told to a day only. Energies and angles are rounded to 0.1, so equal directions are expected "
                "by chance; duplicates are events equal in all five quantities."
            ),
        ),
    )
}
