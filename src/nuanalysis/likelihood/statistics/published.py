"""The statistic of IceCube 2023: direction and reconstructed energy, with signal subtraction."""

from __future__ import annotations

import numpy as np

from nuanalysis.model import Densities, Hypothesis, Sample, Statistic, binned
from nuanalysis.response import ONE_PART, Kernel, Response, Spectrum, acceptance_by_energy, energy_densities
from nuanalysis.schema import Floats
from nuanalysis.sky.records import Template
from nuanalysis.sphere import pixel_directions, regrade


def energy_cells(hypothesis: Hypothesis, sample: Sample, nodes: Floats, classes: Floats) -> Floats:
    """Probability of each energy bin of the signal in its sin(dec) row, (node, row, energy bin).

    With one class of energy its sum over a row is the part that passes the user's energy cut.  With several, each has
    a map of its own, and a bin has the class's share of the signal times the probability of the bin in its class and
    row.  Only what passes the cut counts: bins emptied by it share a group with bins that are not.
    """
    edges, cut = sample.binning.log10_energy_edges, sample.log10_energy_range
    fine = np.unique(np.concatenate([edges, np.clip(cut, edges[0], edges[-1])]))
    inside = (fine[:-1] >= cut[0]) & (fine[1:] <= cut[1])
    first = np.searchsorted(fine, edges[:-1])
    klass = np.searchsorted(classes, fine[:-1], side="right") - 1
    spectra = [hypothesis.spectrum_at(float(index)) for index in nodes]
    out = []
    for spectrum, cells in zip(
        spectra, energy_densities(sample.response, spectra, sample.binning.sin_dec_edges, fine), strict=True
    ):
        if len(classes) > 2:
            held = np.add.reduceat(cells, np.searchsorted(klass, np.arange(len(classes) - 1)), axis=1)
            cells *= (_class_shares(hypothesis, sample, spectrum, classes) / np.maximum(held, 1e-300))[:, klass]
        out.append(np.add.reduceat(cells * inside, first, axis=1))
    return np.array(out)


def _class_shares(hypothesis: Hypothesis, sample: Sample, spectrum: Spectrum, classes: Floats) -> Floats:
    """Share of the detected signal in each class of reconstructed energy, (class,), sums to 1."""
    assert isinstance(hypothesis.target, Template)
    _, dec = pixel_directions(sample.nside)
    total = np.zeros(len(classes) - 1)
    for density, part in hypothesis.target.parts(spectrum):
        total += regrade(density, sample.nside) @ acceptance_by_energy(sample.response, part, np.sin(dec), classes)
    return np.asarray(total / total.sum())


def densities(hypothesis: Hypothesis, sample: Sample, nodes: Floats, classes: Floats) -> Densities:
    """Signal from the response, background from the events, in rows of sin(dec) and bins of energy."""
    klass = np.searchsorted(classes, sample.binning.log10_energy_edges[:-1], side="right") - 1
    return binned(sample, energy_cells(hypothesis, sample, nodes, classes), klass)


def one_part(response: Response) -> Kernel:
    """The angular error is the width of the point spread."""
    return ONE_PART


STATISTIC = Statistic(
    "published",
    "direction and reconstructed energy, as published in 2023",
    "IceCube Collaboration, Science 380 (2023) 1338, supplementary materials",
    densities,
    one_part,
)
