"""The signal density in direction: maps per class of angular error, or sources with exact kernels.

A template is maps.  So is a stack where the kernels are wide: the sources are summed once, and a trial costs the same
for 12 of them as for 1,000.  A single source, and stacks seen with narrow kernels, are summed for each event.
Both answer the same questions about events with given declination and angular error: the mean over right ascension,
the density at a right ascension, and a tilted scramble.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nuanalysis.model import _kernels
from nuanalysis.model._records import Sample
from nuanalysis.response import Spectrum, acceptance, acceptance_by_energy
from nuanalysis.sky._records import Catalogue, Template
from nuanalysis.sphere import (
    Rings,
    harmonics,
    pixel_directions,
    point_harmonics,
    regrade,
    ring_column,
    rings,
    smoothed,
    vmf_density,
    vmf_norm,
    vmf_ra_mean,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Strength = tuple[Floats, Ints, Floats]  # ratio (group,), group (event,), scale (event,): s_i = ratio[group_i] scale_i
CLASS_RATIO = 1.1  # neighbouring classes of angular error; an event is at most 5 per cent from its class
_REACH = 40.0  # kernels below exp(-40) of their peak count as zero
_PIXELS_IN_ERROR = 4.0
_PIXELS_IN_KERNEL = 2.0  # a stack is summed to maps where 99 per cent of the kernels are wider than so many pixels


@dataclass(frozen=True, slots=True, eq=False)
class TemplateSpace:
    """Maps of a template times acceptance, smoothed by each class of angular error, sr^-1, one after the other.

    A template that changes with energy has such maps for each class of reconstructed energy, whose acceptance is that
    to events of this class: what an event is compared with then follows its energy.

    A class needs pixels of a quarter of its error, no finer: what a trial reads then fits into the processor's cache.
    Right ascension is drawn and averaged on the pixels of an event's own ring, so that the mean is exact.

    maps : (pixel of all classes, p); the shapes p of a pixel lie side by side, one read from memory brings them all.
    means, ceilings : (p, ring of all classes), mean and largest value on each ring.
    grids, grid_of_class : the rings of the pixel sizes in use, and which of them each class of error has, (class,).
    first_pixel, first_ring : (energy class, class) where a class begins.
    """

    maps: NDArray[np.float32]
    means: Floats
    ceilings: Floats
    grids: tuple[Rings, ...]
    grid_of_class: Ints
    first_pixel: Ints
    first_ring: Ints
    log_class_edges: Floats

    def rows(self, declination: Floats, error: Floats) -> tuple[Ints, Ints, Ints]:
        """Grid number, ring number on that grid, and error class of each event, (event,)."""
        klass = np.clip(np.searchsorted(self.log_class_edges, np.log(error)) - 1, 0, len(self.grid_of_class) - 1)
        grid = self.grid_of_class[klass]
        ring = np.empty(len(declination), dtype=np.int64)
        for k, rows in enumerate(self.grids):
            ring[grid == k] = rows.of(declination[grid == k])
        return grid, ring, klass


@dataclass(frozen=True, slots=True, eq=False)
class StackSpace:
    """Sources with exact kernels; weights (p, source), rows sum to 1.  Extension adds in quadrature.

    A single source has one shape, p = 1, whatever the spectrum.
    """

    ra: Floats
    dec: Floats
    extension2: Floats
    weights: Floats


def _grid_of(error: float, nside: int) -> int:
    """The smallest nside, from 8 to ``nside``, with pixels no wider than a quarter of an angular error in rad."""
    wanted = np.sqrt(np.pi / 3) * _PIXELS_IN_ERROR / error
    return int(np.clip(2 ** np.ceil(np.log2(wanted)), min(8, nside), nside))


def _maps_of(alms: list[NDArray[np.complex128]], nside: int, errors: Floats) -> TemplateSpace:
    """Smooth each shape, given by its harmonics, with every class of angular error among ``errors`` (event,).

    nside : of the finest maps.
    """
    width = np.sqrt(4 * np.pi / (12 * nside**2))
    low, high = np.log(max(errors.min(), 0.5 * width)), np.log(max(errors.max(), 0.6 * width))
    n_class = max(1, int(np.ceil((high - low) / np.log(CLASS_RATIO))))
    edges = np.linspace(low, high, n_class + 1)
    middles = np.exp(0.5 * (edges[1:] + edges[:-1]))
    nsides = np.array([_grid_of(float(error), nside) for error in middles])
    grids = tuple(rings(int(n)) for n in np.unique(nsides))
    grid_of_class = np.searchsorted(np.unique(nsides), nsides)
    maps, means, ceilings = [], [], []
    for k, grid in enumerate(grids):
        kappas = middles[grid_of_class == k] ** -2  # classes of one grid are neighbours: the order is kept below
        part = np.stack([smoothed(alm, grid.nside, kappas) for alm in alms], axis=1)  # (class, p, pixel)
        part /= part.mean(axis=2, keepdims=True) * 4 * np.pi
        part = part.astype(np.float32)
        maps.append(np.moveaxis(part, 1, 2).reshape(-1, len(alms)))
        means.append(np.moveaxis(grid.mean(part), 1, 0).reshape(len(alms), -1))
        ceilings.append(np.moveaxis(grid.maximum(part), 1, 0).reshape(len(alms), -1).astype(np.float64))
    # Narrow classes have fine grids: the grids come in falling order of class.
    order = np.argsort(grid_of_class, kind="stable")
    pixels, n_rings = 12 * nsides[order] ** 2, 4 * nsides[order] - 1
    first_pixel, first_ring = np.empty(n_class, dtype=np.int64), np.empty(n_class, dtype=np.int64)
    first_pixel[order] = np.cumsum(pixels) - pixels
    first_ring[order] = np.cumsum(n_rings) - n_rings
    stacked = np.concatenate(means, axis=1), np.concatenate(ceilings, axis=1)
    starts = first_pixel[None], first_ring[None]
    return TemplateSpace(np.concatenate(maps), *stacked, grids, grid_of_class, *starts, edges)


def _one_behind_the_other(spaces: list[TemplateSpace]) -> TemplateSpace:
    """The spaces of all classes of energy as one; they differ in their maps alone."""
    if len(spaces) == 1:
        return spaces[0]
    pixels, n_rings = len(spaces[0].maps), spaces[0].means.shape[1]
    return replace(
        spaces[0],
        maps=np.concatenate([s.maps for s in spaces]),
        means=np.concatenate([s.means for s in spaces], axis=1),
        ceilings=np.concatenate([s.ceilings for s in spaces], axis=1),
        first_pixel=np.concatenate([s.first_pixel + k * pixels for k, s in enumerate(spaces)]),
        first_ring=np.concatenate([s.first_ring + k * n_rings for k, s in enumerate(spaces)]),
    )


def template_space(
    template: Template, sample: Sample, spectra: tuple[Spectrum, ...], errors: Floats, energy_edges: Floats
) -> TemplateSpace:
    """Build the maps for one sample.

    errors (event,) rad decide which classes are needed; energy_edges (energy class + 1,) log10 E/GeV.
    """
    _, dec = pixel_directions(sample.nside)
    seen = [_seen(template, sample, spectrum, np.sin(dec), energy_edges) for spectrum in spectra]
    spaces = []
    for k in range(len(energy_edges) - 1):
        densities = [s[k] / (s[k].sum() * 4 * np.pi / len(dec)) for s in seen]
        alms = [harmonics(density, 3 * sample.nside - 1) for density in densities]
        spaces.append(_maps_of(alms, sample.nside, errors))
    return _one_behind_the_other(spaces)


def _seen(template: Template, sample: Sample, spectrum: Spectrum, sin_dec: Floats, energy_edges: Floats) -> Floats:
    """Detected events of each class of reconstructed energy from each pixel, (energy class, pixel), arbitrary unit."""
    if len(energy_edges) == 2:
        density = regrade(template.maps[0], sample.nside)
        return np.asarray(density * acceptance(sample.response, spectrum, sin_dec))[None]
    total = np.zeros((len(energy_edges) - 1, len(sin_dec)))
    for density, part in template.parts(spectrum):
        coarse = regrade(density, sample.nside)
        total += coarse * acceptance_by_energy(sample.response, part, sin_dec, energy_edges).T
    # A class that no signal reaches keeps the shape of all classes: its events weigh nothing, but need a density.
    empty = total.sum(axis=1) <= 1e-9 * total.sum()
    total[empty] = total.sum(axis=0)
    return total


def stack_space(catalogue: Catalogue, sample: Sample, spectra: tuple[Spectrum, ...], errors: Floats) -> Space:
    """Sources weighted by catalogue weight times acceptance at each spectrum; summed to maps where that is accurate."""
    ra = np.array([s.right_ascension for s in catalogue.sources])
    dec = np.array([s.declination for s in catalogue.sources])
    weights = np.array([np.array(catalogue.weights) * acceptance(sample.response, s, np.sin(dec)) for s in spectra])
    weights /= weights.sum(axis=1, keepdims=True)
    extension = np.array([s.extension for s in catalogue.sources])
    pixel = np.sqrt(4 * np.pi / (12 * sample.nside**2))
    if len(ra) > 1 and np.quantile(errors, 0.01) > _PIXELS_IN_KERNEL * pixel:
        alms = [point_harmonics(ra, dec, w, extension, 3 * sample.nside - 1) for w in weights]
        return _maps_of(alms, sample.nside, errors)
    return StackSpace(ra, dec, extension**2, weights)


@dataclass(frozen=True, slots=True, eq=False)
class TemplatePlace:
    """Events looked up in a TemplateSpace: first pixel of the ring, ring size, mean (p, event) and ceiling (p, event).

    number (event,): which events of the sample these are.  shift (event,): 0.5 on rings centred on right ascension 0.
    """

    space: TemplateSpace
    number: Ints
    shift: Floats
    base: Ints
    count: Floats
    mean: Floats
    ceiling: Floats

    def at(self, u: Floats) -> Floats:
        """(p, event) density at right ascension 2 pi u."""
        out = np.empty((len(self.mean), len(u)))
        _kernels.template_space(u, self.base, self.count, self.space.maps, out)
        return out

    def difference(self, u: Floats) -> Floats:
        """(p, event) S - <S> with u (sample event,) of all events of the sample."""
        out = np.empty(self.mean.shape)
        _kernels.template_difference(u, self.number, self.base, self.count, self.space.maps, self.mean, out)
        return out

    def position(self, ra: Floats) -> Floats:
        """u of each event's right ascension: the middle of the pixel of its own ring."""
        return np.asarray((ring_column(ra, self.count, self.shift) + 0.5) / self.count)

    def tilt(self, key: np.uint64, strength: Strength, mixing: Floats, out: Floats) -> None:
        """Redraw the looked-up events in out (sample event,), the plain draw, from 1 + strength (S - <S>)."""
        where = (self.number, self.base, self.count)
        _kernels.template_tilt(key, strength, *where, self.space.maps, _two(mixing), self.mean, self.ceiling, out)


@dataclass(frozen=True, slots=True, eq=False)
class StackPlace:
    """Events near enough to some source of a StackSpace.

    axis (2, event) cos and sin of declination; kappa and norm (event,); mean and ceiling (p, event);
    near[first[i] : first[i + 1]] are the sources that event i can reach at some right ascension.
    number (event,): which events of the sample these are.
    With a single source its extension is part of kappa and norm, and extension2 is zero.
    """

    space: StackSpace
    number: Ints
    extension2: Floats
    axis: Floats
    kappa: Floats
    norm: Floats
    first: Ints
    near: Ints
    mean: Floats
    ceiling: Floats

    def at(self, u: Floats) -> Floats:
        """(p, event) density at right ascension 2 pi u."""
        s = self.space
        out = np.empty((len(s.weights), len(u)))
        _kernels.stack_space(
            u, self.axis, self.kappa, self.norm, self.first, self.near, s.ra, s.dec, self.extension2, s.weights, out
        )
        return out

    def difference(self, u: Floats) -> Floats:
        """(p, event) S - <S> with u (sample event,) of all events of the sample."""
        if len(self.space.dec) > 1:
            return self.at(u[self.number]) - self.mean
        out, s = np.empty(self.mean.shape), self.space
        _kernels.point_difference(
            u, self.number, self.axis, self.kappa, self.norm, s.ra[0], s.dec[0], self.mean[0], out[0]
        )
        return out

    def position(self, ra: Floats) -> Floats:
        """u of each event's right ascension."""
        return np.asarray(ra / (2 * np.pi))

    def tilt(self, key: np.uint64, strength: Strength, mixing: Floats, out: Floats) -> None:
        """Redraw the looked-up events in out (sample event,), the plain draw, from 1 + strength (S - <S>)."""
        s = self.space
        where = (self.number, self.axis, self.kappa, self.norm, self.first, self.near)
        sources = (s.ra, s.dec, self.extension2, mixing @ s.weights)
        _kernels.stack_tilt(key, strength, *where, *sources, _two(mixing), self.mean, self.ceiling, out)


def _two(mixing: Floats) -> tuple[int, int, float, float]:
    """The one or two shapes of a node, and their weights."""
    used = np.flatnonzero(mixing)
    p, q = int(used[0]), int(used[-1])
    return p, q, float(mixing[p]), float(mixing[q]) if q != p else 0.0


Place = TemplatePlace | StackPlace
Space = TemplateSpace | StackSpace


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a look-up needs to know of events: declination and angular error in rad, class of energy; (event,) each."""

    declination: Floats
    error: Floats
    energy_class: Ints

    def take(self, chosen: Ints) -> Seen:
        """The chosen events."""
        return Seen(self.declination[chosen], self.error[chosen], self.energy_class[chosen])


def place(space: Space, events: Seen, number: Ints | None = None) -> Place:
    """Look the events up.  number : which events of the sample they are, by default all in order."""
    number = np.arange(len(events.declination)) if number is None else number
    if isinstance(space, StackSpace):
        return _place_stack(space, events.declination, events.error, number)
    grid, ring, klass = space.rows(events.declination, events.error)
    start, count, shift = np.empty(len(ring), dtype=np.int64), np.empty(len(ring)), np.empty(len(ring))
    for k, rows in enumerate(space.grids):
        mine = grid == k
        start[mine], count[mine], shift[mine] = (a[ring[mine]] for a in (rows.start, rows.count, rows.shift))
    at = np.minimum(events.energy_class, len(space.first_pixel) - 1), klass
    row = space.first_ring[at] + ring
    mean, ceiling = space.means[:, row], space.ceilings[:, row]
    return TemplatePlace(space, number, shift, space.first_pixel[at] + start, count, mean, ceiling)


def _reach(space: StackSpace, declination: Floats, error: Floats) -> NDArray[np.bool_]:
    """Whether some right ascension brings an event near a source, (event, source)."""
    gap = 1.0 - np.cos(declination[:, None] - space.dec)
    return np.asarray(gap < _REACH * (error[:, None] ** 2 + space.extension2))


def _place_stack(space: StackSpace, declination: Floats, error: Floats, number: Ints) -> StackPlace:
    mean = np.zeros((len(space.weights), len(declination)))
    ceiling = np.zeros_like(mean)
    for k, (dec, extension2) in enumerate(zip(space.dec, space.extension2, strict=True)):
        kappa = 1.0 / (error**2 + extension2)
        mean += space.weights[:, k, None] * vmf_ra_mean(declination, dec, kappa)
        ceiling += space.weights[:, k, None] * vmf_density(np.cos(declination - dec), kappa)
    reach = _reach(space, declination, error)
    first = np.concatenate([[0], np.cumsum(reach.sum(axis=1))])
    axis = np.array([np.cos(declination), np.sin(declination)])
    single = len(space.dec) == 1
    kappa = 1.0 / (error**2 + (space.extension2[0] if single else 0.0))
    extension2 = np.zeros(1) if single else space.extension2
    near = np.nonzero(reach)[1]
    return StackPlace(space, number, extension2, axis, kappa, vmf_norm(kappa), first, near, mean, ceiling)


def in_reading_order(space: Space, events: Seen) -> Ints:
    """Numbers of the events whose signal density can differ from zero at some right ascension.

    For a template all of them, in the order of the map rows they read: neighbours in memory are then read together.
    """
    if isinstance(space, TemplateSpace):
        _, ring, klass = space.rows(events.declination, events.error)
        energy_class = np.minimum(events.energy_class, len(space.first_pixel) - 1)
        return np.lexsort((ring, space.first_pixel[energy_class, klass]))
    return np.flatnonzero(_reach(space, events.declination, events.error).any(axis=1))
