"""Single simulated cascades: the k-th of a seed that the detector contains and keeps, with its truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nuanalysis import learn
from nuanalysis.chain._events import array, taken
from nuanalysis.chain._inputs import CHARGE, MODULES
from nuanalysis.chain._light import Medium, opened_light
from nuanalysis.detector import (
    Ice,
    Kind,
    Mix,
    Truth,
    cleaned,
    generate,
    hull,
    inside,
    only,
    simulate_events,
    summarise,
)
from nuanalysis.errors import InputError

_BATCH = 8  # events made at a time; about half of them are contained
_TOTAL = 10**6
ENERGIES_TEV = (1.0, 5000.0)
NARROW = 1.01  # a single energy is this factor to either side


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedCascade:
    """One event: what modules saw of it, and its truth (event,) of length 1."""

    seen: learn.EventPulses
    truth: Truth
    number: int


def cascades(
    medium: Medium, table_file: Path, *, seed: int, energy_tev: float, width: float = NARROW, ice: Ice | None = None
) -> Iterator[SimulatedCascade]:
    """Electron neutrinos, charged current, from everywhere, with their vertex inside the hull of the strings.

    Energies ~ E^-1 within a factor ``width`` of one.  Kept are those that meet the trigger, with 12 modules and 20
    photoelectrons after cleaning.  Event number k of a seed is always the same.  ice : in place of the medium's own,
    to see what other ice does to a reconstruction that does not know of it.
    Raises InputError for an energy that is out of range.
    """
    low, high = ENERGIES_TEV
    if not low <= energy_tev <= high:
        raise InputError(f"a cascade of {energy_tev:g} TeV; expected {low:g} to {high:g}")
    where, table = array(medium), opened_light(table_file)
    where = where if ice is None else replace(where, ice=ice)
    mix = Mix(hull(where), _TOTAL, only(Kind.ELECTRON_CHARGED), 1e3 * energy_tev / width, 1e3 * energy_tev * width, 1.0)
    for first in range(0, _TOTAL, _BATCH):
        made = generate(mix, seed=seed, first=first, last=first + _BATCH)
        pulses = simulate_events(where, table, made, seed)
        hits = cleaned(where, summarise(pulses))
        charge = np.add.reduceat(np.append(hits.values[:, 0], 0.0), hits.start[:-1]) * (np.diff(hits.start) > 0)
        good = pulses.triggered & (np.diff(hits.start) >= MODULES) & (charge > CHARGE)
        for i in np.flatnonzero(good & inside(hull(where), made.truth.vertex)):
            truth = taken(made.truth, np.array([i]))
            yield SimulatedCascade(learn.event_pulses(pulses, int(i)), truth, first + int(i))
