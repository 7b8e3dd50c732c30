"""How far the parametric simulation is from the official one: the same cascades in both, module by module.

Modules that are masked on one side are masked on both.  Nothing here is tuned but, at most, one efficiency.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from nuanalysis.detector import SUMMARY, Detector, Hits
from nuanalysis.errors import InputError, refuse
from nuanalysis.interpret._same_truth import same_truth, simulate_same
from nuanalysis.interpret._simulated import (
    Simulated,
    by_module,
    chosen_events,
    chosen_hits,
    dimmed,
    joined_events,
    summed,
)
from nuanalysis.records import Record, shown
from nuanalysis.schema import Bools, Floats

__all__ = [
    "ChargeGap", "DomainGap", "EventGap", "Simulated", "TimeGap", "by_module", "chosen_events", "chosen_hits", "dimmed",
    "domain_gap", "fitted_efficiency", "joined_events", "same_truth", "simulate_same", "summed",
]  # fmt: skip

DISTANCES = (0.0, 30.0, 60.0, 100.0, 150.0, 200.0, 300.0, 600.0)  # m from the vertex
NEAR = 200.0  # m: within it the angle is looked at
COSINES = (-1.0, -0.5, 0.0, 0.5, 1.0)  # between axis and line to the module
ENERGIES = (2e3, 1e4, 3e4, 1e5, 1e6, 1e8)  # GeV of visible energy
TIME_DISTANCES = (0.0, 60.0, 120.0, 250.0)
TIMED = 3.0  # photoelectrons of a module whose times are looked at
SEEN = 5.0  # photoelectrons, the mean of both sides, of a module whose ratio is looked at
FEWEST = 10  # modules, or 3 events, that a row needs


class ChargeGap(Record):
    """Charge of modules of one kind, of all events together."""

    low: float = shown("from", form="g")
    high: float = shown("to", form="g")
    modules: int = shown("modules", short="n")
    ratio: float = shown("charge, official over parametric", form=".3f", short="ratio")
    log_ratio: float = shown("median of ln of the ratio of a module", form=".2f", short="ln")
    spread: float = shown("half of its central 68 %", form=".2f", short="+-")


class EventGap(Record):
    """Events of one range of visible energy, medians."""

    low: float = shown("from", unit="GeV", form="g")
    high: float = shown("to", unit="GeV", form="g")
    events: int = shown("events", short="n")
    ratio: float = shown("charge, official over parametric", form=".3f", short="ratio")
    official_hits: float = shown("modules hit, official", form=".0f", short="official")
    our_hits: float = shown("modules hit, parametric", form=".0f", short="ours")


class TimeGap(Record):
    """Medians over modules of a time, or a share of the charge, on both sides."""

    what: str = shown("quantity")
    low: float = shown("from", unit="m", form="g")
    high: float = shown("to", unit="m", form="g")
    official: float = shown("official", form=".3g")
    ours: float = shown("parametric", form=".3g")
    modules: int = shown("modules, official", short="n")


class DomainGap(Record):
    """The parametric simulation beside the official one at the same truth."""

    official: str = shown("official events")
    events: int = shown("events")
    efficiency: float = shown("factor on the efficiency of all modules", form="g")
    ratio: float = shown("charge of an event, official over parametric, median", form=".3f")
    ratio_low: float = shown("16 % of it", form=".3f")
    ratio_high: float = shown("84 % of it", form=".3f")
    official_hits: float = shown("modules hit, official, median", form=".0f")
    our_hits: float = shown("modules hit, parametric, median", form=".0f")
    by_distance: tuple[ChargeGap, ...] = shown("by distance from the vertex, m")
    by_cosine: tuple[ChargeGap, ...] = shown("by cosine to the axis, within 200 m")
    by_energy: tuple[EventGap, ...] = shown("by visible energy")
    times: tuple[TimeGap, ...] = shown("times since the first, ns, and shares of the charge")


def domain_gap(detector: Detector, official: Simulated, ours: Hits, *, efficiency: float) -> DomainGap:
    """The gap between official events and ours of the same truth.

    ours : hits of the same events in the same order, of the array ``dimmed`` by ``efficiency``.  Dead modules and those
    of ``official.masked`` are left out on both sides.  Raises InputError for other numbers of events.
    """
    refuse(_faults(detector, official, ours), "the two simulations cannot be compared")
    free = ~official.masked & detector.alive
    theirs, mine = (by_module(hits, "charge", len(detector.string)) * free for hits in (official.hits, ours))
    away = detector.position[None] - official.vertex[:, None]
    distance = np.linalg.norm(away, axis=2)
    cosine = np.einsum("emk,ek->em", away, official.direction) / np.maximum(distance, 1e-9)
    lit = (theirs.sum(axis=1) > 0.0) & (mine.sum(axis=1) > 0.0)
    if not lit.any():
        raise InputError("no event has charge on both sides; expected events that the modules see")
    ratio = theirs[lit].sum(axis=1) / mine[lit].sum(axis=1)
    low, middle, high = np.quantile(ratio, [0.16, 0.5, 0.84])
    counts = [np.count_nonzero(charge[lit], axis=1).astype(np.float64) for charge in (theirs, mine)]
    return DomainGap(
        official=official.label,
        events=int(lit.sum()),
        efficiency=efficiency,
        ratio=float(middle),
        ratio_low=float(low),
        ratio_high=float(high),
        official_hits=float(np.median(counts[0])),
        our_hits=float(np.median(counts[1])),
        by_distance=tuple(_charges(theirs, mine, distance, free, DISTANCES)),
        by_cosine=tuple(_charges(theirs, mine, cosine, free & (distance < NEAR), COSINES)),
        by_energy=tuple(_events(official.energy[lit], ratio, counts)),
        times=tuple(_times(official.hits, ours, distance, free)),
    )


def fitted_efficiency(detector: Detector, official: Simulated, ours: Hits, *, efficiency: float) -> float:
    """The factor at which half of the events would have the official charge: their median ratio times ``efficiency``.

    Events 0, 2, 4, ... serve; look at the gap of the others, ``chosen_events`` and ``chosen_hits`` of 1, 3, 5, ...
    It is the only number that may be taken from official events.
    """
    half = np.arange(len(official.energy)) % 2 == 0
    gap = domain_gap(detector, chosen_events(official, half), chosen_hits(ours, half), efficiency=efficiency)
    return gap.ratio * efficiency


def _faults(detector: Detector, official: Simulated, ours: Hits) -> Iterator[str]:
    events, modules = len(official.energy), len(detector.string)
    if official.masked.shape != (events, modules):
        yield f"masks are {official.masked.shape}, expected {(events, modules)}"
    for whose, hits in ((official.label, official.hits), ("ours", ours)):
        if len(hits.start) - 1 != events:
            yield f"{whose} has {len(hits.start) - 1} events with hits, expected {events}"


def _charges(theirs: Floats, mine: Floats, at: Floats, free: Bools, edges: tuple[float, ...]) -> Iterator[ChargeGap]:
    """Rows by something about modules, (event, module).

    The ratio is of sums, with no cut on either charge; single modules are chosen by the mean of both, so that
    neither side is favoured by its own fluctuations.
    """
    for low, high in pairwise(edges):
        inside = free & (at >= low) & (at < high)
        chosen = inside & (0.5 * (theirs + mine) > SEEN) & (theirs > 0.0) & (mine > 0.0)
        if np.count_nonzero(chosen) >= FEWEST:
            logs = np.log(theirs[chosen] / mine[chosen])
            down, middle, up = np.quantile(logs, [0.16, 0.5, 0.84])
            yield ChargeGap(
                low=low, high=high, modules=len(logs), ratio=float(theirs[inside].sum() / mine[inside].sum()),
                log_ratio=float(middle), spread=float(up - down) / 2.0,
            )  # fmt: skip


def _events(energy: Floats, ratio: Floats, counts: list[Floats]) -> Iterator[EventGap]:
    for low, high in pairwise(ENERGIES):
        inside = (energy >= low) & (energy < high)
        if np.count_nonzero(inside) >= 3:
            medians = [float(np.median(count[inside])) for count in counts]
            yield EventGap(
                low=low, high=high, events=int(inside.sum()), ratio=float(np.median(ratio[inside])),
                official_hits=medians[0], our_hits=medians[1],
            )  # fmt: skip


def _times(theirs: Hits, mine: Hits, distance: Floats, free: Bools) -> Iterator[TimeGap]:
    """Rows by distance of modules with enough charge, each side by its own."""
    sides = [_timed(hits, distance, free) for hits in (theirs, mine)]
    for low, high in pairwise(TIME_DISTANCES):
        inside = [values[(at >= low) & (at < high)] for at, values in sides]
        for k, what in enumerate(_TIMES):
            known = [side[np.isfinite(side[:, k]), k] for side in inside]
            if min(map(len, known)) >= FEWEST:
                medians = [float(np.median(one)) for one in known]
                yield TimeGap(
                    what=what, low=low, high=high, official=medians[0], ours=medians[1], modules=len(known[0])
                )


_TIMES = ("t20", "t50", "mean", "spread", "charge_100", "charge_500")  # of SUMMARY


def _timed(hits: Hits, distance: Floats, free: Bools) -> tuple[Floats, Floats]:
    """Distance (hit,) and times since the first, or shares of the charge, (hit, ``_TIMES``)."""
    event = np.repeat(np.arange(len(hits.start) - 1), np.diff(hits.start))
    column = dict(zip(SUMMARY, hits.values.T.astype(np.float64), strict=True))
    kept = free[event, hits.module] & (column["charge"] > TIMED)
    since = [column[name] - column["first"] for name in ("t20", "t50", "mean")]
    shares = [column[name] / column["charge"] for name in ("charge_100", "charge_500")]
    values = np.stack([*since, column["spread"], *shares], axis=1)
    return distance[event, hits.module][kept], values[kept]
