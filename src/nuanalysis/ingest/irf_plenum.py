"""Energy and angular resolution of IC86-II as derived by PLEnuM: a stand-in where smearing matrices are missing.

Not part of any IceCube release; every result that uses it must say so.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError
from nuanalysis.ingest._release import UpstreamFile, UpstreamRelease
from nuanalysis.ingest._table import REPAIR, all_there, faults_named, located, read_bytes
from nuanalysis.schema import Floats

PATH = "derived/IC86_II_resolution_plenum.npz"
BANDS = ("south_-90_-10", "horizon_-10_+10", "north_+10_+90")
BAND_EDGES_DEG = (-90.0, -10.0, 10.0, 90.0)
EDGES = ("logE_true_edges_eres", "logE_reco_edges_eres", "logE_true_edges_psf", "psi2_edges_deg2")

RELEASE = UpstreamRelease(
    name="irf-plenum",
    title="IC86-II energy and angular resolution, smoothed projections of the smearing matrix (PLEnuM)",
    folder="icecube_ps10yr_2021",
    doi="",
    doi_confirmed=False,
    licence="BSD-2-Clause",
    citation="PLEnuM-group/Plenum, derived from the IC86-II smearing matrix of arXiv:2101.09836",
    files=(UpstreamFile(PATH, "a4563e1c78f23bf5b29debe904510bb76755665cc189e310e6d48238a93950e0", kind="resolution"),),
    notes="Derived, not part of the IceCube release; converted from pickles. There is no address to fetch it from.",
)


def read_tables(folder: Path) -> dict[str, Floats]:
    """Return the arrays of the file under its own names.  Raises DataError for a missing or damaged file."""
    path = located(folder, RELEASE, PATH)
    content = read_bytes(path)
    names = [*EDGES, *(f"{kind}_{band}" for kind in ("eres", "psf") for band in BANDS)]
    try:
        with faults_named(path), np.load(io.BytesIO(content), allow_pickle=False) as archive:
            all_there(path, names, archive.files)
            return {name: np.asarray(archive[name], dtype=np.float64) for name in names}
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path} is truncated or damaged, expected an npz archive: {error}. {REPAIR}") from error


def read_resolution(folder: Path) -> xr.Dataset:
    """Return migration and point spread by declination band (south, horizon, north).

    migration (band 3, migration_true 70, migration_reco 69), rows sum to 1, with its edges in log10(E/GeV);
    psf (band 3, psf_true 35, psi2 225): probability per bin of the squared opening angle, rows sum to 1 within 3 deg,
    with psf_true_edges in log10(E/GeV) and psi2_edges in rad^2; band_sin_dec_edges.  Raises DataError.
    """
    path = located(folder, RELEASE, PATH)
    arrays = read_tables(folder)
    true, reco, psf_true, psi2 = (arrays[name] for name in EDGES)
    shapes = {"eres": (reco.size - 1, true.size - 1), "psf": (psi2.size - 1, psf_true.size - 1)}
    stacked = {}
    for kind, shape in shapes.items():
        matrices = [arrays[f"{kind}_{band}"] for band in BANDS]
        good = all(m.shape == shape and np.all(m >= 0.0) and np.allclose(m.sum(axis=0), 1.0) for m in matrices)
        if not good:
            raise DataError(f"{path}: the {kind} matrices must have shape {shape} and columns that sum to 1. {REPAIR}")
        stacked[kind] = np.stack([matrix.T for matrix in matrices])
    sin_dec = np.sin(np.deg2rad(BAND_EDGES_DEG))
    return xr.Dataset(
        {
            "migration": (("band", "migration_true", "migration_reco"), stacked["eres"], {"units": ""}),
            "migration_true_edges": ("migration_true_edge", true, {"units": ""}),
            "migration_reco_edges": ("migration_reco_edge", reco, {"units": ""}),
            "psf": (("band", "psf_true", "psi2"), stacked["psf"], {"units": ""}),
            "psf_true_edges": ("psf_true_edge", psf_true, {"units": ""}),
            "psi2_edges": ("psi2_edge", np.deg2rad(np.sqrt(psi2)) ** 2, {"units": "rad2"}),
            "band_sin_dec_edges": ("band_edge", sin_dec, {"units": ""}),
        },
        attrs={
            "name": RELEASE.name,
            "reference": RELEASE.citation,
            "note": "derived for IC86-II, a stand-in elsewhere",
        },
    )
