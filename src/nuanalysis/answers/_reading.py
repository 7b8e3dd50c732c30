"""Questions that are not asked of a sample: they read printed numbers, an answer of ours, or events they name."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from importlib.metadata import version

import numpy as np

from nuanalysis.answers._question import Answer, Asked
from nuanalysis.records import Provenance, setting
from nuanalysis.trials.streams import Stream, seed_of

PUBLISHED = "published"


class Reading(Asked):
    """A question on printed numbers: its settings are all it needs."""

    seed: int = setting(1, low=0, high=2**63 - 1, help="of the random draws")

    @abstractmethod
    def ask(self) -> Answer:
        """The answer.  Raises InputError for what cannot be asked, DataError where a file of others is missing."""

    def random(self) -> np.random.Generator:
        """Its random numbers."""
        return np.random.default_rng(seed_of(self.seed, Stream.READINGS))


def read_from(sources: Iterable[str], seed: int, *, origin: str = "real", of: str = PUBLISHED) -> Provenance:
    """What an answer rests on: printed numbers, with where they stand, and of whose events the fit was.

    origin : 'real' where only measured numbers were read, 'mixed' where a fit to synthetic events stands beside them.
    """
    notes = tuple(dict.fromkeys(sources))
    return Provenance(sample=of, origin=origin, n_events=0, seed=seed, notes=notes, version=version("nuanalysis"))  # type: ignore[arg-type]
