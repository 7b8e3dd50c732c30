"""Critical values of event classes: measured once on simulated events, kept as a table with its recipe."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from nuanalysis.reconstruct import Levels


@dataclass(frozen=True, slots=True)
class LevelClass:
    """Levels of events of one kind.

    topology : 'shower' or 'track'.  low, high : log10 of the fitted energy in GeV.  contained : whether the fitted
    place lies inside the hull of the strings.  ice : 'own' where the events were made in the ice that the fit assumes,
    'varied' where its scattering and absorption lengths were 10 per cent longer or shorter.
    """

    topology: str
    low: float
    high: float
    contained: bool
    ice: str
    levels: Levels


@lru_cache(maxsize=1)
def level_classes() -> tuple[LevelClass, ...]:
    """All classes of ``scan_levels.csv``; ``validation/scan_coverage.py`` makes its rows and tests them."""
    text = (files("nuanalysis.chain") / "scan_levels.csv").read_text(encoding="utf-8")
    return tuple(_class(row) for row in csv.DictReader(text.splitlines()))


def _class(row: dict[str, str]) -> LevelClass:
    low, high = float(row["low"]), float(row["high"])
    levels = Levels(
        name=f"{row['topology']}, 10^{low:g} to 10^{high:g} GeV, {row['ice']} ice",
        half=float(row["half"]),
        ninety=float(row["ninety"]),
        recipe=row["recipe"],
        events=int(row["events"]),
        errors=(float(row["half_error"]), float(row["ninety_error"])),
    )
    return LevelClass(row["topology"], low, high, row["contained"] == "yes", row["ice"], levels)


def own_levels(topology: str, log10_energy: float, contained: bool) -> tuple[Levels, ...]:
    """Levels of the class that an event belongs to, those of its own ice first; none where it was not calibrated."""
    return tuple(
        one.levels
        for one in sorted(level_classes(), key=lambda one: one.ice)
        if (one.topology, one.contained) == (topology, contained) and one.low <= log10_energy < one.high
    )
