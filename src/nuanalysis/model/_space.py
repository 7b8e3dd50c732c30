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

from nuanalysis.model import kernels
from nuanalysis.model._records import Sample
from nuanalysis.response import Spectrum, acceptance, acceptance_by_energy
from nuanalysis.sky.records import Catalogue, Template
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
REACH = 40.0  # kernels below exp(-40) of their peak count as zero
_PIXELS_IN_ERROR = 4.0
_CELL_CLASS_RATIO = 1.5  # of angular error in neighbouring classes of SourceCells
_ROWS_A_REACH = 0.2
_HEIGHTS = (float(np.radians(0.4)), float(np.radians(10.0)))  # of the rows of cells, least and most
_BELOW_ONE = float(np.nextafter(1.0, 0.0))
_PAIRS = 400_000  # of events and sources whose means are worked out at once
_PIXELS_IN_KERNEL = 2.0  # kernels wider than so many pixels may be summed to maps
_FEW_SOURCES = 40  # that are summed for each event, unless 99 per cent of the kernels are wide


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
class SourceCells:
    """Which sources an event can reach, by its angular error and where it is.

    Events fall into classes of angular error; a class has rows in declination, and a row has cells in right ascension,
    of a part of the reach of its kernels.

    largest : (class,) errors in rad that the classes hold; the last has no bound and reaches everywhere.
    height : (class,) of its rows, rad; first_row : (class,).
    columns, cell : (row,) cells of a row, and the number of its first.
    first, near : near[first[c] : first[c + 1]] are the sources in reach of some event in cell c.
    row_first, row_near : the same for all cells of a row together.
    """

    largest: Floats
    height: Floats
    first_row: Ints
    columns: Floats
    cell: Ints
    first: Ints
    near: Ints
    row_first: Ints
    row_near: Ints

    def rows(self, declination: Floats, error: Floats) -> Ints:
        """The row of each event, (event,)."""
        klass = np.searchsorted(self.largest[:-1], error)
        row = np.floor((declination + np.pi / 2) / self.height[klass]).astype(np.int64)
        last = np.append(self.first_row[1:], len(self.cell)) - 1
        return np.asarray(np.clip(self.first_row[klass] + row, self.first_row[klass], last[klass]))


def _lists(place: Ints, source: Ints, n: int) -> tuple[Ints, Ints]:
    """Sources listed by place, (place + 1,) and (entry,)."""
    order = np.argsort(place, kind="stable")
    return np.searchsorted(place[order], np.arange(n + 1)), source[order]


def _cells_of_class(ra: Floats, dec: Floats, reach: Floats) -> tuple[float, Ints, tuple[Ints, Ints], tuple[Ints, Ints]]:
    """Height and columns (row,) of a class whose kernels reach so far from the sources, and (place, source) pairs of
    rows and of cells."""
    height = float(np.clip(_ROWS_A_REACH * np.median(reach), *_HEIGHTS))
    n = int(np.ceil(np.pi / height))
    height = np.pi / n
    middle = (np.arange(n) + 0.5) * height - np.pi / 2
    columns = np.maximum(1, np.floor(2 * np.pi * np.cos(middle) / height)).astype(np.int64)
    # An event of the row lies at most half a height from the middle of the row at its own right ascension.
    wide = np.minimum(reach + 0.5 * height, np.pi)
    source, row = np.nonzero(np.abs(dec[:, None] - middle) <= wide[:, None])
    product = np.maximum(np.cos(dec[source]) * np.cos(middle[row]), 1e-12)
    cosine = (np.cos(wide[source]) - np.sin(dec[source]) * np.sin(middle[row])) / product
    half = np.where(wide[source] >= np.pi, np.pi, np.arccos(np.clip(cosine, -1.0, 1.0)))
    low, high = (np.floor((ra[source] + s * half) / (2 * np.pi) * columns[row]).astype(np.int64) for s in (-1, 1))
    many = np.minimum(high - low + 1, columns[row])
    entry = np.repeat(np.arange(len(source)), many)
    along = np.arange(len(entry)) - np.repeat(np.cumsum(many) - many, many)
    column = (low[entry] + along) % columns[row[entry]]
    begin = np.cumsum(columns) - columns
    return height, columns, (row, source), (begin[row[entry]] + column, source[entry])


def source_cells(ra: Floats, dec: Floats, extension2: Floats, errors: Floats) -> SourceCells:
    """Cells for sources, (source,) rad and rad^2, seen with angular errors in rad, (event,)."""
    n_class = max(1, int(np.ceil(np.log(errors.max() / errors.min()) / np.log(_CELL_CLASS_RATIO))))
    largest = errors.max() * _CELL_CLASS_RATIO ** -np.arange(n_class - 1.0, -1.0, -1.0)
    heights, first_row, columns, cell = [], [], [], []
    rows, cells = ([], []), ([], [])  # type: tuple[list[Ints], list[Ints]], tuple[list[Ints], list[Ints]]
    n_rows = n_cells = 0
    for error in np.append(largest, np.inf):
        reach = np.arccos(np.clip(1.0 - REACH * (error**2 + extension2), -1.0, 1.0))
        height, many, of_row, of_cell = _cells_of_class(ra, dec, reach)
        heights.append(height)
        first_row.append(n_rows)
        columns.append(many)
        cell.append(n_cells + np.cumsum(many) - many)
        for into, (where, source), offset in ((rows, of_row, n_rows), (cells, of_cell, n_cells)):
            into[0].append(where + offset)
            into[1].append(source)
        n_rows, n_cells = n_rows + len(many), n_cells + int(many.sum())
    return SourceCells(
        np.append(largest, np.inf),
        np.array(heights),
        np.array(first_row),
        np.concatenate(columns).astype(np.float64),
        np.concatenate(cell),
        *_lists(np.concatenate(cells[0]), np.concatenate(cells[1]), n_cells),
        *_lists(np.concatenate(rows[0]), np.concatenate(rows[1]), n_rows),
    )


@dataclass(frozen=True, slots=True, eq=False)
class StackSpace:
    """Sources with exact kernels; weights (p, source), rows sum to 1.  Extension adds in quadrature.

    A single source has one shape, p = 1, whatever the spectrum.
    """

    ra: Floats
    dec: Floats
    extension2: Floats
    weights: Floats
    cells: SourceCells


def exact_stack(ra: Floats, dec: Floats, extension2: Floats, weights: Floats, errors: Floats) -> StackSpace:
    """The sources, with cells for events of the given angular errors in rad, (event,)."""
    return StackSpace(ra, dec, extension2, weights, source_cells(ra, dec, extension2, errors))


@dataclass(frozen=True, slots=True, eq=False)
class MixedSpace:
    """Many sources: exact kernels for narrow events, maps for those with an angular error in rad of at least ``least``.

    The wide ones would else each be compared with most of the sources.
    """

    narrow: StackSpace
    wide: TemplateSpace
    least: float


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
    least = _PIXELS_IN_KERNEL * float(np.sqrt(4 * np.pi / (12 * sample.nside**2)))
    wide = errors >= least
    few, all_wide = len(ra) <= _FEW_SOURCES, float(wide.mean()) > 0.99
    if len(ra) == 1 or not wide.any() or (few and not all_wide):
        return exact_stack(ra, dec, extension**2, weights, errors)
    alms = [point_harmonics(ra, dec, w, extension, 3 * sample.nside - 1) for w in weights]
    if all_wide:
        return _maps_of(alms, sample.nside, errors)
    narrow = exact_stack(ra, dec, extension**2, weights, errors[~wide])
    return MixedSpace(narrow, _maps_of(alms, sample.nside, errors[wide]), least)


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

    def _difference(self, u: Floats, number: Ints) -> Floats:
        out = np.empty(self.mean.shape)
        kernels.template_difference(u, number, self.base, self.count, self.space.maps, self.mean, out)
        return out

    def difference_at(self, u: Floats) -> Floats:
        """(p, event) S - <S> with the looked-up events at right ascension 2 pi u, (event,)."""
        return self._difference(u, np.arange(len(u)))

    def difference(self, u: Floats) -> Floats:
        """(p, event) S - <S> with u (sample event,) of all events of the sample."""
        return self._difference(u, self.number)

    def position(self, ra: Floats) -> Floats:
        """u of each event's right ascension: the middle of the pixel of its own ring."""
        return np.asarray((ring_column(ra, self.count, self.shift) + 0.5) / self.count)

    def tilt(self, key: np.uint64, strength: Strength, mixing: Floats, out: Floats) -> None:
        """Redraw the looked-up events in out (sample event,), the plain draw, from 1 + strength (S - <S>)."""
        where = (self.number, self.base, self.count)
        kernels.template_tilt(key, strength, *where, self.space.maps, _two(mixing), self.mean, self.ceiling, out)


@dataclass(frozen=True, slots=True, eq=False)
class StackPlace:
    """Events near enough to some source of a StackSpace.

    axis (2, event) cos and sin of declination; kappa and norm (event,); mean and ceiling (p, event);
    cell and columns (event,) the first cell and the cells of an event's row in space.cells.
    number (event,): which events of the sample these are.
    With a single source its extension is part of kappa and norm, and extension2 is zero.
    """

    space: StackSpace
    number: Ints
    extension2: Floats
    axis: Floats
    kappa: Floats
    norm: Floats
    cell: Ints
    columns: Floats
    mean: Floats
    ceiling: Floats

    def _difference(self, u: Floats, number: Ints) -> Floats:
        s, out = self.space, np.empty(self.mean.shape)
        where = (self.axis, self.kappa, self.norm, self.cell, self.columns, s.cells.first, s.cells.near)
        kernels.stack_difference(u, number, *where, s.ra, s.dec, self.extension2, s.weights, self.mean, out)
        return out

    def difference_at(self, u: Floats) -> Floats:
        """(p, event) S - <S> with the looked-up events at right ascension 2 pi u, (event,)."""
        return self._difference(u, np.arange(len(u)))

    def difference(self, u: Floats) -> Floats:
        """(p, event) S - <S> with u (sample event,) of all events of the sample."""
        if len(self.space.dec) > 1:
            return self._difference(u, self.number)
        out, s = np.empty(self.mean.shape), self.space
        kernels.point_difference(
            u, self.number, self.axis, self.kappa, self.norm, s.ra[0], s.dec[0], self.mean[0], out[0]
        )
        return out

    def position(self, ra: Floats) -> Floats:
        """u of each event's right ascension."""
        return np.asarray(np.minimum(ra / (2 * np.pi), _BELOW_ONE))

    def tilt(self, key: np.uint64, strength: Strength, mixing: Floats, out: Floats) -> None:
        """Redraw the looked-up events in out (sample event,), the plain draw, from 1 + strength (S - <S>)."""
        s = self.space
        where = (self.number, self.axis, self.kappa, self.norm, self.cell, self.columns, s.cells.first, s.cells.near)
        sources = (s.ra, s.dec, self.extension2, mixing @ s.weights)
        kernels.stack_tilt(key, strength, *where, *sources, _two(mixing), self.mean, self.ceiling, out)


def _two(mixing: Floats) -> tuple[int, int, float, float]:
    """The one or two shapes of a node, and their weights."""
    used = np.flatnonzero(mixing)
    p, q = int(used[0]), int(used[-1])
    return p, q, float(mixing[p]), float(mixing[q]) if q != p else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class MixedPlace:
    """Events looked up in a MixedSpace: the wide in its maps, the narrow among its sources.

    pieces : which of the events, and where they were looked up.  Else as TemplatePlace and StackPlace.
    """

    number: Ints
    pieces: tuple[tuple[Ints | slice, TemplatePlace | StackPlace], ...]
    mean: Floats
    ceiling: Floats

    def difference_at(self, u: Floats) -> Floats:
        """(p, event) S - <S> with the looked-up events at right ascension 2 pi u, (event,)."""
        out = np.empty(self.mean.shape)
        for which, there in self.pieces:
            out[:, which] = there.difference_at(u[which])
        return out

    def difference(self, u: Floats) -> Floats:
        """(p, event) S - <S> with u (sample event,) of all events of the sample."""
        out = np.empty(self.mean.shape)
        for which, there in self.pieces:
            out[:, which] = there.difference(u)
        return out

    def position(self, ra: Floats) -> Floats:
        """u of each event's right ascension, for the wide ones that of their pixel."""
        out = np.empty(len(ra))
        for which, there in self.pieces:
            out[which] = there.position(ra[which])
        return out

    def tilt(self, key: np.uint64, strength: Strength, mixing: Floats, out: Floats) -> None:
        """Redraw the looked-up events in out (sample event,), the plain draw, from 1 + strength (S - <S>)."""
        ratio, group, scale = strength
        for which, there in self.pieces:
            there.tilt(key, (ratio, group[which], scale[which]), mixing, out)


Place = TemplatePlace | StackPlace | MixedPlace
Space = TemplateSpace | StackSpace | MixedSpace


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
    if isinstance(space, MixedSpace):
        return _place_mixed(space, events, number)
    grid, ring, klass = space.rows(events.declination, events.error)
    start, count, shift = np.empty(len(ring), dtype=np.int64), np.empty(len(ring)), np.empty(len(ring))
    for k, rows in enumerate(space.grids):
        mine = grid == k
        start[mine], count[mine], shift[mine] = (a[ring[mine]] for a in (rows.start, rows.count, rows.shift))
    at = np.minimum(events.energy_class, len(space.first_pixel) - 1), klass
    row = space.first_ring[at] + ring
    mean, ceiling = space.means[:, row], space.ceilings[:, row]
    return TemplatePlace(space, number, shift, space.first_pixel[at] + start, count, mean, ceiling)


def _sums_over_sources(space: StackSpace, declination: Floats, error: Floats, row: Ints) -> tuple[Floats, Floats]:
    """Mean over right ascension and its ceiling, the sum of what each source gives at most, (p, event) each."""
    cells = space.cells
    mean, ceiling = np.zeros((2, len(space.weights), len(declination)))
    many = cells.row_first[row + 1] - cells.row_first[row]
    ends = np.cumsum(many)
    start = 0
    while start < len(row):
        stop = max(start + 1, int(np.searchsorted(ends, ends[start] - many[start] + _PAIRS)))
        n = many[start:stop]
        event = np.repeat(np.arange(start, stop), n)
        along = np.arange(len(event)) - np.repeat(np.cumsum(n) - n, n)
        source = cells.row_near[cells.row_first[row[event]] + along]
        kappa = 1.0 / (error[event] ** 2 + space.extension2[source])
        dec, weights = space.dec[source], space.weights[:, source]
        found = np.flatnonzero(n)
        edges = (np.cumsum(n) - n)[found]
        if len(event):
            for out, values in (
                (mean, vmf_ra_mean(declination[event], dec, kappa)),
                (ceiling, vmf_density(np.cos(declination[event] - dec), kappa)),
            ):
                out[:, start + found] = np.add.reduceat(weights * values, edges, axis=1)
        start = stop
    return mean, ceiling


def _place_stack(space: StackSpace, declination: Floats, error: Floats, number: Ints) -> StackPlace:
    row = space.cells.rows(declination, error)
    mean, ceiling = _sums_over_sources(space, declination, error, row)
    axis = np.array([np.cos(declination), np.sin(declination)])
    single = len(space.dec) == 1
    kappa = 1.0 / (error**2 + (space.extension2[0] if single else 0.0))
    extension2 = np.zeros(1) if single else space.extension2
    where = space.cells.cell[row], space.cells.columns[row]
    return StackPlace(space, number, extension2, axis, kappa, vmf_norm(kappa), *where, mean, ceiling)


def _place_mixed(space: MixedSpace, events: Seen, number: Ints) -> MixedPlace:
    wide = events.error >= space.least
    pieces: list[tuple[Ints | slice, TemplatePlace | StackPlace]] = []
    mean, ceiling = np.empty((2, len(space.narrow.weights), len(number)))
    for one, chosen in ((space.wide, np.flatnonzero(wide)), (space.narrow, np.flatnonzero(~wide))):
        if not len(chosen):
            continue
        there = place(one, events.take(chosen), number[chosen])
        assert not isinstance(there, MixedPlace)
        together = chosen[-1] - chosen[0] + 1 == len(chosen)
        which = slice(int(chosen[0]), int(chosen[-1]) + 1) if together else chosen
        mean[:, which], ceiling[:, which] = there.mean, there.ceiling
        pieces.append((which, there))
    return MixedPlace(number, tuple(pieces), mean, ceiling)


def in_reading_order(space: Space, events: Seen) -> Ints:
    """Numbers of the events whose signal density can differ from zero at some right ascension.

    For a template all of them, in the order of the map rows they read, for a stack in that of the rows of its cells:
    neighbours in memory are then read together.
    """
    if isinstance(space, TemplateSpace):
        _, ring, klass = space.rows(events.declination, events.error)
        energy_class = np.minimum(events.energy_class, len(space.first_pixel) - 1)
        return np.lexsort((ring, space.first_pixel[energy_class, klass]))
    if isinstance(space, MixedSpace):
        wide = events.error >= space.least
        pieces = (space.wide, np.flatnonzero(wide)), (space.narrow, np.flatnonzero(~wide))
        return np.concatenate([mine[in_reading_order(one, events.take(mine))] for one, mine in pieces])
    row = space.cells.rows(events.declination, events.error)
    order = np.argsort(row, kind="stable")
    return np.asarray(order[(space.cells.row_first[row + 1] > space.cells.row_first[row])[order]])
