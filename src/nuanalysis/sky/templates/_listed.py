"""Maps whose rows name their pixel: the sky in another order, a part of it, or pixels of several sizes (UNIQ)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nuanalysis.schema import Floats, Ints
from nuanalysis.sky.templates._healpix import FINEST_NSIDE, FINEST_PIXELS, is_unseen

LARGEST_ORDER = 29
FULL = 1e-6  # of a pixel: what rounding may leave uncovered, or cover twice

SHARES = (
    "its values are sums over pixels, and its pixels differ in size; divide each by the area of its pixel, as in "
    "PROBDENSITY, and say sr-1 (or units=relative)"
)


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """Which row of a table gives which pixel its value.

    pixel, row, share : (entry,) rising in pixel; the share of the pixel that the row covers.
    gaps              : how many pixels no row covers, or not wholly.
    faults            : what is wrong with the list, in words.
    mixed             : rows are pixels of other sizes than that of the map, so that none can be a sum over its pixel.
    """

    nside: int
    pixel: Ints
    row: Ints
    share: Floats
    gaps: int = 0
    faults: tuple[str, ...] = ()
    mixed: bool = False

    @property
    def n_pixels(self) -> int:
        return 12 * self.nside**2

    def values(self, rows: Callable[[Ints], NDArray[np.generic]], start: int, stop: int) -> Floats:
        """(pixel, energy) of a field of the sky; 0 where no row has a pixel.  rows : (row,) -> (row, energy)."""
        some = slice(*np.searchsorted(self.pixel, [start, stop]))
        found = np.asarray(rows(self.row[some]), dtype=np.float64)
        share = self.share[some, None]
        found = np.where((share < 1.0) & is_unseen(found), np.nan, found)  # a part of it would pass for a value
        total = np.zeros((stop - start, found.shape[1]))
        np.add.at(total, self.pixel[some] - start, found * share)
        return total


def explicit(pixels: NDArray[np.generic], nside: int) -> Listed:
    """Rows that each name their pixel."""
    n_pixels, said = 12 * nside**2, np.asarray(pixels).ravel()
    if not _whole(said):
        return _refused(nside, "its column of pixels holds numbers that are not whole")
    numbers = said.astype(np.int64)
    wrong = int(np.count_nonzero((numbers < 0) | (numbers >= n_pixels)))
    if wrong:
        return _refused(nside, f"{wrong} of its rows name a pixel outside 0 to {n_pixels - 1} (NSIDE = {nside})")
    order = np.argsort(numbers, kind="stable")
    listed = Listed(nside, numbers[order], order, np.ones(len(order)), n_pixels - len(numbers))
    if twice := int(np.count_nonzero(np.diff(listed.pixel) == 0)):
        return _refused(nside, f"{twice} of its rows name a pixel that another row names too")
    return listed


def reordered(values: NDArray[np.generic]) -> bool:
    """Whether numbers count the rows of a table in another order than theirs, as those of pixels do: from 0 or 1 on."""
    numbers = np.asarray(values).ravel()
    if not len(numbers) or not _whole(numbers) or numbers.min() not in (0, 1):
        return False
    first = int(numbers.min())
    counted = np.arange(first, first + len(numbers))
    return not np.array_equal(numbers, counted) and np.array_equal(np.sort(numbers), counted)


def _whole(numbers: NDArray[np.generic]) -> bool:
    """Whether all numbers are whole, and none is so large that it does not count pixels."""
    if numbers.dtype.kind in "iu":
        return True
    return bool(np.all((np.abs(numbers) < FINEST_PIXELS) & (numbers == np.floor(numbers))))


def multi_order(uniq: NDArray[np.generic]) -> Listed:
    """Pixels of several sizes, by their numbers 4 nside^2 + NESTED, as a NESTED map of the finest nside up to 512.

    Finer ones give their pixel the mean; coarser ones all of their pixels the same value.
    """
    said = np.asarray(uniq).ravel()
    numbers = said.astype(np.int64) if _whole(said) else np.empty(0, dtype=np.int64)
    first = 4 * 4 ** np.arange(LARGEST_ORDER + 1, dtype=np.int64)  # UNIQ of the first pixel of each order
    orders = np.searchsorted(first, numbers, side="right") - 1
    if not len(numbers) or orders.min() < 0 or numbers.max() >= 4 * first[-1]:
        return _refused(1, "its column UNIQ holds numbers that are none: expected 4 nside^2 + NESTED pixel")
    finest = int(min(orders.max(), np.log2(FINEST_NSIDE)))
    pixels = numbers - first[orders]
    if np.sum(0.25**orders) > 12 * (1 + FULL):
        return _refused(2**finest, "its pixels overlap: together they cover more than the sky")
    coarse = np.flatnonzero(orders <= finest)
    children = 4 ** (finest - orders[coarse])
    row = np.repeat(coarse, children)
    pixel = np.repeat(pixels[coarse] * children - np.cumsum(children) + children, children) + np.arange(len(row))
    fine = np.flatnonzero(orders > finest)
    above = orders[fine] - finest
    listed = _sorted(
        2**finest,
        np.concatenate([pixel, pixels[fine] >> 2 * above]),
        np.concatenate([row, fine]),
        np.concatenate([np.ones(len(row)), 0.25**above]),
    )
    return replace(listed, mixed=bool(np.any(orders != finest)))


def _sorted(nside: int, pixel: Ints, row: Ints, share: Floats) -> Listed:
    order = np.argsort(pixel, kind="stable")
    covered = np.bincount(pixel, share, 12 * nside**2)
    twice = int(np.count_nonzero(covered > 1 + FULL))
    faults = (f"its pixels overlap in {twice} places",) if twice else ()
    return Listed(nside, pixel[order], row[order], share[order], int(np.count_nonzero(covered < 1 - FULL)), faults)


def _refused(nside: int, fault: str) -> Listed:
    none = np.empty(0, dtype=np.int64)
    return Listed(nside, none, none, np.empty(0), faults=(fault,))
