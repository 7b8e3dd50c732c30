"""How often contours hold the truth, and the critical values with which they do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.reconstruct import SHARES, WILKS
from nuanalysis.schema import Bools, Floats, Ints

_FEWEST = 20  # events of a class, below which Wilks' values are kept


@dataclass(frozen=True, slots=True, eq=False)
class Critical:
    """Critical values of the deficit, twice the fall of ln L, by class.

    edges (edge,) : log10 of E/GeV; what lies outside belongs to the first or last class.  value (2, energy, 2) : not
    contained and contained; by energy; that hold 50 and 90 %.  events (2, energy) : from which they were taken.
    """

    edges: Floats
    value: Floats
    events: Ints


def calibrate(deficit: Floats, contained: Bools, log10_energy: Floats, edges: Floats) -> Critical:
    """Critical values from events whose truth is known, (event,) each: quantiles of the deficit at the truth.

    Energies are reconstructed ones, since no other is known of an event.  Classes of fewer than 20 events keep Wilks'
    values.  Raises InputError for columns that differ in length.
    """
    if not len(deficit) == len(contained) == len(log10_energy):
        raise InputError(
            f"{len(deficit)} deficits, {len(contained)} flags, {len(log10_energy)} energies; expected as many"
        )
    shape = 2, len(edges) - 1
    value, events = np.empty((*shape, 2)), np.zeros(shape, np.int64)
    row, column = _class(contained, log10_energy, edges)
    for i in range(shape[0]):
        for j in range(shape[1]):
            chosen = deficit[(row == i) & (column == j)]
            events[i, j] = len(chosen)
            value[i, j] = np.quantile(chosen, SHARES) if len(chosen) >= _FEWEST else (WILKS.half, WILKS.ninety)
    return Critical(edges, value, events)


def critical_values(of: Critical, contained: Bools, log10_energy: Floats) -> Floats:
    """Critical values for events, (event, 2): those of 50 and 90 %."""
    return np.asarray(of.value[_class(contained, log10_energy, of.edges)])


def _class(contained: Bools, log10_energy: Floats, edges: Floats) -> tuple[Ints, Ints]:
    place = np.clip(np.searchsorted(edges, log10_energy, side="right") - 1, 0, len(edges) - 2)
    return contained.astype(np.int64), place
