"""Densities of signal and background in all that is seen of an event besides its right ascension."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.model._background import (
    Background,
    Binning,
    Counts,
    Grouping,
    Smoother,
    Where,
    background,
    counted,
    fine_bin,
)
from nuanalysis.schema import Floats, Ints

_RATIO_FLOOR = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class EnergyTerms:
    """S_E / (B_E B_direction) of events, kept as a table: ratio (node, group), group (event,), scale (event,)."""

    ratio: Floats
    group: Ints
    scale: Floats

    def at(self, node: int) -> Floats:
        """(event,) at one spectral node."""
        return np.asarray(self.ratio[node, self.group] * self.scale)


def energy_column(binning: Binning, log10_energy: Floats) -> Ints:
    """Energy bin of each event, (event,); energies beyond the edges belong to the outer bins."""
    return np.searchsorted(binning.log10_energy_edges[1:-1], log10_energy, side="right")


@dataclass(frozen=True, slots=True, eq=False)
class Densities:
    """Histograms of signal and background: rows in sin(dec), columns in reconstructed energy.

    A statistic that compares more than the energy derives from this class, overrides ``column``, and brings a
    ``signal`` and ``groups`` of its own columns.

    signal : (node, group) probability of the group of cells in its sin(dec) row.
    groups : which cells share one background estimate.    kernel : that smooths the background in declination.
    energy_class : (group,) class of reconstructed energy of the maps of a template.
    """

    binning: Binning
    signal: Floats
    groups: Grouping
    kernel: Smoother
    energy_class: Ints

    def column(self, log10_energy: Floats, angular_error: Floats) -> Ints:
        """Column of each event, (event,): its energy bin."""
        return energy_column(self.binning, log10_energy)

    def where(self, declination: Floats, log10_energy: Floats, angular_error: Floats) -> Where:
        """Bins of events, (event,) each: rad, log10 E/GeV, rad."""
        sin_dec = np.sin(declination)
        row = np.searchsorted(self.binning.sin_dec_edges[1:-1], sin_dec, side="right")
        return Where(fine_bin(sin_dec), self.groups.group[row, self.column(log10_energy, angular_error)])

    def counted(self, where: Where) -> Counts:
        """The events in each bin."""
        return counted(where, self.groups)

    def background(self, counts: Counts) -> Background:
        """The background estimated from the events in each bin: those of the data, or of a pseudo-experiment."""
        return background(counts, self.groups, self.kernel)

    def terms(self, where: Where, estimate: Background) -> EnergyTerms:
        """Signal over background of events in the given bins; finite, at least 1e-12."""
        ratio = self.signal / np.where(estimate.energy > 0, estimate.energy, np.inf)
        scale = np.full(len(estimate.direction), np.inf)
        np.divide(1.0, estimate.direction, out=scale, where=estimate.direction > 0)
        return EnergyTerms(np.maximum(ratio, _RATIO_FLOOR), where.group, scale[where.fine])
