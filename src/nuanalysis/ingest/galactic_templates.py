"""Free material for Galactic templates: the pi0 map and KRA-gamma spectra of toise, maps of gas and dust."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError, InputError, did_you_mean
from nuanalysis.ingest._release import UpstreamRelease, files_of
from nuanalysis.ingest._table import faults_named, located, read_bytes, spoiled
from nuanalysis.schema import Floats

# Column density of hydrogen in cm^-2; reddening E(B-V) in mag, a tracer of all gas.
GAS = {
    "hi4pi_nh": ("cm-2", "HI4PI Collaboration 2016, A&A 594, A116"),
    "lab_nh": ("cm-2", "Kalberla et al. 2005, A&A 440, 775"),
    "planck13_ebv": ("mag", "Planck Collaboration 2014, A&A 571, A11"),
    "sfd_ebv": ("mag", "Schlegel, Finkbeiner & Davis 1998, ApJ 500, 525"),
}


RELEASE = UpstreamRelease(
    name="galactic-templates",
    title="Galactic-plane template material with free licences",
    folder="galactic_templates",
    licence="MIT (toise: pi0 map, KRA-gamma tables); survey maps public, cite the surveys",
    citation="icecube/toise; Ackermann et al. 2012, ApJ 750, 3; Gaggero et al. 2015, ApJ 815, L25, arXiv:1504.00227",
    files=files_of("galactic_templates"),
    notes="A collection, not one release: no archive. The KRA-gamma maps themselves are Zenodo record 7070823.",
)


def read_gas_map(folder: Path, name: str) -> xr.Dataset:
    """Return a gas or dust map: density (pixel,) in cm-2 (hi4pi_nh, lab_nh) or mag (planck13_ebv, sfd_ebv).

    Attrs ordering 'ring', frame, nside, reference.
    Raises DataError for another order, a length that no HEALPix map has, NaN and negative pixels.
    """
    if name not in GAS:
        raise InputError(f"unknown gas map '{name}'.{did_you_mean(name, GAS)}")
    path = located(folder, RELEASE, f"{name}_nside64.fits")
    values = _read_fits_ring(path)
    nside = round((values.size / 12) ** 0.5)
    if nside < 1 or 12 * nside**2 != values.size or nside & (nside - 1):
        raise spoiled(f"{path} has shape {values.shape}, expected 12 nside^2 pixels, nside 2^k")
    bad = int(np.count_nonzero(~np.isfinite(values) | (values < 0.0)))
    if bad:
        raise spoiled(f"{path} has {bad} pixels that are negative or not finite")
    unit, reference = GAS[name]
    attrs = {"ordering": "ring", "frame": "galactic", "nside": nside, "reference": reference}
    return xr.Dataset({"density": ("pixel", np.ascontiguousarray(values), {"units": unit})}, attrs=attrs)


def _read_fits_ring(path: Path) -> Floats:
    """Return the first column of the first table of a HEALPix FITS file (gz or not).  Raises DataError unless RING."""
    from astropy.io import fits

    content = read_bytes(path)
    try:
        with faults_named(path), fits.open(io.BytesIO(content)) as file:
            wide, high = int(file[1].header["NAXIS1"]), int(file[1].header["NAXIS2"])
            if not (0 < wide * high <= len(content) and wide > 0):
                raise ValueError(f"its header promises {high:,} rows of {wide} bytes, it has {len(content):,} bytes")
            header, data = file[1].header, np.asarray(file[1].data.field(0), dtype=np.float64).ravel()
    except DataError as error:
        raise DataError(f"{error} Expected a HEALPix FITS table.") from error
    ordering = str(header.get("ORDERING", "")).strip().upper()
    if ordering != "RING":
        raise spoiled(f"{path} has ordering '{ordering or 'unknown'}', expected RING")
    return data
