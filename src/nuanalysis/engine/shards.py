"""Large products made in pieces: each piece a file, made by an executor, written whole, and not made again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from nuanalysis.engine.bench import Bench
from nuanalysis.errors import InputError
from nuanalysis.store import sweep, unlinked

Piece = TypeVar("Piece")
_MOST = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Shards(Generic[Piece]):
    """Pieces 0 to n - 1 of a product.

    name, key : what it is, and the sha256 of all that the pieces depend on but their number.
    make : number of a piece to the piece, a recipe that other processes can be sent; the same for any executor.
    write : path and piece; whole or not at all, see ``store.beside``.  ending : of the files.
    """

    name: str
    key: str
    n: int
    make: Callable[[int], Piece]
    write: Callable[[Path, Piece], None]
    ending: str = ".npz"


def fill_shards(bench: Bench, wanted: Shards[Piece]) -> tuple[Path, ...]:
    """The files of all pieces, in order; what is missing is made.  A killed call goes on where it was.

    Raises InputError for no pieces or more than 100,000, DataError for a link in the place of the folder,
    EnvironmentFault for a full disk.
    """
    if not 0 < wanted.n <= _MOST:
        raise InputError(f"{wanted.name}: {wanted.n:,} pieces; expected 1 to {_MOST:,}")
    folder = unlinked(bench.folder, bench.folder / "shards" / f"{wanted.name}-{wanted.key[:24]}")
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    paths = tuple(folder / f"{k:05d}{wanted.ending}" for k in range(wanted.n))
    missing = [k for k, path in enumerate(paths) if not path.exists()]
    done = wanted.n - len(missing)
    for position, piece in bench.executor.map(wanted.make, missing):
        wanted.write(paths[missing[position]], piece)
        done += 1
        bench.progress.move(wanted.name, done, wanted.n)
    return paths
