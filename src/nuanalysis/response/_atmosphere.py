"""Conventional and prompt atmospheric neutrino fluxes and self-veto passing fractions, as small tables.

Used only to give the simulated background its correlation of energy and declination: the released
one-dimensional distributions fix everything else.  Fluxes: H3a primaries, SIBYLL 2.3c (Riehn et al. 2018,
arXiv:1709.07079), nu + nubar, GeV^-1 cm^-2 s^-1 sr^-1.  Passing fractions: Schoenert et al. 2009, Gaisser et al.
2014 (arXiv:1405.0525), depth 1950 m, muon above 1 TeV at depth.
"""

from __future__ import annotations

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.schema import Floats

_LOG10_ENERGY = np.array([3.0, 4.0, 5.0])
_COS_FLUX = np.array([0.05, 0.3, 0.7, 1.0])
_NUE = np.array([
    [6.50e-12, 2.07e-15, 4.07e-19], [2.96e-12, 9.55e-16, 2.05e-19], [1.37e-12, 4.30e-16, 1.04e-19],
    [1.14e-12, 3.37e-16, 8.81e-20],
])  # fmt: skip
_NUMU = np.array([
    [7.32e-11, 4.51e-14, 9.97e-18], [4.73e-11, 2.23e-14, 4.33e-18], [2.90e-11, 1.04e-14, 1.81e-18],
    [2.38e-11, 7.77e-15, 1.36e-18],
])  # fmt: skip
_PROMPT = np.array([7.7e-14, 2.15e-16, 3.4e-19])
_COS_VETO = np.array([0.0, 0.2, 0.3, 0.5, 0.7, 1.0])
_PASS_NUE = np.array([
    [1, 1, 1], [1, 0.99, 0.94], [0.99, 0.91, 0.70], [0.94, 0.72, 0.38], [0.91, 0.62, 0.27], [0.88, 0.56, 0.22],
])  # fmt: skip
_PASS_NUMU = np.array([
    [1, 1, 1], [1, 0.99, 0.624], [0.99, 0.761, 0.175], [0.950, 0.482, 0.004], [0.902, 0.329, 0.003],
    [0.846, 0.234, 0.003],
])  # fmt: skip
NUMU_TO_NUE = 3.2  # ratio in the cascade sample, mostly numu neutral currents and short tracks


def _table(cosines: Floats, values: Floats, log10_energy: Floats, cos_zenith: Floats) -> Floats:
    """Log-linear in energy, extrapolated; the logarithm linear in |cos zenith| within the table; (zenith, energy)."""
    grid = scipy.interpolate.RegularGridInterpolator(
        (cosines, _LOG10_ENERGY), np.log(values), bounds_error=False, fill_value=None
    )
    cosine, energy = np.meshgrid(np.clip(abs(cos_zenith), cosines[0], cosines[-1]), log10_energy, indexing="ij")
    return np.asarray(np.exp(grid((cosine, energy))))


def vetoed_flux(log10_energy: Floats, sin_dec: Floats) -> Floats:
    """Relative atmospheric flux that reaches a South Pole cascade sample, (sin_dec, energy).

    Only its variation with energy at each declination is meant.  Valid from 500 GeV to 1 PeV.
    """
    cos_zenith = -sin_dec
    prompt = np.exp(np.interp(log10_energy, _LOG10_ENERGY, np.log(_PROMPT)))
    nue = _table(_COS_FLUX, _NUE, log10_energy, cos_zenith) + prompt
    numu = _table(_COS_FLUX, _NUMU, log10_energy, cos_zenith) + prompt
    inside = np.clip(log10_energy, 2.7, 5.0)
    down = np.maximum(cos_zenith, 0.0)
    pass_nue = np.minimum(_table(_COS_VETO, _PASS_NUE, inside, down), 1.0)
    pass_numu = np.minimum(_table(_COS_VETO, _PASS_NUMU, inside, down), 1.0)
    # Muon neutrinos reach a cascade sample less often than electron neutrinos of the same energy.
    efficiency = (
        NUMU_TO_NUE
        * _table(_COS_FLUX, _NUE, np.array([3.5]), np.array([0.3]))
        / _table(_COS_FLUX, _NUMU, np.array([3.5]), np.array([0.3]))
    )
    return np.asarray(nue * pass_nue + efficiency * numu * pass_numu)
