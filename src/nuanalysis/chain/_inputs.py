"""Simulated events as what networks read and say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nuanalysis.chain._events import Seen, array, hits_of, opened, taken
from nuanalysis.chain._light import Medium
from nuanalysis.learn import Inputs, Shard, inputs_of, targets_of
from nuanalysis.schema import Ints

MODULES = 12  # after cleaning, and
CHARGE = 20.0  # photoelectrons: fewer tell nothing
MOST = 64  # brightest modules that a network reads


def usable(seen: Seen) -> Ints:
    """Events that are bright enough for a network, by their place."""
    enough = (np.diff(seen.hits.start) >= MODULES) & (seen.variables.charge > CHARGE)
    return np.flatnonzero(enough).astype(np.int64)


def inputs(seen: Seen, events: Ints, medium: Medium, most: int = MOST) -> Inputs:
    """What a network reads of some events."""
    return inputs_of(array(medium), hits_of(seen.hits, events), most)


def shards(paths: Sequence[Path], medium: Medium, kinds: Sequence[int] | None = None) -> list[Shard]:
    """Usable events in files as inputs and targets, in float16; kinds : those that are wanted, all without."""
    found = []
    for path in paths:
        seen = opened(path)
        events = usable(seen)
        if kinds is not None:
            events = events[np.isin(seen.truth.kind[events], kinds)]
        if len(events):
            found.append(Shard(inputs(seen, events, medium).half(), targets_of(taken(seen.truth, events))))
    return found
