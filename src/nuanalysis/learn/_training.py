"""Training as a stream of states, one for each epoch: it draws nothing but from its seed, and writes nothing.

The same seed gives the same bytes on one machine, and a state that was kept and taken up again the same as no break.
JAX and optax are imported when training begins; everything else here is numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nuanalysis.detector import Singles
from nuanalysis.errors import EnvironmentFault, InputError
from nuanalysis.learn._batches import batches_of, normalisation
from nuanalysis.learn._layers import first_arrays
from nuanalysis.learn._network import card_of
from nuanalysis.learn._records import Network, Shard
from nuanalysis.learn._states import Settings, State

if TYPE_CHECKING:
    from nuanalysis.learn._training_steps import Run

_FIRST = 0  # stream of random numbers of the first arrays
Shards = Callable[[int], Iterable[Shard]]  # of an epoch; the same for the same epoch


def train(
    shards: Shards, settings: Settings, state: State | None = None, report: Callable[[State], None] = lambda state: None
) -> Iterator[State]:
    """Yield the state after each epoch, from the given one to the last of the settings.

    Raises InputError for a state of other settings and where the loss is no longer finite, EnvironmentFault without
    JAX.
    """
    if state is not None and state.settings != settings:
        raise InputError("this state was trained with other settings; go on with its own, or begin anew")
    run = _run(settings)
    for epoch in range(state.epoch if state else 0, settings.epochs):
        parts: Iterable[Shard] = shards(epoch)
        if state is None:
            first, parts = _first(parts)
            state = _begin(first, settings, run.empty)
        state = _epoch(state, parts, run)
        report(state)
        yield state


def network_of(state: State, name: str) -> Network:
    """The network of the averaged arrays, with an empty card."""
    arrays = {**state.fixed, **state.average}
    return Network(name, state.settings.shape, arrays, card_of(state.settings.shape, arrays, state.settings.seed))


@lru_cache(maxsize=4)  # compiling takes seconds for each shape, and is the same for the same settings
def _run(settings: Settings) -> Run:
    try:
        from nuanalysis.learn._training_steps import Run
    except ImportError as missing:
        raise EnvironmentFault(
            f"training needs JAX and optax, and {missing.name} is not installed; pip install 'nuanalysis[learn]'"
        ) from missing
    return Run(settings)


def _first(parts: Iterable[Shard]) -> tuple[Shard, Iterable[Shard]]:
    rest = iter(parts)
    first = next(rest, None)
    if first is None:
        raise InputError("there are no shards to train on; give at least one")
    return first, chain([first], rest)


def _begin(
    first: Shard, settings: Settings, empty: Callable[[Mapping[str, Singles]], tuple[NDArray[np.number], ...]]
) -> State:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(settings.seed, spawn_key=(_FIRST,))))
    arrays = first_arrays(settings.shape, rng)
    return State(settings, arrays, arrays, normalisation(settings.shape, first.inputs), empty(arrays))


def _epoch(state: State, parts: Iterable[Shard], run: Run) -> State:
    settings, losses = state.settings, []
    now = run.start(state)
    for batch in batches_of(parts, settings.batch, settings.seed, state.epoch):
        now, loss = run.step(now, batch, state.epoch >= settings.gaussian_after)
        losses.append(loss)
    mean = float(np.mean([float(loss) for loss in losses])) if losses else 0.0
    if not np.isfinite(mean):
        raise InputError(
            f"the loss of epoch {state.epoch} is {mean}; begin again with a lower rate than {settings.rate}"
        )
    done = run.stop(now, state)
    return replace(done, step=state.step + len(losses), epoch=state.epoch + 1, losses=np.append(state.losses, mean))
