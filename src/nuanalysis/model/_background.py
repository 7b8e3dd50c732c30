"""The background density, estimated from the sample itself: uniform in right ascension."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.schema import Floats, Ints
from nuanalysis.sphere import vmf_ra_mean

_FINE = 400  # bins in sin(dec) of the smoothed declination density


@dataclass(frozen=True, slots=True, eq=False)
class Binning:
    """Bins of the background estimate.

    sin_dec_edges, log10_energy_edges : of the energy density, which is normalised in each sin(dec) bin.
    dec_smoothing : width in rad of the kernel that smooths the declination density.
    min_count : neighbouring energy bins of a sin(dec) row are merged until each holds this many events: a density
        estimated from one event would let that event alone bound n_s.
    """

    sin_dec_edges: Floats
    log10_energy_edges: Floats
    dec_smoothing: float
    min_count: int = 1


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

    group: Ints  # (row, column)
    row: Ints  # (group,)


def row_groups(counts: Ints, least: int) -> Ints:
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


def grouping(row: Ints, column: Ints, n_columns: int, binning: Binning) -> Grouping:
    """Merge the sparse columns of every sin(dec) row; row and column (event,)."""
    shape = (len(binning.sin_dec_edges) - 1, n_columns)
    counts = np.bincount(row * n_columns + column, minlength=shape[0] * shape[1]).reshape(shape)
    group = np.empty(shape, dtype=np.int64)
    rows: list[int] = []
    for r in range(shape[0]):
        local = row_groups(counts[r], binning.min_count)
        group[r] = local + len(rows)
        rows += [r] * (int(local.max()) + 1)
    return Grouping(group, np.array(rows))


@dataclass(frozen=True, slots=True, eq=False)
class Where:
    """Bin numbers of each event, (event,): fine bin of sin(dec), and group of cells."""

    fine: Ints
    group: Ints

    def take(self, chosen: Ints) -> Where:
        """Those of the chosen events."""
        return Where(self.fine[chosen], self.group[chosen])


def fine_bin(sin_dec: Floats) -> Ints:
    """Fine bin of sin(dec), (event,)."""
    return np.asarray(np.minimum(((sin_dec + 1.0) * 0.5 * _FINE).astype(np.int64), _FINE - 1))


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Events in each bin of the background estimate: fine (fine,) and group (group,); all of them, total."""

    fine: Ints
    group: Ints
    total: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.fine + other.fine, self.group + other.group, self.total + other.total)


def counted(where: Where, groups: Grouping) -> Counts:
    """Count the events in the given bins."""
    held = np.bincount(where.group, minlength=len(groups.row))
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
