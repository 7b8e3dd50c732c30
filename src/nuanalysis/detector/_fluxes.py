"""Fluxes of neutrinos and of cosmic rays above the detector, per m2 s sr GeV, of neutrinos and antineutrinos apart.

Conventional: a table of Honda et al., Phys. Rev. D 92 (2015) 023004, to 10 TeV, continued with its own index.
Prompt: BERSS (Bhattacharya et al., JHEP 06 (2015) 110) by its ratio to the conventional electron neutrinos.
Primaries: H3a (Gaisser, Astropart. Phys. 35 (2012) 801).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError
from nuanalysis.schema import Floats, Ints

#: Order of the flavours of a flux: PDG numbers.
FLAVOURS = (12, -12, 14, -14)
_NAMES = ("nue", "nuebar", "numu", "numubar")
_SMOOTH_FROM, _SMOOTH_TO = 2000.0, 3000.0  # GeV: above, electron neutrinos of the table are noisy by several per cent
_FIT_FROM, _INDEX_FROM = 1000.0, 2000.0
_KNEE, _STEEPER, _SHARPNESS = 3e5, 0.3, 2.0  # GeV per nucleon into neutrinos; ours
_TOP_LOG10 = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class AtmosphericFlux:
    """A flux averaged over azimuth, per m2 s sr GeV.

    log10_energy (energy,) rising.  cos_zenith (zenith,) rising, 1 is from above: middles of the bins.
    values (4, zenith, energy) in the order of ``FLAVOURS``.
    """

    log10_energy: Floats
    cos_zenith: Floats
    values: Floats

    def __post_init__(self) -> None:
        expected = (len(FLAVOURS), len(self.cos_zenith), len(self.log10_energy))
        if self.values.shape != expected:
            raise InputError(
                f"the flux has values of shape {self.values.shape}, expected {expected}: flavour, zenith, energy; "
                "average over azimuth first"
            )
        if not (np.diff(self.log10_energy) > 0).all() or not (np.diff(self.cos_zenith) > 0).all():
            raise InputError("energies and cosines of a flux must rise; sort them and the values")


def flux_from_table(table: xr.Dataset) -> AtmosphericFlux:
    """The flux of a table with numu, numubar, nue, nuebar (cos_zenith, energy) per m2 s sr GeV; energy in GeV.

    As ``ingest.atmospheric_flux.read_flux`` gives it: cosines and energies rising, azimuths averaged.
    """
    values = np.array([table[name].transpose("cos_zenith", "energy").values for name in _NAMES], dtype=np.float64)
    energy, cosine = (np.asarray(table[name].values, dtype=np.float64) for name in ("energy", "cos_zenith"))
    return AtmosphericFlux(np.log10(energy), cosine, values)


def knee(energy: Floats) -> Floats:
    """What the knee takes of a flux that would go on with its index: 0.3 steeper beyond about 300 TeV, any shape."""
    return np.asarray((1.0 + (energy / _KNEE) ** _SHARPNESS) ** (-_STEEPER / _SHARPNESS))


def _smoothed(log10_energy: Floats, logarithm: Floats) -> Floats:
    """A parabola in place of what is above 3 TeV, blended in from 2 TeV; (..., energy)."""
    fit, at = log10_energy >= np.log10(_FIT_FROM) - 1e-9, log10_energy - 3.5
    basis = np.vander(at, 3)
    found = np.linalg.lstsq(basis[fit], logarithm[..., fit].reshape(-1, fit.sum()).T, rcond=None)[0]
    parabola = (basis @ found).T.reshape(logarithm.shape)
    share = np.clip((log10_energy - np.log10(_SMOOTH_FROM)) / np.log10(_SMOOTH_TO / _SMOOTH_FROM), 0.0, 1.0)
    return np.asarray((1.0 - share) * logarithm + share * parabola)


def _index(log10_energy: Floats, logarithm: Floats) -> Floats:
    """Slope of ln flux with ln E above 2 TeV, (...,)."""
    use = log10_energy >= np.log10(_INDEX_FROM) - 1e-9
    x = log10_energy[use] * np.log(10.0)
    x = x - x.mean()
    return np.asarray((logarithm[..., use] * x).sum(axis=-1) / (x**2).sum())


def continued(table: AtmosphericFlux) -> AtmosphericFlux:
    """The flux of a table up to 100 PeV: electron neutrinos smooth above 3 TeV, then its index and the knee."""
    at = table.log10_energy
    logarithm = np.log(table.values)
    logarithm = np.concatenate([_smoothed(at, logarithm[:2]), logarithm[2:]])
    beyond = np.arange(at[-1], _TOP_LOG10, 0.05)[1:]
    slope = _index(at, logarithm)[..., None]
    more = logarithm[..., -1:] + slope * (beyond - at[-1]) * np.log(10.0)
    more += np.log(knee(10.0**beyond)) - np.log(knee(10.0 ** at[-1:]))
    values = np.exp(np.concatenate([logarithm, more], axis=-1))
    return AtmosphericFlux(np.concatenate([at, beyond]), table.cos_zenith, values)


def conventional(flux: AtmosphericFlux, log10_energy: Floats, cos_zenith: Floats, pdg: Ints) -> Floats:
    """Neutrinos of decays of pions and kaons, (event,) per m2 s sr GeV; 0 for tau neutrinos.

    ``flux`` : as ``continued`` gives it.  Logarithms are linear in log E and in the cosine; held beyond its ends.
    """
    grid = scipy.interpolate.RegularGridInterpolator(
        (flux.cos_zenith, flux.log10_energy), np.moveaxis(np.log(flux.values), 0, -1)
    )
    at = (
        np.clip(cos_zenith, flux.cos_zenith[0], flux.cos_zenith[-1]),
        np.clip(log10_energy, flux.log10_energy[0], flux.log10_energy[-1]),
    )
    found = np.exp(grid(at))
    which = [np.asarray(pdg) == flavour for flavour in FLAVOURS]
    return np.asarray(np.select(which, list(np.moveaxis(found, -1, 0)), 0.0))


def prompt(flux: AtmosphericFlux, log10_energy: Floats, cos_zenith: Floats, pdg: Ints) -> Floats:
    """Neutrinos of charmed hadrons, alike for electron and muon flavour, (event,) per m2 s sr GeV.

    ln(prompt / conventional nu_e) = -0.50 + 1.17 ln(E/100 TeV) + 4.00 c - 1.50 c^2, c = |cos zenith|: a fit to
    BERSS over conventional weights of a public simulation, 5 TeV to 10 PeV, rms 0.07; equal at 18 TeV from above and
    154 TeV from the horizon.
    """
    c = np.abs(cos_zenith)
    ratio = np.exp(-0.50 + 1.17 * np.log(10.0) * (log10_energy - 5.0) + 4.00 * c - 1.50 * c**2)
    both = sum(conventional(flux, log10_energy, cos_zenith, np.full(len(c), e)) for e in (12, -12))
    return np.where(np.abs(pdg) == 16, 0.0, 0.5 * ratio * both)


def astrophysical(log10_energy: Floats, *, per_flavour: float, index: float) -> Floats:
    """A power law, alike for all six kinds of neutrinos, any shape, per m2 s sr GeV.

    per_flavour : of neutrinos and antineutrinos of one flavour together at 100 TeV.  index : E^-index.
    """
    return np.asarray(0.5 * per_flavour * 10.0 ** (-index * (np.asarray(log10_energy) - 5.0)))


# Of H3a, (3 populations, 5 nuclei): norms per m2 s sr GeV at 1 GeV, indices, and the rigidities of the cut-offs, GV.
_NORMS = np.array([(7860, 3550, 2200, 1430, 2120), (20, 20, 13.4, 13.4, 13.4), (1.7, 1.7, 1.14, 1.14, 1.14)])
_INDICES = np.array([(2.66, 2.58, 2.63, 2.67, 2.63), (2.4,) * 5, (2.4,) * 5])
_RIGIDITIES = np.array([4e6, 3e7, 2e9])
CHARGES = np.array([1.0, 2.0, 7.0, 13.0, 26.0])
MASSES = np.array([1.0, 4.0, 14.0, 27.0, 56.0])


def primary(nucleus: int, energy: Floats) -> Floats:
    """Flux of one nucleus, counted p, He, N, Al, Fe from 0, by total energy in GeV; any shape, per m2 s sr GeV."""
    e = np.asarray(energy, dtype=np.float64)
    log, charge = np.log(e), CHARGES[nucleus]
    parts = zip(_NORMS[:, nucleus], _INDICES[:, nucleus], _RIGIDITIES, strict=True)
    return np.asarray(sum(n * np.exp(-g * log - e / (charge * rigidity)) for n, g, rigidity in parts))
