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
    place lies inside the hull of the strings.
    """

    topology: str
    low: float
    high: float
    contained: bool
    levels: Levels


@lru_cache(maxsize=1)
def level_classes() -> tuple[LevelClass, ...]:
    """All classes of ``scan_levels.csv``; ``validation/scan_coverage.py`` makes its rows and tests them."""
    text = (files("nuanalysis.chain") / "scan_levels.csv").read_text(encoding="utf-8")
    return tuple(_class(row) for row in csv.DictReader(text.splitlines()))


def _class(row: dict[str, str]) -> LevelClass:
    low, high = float(row["low"]), float(row["high"])
    levels = Levels(
        name=f"{row['topology']}, 10^{low:g} to 10^{high:g} GeV",
        half=float(row["half"]),
        ninety=float(row["ninety"]),
        recipe=row["recipe"],
        events=int(row["events"]),
        errors=(float(row["half_error"]), float(row["ninety_error"])),
    )
    return LevelClass(row["topology"], low, high, row["contained"] == "yes", levels)


def own_levels(topology: str, log10_energy: float, contained: bool) -> Levels | None:
    """Levels of the class that an event belongs to; None where that class was not calibrated."""
    for one in level_classes():
        if (one.topology, one.contained) == (topology, contained) and one.low <= log10_energy < one.high:
            return one.levels
    return None
