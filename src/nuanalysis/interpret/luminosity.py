"""Neutrino luminosity of the Milky Way beside that of an average galaxy.

The relations are the usual ones (Waxman & Bahcall, Phys. Rev. D 59, 023002, 1999).  That Fang, Gallagher & Halzen,
arXiv:2306.17275, use exactly these is not confirmed: only their abstract was read.
Luminosities are E^2 dN/dE/dt per natural logarithm of energy, one flavour, nu + nubar.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy import GAS, SOURCES, sight, transport, volume
from nuanalysis.sky.galaxy.sources import HALO_RADIUS, KPC_CM

ERG_PER_TEV = 1.602176634
HUBBLE, OMEGA_MATTER, LIGHT = 70.0, 0.3, 299_792.458  # km/s/Mpc; flat; km/s
HUBBLE_DISTANCE = LIGHT / HUBBLE  # Mpc
MPC_CM = 1e3 * KPC_CM
FARTHEST = 6.0  # redshift
STATEMENT = "one to two orders of magnitude lower than the average of distant galaxies"
STATEMENT_SOURCE = "Fang, Gallagher & Halzen, arXiv:2306.17275, abstract"
STATED = (10.0, 100.0)  # the statement as a band of the ratio


@dataclass(frozen=True, slots=True)
class Evolution:
    """How the emission of galaxies per comoving volume grew with redshift: a function of z, 1 today."""

    name: str
    density: Callable[[Floats], Floats]
    reference: str


def madau_dickinson(z: Floats) -> Floats:
    """Star formation, (1 + z)^2.7 / (1 + ((1 + z) / 2.9)^5.6), 1 at z = 0; Madau & Dickinson (2014), eq. 15."""

    today = 1.0 / (1.0 + 2.9**-5.6)
    one = 1.0 + z
    return np.asarray(one**2.7 / (1.0 + (one / 2.9) ** 5.6) / today)


def broken(z: Floats) -> Floats:
    """(1 + z)^3.4 to z = 1, then ^-0.3 to z = 4, then ^-3.5; continuous."""
    one = 1.0 + np.asarray(z)
    rise = np.minimum(one, 2.0) ** 3.4
    middle = (np.clip(one, 2.0, 5.0) / 2.0) ** -0.3
    return np.asarray(rise * middle * (np.maximum(one, 5.0) / 5.0) ** -3.5)


EVOLUTIONS: tuple[Evolution, ...] = (
    Evolution("none", lambda z: np.ones(np.shape(z)), "no evolution"),
    Evolution("madau-dickinson", madau_dickinson, "Madau & Dickinson, ARA&A 52, 415 (2014), eq. 15"),
    Evolution("broken", broken, "star formation as a broken power law, as usual in studies of diffuse fluxes"),
)


def xi_z(evolution: Evolution, index: float) -> float:
    """int_0^6 dz f(z) (1 + z)^-index / sqrt(Om (1 + z)^3 + 1 - Om); index : of the isotropic flux.

    A neutrino of E left its source with (1 + z) E, and dt = dz / H (1 + z).
    """
    width = FARTHEST / 20_000
    z = np.asarray((np.arange(20_000) + 0.5) * width, dtype=np.float64)
    expansion = np.sqrt(OMEGA_MATTER * (1.0 + z) ** 3 + 1.0 - OMEGA_MATTER)
    return float((evolution.density(z) * (1.0 + z) ** -index / expansion).sum() * width)


def of_average_galaxy(intensity: Floats, n0: Floats, xi: Floats) -> Floats:
    """4 pi (E^2 Phi) H0 / (c n0 xi_z), erg/s.

    intensity : E^2 Phi, TeV cm^-2 s^-1 sr^-1.    n0 : galaxies per Mpc^3 today.    Shapes broadcast.
    """
    return per_volume(intensity, xi) / n0


def per_volume(intensity: Floats, xi: Floats) -> Floats:
    """4 pi (E^2 Phi) H0 / (c xi_z), erg/s per Mpc^3: what a Mpc^3 emits today, however many galaxies share it."""
    return np.asarray(4.0 * np.pi * intensity * ERG_PER_TEV * MPC_CM**2 / (HUBBLE_DISTANCE * xi))


def of_milky_way(flux: Floats, distance: Floats) -> Floats:
    """4 pi (E^2 F) / <r^-2>, erg/s.

    flux : E^2 F integrated over the sky, TeV cm^-2 s^-1.    distance : <r^-2>^(-1/2), kpc.    Shapes broadcast.
    """
    return np.asarray(4.0 * np.pi * flux * ERG_PER_TEV * (distance * KPC_CM) ** 2)


HALO_HEIGHT = 4.0  # kpc
_NEAR_STEPS = 60  # of the first kpc; what is bounded to the inner Galaxy does not reach it
_CONSTANT = transport.Diffusion(halo_height=HALO_HEIGHT)
_KRA = transport.Diffusion(slope=0.035, centre=0.21, vertical_scale=4.0, halo_height=HALO_HEIGHT)


@dataclass(frozen=True, slots=True)
class CosmicRays:
    """Where cosmic rays are: a law of sources and their diffusion at a rigidity, or flat within 20 kpc."""

    name: str
    sources: str = ""
    diffusion: transport.Diffusion = _CONSTANT
    log10_rigidity: float = 4.0

    def relative(self, radius: Floats) -> Floats:
        """Density relative to the Sun's at R, (radius,)."""
        if not self.sources:
            return (radius < HALO_RADIUS).astype(np.float64)
        at = np.array([self.log10_rigidity])
        return np.asarray(transport.relative_density(SOURCES[self.sources], self.diffusion, radius, at)[0])


#: As in the templates 'pi0-like' and 'kra-gamma-like', the latter at two rigidities.
COSMIC_RAYS: tuple[CosmicRays, ...] = (
    CosmicRays("flat"),
    CosmicRays("constant diffusion, SNR", "case-1998", _CONSTANT),
    CosmicRays("KRA-like, 10 TV", "ferriere-2001", _KRA, 4.0),
    CosmicRays("KRA-like, 1 PV", "ferriere-2001", _KRA, 6.0),
)


@dataclass(frozen=True, slots=True)
class Geometry:
    """How far the emission is: <r^-2>^(-1/2) in kpc, r from the Sun, weighted with gas x cosmic rays.

    near : share of the flux that comes from less than 1 kpc.
    """

    gas: str
    cosmic_rays: str
    distance: float
    near: float


def geometries(gas: str, cosmic_rays: tuple[CosmicRays, ...] = COSMIC_RAYS) -> tuple[Geometry, ...]:
    """The geometry of each distribution of cosmic rays on one gas model.

    <r^-2> = int ds dOmega eps / int dV eps; cosmic rays thin out as 1 - |z| / 4 kpc and end 20 kpc from the axis.
    """
    model = GAS[gas]
    lines = sight.trace(model, halo_height=HALO_HEIGHT)
    near = sight.trace(sight.unbounded(model), halo_height=HALO_HEIGHT, end=1.0, n_steps=_NEAR_STEPS)
    relative = np.stack([one.relative(sight.KNOTS) for one in cosmic_rays], axis=1)
    seen, close = (sight.sky_integral(one, one.columns @ relative) for one in (lines, near))
    made = volume.contents(model, halo_height=HALO_HEIGHT) @ relative
    distances = np.sqrt(made / seen) / KPC_CM
    parts = zip(cosmic_rays, distances, close / seen, strict=True)
    return tuple(Geometry(gas, one.name, float(kpc), float(share)) for one, kpc, share in parts)
