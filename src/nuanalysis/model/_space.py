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

from nuanalysis.model._records import Sample
from nuanalysis.response import ONE_PART, Kernel, Spectrum, acceptance, acceptance_by_energy
from nuanalysis.schema import Floats, Ints
from nuanalysis.sky.records import Catalogue, Template
from nuanalysis.sphere import Rings, harmonics, pixel_directions, point_harmonics, regrade, rings, smoothed

CLASS_RATIO = 1.1  # neighbouring classes of angular error; an event is at most 5 per cent from its class
REACH = 40.0  # kernels below exp(-40) of their peak count as zero
STACK_REACH = 12.5  # the same among many sources: five angular errors, 4e-6 of a kernel lies beyond
_PIXELS_IN_ERROR = 4.0
_CELL_CLASS_RATIO = 1.5  # of angular error in neighbouring classes of SourceCells
_ROWS_A_REACH = 0.3
_HEIGHTS = (float(np.radians(0.6)), float(np.radians(10.0)))  # of the rows of cells, least and most
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
        klass = np.searchsorted(self.log_class_edges[1:-1], np.log(error))
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
    some : a bit for each cell, whether it has sources; eight a byte, so that all of them stay in the cache.
    row_first, row_near : the same for rows, as far as REACH: sources that means over right ascension are made of.
    """

    largest: Floats
    height: Floats
    first_row: Ints
    columns: Floats
    cell: Ints
    first: NDArray[np.int32]
    near: NDArray[np.int32]
    some: NDArray[np.uint8]
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


def _cells_of_class(
    ra: Floats, dec: Floats, reach: Floats, row_reach: Floats
) -> tuple[float, Ints, tuple[Ints, Ints], tuple[Ints, Ints]]:
    """Height and columns (row,) of a class whose kernels reach so far from the sources, (source,) rad, and (place,
    source) pairs of rows, as far as ``row_reach``, and of cells."""
    height = float(np.clip(_ROWS_A_REACH * np.median(reach), *_HEIGHTS))
    n = int(np.ceil(np.pi / height))
    height = np.pi / n
    middle = (np.arange(n) + 0.5) * height - np.pi / 2
    columns = np.maximum(1, np.floor(2 * np.pi * np.cos(middle) / height)).astype(np.int64)
    # An event of the row lies at most half a height from the middle of the row at its own right ascension.
    wide = np.minimum(reach + 0.5 * height, np.pi)
    apart = np.abs(dec[:, None] - middle)
    row_source, wide_row = np.nonzero(apart <= row_reach[:, None] + 0.5 * height)
    source, row = np.nonzero(apart <= wide[:, None])
    product = np.maximum(np.cos(dec[source]) * np.cos(middle[row]), 1e-12)
    cosine = (np.cos(wide[source]) - np.sin(dec[source]) * np.sin(middle[row])) / product
    half = np.where(wide[source] >= np.pi, np.pi, np.arccos(np.clip(cosine, -1.0, 1.0)))
    low, high = (np.floor((ra[source] + s * half) / (2 * np.pi) * columns[row]).astype(np.int64) for s in (-1, 1))
    many = np.minimum(high - low + 1, columns[row])
    entry = np.repeat(np.arange(len(source)), many)
    along = np.arange(len(entry)) - np.repeat(np.cumsum(many) - many, many)
    column = (low[entry] + along) % columns[row[entry]]
    begin = np.cumsum(columns) - columns
    return height, columns, (wide_row, row_source), (begin[row[entry]] + column, source[entry])


def source_cells(
    ra: Floats, dec: Floats, extension2: Floats, scale2: Floats, errors: Floats, reach_of: float
) -> SourceCells:
    """Cells for sources, (source,) rad and rad^2, seen with angular errors in rad, (event,), times the root of scale2.

    reach_of : a source is in reach of a cell where its kernel is above exp(-reach_of) of its peak.
    """
    n_class = max(1, int(np.ceil(np.log(errors.max() / errors.min()) / np.log(_CELL_CLASS_RATIO))))
    largest = errors.max() * _CELL_CLASS_RATIO ** -np.arange(n_class - 1.0, -1.0, -1.0)
    heights, first_row, columns, cell = [], [], [], []
    rows, cells = ([], []), ([], [])  # type: tuple[list[Ints], list[Ints]], tuple[list[Ints], list[Ints]]
    n_rows = n_cells = 0
    for error in np.append(largest, np.inf):
        reach, row_reach = (
            np.arccos(np.clip(1.0 - r * (error**2 * scale2 + extension2), -1.0, 1.0)) for r in (reach_of, REACH)
        )
        height, many, of_row, of_cell = _cells_of_class(ra, dec, reach, row_reach)
        heights.append(height)
        first_row.append(n_rows)
        columns.append(many)
        cell.append(n_cells + np.cumsum(many) - many)
        for into, (where, source), offset in ((rows, of_row, n_rows), (cells, of_cell, n_cells)):
            into[0].append(where + offset)
            into[1].append(source)
        n_rows, n_cells = n_rows + len(many), n_cells + int(many.sum())
    first, near = _lists(np.concatenate(cells[0]), np.concatenate(cells[1]), n_cells)
    return SourceCells(
        np.append(largest, np.inf),
        np.array(heights),
        np.array(first_row),
        np.concatenate(columns).astype(np.float64),
        np.concatenate(cell),
        first.astype(np.int32),
        near.astype(np.int32),
        np.packbits(first[1:] > first[:-1], bitorder="little"),
        *_lists(np.concatenate(rows[0]), np.concatenate(rows[1]), n_rows),
    )


@dataclass(frozen=True, slots=True, eq=False)
class StackSpace:
    """Sources with exact kernels; weights (p, source), rows sum to 1.  Extension adds in quadrature.

    A single source has one shape, p = 1, whatever the spectrum.
    parts : of the point spread.  Each part has sources of its own, with the squared error times scale2 (source,).
    reach : kernels below exp(-reach) of their peak count as zero.
    """

    ra: Floats
    dec: Floats
    extension2: Floats
    scale2: Floats
    weights: Floats
    parts: int
    reach: float
    cells: SourceCells

    @property
    def single(self) -> bool:
        """Whether it is one source, whose kernel is worked out for every event."""
        return len(self.dec) == self.parts


def exact_stack(
    ra: Floats, dec: Floats, extension2: Floats, weights: Floats, errors: Floats, kernel: Kernel = ONE_PART
) -> StackSpace:
    """The sources, with cells for events of the given angular errors in rad, (event,)."""
    parts, n = len(kernel.weight), len(ra)
    ra, dec, extension2 = (np.tile(values, parts) for values in (ra, dec, extension2))
    scale2 = np.repeat(kernel.scale**2, n)
    weights = np.tile(weights, parts) * np.repeat(kernel.weight, n)
    reach = STACK_REACH if n > _FEW_SOURCES else REACH
    cells = source_cells(ra, dec, extension2, scale2, errors, reach)
    return StackSpace(ra, dec, extension2, scale2, weights, parts, reach, cells)


@dataclass(frozen=True, slots=True, eq=False)
class MixedSpace:
    """Many sources: exact kernels for narrow events, maps for those with an angular error in rad of at least ``least``.

    The wide ones would else each be compared with most of the sources.
    """

    narrow: StackSpace
    wide: TemplateSpace
    least: float


Space = TemplateSpace | StackSpace | MixedSpace


def _grid_of(error: float, nside: int) -> int:
    """The smallest nside, from 8 to ``nside``, with pixels no wider than a quarter of an angular error in rad."""
    wanted = np.sqrt(np.pi / 3) * _PIXELS_IN_ERROR / error
    return int(np.clip(2 ** np.ceil(np.log2(wanted)), min(8, nside), nside))


def _maps_of(alms: list[NDArray[np.complex128]], nside: int, errors: Floats, kernel: Kernel) -> TemplateSpace:
    """Smooth each shape, given by its harmonics, with every class of angular error among ``errors`` (event,).

    nside : of the finest maps.    kernel : point spread at a given error.
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
        # Classes of one grid are neighbours: the order is kept below.
        kappas = (middles[grid_of_class == k][:, None] * kernel.scale) ** -2
        part = np.stack([smoothed(alm, grid.nside, kappas, kernel.weight) for alm in alms], axis=1)  # (class, p, pixel)
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
        spaces.append(_maps_of(alms, sample.nside, errors, sample.kernel))
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
        return exact_stack(ra, dec, extension**2, weights, errors, sample.kernel)
    alms = [point_harmonics(ra, dec, w, extension, 3 * sample.nside - 1) for w in weights]
    if all_wide:
        return _maps_of(alms, sample.nside, errors, sample.kernel)
    narrow = exact_stack(ra, dec, extension**2, weights, errors[~wide], sample.kernel)
    return MixedSpace(narrow, _maps_of(alms, sample.nside, errors[wide], sample.kernel), least)
