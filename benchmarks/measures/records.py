"""What a benchmark gives: rows, each a measurement beside its reference, and curves of growing cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import log
from typing import Any


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one repetition.

    best, median : over rounds.  repetitions : in each round; a round's seconds are divided by them.
    """

    best: float
    median: float
    rounds: int
    repetitions: int

    @property
    def spread(self) -> float:
        """How far the median round lies above the best one, as a fraction."""
        return self.median / self.best - 1.0 if self.best > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement beside a reference measured in the same run.

    unit : of ours, reference and budget.  measure : what is counted, for example 'CPU of one core'.
    spread : of ours, see ``Timing``.  budget : the most it may be, None where none was set.
    note : how ours and the reference differ, and what else belongs to the number.
    """

    name: str
    what: str
    origin: str
    measure: str
    unit: str
    ours: float
    spread: float
    reference_name: str
    reference: float
    budget: float | None
    rounds: int
    repetitions: int
    note: str = ""

    @property
    def ratio(self) -> float:
        """Reference over ours: above 1, ours needs less."""
        return self.reference / self.ours

    @property
    def met(self) -> bool | None:
        """Whether ours is within the budget; None where there is none."""
        return None if self.budget is None else self.ours <= self.budget


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """A row without a number in this run, and the reason."""

    name: str
    what: str
    unit: str
    budget: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Curve:
    """Cost over size: x (point,) of the given quantity, y (point,) in ms of CPU.

    exponent_budget : the largest power of x that the cost may grow with, None for a reference.
    first : number of the point from which the growth counts.
    """

    name: str
    quantity: str
    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    exponent_budget: float | None
    first: int = 0

    @property
    def exponent(self) -> float:
        """Power of x with which the cost grows from the first point that counts to the last."""
        return log(self.y[-1] / self.y[self.first]) / log(self.x[-1] / self.x[self.first])


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and with what it was measured.  No host name.

    load : processes that wanted to run when it began, the system's average over one minute.
    """

    date: str
    system: str
    cpu: str
    cores: int
    memory_gb: float
    load: float
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All of one run."""

    machine: Machine
    rows: tuple[Row, ...]
    not_measured: tuple[NotMeasured, ...]
    curves: tuple[Curve, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The report with all its numbers, ready for JSON."""
        return {
            "machine": {**asdict(self.machine), "versions": dict(self.machine.versions)},
            "rows": [{**asdict(row), "ratio": row.ratio, "met": row.met} for row in self.rows],
            "not_measured": [asdict(row) for row in self.not_measured],
            "curves": [{**asdict(curve), "exponent": curve.exponent} for curve in self.curves],
        }
