"""Track seasons: released effective areas, with the season's smearing matrix where it is here, or with a stand-in.

The smearing matrices of the track releases are large and not among the public copies this package can rely on; where
one is missing, the PLEnuM projections of the IC86-II matrix serve, and every result says so in its notes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError
from nuanalysis.response._errors import LogNormalErrors
from nuanalysis.response._records import Resolution, Response, fit_mixture, response_of
from nuanalysis.schema import Floats, Ints

__all__ = ["STAND_IN", "Resolution", "fit_mixture", "from_smearing", "response", "stand_in"]

BANDS = ("south_-90_-10", "horizon_-10_+10", "north_+10_+90")
STAND_IN = (
    "energy migration and point spread are derived IC86-II tables (PLEnuM, BSD-2), not the season's own smearing matrix"
)
DECILES = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
_RECO_STEP = 0.1  # of the common axis of reconstructed energies, log10 E: the matrices have bins of their own
_LEAST_ERROR_SPREAD = 0.05
_START = (0.6, 2.8, 0.4)  # narrow fraction, and concentrations over one over the squared median angle
_ANGLES = np.geomspace(1e-4, np.pi, 600)
Cells = Mapping[str, Floats]


def response(name: str, label: str, reference: str, area: xr.Dataset, resolution: Resolution) -> Response:
    """Response of one track season; area : of the season itself, see ``response_of``."""
    return response_of(name, label, reference, area, resolution, flavours="muon neutrinos")


# ---- the stand-in -------------------------------------------------------------------------------------------------


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
        LogNormalErrors(),
        notes=(STAND_IN,),
    )


# ---- smearing matrices --------------------------------------------------------------------------------------------


def from_smearing(smearing: xr.Dataset) -> Resolution:
    """Resolution of one season from its own smearing matrix.

    smearing : the long table of filled cells, dim ``cell``, as the readers of the releases give it.
    A cell counts as flat in each of its quantities.  A true bin without cells takes those of the nearest filled one of
    its band.  Per-event errors are joined to the point spread by mean and spread alone: both are log-normal about the
    widths of its two parts, see Response.    Raises DataError where bins in true energy or declination leave gaps.
    """
    cells = {str(key): np.asarray(smearing[key].values, dtype=np.float64) for key in smearing}
    true, bands = _axis(cells, "log10_true", smearing), _axis(cells, "declination", smearing)
    reco = _reco_edges(cells)
    where = _bin(cells, "declination", bands) * (len(true) - 1) + _bin(cells, "log10_true", true)
    order = np.argsort(where, kind="stable")
    filled, first = np.unique(where[order], return_index=True)
    migration, spread, moments = [], [], []
    for chosen in np.split(order, first[1:]):
        part = {key: values[chosen] for key, values in cells.items()}
        migration.append(np.diff(_cumulative(part, "log10_energy", reco)))
        spread.append(_point_spread(part))
        moments.append(_error_moments(part, spread[-1]))
    nearest = _nearest(filled, len(bands) - 1, len(true) - 1)
    scale, variance = np.mean(moments, axis=0)
    return Resolution(
        np.sin(bands),
        true,
        reco,
        np.array(migration)[nearest],
        0.5 * (true[1:] + true[:-1]),
        np.moveaxis(np.array(spread)[nearest], 2, 0),
        LogNormalErrors(float(np.exp(scale)), float(max(np.sqrt(max(variance, 0.0)), _LEAST_ERROR_SPREAD))),
    )


def _axis(cells: Cells, quantity: str, smearing: xr.Dataset) -> Floats:
    """Edges of true energy or declination; the bins must follow one another."""
    lows, highs = np.unique(cells[f"{quantity}_min"]), np.unique(cells[f"{quantity}_max"])
    if len(lows) != len(highs) or not np.array_equal(lows[1:], highs[:-1]):
        raise DataError(
            f"the bins of {quantity} in the smearing matrix '{smearing.attrs['name']}' leave gaps or overlap; "
            "fetch it again"
        )
    return np.append(lows, highs[-1])


def _reco_edges(cells: Cells) -> Floats:
    low = np.floor(cells["log10_energy_min"].min() / _RECO_STEP)
    high = np.ceil(cells["log10_energy_max"].max() / _RECO_STEP)
    return np.unique(np.clip(_RECO_STEP * np.arange(low, high + 1.0), 0.0, 12.0))


def _bin(cells: Cells, quantity: str, edges: Floats) -> Ints:
    return np.searchsorted(edges, 0.5 * (cells[f"{quantity}_min"] + cells[f"{quantity}_max"])) - 1


def _nearest(filled: Ints, bands: int, energies: int) -> Ints:
    """For each (band, true bin) the place in ``filled`` of the nearest filled bin of the band, or of any."""
    band, energy = np.divmod(filled, energies)
    apart = np.abs(np.arange(energies)[None, :, None] - energy) + energies * np.abs(
        np.arange(bands)[:, None, None] - band
    )
    return np.asarray(apart.argmin(axis=2))


def _cumulative(part: Cells, quantity: str, at: Floats) -> Floats:
    """Cumulative fraction of a quantity at some values, (value,), from 0 to 1."""
    edges = np.stack([part[f"{quantity}_min"], part[f"{quantity}_max"]])
    pairs, which = np.unique(edges, axis=1, return_inverse=True)
    weight = np.bincount(np.ravel(which), weights=part["fraction"]) / part["fraction"].sum()
    width = np.maximum(pairs[1] - pairs[0], 1e-9)
    out = np.clip((at[:, None] - pairs[0]) / width, 0.0, 1.0) @ weight
    out[0], out[-1] = 0.0, 1.0
    return np.asarray(out)


def _point_spread(part: Cells) -> tuple[float, float, float]:
    """Two-part point spread through the deciles of the opening angle."""
    angles = np.interp(DECILES, _cumulative(part, "psf", _ANGLES), _ANGLES)
    fraction, narrow, broad = _START
    return fit_mixture(angles, DECILES, (fraction, narrow / angles[4] ** 2, broad / angles[4] ** 2))


def _error_moments(part: Cells, spread: tuple[float, float, float]) -> tuple[float, float]:
    """Mean logarithm of the per-event error over that of the widths, and what its variance is beyond theirs."""
    error = np.log(np.maximum(0.5 * (part["angular_error_min"] + part["angular_error_max"]), _ANGLES[0]))
    weight = part["fraction"] / part["fraction"].sum()
    mean = float(weight @ error)
    variance = float(weight @ (error - mean) ** 2)
    fraction, narrow, broad = spread
    widths = -0.5 * np.log([narrow, broad])
    of_widths = fraction * widths[0] + (1.0 - fraction) * widths[1]
    return mean - of_widths, variance - fraction * (1.0 - fraction) * (widths[0] - widths[1]) ** 2
