"""How probable it is that an event like this is astrophysical, asked with public files."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from nuanalysis import alerts
from nuanalysis.errors import InputError, refuse
from nuanalysis.ingest import find, icecat1, tracks_ic86_2011
from nuanalysis.library import samples
from nuanalysis.records import Measured, Record, Unknown, shown

Method = Literal["table", "area", "sample", "cascade"]
METHODS: tuple[Method, ...] = ("table", "area", "sample", "cascade")
AREA = "gfubronze"
_ENERGIES: dict[Method, str] = {
    "table": "most probable neutrino energy for E^-2.19",
    "area": "most probable neutrino energy for E^-2.19",
    "sample": "muon proxy of the public tracks",
    "cascade": "reconstructed energy of a cascade",
}


class SignalnessAnswer(Record):
    """p_astro and the false-alarm rate of events like this, and by which road they were found."""

    method: str = shown("method")
    ra_deg: float | None = shown("right ascension (not used)", None, unit="deg", form=".2f")
    dec_deg: float = shown("declination", unit="deg", form=".2f")
    energy_tev: float = shown("energy", unit="TeV")
    energy_kind: str = shown("what the energy is")
    spectrum: str = shown("spectrum assumed")
    p_astro: Measured = shown("p_astro, of events at least as energetic")
    far_per_yr: float = shown("false alarms per year like it", unit="yr-1")
    signal_per_yr: float = shown("astrophysical events per year like it", unit="yr-1")
    band: float | Unknown = shown("band of sin(declination) that both count")
    support: float = shown("alerts or events behind it")
    note: str = shown("note", "")


def signalness(
    dec_deg: float,
    energy_tev: float,
    *,
    method: Method = "table",
    index: float | None = None,
    norm: float | None = None,
    ra_deg: float | None = None,
) -> SignalnessAnswer:
    """p_astro of an event at a declination and energy; what the energy is depends on the method, see the answer.

    index, norm : of another flux than 1.01e-18 (E/100 TeV)^-2.19 GeV^-1 cm^-2 s^-1 sr^-1, nu_mu + nubar.
    Raises InputError outside the support of the method; DataError where its public files are not here.
    """
    faults = [] if -90.0 <= dec_deg <= 90.0 else [f"dec is {dec_deg:g}; expected -90 to 90 deg"]
    faults += [] if 1e-3 <= energy_tev <= 1e9 else [f"energy is {energy_tev:g}; expected 0.001 to 1e9 TeV"]
    faults += [] if ra_deg is None or 0.0 <= ra_deg < 360.0 else [f"ra is {ra_deg:g}; expected 0 to 360 deg"]
    faults += [] if method in METHODS else [f"method is '{method}'; expected {', '.join(METHODS)}"]
    if method == "cascade" and not (index is None and norm is None):
        faults.append("method 'cascade' knows the flux of its release only, E^-2.53")
    refuse(faults, "no probability can be given")
    if method == "cascade":
        return _cascade(dec_deg, energy_tev, ra_deg)
    standard = alerts.PUBLISHED
    flux = alerts.Flux(standard.norm if norm is None else norm, standard.index if index is None else index)
    found = _asked(method, math.radians(dec_deg), energy_tev, flux)
    return SignalnessAnswer(
        method=found.method,
        ra_deg=ra_deg,
        dec_deg=dec_deg,
        energy_tev=energy_tev,
        energy_kind=_ENERGIES[method],
        spectrum=f"{flux.norm:g}e-18 (E/100 TeV)^-{flux.index:g} GeV^-1 cm^-2 s^-1 sr^-1, nu_mu + nubar",
        p_astro=Measured(value=found.p_astro, error=found.error),
        far_per_yr=found.far_per_yr,
        signal_per_yr=found.signal_per_yr,
        band=Unknown(reason="only the ratio of both rates is read off") if found.band is None else found.band,
        support=found.support,
        note=found.note,
    )


def _cascade(dec_deg: float, energy_tev: float, ra_deg: float | None) -> SignalnessAnswer:
    stream = alerts.cascade_stream(energy_tev)
    return SignalnessAnswer(
        method="cascade",
        ra_deg=ra_deg,
        dec_deg=dec_deg,
        energy_tev=energy_tev,
        energy_kind=_ENERGIES["cascade"],
        spectrum="E^-2.53, as the release of 2023 expects it",
        p_astro=Measured(value=stream.purity, error=Unknown(reason="the tables are an expectation without errors")),
        far_per_yr=stream.far_per_yr,
        signal_per_yr=stream.per_year - stream.far_per_yr,
        band=2.0,
        support=stream.per_year,
        note="of the whole sky, whatever the declination; without atmospheric muons; support: cascades per year",
    )


def _asked(method: Method, declination: float, energy_tev: float, flux: alerts.Flux) -> alerts.Signalness:
    if method == "sample":
        return alerts.from_sample(season(), energy_tev, declination, flux=flux)
    folder = find(icecat1.RELEASE)
    table = alerts.AlertTable.of(icecat1.read_events(folder))
    area = icecat1.read_effective_area(folder, AREA)
    if method == "area":
        return alerts.from_area(table, area, energy_tev, declination, flux=flux)
    return alerts.from_table(table, energy_tev, declination, area=area, flux=flux)


def season() -> alerts.Season:
    """IC86-2011 as the method 'sample' needs it.  Raises DataError where the release is not here."""
    events = tracks_ic86_2011.read_events(find(tracks_ic86_2011.RELEASE))
    recipe = samples.recipe("tracks")
    found = next((one for one in recipe.seasons if one.name == tracks_ic86_2011.RELEASE.name), None)
    if found is None:
        raise InputError("the sample 'tracks' holds no season of 2011")
    sin_dec = np.sin(events["declination"].values)
    return alerts.Season(events["log10_energy"].values, sin_dec, found.response(), float(events.attrs["livetime_s"]))
