"""Everything about a hypothesis and its samples that a right-ascension scramble leaves alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nuanalysis.model import kernels
from nuanalysis.model._background import Background, Binning, Counts, Where, grouping, smoother
from nuanalysis.model._densities import Densities, EnergyTerms, energy_column
from nuanalysis.model._place import Place, Seen, in_reading_order, place
from nuanalysis.model._records import Hypothesis, Sample, Terms
from nuanalysis.model._space import Space, stack_space, template_space
from nuanalysis.response import Response, Spectrum, acceptance
from nuanalysis.schema import Floats, Ints
from nuanalysis.sky.records import Catalogue, Template
from nuanalysis.sphere import pixel_directions

FREE_INDEX = np.round(np.arange(1.0, 4.01, 0.2), 10)
_SPACE_INDEX = np.array([1.0, 2.0, 3.0, 4.0])
_GOLDEN = 0.6180339887498949
_LEAST_LOOKS = 8
_SEEN_EVENTS = 200_000
# Classes of reconstructed energy, log10 E/GeV, of templates that change with energy: a map is an average over a class.
_ENERGY_CLASSES = np.array([3.25, 3.75, 4.25, 4.75, 5.25])
_STEPS = np.concatenate([[0.0], 2.0 ** np.arange(-1.0, 7.1, 0.5)])  # in standard deviations of n_s


def energy_classes(hypothesis: Hypothesis, binning: Binning) -> Floats:
    """Edges of the classes of reconstructed energy, log10 E/GeV, (class + 1,): one class where the map never changes.

    They are edges of energy bins of the background, those nearest to half-decade steps from 1.8 to 180 TeV.
    """
    edges = binning.log10_energy_edges
    if isinstance(hypothesis.target, Catalogue) or len(hypothesis.target.maps) == 1:
        return edges[[0, -1]]
    nearest = edges[np.abs(edges[:, None] - _ENERGY_CLASSES).argmin(axis=0)]
    return np.asarray(np.unique([edges[0], *nearest, edges[-1]]))


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


def expected_rate(hypothesis: Hypothesis, response: Response, spectrum: Spectrum) -> float:
    """Expected events a second for dN/dE(100 TeV) = 1 GeV^-1 cm^-2 s^-1, per flavour, over the sky or the sources."""
    target = hypothesis.target
    if isinstance(target, Template):
        _, dec = pixel_directions(target.nside)
        pixel_area = 4 * np.pi / len(dec)
        parts = target.parts(spectrum)
        mean = sum(float((m * acceptance(response, s, np.sin(dec))).sum() * pixel_area) for m, s in parts)
    else:
        dec = np.array([s.declination for s in target.sources])
        weight = np.array(target.weights) / sum(target.weights)
        mean = float((weight * acceptance(response, spectrum, np.sin(dec))).sum())
    return mean


def expected_events(hypothesis: Hypothesis, sample: Sample, spectrum: Spectrum) -> float:
    """Expected events of a sample for dN/dE(100 TeV) = 1 GeV^-1 cm^-2 s^-1, see ``expected_rate``."""
    return expected_rate(hypothesis, sample.response, spectrum) * sample.livetime


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSample:
    """One sample: its spatial shapes, bins and lookups.  active: events that any scramble can bring near a signal."""

    sample: Sample
    space: Space
    densities: Densities
    counts: Counts
    base: Background
    active: Ints
    where: Where  # of the active events, as are lookup and energy
    lookup: Place
    energy: EnergyTerms
    share: Floats  # (node,) fraction of the signal events that fall into this sample

    @property
    def n_events(self) -> int:
        """All events of the sample."""
        return self.counts.total

    def seen(self, declination: Floats, error: Floats, where: Where) -> Seen:
        """What the look-up needs to know of events in the given bins, (event,) rad."""
        return Seen(declination, error, self.densities.energy_class[where.group])


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
        return sum(part.n_events for part in self.parts)

    def strength_at(self, ts: float) -> Floats:
        """Tilt n* of each node whose scrambles are expected to have this TS, (node,)."""
        return np.array([np.interp(np.sqrt(ts), np.sqrt(t), n) for n, t in zip(*self.strength, strict=True)])


def binned(sample: Sample, signal: Floats, energy_class: Ints) -> Densities:
    """Densities in direction and energy: the events of the sample decide which cells share a background estimate.

    signal : (node, row, column) probability of an energy bin in its sin(dec) row.
    energy_class : (column,) class of reconstructed energy of the maps; a group has that of most of its events.
    """
    binning, n_columns = sample.binning, signal.shape[2]
    column = energy_column(binning, sample.array("log10_energy"))
    row = np.searchsorted(binning.sin_dec_edges[1:-1], np.sin(sample.array("declination")), side="right")
    groups = grouping(row, column, n_columns, binning)
    cells = groups.group.ravel()
    held = np.zeros((len(groups.row), int(energy_class.max()) + 1))
    counts = np.bincount(row * n_columns + column, minlength=len(cells))
    np.add.at(held, (cells, np.tile(energy_class, len(cells) // n_columns)), counts)
    summed = [np.bincount(cells, weights=node.ravel(), minlength=len(groups.row)) for node in signal]
    kernel = smoother(binning, sample.declination_range)
    return Densities(binning, np.array(summed), groups, kernel, np.asarray(held.argmax(axis=1)))


def _prepare_sample(
    sample: Sample, hypothesis: Hypothesis, nodes: Floats, shapes: Floats, share: Floats
) -> PreparedSample:
    dec, error = sample.array("declination"), sample.array("angular_error")
    spectra = tuple(hypothesis.spectrum_at(float(g)) for g in shapes)
    target, classes = hypothesis.target, energy_classes(hypothesis, sample.binning)
    space: Space = (
        stack_space(target, sample, spectra, error)
        if isinstance(target, Catalogue)
        else template_space(target, sample, spectra, error, classes)
    )
    densities = sample.statistic.densities(hypothesis, sample, nodes, classes)
    where = densities.where(dec, sample.array("log10_energy"), error)
    counts = densities.counted(where)
    estimate = densities.background(counts)
    events = Seen(dec, error, densities.energy_class[where.group])
    active = in_reading_order(space, events)
    lookup = place(space, events.take(active), active)
    where = where.take(active)
    energy = densities.terms(where, estimate)
    return PreparedSample(sample, space, densities, counts, estimate, active, where, lookup, energy, share)


def prepare(hypothesis: Hypothesis, samples: tuple[Sample, ...]) -> Prepared:
    """Do once what every scramble shares."""
    nodes = spectra_of(hypothesis)
    shapes, mixing = space_nodes(hypothesis)
    spectra = [hypothesis.spectrum_at(float(g)) for g in nodes]
    expected = np.array([[expected_events(hypothesis, s, spectrum) for spectrum in spectra] for s in samples])
    share = expected / expected.sum(axis=0)
    parts = tuple(_prepare_sample(s, hypothesis, nodes, shapes, f) for s, f in zip(samples, share, strict=True))
    bare = Prepared(hypothesis, parts, nodes, mixing, expected.sum(axis=0), np.ones(len(nodes)), np.ones((2, 1, 1)))
    spread, strength = _strengths(bare)
    return replace(bare, spread=spread, strength=strength)


def _even_terms(prepared: Prepared, shift: float) -> Terms:
    """Terms with right ascensions spread evenly by the golden ratio."""
    parts = prepared.parts
    even: list[Floats] = [(np.arange(1.0, p.n_events + 1) * _GOLDEN + shift) % 1.0 for p in parts]
    differences = [p.lookup.difference(u) for p, u in zip(parts, even, strict=True)]
    return join(prepared, differences, [p.energy for p in parts])


def _strengths(prepared: Prepared) -> tuple[Floats, Floats]:
    """``spread`` and ``strength`` of Prepared, each event seen at several right ascensions: a small sample at more."""
    parts = prepared.parts
    floors = join(prepared, [p.lookup.mean for p in parts], [p.energy for p in parts])
    spread, strength = np.empty(len(prepared.index)), np.empty((2, len(prepared.index), len(_STEPS)))
    looks = max(_LEAST_LOOKS, _SEEN_EVENTS // max(prepared.n_events, 1))
    seen = [_even_terms(prepared, k / looks) for k in range(looks)]
    for g in range(len(prepared.index)):
        floor, xs = floors.x(g), [terms.x(g) for terms in seen]
        square = sum(float((x**2).sum()) for x in xs) / looks
        spread[g] = prepared.n_events / np.sqrt(max(square, 1e-300))
        strength[0, g] = spread[g] * _STEPS
        cs = strength[0, g] / prepared.n_events
        strength[1, g] = sum(kernels.expected_ts(x, floor, cs) for x in xs) / looks
    strength[1] = np.maximum.accumulate(strength[1], axis=1)
    return spread, strength


def join(
    prepared: Prepared, differences: list[Floats], energies: list[EnergyTerms], added: tuple[int, ...] = ()
) -> Terms:
    """One set of Terms from several samples.

    Sample j holds the fraction f_j of the signal: n_j / N_j = (n_s / N) f_j N / N_j, and f_j N / N_j goes into its
    energy ratio.  differences (p, event) and energies : of the events of each sample, all in the same number of pieces.
    added : events of each sample that are not its own.
    """
    counts = [part.n_events + n for part, n in zip(prepared.parts, added or (0,) * len(prepared.parts), strict=True)]
    total, pieces = sum(counts), len(energies) // len(counts)
    factors = [part.share * total / n for part, n in zip(prepared.parts, counts, strict=True)]
    ratios = [e.ratio * factors[k // pieces][:, None] for k, e in enumerate(energies)]
    group = np.concatenate([e.group for e in energies])
    event = first = 0
    for energy, ratio in zip(energies, ratios, strict=True):
        group[event : event + len(energy.group)] += first
        event, first = event + len(energy.group), first + ratio.shape[1]
    return Terms(
        np.concatenate(differences, axis=1),
        np.concatenate(ratios, axis=1),
        group,
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
        differences.append(part.lookup.difference_at(u))
    return join(prepared, differences, [p.energy for p in prepared.parts])
