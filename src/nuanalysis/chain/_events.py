"""Simulated events in batches: what is made, what the array sees of it, and where it is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from nuanalysis.chain._kept import opened_as
from nuanalysis.chain._light import Medium, light, opened_light
from nuanalysis.detector import (
    ENERGIES,
    EVEN,
    INDEX,
    Detector,
    EventVariables,
    Hits,
    Mix,
    Truth,
    cleaned,
    event_variables,
    generate,
    hull,
    simulate_events,
    summarise,
)
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.provenance import room_fingerprint
from nuanalysis.engine.shards import Shards, fill_shards
from nuanalysis.learn import Regression, Scores
from nuanalysis.library.detectors import detector
from nuanalysis.schema import Bools, Ints
from nuanalysis.store import write_object

Rows = TypeVar("Rows", Truth, EventVariables, Scores, Regression)
BATCH = 500  # events of a piece; values do not depend on it


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that simulated events depend on but their number: see ``detector.Mix`` for what is not said here."""

    seed: int
    total: int
    medium: Medium
    shares: tuple[float, ...] = EVEN
    low: float = ENERGIES[0]
    high: float = ENERGIES[1]
    index: float = INDEX
    rich: float = 0.0

    @property
    def key(self) -> str:
        """sha256 of the recipe and of the code that makes the events, for the names of files."""
        said = json.dumps([asdict(self), BATCH, room_fingerprint("detector", "response")], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()

    def mix(self, array: Detector) -> Mix:
        """What is generated at an array."""
        own = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("seed", "medium")}
        return Mix(hull=hull(array), **own)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Events that met the trigger, with their hits after cleaning.

    made (kind,) : events of each kind that were made, triggered or not.
    """

    truth: Truth
    hits: Hits
    variables: EventVariables
    made: Ints


@lru_cache(maxsize=2)
def array(medium: Medium) -> Detector:
    """The array in its ice, opened once per process."""
    nominal = detector(medium.ice)
    return replace(nominal, efficiency=medium.efficiency * nominal.efficiency)


def make_seen(recipe: Recipe, table_file: Path, k: int) -> Seen:
    """Batch k of a recipe, with the table of light in a file."""
    where, table = array(recipe.medium), opened_light(table_file)
    first, last = k * BATCH, min((k + 1) * BATCH, recipe.total)
    particles = generate(recipe.mix(where), seed=recipe.seed, first=first, last=last)
    pulses = simulate_events(where, table, particles, recipe.seed)
    hits = cleaned(where, summarise(pulses))
    found = np.flatnonzero(pulses.triggered)
    made = np.bincount(particles.truth.kind, minlength=len(recipe.shares)).astype(np.int64)
    variables = event_variables(where, pulses, hits)
    return Seen(taken(particles.truth, found), hits_of(hits, found), taken(variables, found), made)


def taken(record: Rows, events: Ints | Bools) -> Rows:
    """Some events of a record of arrays (event, ...)."""
    return type(record)(*(getattr(record, one.name)[events] for one in fields(record)))


def hits_of(hits: Hits, events: Ints) -> Hits:
    """The hits of some events, in their order."""
    counts = np.diff(hits.start)[events]
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    rows = np.repeat(hits.start[:-1][events] - start[:-1], counts) + np.arange(start[-1])
    return Hits(hits.module[rows], hits.values[rows], hits.saturated[rows], start, hits.window[events])


def joined(parts: Sequence[Seen]) -> Seen:
    """Batches one after the other."""
    hits = [part.hits for part in parts]
    starts = np.cumsum([0, *(one.start[-1] for one in hits)])
    start = np.concatenate([[0], *(one.start[1:] + begin for one, begin in zip(hits, starts[:-1], strict=True))])
    module, values, saturated, window = (
        np.concatenate([getattr(one, name) for one in hits]) for name in ("module", "values", "saturated", "window")
    )
    return Seen(
        truth=stacked([part.truth for part in parts]),
        hits=Hits(module, values, saturated, start.astype(np.int64), window),
        variables=stacked([part.variables for part in parts]),
        made=np.sum([part.made for part in parts], axis=0),
    )


def stacked(parts: Sequence[Rows]) -> Rows:
    """Records of arrays (event, ...), one after the other."""
    return type(parts[0])(*(np.concatenate([getattr(p, one.name) for p in parts]) for one in fields(parts[0])))


def simulated(recipe: Recipe, bench: Bench, name: str) -> tuple[Path, ...]:
    """The files of all batches of a recipe, made where they are missing."""
    array(recipe.medium)  # refuses what is not here before anything is made
    make = partial(make_seen, recipe, light(bench, recipe.medium.photons))
    return fill_shards(bench, Shards(f"events-{name}", recipe.key, -(-recipe.total // BATCH), make, write_object))


def opened(path: Path) -> Seen:
    """A batch from its file.  Raises DataError where it is none."""
    return opened_as(Seen, path)
