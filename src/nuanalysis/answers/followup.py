"""Did more neutrinos come with an alert?  Two time windows around a place and a moment."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
from pydantic import AfterValidator

from nuanalysis.answers._followup import SearchedWindow, asked_of, own_events, searched
from nuanalysis.answers._question import Answer, Question, position, provenance_of
from nuanalysis.engine.bench import Bench
from nuanalysis.interpret import time_windows
from nuanalysis.interpret.alert_regions import Ellipse, ellipse_deg, places_of
from nuanalysis.library.observing import season_at
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import Places
from nuanalysis.plot import AlertEvent, AlertSky, Drawn, alert_sky_figure, slug, ts_figure
from nuanalysis.records import Position, setting, shown
from nuanalysis.schema import Bools, Floats

WINDOWS_S = (1000.0, 172_800.0)
SEARCHED_LEVEL, QUOTED_LEVEL = 0.99, 0.9
FOLLOW_UP_P = 0.01  # below it others are asked to look (IceCube fast response analysis)
_SAME = float(np.radians(10.0))  # how far the alert's own event in the sample may lie from the alert


def _windows(given: tuple[float, ...]) -> tuple[float, ...]:
    if not given or not all(1.0 <= one <= 3.2e7 for one in given) or len(set(given)) < len(given):
        raise ValueError(f"windows_s is {given}; expected different lengths of 1 to 32,000,000 s")
    return given


def _box(given: tuple[float, ...]) -> tuple[float, ...]:
    if given and (len(given) != 4 or not all(0.0 < side <= 180.0 for side in given)):
        raise ValueError(f"box_deg is {given}; expected four errors above 0: RA plus, RA minus, dec plus, dec minus")
    return given


class Followup(Question):
    """Search for neutrinos in time windows around a place and a moment, such as those of an alert."""

    example: ClassVar = {
        "ra_deg": 77.4, "dec_deg": 5.7, "mjd": 56000.0, "windows_s": (172_800.0,), "trials": 1000, "bursts": 200,
        "box_deg": (1.0, 0.8, 0.5, 0.3), "off_days": 100.0,
    }  # fmt: skip
    ra_deg: float = setting(low=0, high=360, unit="deg", help="right ascension, ICRS")
    dec_deg: float = setting(low=-90, high=90, unit="deg", help="declination, ICRS")
    mjd: float = setting(low=50_000, high=80_000, unit="d", help="moment at the middle of the windows, MJD UTC")
    alert: str = setting("", help="name of the alert, for the texts")
    windows_s: Annotated[tuple[float, ...], AfterValidator(_windows)] = setting(
        WINDOWS_S, unit="s", help="lengths of the windows"
    )
    index: float = setting(2.5, low=1, high=4, help="spectral index of the signal")
    box_deg: Annotated[tuple[float, ...], AfterValidator(_box)] = setting(
        (), unit="deg", help="90 % errors of the position: RA plus, RA minus, dec plus, dec minus; without: exact"
    )
    off_days: float = setting(10.0, low=1, high=100, unit="d", help="background is taken from this time to either side")
    trials: int = setting(100_000, low=1000, high=100_000_000, help="trials without signal in each window")
    bursts: int = setting(4000, low=200, high=1_000_000, help="trials with injected bursts, for limit and sensitivity")
    same_event_s: float = setting(
        1.0, low=0, high=1000, unit="s", help="the nearest event within this time and 10 deg is the alert itself"
    )
    nside: int = setting(256, low=64, high=2048, help="of the grid of positions in the region; a power of two")

    def model_post_init(self, context: object) -> None:
        if self.nside & (self.nside - 1):
            raise ValueError(f"nside is {self.nside}; expected a power of two")

    @property
    def region(self) -> Ellipse | None:
        """The region of the alert; None for a place that is known exactly."""
        return ellipse_deg(self.ra_deg, self.dec_deg, self.box_deg) if self.box_deg else None

    def _places(self) -> tuple[Places, Floats, Bools]:
        region = self.region
        if region is None:
            ra, dec = np.radians([[self.ra_deg % 360.0], [self.dec_deg]])
            return Places(ra, dec, np.zeros(1)), np.ones(1), np.ones(1, dtype=bool)
        places, source = places_of(region, SEARCHED_LEVEL, self.nside)
        return places, source, region.level(places.right_ascension, places.declination) <= QUOTED_LEVEL

    def ask(self, samples: Samples, bench: Bench) -> FollowupAnswer:
        """The answer.  Raises InputError for a moment without events, and for times too coarse for a window."""
        season, runs, said = season_at(samples, self.mjd)
        ra, dec = np.radians([self.ra_deg % 360.0, self.dec_deg]).tolist()
        own = own_events(season, mjd=self.mjd, ra=ra, dec=dec, within_s=self.same_event_s, within=_SAME)
        asked = asked_of(
            season, runs, mjd=self.mjd, index=self.index, off_d=self.off_days, region=self._places(), own=own,
            seed=samples.seed,
        )  # fmt: skip
        windows = tuple(searched(asked, length, self.trials, self.bursts, bench) for length in self.windows_s)
        whose = provenance_of(samples)
        notes = (*whose.notes, *filter(None, (said,)))
        return FollowupAnswer(
            provenance=whose.model_copy(update={"fingerprint": asked.fingerprint, "notes": notes}),
            alert=self.alert,
            mjd=self.mjd,
            place=position(ra, dec),
            box_deg=self.box_deg,
            index=self.index,
            season=season.label,
            area=f"effective area of {season.response.label}",
            own_events=len(own),
            convention=time_windows.CONVENTION,
            windows=windows,
        )


class FollowupAnswer(Answer):
    """Neutrinos in time windows around a place and a moment."""

    rows: ClassVar = "windows"
    alert: str = shown("alert")
    mjd: float = shown("moment, MJD UTC", form=".6f")
    place: Position = shown("place")
    box_deg: tuple[float, ...] = shown("90 % errors: RA plus, RA minus, dec plus, dec minus, deg", ())
    index: float = shown("spectral index", form="g")
    season: str = shown("season")
    area: str = shown("fluxes from the")
    own_events: int = shown("events left out as the alert itself")
    convention: str = shown("what a limit is")
    windows: tuple[SearchedWindow, ...] = shown("windows")

    def headline(self) -> tuple[str, ...]:
        return tuple(
            f"{one.length_s:,.0f} s: {one.n_coincident} events in coincidence, {one.chance.words()}; 90 % upper limit "
            f"{one.flux.limit.words()} for E^-{self.index:g}."
            for one in self.windows
        )

    def drawn(self) -> tuple[Drawn, ...]:
        whose, what = self.provenance, self.alert or self.place.words()
        found = [
            ts_figure(
                one.background, observed_ts=one.ts, label=f"{what}, {one.length_s:,.0f} s", sample=whose.sample,
                origin=whose.origin, hypothesis=f"followup-{slug(self.alert or 'place')}-{one.length_s:.0f}s",
                free_index=False,
            )
            for one in self.windows
            if one.background is not None
        ]  # fmt: skip
        return (alert_sky_figure(self.sky()), *found)

    def sky(self) -> AlertSky:
        """What a figure of the sky around the alert shows of it."""
        longest = max(self.windows, key=lambda one: one.length_s)
        ra, dec = np.radians([self.place.ra_deg, self.place.dec_deg]).tolist()
        return AlertSky(
            name=self.alert or "search",
            right_ascension=ra,
            declination=dec,
            region=ellipse_deg(self.place.ra_deg, self.place.dec_deg, self.box_deg) if self.box_deg else None,
            events=tuple(
                AlertEvent(
                    math.radians(one.ra_deg),
                    math.radians(one.dec_deg),
                    math.radians(one.sigma_deg),
                    one.after_s,
                    one.coincident,
                )
                for one in longest.near
            ),
            length_s=longest.length_s,
            sources=(),
            sample=self.provenance.sample,
            origin=self.provenance.origin,
        )
