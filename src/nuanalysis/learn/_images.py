"""Events as images on the lattice of strings: input of the small second network.

The lattice is found from the positions of the strings: axial coordinates of a hexagonal grid, by which neighbours on
the grid are neighbours in the ice.  Strings of a denser part add their charge to the nearest place of the lattice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.detector import SUMMARY, Detector, Hits
from nuanalysis.learn._records import Images
from nuanalysis.schema import Floats, Ints

DEPTHS = 30  # of about 35 m at IceCube
_TIME_NS = 300.0


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """Place of each module in the image: cell (module,), of the flat (row, column, depth); shape of the image."""

    cell: Ints
    shape: tuple[int, int, int]


def lattice_of(detector: Detector) -> Lattice:
    """The lattice of the strings, with DEPTHS layers between the lowest and the highest module."""
    strings, which = np.unique(detector.string, return_inverse=True)
    place = np.stack([[detector.position[which == k, c].mean() for c in (0, 1)] for k in range(len(strings))])
    axial = _axial(place)
    axial -= axial.min(axis=0)
    rows, columns = (int(n) for n in axial.max(axis=0) + 1)
    z = detector.position[:, 2]
    depth = np.minimum(((z - z.min()) / max(float(np.ptp(z)), 1.0) * DEPTHS).astype(np.int64), DEPTHS - 1)
    row, column = axial[which].T
    return Lattice((row * columns + column) * DEPTHS + depth, (rows, columns, DEPTHS))


def _axial(place: Floats) -> Ints:
    """Whole axial coordinates (string, 2) of places (string, 2) on a nearly hexagonal lattice.

    The first step is the median distance to the nearest string, along the line to a neighbour of the middle one; the
    second is turned by 60 degrees.  Both are then fitted to the strings around it, ever further out, those of a denser
    part left out.
    """
    apart = np.sqrt(((place[:, None] - place[None]) ** 2).sum(axis=2))
    nearest = np.sort(apart, axis=1)[:, min(1, len(place) - 1)]
    step = max(float(np.median(nearest)), 1.0)
    usual = place[nearest > 0.7 * step] if len(place) > 1 else place
    middle = usual[((usual - usual.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    away = usual - middle
    far = np.sqrt((away**2).sum(axis=1))
    first = away[np.abs(far - step).argmin()]
    turn = np.array([[0.5, -np.sqrt(0.75)], [np.sqrt(0.75), 0.5]])
    basis, offset = np.stack([first, turn @ first]), middle
    if not first.any():  # a single string
        return np.zeros((len(place), 2), dtype=np.int64)
    for radius in (1.5, 2.5, 4.0, 6.0, 1e9):
        near = usual[far < radius * step]
        axial = np.rint((near - offset) @ np.linalg.inv(basis))
        if np.linalg.matrix_rank(axial - axial[0]) == 2:
            known, *_ = np.linalg.lstsq(np.column_stack([axial, np.ones(len(near))]), near, rcond=None)
            basis, offset = known[:2], known[2]
    return np.asarray(np.rint((place - offset) @ np.linalg.inv(basis)), dtype=np.int64)


def images_of(lattice: Lattice, hits: Hits) -> Images:
    """Three channels of each event, (event, row, column, depth, 3), float32.

    ln(1 + charge), the same of the charge in the first 100 ns, and arsinh(t / 300 ns) of the first time since the mean
    first time of the event; the earliest of the modules of a cell, 0 where there is no light.
    """
    events, cells = len(hits.start) - 1, int(np.prod(lattice.shape))
    event = np.repeat(np.arange(events), np.diff(hits.start))
    at = event * cells + lattice.cell[hits.module]
    values = hits.values.astype(np.float64)
    charge, early, first = (values[:, SUMMARY.index(name)] for name in ("charge", "charge_100", "first"))
    total = np.maximum(np.bincount(event, weights=charge, minlength=events), 1e-12)
    origin = np.bincount(event, weights=charge * first, minlength=events) / total
    time = np.full(events * cells, np.inf)
    np.minimum.at(time, at, first - origin[event])
    channels = (
        np.log1p(np.bincount(at, weights=charge, minlength=len(time))),
        np.log1p(np.bincount(at, weights=early, minlength=len(time))),
        np.where(np.isfinite(time), np.arcsinh(np.where(np.isfinite(time), time, 0.0) / _TIME_NS), 0.0),
    )
    return Images(np.stack(channels, axis=1).astype(np.float32).reshape(events, *lattice.shape, len(channels)))
