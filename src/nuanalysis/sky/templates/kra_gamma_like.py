"""KRA-gamma-like templates: diffusion that depends on the distance from the Centre, so that the spectrum does too.

After the idea of Gaggero et al., ApJ Lett. 815, L25 (2015), arXiv:1504.00227: the inner Galaxy is brighter and its
spectrum harder than with diffusion that is alike everywhere.  Not the maps of that paper: the gas is analytic, the
coefficients of delta(R) are not confirmed, the local cosmic rays are an own choice, and there is no wind.  The shape
is alike (scaled to the published inner plane, the flux of the whole sky comes out within 2 % of the published one);
the physical flux at 100 TeV is 0.39 of the published one with the default gas, 0.6 and 0.8 with the others (with
yields=kelner, the default; 0.35 of it with the default gas and yields=aafrag).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from importlib.resources import files

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy import COSMIC_RAYS, GAS, SOURCES, YIELDS, cosmic_rays, emissivity, sight, transport
from nuanalysis.sky.records import Template
from nuanalysis.sky.templates import _milky_way
from nuanalysis.sky.templates._milky_way import ENERGIES
from nuanalysis.sky.templates._recipe import Recipe, built_in, parameter

NODES = np.arange(0, 81, 4)  # of ENERGIES: four in each decade from 100 GeV to 10 PeV
BOX_LONGITUDE, BOX_LATITUDE = np.radians(30.0), np.radians(4.0)
PUBLISHED = (
    "inner-plane spectrum of Gaggero et al., ApJ Lett. 815, L25 (2015), arXiv:1504.00227, figure 2, as digitised in "
    "toise (MIT)"
)
# E / TeV and all-flavour E^2 dN/dE in GeV cm^-2 s^-1 sr^-1, mean over |l| < 30, |b| < 4 deg; PUBLISHED.
INNER_PLANE = {
    cutoff: np.loadtxt(str(files("nuanalysis.sky.templates") / f"kra_gamma_inner_plane_{cutoff}.csv"), delimiter=",")
    for cutoff in (5, 50)
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the template is made from."""

    gas: str = parameter("bronfman-ferriere", "gas model", choices=tuple(GAS))
    sources: str = parameter("ferriere-2001", "where cosmic rays come from", choices=tuple(SOURCES))
    slope: float = parameter(0.035, "A of delta(R) = A R + B, per kpc; as at 11 kpc beyond", low=-0.05, high=0.1)
    centre: float = parameter(0.21, "B of delta(R) = A R + B", low=-0.1, high=1.0)
    vertical_scale: float = parameter(
        4.0, "z_t in kpc of a diffusion that grows as exp(|z| / z_t); 0 = none", low=0.0, high=100.0
    )
    halo_height: float = parameter(4.0, "half-height of the halo of cosmic rays, kpc", low=1.0, high=20.0)
    cosmic_rays: str = parameter(
        "kra",
        "cosmic rays at the Sun; h3a and h4a have knees of their own, not the cut-off",
        choices=("kra", *COSMIC_RAYS),
    )
    yields: str = parameter("kelner", "cross sections", choices=tuple(YIELDS))
    spectrum: str = parameter(
        "physical", "that of the model, or scaled to the published inner plane", choices=("physical", "published")
    )


def make(parameters: Parameters, nside: int, *, cutoff: int) -> Template:
    """The KRA-gamma-like template with a cut-off of the cosmic rays at 5 or 50 PeV per nucleon.

    Maps at four energies in each decade from 100 GeV to 10 PeV; spectrum from 100 GeV to 100 PeV.
    spectrum = 'published': our morphology, and at each energy the flux for which the mean over |l| < 30, |b| < 4 deg is
    that of the digitised figure; beyond its last point (1.6 and 9.2 PeV) the physical spectrum, scaled to join there.
    """
    p = parameters
    lines = _lines(p.gas, p.halo_height)
    values = lines.columns @ _emissivity(p, cutoff)
    flux = sight.sky_integral(lines, values)
    if p.spectrum == "published":
        inner = sight.box_mean(lines, values, longitude=BOX_LONGITUDE, latitude=BOX_LATITUDE)
        flux = flux * to_published(inner, cutoff)
    spectrum, at_pivot = _milky_way.tabulated(flux)
    name, label = f"kra-gamma-like-{cutoff}", f"analytic KRA-gamma-like, {cutoff} PeV"
    maps = _milky_way.maps(lines, values[:, NODES], nside), ENERGIES[NODES]
    made = built_in(name, label, maps, spectrum, reference(p, cutoff=cutoff), flux=at_pivot)
    published = f"published KRA-gamma-{cutoff} spectrum on our shape"
    return replace(made, model=published if p.spectrum == "published" else f"our {name}")


@lru_cache(maxsize=1)  # dearer than all else of a template; a family on one gas model asks for the same
def _lines(gas: str, halo_height: float) -> sight.Lines:
    return sight.trace(GAS[gas], halo_height=halo_height)


def to_published(inner: Floats, cutoff: int) -> Floats:
    """Factor from our mean over the inner plane to the published one, (energy,).

    inner : (energy,) at ENERGIES, per flavour, GeV^-1 cm^-2 s^-1 sr^-1.
    """
    end = np.log10(INNER_PLANE[cutoff][-1, 0]) + 3.0
    wanted = inner_plane(cutoff, np.minimum(ENERGIES, end))
    ours = 10.0 ** (2 * ENERGIES) * inner
    ours_at_end = 10.0 ** np.interp(end, ENERGIES, np.log10(ours))
    return np.asarray(wanted / np.where(end < ENERGIES, ours_at_end, ours))


def inner_plane(cutoff: int, log10_energy: Floats) -> Floats:
    """The published E^2 dN/dE per flavour, mean over |l| < 30, |b| < 4 deg, GeV cm^-2 s^-1 sr^-1; any shape.

    Beyond its last point it falls as between the last two; the first lies at 11 GeV.
    """
    energy, e2_flux = INNER_PLANE[cutoff].T
    at, value = np.log10(energy) + 3.0, np.log10(e2_flux / 3.0)
    within = scipy.interpolate.PchipInterpolator(at, value)(np.minimum(log10_energy, at[-1]))
    slope = (value[-1] - value[-2]) / (at[-1] - at[-2])
    return np.asarray(10.0 ** (within + slope * np.maximum(log10_energy - at[-1], 0.0)))


def reference(parameters: Parameters, *, cutoff: int) -> str:
    """What the template is made from."""
    p = parameters
    parts = [
        "idea of Gaggero et al., arXiv:1504.00227",
        GAS[p.gas].reference,
        f"sources of {SOURCES[p.sources].reference}",
        f"delta(R) = {p.slope:g} R/kpc + {p.centre:g}, halo of {p.halo_height:g} kpc",
        _local(p, cutoff).reference,
        YIELDS[p.yields].reference,
    ]
    return "nuanalysis, analytic: " + "; ".join(parts + [PUBLISHED] * (p.spectrum == "published"))


def _local(parameters: Parameters, cutoff: int) -> cosmic_rays.LocalSpectrum:
    own = COSMIC_RAYS.get(parameters.cosmic_rays)
    return own if own is not None else cosmic_rays.kra_like(float(np.log10(cutoff * 1e6)))


def _emissivity(parameters: Parameters, cutoff: int) -> Floats:
    """Per hydrogen atom at the knots of the lines, (knot, energy) GeV^-1 s^-1 sr^-1, one flavour."""
    p = parameters
    diffusion = transport.Diffusion(p.slope, p.centre, p.vertical_scale, halo_height=p.halo_height)
    relative = partial(transport.relative_density, SOURCES[p.sources], diffusion, sight.KNOTS)
    return emissivity.everywhere(ENERGIES, _local(p, cutoff), YIELDS[p.yields], relative)


def _recipe(cutoff: int) -> Recipe:
    return Recipe(
        f"kra-gamma-like-{cutoff}",
        f"cosmic rays whose spectrum is harder towards the Centre, cut off at {cutoff} PeV per nucleon",
        reference(Parameters(), cutoff=cutoff),
        Parameters,
        partial(make, cutoff=cutoff),
    )


RECIPE_5 = _recipe(5)
RECIPE_50 = _recipe(50)
