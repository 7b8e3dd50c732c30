"""Track seasons: released effective areas, with the season's smearing matrix where it is here, or with a stand-in.

The smearing matrices of the track releases are large and not among the public copies this package can rely on; where
one is missing, the PLEnuM projections of the IC86-II matrix serve, and every result says so in its notes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.response._records import Resolution, Response, fit_mixture, response_of
from nuanalysis.response._smearing import DECILES, from_smearing
from nuanalysis.schema import Floats

__all__ = ["STAND_IN", "Resolution", "fit_mixture", "from_smearing", "response", "stand_in"]

BANDS = ("south_-90_-10", "horizon_-10_+10", "north_+10_+90")
STAND_IN = (
    "energy migration and point spread are derived IC86-II tables (PLEnuM, BSD-2), not the season's own smearing matrix"
)


def _mixture(psi2_edges: Floats, histogram: Floats, start: tuple[float, float, float]) -> tuple[float, float, float]:
    """Two-part point spread through the deciles of one column of the derived table."""
    cumulative = np.concatenate([[0.0], np.cumsum(histogram)]) / histogram.sum()
    psi = np.radians(np.sqrt(np.interp(DECILES, cumulative, psi2_edges)))
    return fit_mixture(psi, DECILES, start)


def stand_in(tables: Mapping[str, Floats]) -> Resolution:
    """Resolution from the derived IC86-II tables: eres_<band> (reco, true), psf_<band> (psi^2, true) and their edges.

    Of the point spread, 100 GeV to 10 PeV.
    """
    migration = np.stack([np.asarray(tables[f"eres_{band}"]).T for band in BANDS])
    edges = np.asarray(tables["logE_true_edges_psf"])
    nodes = 0.5 * (edges[1:] + edges[:-1])
    keep = nodes < 7.05
    spread = np.empty((3, len(BANDS), int(keep.sum())))
    for b, band in enumerate(BANDS):
        start = (0.6, 1.0e4, 1.5e3)
        for k, column in enumerate(np.asarray(tables[f"psf_{band}"]).T[keep]):
            start = _mixture(np.asarray(tables["psi2_edges_deg2"]), column, start)
            spread[:, b, k] = start
    return Resolution(
        np.array([-1.0, -np.sin(np.radians(10.0)), np.sin(np.radians(10.0)), 1.0]),
        np.asarray(tables["logE_true_edges_eres"]),
        np.asarray(tables["logE_reco_edges_eres"]),
        migration / migration.sum(axis=2, keepdims=True),
        nodes[keep],
        spread,
        error_scale=1.0,
        error_spread=0.35,
        notes=(STAND_IN,),
    )


def response(name: str, label: str, reference: str, area: xr.Dataset, resolution: Resolution) -> Response:
    """Response of one track season; area : of the season itself, see ``response_of``."""
    floor = float(np.radians(0.2))
    return response_of(name, label, reference, area, resolution, flavours="muon neutrinos", error_floor=floor)
