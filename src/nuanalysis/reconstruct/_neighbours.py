"""Pixels beside others, in a list of pixels of several orders that is sorted by its numbers."""

from __future__ import annotations

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.reconstruct._records import Pixels, pixels_of
from nuanalysis.schema import Bools, Floats, Ints


def rows_of(uniq: Ints, wanted: Ints) -> Ints:
    """Row of each wanted number in a rising list, -1 where it is not there; any shape."""
    rows = np.minimum(np.searchsorted(uniq, wanted), len(uniq) - 1)
    return np.where(uniq[rows] == wanted, rows, -1)


def covering(uniq: Ints, right_ascension: Floats, declination: Floats) -> Ints:
    """Row of the finest listed pixel that holds each direction, (n,); rad.  uniq : rising, covering the sky."""
    rows = np.full(len(right_ascension), -1, np.int64)
    for order in np.unique(pixels_of(uniq).order)[::-1]:
        lost = rows < 0
        index = hp.ang2pix(2 ** int(order), np.pi / 2 - declination[lost], right_ascension[lost], nest=True)
        rows[lost] = rows_of(uniq, np.asarray(4 ** (order + 1) + index, dtype=np.int64))
    return rows


def neighbours(uniq: Ints, of: Pixels) -> Ints:
    """Rows (pixel, 8) of the neighbours of the same order, or of the nearest pixel above them that is listed.

    uniq : rising numbers of the pixels that are listed; they hold a whole order at least.  -1 where a pixel has only
    seven neighbours.
    """
    beside = np.empty((len(of), 8), np.int64)
    for order in np.unique(of.order):
        mine = of.order == order
        around = hp.get_all_neighbours(2 ** int(order), of.index[mine], nest=True).T
        beside[mine] = np.where(around >= 0, 4 ** (order + 1) + around, -1)
    rows = np.where(beside >= 0, rows_of(uniq, beside), -1)
    while (lost := (rows < 0) & (beside >= uniq[0])).any():
        beside[lost] >>= 2
        rows[lost] = rows_of(uniq, beside[lost])
    return rows


def leaves_among(leaf: Bools, rows: Ints) -> Ints:
    """The same rows where they are leaves, -1 where that pixel was divided; leaf (pixel,)."""
    return np.where((rows >= 0) & leaf[rows], rows, -1)
