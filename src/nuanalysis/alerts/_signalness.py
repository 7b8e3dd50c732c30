"""Probability of an alert to be astrophysical: three roads, each named in what it returns, each refusing beyond its
support.

p_astro = S / (S + B), S and B the expected astrophysical and background events *at least as energetic* at that
declination: a property of such events, not of the one event.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nuanalysis.alerts._streams import Flux, expected_per_year
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError
from nuanalysis.response import Response, acceptance_by_energy
from nuanalysis.schema import Floats
from nuanalysis.sky.records import PowerLaw

PUBLISHED = Flux()  # 1.01e-18 E^-2.19, nu_mu + nubar: what the published probabilities assume
WIDTHS = (0.05, 0.05)  # of the local fit, in log10 E and in sin(declination)
# A query has support where the weights of the alerts about it sum to one, spread over three: leaving one out, all 272
# alerts with as much are then found to 0.022; without it single ones are missed by 0.7.
LEAST_WEIGHT, LEAST_ALERTS = 1.0, 3.0
# FAR reads as N_bkg of p = S / (S + B) if S counts a band of this width in sin(declination); fitted to 243 alerts.
BAND = 0.143
AREA_DECLINATION = (math.radians(-5.0), math.radians(30.0))


@dataclass(frozen=True, slots=True)
class Signalness:
    """p_astro with the scatter it is known to, and the rates behind it.

    far_per_yr : background per year like this; signal_per_yr : astrophysical events per year, in the same band.
    band : how wide in sin(declination) both count; None where only their ratio is known.
    """

    method: str
    p_astro: float
    error: float
    far_per_yr: float
    signal_per_yr: float
    band: float | None
    support: float
    flux: Flux
    note: str


@dataclass(frozen=True, slots=True, eq=False)
class AlertTable:
    """The alerts of the stream of through-going tracks (GFU) as a table of calibration.

    log10_energy, sin_dec (alert,) : where it is known.  p_astro, far_per_yr (alert,) : as published for E^-2.19.
    """

    log10_energy: Floats
    sin_dec: Floats
    p_astro: Floats
    far_per_yr: Floats

    @classmethod
    def of(cls, rows: xr.Dataset) -> AlertTable:
        """From ``icecat1.read_events``: its GFU alerts, Gold and Bronze."""
        gfu = np.char.startswith(rows["stream"].values.astype(str), "gfu-")
        chosen = {name: rows[name].values[gfu] for name in ("energy", "declination", "signalness", "false_alarm_rate")}
        return cls(
            np.log10(chosen["energy"]), np.sin(chosen["declination"]), chosen["signalness"], chosen["false_alarm_rate"]
        )

    def without(self, number: int) -> AlertTable:
        """The table without one of its alerts."""
        columns = (self.log10_energy, self.sin_dec, self.p_astro, self.far_per_yr)
        return AlertTable(*(np.delete(column, number) for column in columns))


@dataclass(frozen=True, slots=True)
class _Local:
    """A local linear fit at one place: its value, the scatter of the alerts about it, and how many carry it."""

    value: float
    scatter: float
    alerts: float


def _local(table: AlertTable, values: Floats, energy_tev: float, declination: float) -> _Local:
    """The values at a place, from a linear fit with Gaussian weights.  Raises InputError where there is no support."""
    at = math.log10(energy_tev), math.sin(declination)
    x, y = ((of - zero) / h for of, zero, h in zip((table.log10_energy, table.sin_dec), at, WIDTHS, strict=True))
    weight = np.exp(-0.5 * (x**2 + y**2))
    total = float(weight.sum())
    alerts = total**2 / float((weight**2).sum()) if total > 0.0 else 0.0
    if total < LEAST_WEIGHT or alerts < LEAST_ALERTS:
        raise InputError(
            f"{energy_tev:g} TeV at dec {math.degrees(declination):g} deg lies where the catalogue has too few alerts "
            f"(weight {total:.2g}, {alerts:.2g} alerts; expected {LEAST_WEIGHT:g} and {LEAST_ALERTS:g}); there is no "
            "published calibration to read off: ask within it, or use another method"
        )
    root = np.sqrt(weight)
    design = np.stack([np.ones_like(x), x, y], axis=1)
    found = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
    scatter = math.sqrt(float(weight @ (values - design @ found) ** 2) / total)
    return _Local(float(found[0]), scatter, alerts)


def _logit(p: Floats) -> Floats:
    return np.asarray(np.log(p / (1.0 - p)))


def _probability(odds: float) -> float:
    return odds / (1.0 + odds)


def far_per_yr(table: AlertTable, energy_tev: float, declination: float) -> float:
    """False alarms per year like a GFU alert of that energy and declination, from the catalogue.

    Raises InputError where the catalogue has too few alerts.
    """
    return math.exp(_local(table, np.log(table.far_per_yr), energy_tev, declination).value)


def from_table(
    table: AlertTable, energy_tev: float, declination: float, *, area: xr.Dataset | None = None, flux: Flux = PUBLISHED
) -> Signalness:
    """Read off the catalogue: a local linear fit of logit p in log10 E and sin(declination).

    flux : another one than E^-2.19 multiplies the odds by the ratio of what both bring above that energy through
        ``area`` (of gfubronze), in the band of that declination.  The printed energy stays that for E^-2.19.
    Raises InputError without support, or for another flux without an area.
    """
    here = _local(table, _logit(table.p_astro), energy_tev, declination)
    note, odds = "", math.exp(here.value)
    if flux != PUBLISHED:
        if area is None:
            raise InputError("another flux than that of the catalogue needs the effective area of the stream")
        odds *= _at(area, flux, energy_tev, declination) / _at(area, PUBLISHED, energy_tev, declination)
        note = "odds of the catalogue times the ratio of astrophysical events for both fluxes; energy still for E^-2.19"
    p, far = _probability(odds), far_per_yr(table, energy_tev, declination)
    return Signalness("table", p, here.scatter * p * (1.0 - p), far, far * odds, None, here.alerts, flux, note)


def from_area(
    table: AlertTable, area: xr.Dataset, energy_tev: float, declination: float, *, flux: Flux = PUBLISHED
) -> Signalness:
    """From the effective area and the catalogue's false-alarm rate: p = w n / (w n + FAR), w = BAND.

    area : of gfubronze.  n : astrophysical events per year and unit of sin(declination) above the energy.
    error : 0.043, what 68 % of the alerts are missed by for the published flux.
    Raises InputError outside -5 to 30 deg (north of it, the one area for 30 to 90 deg is too broad: median miss 0.1).
    """
    low, high = AREA_DECLINATION
    if not low < declination < high:
        raise InputError(
            f"the method 'area' holds for {math.degrees(low):g} < dec < {math.degrees(high):g} deg, not at "
            f"{math.degrees(declination):g}: the bands of the published areas are too broad there; use method 'table'"
        )
    here = _local(table, np.log(table.far_per_yr), energy_tev, declination)
    far, signal = math.exp(here.value), BAND * _at(area, flux, energy_tev, declination)
    note = f"the band of {BAND} in sin(declination) is fitted to the catalogue for the flux 1.01 E^-2.19"
    return Signalness("area", signal / (signal + far), 0.043, far, signal, BAND, here.alerts, flux, note)


def _at(area: xr.Dataset, flux: Flux, energy_tev: float, declination: float) -> float:
    band = int(np.searchsorted(area["sin_dec_edges"].values[1:-1], math.sin(declination), side="right"))
    return float(expected_per_year(area, flux, above_tev=energy_tev)[band])


@dataclass(frozen=True, slots=True, eq=False)
class Season:
    """A public season of tracks: proxies and declinations of its events, its response, and its livetime in s."""

    log10_energy: Floats
    sin_dec: Floats
    response: Response
    livetime_s: float


def from_sample(
    season: Season, proxy_tev: float, declination: float, *, half_width: float = 0.25, flux: Flux = PUBLISHED
) -> Signalness:
    """From public tracks: astrophysical events expected above a proxy over all that were counted above it.

    proxy_tev : of the muon, as the release gives it; *not* the neutrino energy of the other methods.
    half_width : of the band in sin(declination), cut off at the horizon of the declination's hemisphere.
    error : from the Poisson error of the counts.  The proxy is not that of the alert selection, nor is the selection:
    IC86-2011, 0 < dec < 30 deg, gives 0.19, 0.36 and 0.33 above 32, 63 and 100 TeV, where alerts have 0.3 to 0.9.
    Raises InputError without five events in the band, or where more signal is expected than was counted.
    """
    at, cut = math.sin(declination), math.log10(proxy_tev) + 3.0
    low, high = max(at - half_width, 0.0 if at >= 0.0 else -1.0), min(at + half_width, 1.0 if at >= 0.0 else 0.0)
    inside = (season.sin_dec >= low) & (season.sin_dec < high)
    counted = int((inside & (season.log10_energy >= cut - 1e-9)).sum())
    signal = season.livetime_s * _signal_above(season.response, flux, cut, low, high)
    if counted < 5 or signal >= counted:
        raise InputError(
            f"{counted} events above a proxy of {proxy_tev:g} TeV between sin(dec) {low:.2f} and {high:.2f}, with "
            f"{signal:.2g} expected of the flux; expected at least 5 events, and more than that: take a lower energy, "
            "or method 'table'"
        )
    years, p = season.livetime_s / 31_557_600.0, signal / counted
    note = "the energy is the muon proxy of the public tracks, of which most would not have been alerts: reads low"
    background = (counted - signal) / years
    return Signalness(
        "sample", p, p / math.sqrt(counted), background, signal / years, high - low, float(counted), flux, note
    )


def _signal_above(response: Response, flux: Flux, cut: float, low: float, high: float) -> float:
    """Astrophysical events per s above a proxy, log10 E/GeV, in a band of sin(declination)."""
    middles = low + (high - low) * (np.arange(20) + 0.5) / 20
    seen = acceptance_by_energy(response, PowerLaw(flux.index), middles, np.array([-2.0, cut, 14.0]))[:, 1]
    return float(flux.norm * 1e-18 * 2.0 * np.pi * (high - low) * seen.mean())
