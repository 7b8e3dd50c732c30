"""Trained networks with their calibration, at rest: those of a run, or those that come with the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nuanalysis.chain._kept import trained_as
from nuanalysis.learn import Network, SigmaLaw, Temperature, check_network


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A network, and what makes its scores probabilities (of classes) or its kappas errors (of directions)."""

    network: Network
    temperature: Temperature | None
    sigma: SigmaLaw | None


def trained(folder: Path, task: str) -> Trained:
    """The network of a run where it has one, else the one that comes with the package.

    Raises DataError where there is neither, or where its arrays are not those of its card.
    """
    found = trained_as(Trained, folder, task)
    check_network(found.network)
    return found
