"""The table of light, made by following photons: sums over them, and what a table keeps of the sums.

Ice is homogeneous with an effective scattering length of 1; absorption is put in again at the end, as
exp(-(r + delay) (1/ratio - 1/6)).  So one run serves all layers.  Where few photons came, logarithms are smoothed by
penalised least squares: the sum of n (value - smooth)^2, n the photons of a cell, and of squared second differences
of neighbours in ln r and in cosine.  Cells of many photons stay as they are, empty ones continue their neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nuanalysis.deferred import scipy
from nuanalysis.detector._photon_kernels import (
    ABSORPTION,
    ANISOTROPY,
    COARSE,
    COS_SPLIT,
    COSINES,
    DELAYS,
    FAR,
    FINE,
    ICE,
    LONG,
    NEAR,
    RADII,
    SHORT,
    SIMPLIFIED,
    UNIT,
    walk_photons,
)
from nuanalysis.detector._table import RATIOS, LightTable, PhotonSums, probabilities
from nuanalysis.errors import InputError, refuse
from nuanalysis.schema import Floats

_STIFFNESS = 300.0  # of second differences, in photons: a cell of so many is smoothed over about one cell
_SOFT_WITHIN = 1.0  # nearer than this the cone is sharp in cosine, and stiffness falls with the fourth power of r
_FEWEST = 20.0  # photons in a cell, below which its delays and directions are left to its neighbours
_HARMONICS = 40  # of ``tail_slope``; 30 give the same to 1e-12
_LIU_POWER = (1.0 + ANISOTROPY) / (1.0 - ANISOTROPY)
_ENOUGH = 10_000  # photons, fewer say nothing at 100 m
_SMALLEST_DELAY = 1e-4  # below it delays are as good as 0: 0.01 ns


def radius_edges() -> Floats:
    """Edges of the bins of distance, (r + 1,) effective scattering lengths."""
    return np.geomspace(NEAR, FAR, RADII + 1)


def cosine_edges() -> Floats:
    """Edges of the bins of cosine, (c + 1,): 0.1 wide below 0.4, 0.027 above, where the Cherenkov cone is."""
    return np.concatenate([np.linspace(-1.0, COS_SPLIT, COARSE + 1)[:-1], np.linspace(COS_SPLIT, 1.0, FINE + 1)])


def delay_edges() -> Floats:
    """Edges of the bins of delay, (delay + 1,) effective scattering lengths."""
    return np.concatenate([[0.0], np.geomspace(SHORT, LONG, DELAYS)])


def simulate_photons(seed: int, first: int, last: int, *, cone: bool) -> PhotonSums:
    """Follow photons first to last - 1 of a seed; batches add up to exactly what one run gives.

    cone : emission on a bare Cherenkov cone instead of a cascade's.  About 1e5 photons a second and core; it releases
    the interpreter's lock.  Raises InputError for numbers that do not rise from 0.
    """
    if not 0 <= first <= last or seed < 0:
        raise InputError(f"photons {first} to {last} of seed {seed}; give 0 <= first <= last and a seed of 0 or more")
    path = np.zeros((RADII, COSINES, DELAYS), np.int64)
    moment = np.zeros_like(path)
    total = int(walk_photons(seed, first, last, cone, ICE, path, moment))
    return PhotonSums(cone, seed, last - first, path, moment, total)


def light_table(broad: PhotonSums, cone: PhotonSums) -> LightTable:
    """The table of light from the sums of both emissions; about 5 s.

    Raises InputError for sums of the wrong emission, or of fewer than 10,000 photons.
    """
    faults = [] if not broad.cone and cone.cone else ["they must be of broad emission, then of a bare cone"]
    if min(broad.photons, cone.photons) < _ENOUGH:
        faults.append(f"they are of {broad.photons:,} and {cone.photons:,} photons; a table needs {_ENOUGH:,}")
    refuse(faults, "no table of light from these sums")
    parts = [_cells(sums) for sums in (broad, cone)]
    return LightTable(
        radius=table_radius(),
        cosine=table_cosine(),
        ratio=np.array(RATIOS),
        log_fluence=np.array([part.log_fluence for part in parts], dtype=np.float32),
        direction=np.array([part.direction for part in parts], dtype=np.float32),
        delay=np.array([part.delay for part in parts], dtype=np.float32),
        photons=min(broad.photons, cone.photons),
        seed=broad.seed,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """The part of a table that is of one emission; ``LightTable`` without its first axis."""

    log_fluence: Floats
    direction: Floats
    delay: Floats


def table_radius() -> Floats:
    """Distances of a table, (r,): the geometric middles of the bins."""
    edges = radius_edges()
    return np.asarray(np.sqrt(edges[1:] * edges[:-1]))


def table_cosine() -> Floats:
    """Cosines of a table, (c,): the middles of the bins."""
    edges = cosine_edges()
    return np.asarray(0.5 * (edges[1:] + edges[:-1]))


def tail_slope(ratio: ArrayLike) -> Floats:
    """Fall of r times the light far away, per effective scattering length, (...,): that of exp(-slope r)/r.

    The smallest eigenvalue of the transport equation in spherical harmonics, exact for these laws of scattering; 3 to
    9 per cent below sqrt(3 a (a + 1)), a = 1/ratio, of diffusion.
    """
    ratio = np.asarray(ratio, dtype=np.float64)
    order = np.arange(_HARMONICS)
    liu = np.cumprod(np.where(order > 0, (_LIU_POWER - order) / (_LIU_POWER + order), 1.0))
    moment = SIMPLIFIED * liu + (1.0 - SIMPLIFIED) * ANISOTROPY**order
    lost = (1.0 - moment) / (1.0 - ANISOTROPY) + 1.0 / ratio[..., None]
    strength = (2.0 * order + 1.0) * lost
    link = order[1:] / np.sqrt(strength[..., 1:] * strength[..., :-1])
    matrix = link[..., None] * np.eye(_HARMONICS - 1, _HARMONICS, 1)
    square = np.concatenate([matrix, np.zeros((*matrix.shape[:-2], 1, _HARMONICS))], axis=-2)
    return np.asarray(1.0 / np.linalg.eigvalsh(square + np.swapaxes(square, -1, -2))[..., -1])


def _cells(sums: PhotonSums) -> _Cells:
    """Fluence, direction and delays at the middles of the bins, smoothed where photons are few."""
    length = sums.path * UNIT  # float64 holds them to 2^-53
    photons = length.sum(axis=2) / (1.0 - ANISOTROPY + 2.0 * np.diff(radius_edges())[:, None])
    smooth = _Smoother(np.where(photons < _FEWEST, 0.0, photons))
    less, kept = _reweighting()
    weighed = length[..., None, :] * kept  # (r, cos, ratio, delay)
    total = np.maximum(weighed.sum(axis=3), np.finfo(float).tiny)
    seen = np.maximum(length.sum(axis=2), np.finfo(float).tiny)
    moment = ((sums.moment * UNIT)[..., None, :] * kept).sum(axis=3) / total
    trend = table_radius()[:, None] * (less - tail_slope(np.array(RATIOS)) + tail_slope(ABSORPTION))
    absorbed = smooth(np.log(total / seen[..., None]) - trend[:, None]) + trend[:, None]
    straight = table_radius()[:, None, None] * less
    log_fluence = _log_fluence(seen / sums.photons, smooth)[..., None] - straight + absorbed
    late = smooth(np.log(_delays(weighed / total[..., None]) + _SMALLEST_DELAY))
    delay = np.maximum.accumulate(np.maximum(np.exp(late) - _SMALLEST_DELAY, 0.0), axis=3)
    direction = np.clip(smooth(moment), -1.0, 1.0)
    return _Cells(*(np.moveaxis(one, 2, 0) for one in (log_fluence, direction, delay)))


def _reweighting() -> tuple[Floats, Floats]:
    """Absorption to add for each ratio, (ratio,), and what it leaves of each bin of delay on average, (ratio, delay).

    Delays are spread evenly over a bin.
    """
    less = 1.0 / np.array(RATIOS) - 1.0 / ABSORPTION
    edges = delay_edges()
    return less, _mean_exponential(less[:, None], edges[:-1], edges[1:])


def _mean_exponential(slope: Floats, low: Floats, high: Floats) -> Floats:
    """Mean of exp(-slope x) over x from low to high."""
    half = 0.5 * slope * (high - low)
    safe = np.where(np.abs(half) < 1e-6, 1.0, half)
    return np.asarray(np.exp(-0.5 * slope * (low + high)) * np.where(half == safe, np.sinh(safe) / safe, 1.0))


def _log_fluence(length: Floats, smooth: _Smoother) -> Floats:
    """ln of the fluence at the middles of the bins, (r, cos), from the length in each per photon.

    What is smoothed is the ratio to r exp(-slope r) / r^2, whose mean over a bin is known.  A bin is up to 2.6 lengths
    wide: its mean is brought to its middle with the slope that is found.
    """
    edges, r = radius_edges(), table_radius()[:, None]
    slope = float(tail_slope(ABSORPTION)) - 1.0 / r
    seen = np.log(np.maximum(length / (2.0 * np.pi * np.diff(cosine_edges()) * np.diff(edges)[:, None]), 1e-300))
    low, high = edges[:-1, None] - r, edges[1:, None] - r
    trend = np.log(_mean_exponential(slope, low, high)) + np.log(r) - tail_slope(ABSORPTION) * r
    found = smooth((seen - trend)[..., None])[..., 0]
    steeper = slope - np.gradient(found, r[:, 0], axis=0)
    return np.asarray(found + trend - np.log(_mean_exponential(steeper, low, high)) - 2.0 * np.log(r))


def _delays(share: Floats) -> Floats:
    """Delays at ``probabilities``, (..., 33), of shares of the light in each bin of delay, (..., delay).

    The last one is where an exponential end has its mean in the middle of the last step.
    """
    u = probabilities()
    u[-1] = 1.0 - (1.0 - u[-2]) * np.exp(-2.0)
    edges = delay_edges()
    below = np.concatenate([np.zeros((*share.shape[:-1], 1)), np.cumsum(share, axis=-1)], axis=-1)
    bins = (below[..., None, 1:-1] <= u[:, None]).sum(axis=-1)
    low, high = np.take_along_axis(below, bins, -1), np.take_along_axis(below, bins + 1, -1)
    part = np.clip((u - low) / np.maximum(high - low, 1e-300), 0.0, 1.0)
    return np.asarray(edges[bins] + part * (edges[bins + 1] - edges[bins]))


class _Smoother:
    """Penalised least squares on the cells of a table, (r, cos), with given weights; the same for many quantities."""

    def __init__(self, weight: Floats) -> None:
        sparse = scipy.sparse
        soft = np.minimum(table_radius() / _SOFT_WITHIN, 1.0) ** 4
        in_r, in_cos = (_second_differences(n) for n in (RADII, COSINES))
        across = sparse.kron(in_r.T @ in_r, sparse.eye(COSINES))
        along = sparse.kron(sparse.diags(soft), in_cos.T @ in_cos)
        self._weight = weight
        system = sparse.diags(weight.ravel()) + _STIFFNESS * (across + along)
        self._solve = scipy.sparse.linalg.splu(system.tocsc()).solve

    def __call__(self, values: Floats) -> Floats:
        """Smooth values (r, cos, ...); those of weight 0 are not looked at."""
        weighed = np.where((self._weight > 0.0).reshape(*self._weight.shape, *[1] * (values.ndim - 2)), values, 0.0)
        weighed = weighed * self._weight.reshape(*self._weight.shape, *[1] * (values.ndim - 2))
        return np.asarray(self._solve(weighed.reshape(RADII * COSINES, -1)).reshape(values.shape))


def _second_differences(n: int) -> Any:
    return scipy.sparse.diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(n - 2, n))
