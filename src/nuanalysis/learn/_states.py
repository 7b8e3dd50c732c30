"""How a network is trained, and where a training stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nuanalysis.detector import Singles
from nuanalysis.errors import InputError
from nuanalysis.learn._records import Shape
from nuanalysis.schema import Floats


@dataclass(frozen=True, slots=True)
class Settings:
    """How a network is trained.

    steps : batches of the whole run, over which the rate rises to its peak and falls (one cycle).  micro : events that
    go through the network at once; their gradients are added up to a batch.  gaussian_after : epochs after which place
    and energy are trained on their likelihood with errors, on squared distances before.  average : of the weights over
    the last 1 / (1 - average) steps.
    """

    shape: Shape
    steps: int
    epochs: int
    seed: int = 1
    rate: float = 2e-3
    decay: float = 1e-4
    clip: float = 5.0
    rising: float = 0.15
    batch: int = 256
    micro: int = 32
    gaussian_after: int = 3
    average: float = 0.999

    def __post_init__(self) -> None:
        if self.batch % self.micro:
            raise InputError(f"batch {self.batch} is no multiple of micro {self.micro}; choose one")
        if min(self.steps, self.epochs) < 1:
            raise InputError(f"steps {self.steps} and epochs {self.epochs} must be 1 or more")


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Where a training stands: enough to go on as if there had been no break.  Callers write it.

    arrays, average : by path, trained ones and their running average.  fixed : the normalisation.  optimiser : its flat
    arrays.  step, epoch : done so far.  losses (epoch,) : mean loss of each.
    """

    settings: Settings
    arrays: Mapping[str, Singles]
    average: Mapping[str, Singles]
    fixed: Mapping[str, Singles]
    optimiser: tuple[NDArray[np.number], ...]
    step: int = 0
    epoch: int = 0
    losses: Floats = field(default_factory=lambda: np.zeros(0))
