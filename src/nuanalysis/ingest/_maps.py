"""HEALPix maps of other people's releases, checked at the border."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError
from nuanalysis.ingest._table import REPAIR, faults_named, read_bytes
from nuanalysis.schema import Floats


def healpix_map(path: Path, values: Floats, *, unit: str, frame: str, reference: str) -> xr.Dataset:
    """Return density (pixel,) with attrs ordering 'ring', frame, nside, reference.

    Raises DataError for a length that no HEALPix map has, for NaN and for negative pixels.
    """
    nside = round((values.size / 12) ** 0.5)
    if values.ndim != 1 or nside < 1 or 12 * nside**2 != values.size or nside & (nside - 1):
        raise DataError(f"{path} has shape {values.shape}, expected 12 nside^2 pixels, nside 2^k. {REPAIR}")
    if not np.all(np.isfinite(values)) or np.any(values < 0.0):
        bad = int(np.count_nonzero(~np.isfinite(values) | (values < 0.0)))
        raise DataError(f"{path} has {bad} pixels that are negative or not finite. {REPAIR}")
    attrs = {"ordering": "ring", "frame": frame, "nside": nside, "reference": reference}
    return xr.Dataset({"density": ("pixel", np.ascontiguousarray(values), {"units": unit})}, attrs=attrs)


def read_fits_ring(path: Path) -> Floats:
    """Return the first column of the first table of a HEALPix FITS file (gz or not).  Raises DataError unless RING."""
    from astropy.io import fits

    content = read_bytes(path)
    try:
        with faults_named(path), fits.open(io.BytesIO(content)) as file:
            header, data = file[1].header, np.asarray(file[1].data.field(0), dtype=np.float64).ravel()
    except (OSError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is not a HEALPix FITS table: {error}. {REPAIR}") from error
    ordering = str(header.get("ORDERING", "")).strip().upper()
    if ordering != "RING":
        raise DataError(f"{path} has ordering '{ordering or 'unknown'}', expected RING. {REPAIR}")
    return data
