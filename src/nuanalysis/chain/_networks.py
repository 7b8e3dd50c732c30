"""Trained networks with their calibration, at rest: those of a run, or those that come with the package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from nuanalysis.errors import DataError
from nuanalysis.learn import Network, SigmaLaw, Temperature, check_network
from nuanalysis.store import read_object


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A network, and what makes its scores probabilities (of classes) or its kappas errors (of directions)."""

    network: Network
    temperature: Temperature | None
    sigma: SigmaLaw | None


def place_of(folder: Path, task: str) -> Path:
    """Where a run keeps the network of a task."""
    return folder / "networks" / f"{task}.npz"


def trained(folder: Path, task: str) -> Trained:
    """The network of a run where it has one, else the one that comes with the package.

    Raises DataError where there is neither, or where its arrays are not those of its card.
    """
    own, ours = place_of(folder, task), files("nuanalysis.learn") / "weights" / f"{task}.npz"
    path = own if own.exists() else Path(str(ours))
    if not path.exists():
        raise DataError(
            f"there is no network of {task} in {own.parent}; train one: nuanalysis detector train --task {task}"
        )
    found = read_object(path)
    if not isinstance(found, Trained):
        raise DataError(f"{path} holds no trained network but a {type(found).__name__}; train one again")
    check_network(found.network)
    return found
