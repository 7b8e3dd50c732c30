"""HESE, 7.5 years: 102 starting events with energy, zenith and morphology; no times, no right ascensions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest._release import UpstreamRelease, files_of
from nuanalysis.ingest._table import all_there, checked, located, read_json, within

ROWS = 102
LIVETIME_S = 227_708_167.68
MORPHOLOGIES = ("cascade", "track", "double cascade")
LENGTH = "recoLength"
COLUMNS = ("recoDepositedEnergy", "recoMorphology", "recoZenith", LENGTH)

RELEASE = UpstreamRelease(
    name="hese75",
    title="IceCube high-energy starting events, 7.5 years",
    folder="icecube_hese75",
    doi="10.21234/4EQJ-BB17",
    doi_confirmed=True,
    licence="LGPL-3.0",
    citation="IceCube Collaboration 2021, Phys. Rev. D 104, 022002, arXiv:2011.03545",
    files=files_of("hese75"),
    notes="The published analysis uses events above 60 TeV. The three simulation files (79 MB zip) are optional.",
)


def read_events(folder: Path) -> xr.Dataset:
    """Return the 102 events, dim ``event``: log10_energy (deposited), morphology (see MORPHOLOGIES), zenith, length.

    zenith in rad; length in m, NaN where the release gives none.
    Not the EVENTS schema: the release has neither times nor right ascensions.  Raises DataError.
    """
    path = located(folder, RELEASE, "HESE_data.json")
    found = read_json(path)
    all_there(path, COLUMNS, found)
    table = checked(path, {name: found[name] for name in COLUMNS if name != LENGTH}, rows=ROWS)
    within(path, table, {"recoDepositedEnergy": (1.0, 1e12), "recoMorphology": (0.0, 2.0), "recoZenith": (0.0, np.pi)})
    about = {"sample": RELEASE.name, "origin": "real", "reference": RELEASE.reference, "licence": RELEASE.licence}
    note = "no times and no right ascensions were released: a cross-check of energies and zeniths only"
    return xr.Dataset(
        {
            "log10_energy": ("event", np.log10(table["recoDepositedEnergy"]), {"units": ""}),
            "morphology": ("event", table["recoMorphology"].astype(np.int64), {"units": ""}),
            "zenith": ("event", table["recoZenith"], {"units": "rad"}),
            "length": ("event", found[LENGTH], {"units": "m"}),
        },
        attrs={**about, "livetime_s": LIVETIME_S, "note": note},
    )
