"""From hits of modules to the features that networks read.  Refuses nothing but wrong shapes: empty events are zeros.

Times and positions are taken against the event itself, so a shift in time changes nothing.  A turn of the event does
change the features: the array is not symmetric, and positions stand in them on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.detector import LIGHT_SPEED, SPEED_OF_LIGHT, SUMMARY, Detector, Hits, border_distance, hull, outer_layer
from nuanalysis.errors import InputError
from nuanalysis.learn._records import BUCKETS, FEATURES, LENGTH_M, Inputs
from nuanalysis.schema import Bools, Floats, Ints

_TIME_NS, _RESIDUAL_NS, _NEAR_M, _EARLY_NS = 300.0, 50.0, 100.0, -100.0
_LONGEST_NS = 20_000.0  # beyond it times say no more
_COLUMN = {name: k for k, name in enumerate(SUMMARY)}


@dataclass(frozen=True, slots=True, eq=False)
class _Flat:
    """Hits of all events in a row: event, module, charge, first time (hit,), position (hit, 3) m; how many events."""

    event: Ints
    module: Ints
    charge: Floats
    first: Floats
    position: Floats
    events: int

    def total(self, values: Floats) -> Floats:
        """Sum over the hits of each event, (event,)."""
        return np.asarray(np.bincount(self.event, weights=values, minlength=self.events), dtype=np.float64)

    def mean(self, values: Floats, weight: Floats) -> Floats:
        """Weighted mean over the hits of each event, (event,); 0 without weight."""
        return self.total(values * weight) / np.maximum(self.total(weight), 1e-12)

    def mean_vector(self, values: Floats, weight: Floats) -> Floats:
        """The same of vectors, (event, 3)."""
        return np.stack([self.mean(column, weight) for column in values.T], axis=1)


def inputs_of(detector: Detector, hits: Hits, most: int = 64) -> Inputs:
    """Features of each event with its ``most`` brightest modules, brightest first, float32.

    Raises InputError for values that are not (hit, 9).
    """
    if hits.values.ndim != 2 or hits.values.shape[1] != len(SUMMARY):
        raise InputError(
            f"hits have values of shape {hits.values.shape}, expected (hit, {len(SUMMARY)}); summarise again"
        )
    event = np.repeat(np.arange(len(hits.start) - 1), np.diff(hits.start))
    values = hits.values.astype(np.float64)
    place_of, events = detector.position[hits.module], len(hits.start) - 1
    flat = _Flat(event, hits.module, values[:, 0], values[:, _COLUMN["first"]], place_of, events)
    centre = flat.mean_vector(flat.position, flat.charge**2)
    each, whole = _each(detector, hits, flat, centre), _whole(detector, flat, centre)
    order = np.lexsort((hits.module, -flat.charge, event))
    place = np.arange(len(event)) - hits.start[event]
    keep = place < most
    modules = np.zeros((flat.events, most, len(FEATURES)), dtype=np.float32)
    mask = np.zeros((flat.events, most), dtype=np.float32)
    modules[event[keep], place[keep]] = each[order][keep]
    mask[event[keep], place[keep]] = 1.0
    return Inputs(modules, mask, whole.astype(np.float32))


def _residual(flat: _Flat, distance: Floats) -> Floats:
    """First time less straight light from the centre, less its mean in the event by squared charge, (hit,) ns."""
    late = flat.first - distance / LIGHT_SPEED
    return late - flat.mean(late, flat.charge**2)[flat.event]


def _each(detector: Detector, hits: Hits, flat: _Flat, centre: Floats) -> Floats:
    """``FEATURES`` of each hit, (hit, 22)."""
    q, values = np.maximum(flat.charge, 1e-3), hits.values.astype(np.float64)
    origin = flat.mean(flat.first, flat.charge)[flat.event]
    away = flat.position - centre[flat.event]
    distance = np.sqrt((away**2).sum(axis=1))
    times = [values[:, _COLUMN[name]] - origin for name in ("first", "t20", "t50", "last", "mean")]
    times.append(values[:, _COLUMN["spread"]])
    columns = (
        *(flat.position / LENGTH_M).T,
        np.log10(q),
        *(np.arcsinh(np.clip(t, -_LONGEST_NS, _LONGEST_NS) / _TIME_NS) for t in times),
        values[:, _COLUMN["charge_100"]] / q,
        values[:, _COLUMN["charge_500"]] / q,
        detector.efficiency[hits.module],
        *np.arcsinh(away / _NEAR_M).T,
        *(away / np.maximum(distance, 1e-6)[:, None]).T,
        np.log(distance + 1.0) - 4.0,
        np.arcsinh(np.clip(_residual(flat, distance), -_LONGEST_NS, _LONGEST_NS) / _RESIDUAL_NS),
        np.sqrt(flat.charge / np.maximum(flat.total(flat.charge), 1e-12)[flat.event]),
    )
    return np.stack(columns, axis=1)


def _whole(detector: Detector, flat: _Flat, centre: Floats) -> Floats:
    """``WHOLE`` of each event, (event, 12)."""
    distance = np.sqrt(((flat.position - centre[flat.event]) ** 2).sum(axis=1))
    largest = np.zeros(flat.events)
    np.maximum.at(largest, flat.event, flat.charge)
    origin = flat.mean(flat.first, flat.charge)
    outer = outer_layer(detector)[flat.module]
    early = _residual(flat, distance) < _EARLY_NS
    total = np.maximum(flat.total(flat.charge), 1e-3)
    columns = (
        np.log10(total),
        np.log10(np.maximum(flat.total(np.ones_like(flat.charge)), 1.0)),
        *(centre / LENGTH_M).T,
        np.log10(np.maximum(largest, 1e-3)),
        np.sqrt(flat.mean(distance**2, flat.charge)) / LENGTH_M,
        border_distance(hull(detector), centre) / LENGTH_M,
        flat.total(flat.charge * outer) / total,
        np.arcsinh(np.clip(_first_of(flat, outer, origin) - origin, -_LONGEST_NS, _LONGEST_NS) / _TIME_NS),
        flat.total(flat.charge * early) / total,
        _speed(flat) / SPEED_OF_LIGHT,
    )
    return np.stack(columns, axis=1)


def _first_of(flat: _Flat, these: Bools, without: Floats) -> Floats:
    """Earliest first time among these hits of each event, (event,) ns; where there is none the value ``without``."""
    first = np.full(flat.events, np.inf)
    np.minimum.at(first, flat.event[these], flat.first[these])
    return np.where(np.isfinite(first), first, without)


def _speed(flat: _Flat) -> Floats:
    """Speed of the line through first times weighted by charge, (event,) m/ns, at most 3 times that of light."""
    late = flat.first - flat.mean(flat.first, flat.charge)[flat.event]
    along = flat.mean_vector(flat.position * late[:, None], flat.charge)
    variance = np.maximum(flat.mean(late**2, flat.charge), 1.0)
    return np.asarray(np.minimum(np.sqrt((along**2).sum(axis=1)) / variance, 3.0 * SPEED_OF_LIGHT))


def buckets(inputs: Inputs) -> dict[int, Ints]:
    """Events by the smallest of ``BUCKETS`` that holds their modules: {modules: events}; the largest takes the rest."""
    count = np.asarray(inputs.mask, dtype=np.float32).sum(axis=1)
    which = np.minimum(np.searchsorted(BUCKETS, count), len(BUCKETS) - 1)
    return {most: np.flatnonzero(which == k) for k, most in enumerate(BUCKETS) if (which == k).any()}
