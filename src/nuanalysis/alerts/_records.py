"""The nouns of alerts.  Angles in rad (ICRS), times MJD (UTC), energies TeV, rates per year of 365.25 days."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from nuanalysis.errors import DataError, refuse

Tier = Literal["gold", "bronze", "cascade"]
Topology = Literal["track", "shower"]
Tense = Literal["current", "archival", "test", "injection"]
Origin = Literal["real", "synthetic"]

JULIAN_YEAR_S = 31_557_600.0
TIERS: tuple[Tier, ...] = ("gold", "bronze", "cascade")


@dataclass(frozen=True, slots=True)
class Box:
    """Errors to each side at a containment: in right ascension as such (not times cos dec), and in declination; rad."""

    right_ascension_plus: float
    right_ascension_minus: float
    declination_plus: float
    declination_minus: float
    containment: float = 0.9

    @property
    def sides(self) -> tuple[float, float, float, float]:
        """All four, in their order."""
        return self.right_ascension_plus, self.right_ascension_minus, self.declination_plus, self.declination_minus


@dataclass(frozen=True, slots=True)
class Region:
    """Where an alert came from.

    right_ascension, declination : best position, rad, ICRS.
    radius : of the circle that holds ``containment``, rad; None where none was given.
    radius_definition : how the radius follows from errors to each side; '' where it was measured as a circle.
    box : errors to each side; None where none was given.
    map : name of a multi-order map in the folder of the alert; None where there is none.
    systematic : whether systematic errors are part of it.
    """

    right_ascension: float
    declination: float
    radius: float | None = None
    containment: float = 0.9
    radius_definition: str = ""
    box: Box | None = None
    map: str | None = None
    systematic: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """One revision of what is known of an event that was worth telling.

    name : as given, never recomputed (IC170922A).  time : of the event, MJD UTC.
    energy_tev : most probable energy of the neutrino.  energy_kind : what the energy is and for which spectrum.
    p_astro : probability to be astrophysical.  method : how it was found.  far_per_yr : false alarms like it per year.
    revision : 0 is the first.  retracted : with the reason, '' where it stands.
    doubt : why it may be withdrawn, such as a cosmic-ray veto that fired; '' where nothing is known against it.
    near_plane : probability of |b| < 5 deg by the map of its scan; None before there is one.
    """

    name: str
    run: int
    event_id: int
    time: float
    stream: str
    tier: Tier
    topology: Topology
    energy_tev: float
    energy_kind: str
    p_astro: float
    far_per_yr: float
    method: str
    region: Region
    tense: Tense
    origin: Origin
    revision: int = 0
    retracted: str = ""
    doubt: str = ""
    near_plane: float | None = None

    def __post_init__(self) -> None:
        """Raises DataError with every fault in one message."""
        region, box = self.region, self.region.box
        numbers = {
            "time": (self.time, 40_000.0, 100_000.0),
            "energy_tev": (self.energy_tev, 1e-3, 1e9),
            "p_astro": (self.p_astro, 0.0, 1.0),
            "right ascension": (region.right_ascension, 0.0, 2 * math.pi),
            "declination": (region.declination, -math.pi / 2, math.pi / 2),
            "containment": (region.containment, 0.0, 1.0),
        }
        faults = [
            f"{name} is {value:g}; expected {low:g} to {high:g}"
            for name, (value, low, high) in numbers.items()
            if not low <= value <= high
        ]
        if not 0.0 < self.far_per_yr < math.inf:
            faults.append(f"far_per_yr is {self.far_per_yr:g}; expected a rate above 0")
        if region.radius is not None and not 0.0 < region.radius <= math.pi:
            faults.append(f"radius is {region.radius:g} rad; expected above 0, at most pi")
        if box is not None and not all(
            0.0 <= side <= 2 * math.pi
            for side in (
                box.right_ascension_plus,
                box.right_ascension_minus,
                box.declination_plus,
                box.declination_minus,
            )
        ):
            faults.append("a side of the box is not between 0 and 2 pi rad")
        if (self.tier == "cascade") != (self.topology == "shower"):
            faults.append(
                f"tier '{self.tier}' with topology '{self.topology}'; showers are cascade alerts, and only they"
            )
        if self.near_plane is not None and not 0.0 <= self.near_plane <= 1.0:
            faults.append(f"near_plane is {self.near_plane:g}; expected 0 to 1")
        if self.revision < 0:
            faults.append(f"revision is {self.revision}; expected 0 or more")
        if self.origin == "synthetic" and self.tense not in ("test", "injection"):
            faults.append(f"a synthetic alert of tense '{self.tense}'; expected test or injection")
        refuse(faults, f"alert {self.name or 'without a name'}", error=DataError)
