"""What the first notice of an alert was worth, told by its last one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError
from nuanalysis.schema import Floats
from nuanalysis.sphere import cos_separation


@dataclass(frozen=True, slots=True)
class RevisionStudy:
    """First notices beside the last ones.

    first : events with a revision 0.  revised : of those with a later one that did not take the alert back; the rest is
    about these.  shift_median : rad.  inside_50, inside_90 : share whose last position lies in the first circle of that
    containment.  floor : share whose first 50 % radius is the smallest there is.
    """

    first: int
    revised: int
    retracted: int
    shift_median: float
    inside_50: float
    inside_90: float
    floor: float


def revision_study(notices: xr.Dataset) -> RevisionStudy:
    """From ``ingest.read_gcn_table``.  An alert whose last notice has energy 0 was taken back.

    Raises InputError where no alert was revised.
    """
    run, event, revision = (notices[name].values for name in ("run", "event_id", "revision"))
    pairs, retracted, first = [], 0, 0
    for key in dict.fromkeys(zip(run.tolist(), event.tolist(), strict=True)):
        mine = np.flatnonzero((run == key[0]) & (event == key[1]))
        mine = mine[np.argsort(revision[mine], kind="stable")]
        if revision[mine[0]] != 0:
            continue
        first += 1
        if notices["energy"].values[mine[-1]] <= 0.0:
            retracted += 1
        elif len(mine) > 1:
            pairs.append((mine[0], mine[-1]))
    if not pairs:
        raise InputError("no alert has a first and a later notice; expected the table of all revisions")
    before, after = np.array(pairs).T
    shift = _apart(notices, before, after)
    radius_50, radius_90 = (notices[name].values[before] for name in ("radius_50", "radius_90"))
    return RevisionStudy(
        first=first,
        revised=len(pairs),
        retracted=retracted,
        shift_median=float(np.median(shift)),
        inside_50=float((shift <= radius_50).mean()),
        inside_90=float((shift <= radius_90).mean()),
        floor=float(np.isclose(radius_50, radius_50.min(), rtol=1e-3).mean()),
    )


def _apart(notices: xr.Dataset, before: Floats, after: Floats) -> Floats:
    ra, dec = notices["right_ascension"].values, notices["declination"].values
    cosine = cos_separation(ra[before], dec[before], ra[after], dec[after])
    return np.asarray(np.arccos(np.clip(cosine, -1.0, 1.0)))
