"""Track seasons: released effective areas; energy migration and point spread stand in from derived IC86-II tables.

The smearing matrices of the track releases are not among the public copies this package can rely on; the
PLEnuM projections of the IC86-II matrix serve every season, and every result says so in its notes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from nuanalysis.response._records import Response, fit_mixture
from nuanalysis.schema import RESPONSE, Floats, dataset

BANDS = ("south_-90_-10", "horizon_-10_+10", "north_+10_+90")
STAND_IN = (
    "energy migration and point spread are derived IC86-II tables (PLEnuM, BSD-2), not the season's own smearing matrix"
)
_POINTS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])


def _mixture(psi2_edges: Floats, histogram: Floats, start: tuple[float, float, float]) -> tuple[float, float, float]:
    """Two-part point spread through the deciles of one column of the derived table."""
    cumulative = np.concatenate([[0.0], np.cumsum(histogram)]) / histogram.sum()
    psi = np.radians(np.sqrt(np.interp(_POINTS, cumulative, psi2_edges)))
    return fit_mixture(psi, _POINTS, start)


def _point_spread(tables: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """Nodes in log10 E, and (3, band, node) narrow fraction, kappa narrow, kappa broad; 100 GeV to 10 PeV."""
    edges = np.asarray(tables["logE_true_edges_psf"])
    nodes = 0.5 * (edges[1:] + edges[:-1])
    keep = nodes < 7.05
    out = np.empty((3, len(BANDS), int(keep.sum())))
    for b, band in enumerate(BANDS):
        start = (0.6, 1.0e4, 1.5e3)
        for k, column in enumerate(np.asarray(tables[f"psf_{band}"]).T[keep]):
            start = _mixture(np.asarray(tables["psi2_edges_deg2"]), column, start)
            out[:, b, k] = start
    return nodes[keep], out


def response(name: str, label: str, reference: str, area: xr.Dataset, tables: Mapping[str, Floats]) -> Response:
    """Response of one track season.

    area : effective_area (sin_dec, log10_true) cm2 with its two edge variables, of the season itself.
    tables : arrays of the derived file: eres_<band> (reco, true), psf_<band> (psi^2, true) and their edges.
    """
    nodes, spread = _point_spread(tables)
    migration = np.stack([np.asarray(tables[f"eres_{band}"]).T for band in BANDS])
    values = {
        "effective_area": area["effective_area"].values,
        "sin_dec_edges": area["sin_dec_edges"].values,
        "log10_true_edges": area["log10_true_edges"].values,
        "migration": migration / migration.sum(axis=2, keepdims=True),
        "band_sin_dec_edges": np.array([-1.0, -np.sin(np.radians(10.0)), np.sin(np.radians(10.0)), 1.0]),
        "migration_true_edges": np.asarray(tables["logE_true_edges_eres"]),
        "migration_reco_edges": np.asarray(tables["logE_reco_edges_eres"]),
        "psf_log10_true": nodes,
        "psf_narrow_fraction": spread[0],
        "psf_kappa_narrow": spread[1],
        "psf_kappa_broad": spread[2],
    }
    data = dataset(RESPONSE, values, {"name": name, "reference": reference, "flavours": "muon neutrinos"})
    return Response(
        name,
        label,
        reference,
        data,
        error_scale=1.0,
        error_spread=0.35,
        error_floor=float(np.radians(0.2)),
        notes=(STAND_IN,),
    )
