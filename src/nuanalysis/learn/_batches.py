"""From shards of events to batches of one static shape each, in an order that seed and epoch decide alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from nuanalysis.detector import Singles
from nuanalysis.errors import InputError
from nuanalysis.learn._features import buckets
from nuanalysis.learn._records import FEATURES, LENGTH_M, WHOLE, Images, Inputs, Shape, Shard, Targets, joined
from nuanalysis.schema import Floats, Ints

_SHUFFLE = 1  # stream of random numbers; 0 is that of the first arrays
_CONSTANT = 1e-6  # a feature that varies by less in the first shard is not read


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """``given`` are the arrays of Inputs or Images; targets in float32, the vertex over 500 m."""

    given: tuple[NDArray[np.floating], ...]
    label: NDArray[np.int32]
    direction: Singles
    vertex: Singles
    log10_energy: Singles
    weight: Singles


def batches_of(shards: Iterable[Shard], size: int, seed: int, epoch: int) -> Iterator[Batch]:
    """Batches of ``size`` events, each of one number of modules; what a shard leaves over joins the next one's.

    At the end of an epoch a batch that is not full is filled by repetition, with weight 0.
    """
    left: dict[int, Shard] = {}
    for number, shard in enumerate(shards):
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(_SHUFFLE, epoch, number))))
        full: list[Batch] = []
        for most, part in _parts(_checked(shard), rng).items():
            both = _both(left[most], part) if most in left else part
            cuts = [_taken(both, slice(k, k + size)) for k in range(0, len(both.targets), size)]
            full += [_batch(one) for one in cuts if len(one.targets) == size]
            left.pop(most, None)
            if len(cuts[-1].targets) < size:
                left[most] = cuts[-1]
        yield from (full[k] for k in rng.permutation(len(full)))
    yield from (_batch(_filled(left[most], size)) for most in sorted(left))


def _checked(shard: Shard) -> Shard:
    if len(shard.inputs) != len(shard.targets):
        raise InputError(
            f"a shard has {len(shard.inputs)} inputs and {len(shard.targets)} targets; give as many of both"
        )
    if not (shard.targets.weight >= 0).all():
        raise InputError("a shard has weights that are negative or NaN; give weights of 0 and more")
    return shard


def _parts(shard: Shard, rng: np.random.Generator) -> dict[int, Shard]:
    """The events in a drawn order, by bucket."""
    order: Ints = rng.permutation(len(shard.targets))
    mixed = _taken(shard, order)
    if isinstance(mixed.inputs, Images):
        return {0: mixed}
    found = {most: _taken(mixed, events) for most, events in buckets(mixed.inputs).items()}
    return {
        most: Shard(one.inputs.cut(most), one.targets) for most, one in found.items() if isinstance(one.inputs, Inputs)
    }


def _taken(shard: Shard, events: Ints | slice) -> Shard:
    return Shard(shard.inputs.take(events), shard.targets.take(events))


def _both(a: Shard, b: Shard) -> Shard:
    """Two shards of one kind and shape, one after the other."""
    targets = Targets(*(np.concatenate([getattr(x.targets, f.name) for x in (a, b)]) for f in fields(Targets)))
    if isinstance(a.inputs, Inputs) and isinstance(b.inputs, Inputs):
        return Shard(joined([a.inputs, b.inputs]), targets)
    return Shard(Images(np.concatenate([a.inputs.arrays()[0], b.inputs.arrays()[0]])), targets)


def _filled(shard: Shard, size: int) -> Shard:
    n = len(shard.targets)
    more = _taken(shard, np.arange(size) % n)
    weight = np.where(np.arange(size) < n, more.targets.weight, 0.0)
    t = more.targets
    return Shard(more.inputs, Targets(t.label, t.direction, t.vertex, t.log10_energy, weight))


def _batch(shard: Shard) -> Batch:
    t = shard.targets
    single = (x.astype(np.float32) for x in (t.direction, t.vertex / LENGTH_M, t.log10_energy, t.weight))
    return Batch(shard.inputs.arrays(), t.label.astype(np.int32), *single)


def normalisation(shape: Shape, inputs: Inputs | Images) -> dict[str, Singles]:
    """Arrays by path that bring every feature to mean 0 and spread 1; scale 0 where it is left out or constant."""
    if isinstance(inputs, Images):
        cells = inputs.cells.astype(np.float64)
        lit = np.maximum((cells != 0).sum(axis=(0, 1, 2, 3)), 1)
        rms = np.sqrt((cells**2).sum(axis=(0, 1, 2, 3)) / lit)
        total = np.abs(cells.sum(axis=(1, 2, 3))).mean(axis=0)
        return {"cells/scale": _inverse(rms), "cells/total": _inverse(total)}
    stand = inputs.mask > 0
    made: dict[str, Singles] = {}
    for path, values, names in (
        ("modules", inputs.modules[stand].astype(np.float64), FEATURES),
        ("whole", inputs.whole.astype(np.float64), WHOLE),
    ):
        used = np.array([name not in shape.without for name in names])
        made[f"{path}/shift"] = values.mean(axis=0).astype(np.float32)
        made[f"{path}/scale"] = np.where(used, _inverse(values.std(axis=0)), 0.0).astype(np.float32)
    return made


def _inverse(spread: Floats) -> Singles:
    return np.where(spread > _CONSTANT, 1.0 / np.maximum(spread, _CONSTANT), 0.0).astype(np.float32)
