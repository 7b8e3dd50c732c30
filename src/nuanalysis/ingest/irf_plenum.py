"""Energy and angular resolution of IC86-II as derived by PLEnuM: a stand-in where smearing matrices are missing.

Not part of any IceCube release; every result that uses it must say so.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nuanalysis.ingest._release import UpstreamFile, UpstreamRelease
from nuanalysis.ingest._table import all_there, located, read_arrays, spoiled
from nuanalysis.schema import Floats

PATH = "derived/IC86_II_resolution_plenum.npz"
BANDS = ("south_-90_-10", "horizon_-10_+10", "north_+10_+90")
EDGES = ("logE_true_edges_eres", "logE_reco_edges_eres", "logE_true_edges_psf", "psi2_edges_deg2")

RELEASE = UpstreamRelease(
    name="irf-plenum",
    title="IC86-II energy and angular resolution, smoothed projections of the smearing matrix (PLEnuM)",
    folder="icecube_ps10yr_2021",
    licence="BSD-2-Clause",
    citation="PLEnuM-group/Plenum, derived from the IC86-II smearing matrix of arXiv:2101.09836",
    files=(UpstreamFile(PATH, "a4563e1c78f23bf5b29debe904510bb76755665cc189e310e6d48238a93950e0", kind="resolution"),),
    notes="Derived, not part of the IceCube release; converted from pickles. There is no address to fetch it from.",
)


def read_tables(folder: Path) -> dict[str, Floats]:
    """Return the arrays of the file under its own names.

    eres_BAND (reco, true) and psf_BAND (psi^2, true): each column sums to 1.
    Raises DataError for a missing or damaged file, and for matrices that are none.
    """
    path = located(folder, RELEASE, PATH)
    names = [*EDGES, *(f"{kind}_{band}" for kind in ("eres", "psf") for band in BANDS)]
    found = read_arrays(path)
    all_there(path, names, found)
    tables = {name: found[name] for name in names}
    true, reco, psf_true, psi2 = (tables[name].size - 1 for name in EDGES)
    for kind, shape in (("eres", (reco, true)), ("psf", (psi2, psf_true))):
        matrices = [tables[f"{kind}_{band}"] for band in BANDS]
        if not all(m.shape == shape and np.all(m >= 0.0) and np.allclose(m.sum(axis=0), 1.0) for m in matrices):
            raise spoiled(f"{path}: the {kind} matrices must have shape {shape} and columns that sum to 1")
    return tables
