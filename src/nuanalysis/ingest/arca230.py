"""KM3NeT/ARCA with 230 lines: effective areas, point spread, energy response and background of tracks and showers.

It holds what a simulation of the full detector gives, and no events.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.ingest._release import UpstreamRelease, files_of
from nuanalysis.ingest._table import Table, located, read_numbers, spoiled, within
from nuanalysis.schema import Floats

RELEASE = UpstreamRelease(
    name="arca230",
    title="KM3NeT/ARCA230 instrument response functions, tracks and showers",
    folder="km3net_arca230_irf",
    licence="CC BY 4.0",
    citation="KM3NeT Collaboration, Astronomy potential of KM3NeT/ARCA, arXiv:2402.08363; KM3NeT-ARCA-irf v1.0.1",
    files=files_of("arca230"),
    notes="Simulated response of a detector that is being built; it holds no events. Background is that of atmospheric "
    "neutrinos and muons, without an astrophysical flux.",
)

#: How the files of a channel are called: response and point spread, area, background.
CHANNELS = {
    "tracks": ("numuCC_track", "allnumuCC_track", "track"),
    "showers": ("nueCC_shower", "allnueCC_shower", "shower"),
}
_TRUE, _SEEN, _ANGLE = "log10(nu_E [GeV])", "log10(reco_E [GeV])", "log10(psi [degrees])"
_LARGEST = 1e6  # m2, relative events or s^-1
_DENSITY = (-1e-3, 1e7)  # sr^-1; the smooth curves of the release fall a little below zero far from the source


def read_tables(folder: Path, channel: str) -> xr.Dataset:
    """The four tables of 'tracks' or 'showers'; energies as edges in log10 E/GeV.

    area (cos_zenith, true) m2, mean of nu and nubar: times the flux of both together; +1 comes from above.
    response (energy, reco) : relative events; rows are not normalised, and some are empty.
    density (psf, angle) : sr^-1, at log10_angle (angle,) in deg; 0 where the release is below it.
    rate (sin_dec, reco) : background, s^-1.
    Raises InputError for another channel, DataError for a missing or damaged file, and for one that is no full grid.
    """
    if channel not in CHANNELS:
        raise InputError(f"unknown channel '{channel}'.{did_you_mean(channel, CHANNELS)}")
    seen, area, background = CHANNELS[channel]
    (area_edges, cosines), areas = _grid(folder, f"aeff_coszen_{area}.csv", (_TRUE, "cos(zen)"), "aeff [m^2]")
    (edges, reco), response = _grid(folder, f"energyresponse_{seen}.csv", (_TRUE, _SEEN), "dP/dlog10(nu_E [GeV])")
    (rate_edges, bands), rate = _grid(folder, f"bkg_{background}.csv", (_SEEN, "sin(dec)"), "rate [s^-1]")
    if not (np.array_equal(edges, reco) and np.array_equal(edges, rate_edges)):
        raise spoiled(f"the energies of the tables of {channel} in {folder} differ; expected the same bins in all")
    psf_edges, angle, density = _point_spread(folder, f"psf_{seen}.csv")
    return xr.Dataset(
        {
            "area": (("cos_zenith", "true"), areas.T, {"units": "m2"}),
            "cos_zenith_edges": ("cos_zenith_edge", cosines, {"units": ""}),
            "area_edges": ("true_edge", area_edges, {"units": ""}),
            "response": (("energy", "reco"), response, {"units": ""}),
            "energy_edges": ("energy_edge", edges, {"units": ""}),
            "density": (("psf", "angle"), density, {"units": "sr-1"}),
            "psf_edges": ("psf_edge", psf_edges, {"units": ""}),
            "log10_angle": ("angle", angle, {"units": ""}),
            "rate": (("sin_dec", "reco"), rate.T, {"units": "s-1"}),
            "sin_dec_edges": ("sin_dec_edge", bands, {"units": ""}),
        },
        attrs={"name": f"{RELEASE.name}-{channel}", "channel": channel, "reference": RELEASE.reference},
    )


def _read(folder: Path, name: str, columns: tuple[str, ...], limits: tuple[float, float]) -> tuple[Path, Table]:
    """Columns of a file, the last of them inside the limits."""
    path = located(folder, RELEASE, name)
    rows = next(file.rows for file in RELEASE.files if file.path == name)
    table = read_numbers(path, columns, rows=rows)
    within(path, table, {columns[-1]: limits})
    return path, table


def _grid(folder: Path, name: str, axes: tuple[str, str], value: str) -> tuple[tuple[Floats, Floats], Floats]:
    """Edges of both axes and the values on them; the second axis runs faster."""
    ends = tuple(f"{axis} {end}" for axis in axes for end in ("low", "high"))
    path, table = _read(folder, name, (*ends, value), (0.0, _LARGEST))
    edges = tuple(_edges(path, axis, table[f"{axis} low"], table[f"{axis} high"]) for axis in axes)
    shape = tuple(len(one) - 1 for one in edges)
    low = np.meshgrid(*(one[:-1] for one in edges), indexing="ij")
    if len(table[value]) != low[0].size or not all(
        np.array_equal(table[f"{axis} low"], one.ravel()) for axis, one in zip(axes, low, strict=True)
    ):
        raise spoiled(f"{path} is no full grid of {axes[0]} and {axes[1]}, the second running faster")
    return (edges[0], edges[1]), table[value].reshape(shape)


def _edges(path: Path, axis: str, low: Floats, high: Floats) -> Floats:
    lows, highs = np.unique(low), np.unique(high)
    if not np.array_equal(lows[1:], highs[:-1]):
        raise spoiled(f"{path}: the bins of {axis} leave gaps or overlap")
    return np.append(lows, highs[-1])


def _point_spread(folder: Path, name: str) -> tuple[Floats, Floats, Floats]:
    """Edges of the energies, log10 of the angles in deg, and the density (energy, angle) per sr."""
    ends = tuple(f"{_TRUE} {end}" for end in ("low", "high"))
    path, table = _read(folder, name, (*ends, _ANGLE, "dP/dOmega"), _DENSITY)
    edges = _edges(path, _TRUE, *(table[end] for end in ends))
    angles = table[_ANGLE].reshape(len(edges) - 1, -1) if len(table[_ANGLE]) % (len(edges) - 1) == 0 else None
    if angles is None or not (np.all(angles == angles[0]) and np.all(np.diff(angles[0]) > 0.0)):
        raise spoiled(f"{path} has other angles for some energy, or angles that do not rise")
    return edges, angles[0], np.maximum(table["dP/dOmega"], 0.0).reshape(angles.shape)
