"""What the steps of the chain share: their settings, the streams of events, the recipe of a batch."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal, Self

from nuanalysis.chain._light import EFFICIENCY, PHOTONS, Medium
from nuanalysis.engine.bench import Bench
from nuanalysis.records import Record, Settings, made, setting

IceModel = Literal["spice-mie", "spice-1"]


class Step(Settings):
    """One step from light in the ice to a sample: settings that are checked at once, and what is done with them."""

    seed: int = setting(1, low=0, high=2**40, help="seed of the chain; each step and purpose has a stream of its own")

    ice: IceModel = setting("spice-mie", help="ice model: spice-mie, or spice-1 as a systematic variation")
    efficiency: float = setting(EFFICIENCY, low=0.1, high=2, help="efficiency of the modules over the nominal one")
    photons: int = setting(
        PHOTONS, low=10_000, high=100_000_000, help="photons of either emission behind the table of light"
    )

    @property
    def medium(self) -> Medium:
        """Where light travels and what sees it."""
        return Medium(self.ice, self.efficiency, self.photons)

    @abstractmethod
    def take(self, bench: Bench) -> Record:
        """Do it.  bench : the folder of events, networks and results, executor and progress."""

    @classmethod
    def of(cls, **values: object) -> Self:
        """The step with these settings.  Raises InputError with all faults in one message."""
        return made(cls, values, f"the step '{cls.__name__.lower()}' cannot be taken so")
