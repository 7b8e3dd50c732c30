"""What networks say of many files of events, a file at a time: kept beside them, so that a killed run goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nuanalysis.chain._events import Recipe, opened, stacked
from nuanalysis.chain._inputs import CHARGE, MODULES, MOST
from nuanalysis.chain._judge import WIDEST, Judgement, judge, judges
from nuanalysis.chain._kept import opened_as, trained_at
from nuanalysis.chain._light import Medium
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.provenance import room_fingerprint
from nuanalysis.engine.shards import Shards, fill_shards
from nuanalysis.store import sha256_file, write_object

NETWORKS = ("classes", "direction")


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """The judgement of a file, and how many events it holds, bright enough or not."""

    judgement: Judgement
    events: int


def judged_files(recipe: Recipe, files: Sequence[Path], bench: Bench) -> Judgement:
    """The judgement of the events of all files of a recipe, as if they were one sample; what is missing is made."""
    networks = [sha256_file(trained_at(bench.folder, one)) for one in NETWORKS]
    said = (recipe.key, room_fingerprint("learn"), MODULES, CHARGE, MOST, WIDEST, *networks)
    key = hashlib.sha256(" ".join(map(str, said)).encode()).hexdigest()
    make = partial(_piece, tuple(files), bench.folder, recipe.medium)
    kept = fill_shards(bench, Shards("predictions", key, len(files), make, write_object))
    return _joined([opened_as(_Piece, path) for path in kept])


def _piece(files: tuple[Path, ...], folder: Path, medium: Medium, k: int) -> _Piece:
    seen = opened(files[k])
    return _Piece(judge(seen, judges(folder), medium), len(seen.truth.kind))


def _joined(pieces: Sequence[_Piece]) -> Judgement:
    """Pieces one after the other; the places of events count through."""
    every = [piece.judgement for piece in pieces]
    before = np.cumsum([0, *(piece.events for piece in pieces)])
    return Judgement(
        events=np.concatenate([one.events + first for one, first in zip(every, before, strict=False)]),
        scores=stacked([one.scores for one in every]),
        probability=np.concatenate([one.probability for one in every]),
        said=stacked([one.said for one in every]),
        sigma=np.concatenate([one.sigma for one in every]),
    )
