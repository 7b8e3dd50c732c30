"""Terms of several hypotheses on the same events, lined up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.model import Prepared, Terms
from nuanalysis.schema import Floats, Ints

# A density is read from pixels: one that is the same at all right ascensions varies by rounding along its ring.
_FLAT = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class JointTerms:
    """Terms of several hypotheses on the same events.

    names (j,), terms (j,).  places (j,): of each hypothesis where its events stand among the n_joined events that any
    of them has; empty where all have the same events in the same order.
    rest (j,) : the spectral node of a hypothesis that has no events.
    """

    names: tuple[str, ...]
    terms: tuple[Terms, ...]
    places: tuple[Ints, ...]
    n_joined: int
    rest: tuple[int, ...]

    @property
    def n_events(self) -> int:
        """N, events of all samples."""
        return self.terms[0].n_events

    def row(self, hypothesis: int, node: int) -> Floats:
        """(joined event,) x of a hypothesis at a spectral node, 0 for the events it does not see."""
        x = self.terms[hypothesis].x(node)
        if not self.places:
            return x
        out = np.zeros(self.n_joined)
        out[self.places[hypothesis]] = x
        return out

    def among(self, hypothesis: int, values: Floats) -> Floats:
        """Values (joined event,) of the events of one hypothesis, (event,)."""
        return values[self.places[hypothesis]] if self.places else values


FLAT = (
    "'{}' has the same density at all right ascensions: scrambles of right ascension make such a component part of the "
    "background, which is free already. Leave it out"
)


def refuse_flat(problems: tuple[Prepared, ...]) -> None:
    """Raise InputError for a hypothesis that no right-ascension scramble can see."""
    for prepared in problems:
        looks = [part.lookup for part in prepared.parts]
        if not any(np.any(look.ceiling > look.mean * (1.0 + _FLAT)) for look in looks):
            raise InputError(FLAT.format(prepared.hypothesis.name))


def joint_terms(problems: tuple[Prepared, ...], data: tuple[Terms, ...], numbers: tuple[Ints, ...]) -> JointTerms:
    """Line up the Terms of several hypotheses by event.

    numbers : of each hypothesis which events of all samples its Terms hold, (event,); see ``event_numbers``.
    """
    names = tuple(p.hypothesis.name for p in problems)
    rest = tuple(int(np.argmin(abs(p.index - p.hypothesis.index))) for p in problems)
    first = numbers[0]
    if all(n is first or np.array_equal(n, first) for n in numbers[1:]):
        return JointTerms(names, data, (), len(first), rest)
    held = np.zeros(data[0].n_events, dtype=np.int64)
    for n in numbers:
        held[n] = 1
    place = np.cumsum(held) - 1
    return JointTerms(names, data, tuple(place[n] for n in numbers), int(place[-1]) + 1, rest)


def event_numbers(prepared: Prepared, added: tuple[int, ...] = ()) -> Ints:
    """Which events of all samples the Terms of a hypothesis hold, (event,).

    added : events that join each sample behind its own; all of them are held.
    """
    out, start = [], 0
    for part, more in zip(prepared.parts, added or (0,) * len(prepared.parts), strict=True):
        n = part.n_events
        out += [part.active + start, np.arange(start + n, start + n + more)]
        start += n + more
    return np.concatenate(out)
