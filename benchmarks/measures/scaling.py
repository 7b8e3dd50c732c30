"""How the cost grows: with events, with trials, with stacked sources, with pixels."""

from __future__ import annotations

from collections.abc import Callable

from measures import problems
from measures.clock import Stopwatch, race
from measures.records import Curve
from measures.rows import TWIN, Effort, Progress, our_trials, twin_trials
from measures.sky_rows import over_pixels
from measures.twins import make_twin
from nuanalysis.model import Hypothesis, Sample

OURS = "nuanalysis"
EVENTS, TRIALS, SOURCES = "events", "trials", "stacked sources"
_N_SOURCES = (1, 12, 100, 1000)
_N_TRIALS = (1, 10, 100, 1000)
_QUARTER = 4


def _pair(hypothesis: Hypothesis, samples: tuple[Sample, ...], effort: Effort) -> tuple[float, float]:
    """Milliseconds of a trial, ours and the twin's."""
    contenders: tuple[Stopwatch, Stopwatch] = (
        our_trials(hypothesis, samples),
        twin_trials(make_twin(hypothesis, samples)),
    )
    ours, other = race(contenders, rounds=effort.rounds, seconds=effort.seconds)
    return 1e3 * ours.best, 1e3 * other.best


def _curves(
    name: str, quantity: str, x: list[float], pairs: list[tuple[float, float]], power: float, first: int = 0
) -> tuple[Curve, Curve]:
    ours, twin = zip(*pairs, strict=True)
    return (
        Curve(name, quantity, OURS, tuple(x), ours, power, first),
        Curve(name, quantity, TWIN, tuple(x), twin, None, first),
    )


def over_events(effort: Effort) -> tuple[Curve, ...]:
    """A plain scramble of the template with 15 thousand to 1.13 million events."""
    (sample,) = problems.cascades()
    sizes = (
        problems.part(sample, _QUARTER),
        sample,
        problems.copies(sample, _QUARTER),
        problems.copies(sample, problems.LARGE),
    )
    pairs = [_pair(problems.template(), (s,), effort) for s in sizes]
    return _curves("template trial", EVENTS, [float(s.events.sizes["event"]) for s in sizes], pairs, 1.0)


def over_trials(effort: Effort) -> tuple[Curve, ...]:
    """Plain scrambles of the template, 1 to 1,000 in one call."""
    watch = our_trials(problems.template(), problems.cascades())
    watch(0, 2)
    cost = [min(watch(0, n) for _ in range(effort.rounds if n < 1000 else 2)) for n in _N_TRIALS]
    return (Curve("one call, template", TRIALS, OURS, tuple(map(float, _N_TRIALS)), tuple(1e3 * c for c in cost), 1.0),)


def over_sources(effort: Effort) -> tuple[Curve, ...]:
    """A plain scramble of stacks of 1 to 1,000 sources along the plane, index free; one source is no stack yet."""
    pairs = [_pair(problems.plane_sources(n), problems.cascades(), effort) for n in _N_SOURCES]
    return _curves("stack trial, free index", SOURCES, [float(n) for n in _N_SOURCES], pairs, 0.0, first=1)


FAMILIES: tuple[Callable[[Effort], tuple[Curve, ...]], ...] = (over_events, over_trials, over_sources, over_pixels)


def curves(effort: Effort, say: Progress) -> tuple[Curve, ...]:
    """All curves."""
    out: list[Curve] = []
    for family in FAMILIES:
        say(f"  cost {family.__name__.replace('_', ' ')}")
        out += family(effort)
    return tuple(out)
