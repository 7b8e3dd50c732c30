"""What learning speaks in: padded inputs, targets, a network with its card, and what it says of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from nuanalysis.detector import TRUTH, Kind, Singles, Truth
from nuanalysis.errors import InputError
from nuanalysis.schema import Bools, Floats, Ints

#: Columns of ``Inputs.modules``.  Positions: x, y, z over 500 m.  Charges: log10 of photoelectrons, and parts of the
#: charge.  Times: arsinh(t / 300 ns) with t since the mean first time of the event, weighted by charge; the residual
#: arsinh(t / 50 ns).  The last nine are seen from the centre, the mean position weighted by squared charge: position
#: as arsinh(x / 100 m), unit vector, ln distance over 1 m less 4, residual of the first time against straight light,
#: square root of the share of charge.
FEATURES = (
    "x", "y", "z", "log_charge", "first", "t20", "t50", "last", "mean", "spread", "part_100", "part_500", "efficiency",
    "from_x", "from_y", "from_z", "unit_x", "unit_y", "unit_z", "log_distance", "residual", "root_share",
)  # fmt: skip
UNIT = slice(FEATURES.index("unit_x"), FEATURES.index("unit_z") + 1)
#: Columns of ``Inputs.whole``: log10 of the charge and of the number of modules, the centre over 500 m, log10 of the
#: largest charge, rms distance of charge from the centre over 500 m, distance of the centre to the border of the array
#: over 500 m (positive inside), share of charge in ``outer_layer``, first time there, share of charge more than 100 ns
#: before light of the centre, and the speed of charge over that of light.
WHOLE = (
    "log_charge", "log_modules", "centre_x", "centre_y", "centre_z", "log_largest", "extent", "inside", "outer_share",
    "outer_first", "early_share", "speed",
)  # fmt: skip
CENTRE = slice(WHOLE.index("centre_x"), WHOLE.index("centre_z") + 1)
LENGTH_M = 500.0  # unit of positions
BUCKETS = (32, 64, 128)  # modules: the static shapes of training


class Class(IntEnum):
    """What an event looks like; the columns of ``Scores.probability``."""

    CASCADE = 0
    STARTING_TRACK = 1
    THROUGH_GOING = 2  # one muon from outside, of whatever made it
    BUNDLE = 3  # two or more atmospheric muons


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Features of a batch of events, padded.  All values are safe in float16, and may be kept so.

    modules (event, most, 22) : ``FEATURES`` of the brightest modules, 0 where padded.  mask (event, most) : 1 where a
    module stands.  whole (event, 12) : ``WHOLE``.
    """

    modules: NDArray[np.floating]
    mask: NDArray[np.floating]
    whole: NDArray[np.floating]

    def __len__(self) -> int:
        return len(self.whole)

    def take(self, events: Ints | Bools | slice) -> Inputs:
        """Some of the events."""
        return Inputs(self.modules[events], self.mask[events], self.whole[events])

    def cut(self, most: int) -> Inputs:
        """With the ``most`` brightest modules, padded where there are fewer."""
        more = max(most - self.mask.shape[1], 0)
        modules = np.pad(self.modules[:, :most], ((0, 0), (0, more), (0, 0)))
        return Inputs(modules, np.pad(self.mask[:, :most], ((0, 0), (0, more))), self.whole)

    def half(self) -> Inputs:
        """In float16, for keeping many; the centre in ``whole`` then stands to 0.25 m."""
        return Inputs(*(x.astype(np.float16) for x in (self.modules, self.mask, self.whole)))

    def arrays(self) -> tuple[NDArray[np.floating], ...]:
        """What a network reads."""
        return self.modules, self.mask, self.whole


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Events as charges and times on the lattice of strings: cells (event, row, column, depth, channel)."""

    cells: NDArray[np.floating]

    def __len__(self) -> int:
        return len(self.cells)

    def take(self, events: Ints | Bools | slice) -> Images:
        """Some of the events."""
        return Images(self.cells[events])

    def half(self) -> Images:
        """In float16, for keeping many."""
        return Images(self.cells.astype(np.float16))

    def arrays(self) -> tuple[NDArray[np.floating], ...]:
        """What a network reads."""
        return (self.cells,)


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What a network is to say of a batch of events, (event,) each, vectors (event, 3).

    label : ``Class``.  direction : of motion.  vertex : m.  log10_energy : log10 of the deposited energy in GeV.
    weight : of the event in training, positive; only ratios count.
    """

    label: Ints
    direction: Floats
    vertex: Floats
    log10_energy: Floats
    weight: Floats

    def __len__(self) -> int:
        return len(self.label)

    def take(self, events: Ints | Bools | slice) -> Targets:
        """Some of the events."""
        floats = (x[events] for x in (self.direction, self.vertex, self.log10_energy, self.weight))
        return Targets(self.label[events], *floats)


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """Events to train on: inputs and what is to be said of them."""

    inputs: Inputs | Images
    targets: Targets


def joined(parts: Sequence[Inputs]) -> Inputs:
    """Batches one after the other, padded to the widest."""
    most = max(part.mask.shape[1] for part in parts)
    wide = [part.cut(most) for part in parts]
    return Inputs(*(np.concatenate([getattr(one, name) for one in wide]) for name in ("modules", "mask", "whole")))


def labels_of(truth: Truth) -> Ints:
    """The ``Class`` of each event, (event,): by light, not by what interacted.

    A tau that decays into a muon is a starting track, a single atmospheric muon a through-going one.
    """
    label = np.where(truth.muon_energy > 0.0, Class.STARTING_TRACK, Class.CASCADE).astype(np.int64)
    label[truth.kind == Kind.MUON_STARTING] = Class.STARTING_TRACK
    label[truth.kind == Kind.MUON_ENTERING] = Class.THROUGH_GOING
    label[truth.kind == Kind.BUNDLE] = Class.BUNDLE
    label[(truth.kind == Kind.BUNDLE) & (truth.muons == 1)] = Class.THROUGH_GOING
    return label


def targets_of(truth: Truth, weight: Floats | None = None) -> Targets:
    """Targets of simulated events; each counts alike in training unless a weight (event,) is given."""
    weight = np.ones(len(truth.kind)) if weight is None else np.asarray(weight, dtype=np.float64)
    energy = np.log10(np.maximum(truth.deposited, 1.0))
    return Targets(labels_of(truth), truth.direction, truth.vertex, energy, weight)


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of a network on a stated set of events, with its statistical error."""

    name: str
    value: float
    error: float
    events: int


@dataclass(frozen=True, slots=True)
class Card:
    """What a network was made from and what it is good for.

    data : the recipe of the events, in words.  seed : of the training.  metrics : measured on events of other seeds.
    limits : what it cannot tell.  sha256 : of the arrays.  truth : the sentence that every product carries.
    """

    data: str
    seed: int
    metrics: tuple[Measure, ...]
    limits: tuple[str, ...]
    sha256: str
    truth: str = TRUTH


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of an architecture.

    task : 'classes' and 'direction' read ``Inputs``, 'image' reads ``Images``.  hidden : width for each module.
    pools : attention pools and vectors.  dense : widths after the pools.  activation : 'gelu' in its tanh form, 'relu'.
    without : names of ``FEATURES`` and ``WHOLE`` that are not read.
    """

    task: str
    hidden: int = 64
    pools: int = 4
    dense: tuple[int, ...] = (160, 96)
    activation: str = "gelu"
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise InputError(f"no task '{self.task}', expected one of {', '.join(TASKS)}")
        if self.activation not in ("gelu", "relu"):
            raise InputError(f"activation is '{self.activation}', expected 'gelu' or 'relu'")
        if strange := set(self.without) - {*FEATURES, *WHOLE}:
            raise InputError(f"no feature {', '.join(sorted(strange))}; there are {', '.join((*FEATURES, *WHOLE))}")


TASKS = ("classes", "direction", "image")


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A trained network: arrays by path, float32, and all that prediction needs.

    The normalisation stands in ``arrays`` too, as 'shift' and 'scale' of modules and whole: it is not trained.
    """

    name: str
    shape: Shape
    arrays: Mapping[str, Singles]
    card: Card


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Probabilities of each ``Class``, (event, 4), and the logits they come from."""

    logits: Floats
    probability: Floats

    @property
    def cascade(self) -> Floats:
        """Of being a cascade, (event,)."""
        return self.probability[:, Class.CASCADE]

    @property
    def cascade_over_muons(self) -> Floats:
        """ln of the odds of a cascade against a through-going muon or a bundle, (event,): no starting tracks."""
        muons = np.logaddexp(self.logits[:, Class.THROUGH_GOING], self.logits[:, Class.BUNDLE])
        return np.asarray(self.logits[:, Class.CASCADE] - muons)


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """What a network says of direction, place and energy of each event, (event,), vectors (event, 3).

    direction : unit vector of motion.  kappa : concentration of its von Mises–Fisher law; sigma = kappa^-1/2 rad,
    not calibrated.  vertex, vertex_sigma : m, the error of each coordinate.  log10_energy, log10_energy_sigma : of the
    deposited energy in GeV.
    """

    direction: Floats
    kappa: Floats
    vertex: Floats
    vertex_sigma: Floats
    log10_energy: Floats
    log10_energy_sigma: Floats
