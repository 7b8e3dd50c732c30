"""A pi0-like template from public formulas alone: cosmic rays from supernova remnants on the gas of the Milky Way.

It stands in where the published map is absent, and is always named 'pi0-like', never 'pi0': it has no spiral arms, no
clouds, no warp.  Its shape error is of the size of the difference between published models (docs: 5-15 % in TS).
Cosmic rays diffuse alike everywhere, so that the morphology is the same at all energies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.schema import Floats, Spectrum
from nuanalysis.sky.galaxy import COSMIC_RAYS, GAS, SOURCES, YIELDS, emissivity, sight, transport
from nuanalysis.sky.galaxy.sight import Lines
from nuanalysis.sky.galaxy.sources import R_SUN
from nuanalysis.sky.records import PowerLaw, Template, factorised
from nuanalysis.sky.templates import _milky_way
from nuanalysis.sky.templates._recipe import Recipe, built_in, index_parameter, parameter

SMALLEST_RADIUS = 0.5  # kpc; within, a falling radial_index would diverge


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the template is made from; the last three bend it for studies and are off by default."""

    gas: str = parameter("bronfman-ferriere", "gas model", choices=tuple(GAS))
    sources: str = parameter("case-1998", "where cosmic rays come from", choices=tuple(SOURCES))
    halo_height: float = parameter(4.0, "half-height of the halo of cosmic rays, kpc", low=1.0, high=20.0)
    spectrum: str = parameter(
        "power-law", "a power law, or that of the physical model with its flux", choices=("power-law", "physical")
    )
    index: float = index_parameter(2.7)
    cosmic_rays: str = parameter("h3a", "cosmic rays at the Sun (physical spectrum)", choices=tuple(COSMIC_RAYS))
    yields: str = parameter("kelner", "cross sections (physical spectrum)", choices=tuple(YIELDS))
    radial_index: float = parameter(0.0, "x of a factor (R / 8.5 kpc)^x on the emissivity", low=-3.0, high=3.0)
    longitude_scale: float = parameter(0.0, "x in deg of a factor exp(-|l| / x); 0 = none", low=0.0, high=1000.0)
    latitude_scale: float = parameter(0.0, "x in deg of a factor exp(-|b| / x); 0 = none", low=0.0, high=1000.0)


def make(parameters: Parameters, nside: int) -> Template:
    """The pi0-like template; its flux is that of the physical model, and 0 with a power law.

    At 100 TeV the physical flux is 1.60 times the gamma-ray model extrapolated with E^-2.7 (4.53e-12 TeV cm^-2 s^-1),
    1.84 with nakanishi-sofue and 2.37 with ferriere (yields=kelner, the default); 1.42, 1.63, 2.10 with yields=aafrag.

    64 is enough for cascades, 128 for tracks.
    """
    p = parameters
    lines = sight.trace(GAS[p.gas], halo_height=p.halo_height)
    values = (lines.columns @ density(p) * _bent(lines, p))[:, None]
    spectrum: Spectrum = PowerLaw(p.index)
    flux = 0.0
    if p.spectrum == "physical":
        local = emissivity.local(_milky_way.ENERGIES, COSMIC_RAYS[p.cosmic_rays], YIELDS[p.yields])
        spectrum, flux = _milky_way.tabulated(local * sight.sky_integral(lines, values))
    maps = factorised(_milky_way.maps(lines, values, nside)[0])
    return built_in("pi0-like", "analytic pi0-like", maps, spectrum, reference(p), flux=flux)


def reference(parameters: Parameters) -> str:
    """What the template is made from."""
    p = parameters
    parts = [GAS[p.gas].reference, f"sources of {SOURCES[p.sources].reference}", f"halo of {p.halo_height:g} kpc"]
    if p.spectrum == "physical":
        parts += [COSMIC_RAYS[p.cosmic_rays].reference, YIELDS[p.yields].reference]
    return "nuanalysis, analytic: " + "; ".join(parts)


def density(parameters: Parameters) -> Floats:
    """Density of cosmic rays relative to the Sun's at the knots of the lines, (knot,), as asked for."""
    diffusion = transport.Diffusion(halo_height=parameters.halo_height)
    law = SOURCES[parameters.sources]
    relative = transport.relative_density(law, diffusion, sight.KNOTS, transport.LOG10_RIGIDITIES[:1])[0]
    return np.asarray(relative * (np.maximum(sight.KNOTS, SMALLEST_RADIUS) / R_SUN) ** parameters.radial_index)


def _bent(lines: Lines, parameters: Parameters) -> Floats:
    """The factors in longitude and latitude at the nodes of the lines, (node,)."""
    grid = (lines.longitudes, parameters.longitude_scale), (lines.latitudes, parameters.latitude_scale)
    along, across = (np.exp(-np.degrees(np.abs(x)) / scale) if scale else np.ones_like(x) for x, scale in grid)
    return np.asarray(np.multiply.outer(along, across).ravel())


RECIPE = Recipe(
    "pi0-like", "cosmic rays on gas, one morphology at all energies", reference(Parameters()), Parameters, make
)
