"""Limits and sensitivities of the fast response analysis against five circulars of IceCube.

    NUANALYSIS_DATA=... python validation/followup_circulars.py

Published values as read in the circulars of the alerts (GCN); positions and errors from ICECAT-1.  Two numbers of ours
stand beside each: of ln 10 events, what no event in a window without background excludes, and of trials.  Trials draw
background from IC86-2011 (directions, energies and errors; its times play no part) at the rate of the online sample,
6.7 mHz, and take the effective area of IC86-II (release of ten years) with the resolution that stands in for it.
A limit after a coincident event hangs on its TS, which no circular tells: IC201222A stands twice, with TS 0 and with
the median TS of one signal event.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nuanalysis import trials
from nuanalysis.answers._followup import spectrum_of_nowhere
from nuanalysis.ingest import find, tracks_dr1
from nuanalysis.interpret import time_windows
from nuanalysis.interpret.alert_regions import alert_region, places_of
from nuanalysis.library import samples
from nuanalysis.library.icecat import known_alert
from nuanalysis.library.samples._track_seasons import stand_in
from nuanalysis.likelihood import Places, yardstick
from nuanalysis.model import Sample
from nuanalysis.response import tracks as track_response
from nuanalysis.sky.records import PowerLaw

RATE_HZ = 0.0067
DAY = 86400.0


@dataclass(frozen=True)
class Published:
    """A value of a circular: low and high end, in unit."""

    alert: str
    window_s: float
    index: float
    low: float
    high: float
    unit: str
    coincident: int = 0


CIRCULARS = (
    Published("IC201007A", 2 * DAY, 2.0, 3.2e-5, 3.2e-5, "TeV cm-2"),
    Published("IC201222A", 2 * DAY, 2.0, 4.1e-5, 4.1e-5, "TeV cm-2"),
    Published("IC201222A", 2 * DAY, 2.0, 4.1e-5, 4.1e-5, "TeV cm-2", coincident=1),
    Published("IC190922A", 2 * DAY, 2.0, 3.3e-4, 3.3e-4, "TeV cm-2"),
    Published("IC211123A", 1000.0, 2.5, 0.13, 0.14, "GeV cm-2"),
    Published("IC211116A", 1000.0, 2.5, 0.14, 0.15, "GeV cm-2"),
)


def season() -> Sample:
    """IC86-2011 seen with the effective area of IC86-II."""
    found = samples.load(samples.sample_spec(name="tracks"), 1).seasons[2]
    area = tracks_dr1.read_effective_area(find(tracks_dr1.RELEASE), "IC86_II")
    release = tracks_dr1.RELEASE
    return replace(found, response=track_response.response("ic86-ii", "IC86-II", release.reference, area, stand_in()))


def within(values: list[float], one: Published) -> float:
    """Largest distance of the ends of ours from those of the circular, as a fraction."""
    return max(abs(np.log(min(values) / one.low)), abs(np.log(max(values) / one.high)))


def main() -> None:
    sample = season()
    print("alert      window  index  published        ln 10 events      trials: events   trials: fluence    off by")
    for one in CIRCULARS:
        alert = known_alert(one.alert)
        region = alert_region(alert.region)
        places, source = places_of(region, 0.99, 256)
        inside = region.level(places.right_ascension, places.declination) <= 0.9
        exact = one.unit == "TeV cm-2"
        if exact:  # a limit at the best position
            places = Places(places.right_ascension[:1], places.declination[:1], np.zeros(1))
            source, inside = np.ones(1), np.ones(1, dtype=bool)
        stick = yardstick(spectrum_of_nowhere(one.index), sample)
        everything = np.ones(sample.events.sizes["event"], dtype=bool)
        problem = trials.window_problem(
            stick, everything, RATE_HZ * one.window_s, places, spectrum=PowerLaw(one.index), source=source
        )
        bursts = trials.burst_trials(problem, 1, 0, 4000)
        ts = 0.0 if not one.coincident else float(np.median(bursts[:, 2][bursts[:, 2] > 0]))
        mean = trials.excluded_mean(bursts, ts)
        scale = 1e-3 if exact else 1.0
        each = time_windows.fluence_per_event(sample.response, one.index, places.declination[inside]) * scale
        plain, ours = ([float(n * end) for end in (each.min(), each.max())] for n in (np.log(10), mean.value))
        print(
            f"{one.alert}  {one.window_s:7.0f}  {one.index:3.1f}   {one.low:8.3g}-{one.high:<8.3g} "
            f"{plain[0]:8.3g}-{plain[1]:<8.3g} {mean.value:6.3f} +- {mean.error:5.3f}  {ours[0]:8.3g}-{ours[1]:<8.3g}"
            f" {one.unit}  {100 * within(plain, one):4.0f} % / {100 * within(ours, one):4.0f} %"
        )


if __name__ == "__main__":
    main()
