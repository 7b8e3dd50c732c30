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


def smoother(binning: Binning) -> Smoother:
    """Kernel matrix of a von Mises-Fisher kernel of the binning's width, averaged over right ascension."""
    sin_dec = np.linspace(-1.0, 1.0, 2 * _FINE + 1)[1::2]
    dec = np.arcsin(sin_dec)
    matrix = vmf_ra_mean(dec[:, None], dec[None, :], np.full(1, binning.dec_smoothing**-2))
    # Each column is the density of one event: it integrates to one over the sphere.
    return Smoother(matrix / (matrix.sum(axis=0) * 4.0 * np.pi / _FINE))


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Bin numbers of each event: fine declination bin, and flat (sin dec, energy) cell; (event,) each."""

    fine: Ints
    cell: Ints


def cells(declination: Floats, log10_energy: Floats, binning: Binning) -> Cells:
    """Bins of the events; energies beyond the edges belong to the outer bins."""
    sin_dec = np.sin(declination)
    fine = np.clip(((sin_dec + 1.0) * 0.5 * _FINE).astype(np.int64), 0, _FINE - 1)
    row = np.clip(np.searchsorted(binning.sin_dec_edges, sin_dec, side="right") - 1, 0, len(binning.sin_dec_edges) - 2)
    columns = len(binning.log10_energy_edges) - 1
    column = np.clip(np.searchsorted(binning.log10_energy_edges, log10_energy, side="right") - 1, 0, columns - 1)
    return Cells(fine, row * columns + column)


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """direction (fine,) sr^-1, integrates to 1; energy (cell,) probability of the energy bin in its sin(dec) row."""

    direction: Floats
    energy: Floats


def background(where: Cells, binning: Binning, kernel: Smoother) -> Background:
    """Estimate the background from the events' bins."""
    counts = np.bincount(where.fine, minlength=_FINE)
    direction = kernel.matrix @ counts / max(len(where.fine), 1)
    shape = (len(binning.sin_dec_edges) - 1, len(binning.log10_energy_edges) - 1)
    table = np.bincount(where.cell, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    rows = table.sum(axis=1, keepdims=True)
    return Background(direction, np.divide(table, rows, out=np.zeros(shape), where=rows > 0).ravel())
