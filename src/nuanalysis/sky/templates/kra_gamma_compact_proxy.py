"""A compact proxy by shape of the KRA-gamma maps: the pi0 map times exp(-|b| / 6 deg) exp(-|l| / 90 deg).

No model of cosmic rays: an own choice of shape, as narrow as the published sensitivities suggest, with the spectrum
that was published.  It is more compact than what else is known of the maps: 0.44 of its flux lies in |l| < 30, |b| < 4
deg at all energies, of the published model 0.375 at 10 TeV and 0.43 at 100 TeV, and 0.05 beyond |b| = 8 deg, where
``kra-gamma-like-5`` has 0.24.  docs/decisions/0026-compact-maps-and-segments.md
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.schema import Floats
from nuanalysis.sky.records import Template, factorised
from nuanalysis.sky.templates import _healpix, _milky_way
from nuanalysis.sky.templates._milky_way import ENERGIES
from nuanalysis.sky.templates._recipe import built_in, parameter
from nuanalysis.sky.templates.kra_gamma_like import BOX_LATITUDE, BOX_LONGITUDE, PUBLISHED, inner_plane

LATITUDE_SCALE, LONGITUDE_SCALE = np.radians(6.0), np.radians(90.0)
# Flux of the whole sky over the all-flavour mean in the inner plane, sr, at 10 TeV, and its slope in energy: from the
# fluxes of the maps at 10 and 100 TeV that the scripts of the 2023 analysis state.
SKY_PER_INNER, SKY_SLOPE = 0.130, -0.0555
SHAPE = "pi0 map x exp(-|b|/6 deg) x exp(-|l|/90 deg)"
REMARK = f"a proxy by shape and no model: {SHAPE}, spectrum of KRA-gamma published; not the KRA-gamma map"
REFERENCE = f"nuanalysis: {SHAPE}; {PUBLISHED}"


@dataclass(frozen=True, slots=True)
class Parameters:
    """Which published number the flux of the proxy agrees with; they differ by a sixth, for it is too compact."""

    spectrum: str = parameter(
        "published",
        "flux of the whole sky as published, or mean over |l| < 30, |b| < 4 deg as published",
        choices=("published", "inner-plane"),
    )


def make(parameters: Parameters, nside: int, *, cutoff: int, pi0: Template) -> Template:
    """The proxy with the published spectrum of the cut-off, 5 or 50 PeV.

    pi0 : whose map is made compact, any nside; finer than nside its pixels are averaged.
    Beyond the last published energy (1.6 and 9.2 PeV) the spectrum falls as between the last two.
    """
    fine = max(nside, pi0.nside)
    compact = hp.ud_grade(pi0.maps[0], fine) * _healpix.to_ring(_factor(fine))
    density = _healpix.normalised(hp.ud_grade(compact, nside))
    density.flags.writeable = False
    inner = inner_plane(cutoff, ENERGIES)
    if parameters.spectrum == "published":
        flux = 3.0 * inner * SKY_PER_INNER * 10.0 ** (SKY_SLOPE * (ENERGIES - 4.0))
    else:
        flux = inner * _box_solid_angle() / _share_of_box(compact)
    spectrum, at_pivot = _milky_way.tabulated(flux * 10.0 ** (-2.0 * ENERGIES))
    name, label = f"kra-gamma-compact-proxy-{cutoff}", f"compact proxy of KRA-gamma, {cutoff} PeV"
    model = f"published KRA-gamma-{cutoff} spectrum on a compact proxy shape"
    made = built_in(name, label, factorised(density), spectrum, f"{REFERENCE}; {pi0.reference}", flux=at_pivot)
    return replace(made, model=model, remarks=(f"{name}: {REMARK}", *pi0.remarks))


def _factor(nside: int) -> Floats:
    """The factor in latitude and longitude at the centres of equatorial NESTED pixels."""
    longitude, latitude = _healpix.galactic(np.arange(12 * nside**2), nside=nside)
    return np.asarray(np.exp(-np.abs(latitude) / LATITUDE_SCALE - np.abs(longitude) / LONGITUDE_SCALE))


def _share_of_box(compact: Floats) -> float:
    """Share of a map, (pixel,) RING, in |l| < 30, |b| < 4 deg, by the centres of its pixels."""
    nside = hp.npix2nside(len(compact))
    longitude, latitude = _healpix.galactic(np.arange(len(compact)), nside=nside)
    inside = (np.abs(longitude) < BOX_LONGITUDE) & (np.abs(latitude) < BOX_LATITUDE)
    return float(compact @ _healpix.to_ring(inside.astype(np.float64)) / compact.sum())


def _box_solid_angle() -> float:
    return float(4.0 * BOX_LONGITUDE * np.sin(BOX_LATITUDE))
