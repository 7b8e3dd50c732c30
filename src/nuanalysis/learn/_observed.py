"""One event as the likelihood reads it: modules with and without light, few pulses each, and how far to trust them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.detector import LIGHT_SPEED, Detector, Pulses
from nuanalysis.errors import InputError
from nuanalysis.schema import Bools, Floats, Ints

_NEAR, _SOON = 150.0, 1000.0  # m, ns: as cleaning of the summaries has it
_ASIDE = 35.0  # m


@dataclass(frozen=True, slots=True)
class Trust:
    """How much of an event the likelihood uses, and how far it trusts a light model.

    floor, growth : relative error of expected charges, s^2 = floor^2 + (growth d/100 m)^2.  most : charge that the
    times of a module may count for.  pulses : kept of a module, at even steps of its charge.  noise : Hz of a module.
    reach : m; modules farther from the start are left out.  thin, beyond : of modules without light, one in ``thin``
    is kept farther than ``beyond`` m and counts ``thin`` times.  before, after : ns around the first light of the
    event, ``window`` ns after the first of a module: pulses outside of them are left out.
    """

    floor: float = 0.05
    growth: float = 0.03
    most: float = 25.0
    pulses: int = 12
    noise: float = 600.0
    reach: float = 450.0
    thin: int = 4
    beyond: float = 150.0
    before: float = 1500.0
    after: float = 4500.0
    window: float = 3000.0


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """One event: modules, (module,), and pulses of those that have light, (pulse,), by module.

    module : index in the detector.  position (module, 3).  efficiency.  charge.  censored : True where the module was
    saturated, so that its charge is at least ``charge``.  weight : modules that it stands for.  variance : s^2, of the
    relative error of what a model expects.  background : charge expected without the cascade.
    of (pulse,) : index into the modules, rising.  time : ns.  trust (pulse,) : photoelectrons it counts for.
    rate (pulse,) : density of background, 1/ns, to which that of light is added.
    """

    module: Ints
    position: Floats
    efficiency: Floats
    charge: Floats
    censored: Bools
    weight: Floats
    variance: Floats
    background: Floats
    of: Ints
    time: Floats
    trust: Floats
    rate: Floats


@dataclass(frozen=True, slots=True, eq=False)
class EventPulses:
    """Pulses of one event that are light rather than noise or afterpulses, by module and time, (pulse,) each."""

    module: Ints
    time: Floats
    charge: Floats
    saturated: Bools


def event_pulses(pulses: Pulses, event: int, trust: Trust | None = None) -> EventPulses:
    """Pulses of one event within the windows of ``Trust``.

    The event begins where a twentieth of its charge is in.  Raises InputError for an event without pulses.
    """
    part = slice(int(pulses.start[event]), int(pulses.start[event + 1]))
    time, charge = (values[part].astype(np.float64) for values in (pulses.time, pulses.charge))
    return near_pulses(EventPulses(pulses.module[part], time, charge, pulses.saturated[part]), trust)


def near_pulses(seen: EventPulses, trust: Trust | None = None) -> EventPulses:
    """Those of all pulses of an event that lie within the windows of ``Trust``.

    Raises InputError where none has charge.
    """
    trust = trust or Trust()
    module, time, charge, saturated = seen.module, seen.time, seen.charge, seen.saturated
    if not charge.sum() > 0.0:
        raise InputError("the event has no pulses; leave it out before the reconstruction")
    order = np.argsort(time)
    begin = time[order][np.searchsorted(np.cumsum(charge[order]), 0.05 * charge.sum())]
    near = (time > begin - trust.before) & (time < begin + trust.after)
    first = np.full(int(module.max()) + 1, np.inf)
    np.minimum.at(first, module[near], time[near])
    near &= time < first[module] + trust.window
    return EventPulses(module[near], time[near], charge[near], saturated[near])


def observe(
    detector: Detector, seen: EventPulses, place: Floats, *, excluded: Bools | None = None, trust: Trust | None = None
) -> Observed:
    """What the likelihood reads of an event.

    place (3,) : near the cascade, for distances.  excluded (module,) : modules to leave out beside dead ones.
    Raises InputError where no module with light is left.
    """
    trust = trust or Trust()
    used = detector.alive if excluded is None else detector.alive & ~excluded
    charge = np.bincount(seen.module, seen.charge, len(used))
    distance = np.linalg.norm(detector.position - place, axis=1)
    used = used & (distance < trust.reach)
    hit, dark = np.flatnonzero(used & (charge > 0.0)), np.flatnonzero(used & (charge == 0.0))
    if not len(hit):
        raise InputError(f"no module within {trust.reach} m of {np.asarray(place).tolist()} has light")
    near = distance[dark] < trust.beyond
    # By string and depth, so that what is kept is spread evenly.
    dark = dark[near | ((detector.string[dark] + detector.number[dark]) % trust.thin == 0)]
    module = np.concatenate([hit, dark])
    weight = np.where((charge[module] == 0.0) & (distance[module] >= trust.beyond), float(trust.thin), 1.0)
    censored = np.bincount(seen.module, seen.saturated, len(charge))[module] > 0.0
    of, time, counted = _few_pulses(seen, hit, censored, trust)
    return Observed(
        module=module,
        position=detector.position[module],
        efficiency=detector.efficiency[module],
        charge=charge[module],
        censored=censored,
        weight=weight,
        variance=trust.floor**2 + (trust.growth * distance[module] / 100.0) ** 2,
        background=np.full(len(module), trust.noise * 1e-9 * (trust.before + trust.after)),
        of=of,
        time=time,
        trust=counted,
        rate=np.full(len(of), trust.noise * 1e-9),
    )


def _few_pulses(seen: EventPulses, hit: Ints, censored: Bools, trust: Trust) -> tuple[Ints, Floats, Floats]:
    """Index into the modules with light, time and weight of the pulses that are kept; none of saturated modules."""
    kept: list[tuple[int, Floats, Floats]] = []
    begins = np.searchsorted(seen.module, hit)
    ends = np.searchsorted(seen.module, hit, side="right")
    for n, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        if not censored[n]:
            time, charge = seen.time[begin:end], seen.charge[begin:end]
            total = float(charge.sum())
            if end - begin > trust.pulses:
                at = (np.arange(trust.pulses) + 0.5) / trust.pulses
                time = time[np.searchsorted(np.cumsum(charge), at * total)]
                charge = np.full(trust.pulses, total / trust.pulses)
            kept.append((n, time, charge * min(1.0, trust.most / total)))
    if not kept:
        return np.empty(0, np.int64), np.empty(0), np.empty(0)
    of = np.repeat([n for n, _, _ in kept], [len(time) for _, time, _ in kept])
    return of, np.concatenate([t for _, t, _ in kept]), np.concatenate([c for _, _, c in kept])


def first_places(detector: Detector, seen: EventPulses) -> list[tuple[Floats, float]]:
    """First guesses of place (3,) and time: centres of charge and of squared charge, and places aside of them.

    Farther along z, where layers of dust make more than one place likely.
    """
    position, charge, first = _together(detector, seen)
    centres = [np.average(position, axis=0, weights=charge**power) for power in (1, 2)]
    aside = _ASIDE * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3), [[0.0, 0.0, 2.0], [0.0, 0.0, -2.0]]])
    return [(place, _left(position, first, place)) for centre in centres for place in centre + aside]


def start_time(detector: Detector, seen: EventPulses, place: Floats) -> float:
    """When light left a place (3,), ns: a tenth of the modules say earlier."""
    position, _, first = _together(detector, seen)
    return _left(position, first, place)


def _left(position: Floats, first: Floats, place: Floats) -> float:
    return float(np.quantile(first - np.linalg.norm(position - place, axis=1) / LIGHT_SPEED, 0.1))


def _together(detector: Detector, seen: EventPulses) -> tuple[Floats, Floats, Floats]:
    """Positions, charges and first times of modules with light that have another within 150 m and 1 us.

    Noise far away would pull a centre by tens of metres.
    """
    charge: Floats = np.bincount(seen.module, seen.charge, len(detector.position)).astype(np.float64)
    first = np.full(len(charge), np.inf)
    np.minimum.at(first, seen.module, seen.time)
    hit = np.flatnonzero(charge)
    hit = hit[_accompanied(detector.position[hit], first[hit])]
    return detector.position[hit], charge[hit], first[hit]


def _accompanied(position: Floats, first: Floats) -> Bools:
    """Modules with another within ``_NEAR`` m and ``_SOON`` ns; all where there are none."""
    gap = ((position[:, None] - position) ** 2).sum(axis=2)
    close = (gap < _NEAR**2) & (np.abs(first[:, None] - first) < _SOON)
    kept = close.sum(axis=1) > 1  # itself is one
    return kept if kept.any() else np.ones(len(first), bool)
