"""Extended sources along the Galactic plane: every position with every extension, on the data and on background skies.

A position is a pixel of a grid in ICRS, so that fits share circles of declination.  A layer is one Gaussian extension
with the positions where it is fitted.  Its local p-values come from ensembles of sources of that extension.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import healpy as hp
from nuanalysis.likelihood import SkyEvents, Turned
from nuanalysis.schema import Floats, Ints
from nuanalysis.trials._skies import MOST_DECLINATION, SPOT_COLUMNS, LocalP, fit_pixels, log_p_map, on_skies

_FINENESS = 0.5  # width of a pixel, in extensions


@dataclass(frozen=True, slots=True)
class PlaneRegion:
    """Part of the Galactic plane, rad: |b| up to half_width, longitudes from the first eastwards to the second (the
    whole circle where they are a turn apart), declinations from low to high.
    """

    half_width: float
    longitude: tuple[float, float]
    declination: tuple[float, float]

    def pixels(self, nside: int) -> Ints:
        """Pixels (RING, rising) with their centres inside; none nearer to a pole than 8 degrees."""
        theta, phi = (np.asarray(a) for a in hp.pix2ang(nside, np.arange(12 * nside**2)))
        low, high = np.clip(self.declination, -MOST_DECLINATION, MOST_DECLINATION)
        declination = np.pi / 2 - theta
        co_latitude, longitude = hp.Rotator(coord=["C", "G"])(theta, phi)
        first, second = self.longitude
        inside = np.abs(np.pi / 2 - co_latitude) <= self.half_width
        inside &= (declination >= low) & (declination <= high)
        if second - first < 2 * np.pi:
            inside &= (longitude - first) % (2 * np.pi) <= (second - first) % (2 * np.pi)
        return np.asarray(np.flatnonzero(inside), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One extension (Gaussian sigma, rad) and the pixels (RING, rising) of ``nside`` where it is fitted."""

    extension: float
    nside: int
    pixels: Ints


def layer_nside(extension: float, nside: int) -> int:
    """The grid of an extension (rad): pixels about half as wide as it, but none finer than ``nside``."""
    wanted = np.sqrt(np.pi / 3) / (_FINENESS * extension)
    return int(min(nside, 2 ** np.clip(np.rint(np.log2(wanted)), 0, 20)))


def layers(region: PlaneRegion, extensions: tuple[float, ...], nside: int) -> tuple[Layer, ...]:
    """The positions of a region with each extension, rad."""
    grids = [layer_nside(extension, nside) for extension in extensions]
    return tuple(Layer(e, grid, region.pixels(grid)) for e, grid in zip(extensions, grids, strict=True))


def fit_layer(events: SkyEvents, skies: list[Turned], layer: Layer) -> list[Floats]:
    """Fits of all positions of a layer on each sky, [(position, FIT_COLUMNS)]."""
    return fit_pixels(events, skies, layer.nside, [layer.pixels] * len(skies), layer.extension)


def hottest_position(layer: Layer, log_p: Floats, fits: Floats) -> Floats:
    """The position with the smallest local p-value, (SPOT_COLUMNS,); the first of equals.

    log_p (position,), fits (position, FIT_COLUMNS).
    """
    k = int(np.argmin(log_p))
    theta, phi = hp.pix2ang(layer.nside, int(layer.pixels[k]))
    return np.array([log_p[k], *fits[k, :3], phi, np.pi / 2 - theta])


def layer_columns(n: int) -> tuple[str, ...]:
    """Columns of ``extended_trials`` for n layers: SPOT_COLUMNS of each."""
    return tuple(f"{name}_{k}" for k in range(n) for name in SPOT_COLUMNS)


def extended_trials(
    events: SkyEvents, tables: tuple[LocalP, ...], planes: tuple[Layer, ...], seed: int, first: int, last: int
) -> Floats:
    """The hottest position of each layer on background skies first..last-1, (sky, layer_columns).

    Skies are those of ``sky_trials`` and ``source_trials`` with the same seed and numbers.
    """

    def question(seen: SkyEvents, skies: list[Turned]) -> Floats:
        out = np.empty((len(skies), len(planes), len(SPOT_COLUMNS)))
        for k, (layer, table) in enumerate(zip(planes, tables, strict=True)):
            for row, fits in zip(out, fit_layer(seen, skies, layer), strict=True):
                log_p = log_p_map(table, layer.nside, layer.pixels, fits[:, 0])
                row[k] = hottest_position(layer, log_p, fits)
        return out

    return on_skies(events, seed, first, last, 0.0, question).reshape(last - first, -1)


def smaller_of_both(data: Floats, skies: Floats) -> NDArray[np.bool_]:
    """Which skies hold a result as small as the data in the better of several searches, (sky,).

    data (search,), skies (sky, search): the smallest ln p of each search.  Each is turned into its rank among all
    skies and the data, which is a global p-value; the smallest rank decides.
    """
    pool = np.concatenate([data[None], skies])
    rank = np.stack([np.searchsorted(np.sort(column), column, side="right") for column in pool.T], axis=1)
    least = rank.min(axis=1)
    return np.asarray(least[1:] <= least[0])
