"""The signal density in direction: a template (a map per class of angular error) or a stack of sources.

Both answer the same four questions about events with given declination and angular error: the mean over right
ascension, the density where the events are, the density after a scramble, and a tilted scramble.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuanalysis.model import _kernels
from nuanalysis.model._records import Sample
from nuanalysis.response import acceptance
from nuanalysis.sky._records import Catalogue, PowerLaw, Template
from nuanalysis.sphere import Rings, pixel_directions, regrade, rings, smoothed, vmf_density, vmf_norm, vmf_ra_mean

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CLASS_RATIO = 1.1  # neighbouring classes of angular error; an event is at most 5 per cent from its class
_REACH = 40.0  # kernels below exp(-40) of their peak count as zero


@dataclass(frozen=True, slots=True, eq=False)
class TemplateSpace:
    """Maps (p, class, pixel) sr^-1 of a template times acceptance, smoothed by each class of angular error.

    Right ascension is drawn and averaged on the pixels of an event's own ring, so that the mean is exact.
    """

    maps: NDArray[np.float32]
    means: Floats  # (p, class, ring)
    ceilings: Floats
    rings: Rings
    log_class_edges: Floats

    def _class_of(self, error: Floats) -> Ints:
        return np.clip(np.searchsorted(self.log_class_edges, np.log(error)) - 1, 0, self.maps.shape[1] - 1)


@dataclass(frozen=True, slots=True, eq=False)
class StackSpace:
    """Sources with exact kernels; weights (p, source), rows sum to 1.  Extension adds in quadrature."""

    ra: Floats
    dec: Floats
    extension2: Floats
    weights: Floats


def template_space(template: Template, sample: Sample, spectra: tuple[PowerLaw, ...], errors: Floats) -> TemplateSpace:
    """Build the maps for one sample; ``errors`` (event,) rad decide which classes are needed."""
    _, dec = pixel_directions(sample.nside)
    coarse = regrade(template.density, sample.nside)
    pixel_width = np.sqrt(4 * np.pi / len(dec))
    low, high = np.log(max(errors.min(), 0.5 * pixel_width)), np.log(max(errors.max(), 0.6 * pixel_width))
    n_class = max(1, int(np.ceil((high - low) / np.log(CLASS_RATIO))))
    edges = np.linspace(low, high, n_class + 1)
    kappas = np.exp(-(edges[1:] + edges[:-1]))
    grid = rings(sample.nside)
    maps = np.empty((len(spectra), n_class, len(dec)), dtype=np.float32)
    for p, spectrum in enumerate(spectra):
        seen = coarse * acceptance(sample.response, spectrum, np.sin(dec))
        maps[p] = smoothed(seen / (seen.sum() * 4 * np.pi / len(dec)), kappas)
        maps[p] /= maps[p].sum(axis=1, keepdims=True, dtype=np.float64) * 4 * np.pi / len(dec)
    return TemplateSpace(maps, grid.mean(maps), grid.maximum(maps).astype(np.float64), grid, edges)


def stack_space(catalogue: Catalogue, sample: Sample, spectra: tuple[PowerLaw, ...]) -> StackSpace:
    """Sources weighted by catalogue weight times acceptance at each spectrum."""
    ra = np.array([s.right_ascension for s in catalogue.sources])
    dec = np.array([s.declination for s in catalogue.sources])
    weights = np.array([np.array(catalogue.weights) * acceptance(sample.response, s, np.sin(dec)) for s in spectra])
    extension2 = np.array([s.extension**2 for s in catalogue.sources])
    return StackSpace(ra, dec, extension2, weights / weights.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True, eq=False)
class TemplatePlace:
    """Events looked up in a TemplateSpace: flat ring base, ring size, mean (p, event) and ceiling (p, event)."""

    space: TemplateSpace
    declination: Floats
    base: Ints
    count: Floats
    mean: Floats
    ceiling: Floats

    def at(self, u: Floats) -> Floats:
        """(p, event) density at right ascension 2 pi u."""
        flat = self.space.maps.reshape(len(self.space.maps), -1)
        out = np.empty((len(flat), len(u)))
        _kernels.template_space(u, self.base, self.count, flat, out)
        return out

    def position(self, ra: Floats) -> Floats:
        """u of each event's right ascension: the middle of the pixel of its own ring."""
        column = self.space.rings.column(ra, self.space.rings.of(self.declination))
        return np.asarray((column + 0.5) / self.count)

    def tilt(self, key: np.uint64, strength: Floats, mixing: Floats, out: Floats) -> None:
        """Fill out (event,) with u drawn from 1 + strength (S - <S>)."""
        flat = self.space.maps.reshape(len(self.space.maps), -1)
        used = np.flatnonzero(mixing)
        node_map = flat[used[0]] if len(used) == 1 else (mixing @ flat).astype(np.float32)
        _kernels.template_tilt(
            key, strength, mixing @ self.mean, self.base, self.count, node_map, mixing @ self.ceiling, out
        )


@dataclass(frozen=True, slots=True, eq=False)
class StackPlace:
    """Events near enough to some source of a StackSpace.

    axis (2, event) cos and sin of declination; kappa and norm (event,); mean and ceiling (p, event);
    near[first[i] : first[i + 1]] are the sources that event i can reach at some right ascension.
    """

    space: StackSpace
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
            u, self.axis, self.kappa, self.norm, self.first, self.near, s.ra, s.dec, s.extension2, s.weights, out
        )
        return out

    def position(self, ra: Floats) -> Floats:
        """u of each event's right ascension."""
        return np.asarray(ra / (2 * np.pi))

    def tilt(self, key: np.uint64, strength: Floats, mixing: Floats, out: Floats) -> None:
        """Fill out (event,) with u drawn from 1 + strength (S - <S>)."""
        s = self.space
        mean, ceiling, weights = mixing @ self.mean, mixing @ self.ceiling, mixing @ s.weights
        _kernels.stack_tilt(
            key,
            strength,
            mean,
            self.axis,
            self.kappa,
            self.norm,
            self.first,
            self.near,
            s.ra,
            s.dec,
            s.extension2,
            weights,
            ceiling,
            out,
        )


Place = TemplatePlace | StackPlace
Space = TemplateSpace | StackSpace


def place(space: Space, declination: Floats, error: Floats) -> Place:
    """Look the events up; all (event,) rad."""
    if isinstance(space, StackSpace):
        return _place_stack(space, declination, error)
    row, klass = space.rings.of(declination), space._class_of(error)
    base = klass * space.maps.shape[2] + space.rings.start[row]
    count = space.rings.count[row].astype(np.float64)
    return TemplatePlace(space, declination, base, count, space.means[:, klass, row], space.ceilings[:, klass, row])


def _reach(space: StackSpace, declination: Floats, error: Floats) -> NDArray[np.bool_]:
    """Whether some right ascension brings an event near a source, (event, source)."""
    gap = 1.0 - np.cos(declination[:, None] - space.dec)
    return np.asarray(gap < _REACH * (error[:, None] ** 2 + space.extension2))


def _place_stack(space: StackSpace, declination: Floats, error: Floats) -> StackPlace:
    mean = np.zeros((len(space.weights), len(declination)))
    ceiling = np.zeros_like(mean)
    for k, (dec, extension2) in enumerate(zip(space.dec, space.extension2, strict=True)):
        kappa = 1.0 / (error**2 + extension2)
        mean += space.weights[:, k, None] * vmf_ra_mean(declination, dec, kappa)
        ceiling += space.weights[:, k, None] * vmf_density(np.cos(declination - dec), kappa)
    reach = _reach(space, declination, error)
    first = np.concatenate([[0], np.cumsum(reach.sum(axis=1))])
    axis, kappa = np.array([np.cos(declination), np.sin(declination)]), error**-2
    near = np.nonzero(reach)[1]
    return StackPlace(space, axis, kappa, vmf_norm(kappa), first, near, mean, ceiling)


def in_reading_order(space: Space, declination: Floats, error: Floats) -> Ints:
    """Numbers of the events whose signal density can differ from zero at some right ascension.

    For a template all of them, in the order of the map rows they read: neighbours in memory are then read together.
    """
    if isinstance(space, TemplateSpace):
        return np.lexsort((space.rings.of(declination), space._class_of(error)))
    return np.flatnonzero(_reach(space, declination, error).any(axis=1))
