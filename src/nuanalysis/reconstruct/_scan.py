"""The adaptive scan: which pixels to fit next, and what is known after each round.

A scan is a chain of states: ``begin``, then ``next_pixels`` and ``with_values`` until nothing is wanted.  Whatever runs
it may cut a round into batches, in any order, on any workers: a state depends on the values alone, and a value on its
pixel and start alone.  Whoever has kept the values of pixels can go through the rounds again without fitting them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from nuanalysis.errors import InputError, refuse
from nuanalysis.reconstruct._levels import Levels, probability_density
from nuanalysis.reconstruct._neighbours import leaves_among, neighbours, rows_of
from nuanalysis.reconstruct._records import Best, EventLikelihood, Leaves, Pixels, Profile, pixels_of
from nuanalysis.schema import Bools, Floats, Ints

Ended = Literal["", "resolved", "steady", "budget"]
_HIGHEST = 12  # order: 3 arcsec pixels would be 16; 50 arcsec are finer than any contour


@dataclass(frozen=True, slots=True)
class Plan:
    """How a sky is scanned.

    levels : critical values; leaves are divided where they may touch the contour of 90 %.
    first, last : HEALPix orders of the coarsest and the finest pixels.
    margin : a leaf may touch the contour where TS - margin x step <= ninety; step is the largest one of TS to its
    eight neighbours, for one width of the leaf.
    coarse_mass, coarse_step : a leaf surely inside stays as it is where its probability is below the one and its step
    below the other, in units of ninety; 0 divides every leaf inside.
    steady : the scan ends where the area changed by less than this share in each of two rounds; 0 never.
    most : pixels fitted, at most; what is then undecided is told as bounds of the area.
    """

    levels: Levels
    first: int = 2
    last: int = 6
    margin: float = 0.5
    coarse_mass: float = 0.0
    coarse_step: float = 0.3
    steady: float = 0.0
    most: int = 5000

    def __post_init__(self) -> None:
        least = 12 * 4**self.first if 0 <= self.first <= _HIGHEST else 0
        faults = [] if 0 <= self.first <= self.last <= _HIGHEST else [
            f"orders {self.first} to {self.last}; expected rising ones between 0 and {_HIGHEST}"
        ]  # fmt: skip
        if not 0.0 <= self.margin <= 4.0:
            faults.append(f"margin is {self.margin:g}; expected 0 to 4")
        if not (0.0 <= self.coarse_mass < 0.1 and 0.0 <= self.coarse_step <= 1.0 and 0.0 <= self.steady < 0.5):
            faults.append("coarse_mass, coarse_step and steady are shares; expected less than 0.1, 1 and 0.5")
        if self.most < least:
            faults.append(f"at most {self.most} pixels; the first round alone has {least}")
        refuse(faults, "the sky cannot be scanned so", error=InputError)


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """Pixels to fit next, each with its start (pixel, k).  again : 1 for pixels whose first fit failed."""

    pixels: Pixels
    starts: Floats
    again: int = 0

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True, slots=True, eq=False)
class ScanState:
    """What is known after some rounds: every pixel fitted so far, in the order of ``Pixels.uniq``.

    areas : of the 90 % contour after each round, sr.  repaired : whether the repair pass was made.
    ended : why nothing more is wanted: 'resolved' (no leaf needs a division), 'steady', or 'budget'.
    """

    plan: Plan
    free: Best | None
    pixels: Pixels
    minus_log_likelihood: Floats
    nuisance: Floats
    wanted: Wanted
    areas: tuple[float, ...] = ()
    repaired: bool = False
    ended: Ended = ""

    @property
    def fitted(self) -> int:
        """Pixels fitted so far."""
        return len(self.pixels)


def begin(likelihood: EventLikelihood, plan: Plan) -> ScanState:
    """The state before the first round, in which all pixels of the first order are wanted."""
    n = 12 * 4**plan.first
    pixels = Pixels(np.full(n, plan.first, np.int64), np.arange(n, dtype=np.int64))
    starts = likelihood.first_starts(*pixels.directions)
    none = Pixels(np.empty(0, np.int64), np.empty(0, np.int64))
    return ScanState(plan, likelihood.best, none, np.empty(0), np.empty((0, starts.shape[1])), Wanted(pixels, starts))


def next_pixels(state: ScanState) -> Wanted:
    """The pixels of the next round; none where the scan has ended."""
    return state.wanted


def with_values(state: ScanState, found: Profile) -> ScanState:
    """The state after a round; found : fits of all ``next_pixels``, in their order.  Raises InputError for others."""
    wanted = state.wanted
    if found.minus_log_likelihood.shape != (len(wanted),) or found.nuisance.shape != wanted.starts.shape:
        raise InputError(
            f"fits of {len(found.minus_log_likelihood)} pixels with nuisance {found.nuisance.shape}; expected those of "
            f"the {len(wanted)} pixels that were wanted, {wanted.starts.shape}"
        )
    value = np.where(np.isfinite(found.minus_log_likelihood), found.minus_log_likelihood, np.nan)
    known = _merged(state, wanted, value, found.nuisance)
    failed = np.isnan(value)
    if failed.any() and not wanted.again:
        pixels = wanted.pixels.take(failed)
        return replace(known, wanted=Wanted(pixels, _other_starts(known, pixels, wanted.starts[failed]), again=1))
    return _decided(known)


def _merged(state: ScanState, wanted: Wanted, value: Floats, nuisance: Floats) -> ScanState:
    old, new = state.pixels.uniq, wanted.pixels.uniq
    kept = ~np.isin(old, new)
    uniq = np.concatenate([old[kept], new])
    order = np.argsort(uniq)
    return replace(
        state,
        pixels=pixels_of(uniq[order]),
        minus_log_likelihood=np.concatenate([state.minus_log_likelihood[kept], value])[order],
        nuisance=np.concatenate([state.nuisance[kept], nuisance])[order],
    )


def _other_starts(state: ScanState, pixels: Pixels, first: Floats) -> Floats:
    """Starts for pixels that failed: the fit of the second best neighbour; the old start where it has none."""
    rows = neighbours(state.pixels.uniq, pixels)
    value = np.where(rows >= 0, state.minus_log_likelihood[rows], np.nan)
    value = np.where(np.isnan(value), np.inf, value)
    second = np.take_along_axis(rows, np.argsort(value, axis=1, kind="stable")[:, 1:2], axis=1)[:, 0]
    there = np.isfinite(np.sort(value, axis=1)[:, 1])
    return np.where(there[:, None], state.nuisance[second], first)


def best_of(state: ScanState) -> Best:
    """The best fit so far: the free one, or a pixel that is better.  Raises InputError where every fit failed."""
    value = np.where(np.isnan(state.minus_log_likelihood), np.inf, state.minus_log_likelihood)
    if not np.isfinite(value).any() and state.free is None:
        raise InputError(f"none of {len(value)} fits converged; the event cannot be scanned with this likelihood")
    if state.free is not None and not (value < state.free.minus_log_likelihood).any():
        return state.free
    k = len(value) - 1 - int(np.argmin(value[::-1]))  # the finest of equal ones
    right_ascension, declination = state.pixels.take(slice(k, k + 1)).directions
    return Best(float(right_ascension[0]), float(declination[0]), float(value[k]))


def _leaf(state: ScanState) -> Bools:
    """Which of the pixels were not divided, (pixel,)."""
    uniq = state.pixels.uniq
    return rows_of(uniq, 4 * uniq) < 0


def leaves_of(state: ScanState) -> Leaves:
    """What is known of the sky after whole rounds.  Raises InputError before the first."""
    if not len(state.pixels):
        raise InputError("no round of the scan is done yet; there is no result")
    leaf = _leaf(state)
    view = _View(state, leaf)
    complete = state.ended in ("resolved", "steady")
    return Leaves(
        pixels=state.pixels.take(leaf),
        minus_log_likelihood=state.minus_log_likelihood[leaf],
        nuisance=state.nuisance[leaf],
        best=best_of(state),
        complete=complete,
        unresolved=view.to_divide() | view.failed_beside(),
    )


class _View:
    """Leaves of a state with their TS and steps: what decisions are taken on."""

    def __init__(self, state: ScanState, leaf: Bools) -> None:
        self.state, self.plan, self.leaf = state, state.plan, leaf
        self.pixels = state.pixels.take(leaf)
        every = 2.0 * np.maximum(state.minus_log_likelihood - best_of(state).minus_log_likelihood, 0.0)
        self.ts = every[leaf]
        self.rows = neighbours(state.pixels.uniq, self.pixels)
        around = np.where(self.rows >= 0, every[self.rows], np.nan)
        coarser = np.where(self.rows >= 0, self.pixels.order[:, None] - state.pixels.order[self.rows], 0)
        # The centre of a pixel that is k orders coarser is (1 + 2^k) / 2 times as far: a step is for one width.
        gap = np.abs(around - self.ts[:, None]) * 2.0 / (1.0 + 2.0**coarser)
        self.step = np.where(np.isnan(gap), 0.0, gap).max(axis=1)
        self.inside = self.ts <= self.plan.levels.ninety

    def to_divide(self) -> Bools:
        """Leaves that may touch the contour and are not as fine as they may be."""
        plan, ninety = self.plan, self.plan.levels.ninety
        touching = self.ts - plan.margin * self.step <= ninety
        return np.asarray(touching & (self.pixels.order < plan.last) & ~self._coarse_enough())

    def _coarse_enough(self) -> Bools:
        plan, ninety = self.plan, self.plan.levels.ninety
        if not plan.coarse_mass or not np.isfinite(self.ts).any():
            return np.zeros(len(self.ts), bool)
        ts = np.where(np.isnan(self.ts), np.inf, self.ts)
        mass = probability_density(ts, self.pixels.area, plan.levels) * self.pixels.area
        surely = self.ts + plan.margin * self.step <= ninety
        return np.asarray(surely & (mass < plan.coarse_mass) & (self.step < plan.coarse_step * ninety))

    def to_repair(self) -> Bools:
        """Leaves inside beside another that is inside and finer by two orders or more."""
        order = self.state.pixels.order
        fine = self.inside & (self.pixels.order >= 2)
        leaf_row = np.flatnonzero(self.leaf)
        covering = leaves_among(self.leaf, self.rows[fine])
        mine = np.broadcast_to(self.pixels.order[fine][:, None], covering.shape)
        coarse = (covering >= 0) & (order[covering] <= mine - 2)
        found = np.isin(leaf_row, covering[coarse])
        return np.asarray(found & self.inside & (self.pixels.order < self.plan.last))

    def failed_beside(self) -> Bools:
        """Leaves without a fit beside one that is inside the contour."""
        rows = self.rows
        value = np.where(rows >= 0, self.state.minus_log_likelihood[rows], np.nan)
        most = best_of(self.state).minus_log_likelihood + 0.5 * self.plan.levels.ninety
        return np.asarray(np.isnan(self.ts) & (value <= most).any(axis=1))


def _decided(state: ScanState) -> ScanState:
    """What comes after a round whose values are all there."""
    plan, leaf = state.plan, _leaf(state)
    view = _View(state, leaf)
    areas = (*state.areas, float(view.pixels.area[view.inside].sum()))
    state, repaired = replace(state, areas=areas), state.repaired
    divide = view.to_divide()
    if not divide.any() and not repaired:
        divide, repaired = view.to_repair(), True
    if not divide.any():
        return _ended(replace(state, repaired=repaired), "resolved")
    if _steady(areas, plan.steady):
        return _ended(state, "steady")
    parents = np.flatnonzero(divide)
    room = (plan.most - len(state.pixels)) // 4
    if len(parents) > room:  # those nearest to the best first, of equal ones the lowest number
        parents = np.sort(parents[np.argsort(view.ts[parents], kind="stable")][: max(room, 0)])
    if not len(parents):
        return _ended(state, "budget")
    return replace(state, repaired=repaired, wanted=_children(state, np.flatnonzero(leaf)[parents]))


def _children(state: ScanState, parents: Ints) -> Wanted:
    uniq = (4 * state.pixels.uniq[parents][:, None] + np.arange(4)).ravel()
    return Wanted(pixels_of(uniq), np.repeat(state.nuisance[parents], 4, axis=0))


def _ended(state: ScanState, why: Ended) -> ScanState:
    none = state.wanted
    return replace(state, ended=why, wanted=Wanted(none.pixels.take(slice(0)), none.starts[:0]))


def _steady(areas: tuple[float, ...], share: float) -> bool:
    if len(areas) < 3 or not share:
        return False
    last = np.array(areas[-3:])
    return bool((last > 0.0).all() and (np.abs(np.diff(last)) < share * last[-1]).all())
