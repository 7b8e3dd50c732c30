"""What makes a sample, one SampleRecipe a file; and Samples: its seasons with all that an answer says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np

from nuanalysis.deferred import units as u
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError
from nuanalysis.model import Binning, Hypothesis, Sample
from nuanalysis.records import Card, Settings
from nuanalysis.response import NONE, Response, Systematics
from nuanalysis.selection import Check, Cut, Range, Runs, apply

DAY = 86400.0
_SAME = 1e-7  # d and rad: two rows are one event
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
    from_files : of a synthetic sample, whether it is drawn from files of its releases.
    longer : the same sample with another livetime in years, background and signal drawn anew; None where there is none.
    least_log10_energy : events below it in reconstructed energy are cut away, signal too.
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
    from_files: bool = False
    longer: Callable[[float], SampleRecipe] | None = None
    least_log10_energy: float = 0.0

    def season(self, name: str) -> Season:
        """A season by its name.  Raises InputError."""
        found = next((season for season in self.seasons if season.name == name), None)
        if found is None:
            raise InputError(f"the sample '{self.name}' has no season '{name}'")
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Samples(Card):
    """A sample ready for analysis: its seasons, and where they are from.

    seed : of a synthetic sample, and of the trials on any.
    signal : what was injected into a synthetic sample, in words; '' for nothing.
    releases, holds, systematics : see ``SampleRecipe``.
    spec : what a sample of the package was made from; None for a user's own events, and for several together.
    """

    name: str
    label: str
    seasons: tuple[Sample, ...]
    seed: int = 1
    signal: str = ""
    releases: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    systematics: Systematics = NONE
    spec: Settings | None = None

    @property
    def origin(self) -> Literal["real", "synthetic", "mixed"]:
        """'synthetic' or 'real', 'mixed' for several samples of both kinds."""
        first, *others = {season.origin for season in self.seasons}
        return "mixed" if others else "synthetic" if first == "synthetic" else "real"

    @property
    def n_events(self) -> int:
        """Events of all seasons."""
        return sum(season.events.sizes["event"] for season in self.seasons)

    @property
    def livetime(self) -> float:
        """Livetime of all seasons in s."""
        return sum(season.livetime for season in self.seasons)

    @property
    def injected(self) -> str:
        """What the events say was injected: '' for real ones, 'none' for synthetic ones without signal."""
        return "; ".join(sorted({str(season.events.attrs.get("signal", "")) for season in self.seasons} - {""}))

    @property
    def statistic(self) -> str:
        """Name of the statistic of its analysis."""
        return "; ".join(dict.fromkeys(season.statistic.name for season in self.seasons))

    @property
    def reference(self) -> str:
        """Who published the events, or the tables they are drawn from."""
        return "; ".join(sorted({str(season.events.attrs["reference"]) for season in self.seasons}))

    @property
    def notes(self) -> tuple[str, ...]:
        """Stand-ins and simplifications of the responses and of the events, sorted; answers repeat them."""
        said = {note for season in self.seasons for note in season.response.notes}
        said |= {str(season.events.attrs["note"]) for season in self.seasons if season.events.attrs.get("note")}
        return tuple(sorted(said))

    def cut(
        self, *, declination: Sequence[float] | u.Quantity | None = None, energy: u.Quantity | None = None
    ) -> Samples:
        """The events inside closed ranges; simulated signal will be cut likewise.

        declination : (low, high), a Quantity of angle or degrees.    energy : (low, high) reconstructed, a Quantity.
        Raises InputError for ranges that cannot be read or that leave a season without events.
        """
        cuts: list[Range] = []
        if declination is not None:
            cuts.append(Range("declination", *_bounds("declination", declination, u.rad, without=u.deg)))
        if energy is not None:
            cuts.append(Range("log10_energy", *np.log10(_bounds("energy", energy, u.GeV)).tolist()))
        return replace(self, seasons=tuple(_cut_season(season, cuts) for season in self.seasons))

    def cut_like(self, other: Samples) -> Samples:
        """The events inside the ranges of another sample of the same seasons."""

        def inside(season: Sample, alike: Sample) -> Sample:
            columns = ("log10_energy", "declination")
            return _cut_season(season, [Range(name, *getattr(alike, f"{name}_range")) for name in columns])

        return replace(self, seasons=tuple(map(inside, self.seasons, other.seasons)))

    def rows(self) -> list[tuple[str, str]]:
        seasons = ", ".join(f"{s.label} ({s.events.sizes['event']:,})" for s in self.seasons)
        return [
            ("origin", {"synthetic": "SYNTHETIC", "real": "real", "mixed": "SYNTHETIC and real"}[self.origin]),
            ("events", f"{self.n_events:,}"),
            ("livetime", f"{self.livetime / DAY:,.2f} d"),
            ("seasons", seasons),
            ("signal", self.signal),
            ("seed", str(self.seed)),
            ("statistic", self.statistic),
            ("reference", self.reference),
        ]


def joined(samples: Sequence[Samples]) -> Samples:
    """Several samples as one, to be analysed jointly."""
    return Samples(
        " + ".join(one.name for one in samples),
        "; ".join(one.label for one in samples),
        tuple(season for one in samples for season in one.seasons),
        seed=samples[0].seed,
        signal="; ".join(filter(None, (one.signal for one in samples))),
        releases=tuple(dict.fromkeys(name for one in samples for name in one.releases)),
        holds=tuple(name for one in samples for name in one.holds),
    )


def _bounds(name: str, given: object, unit: u.UnitBase, *, without: u.UnitBase | None = None) -> np.ndarray:
    """(low, high) in the unit; numbers without one are in ``without``, or refused."""
    try:
        quantity = u.Quantity(given)
        if quantity.unit == u.dimensionless_unscaled and without is not None:
            quantity = quantity.value * without
        low, high = np.asarray(quantity.to_value(unit), dtype=np.float64)
    except (u.UnitsError, TypeError, ValueError) as error:
        expected = "(low, high) in degrees or with a unit" if without else f"(low, high) with a unit such as {unit}"
        raise InputError(f"{name} is {given}; expected {expected}") from error
    return np.array([low, high])


def _cut_season(season: Sample, cuts: Sequence[Range]) -> Sample:
    events, _ = apply(season.events, cuts)
    ranges: dict[str, Any] = {}
    for one in cuts:
        low, high = getattr(season, f"{one.column}_range")
        ranges[f"{one.column}_range"] = (max(low, one.low), min(high, one.high))
    return replace(season, events=events, **ranges)


def refuse_shared_events(samples: Sequence[SampleRecipe | Samples]) -> None:
    """Raise InputError where two of the samples hold the same real events: each must then be analysed alone.

    Told by the detector seasons that recipes declare.  A user's own table declares none and may repeat a release: its
    events are compared row by row.
    """
    for one, other in combinations(samples, 2):
        if shared := [season for season in one.holds if season in other.holds]:
            few = ", ".join(shared[:3]) + (" ..." if len(shared) > 3 else "")
            raise InputError(
                f"the samples '{one.name}' and '{other.name}' share events ({few}): analysed jointly they would count "
                "twice; use one of them"
            )
        if found := _equal_rows(one, other):
            raise InputError(
                f"{found:,} events of the samples '{one.name}' and '{other.name}' are equal in time and direction: "
                "analysed jointly they would count twice; use one of them"
            )


def _equal_rows(one: SampleRecipe | Samples, other: SampleRecipe | Samples) -> int:
    """Real events equal in time and direction, where one of two opened samples does not say what it holds."""
    if not (isinstance(one, Samples) and isinstance(other, Samples)) or (one.holds and other.holds):
        return 0

    def rows(samples: Samples) -> set[tuple[float, ...]]:
        columns = ("mjd", "right_ascension", "declination")
        return {
            row
            for season in samples.seasons
            for row in map(tuple, np.round(np.stack([season.array(c) for c in columns], axis=1) / _SAME).tolist())
        }

    return len(rows(one) & rows(other)) if "synthetic" not in (one.origin, other.origin) else 0
