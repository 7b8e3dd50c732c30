"""A list of alerts: how they came in time, how probable they are, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.plot._page import Drawn, Sidecar, mark
from nuanalysis.plot.canvas import SERIES, canvas, finished, grid, named

_YEAR = 365.25
_TIERS = (("gold", SERIES[1]), ("bronze", SERIES[0]), ("cascade", SERIES[2]))


class Placed(Protocol):
    """Where an alert came from, rad, ICRS."""

    @property
    def right_ascension(self) -> float: ...
    @property
    def declination(self) -> float: ...


class Listed(Protocol):
    """What the figure takes of an alert: MJD, tier, TeV, probability to be astrophysical, place."""

    @property
    def time(self) -> float: ...
    @property
    def tier(self) -> str: ...
    @property
    def energy_tev(self) -> float: ...
    @property
    def p_astro(self) -> float: ...
    @property
    def region(self) -> Placed: ...


def alert_list_figure(alerts: Sequence[Listed], *, sample: str, origin: str) -> Drawn:
    """Alerts against time, p_astro against energy, and the sky in Galactic coordinates, by tier."""
    figure = canvas(height=7.4)
    upper = figure.add_gridspec(2, 2, height_ratios=(1.0, 1.15))
    time, energy = figure.add_subplot(upper[0, 0]), figure.add_subplot(upper[0, 1])
    sky = figure.add_subplot(upper[1, :], projection="mollweide")
    counts = []
    for tier, series in _TIERS:
        mine = sorted((one for one in alerts if one.tier == tier), key=lambda one: one.time)
        if not mine:
            continue
        counts.append(f"{len(mine)} {tier}")
        years = 2000.0 + (np.array([one.time for one in mine]) - 51544.5) / _YEAR
        time.step(years, np.arange(1, len(mine) + 1), where="post", color=series.colour)
        longitude, latitude = _galactic([one.region for one in mine])
        probable = [one.p_astro for one in mine]
        energies = [one.energy_tev for one in mine]
        for axes, name, x, y in ((energy, tier, energies, probable), (sky, "", -longitude, latitude)):
            axes.plot(x, y, linestyle="", marker=series.marker, color=series.colour, markersize=4, label=name)
    energy.set_xscale("log")
    energy.set_ylim(0.0, 1.0)
    named(time, "year", "alerts so far")
    named(energy, "energy (TeV)", "probability to be astrophysical")
    sky.set_xticks(np.radians([-120, -60, 0, 60, 120]), ["120°", "60°", "0°", "300°", "240°"])
    sky.set_title("Galactic coordinates, the centre in the middle, longitude to the left", fontsize=9)
    grid(sky)
    words = (
        f"{len(alerts)} alerts of {sample} ({', '.join(counts)}): their number against time, the probability to be "
        "astrophysical against the most probable energy of the neutrino, and their places in Galactic coordinates."
    )
    finished(figure, f"alerts of {sample}", origin, columns=3)
    return Drawn(figure, Sidecar(slug=f"alerts{mark(origin)}", alt=words, caption=words, origin=origin, section="maps"))


def _galactic(places: Sequence[Placed]) -> tuple[np.ndarray, np.ndarray]:
    """Galactic longitude within +-pi and latitude, rad."""
    ra, dec = (np.degrees([getattr(one, name) for one in places]) for name in ("right_ascension", "declination"))
    longitude, latitude = hp.Rotator(coord=["C", "G"])(ra, dec, lonlat=True)
    return np.radians((longitude + 180.0) % 360.0 - 180.0), np.radians(latitude)
