"""A published fit beside the same fit of the public release: what a verb that reproduces papers reads.

Raises DataError with the name of the release, and how to fetch it, where it is not here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.answers._question import fit_data, pose
from nuanalysis.ingest import find, release
from nuanalysis.interpret.published import Item
from nuanalysis.library import samples
from nuanalysis.library.samples import sample_spec
from nuanalysis.likelihood import FitResult


@dataclass(frozen=True, slots=True)
class Beside:
    """Our fit of an item; agrees is None where nothing is compared without trials, or nothing was published."""

    item: Item
    fitted: FitResult
    agrees: bool | None


def beside(item: Item, *, seed: int = 1) -> Beside:
    """Fit the release of an item, index free.  Raises DataError where the release is not here."""
    find(release(item.sample))  # first of all, so that what is said names the release and how to get it
    held = samples.load(sample_spec(name=item.sample, signal="none"), seed)
    found, _ = fit_data(pose(item.hypothesis, held, index_free=True))
    return Beside(item, found, _agrees(item, found))


def _agrees(item: Item, found: FitResult) -> bool | None:
    pairs = (
        (found.ts, item.ts, item.relative_tolerance * item.ts),
        (found.n_signal, item.spot.n_signal, item.relative_tolerance * item.spot.n_signal),
        (found.index, item.spot.index, item.index_tolerance),
    )
    known = [abs(ours - theirs) <= most for ours, theirs, most in pairs if np.isfinite(theirs) and np.isfinite(most)]
    return all(known) if known else None
