"""What makes a sample: one SampleRecipe a file, as plain data and a few functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError
from nuanalysis.model import Binning, Hypothesis
from nuanalysis.response import NONE, Response, Systematics
from nuanalysis.selection import Check, Cut, Runs

Origin = Literal["real", "synthetic"]
Steps = tuple[Cut | Check, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Season:
    """A part of a sample with a response of its own.

    livetime : in s, before cuts.
    steps : the cuts and checks of the season, given the good runs of the season before; and its own good runs.
    """

    name: str
    response: Callable[[], Response]
    livetime: Callable[[], float]
    steps: Callable[[Runs], tuple[Steps, Runs]]


@dataclass(frozen=True, slots=True, eq=False)
class SampleRecipe:
    """A sample that has a name.

    title : one line of a list; label : what reports call it.
    releases : the upstream releases it is made of; its files decide what results depend on.
    holds : real events, named by detector season and kind: samples that name the same one share events.
    events : by season, before selection, from a seed, the injected hypothesis and its expected events; real events
        depend on none of these.  Raises DataError that names the fetch command where a release is not here.
    systematics : how far the detector may differ from its responses; NONE where no public numbers say.
    refusal : why it cannot be analysed; '' where it can.
    """

    name: str
    title: str
    label: str
    origin: Origin
    releases: tuple[str, ...]
    binning: Binning
    nside: int
    seasons: tuple[Season, ...] = ()
    holds: tuple[str, ...] = ()
    events: Callable[[int, Hypothesis | None, float], dict[str, xr.Dataset]] = lambda seed, signal, n_signal: {}
    systematics: Systematics = NONE
    refusal: str = ""

    def season(self, name: str) -> Season:
        """A season by its name.  Raises InputError."""
        found = next((season for season in self.seasons if season.name == name), None)
        if found is None:
            raise InputError(f"the sample '{self.name}' has no season '{name}'")
        return found
