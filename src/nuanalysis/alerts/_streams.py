"""Streams of track alerts: their tiers, which of several that fire is printed, and how many alerts a flux brings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nuanalysis.alerts._records import JULIAN_YEAR_S, Tier
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.schema import Floats

# One notice goes out where several selections fire; the first of these decides whose numbers it prints.  Read off the
# column OTHER_I3TYPES of ICECAT-1, where ehe-gold and hese-gold never met: their order is ours.
ORDER = ("gfu-gold", "ehe-gold", "hese-gold", "gfu-bronze", "hese-bronze")
# Share of astrophysical events in a selection, Bronze with Gold in it (GCN page of the mission).  Not the mean
# probability of its alerts, and a tier is no cut on that probability.
PURITY = {"gold": 0.5, "bronze": 0.3}


def tier_of(stream: str) -> Tier:
    """The tier that a stream of tracks belongs to.  Raises InputError for an unknown one."""
    if stream not in ORDER:
        raise InputError(f"unknown stream of alerts '{stream}'.{did_you_mean(stream, ORDER)}")
    return "gold" if stream.endswith("-gold") else "bronze"


def printed(firing: Iterable[str]) -> str:
    """The stream whose numbers the one notice prints.  Raises InputError for none, or an unknown one."""
    found = {stream: tier_of(stream) for stream in firing}
    if not found:
        raise InputError(f"no stream fired; expected at least one of {', '.join(ORDER)}")
    return min(found, key=ORDER.index)


@dataclass(frozen=True, slots=True)
class Flux:
    """A diffuse power law: dN/dE = norm 1e-18 (E / 100 TeV)^-index GeV^-1 cm^-2 s^-1 sr^-1, nu_mu + nubar_mu."""

    norm: float = 1.01
    index: float = 2.19

    def __post_init__(self) -> None:
        if not (0.0 < self.norm < 1e6 and 1.0 <= self.index <= 5.0):
            raise InputError(
                f"flux of norm {self.norm:g} and index {self.index:g}; expected a norm above 0 (in 1e-18 GeV^-1 cm^-2 "
                "s^-1 sr^-1 at 100 TeV) and an index of 1 to 5"
            )

    def at(self, energy_gev: Floats) -> Floats:
        return np.asarray(self.norm * 1e-18 * (energy_gev / 1e5) ** -self.index)


def expected_per_year(area: xr.Dataset, flux: Flux, *, above_tev: float = 0.0) -> Floats:
    """Astrophysical alerts per year and unit of sin(declination), (band,), of neutrinos above an energy.

    area : effective_area (sin_dec, energy) cm^2 at log10_true (energy,), as ``icecat1.read_effective_area`` gives it.
    Trapezoid in ln E between the printed points; sums of bins to their right would be 15 % low.
    """
    energy = 10.0 ** area["log10_true"].values
    rate = flux.at(energy) * area["effective_area"].values * energy  # per unit of ln E
    log, start = np.log(energy), np.log(max(above_tev * 1e3, energy[0]))
    if start >= log[-1]:
        return np.zeros(len(rate))
    above = log > start
    first = np.array([[np.interp(start, log, row)] for row in rate])
    found = np.trapezoid(np.hstack([first, rate[:, above]]), np.append(start, log[above]), axis=1)
    return np.asarray(2.0 * np.pi * JULIAN_YEAR_S * found)


def expected_rate(area: xr.Dataset, flux: Flux) -> float:
    """Astrophysical alerts per year over the whole sky.  The areas of a Bronze stream hold its Gold alerts too."""
    return float(expected_per_year(area, flux) @ np.diff(area["sin_dec_edges"].values))
