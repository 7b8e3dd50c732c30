"""Densities in direction, energy and per-event angular error, with a background that varies smoothly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.likelihood.statistics import published
from nuanalysis.model import (
    Background,
    Counts,
    Densities,
    Grouping,
    Hypothesis,
    Sample,
    energy_column,
    row_groups,
    smoother,
)
from nuanalysis.response import ErrorTable, Kernel, Response, error_shares
from nuanalysis.schema import Floats, Ints

_CLASSES = 12  # of the angular error, alike in events
# Standard deviations of the average over neighbours: rows of declination, energy bins, classes of error.
_ENERGY_WIDTHS, _ERROR_WIDTHS = (1.5, 0.6, 1.0), (5.0, 0.6, 2.5)
# Events: an estimate from fewer is more the first guess than its own.  For energies less than one, or the estimate
# would hold a few energetic events of a source only in part, while the likelihood subtracts them whole.
_ENERGY_LEANS, _ERROR_LEANS = 0.2, 1.0
_LEAST = 20  # events of the whole sky that share one energy density in the first guess


@dataclass(frozen=True, slots=True, eq=False)
class CellDensities(Densities):
    """Columns are pairs of an energy bin and a class of angular error; every cell is a group of its own.

    The background is counted, as a slowly varying correction of a first guess: energies as in the whole sky, then
    errors as the response says of the signal.  Counts and guess are averaged over neighbouring cells alike, so that
    what changes fast, energies and errors with the energy, is not smeared.

    edges (class - 1,) rad : between the classes of error.
    law (row, energy bin, class) : P(class | energy) of signal.
    tail (energy bin,) : bins that share one energy density in the first guess;  shape (energy bin,) : of that.
    """

    edges: Floats
    law: Floats
    tail: Ints
    shape: Floats

    def column(self, log10_energy: Floats, angular_error: Floats) -> Ints:
        """Column of each event, (event,)."""
        classes = np.searchsorted(self.edges, angular_error, side="right")
        return np.asarray(energy_column(self.binning, log10_energy) * (len(self.edges) + 1) + classes)

    def background(self, counts: Counts) -> Background:
        """The background estimated from the events in each bin."""
        cells = counts.group.reshape(self.law.shape).astype(np.float64)  # (row, energy bin, class)
        energies = cells.sum(axis=2, keepdims=True)
        held = np.bincount(self.tail, weights=energies.sum(axis=(0, 2)))
        everywhere = held[self.tail] * self.shape / max(held.sum(), 1.0)
        guess = energies.sum(axis=1, keepdims=True) * everywhere[:, None]
        energy = guess * _correction(guess, energies, _ENERGY_WIDTHS, _ENERGY_LEANS)
        errors = self.law * _correction(energies * self.law, cells, _ERROR_WIDTHS, _ERROR_LEANS)
        total = np.maximum(energy.sum(axis=1, keepdims=True), 1e-300)
        density = energy / total * errors / errors.sum(axis=2, keepdims=True)
        return Background(self.kernel.matrix @ counts.fine / max(counts.total, 1), density.ravel())


def _correction(guess: Floats, cells: Floats, widths: tuple[float, ...], leans: float) -> Floats:
    """Events counted over events guessed in the neighbourhood of each cell, (row, energy bin, class)."""
    return np.asarray((_averaged(cells, widths) + leans) / (_averaged(guess, widths) + leans))


def _averaged(cells: Floats, widths: tuple[float, ...]) -> Floats:
    """Sums over neighbouring cells with Gaussian weights, 1 at the cell itself, (row, energy bin, class)."""
    along = []
    for n, width in zip(cells.shape, widths, strict=True):
        bins = np.arange(n)
        along.append(np.exp(-0.5 * ((bins[:, None] - bins) / width) ** 2))
    return np.asarray(np.einsum("rq,ef,cd,qfd->rec", *along, cells, optimize=True))


def _densities(hypothesis: Hypothesis, sample: Sample, nodes: Floats, classes: Floats, edges: Floats) -> CellDensities:
    binning, spectra = sample.binning, [hypothesis.spectrum_at(float(index)) for index in nodes]
    energies = published.energy_cells(hypothesis, sample, nodes, classes)  # (node, row, energy bin)
    n_rows, n_bins = energies.shape[1:]
    if len(edges):
        ends = np.concatenate([[0.0], edges, [np.pi]])
        law = error_shares(sample.response, spectra, binning.sin_dec_edges, binning.log10_energy_edges, ends)
    else:
        law = np.ones((len(nodes), n_rows, n_bins, 1))
    signal, middle = energies[..., None] * law, len(nodes) // 2
    tail = row_groups(np.bincount(energy_column(binning, sample.array("log10_energy")), minlength=n_bins), _LEAST)
    shape = energies[middle].sum(axis=0) + 1e-12 * energies[middle].sum()
    shape /= np.bincount(tail, weights=shape)[tail]
    n_columns = n_bins * law.shape[3]
    groups = Grouping(np.arange(n_rows * n_columns).reshape(n_rows, n_columns), np.repeat(np.arange(n_rows), n_columns))
    of_energy = np.searchsorted(classes, binning.log10_energy_edges[:-1], side="right") - 1
    energy_class = np.tile(np.repeat(of_energy, law.shape[3]), n_rows)
    base = (binning, signal.reshape(len(nodes), -1), groups, smoother(binning, sample.declination_range), energy_class)
    return CellDensities(*base, edges, law[middle], tail, shape)


def smooth_energies(hypothesis: Hypothesis, sample: Sample, nodes: Floats, classes: Floats) -> CellDensities:
    """Direction and energy, the background's energies estimated as a smooth correction of those of the whole sky."""
    return _densities(hypothesis, sample, nodes, classes, np.empty(0))


def with_errors(hypothesis: Hypothesis, sample: Sample, nodes: Floats, classes: Floats) -> CellDensities:
    """``smooth_energies`` and the angular error.

    Raises InputError for a response that has no law of the per-event errors.
    """
    law_of(sample.response)
    edges = np.quantile(sample.array("angular_error"), np.arange(1, _CLASSES) / _CLASSES)
    return _densities(hypothesis, sample, nodes, classes, edges)


def law_of(response: Response) -> ErrorTable:
    """The law of the per-event errors of a response.  Raises InputError where it has only a stand-in."""
    if isinstance(response.errors, ErrorTable):
        return response.errors
    raise InputError(
        f"the response of '{response.name}' has no measured law of the per-event angular errors, which this statistic "
        "compares; use the statistic 'published', or a response with columns error_share and kernel_weight"
    )


def measured(response: Response) -> Kernel:
    """Point spread at a given error as it was measured.  Raises InputError as ``law_of``."""
    return law_of(response).kernel
