"""Fewer simulated events of a selection, at random, with weights that make up for those left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nuanalysis.chain._events import Seen
from nuanalysis.detector import Component, Origin
from nuanalysis.schema import Bools, Floats
from nuanalysis.trials.streams import Stream, seed_of

_LEAST = 0.1  # chance of an event to stay: no weight grows by more than the inverse


def thinned(seen: Seen, came: Bools, rates: Sequence[Component], number: int, seed: int) -> tuple[Seen, Bools]:
    """The sample in which about ``number`` of the events that ``came`` (event,) to a costly step stay, and which do.

    An event stays with a chance p and then weighs 1/p times as much, or it weighs nothing from then on, at every level:
    sums of weights keep their expectation.  p is proportional to the larger of its shares of the rate of all and of
    astrophysical events, as far as it lies between 0.1 and 1.  number 0, or not fewer than came: all stay as they are.
    """
    if not 0 < number < came.sum():
        return seen, came
    chance = np.ones(len(came))
    chance[came] = _chances(_worth(rates, came), number)
    drawn = np.random.Generator(np.random.Philox(seed_of(seed, Stream.THINNING))).random(len(came))
    stays = drawn < chance
    weight = np.where(stays, seen.truth.weight / chance, 0.0)
    return replace(seen, truth=replace(seen.truth, weight=weight)), came & stays


def _worth(rates: Sequence[Component], came: Bools) -> Floats:
    """The larger of two shares of each event that came: of all rates together, and of the astrophysical ones."""
    sums = [
        np.sum([one.rate[came] for one in some], axis=0)
        for some in (rates, [one for one in rates if one.origin is Origin.ASTROPHYSICAL])
    ]
    whole, beyond = (one / max(float(one.sum()), 1e-300) for one in sums)
    return np.asarray(np.maximum(whole, beyond))


def _chances(worth: Floats, number: int) -> Floats:
    """Chances proportional to the worth, within 0.1 and 1, that add up to the number, or are all 0.1: by halving."""
    low, high = 0.0, 1.0 / max(float(worth[worth > 0.0].min(initial=np.inf)), 1e-300)
    for _ in range(100):
        factor = 0.5 * (low + high)
        low, high = (factor, high) if np.clip(factor * worth, _LEAST, 1.0).sum() < number else (low, factor)
    return np.clip(high * worth, _LEAST, 1.0)
