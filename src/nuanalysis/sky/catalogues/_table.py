"""A table of sources in one language: who, where, how wide, how bright, how far, and every column of its file.

Also which sources it lists more than once, and which are the same place as those of another table.
A table with doubtful directions can be looked at, but not stacked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import scipy
from nuanalysis.errors import InputError
from nuanalysis.schema import Bools, Floats, Ints

if TYPE_CHECKING:
    from nuanalysis.sky.records import Catalogue

Words = NDArray[np.str_]

STANDARD = ("name", "ra", "dec", "l", "b", "class", "extension", "flux", "distance")
NAMED = 3  # sources that a message names
MOST_PAIRS = 20_000_000  # of sources within an angle; 16 bytes each, and some copies
_MARGIN = 1.0 + 1e-9  # of the search in a tree; what it finds is measured again


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column of the file: (source,) numbers with NaN, or words with '', where there is no value; unit as stated.

    about : what its file says it is, and ``ucd`` in the words of the Virtual Observatory ('pos.eq.ra;meta.main').
    """

    values: Floats | Words
    unit: str = ""
    about: str = ""
    ucd: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SourceTable:
    """Sources before any selection.

    name            : (source,) never empty.
    right_ascension : (source,) rad, ICRS, in [0, 2 pi); NaN where the file gives no usable direction.
    declination     : (source,) rad, ICRS.
    classes         : (source,) '' where unknown.
    extension       : (source,) Gaussian sigma, rad, NaN where not given.
    flux            : (source,) in flux_unit and flux_band (as stated, '' where not), NaN where not given.
    distance        : (source,) kpc, NaN where not given.
    columns         : every column of the file with one value a source, as it is; one whose name has another meaning
        here is called file_NAME.
    vectors         : columns with several values a source; no rule can use them.
    used            : which column was read as what, and the words about frame, units and bands that hold.
    faults          : what is wrong with the directions, in words; such a table cannot be stacked.
    astray          : (source,) the numbers, in words, of a direction that lies off the sphere, '' of others; or empty.
    """

    title: str
    file: str
    sha256: str
    reference: str
    name: Words
    right_ascension: Floats
    declination: Floats
    classes: Words
    extension: Floats
    flux: Floats
    flux_unit: str
    flux_band: str
    distance: Floats
    columns: Mapping[str, Column]
    vectors: tuple[str, ...] = ()
    used: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    astray: Words = field(default_factory=lambda: np.empty(0, dtype=np.str_))

    def __len__(self) -> int:
        return len(self.name)

    @property
    def placed(self) -> Bools:
        """Which sources have a direction, (source,)."""
        return np.isfinite(self.right_ascension) & np.isfinite(self.declination)

    @property
    def directions(self) -> tuple[Floats, Floats]:
        """Right ascension and declination, (source,) rad each."""
        return self.right_ascension, self.declination

    def names(self) -> tuple[str, ...]:
        """Every name a rule may use."""
        return (*STANDARD, *self.columns)

    def column(self, name: str) -> Floats | Words | None:
        """The values a rule sees under a name, angles in deg, (source,); None where there is no such name."""
        if name in ("l", "b"):
            return self.galactic()[name == "b"]
        standard: dict[str, Floats | Words] = {
            "name": self.name, "class": self.classes, "flux": self.flux, "distance": self.distance,
            "ra": np.degrees(self.right_ascension), "dec": np.degrees(self.declination),
            "extension": np.degrees(self.extension),
        }  # fmt: skip
        if name in standard:
            return standard[name]
        return self.columns[name].values if name in self.columns else None

    def galactic(self) -> tuple[Floats, Floats]:
        """Galactic longitude in [0, 360) and latitude, (source,) deg, NaN where there is no direction."""
        return turned(np.degrees(self.right_ascension), np.degrees(self.declination), "icrs", "galactic")


def turned(longitude: Floats, latitude: Floats, before: str, after: str) -> tuple[Floats, Floats]:
    """Directions in another frame of astropy, deg; NaN stays NaN."""
    if before == after:
        return longitude, latitude
    from astropy.coordinates import SkyCoord

    there = np.isfinite(longitude) & np.isfinite(latitude)
    out = np.full((2, len(longitude)), np.nan)
    if there.any():
        frame = SkyCoord(longitude[there], latitude[there], unit="deg", frame=before).transform_to(after)
        out[:, there] = frame.spherical.lon.deg, frame.spherical.lat.deg
    return out[0], out[1]


def some(names: Iterable[Any]) -> str:
    """The first few names and how many more there are."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more


def from_catalogue(catalogue: Catalogue, classes: Mapping[str, str]) -> SourceTable:
    """The sources of a built-in list as a table, so that a rule can be applied to them.

    classes : of each source by name; '' for those that have none.
    """
    sources = catalogue.sources
    nothing = np.full(len(sources), np.nan)
    return SourceTable(
        title=catalogue.label,
        file="",
        sha256="",
        reference=catalogue.reference,
        name=np.array([s.name for s in sources], dtype=np.str_),
        right_ascension=np.array([s.right_ascension for s in sources]),
        declination=np.array([s.declination for s in sources]),
        classes=np.array([classes.get(s.name, "") for s in sources], dtype=np.str_),
        extension=np.array([s.extension for s in sources]),
        flux=nothing,
        flux_unit="",
        flux_band="",
        distance=nothing,
        columns={},
    )


# ---- the same place on the sky ------------------------------------------------------------------------------------
# Separations are those of unit vectors: exact at the poles and across right ascension 0.


def vectors(ra: Floats, dec: Floats) -> Floats:
    """Unit vectors, (source, 3)."""
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def angle(one: Floats, other: Floats) -> Floats:
    """Angle between unit vectors, accurate at all angles; (..., 3) each, returns (...,) rad."""
    return np.asarray(2.0 * np.arctan2(_length(one - other), _length(one + other)))


def _length(vector: Floats) -> Floats:
    return np.asarray(np.sqrt(np.sum(vector**2, axis=-1)))


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Rows of a table that are one source, rising, and the largest angle of one of them from the first, rad."""

    rows: Ints
    spread: float


def duplicates(name: NDArray[np.str_], ra: Floats, dec: Floats, within: float) -> tuple[Group, ...]:
    """Groups of sources with the same name (capitals and blanks aside), or within an angle (rad) of one another.

    A source belongs to a group if it is a duplicate of any of its members.  Raises InputError where ``within`` makes
    more than MOST_PAIRS pairs.
    """
    where = vectors(ra, dec)
    near = np.empty((0, 2), int)
    if len(ra):
        chord = 2.0 * float(np.sin(0.5 * min(within, np.pi))) * _MARGIN + 1e-15
        tree = scipy.spatial.cKDTree(where)
        _refuse_pairs(tree, chord, where, within)
        near = tree.query_pairs(chord, output_type="ndarray")
    near = near[angle(where[near[:, 0]], where[near[:, 1]]) <= within]
    words = np.array(["".join(word.lower().split()) for word in name])
    first = np.unique(words, return_index=True)[1][np.unique(words, return_inverse=True)[1]]
    linked = np.concatenate([near, np.stack([np.arange(len(name)), first], axis=1)])
    links = scipy.sparse.coo_array((np.ones(len(linked)), (linked[:, 0], linked[:, 1])), shape=(len(name), len(name)))
    label = scipy.sparse.csgraph.connected_components(links, directed=False)[1]
    members = np.split(np.argsort(label, kind="stable"), np.cumsum(np.bincount(label, minlength=1))[:-1])
    groups = [rows for rows in members if len(rows) > 1]
    spread = [float(angle(where[rows[:1]], where[rows]).max()) for rows in groups]
    return tuple(sorted(map(Group, groups, spread), key=lambda group: int(group.rows[0])))


def _refuse_pairs(tree: Any, chord: float, where: Floats, within: float) -> None:
    """Raise InputError where the pairs would fill the memory, by the neighbours of 200 of the sources."""
    some_of_them = where[:: -(-len(where) // 200)]
    pairs = int(tree.query_ball_point(some_of_them, chord, return_length=True).mean() * len(where)) // 2
    if pairs > MOST_PAIRS:
        raise InputError(
            f"some {pairs:,} pairs of the {len(where):,} sources lie within {np.degrees(within):g} deg, expected at "
            f"most {MOST_PAIRS:,}; say a smaller within, or cut the list with the rule"
        )


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
