"""The likelihood of one scramble from sums: exact for near events, a power series for far ones.

Events that no source reaches have S = 0 in every scramble: their powers are summed once, and a scramble changes them by
those of the events it brings near a source.

Events with |c x| <= 1/8 (index held) or 1/16 (index free) at the largest c = n_s / N that the sums serve enter through
sums of their powers, to sixth or fourth order.  That c is expected to give a TS of 100; a fit that would go beyond is
done again from all events.  How well the sums agree with all events is measured in tests/test_sums.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.likelihood import _kernels
from nuanalysis.likelihood._fit import FAR, FitResult, add_moments, far_moments, maximise
from nuanalysis.model import Prepared, PreparedSample, Reached, join
from nuanalysis.model.kernels import SATURATION
from nuanalysis.schema import Floats, Ints

REACH_TS = 100.0
_FIXED = 1.0 / 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """near (node, near event) x, and floor its w <S>; power (node, order) and cross (node - 1, 6) sums of the far.


    largest (node,) : the largest n_s / N that the power series serve.
    """

    near: Floats
    floor: Floats
    power: Floats
    cross: Floats
    largest: Floats
    index: Floats
    n_events: int


def _ratio(prepared: Prepared, part: PreparedSample) -> Floats:
    """Energy ratio (node, group) with the sample's share of the signal folded in, as in join()."""
    return np.asarray(part.energy.ratio * (part.share * prepared.n_events / part.n_events)[:, None])


def _largest(prepared: Prepared) -> Floats:
    """c = n_s / N up to which sums serve, (node,)."""
    return np.asarray(prepared.strength_at(REACH_TS) / prepared.n_events)


def thresholds(prepared: Prepared, part: PreparedSample) -> Floats:
    """What |x| (index held), or the largest |scale d| (free), a far event may have, (event,).

    Negative for events that the strongest tilt would saturate: their x is never replaced by a series.
    """
    strengths = _largest(prepared)[:, None] * _ratio(prepared, part)
    strongest = strengths.max(axis=0)
    energy = part.energy
    if len(prepared.index) == 1:
        allowed = np.full(len(energy.group), _FIXED / float(_largest(prepared)[0]))
    else:
        allowed = (FAR / np.maximum(strongest, 1e-300))[energy.group]
    saturating = strongest[energy.group] * energy.scale * part.lookup.mean.max(axis=0) > SATURATION
    return np.where(saturating, -1.0, allowed)


@dataclass(frozen=True, slots=True, eq=False)
class Rest:
    """What no scramble changes in a sample: limits of far events, and what its events add where no source reaches them.

    limit (event,) : ``thresholds``.    ratio (node, group) : as ``join`` has it.
    moments, near : sums of the far ones among the events that have no density everywhere, and numbers of the near ones.
    """

    limit: Floats
    ratio: Floats
    moments: Floats
    near: Ints


Events = tuple[Ints, Floats, Floats]  # group of energy cells, scale, limit of far events, (event,) each


def _columns(part: PreparedSample, limit: Floats, which: slice | Ints) -> Events:
    return part.energy.group[which], part.energy.scale[which], limit[which]


def _moments(difference: Floats, events: Events, ratio: Floats) -> tuple[Floats, Ints]:
    """Sums over the far ones of some events with the given S - <S>, (p, event): powers 1 to 6 of x, (6,), at one node,
    else ``far_moments``; and numbers of the near ones among them."""
    group, scale, limit = events
    if len(ratio) > 1:
        return far_moments(difference, group, scale, limit, ratio.shape[1])
    power, held = np.zeros(6), np.empty(len(group) + 1, dtype=np.int64)
    n = _kernels.sum_fixed(difference[0], ratio[0], group, scale, limit, power, held)
    return power, held[:n]


def at_rest(prepared: Prepared, part: PreparedSample) -> Rest:
    """What ``sums`` need to know of a sample beforehand; one pass over its events."""
    limit, ratio = thresholds(prepared, part), _ratio(prepared, part)
    first = part.lookup.everywhere
    still = np.ascontiguousarray(-part.lookup.mean[:, first:])
    moments, near = _moments(still, _columns(part, limit, slice(first, None)), ratio)
    return Rest(limit, ratio, moments, near + first)


def _read(reached: Reached, part: PreparedSample, rest: Rest) -> tuple[Floats, Ints, Floats]:
    """Sums of the far events of a scramble as ``_moments``, numbers of the near ones (near,), and their S - <S>."""
    first, hit, mean = reached.everywhere.shape[1], reached.hit, part.lookup.mean
    moments, near = _moments(reached.everywhere, _columns(part, rest.limit, slice(first)), rest.ratio)
    difference = reached.everywhere.take(near, axis=1)
    if first == len(rest.limit):
        return moments, near, difference
    columns = _columns(part, rest.limit, hit)
    now, near_hits = _moments(reached.difference, columns, rest.ratio)
    before, _ = _moments(reached.still, columns, rest.ratio)
    away = np.ones(len(rest.limit), dtype=np.bool_)
    away[hit] = False
    stayed = rest.near[away[rest.near]]
    differences = difference, reached.difference.take(near_hits, axis=1), -mean.take(stayed, axis=1)
    near = np.concatenate([near, hit[near_hits], stayed])
    return moments + (rest.moments + (now - before)), near, np.concatenate(differences, axis=1)


def sums(prepared: Prepared, parts: tuple[PreparedSample, ...], rests: list[Rest], drawn: list[Floats]) -> Sums:
    """One pass over the events that have a density everywhere, or that a source reaches.

    parts : those of ``prepared``, or the same with other look-ups and energies (smeared declinations).
    rests : ``at_rest`` of each part.
    drawn : right ascension / 2 pi of all events of each sample, (sample event,).
    """
    nodes = len(prepared.index)
    power = np.zeros((nodes, 6 if nodes == 1 else 4))
    cross = np.zeros((max(nodes - 1, 0), 6))
    near, floor = [], []
    for part, rest, u in zip(parts, rests, drawn, strict=True):
        moments, chosen, difference = _read(part.lookup.reached(u), part, rest)
        if nodes == 1:
            power[0] += moments
        else:
            add_moments(moments, rest.ratio, prepared.mixing, power, cross)
        near.append(np.empty((nodes, len(chosen))))
        floor.append(np.empty((nodes, len(chosen))))
        mean, group, scale = part.lookup.mean.take(chosen, axis=1), part.energy.group[chosen], part.energy.scale[chosen]
        _kernels.near_terms(difference, mean, group, scale, rest.ratio, prepared.mixing, near[-1], floor[-1])
    joined = [v[0] if len(v) == 1 else np.concatenate(v, axis=1) for v in (near, floor)]
    return Sums(joined[0], joined[1], power, cross, _largest(prepared), prepared.index, prepared.n_events)


def tilt_log_ratio(data: Sums, node: int, n_signal: float) -> float:
    """ln of the density of a tilted scramble over that of a plain one: ln L(n_s) / L(0) where no event saturates.

    Raises InputError beyond the range of the sums.
    """
    c = n_signal / data.n_events
    if c > data.largest[node] * (1 + 1e-6):
        raise InputError(
            f"n_signal {n_signal:.6g} is beyond {data.largest[node] * data.n_events:.6g}, "
            f"of which a TS of {REACH_TS:g} is expected: as far as sums serve"
        )
    return float(_kernels.tilt_ratio_sums(data.near[node], data.floor[node], data.power[node], c)) if c else 0.0


def maximise_sums(data: Sums, prepared: Prepared, parts: tuple[PreparedSample, ...], drawn: list[Floats]) -> FitResult:
    """The fit of ``maximise``, from sums; from all events, at ``drawn``, where the maximum lies beyond the sums."""
    if len(data.index) == 1:
        c, converged, inside = _kernels.maximise_sums(data.near[0], data.power[0], data.largest[0])
        value = _kernels.log_ratio_sums(data.near[0], data.power[0], c) if c > 0.0 else 0.0
        index = float(data.index[0])
    else:
        c, position, value, converged, inside = _kernels.maximise_free_sums(
            data.near, data.power, data.cross, data.largest
        )
        index = float(np.interp(position, np.arange(len(data.index)), data.index))
    if not inside:
        differences = [part.lookup.difference(u) for part, u in zip(parts, drawn, strict=True)]
        return maximise(join(prepared, differences, [part.energy for part in parts]))
    return FitResult(max(2.0 * float(value), 0.0), float(c * data.n_events), index, bool(converged))
