"""The sky around an alert: its region, the events of a time window, and sources of catalogues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nuanalysis.plot._page import Drawn, Sidecar, mark, slug
from nuanalysis.plot.canvas import SERIES, SMALL, Axes, finished, named, short, single
from nuanalysis.schema import Floats

_TO_90 = float(np.sqrt(-2.0 * np.log(0.1)))
_LEAST = 2.0  # deg from the alert to the edge of the figure, at least
_MOST = 30.0
_FINE = 241
_BESIDE = 0.09  # of the half width: nearer sources share a name


class Levels(Protocol):
    """The region of an alert: what level of containment each direction has."""

    def level(self, ra: Floats, dec: Floats) -> Floats: ...

    def reach(self, containment: float) -> float: ...


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """An event of the window: direction and angular error, rad, seconds after the alert, and whether it coincides."""

    right_ascension: float
    declination: float
    angular_error: float
    after_s: float
    coincident: bool


@dataclass(frozen=True, slots=True)
class AlertSource:
    """A source of a catalogue: direction, rad, and whether it lies inside the region."""

    name: str
    right_ascension: float
    declination: float
    inside: bool


@dataclass(frozen=True, slots=True)
class AlertSky:
    """What the figure shows; angles in rad.  length_s : of the window, 0 where none was searched.

    sample, origin : whose events; '' where there are none, and then the origin is that of the alert.
    """

    name: str
    right_ascension: float
    declination: float
    region: Levels | None
    events: tuple[AlertEvent, ...]
    length_s: float
    sources: tuple[AlertSource, ...]
    sample: str
    origin: str


def _half_width(sky: AlertSky) -> float:
    """From the alert to the edge of the figure, deg of declination."""
    reach = 0.0 if sky.region is None else 1.35 * np.degrees(sky.region.reach(0.9))
    return float(np.clip(reach, _LEAST + 2.0 * bool(sky.length_s), _MOST))


def _east(sky: AlertSky, ra: Floats | float) -> Floats:
    """Degrees of right ascension east of the alert."""
    return np.asarray(np.degrees(np.mod(np.asarray(ra) - sky.right_ascension + np.pi, 2 * np.pi) - np.pi))


def _contours(axes: Axes, sky: AlertSky, wide: float, high: float) -> None:
    if sky.region is None:
        return
    low, top = np.degrees(sky.declination) - high, np.degrees(sky.declination) + high
    x = np.linspace(-wide, wide, _FINE)
    y = np.linspace(max(low, -89.99), min(top, 89.99), _FINE)
    ra, dec = np.meshgrid(np.mod(sky.right_ascension + np.radians(x), 2 * np.pi), np.radians(y))
    level = sky.region.level(ra, dec)
    for one, line in ((0.5, "--"), (0.9, "-")):
        axes.contour(x, y, level, levels=[one], colors=[SERIES[0].colour], linestyles=[line], linewidths=1.6)
        axes.plot([], [], color=SERIES[0].colour, linestyle=line, label=f"{100 * one:.0f} % region")


def _events(axes: Axes, sky: AlertSky) -> None:
    turn = np.linspace(0.0, 2 * np.pi, 73)
    for hit, words, series in ((True, "event in coincidence", SERIES[1]), (False, "other event", SERIES[2])):
        mine = [one for one in sky.events if one.coincident == hit]
        for one in mine:
            around = np.degrees(_TO_90 * one.angular_error)
            x = _east(sky, one.right_ascension) + around * np.cos(turn) / max(np.cos(one.declination), 0.05)
            axes.plot(x, np.degrees(one.declination) + around * np.sin(turn), color=series.colour, linewidth=1.0)
        if mine:
            at = _east(sky, np.array([one.right_ascension for one in mine]))
            axes.plot(
                at, np.degrees([one.declination for one in mine]), linestyle="", marker=series.marker,
                color=series.colour, label=f"{words}, 90 % circle",
            )  # fmt: skip


def _sources(axes: Axes, sky: AlertSky) -> None:
    for inside, words, fill in ((True, "source inside", SERIES[3].colour), (False, "source outside", "none")):
        mine = [one for one in sky.sources if one.inside == inside]
        if not mine:
            continue
        x, y = _east(sky, np.array([one.right_ascension for one in mine])), np.degrees([o.declination for o in mine])
        axes.plot(x, y, linestyle="", marker="^", markerfacecolor=fill, color=SERIES[3].colour, label=words)
        if inside:
            _labels(axes, [one.name for one in mine], x, y, _BESIDE * _half_width(sky))


def _labels(axes: Axes, names: Sequence[str], x: Floats, y: Floats, beside: float) -> None:
    """A name at each place, and how many more there are within ``beside`` deg, whose names would lie over it."""
    left = list(range(len(names)))
    while left:
        first = left[0]
        there = [k for k in left if abs(x[k] - x[first]) < 4.0 * beside and abs(y[k] - y[first]) < beside]
        words = short(names[first], 24) + (f" and {len(there) - 1} more" if len(there) > 1 else "")
        axes.annotate(words, (x[first], y[first]), (5, 5), textcoords="offset points", fontsize=SMALL)
        left = [k for k in left if k not in there]


def alert_sky_figure(sky: AlertSky) -> Drawn:
    """The sky around an alert, east to the left, with words for those who cannot see it."""
    figure, axes = single(height=5.2)
    high = _half_width(sky)
    cosine = max(float(np.cos(sky.declination)), 0.1)
    wide = min(high / cosine, 179.0)
    _contours(axes, sky, wide, high)
    axes.plot([0.0], [np.degrees(sky.declination)], linestyle="", marker="+", color="black", markersize=12,
              label="best position")  # fmt: skip
    _events(axes, sky)
    _sources(axes, sky)
    axes.set_xlim(wide, -wide)
    axes.set_ylim(np.degrees(sky.declination) - high, np.degrees(sky.declination) + high)
    axes.set_aspect(1.0 / cosine)
    named(axes, f"right ascension − {np.degrees(sky.right_ascension):.2f}° (deg)", "declination (deg)")
    hits = sum(one.coincident for one in sky.events)
    said = f"{len(sky.events)} events of {sky.sample} within {sky.length_s:,.0f} s nearby, {hits} in coincidence"
    words = [said] * bool(sky.length_s) + [
        f"{sum(one.inside for one in sky.sources)} sources inside the 90 % region"
    ] * bool(sky.sources)
    title = f"{sky.name}" + f", {sky.length_s:,.0f} s, {sky.sample}" * bool(sky.length_s)
    finished(figure, title, sky.origin, columns=2)
    caption = f"The sky around {sky.name}: {'; '.join(words) or 'its region'}"
    sidecar = Sidecar(
        f"sky-around-{slug(sky.name)}{mark(sky.origin)}", f"{caption}.", f"{caption}.", sky.origin, "maps"
    )
    return Drawn(figure, sidecar)
