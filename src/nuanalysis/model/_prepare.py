"""Everything about a hypothesis and its samples that a right-ascension scramble leaves alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nuanalysis.model import _kernels
from nuanalysis.model._background import Background, Cells, Grouping, Smoother, background, cells, grouping, smoother
from nuanalysis.model._records import Hypothesis, Sample, Terms
from nuanalysis.model._space import Place, Space, in_reading_order, place, stack_space, template_space
from nuanalysis.response import acceptance, energy_density
from nuanalysis.sky._records import Catalogue, PowerLaw, Template
from nuanalysis.sphere import pixel_directions

Floats = NDArray[np.float64]
FREE_INDEX = np.round(np.arange(1.0, 4.01, 0.2), 10)
_SPACE_INDEX = np.array([1.0, 2.0, 3.0, 4.0])
_RATIO_FLOOR = 1e-12
_GOLDEN = 0.6180339887498949
_LEAST_LOOKS = 8
_SEEN_EVENTS = 200_000
_STEPS = np.concatenate([[0.0], 2.0 ** np.arange(-1.0, 7.1, 0.5)])  # in standard deviations of n_s


def spectra_of(hypothesis: Hypothesis) -> Floats:
    """Spectral nodes, (node,): one for a fixed index, 1 to 4 in steps of 0.2 for a free one."""
    return FREE_INDEX if hypothesis.index_free else np.array([hypothesis.index])


def space_nodes(hypothesis: Hypothesis) -> tuple[Floats, Floats]:
    """Indices at which the spatial shapes are built, (p,), and the mixing that gives each node, (node, p).

    Acceptance changes slowly with the index, so shapes at 1, 2, 3 and 4 are mixed linearly in between.  The shape of a
    single source is the same for all.
    """
    nodes = spectra_of(hypothesis)
    if not hypothesis.index_free:
        return nodes, np.ones((1, 1))
    if isinstance(hypothesis.target, Catalogue) and len(hypothesis.target.sources) == 1:
        return nodes[:1], np.ones((len(nodes), 1))
    mixing = np.stack([np.interp(nodes, _SPACE_INDEX, row) for row in np.eye(len(_SPACE_INDEX))], axis=1)
    return _SPACE_INDEX, mixing


def expected_events(hypothesis: Hypothesis, sample: Sample, spectrum: PowerLaw) -> float:
    """Expected events for dN/dE(100 TeV) = 1 GeV^-1 cm^-2 s^-1, per flavour, summed over the sky or the sources."""
    target = hypothesis.target
    if isinstance(target, Template):
        _, dec = pixel_directions(target.nside)
        pixel_area = 4 * np.pi / len(dec)
        mean = float((target.density * acceptance(sample.response, spectrum, np.sin(dec))).sum() * pixel_area)
    else:
        dec = np.array([s.declination for s in target.sources])
        weight = np.array(target.weights) / sum(target.weights)
        mean = float((weight * acceptance(sample.response, spectrum, np.sin(dec))).sum())
    return mean * sample.livetime


@dataclass(frozen=True, slots=True, eq=False)
class EnergyTerms:
    """S_E / (B_E B_direction) of events, kept as a table: ratio (node, group), group (event,), scale (event,)."""

    ratio: Floats
    group: NDArray[np.int64]
    scale: Floats

    def at(self, node: int) -> Floats:
        """(event,) at one spectral node."""
        return np.asarray(self.ratio[node, self.group] * self.scale)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSample:
    """One sample: its spatial shapes, bins and lookups.  active: events that any scramble can bring near a signal."""

    sample: Sample
    space: Space
    signal_energy: Floats  # (node, group) probability of the energy group in its sin(dec) row
    groups: Grouping
    kernel: Smoother
    where: Cells
    base: Background
    active: NDArray[np.int64]
    lookup: Place
    energy: EnergyTerms  # of the active events
    share: Floats  # (node,) fraction of the signal events that fall into this sample


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A hypothesis with its samples, ready for fits and trials.

    spread : (node,) expected standard deviation of n_s under the null, from evenly spread right ascensions.
    strength : (2, node, step) signal strengths n*, and the TS expected of scrambles tilted by them.
    """

    hypothesis: Hypothesis
    parts: tuple[PreparedSample, ...]
    index: Floats
    mixing: Floats
    expected: Floats  # (node,) events for unit dN/dE at 100 TeV, all samples
    spread: Floats
    strength: Floats

    @property
    def n_events(self) -> int:
        """Events of all samples."""
        return sum(len(part.where.fine) for part in self.parts)

    def strength_at(self, ts: float) -> Floats:
        """Tilt n* of each node whose scrambles are expected to have this TS, (node,)."""
        return np.array([np.interp(np.sqrt(ts), np.sqrt(t), n) for n, t in zip(*self.strength, strict=True)])


def energy_terms(signal_energy: Floats, groups: Grouping, where: Cells, estimate: Background) -> EnergyTerms:
    """S_E / (B_E B_direction) of events in the given bins; finite, at least 1e-12 of the background."""
    ratio = signal_energy / np.where(estimate.energy > 0, estimate.energy, np.inf)
    return EnergyTerms(np.maximum(ratio, _RATIO_FLOOR), groups.group[where.cell], 1.0 / estimate.direction[where.fine])


def _signal_energy(sample: Sample, nodes: Floats, groups: Grouping) -> Floats:
    """Probability of each group of cells, (node, group).

    Only what passes the user's energy cut counts: cells emptied by the cut share a group with cells that are not.
    """
    edges, cut = sample.binning.log10_energy_edges, sample.log10_energy_range
    fine = np.unique(np.concatenate([edges, np.clip(cut, edges[0], edges[-1])]))
    inside = (fine[:-1] >= cut[0]) & (fine[1:] <= cut[1])
    first = np.searchsorted(fine, edges[:-1])
    cell = [
        np.add.reduceat(
            energy_density(sample.response, PowerLaw(float(g)), sample.binning.sin_dec_edges, fine) * inside,
            first,
            axis=1,
        ).ravel()
        for g in nodes
    ]
    return np.array([np.bincount(groups.group, weights=c, minlength=len(groups.row)) for c in cell])


def _prepare_sample(
    sample: Sample, hypothesis: Hypothesis, nodes: Floats, shapes: Floats, share: Floats
) -> PreparedSample:
    dec, error = sample.array("declination"), sample.array("angular_error")
    spectra = tuple(PowerLaw(float(g)) for g in shapes)
    target = hypothesis.target
    space: Space = (
        stack_space(target, sample, spectra, error)
        if isinstance(target, Catalogue)
        else template_space(target, sample, spectra, error)
    )
    kernel = smoother(sample.binning, sample.declination_range)
    where = cells(dec, sample.array("log10_energy"), sample.binning)
    groups = grouping(where, sample.binning)
    estimate = background(where, groups, kernel)
    active = in_reading_order(space, dec, error)
    lookup = place(space, dec[active], error[active], active)
    signal_energy = _signal_energy(sample, nodes, groups)
    energy = energy_terms(signal_energy, groups, Cells(where.fine[active], where.cell[active]), estimate)
    return PreparedSample(sample, space, signal_energy, groups, kernel, where, estimate, active, lookup, energy, share)


def prepare(hypothesis: Hypothesis, samples: tuple[Sample, ...]) -> Prepared:
    """Do once what every scramble shares."""
    nodes = spectra_of(hypothesis)
    shapes, mixing = space_nodes(hypothesis)
    expected = np.array([[expected_events(hypothesis, s, PowerLaw(float(g))) for g in nodes] for s in samples])
    share = expected / expected.sum(axis=0)
    parts = tuple(_prepare_sample(s, hypothesis, nodes, shapes, f) for s, f in zip(samples, share, strict=True))
    bare = Prepared(hypothesis, parts, nodes, mixing, expected.sum(axis=0), np.ones(len(nodes)), np.ones((2, 1, 1)))
    spread, strength = _strengths(bare)
    return replace(bare, spread=spread, strength=strength)


def _even_terms(prepared: Prepared, shift: float) -> Terms:
    """Terms with right ascensions spread evenly by the golden ratio."""
    parts = prepared.parts
    even: list[Floats] = [(np.arange(1.0, len(p.where.fine) + 1) * _GOLDEN + shift) % 1.0 for p in parts]
    differences = [p.lookup.difference(u) for p, u in zip(parts, even, strict=True)]
    return join(prepared, differences, [p.energy for p in parts], [len(p.where.fine) for p in parts])


def _strengths(prepared: Prepared) -> tuple[Floats, Floats]:
    """``spread`` and ``strength`` of Prepared, each event seen at several right ascensions: a small sample at more."""
    parts = prepared.parts
    floors = join(
        prepared, [p.lookup.mean for p in parts], [p.energy for p in parts], [len(p.where.fine) for p in parts]
    )
    spread, strength = np.empty(len(prepared.index)), np.empty((2, len(prepared.index), len(_STEPS)))
    looks = max(_LEAST_LOOKS, _SEEN_EVENTS // max(prepared.n_events, 1))
    seen = [_even_terms(prepared, k / looks) for k in range(looks)]
    for g in range(len(prepared.index)):
        floor, xs = floors.x(g), [terms.x(g) for terms in seen]
        square = sum(float((x**2).sum()) for x in xs) / looks
        spread[g] = prepared.n_events / np.sqrt(max(square, 1e-300))
        strength[0, g] = spread[g] * _STEPS
        cs = strength[0, g] / prepared.n_events
        strength[1, g] = [sum(_kernels.expected_ts(x, floor, c) for x in xs) / looks for c in cs]
    strength[1] = np.maximum.accumulate(strength[1], axis=1)
    return spread, strength


def join(prepared: Prepared, differences: list[Floats], energies: list[EnergyTerms], counts: list[int]) -> Terms:
    """One set of Terms from several samples.

    Sample j holds the fraction f_j of the signal: n_j / N_j = (n_s / N) f_j N / N_j, and f_j N / N_j goes into its
    energy ratio.  differences (p, event), energies and counts N_j, one entry a sample.
    """
    total = sum(counts)
    ratios = [
        e.ratio * (part.share * total / n)[:, None] for e, part, n in zip(energies, prepared.parts, counts, strict=True)
    ]
    first = np.cumsum([0, *(r.shape[1] for r in ratios)])
    return Terms(
        np.concatenate(differences, axis=1),
        np.concatenate(ratios, axis=1),
        np.concatenate([e.group + k for e, k in zip(energies, first, strict=False)]),
        np.concatenate([e.scale for e in energies]),
        prepared.mixing,
        prepared.index,
        total,
    )


def terms(prepared: Prepared) -> Terms:
    """Terms of the samples as they are."""
    differences = []
    for part in prepared.parts:
        u = part.lookup.position(part.sample.array("right_ascension")[part.active])
        differences.append(part.lookup.at(u) - part.lookup.mean)
    return join(prepared, differences, [p.energy for p in prepared.parts], [len(p.where.fine) for p in prepared.parts])
