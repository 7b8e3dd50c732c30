"""The background density, estimated from the sample itself: uniform in right ascension."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuanalysis.model._records import Binning
from nuanalysis.sphere import vmf_ra_mean

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_FINE = 400  # bins in sin(dec) of the smoothed declination density


@dataclass(frozen=True, slots=True, eq=False)
class Smoother:
    """Turns counts in fine bins of sin(dec) into a density per sr: a kernel estimate, exact on the sphere."""

    matrix: Floats  # (fine, fine)


def smoother(binning: Binning, declination_range: tuple[float, float] = (-np.pi / 2, np.pi / 2)) -> Smoother:
    """Kernel matrix of a von Mises-Fisher kernel of the binning's width, averaged over right ascension.

    Near a cut in declination the estimate is divided by the part of the kernel inside the cut; without that, half of
    the density would leak over the edge.
    """
    sin_dec = np.linspace(-1.0, 1.0, 2 * _FINE + 1)[1::2]
    dec = np.arcsin(sin_dec)
    matrix = vmf_ra_mean(dec[:, None], dec[None, :], np.full(1, binning.dec_smoothing**-2))
    # Each column is the density of one event: it integrates to one over the sphere.
    matrix /= matrix.sum(axis=0) * 4.0 * np.pi / _FINE
    low, high = np.sin(declination_range)
    width = 2.0 / _FINE
    inside = np.clip((np.minimum(sin_dec + width / 2, high) - np.maximum(sin_dec - width / 2, low)) / width, 0.0, 1.0)
    if inside.min() < 1.0 - 1e-9:
        matrix /= np.maximum(matrix @ inside * 4.0 * np.pi / _FINE, 1e-300)[:, None]
    return Smoother(matrix)


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Which (sin dec, energy) cells share one background estimate: group of each cell, and row of each group."""

    group: Ints  # (cell,)
    row: Ints  # (group,)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Bin numbers of each event: fine declination bin, and (sin dec, energy) cell; (event,) each."""

    fine: Ints
    cell: Ints

    def take(self, chosen: Ints) -> Cells:
        """Those of the chosen events."""
        return Cells(self.fine[chosen], self.cell[chosen])


def cells(declination: Floats, log10_energy: Floats, binning: Binning) -> Cells:
    """Bins of the events; energies beyond the edges belong to the outer bins."""
    sin_dec = np.sin(declination)
    fine = np.minimum(((sin_dec + 1.0) * 0.5 * _FINE).astype(np.int64), _FINE - 1)
    row = np.searchsorted(binning.sin_dec_edges[1:-1], sin_dec, side="right")
    columns = len(binning.log10_energy_edges) - 1
    column = np.searchsorted(binning.log10_energy_edges[1:-1], log10_energy, side="right")
    return Cells(fine, row * columns + column)


def _row_groups(counts: Ints, least: int) -> Ints:
    """Group numbers of the bins of one row, each group holding at least ``least`` events; (bin,) from 0.

    Bins join their neighbour towards the peak of the row, so that only the sparse ends are merged.
    """
    peak = int(np.argmax(counts))
    group = np.arange(len(counts))
    held = 0
    for k in range(len(counts) - 1, peak, -1):
        held += int(counts[k])
        if held < least:
            group[k:] = np.where(group[k:] == group[k], group[k - 1], group[k:])
        else:
            held = 0
    held = 0
    for k in range(peak):
        held += int(counts[k])
        if held < least:
            group[: k + 1] = np.where(group[: k + 1] == group[k], group[k + 1], group[: k + 1])
        else:
            held = 0
    return np.unique(group, return_inverse=True)[1].astype(np.int64)


def grouping(where: Cells, binning: Binning) -> Grouping:
    """Merge the sparse cells of every sin(dec) row."""
    shape = (len(binning.sin_dec_edges) - 1, len(binning.log10_energy_edges) - 1)
    counts = np.bincount(where.cell, minlength=shape[0] * shape[1]).reshape(shape)
    group = np.empty(shape, dtype=np.int64)
    row: list[int] = []
    for r in range(shape[0]):
        local = _row_groups(counts[r], binning.min_count)
        group[r] = local + len(row)
        row += [r] * (int(local.max()) + 1)
    return Grouping(group.ravel(), np.array(row))


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Events in each bin of the background estimate: fine (fine,) and group (group,); all of them, total."""

    fine: Ints
    group: Ints
    total: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.fine + other.fine, self.group + other.group, self.total + other.total)


def counted(where: Cells, groups: Grouping) -> Counts:
    """Count the events in the given bins."""
    held = np.bincount(groups.group[where.cell], minlength=len(groups.row))
    return Counts(np.bincount(where.fine, minlength=_FINE), held, len(where.fine))


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """direction (fine,) sr^-1, integrates to 1; energy (group,) probability of the group in its sin(dec) row."""

    direction: Floats
    energy: Floats


def background(counts: Counts, groups: Grouping, kernel: Smoother) -> Background:
    """Estimate the background from the events in each bin."""
    direction = kernel.matrix @ counts.fine / max(counts.total, 1)
    held = counts.group.astype(np.float64)
    rows = np.bincount(groups.row, weights=held)
    return Background(direction, held / np.maximum(rows, 1.0)[groups.row])
