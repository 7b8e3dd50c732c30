"""Levels of a selection, and what each of them leaves: rates with their errors, efficiencies, purities.

Simulated events stand for different rates, so every number here has its effective number of events; a rate that too
few events stand behind is an upper limit.  Nothing here makes or reads events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from nuanalysis.detector._bundles import rate
from nuanalysis.detector._summary import EventVariables
from nuanalysis.errors import InputError, refuse
from nuanalysis.records import Measured, Record, Settings, setting, shown, table
from nuanalysis.schema import Bools, Floats

if TYPE_CHECKING:
    from astropy.table import QTable

MOST_SHARE = 0.1  # of a rate that one event may carry
#: The sentence that every product carries.
TRUTH = (
    "parametric simulation; no IceCube simulation or data were used to train it; its absolute rates are normalised to "
    "published ones"
)
CANNOT_TELL = (
    TRUTH,
    "it cannot tell: real ice (tilt, anisotropy, hole ice in detail), real noise and calibration, rates of the levels "
    "of the published selection, the rejection of muons below its effective number of events, systematic errors",
)


class Origin(StrEnum):
    """Where the events of a component are from."""

    ATMOSPHERIC = "atmospheric neutrinos"
    ASTROPHYSICAL = "astrophysical neutrinos"
    MUON = "atmospheric muons"


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """Events of one origin as rates.

    name : such as 'astrophysical nue'.
    rate (event,) : Hz that each simulated event stands for, 0 for those that are no part of it.  A simulated neutrino
    is part of several components, with the flux of each.
    """

    name: str
    origin: Origin
    rate: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """A level of the selection.  passes (event,) : its own cut; what reaches it has passed all levels before."""

    name: str
    title: str
    passes: Bools


class Limited(Record):
    """A rate from weighted events, or its upper limit where fewer than ten effective events stand behind it."""

    value: float = shown("rate", unit="Hz")
    error: float = shown("statistical error, root of the sum of squares", unit="Hz")
    effective: float = shown("effective events, (sum w)^2 / sum w^2", form=".1f", short="N_eff")
    events: int = shown("simulated events behind it")
    largest: float = shown("largest share of one event", form=".2f")
    bound: float | None = shown("upper limit, 90 %, where there are fewer than 10 effective events", None, unit="Hz")

    @property
    def dominated(self) -> bool:
        """Whether one event carries more than a tenth of a rate that is printed as one."""
        return self.bound is None and self.largest > MOST_SHARE

    def words(self, form: str = "") -> str:
        said = f"< {self.bound:.2g}" if self.bound is not None else Measured(value=self.value, error=self.error).words()
        return f"{said} Hz (N_eff {self.effective:.0f})" + f", one event carries {self.largest:.0%}" * self.dominated

    def cell(self, form: str = "") -> str:
        if self.bound is not None:
            return f"< {self.bound:.2g}"
        return Measured(value=self.value, error=self.error).cell() + " !" * self.dominated


def rate_of(weights: Floats, reached: Floats) -> Limited:
    """The sum of weights, Hz, or its limit: see ``rate``.  reached : weights of all that came as far as the cut."""
    used = weights[weights > 0.0]
    found = rate(used, of=reached)
    return Limited(
        value=found.value,
        error=found.error,
        effective=found.effective,
        events=len(used),
        largest=float(used.max(initial=0.0)) / found.value if found.value else 0.0,
        bound=found.bound,
    )


def fraction_of(weights: Floats, passes: Bools) -> Measured | None:
    """Share of the weight that passes, with the error of weighted events; None without any weight."""
    total = float(weights.sum())
    if total <= 0.0:
        return None
    share = float(weights[passes].sum()) / total
    return Measured(value=share, error=float(np.sqrt((weights**2 * (passes - share) ** 2).sum())) / total)


class ComponentRow(Record):
    """What a level leaves of one component."""

    level: str = shown("level", hidden=True)
    component: str = shown("component")
    rate: Limited = shown("rate, Hz (! one event carries more than 10 %)", short="rate/Hz")
    n_effective: float = shown("effective events", form=".0f", short="N_eff")
    efficiency: Measured | None = shown("of those that trigger with the vertex inside the hull + 150 m")
    passing: Measured | None = shown("of the rate at the first level")


class LevelRow(Record):
    """What a level leaves: rates by component, and how pure they are."""

    level: str = shown("level", hidden=True)
    title: str = shown("cut", hidden=True)
    total: Limited = shown("all", hidden=True)
    purity_astrophysical: float = shown("astrophysical part of the rate", hidden=True)
    purity_neutrinos: float = shown("part of the rate that is neutrinos", hidden=True)
    purity_is_bound: bool = shown("whether the purities are lower limits, the rate of muons being an upper one",
                                  hidden=True)  # fmt: skip
    components: tuple[ComponentRow, ...] = shown("components")

    def headline(self) -> tuple[str, ...]:
        least = "at least " if self.purity_is_bound else ""
        return (
            f"{self.level}, {self.title}: {self.total.words()}; {least}{self.purity_astrophysical:.2g} of it "
            f"astrophysical, {least}{self.purity_neutrinos:.2g} neutrinos.",
        )


class CutFlow(Record):
    """What every level of the selection leaves."""

    fluxes: str = shown("fluxes that weigh the events, and what rates are normalised to")
    levels: tuple[LevelRow, ...] = shown("levels")
    notes: tuple[str, ...] = shown("what it is", CANNOT_TELL)

    @property
    def dominated(self) -> tuple[str, ...]:
        """Rates of which one event carries more than a tenth."""
        return tuple(
            f"{row.level}: {one.component}" for row in self.levels for one in row.components if one.rate.dominated
        )

    def headline(self) -> tuple[str, ...]:
        return ("SYNTHETIC: " + CANNOT_TELL[0] + ".",)

    def to_table(self) -> QTable:
        """A line for each component of each level."""
        return table([one for row in self.levels for one in row.components], FLUXES=self.fluxes, ORIGIN="synthetic")


def cut_flow(levels: Sequence[Level], components: Sequence[Component], inside: Bools, *, fluxes: str) -> CutFlow:
    """Rates of every component at every level, each level keeping what passes it and all before.

    inside (event,) : vertex inside the hull + 150 m; efficiencies are of those that pass the first level inside, by the
    flux of the component.  fluxes : what the events are weighed with, in words.
    Raises InputError for arrays of different lengths, and for rates that are negative or not finite.
    """
    _refuse_odd(levels, components, inside)
    passed = np.logical_and.accumulate([level.passes for level in levels], axis=0)
    before = np.vstack([np.ones_like(passed[:1]), passed[:-1]])
    rows = tuple(
        _level_row(level, components, masks, passed[0], inside)
        for level, *masks in zip(levels, passed, before, strict=True)
    )
    return CutFlow(fluxes=fluxes, levels=rows)


def _refuse_odd(levels: Sequence[Level], components: Sequence[Component], inside: Bools) -> None:
    n, said = len(inside), []
    if not levels or not components:
        raise InputError("a cut flow needs at least one level and one component")
    for name, one in [(level.name, level.passes) for level in levels] + [(c.name, c.rate) for c in components]:
        if one.shape != (n,):
            said.append(f"'{name}' has the shape {one.shape}; expected ({n},), an entry an event")
    for component in components:
        if broken := int(np.count_nonzero(~(np.isfinite(component.rate) & (component.rate >= 0.0)))):
            said.append(f"'{component.name}' has {broken} rates that are negative or not finite")
    refuse(said, "the cut flow cannot be worked out")


def _level_row(
    level: Level, components: Sequence[Component], masks: Sequence[Bools], trigger: Bools, inside: Bools
) -> LevelRow:
    """masks : what passes the level, and what came to it."""
    passed, came = masks
    rows, sums = [], dict.fromkeys(Origin, 0.0)
    bounded = False
    for one in components:
        rate = rate_of(one.rate[passed], one.rate[came])
        contained = one.rate * (trigger & inside)
        rows.append(
            ComponentRow(
                level=level.name,
                component=one.name,
                rate=rate,
                n_effective=rate.effective,
                efficiency=None if one.origin is Origin.MUON else fraction_of(contained, passed),
                passing=fraction_of(one.rate * trigger, passed),
            )
        )
        muons_bound = one.origin is Origin.MUON and rate.bound is not None
        sums[one.origin] += rate.bound if muons_bound and rate.bound is not None else rate.value
        bounded |= muons_bound
    whole = max(sum(sums.values()), 1e-300)
    neutrinos = sums[Origin.ATMOSPHERIC] + sums[Origin.ASTROPHYSICAL]
    together = np.sum([one.rate for one in components], axis=0)
    return LevelRow(
        level=level.name,
        title=level.title,
        total=rate_of(together[passed], together[came]),
        purity_astrophysical=sums[Origin.ASTROPHYSICAL] / whole,
        purity_neutrinos=neutrinos / whole,
        purity_is_bound=bounded,
        components=tuple(rows),
    )


def threshold_at(score: Floats, rate: Floats, target_hz: float) -> float:
    """The lowest cut on a score, kept from there on, that leaves at most this rate; infinity where nothing does.

    score, rate (event,) of what came to the level.  Events of equal score are kept or left together.
    """
    order = np.argsort(-score, kind="stable")
    left, ranked = np.cumsum(rate[order]), score[order]
    last = np.append(ranked[1:] < ranked[:-1], True) if len(ranked) else np.zeros(0, dtype=bool)
    within = np.flatnonzero(last & (left <= target_hz * (1.0 + 1e-12)))
    return float(ranked[within[-1]]) if len(within) else float("inf")


# ---- the levels of this selection ----------------------------------------------------------------------------------


class LevelCuts(Settings):
    """Thresholds of the levels; the same for the command and the notebook.

    The levels of the published selection are not public: these are our own.
    """

    inertia_ratio: float = setting(
        0.05, low=0, high=1, help="filter: smallest eigenvalue of the tensor of inertia over the sum of all, above"
    )
    line_speed: float = setting(0.1, above=0, unit="m/ns", help="filter: speed of the line fit, below")
    bright_charge: float = setting(1000.0, low=0, help="filter: charge in photoelectrons above which an event is kept")
    network_score: float = setting(0.5, low=0, high=1, help="network: probability of a cascade, at least")
    modules: int = setting(12, low=1, help="network: modules after cleaning, at least")
    charge: float = setting(20.0, low=0, help="network: charge in photoelectrons, above")
    outer_early: float = setting(3.0, low=0, help="veto: early photoelectrons on the outer layer, at most")
    before_vertex: float = setting(3.0, low=0, help="veto: photoelectrons before light of the vertex, at most")
    muon_score: float = setting(0.998, low=0, high=1, help="final: score of the trees against muons, at least")
    cascade_score: float = setting(0.8, low=0, high=1, help="final: score of the trees for cascades, at least")
    log10_energy: float = setting(
        float(np.log10(500.0)), low=0, high=10, help="final: log10 of the reconstructed energy in GeV, at least"
    )


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What networks, trees and the final reconstruction say of each event, (event,) each; NaN passes no cut.

    network_score : probability of a cascade.  muon_score, cascade_score : of the trees, 1 is no muon and a cascade.
    log10_energy, converged : of the reconstruction.  What an event was not asked for, since it failed before, is NaN.
    """

    network_score: Floats
    muon_score: Floats
    cascade_score: Floats
    log10_energy: Floats
    converged: Bools


def levels_of(triggered: Bools, seen: EventVariables, judged: Judged, cuts: LevelCuts) -> tuple[Level, ...]:
    """The five levels, from the trigger to the final sample; seen : of cleaned hits."""
    round_and_slow = (seen.inertia_ratio > cuts.inertia_ratio) & (seen.line_speed < cuts.line_speed)
    light = (seen.modules >= cuts.modules) & (seen.charge > cuts.charge)
    dark = (seen.outer_early <= cuts.outer_early) & (seen.before_vertex <= cuts.before_vertex)
    trees = (judged.muon_score >= cuts.muon_score) & (judged.cascade_score >= cuts.cascade_score)
    kept = (judged.log10_energy >= cuts.log10_energy) & judged.converged
    return (
        Level("L0", "simple majority trigger", triggered),
        Level("L1", "filter: round and slow, or bright", round_and_slow | (seen.charge > cuts.bright_charge)),
        Level("L2", "network: like a cascade", light & (judged.network_score >= cuts.network_score)),
        Level("L3", "veto: dark outer layer, nothing early", dark),
        Level("L4", "trees, energy and converged fit", trees & kept),
    )
