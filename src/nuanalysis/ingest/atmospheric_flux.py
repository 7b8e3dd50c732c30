"""Atmospheric neutrinos at the South Pole: the conventional flux of Honda et al. 2015, 0.1 GeV to 10 TeV."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.ingest._release import UpstreamRelease, files_of
from nuanalysis.ingest._table import faults_named, is_number, located, read_bytes, spoiled

SUN = {"solmin": "honda-2015-spl-solmin.d", "solmax": "honda-2015-spl-solmax.d"}
FLAVOURS = ("numu", "numubar", "nue", "nuebar")  # in the order of the columns
COSINES, AZIMUTHS, ENERGIES = 20, 12, 101
UNIT = "m-2 s-1 sr-1 GeV-1"
BLOCK = re.compile(r"average flux in \[cosZ =\s*(-?[\d.]+) --\s*(-?[\d.]+), phi_Az =\s*(\d+) --\s*(\d+)\]")

RELEASE = UpstreamRelease(
    name="atmospheric-flux",
    title="Atmospheric neutrino flux at the South Pole, HKKM 2015, solar minimum and maximum",
    folder="atmospheric_flux",
    licence="not stated; free to use with citation (copied from graphnet-team/graphnet, Apache-2.0)",
    citation="Honda, Sajjad Athar, Kajita, Kasahara & Midorikawa 2015, PRD 92, 023004, arXiv:1502.03916",
    files=files_of("atmospheric_flux"),
    notes="Conventional flux only: prompt neutrinos and what lies above 10 TeV have to be added.",
)


def read_flux(folder: Path, sun: str = "solmin") -> xr.Dataset:
    """Return numu, numubar, nue, nuebar (cos_zenith 20, energy 101) in (m2 s sr GeV)^-1, averaged over azimuth.

    cos_zenith : middle of bins 0.1 wide, rising; +1 comes from above.  energy : GeV, 0.1 to 1e4, points, ten to a
    decade.  The nue columns above 3 TeV scatter by several per cent (their Monte Carlo): smooth them in log energy.
    sun : 'solmin' or 'solmax'.  Raises InputError, DataError.
    """
    if sun not in SUN:
        raise InputError(f"unknown state of the sun '{sun}'.{did_you_mean(sun, SUN)}")
    path = located(folder, RELEASE, SUN[sun])
    content = read_bytes(path)
    with faults_named(path):
        lines = content.decode().splitlines()
        blocks = np.array([found.groups() for line in lines if (found := BLOCK.match(line.strip()))], dtype=np.float64)
        rows = [words for line in lines if (words := line.split()) and is_number(words[0])]
        values = np.array(rows, dtype=np.float64)
    if blocks.shape != (COSINES * AZIMUTHS, 4) or values.shape != (COSINES * AZIMUTHS * ENERGIES, 5):
        raise spoiled(
            f"{path} holds {len(blocks)} blocks and {len(rows):,} rows, expected {COSINES * AZIMUTHS} blocks of "
            f"{ENERGIES} rows of 5 numbers"
        )
    low = blocks.reshape(COSINES, AZIMUTHS, 4)
    table = values.reshape(COSINES, AZIMUTHS, ENERGIES, 5)
    expected = np.round(0.9 - 0.1 * np.arange(COSINES), 6)
    if not (np.allclose(low[:, :, 0], expected[:, None]) and np.all(low[:, :, 2] == 30.0 * np.arange(AZIMUTHS))):
        raise spoiled(f"{path} has its blocks in another order than cosines falling from 1 and azimuths rising from 0")
    if not (np.all(table[..., 0] == table[0, 0, :, 0]) and np.all(np.isfinite(table)) and np.all(table > 0.0)):
        raise spoiled(f"{path} has other energies in some block, or fluxes that are not positive")
    mean = table[::-1, :, :, 1:].mean(axis=1)
    return xr.Dataset(
        {name: (("cos_zenith", "energy"), mean[:, :, k], {"units": UNIT}) for k, name in enumerate(FLAVOURS)},
        coords={
            "cos_zenith": ("cos_zenith", np.round(expected[::-1] + 0.05, 6), {"units": ""}),
            "energy": ("energy", table[0, 0, :, 0], {"units": "GeV"}),
        },
        attrs={"name": f"honda-2015-{sun}", "reference": RELEASE.reference, "licence": RELEASE.licence},
    )
