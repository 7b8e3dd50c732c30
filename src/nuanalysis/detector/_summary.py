"""Pulses summed up: nine values for each module, hits that others confirm, and what tells kinds of events apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.detector._records import Detector, Hits, Pulses
from nuanalysis.detector._summary_kernels import confirmed, summaries, variables
from nuanalysis.detector._volume import border_distance, hull
from nuanalysis.errors import InputError
from nuanalysis.schema import Bools, Floats, Ints

_LAYER = 60.0  # m from the hull of the strings, or from the highest or lowest module: half the distance of strings


def summarise(pulses: Pulses) -> Hits:
    """The nine values of each module that has a pulse in the 6 us with the largest charge.

    That window begins with a pulse; it is found on a grid of 10 ns, the latest of equal ones.  Charges in the first 500
    and 100 ns count from the module's own first pulse in the window.
    """
    columns = summaries(pulses.module, pulses.time, pulses.charge, pulses.saturated, pulses.start)
    return Hits(*columns)


def cleaned(detector: Detector, hits: Hits) -> Hits:
    """Hits that another hit module confirms: within 150 m, its first pulse within 1 us.  Noise is mostly gone."""
    keep = np.empty(len(hits.module), dtype=np.bool_)
    first = hits.values[:, 3].astype(np.float64)
    confirmed(np.ascontiguousarray(detector.position), hits.module, first, hits.start, keep)
    start = np.concatenate([[0], np.cumsum(keep)])[hits.start]
    return Hits(hits.module[keep], hits.values[keep], hits.saturated[keep], start.astype(np.int64), hits.window)


@dataclass(frozen=True, slots=True, eq=False)
class EventVariables:
    """What tells kinds of events apart, (event,) each, places (event, 3); NaN where there are no hits.

    charge : photoelectrons.  modules : their number.  early_fraction : of the charge, within 100 ns of each module's
    first pulse.  centre, brightest : mean places weighted by charge and by its square, m.  hull_distance : of
    ``centre`` from the border of the array, m, negative outside.  inertia_ratio : smallest eigenvalue of the tensor of
    inertia over the sum of the three: 1/3 of a ball, 0 of a line.  line_speed : of the line fit, m/ns.
    vertex_time : at which light left ``brightest``, ns: the 10 % point, by charge, of first - d n/c.
    before_vertex : charge more than 100 ns too early to come from there then.  outer_early : charge on the outer layer
    (60 m from the hull, the highest or the lowest module) before ``vertex_time``.
    """

    charge: Floats
    modules: Ints
    early_fraction: Floats
    centre: Floats
    brightest: Floats
    hull_distance: Floats
    inertia_ratio: Floats
    line_speed: Floats
    vertex_time: Floats
    before_vertex: Floats
    outer_early: Floats


def event_variables(detector: Detector, pulses: Pulses, hits: Hits) -> EventVariables:
    """Variables of events from their hits, ``cleaned`` or not, and the pulses they were summed up from.

    Raises InputError for pulses and hits of different numbers of events.
    """
    if len(pulses.start) != len(hits.start):
        raise InputError(f"pulses of {len(pulses.start) - 1} events and hits of {len(hits.start) - 1}; give the same")
    out = np.empty((len(hits.start) - 1, 13))
    variables(
        np.ascontiguousarray(detector.position), outer_layer(detector),
        (pulses.module, pulses.time, pulses.charge, pulses.start),
        (hits.module, hits.values, hits.start, hits.window), out,
    )  # fmt: skip
    centre = out[:, 2:5]
    return EventVariables(
        out[:, 0], np.diff(hits.start), out[:, 1], centre, out[:, 5:8], border_distance(hull(detector), centre),
        out[:, 8], out[:, 9], out[:, 12], out[:, 10], out[:, 11],
    )  # fmt: skip


def outer_layer(detector: Detector) -> Bools:
    """Modules within 60 m of the border of the array: of a side, or of its top or bottom, (module,)."""
    return np.asarray(border_distance(hull(detector), detector.position) < _LAYER)
