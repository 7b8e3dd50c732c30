"""A table of sources in one language: who, where, how wide, how bright, how far, and every column of its file.

A table with doubtful directions can be looked at, but not stacked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.schema import Bools, Floats

if TYPE_CHECKING:
    from nuanalysis.sky.records import Catalogue

Words = NDArray[np.str_]

STANDARD = ("name", "ra", "dec", "l", "b", "class", "extension", "flux", "distance")
NAMED = 3  # sources that a message names


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column of the file: (source,) numbers with NaN, or words with '', where there is no value; unit as stated."""

    values: Floats | Words
    unit: str = ""


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
        }  # fmt: skip
        angles = {"ra": self.right_ascension, "dec": self.declination, "extension": self.extension}
        if name in angles:
            return np.degrees(angles[name])
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
