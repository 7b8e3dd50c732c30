"""Simulate light in the ice: particles, photons, modules, trigger; a parametric simulation, nobody's official one."""

from __future__ import annotations

import time
from typing import Literal

import numpy as np

from nuanalysis.chain._events import Recipe, Seen, joined, opened, simulated
from nuanalysis.chain._light import Medium
from nuanalysis.chain._pulses import kept_pulses
from nuanalysis.chain._step import Step
from nuanalysis.detector import ENERGIES, INDEX, TRUTH, Kind, Rate, effective_number, rate
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import PrecisionError
from nuanalysis.records import Measured, Record, setting, shown
from nuanalysis.schema import Floats
from nuanalysis.trials.streams import Purpose, seed_for

SMT8_HZ = 2100.0  # published rate of the simple majority trigger, May 2016: JINST 12 P03012
#: For rates: mostly muons, which are the hard part.  In the order of ``Kind``.
MUONS = (0.10, 0.06, 0.04, 0.05, 0.05, 0.70, 0.0)


class KindRow(Record):
    """Simulated events of one kind."""

    kind: str = shown("kind")
    made: int = shown("events made")
    triggered: int = shown("met the trigger")
    effective: float = shown("effective events", form=".0f", short="N_eff")


class SimulateAnswer(Record):
    """What was simulated."""

    purpose: str = shown("made for")
    medium: str = shown("ice and modules")
    events: int = shown("events made")
    kinds: tuple[KindRow, ...] = shown("kinds")
    muon_trigger: Measured = shown("rate of muon triggers before normalisation", unit="Hz")
    factor: Measured = shown("published trigger rate over ours: rates of muons are multiplied by it")
    seconds: float = shown("wall time", unit="s", form=".1f")
    files: tuple[str, ...] = shown("files", hidden=True)
    pulse_files: tuple[str, ...] = shown("pulses with their truth", (), hidden=True)
    truth: str = shown("what it is", TRUTH)


class Simulate(Step):
    """Simulate light in the ice: particles, photons, modules, trigger."""

    events: int = setting(2000, low=100, high=50_000_000, help="events made, of all kinds together")
    purpose: Literal["training", "testing", "rates", "calibration"] = setting(
        "testing", help="training, testing, rates (mostly muons) or calibration: each has random numbers of its own"
    )
    min_energy: float = setting(ENERGIES[0], low=100, high=1e6, unit="GeV", help="lowest energy of neutrinos")
    max_energy: float = setting(ENERGIES[1], low=1e3, high=1e7, unit="GeV", help="highest energy of neutrinos")
    index: float = setting(INDEX, low=0, high=4, help="neutrinos are drawn as E^-index; weights take it out again")

    pulses: bool = setting(False, help="keep all pulses with their truth too, 10 kB an event, at twice the time")

    def model_post_init(self, context: object) -> None:
        if self.min_energy >= self.max_energy:
            raise ValueError(f"min_energy {self.min_energy:g} is not below max_energy {self.max_energy:g}")

    def recipe(self) -> Recipe:
        """What the events depend on."""
        purpose = Purpose[self.purpose.upper()]
        seed = seed_for(self.seed, purpose)
        own = muon_recipe if purpose is Purpose.RATES else Recipe
        return own(
            seed,
            self.events,
            self.medium,
            low=self.min_energy,
            high=self.max_energy,
            index=self.index,
        )

    def take(self, bench: Bench) -> SimulateAnswer:
        started, recipe = time.monotonic(), self.recipe()
        paths = simulated(recipe, bench, self.purpose)
        kept = kept_pulses(recipe, bench, self.purpose) if self.pulses else ()
        seen = joined([opened(path) for path in paths])
        muons = seen.truth.weight * (seen.truth.kind == Kind.BUNDLE)
        found = rate(muons[muons > 0.0], of=muons)
        return SimulateAnswer(
            purpose=self.purpose,
            medium=str(self.medium),
            events=recipe.total,
            kinds=tuple(_row(kind, seen) for kind in Kind if seen.made[kind]),
            muon_trigger=Measured(value=found.value, error=found.error, unit="Hz"),
            factor=normalisation(found),
            seconds=time.monotonic() - started,
            files=tuple(str(path) for path in paths),
            pulse_files=tuple(str(path) for path in kept),
        )


def muon_recipe(seed: int, total: int, medium: Medium, **more: float) -> Recipe:
    """Mostly bundles, rich ones more often: for rates."""
    return Recipe(seed, total, medium, MUONS, rich=0.2, **more)  # type: ignore[arg-type]


def normalisation(found: Rate) -> Measured:
    """Published trigger rate over ours.  Raises PrecisionError where no muon met the trigger."""
    if found.value <= 0.0:
        raise PrecisionError("no simulated muon met the trigger, so rates cannot be normalised; ask for more events")
    factor = SMT8_HZ / found.value
    return Measured(value=factor, error=factor * found.error / found.value)


def _row(kind: Kind, seen: Seen) -> KindRow:
    of: Floats = seen.truth.weight[seen.truth.kind == kind]
    name = kind.name.lower().replace("_", " ")
    return KindRow(kind=name, made=int(seen.made[kind]), triggered=int(np.size(of)), effective=effective_number(of))
