"""What the catalogue ICECAT-1 holds: rates, probabilities, gaps, and which of its alerts lie in public tracks."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import ClassVar

import numpy as np

from nuanalysis.alerts import Alert, Flux, expected_rate
from nuanalysis.answers._question import Answer
from nuanalysis.errors import DataError
from nuanalysis.ingest import find, icecat1, tracks_ic86_2011
from nuanalysis.interpret.alert_catalogue import CatalogueFigures, catalogue_figures
from nuanalysis.interpret.alert_tracks import twins
from nuanalysis.records import Provenance, Record, Unknown, shown

FLUX = Flux(1.44, 2.37)  # nu_mu + nubar at 100 TeV in 1e-18 GeV^-1 cm^-2 s^-1 sr^-1, and index
SAME_DEG = 2.1
_YEAR_D = 365.25


class AlertStream(Record):
    """Alerts of a stream, and what is published of them."""

    stream: str = shown("stream", short="stream")
    alerts: int = shown("alerts", short="alerts")
    vetoed: int = shown("of those with a cosmic-ray veto", short="vetoed")
    p_median: float = shown("median p_astro", form=".3f", short="p_astro")
    p_low: float = shown("lowest p_astro", form=".3f", hidden=True)
    p_high: float = shown("highest p_astro", form=".3f", hidden=True)
    far_low: float = shown("lowest FAR", unit="yr-1", form=".2f", short="FAR from")
    far_high: float = shown("highest FAR", unit="yr-1", form=".2f", short="FAR to")
    energy_median: float = shown("median energy", unit="TeV", form=".0f", short="energy")


class AlertCatalogueAnswer(Answer):
    """Counts and rates of a catalogue of alerts, and what was expected of them."""

    rows: ClassVar = "streams"
    n_alerts: int = shown("alerts")
    days: float = shown("from the first to the last", unit="d", form=".2f")
    gold_per_year: float = shown("Gold per year", unit="yr-1", form=".2f")
    bronze_per_year: float = shown("Bronze per year", unit="yr-1", form=".2f")
    p_sum: float = shown("sum of p_astro", form=".2f")
    p_sum_per_year: float = shown("the same per year", unit="yr-1", form=".2f")
    expected_per_year: float = shown("astrophysical alerts per year from the areas, E^-2.37", unit="yr-1", form=".2f")
    expected_gold_per_year: float = shown("of those Gold", unit="yr-1", form=".2f")
    shared_dates: int = shown("alerts that share their date with another")
    gap_shortest: float = shown("shortest gap", unit="d", form=".4f")
    gap_median: float = shown("median gap", unit="d", form=".1f")
    gap_longest: float = shown("longest gap", unit="d", form=".1f")
    gaps_p: float = shown("p that the gaps are exponential (KS)", form=".2f")
    in_tracks: int | Unknown = shown("alerts within the time of the tracks of IC86-2011")
    found_again: int | Unknown = shown(f"of those found again within {SAME_DEG} deg on the same day")
    streams: tuple[AlertStream, ...] = shown("streams")

    def headline(self) -> tuple[str, ...]:
        return (
            f"{self.n_alerts} alerts, {self.gold_per_year:.2f} Gold and {self.bronze_per_year:.2f} Bronze per year; "
            f"{self.p_sum_per_year:.2f} of them per year astrophysical by p_astro, {self.expected_per_year:.2f} "
            "expected from the areas.",
        )


def alert_catalogue(alerts: Sequence[Alert]) -> AlertCatalogueAnswer:
    """Figures of ICECAT-1, its alerts by time.  Raises DataError where its areas are not here."""
    found = catalogue_figures(alerts)
    release = find(icecat1.RELEASE)
    every, gold = (
        expected_rate(icecat1.read_effective_area(release, f"all_streams_{tier}"), FLUX)
        for tier in ("gold_bronze", "gold_only")
    )
    within, again = _in_tracks(alerts)
    p_sum = sum(found.p_sum.values())
    return AlertCatalogueAnswer(
        provenance=Provenance(
            sample="icecat1", origin="real", n_events=found.alerts, seed=0, version=version("nuanalysis")
        ),
        n_alerts=found.alerts,
        days=found.days,
        gold_per_year=found.per_year["gold"],
        bronze_per_year=found.per_year["bronze"],
        p_sum=p_sum,
        p_sum_per_year=p_sum / found.days * _YEAR_D,
        expected_per_year=every,
        expected_gold_per_year=gold,
        shared_dates=found.shared_dates,
        gap_shortest=found.gaps_d[0],
        gap_median=found.gaps_d[1],
        gap_longest=found.gaps_d[2],
        gaps_p=found.gaps_p,
        in_tracks=within,
        found_again=again,
        streams=_streams(found),
    )


def _streams(found: CatalogueFigures) -> tuple[AlertStream, ...]:
    return tuple(
        AlertStream(
            stream=one.stream, alerts=one.alerts, vetoed=one.doubtful, p_median=one.p_median, p_low=one.p_range[0],
            p_high=one.p_range[1], far_low=one.far_range[0], far_high=one.far_range[1],
            energy_median=one.energy_median_tev,
        )
        for one in found.streams
    )  # fmt: skip


def _in_tracks(alerts: Sequence[Alert]) -> tuple[int | Unknown, int | Unknown]:
    try:
        events = tracks_ic86_2011.read_events(find(tracks_ic86_2011.RELEASE))
    except DataError as lacking:
        return Unknown(reason=str(lacking)), Unknown(reason=str(lacking))
    found = twins(alerts, events)
    return len(found), sum(one.apart < np.radians(SAME_DEG) for one in found)
