"""The pi0 template of the 2023 analysis, from the map that was published with it.

Neutral-pion decay traces cosmic rays on gas; the map is GALPROP's SS_Z4_R20_T150_C5 (Fermi-LAT Collaboration 2012),
tested with the spectrum E^-2.7 (Science 380, 1338).  The file is fetched, never shipped.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from nuanalysis.errors import DataError, refuse
from nuanalysis.schema import Floats
from nuanalysis.sky.records import PowerLaw, Template, factorised
from nuanalysis.sky.templates._healpix import value_faults
from nuanalysis.store import TABLE, content, npy_array, parsing

NSIDE = 128
INDEX = 2.7
UPSTREAM_FILE = "MainResult/Fermi-LAT_pi0_map.npy"
REFERENCE = (
    "IceCube Collaboration, Science 380, 1338 (2023), doi:10.1126/science.adc9818, data release "
    "doi:10.21234/8v5d-rn16; map from Fermi-LAT Collaboration, ApJ 750, 3 (2012), GALPROP SS_Z4_R20_T150_C5"
)


def make_template(density: Floats, sha256: str) -> Template:
    """The published pi0 template.

    density : (196608,) sr^-1, HEALPix RING, nside 128, equatorial: the array of Fermi-LAT_pi0_map.npy.
    sha256  : of the file it was read from.
    Raises DataError if the array is not that map: another size, an integral off 1 by more than 1e-6, NaN or negative.
    """
    density = np.asarray(density)
    what = f"the published pi0 map ({UPSTREAM_FILE}) is not as released"
    refuse(_faults(density), what, "Fetch it again, or run 'nuanalysis data verify'.", error=DataError)
    density = density.astype(np.float64)
    density.flags.writeable = False
    return Template("pi0", "Fermi-LAT pi0", *factorised(density), PowerLaw(INDEX), "published", REFERENCE, sha256)


def read_template(path: Path) -> Template:
    """The published pi0 template from a local copy of Fermi-LAT_pi0_map.npy.

    Raises DataError if the file is missing, is not a NumPy array, or is not that map.
    """
    what, remedy = "the published pi0 map", "Fetch it with 'nuanalysis data fetch'."
    try:
        held = content(Path(path), what, most=TABLE, error=DataError)
    except DataError as error:
        raise DataError(f"{error}. {remedy}") from error
    with parsing(path, what, remedy, error=DataError):
        density = npy_array(held)
    return make_template(density, hashlib.sha256(held).hexdigest())


def _faults(density: Floats) -> list[str]:
    if density.dtype.kind != "f" or density.shape != (12 * NSIDE**2,):
        expected = f"expected floats of shape ({12 * NSIDE**2},), that is nside {NSIDE}"
        return [f"it holds {density.dtype} of shape {density.shape}, {expected}"]
    integral = float(density.sum()) * 4 * np.pi / len(density)
    faults = value_faults(density)
    if not abs(integral - 1.0) < 1e-6:
        faults.append(f"it integrates to {integral:.7g} over the sphere, expected 1 within 1e-6")
    return faults
