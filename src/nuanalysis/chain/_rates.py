"""Simulated events as rates: fluxes of the atmosphere and of astrophysical sources, self-veto, muons."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from nuanalysis.detector import (
    CHARM,
    NUE,
    NUMU,
    AtmosphericFlux,
    Component,
    Kind,
    Origin,
    Truth,
    astrophysical,
    continued,
    conventional,
    passing,
    prompt,
    slant,
)
from nuanalysis.ingest import atmospheric_flux, find
from nuanalysis.schema import Floats

#: Isotropic flux of each flavour, nu + nubar, per m2 s sr GeV at 100 TeV, and its index: IceCube cascades,
#: Phys. Rev. Lett. 125 (2020) 121104: 1.66e-18 per cm2 s sr GeV and 2.53.
PER_FLAVOUR, INDEX = 1.66e-14, 2.53
LEAST_MUON = 1000.0  # GeV at the detector: a muon of so much spoils a cascade
FLUXES = (
    "atmospheric: HKKM 2015 continued, prompt BERSS, self-veto of muons above 1 TeV; astrophysical: 1.66e-18 "
    "(E/100 TeV)^-2.53 per GeV cm2 s sr and flavour; muons: Becherini et al. 2006, normalised to 2.1 kHz of triggers"
)
_FLAVOURS = {12: "nue", 14: "numu", 16: "nutau"}


@lru_cache(maxsize=1)
def _atmosphere() -> AtmosphericFlux:
    table = atmospheric_flux.read_flux(find(atmospheric_flux.RELEASE))
    values = np.stack([table[name].values for name in ("nue", "nuebar", "numu", "numubar")])
    return continued(AtmosphericFlux(np.log10(table["energy"].values), table["cos_zenith"].values, values))


def components(truth: Truth, muon_factor: float) -> tuple[Component, ...]:
    """Rate of each event in every component, Hz.

    muon_factor : what rates of muons are multiplied by.  Atmospheric neutrinos from above pass with the chance that no
    muon above 1 TeV comes along; bundles keep their weight.
    """
    neutrino = truth.pdg != 0
    log_energy, up = np.log10(truth.energy), -truth.direction[:, 2]
    ice = slant(truth.vertex, up)
    made = np.zeros(len(truth.pdg))
    of = np.flatnonzero(neutrino)
    flux = _atmosphere()
    for muon in (False, True):
        which = of[(np.abs(truth.pdg[of]) == 14) == muon]
        at = log_energy[which], up[which]
        alone = passing(NUMU if muon else NUE, *at, ice[which], left=LEAST_MUON)
        charmed = passing(CHARM, *at, ice[which], left=LEAST_MUON)
        pdg = truth.pdg[which]
        made[which] = conventional(flux, *at, pdg) * alone + prompt(flux, *at, pdg) * charmed
    beyond = np.where(neutrino, astrophysical(log_energy, per_flavour=PER_FLAVOUR, index=INDEX), 0.0)
    found = []
    for origin, one in ((Origin.ATMOSPHERIC, made), (Origin.ASTROPHYSICAL, beyond)):
        for number, name in _FLAVOURS.items():
            rate = np.where(np.abs(truth.pdg) == number, one * truth.weight, 0.0)
            if origin is Origin.ASTROPHYSICAL or number != 16:
                found.append(Component(f"{origin.name.lower()} {name}", origin, rate))
    muons: Floats = np.where(truth.kind == Kind.BUNDLE, truth.weight * muon_factor, 0.0)
    return (*found, Component("muons", Origin.MUON, muons))
