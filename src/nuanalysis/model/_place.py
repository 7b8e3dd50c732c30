"""Events looked up in the signal density: its mean over right ascension, its value there, and tilted scrambles."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nuanalysis.model import _stack_kernels, kernels
from nuanalysis.model._space import MixedSpace, Space, StackSpace, TemplateSpace
from nuanalysis.schema import Floats, Ints
from nuanalysis.sphere import ring_column, vmf_density, vmf_norm, vmf_ra_mean

Strength = tuple[Floats, Ints, Floats]  # ratio (group,), group (event,), scale (event,): s_i = ratio[group_i] scale_i
_PAIRS = 400_000  # of events and sources whose means are worked out at once
_BELOW_ONE = float(np.nextafter(1.0, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """S - <S> of looked-up events in one scramble.

    The first events of a look-up have a density at every right ascension: everywhere (p, event).  Of the others only
    those in reach of a source are listed: hit (hit,) their numbers among the looked-up events, difference (p, hit),
    and still (p, hit), which is their -<S>.  All that are not listed have S = 0.
    """

    everywhere: Floats
    hit: Ints
    still: Floats
    difference: Floats


def _all(difference: Floats) -> Reached:
    return Reached(difference, np.empty(0, dtype=np.int64), *np.empty((2, len(difference), 0)))


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

    @property
    def everywhere(self) -> int:
        """How many events, the first ones, have a density at every right ascension: all."""
        return len(self.number)

    def reached(self, u: Floats) -> Reached:
        """S - <S> with u (sample event,) of all events of the sample."""
        return _all(self.difference(u))

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
    events (event, 8), sources (source, 5), weights (source, 4) : the same side by side, see _stack_kernels.
    point_kappa, point_norm (part, event) : of the parts of the kernel of a single source, else empty.
    With a single source of one part its extension is part of kappa and norm, and extension2 is zero.
    """

    space: StackSpace
    number: Ints
    extension2: Floats
    events: Floats
    sources: Floats
    weights: Floats
    axis: Floats
    kappa: Floats
    norm: Floats
    point_kappa: Floats
    point_norm: Floats
    cell: Ints
    columns: Floats
    mean: Floats
    ceiling: Floats

    @property
    def everywhere(self) -> int:
        """How many events, the first ones, are read at every right ascension: all with one source, else none."""
        return len(self.number) if self.space.single else 0

    def _hits(self, u: Floats, number: Ints) -> tuple[Ints, Floats, Floats]:
        """Numbers of the events in cells with sources, (hit,), and their -<S> and S - <S>, (p, hit)."""
        s, n = self.space, len(number) + 1
        hit, at, turn = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64), np.empty(n)
        m = _stack_kernels.stack_hits(u, number, self.cell, self.columns, s.cells.some, hit, at, turn)
        still, out = np.empty((2, len(self.mean), m))
        where = hit[:m], at[:m], turn[:m], s.cells.first, s.cells.near
        _stack_kernels.stack_difference(*where, self.events, self.sources, self.weights, s.reach, still, out)
        return hit[:m], still, out

    def _difference(self, u: Floats, number: Ints) -> Floats:
        out = -self.mean
        hit, _, difference = self._hits(u, number)
        out[:, hit] = difference
        return out

    def difference_at(self, u: Floats) -> Floats:
        """(p, event) S - <S> with the looked-up events at right ascension 2 pi u, (event,)."""
        return self._difference(u, np.arange(len(u)))

    def difference(self, u: Floats) -> Floats:
        """(p, event) S - <S> with u (sample event,) of all events of the sample."""
        if not self.space.single:
            return self._difference(u, self.number)
        out, s = np.empty(self.mean.shape), self.space
        parts = self.point_kappa, self.point_norm
        kernels.point_difference(u, self.number, self.axis, *parts, s.ra[0], s.dec[0], self.mean[0], out[0])
        return out

    def reached(self, u: Floats) -> Reached:
        """S - <S> with u (sample event,) of all events of the sample."""
        if self.space.single:
            return _all(self.difference(u))
        return Reached(np.empty((len(self.mean), 0)), *self._hits(u, self.number))

    def position(self, ra: Floats) -> Floats:
        """u of each event's right ascension."""
        return np.asarray(np.minimum(ra / (2 * np.pi), _BELOW_ONE))

    def tilt(self, key: np.uint64, strength: Strength, mixing: Floats, out: Floats) -> None:
        """Redraw the looked-up events in out (sample event,), the plain draw, from 1 + strength (S - <S>)."""
        s = self.space
        where = (self.number, self.axis, self.kappa, self.norm, self.cell, self.columns, s.cells.first, s.cells.near)
        sources = (s.ra, s.dec, self.extension2, s.scale2, mixing @ s.weights, s.reach)
        _stack_kernels.stack_tilt(key, strength, *where, *sources, _two(mixing), self.mean, self.ceiling, out)


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

    @property
    def _in_order(self) -> bool:
        """Whether the wide events stand first."""
        return len(self.pieces) == 1 or all(isinstance(which, slice) for which, _ in self.pieces)

    @property
    def everywhere(self) -> int:
        """How many events, the first ones, have a density at every right ascension: the wide."""
        return sum(there.everywhere for _, there in self.pieces) if self._in_order else len(self.number)

    def reached(self, u: Floats) -> Reached:
        """S - <S> with u (sample event,) of all events of the sample."""
        if not self._in_order:
            return _all(self.difference(u))
        first, last = self.pieces[0][1].reached(u), self.pieces[-1][1].reached(u)
        if len(self.pieces) == 1:
            return first
        return replace(last, everywhere=first.everywhere, hit=last.hit + self.everywhere)

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
        kappa = 1.0 / (error[event] ** 2 * space.scale2[source] + space.extension2[source])
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
    one = len(space.dec) == 1
    kappa = 1.0 / (error**2 + (space.extension2[0] if one else 0.0))
    extension2 = np.zeros(1) if one else space.extension2
    parts = slice(None) if space.single else slice(0)
    point_kappa = 1.0 / (error**2 * space.scale2[parts, None] + space.extension2[parts, None])
    points = point_kappa, space.weights[0, parts, None] * vmf_norm(point_kappa)
    where = space.cells.cell[row], space.cells.columns[row]
    unit = np.cos(space.dec) * np.cos(space.ra), np.cos(space.dec) * np.sin(space.ra), np.sin(space.dec)
    norm, spare = vmf_norm(kappa), np.zeros((4 - len(mean), len(number)))
    events = np.ascontiguousarray(np.vstack([axis, kappa, norm, mean, spare]).T)
    weights = np.vstack([space.weights, np.zeros((4 - len(mean), len(space.dec)))])
    beside = events, np.column_stack([*unit, extension2, space.scale2]), np.ascontiguousarray(weights.T)
    return StackPlace(space, number, extension2, *beside, axis, kappa, norm, *points, *where, mean, ceiling)


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
