"""The rows of the open detector: events from particles to modules, networks, and the likelihood fit."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from measures.clock import cpu, race
from measures.records import Row
from measures.rows import CPU, Effort
from nuanalysis.chain._events import Recipe, array, joined, make_seen
from nuanalysis.chain._judge import judge, judges
from nuanalysis.chain._light import Medium, light
from nuanalysis.chain.train import CASCADES_ALONE
from nuanalysis.detector import ACCEPTED_PER_METRE, EVEN, generate, simulate_photons
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.executors import Serial
from nuanalysis.engine.progress import Silent

_EVENTS = 100
_PHOTONS = 2_000
_METRES_PER_GEV = 5.254  # of Cherenkov track in an electromagnetic cascade
_SEED = 7


def _bench(folder: Path) -> Bench:
    return Bench(folder, Serial(), Silent())


def _photon_by_photon(recipe: Recipe, effort: Effort) -> float:
    """CPU seconds of following every photon of the mean event that a module could see; from the time of a few."""
    particles = generate(recipe.mix(array(recipe.medium)), seed=recipe.seed, first=0, last=recipe.total)
    metres = _METRES_PER_GEV * float(particles.truth.deposited.mean())
    walk = cpu(lambda first, last: simulate_photons(_SEED, _PHOTONS * first, _PHOTONS * last, cone=False))
    (found,) = race((walk,), rounds=effort.rounds, seconds=effort.seconds)
    return metres * ACCEPTED_PER_METRE * recipe.medium.efficiency * found.best / _PHOTONS


def _events_row(name: str, what: str, shares: tuple[float, ...], budget: float, effort: Effort) -> Row:
    """Milliseconds of CPU of a simulated event, up to nine values of each module."""
    recipe = Recipe(_SEED, _EVENTS, Medium(), shares)
    with TemporaryDirectory() as folder:
        table = light(_bench(Path(folder)))
        watch = cpu(lambda first, last: [make_seen(recipe, table, 0) for _ in range(first, last)])
        (ours,) = race((watch,), rounds=effort.rounds, seconds=effort.seconds)
    other = _photon_by_photon(recipe, effort)
    note = "reference extrapolated from the time of some thousand photons; ours reads a table that is made once in 70 s"
    return Row(
        name, what, "synthetic", CPU, "ms", 1e3 * ours.best / _EVENTS, ours.spread,
        "the same photons, followed one by one", 1e3 * other, budget, ours.rounds, ours.repetitions, note,
    )  # fmt: skip


def mixed_events(effort: Effort) -> Row:
    """Row: an event of the mix of all kinds, muons and bundles too."""
    return _events_row("detector-events", "open detector: an event of any kind, simulated", EVEN, 10.0, effort)


def cascades_judged(effort: Effort) -> Row:
    """Row: a cascade through the networks of the package, beside its simulation."""
    recipe = Recipe(_SEED, _EVENTS, Medium(), CASCADES_ALONE)
    with TemporaryDirectory() as folder:
        table = light(_bench(Path(folder)))
        seen = joined([make_seen(recipe, table, 0)])
        contenders = (
            cpu(lambda first, last: [judge(seen, judges(Path(folder)), recipe.medium) for _ in range(first, last)]),
            cpu(lambda first, last: [make_seen(recipe, table, 0) for _ in range(first, last)]),
        )
        ours, other = race(contenders, rounds=effort.rounds, seconds=effort.seconds)
    number = int(np.sum(seen.made))
    return Row(
        "detector-networks", "open detector: class, direction, place and energy of a cascade by networks", "synthetic",
        CPU, "ms", 1e3 * ours.best / number, ours.spread, "ours, its simulation", 1e3 * other.best / number, 20.0,
        ours.rounds, ours.repetitions, "networks in numpy; budgets from 1,000 events in 60 s on two cores",
    )  # fmt: skip


ROWS = (mixed_events, cascades_judged)
