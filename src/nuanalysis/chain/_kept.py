"""Records of the chain at rest: opened as what they are expected to be."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from nuanalysis.errors import DataError
from nuanalysis.store import read_object

Kept = TypeVar("Kept")


def opened_as(kind: type[Kept], path: Path) -> Kept:
    """The record in a file.  Raises DataError where the file is damaged or holds something else."""
    found = read_object(path)
    if not isinstance(found, kind):
        raise DataError(f"{path} holds a {type(found).__name__}, expected {kind.__name__}; remove it and call again")
    return found


def place_of(folder: Path, task: str) -> Path:
    """Where a run keeps what it has trained for a task."""
    return folder / "networks" / f"{task}.npz"


def trained_as(kind: type[Kept], folder: Path, task: str) -> Kept:
    """What a run has trained for a task, else what comes with the package.  Raises DataError where there is neither."""
    return opened_as(kind, trained_at(folder, task))


def trained_at(folder: Path, task: str) -> Path:
    """The file of what a run has trained for a task, else of what comes with the package.  Raises as ``trained_as``."""
    own = place_of(folder, task)
    path = own if own.exists() else Path(str(files("nuanalysis.learn") / "weights" / own.name))
    if not path.exists():
        raise DataError(f"nothing is trained for {task} in {own.parent}; nuanalysis detector train --task {task}")
    return path
