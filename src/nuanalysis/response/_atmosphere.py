"""Conventional and prompt atmospheric neutrino fluxes and self-veto passing fractions, as small tables.

Used only to give the simulated background its correlation of energy and declination: the released
one-dimensional distributions fix everything else.  Fluxes: H3a primaries, SIBYLL 2.3c (Riehn et al. 2018,
arXiv:1709.07079), nu + nubar, GeV^-1 cm^-2 s^-1 sr^-1.  Passing fractions: Schoenert et al. 2009, Gaisser et al.
2014 (arXiv:1405.0525), depth 1950 m, muon above 1 TeV at depth.
"""

from __future__ import annotations

from importlib.resources import files
from io import StringIO

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.schema import Floats


def read_table(name: str) -> Floats:
    """A table of numbers of this room, ``tables/NAME.csv``."""
    text = (files("nuanalysis.response") / "tables" / f"{name}.csv").read_text(encoding="utf-8")
    return np.loadtxt(StringIO(text), delimiter=",")


_LOG10_ENERGY = np.array([3.0, 4.0, 5.0])
# Columns of the tables after the cosine of the zenith: of either flavour one at each energy.
_NUE, _NUMU = slice(1, 4), slice(4, 7)
_FLUX, _PASSING = read_table("atmosphere_flux"), read_table("atmosphere_passing")
_PROMPT = np.array([7.7e-14, 2.15e-16, 3.4e-19])
NUMU_TO_NUE = 3.2  # ratio in the cascade sample, mostly numu neutral currents and short tracks


def _table(table: Floats, columns: slice, log10_energy: Floats, cos_zenith: Floats) -> Floats:
    """Log-linear in energy, extrapolated; the logarithm linear in |cos zenith| within the table; (zenith, energy)."""
    cosines = table[:, 0]
    grid = scipy.interpolate.RegularGridInterpolator(
        (cosines, _LOG10_ENERGY), np.log(table[:, columns]), bounds_error=False, fill_value=None
    )
    cosine, energy = np.meshgrid(np.clip(abs(cos_zenith), cosines[0], cosines[-1]), log10_energy, indexing="ij")
    return np.asarray(np.exp(grid((cosine, energy))))


def vetoed_flux(log10_energy: Floats, sin_dec: Floats) -> Floats:
    """Relative atmospheric flux that reaches a South Pole cascade sample, (sin_dec, energy).

    Only its variation with energy at each declination is meant.  Valid from 500 GeV to 1 PeV.
    """
    cos_zenith = -sin_dec
    prompt = np.exp(scipy.interpolate.make_interp_spline(_LOG10_ENERGY, np.log(_PROMPT), k=1)(log10_energy))
    nue, numu = (_table(_FLUX, kind, log10_energy, cos_zenith) + prompt for kind in (_NUE, _NUMU))
    down = np.clip(log10_energy, 2.7, 5.0), np.maximum(cos_zenith, 0.0)
    pass_nue, pass_numu = (np.minimum(_table(_PASSING, kind, *down), 1.0) for kind in (_NUE, _NUMU))
    # Muon neutrinos reach a cascade sample less often than electron neutrinos of the same energy.
    at = np.array([3.5]), np.array([0.3])
    efficiency = NUMU_TO_NUE * _table(_FLUX, _NUE, *at) / _table(_FLUX, _NUMU, *at)
    return np.asarray(nue * pass_nue + efficiency * numu * pass_numu)
