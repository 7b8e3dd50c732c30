"""Sources that a table lists more than once, and which sources of two tables are the same place on the sky.

Separations are those of unit vectors: exact at the poles and across right ascension 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import scipy
from nuanalysis.schema import Floats, Ints

_MARGIN = 1.0 + 1e-9  # of the search in a tree; what it finds is measured again


def vectors(ra: Floats, dec: Floats) -> Floats:
    """Unit vectors, (source, 3)."""
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def angle(one: Floats, other: Floats) -> Floats:
    """Angle between unit vectors, accurate at all angles; (..., 3) each, returns (...,) rad."""
    return np.asarray(2.0 * np.arctan2(_length(one - other), _length(one + other)))


def _length(vector: Floats) -> Floats:
    return np.asarray(np.sqrt(np.sum(vector**2, axis=-1)))


def _chord(within: float) -> float:
    return 2.0 * float(np.sin(0.5 * min(within, np.pi))) * _MARGIN + 1e-15


# ---- within one table ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Rows of a table that are one source, rising, and the largest angle of one of them from the first, rad."""

    rows: Ints
    spread: float


def duplicates(name: NDArray[np.str_], ra: Floats, dec: Floats, within: float) -> tuple[Group, ...]:
    """Groups of sources with the same name (capitals and blanks aside), or within an angle (rad) of one another.

    A source belongs to a group if it is a duplicate of any of its members.
    """
    where = vectors(ra, dec)
    near = (
        scipy.spatial.cKDTree(where).query_pairs(_chord(within), output_type="ndarray")
        if len(ra)
        else np.empty((0, 2), int)
    )
    near = near[angle(where[near[:, 0]], where[near[:, 1]]) <= within]
    words = np.array(["".join(word.lower().split()) for word in name])
    first = np.unique(words, return_index=True)[1][np.unique(words, return_inverse=True)[1]]
    pairs = np.concatenate([near, np.stack([np.arange(len(name)), first], axis=1)])
    links = scipy.sparse.coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(name), len(name)))
    label = scipy.sparse.csgraph.connected_components(links, directed=False)[1]
    repeated = np.flatnonzero(np.bincount(label, minlength=1) > 1)
    groups = [np.flatnonzero(label == one) for one in repeated]
    spread = [float(angle(where[rows[:1]], where[rows]).max()) for rows in groups]
    return tuple(sorted(map(Group, groups, spread), key=lambda group: int(group.rows[0])))


# ---- between two tables -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Which sources of two tables are the same place.

    first, second, separation : (pair,) each source of the first table that has one of the second within the angle, in
        order; the nearest of them; and the angle between the two, rad.  Several may share a source of the second.
    alone_first, alone_second : sources with none of the other table within the angle.
    nearest_first, nearest_second : (source,) rad, to the nearest of the other table at any angle, NaN where there is
        no direction.
    """

    first: Ints
    second: Ints
    separation: Floats
    alone_first: Ints
    alone_second: Ints
    nearest_first: Floats
    nearest_second: Floats


def match(one: tuple[Floats, Floats], other: tuple[Floats, Floats], within: float) -> Match:
    """Match (right ascension, declination) of two tables, (source,) rad each; NaN has no match.

    within : rad, up to pi.
    """
    partner, nearest = _nearest(one, other)
    _, nearest_back = _nearest(other, one)
    with np.errstate(invalid="ignore"):
        near, near_back = nearest <= within, nearest_back <= within
    rows = np.flatnonzero(near)
    return Match(
        rows, partner[rows], nearest[rows], np.flatnonzero(~near), np.flatnonzero(~near_back), nearest, nearest_back
    )


def _nearest(one: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> tuple[Ints, Floats]:
    """For each source of one table the nearest of the other, -1 where there is none, and the angle, rad."""
    here, there = (np.flatnonzero(np.isfinite(ra) & np.isfinite(dec)) for ra, dec in (one, other))
    partner, separation = np.full(len(one[0]), -1, dtype=np.int64), np.full(len(one[0]), np.nan)
    if len(here) and len(there):
        mine, theirs = vectors(one[0][here], one[1][here]), vectors(other[0][there], other[1][there])
        found = scipy.spatial.cKDTree(theirs).query(mine)[1]
        partner[here] = there[found]
        separation[here] = angle(mine, theirs[found])
    return partner, separation
