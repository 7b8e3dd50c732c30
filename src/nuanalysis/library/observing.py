"""When a sample was observed: the good runs of its seasons, and the season that a moment lies in."""

from __future__ import annotations

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.library.samples import Samples, SampleSpec, recipe
from nuanalysis.model import Sample
from nuanalysis.selection import NO_RUNS, Runs

NO_GOOD_RUNS = "no good runs are known: the observing time is taken as spread evenly between first and last event"


def good_runs(samples: Samples, season: Sample) -> tuple[Runs, str]:
    """The good runs of a season, and what has to be said of them ('' for published ones).

    Where none are known, one run from the first to the last event: rates and observing times are then too long and too
    low by the same factor, which leaves counts in a window as they are.
    """
    if isinstance(samples.spec, SampleSpec):
        _, runs = recipe(samples.spec.name).season(season.name).steps(NO_RUNS)
        if len(runs.starts):
            return runs, ""
    mjd = season.array("mjd")
    return Runs(np.array([mjd.min()]), np.array([mjd.max()])), NO_GOOD_RUNS


def season_at(samples: Samples, mjd: float) -> tuple[Sample, Runs, str]:
    """The season whose good runs hold a moment, or come nearest to it within a day; its runs, and what is said of them.

    Raises InputError where the moment lies in none.
    """
    spans = []
    for season in samples.seasons:
        runs, said = good_runs(samples, season)
        if runs.within(mjd - 1.0, mjd + 1.0).exposure_s > 0.0 and runs.starts[0] <= mjd <= runs.stops[-1]:
            return season, runs, said
        spans.append(f"{season.label} MJD {runs.starts[0]:.2f} to {runs.stops[-1]:.2f}")
    raise InputError(
        f"'{samples.name}' was not observed at MJD {mjd:.4f}; it holds {'; '.join(spans)}. Ask a sample that holds the "
        "moment, such as tracks-dr2 where its files are here"
    )
