"""KM3NeT/ARCA with 230 lines: tracks and showers, from the released tables (``ingest.arca230``).

Muon neutrinos seen as tracks and electron neutrinos seen as showers, of charged currents; tau neutrinos and neutral
currents were not released, so that expected signal is too small.
"""

from __future__ import annotations

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.response._errors import LogNormalErrors
from nuanalysis.response._records import BackgroundRate, Resolution, Response, band_of, fit_mixture, response_of
from nuanalysis.schema import Floats

LATITUDE = float(np.radians(36.29))  # KM3NeT-ARCA-irf
REFERENCE = "KM3NeT Collaboration, arXiv:2402.08363; KM3NeT-ARCA-irf v1.0.1, CC BY 4.0"
FLAVOURS = {"tracks": "muon neutrinos, charged current", "showers": "electron neutrinos, charged current"}
NOTES = (
    "KM3NeT/ARCA230: nu_mu CC tracks and nu_e CC showers alone were released; tau neutrinos and neutral currents are "
    "missing, so that signal is too small",
    "KM3NeT/ARCA230: per-event errors are assumed: the width of the part of the point spread, scattered as those of "
    "IceCube's tracks",
)
BANDS = np.round(np.linspace(-1.0, 1.0, 41), 12)
LEVELS = np.array([0.2, 0.5, 0.9])  # of the point spread, that the fitted one passes through
ERRORS = LogNormalErrors(floor=float(np.radians(0.05)))
_HOURS, _PER_BAND = 2400, 10  # steps of hour angle, and of sin(declination) inside a band
_FALLING, _SPARSE, _TINY = 4.5, 5.9, 1e-6  # edges of the released bins next to 30 TeV and to 1 PeV, log10 E/GeV
_START = (0.6, 2.8, 0.15)  # narrow fraction, and concentrations over one over the squared median angle


def response(tables: xr.Dataset, channel: str) -> Response:
    """Response of 'tracks' or 'showers': areas averaged over the day, migration normalised, two-part point spread."""
    area = {
        "effective_area": 1e4 * area_by_declination(tables),
        "sin_dec_edges": BANDS,
        "log10_true_edges": tables["area_edges"].values,
    }
    (nodes, spread), edges = point_spread_of(tables), tables["energy_edges"].values
    found = Resolution(
        np.array([-1.0, 1.0]), edges, edges, migration_of(tables)[None], nodes, spread[:, None], ERRORS, NOTES,
    )  # fmt: skip
    name = f"arca230-{channel}"
    return response_of(name, f"KM3NeT/ARCA230 {channel}", REFERENCE, area, found, flavours=FLAVOURS[channel])


def daily_area(tables: xr.Dataset, sin_dec: Floats) -> Floats:
    """Effective area averaged over hour angle at each sin(declination), (sin_dec, true) m2."""
    hours = 2.0 * np.pi * (np.arange(_HOURS) + 0.5) / _HOURS
    cosines = np.sin(LATITUDE) * sin_dec[:, None] + np.cos(LATITUDE) * np.sqrt(1.0 - sin_dec[:, None] ** 2) * np.cos(
        hours
    )
    zenith = band_of(cosines, tables["cos_zenith_edges"].values)
    share = np.array([np.bincount(row, minlength=len(tables["area"])) for row in zenith]) / _HOURS
    return np.asarray(share @ tables["area"].values)


def area_by_declination(tables: xr.Dataset) -> Floats:
    """Effective area in BANDS, (band, true) m2."""
    inside = (np.arange(_PER_BAND) + 0.5) / _PER_BAND
    fine = (BANDS[:-1, None] + np.diff(BANDS)[:, None] * inside).ravel()
    return np.asarray(daily_area(tables, fine).reshape(len(BANDS) - 1, _PER_BAND, -1).mean(axis=1))


def migration_of(tables: xr.Dataset) -> Floats:
    """P(reconstructed bin | true bin), (true, reco); an empty row is that of the next filled one."""
    rows = tables["response"].values.sum(axis=1)
    filled = np.flatnonzero(rows)
    nearest = filled[np.abs(np.arange(len(rows))[:, None] - filled).argmin(axis=1)]
    return np.asarray((tables["response"].values / np.where(rows > 0.0, rows, 1.0)[:, None])[nearest])


def cumulative_spread(tables: xr.Dataset) -> tuple[Floats, Floats, Floats]:
    """Middles of the filled bins of energy, log10 E/GeV, angles in rad, and the share inside them, (energy, angle)."""
    angle = np.radians(10.0 ** tables["log10_angle"].values)
    caps = 2.0 * np.pi * (1.0 - np.cos(angle))
    steps = 0.5 * (tables["density"].values[:, 1:] + tables["density"].values[:, :-1]) * np.diff(caps)
    inside = np.cumsum(np.column_stack([tables["density"].values[:, 0] * caps[0], steps]), axis=1)
    filled = inside[:, -1] > 0.0
    middles = 0.5 * (tables["psf_edges"].values[1:] + tables["psf_edges"].values[:-1])
    return middles[filled], angle, inside[filled] / inside[filled, -1:]


def point_spread_of(tables: xr.Dataset) -> tuple[Floats, Floats]:
    """Nodes, log10 E/GeV, and narrow fraction and both concentrations there, (3, node), through LEVELS."""
    nodes, angle, inside = cumulative_spread(tables)
    fraction, narrow, broad = _START
    rows = []
    for row in inside:
        psi = np.interp(LEVELS, row, angle)
        rows.append(fit_mixture(psi, LEVELS, (fraction, narrow / psi[1] ** 2, broad / psi[1] ** 2)))
    return nodes, np.array(rows).T


def background_rate(tables: xr.Dataset) -> BackgroundRate:
    """The released background of atmospheric neutrinos and muons; that of showers smooth in energy above 1 PeV.

    There single simulated events of large weight stand for a whole bin.  Each declination keeps its rate above 1 PeV,
    and its energies fall as the rate of the whole sky does between 30 TeV and 1 PeV.
    """
    edges, rate = tables["energy_edges"].values, np.array(tables["rate"].values)
    if tables.attrs["channel"] == "showers":
        middles = 0.5 * (edges[1:] + edges[:-1])
        above = edges[:-1] > _SPARSE - _TINY
        below = (edges[:-1] > _FALLING - _TINY) & ~above
        slope = np.polyfit(middles[below], np.log(rate.sum(axis=0)[below]), 1)[0]
        shape = np.exp(slope * middles[above])
        rate[:, above] = rate[:, above].sum(axis=1, keepdims=True) * shape / shape.sum()
    return BackgroundRate(tables["sin_dec_edges"].values, edges, rate)
