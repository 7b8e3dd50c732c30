"""Two templates side by side: how alike they are, and where they differ.

Everything is about the flux on the sky, before any detector; ``seen_by`` alone asks what a detector makes of it.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import healpy as hp
from nuanalysis.interpret.regions import REGIONS, Region, e2_flux, shares
from nuanalysis.response import Response, acceptance
from nuanalysis.schema import Floats, Spectrum
from nuanalysis.sky.records import GEV_PIVOT_LOG10, Template
from nuanalysis.sphere import harmonics, pixel_directions, regrade

WIDTHS = (float(np.radians(7.0)), float(np.radians(15.0)))  # of the smeared templates published with the 2023 analysis
LONGITUDE_EDGES = np.radians([-180.0, -120, -80, -50, -30, -10, 10, 30, 50, 80, 120, 180])
LATITUDE_EDGES = np.radians([-90.0, -30, -20, -12, -8, -5, -3, -2, -1, 0, 1, 2, 3, 5, 8, 12, 20, 30, 90])
PLANE = (float(np.radians(-8.0)), float(np.radians(8.0)))
INNER = (float(np.radians(-60.0)), float(np.radians(60.0)))
OUTER = (float(np.radians(60.0)), float(np.radians(300.0)))
PROFILE_BINS = (
    *(Region("l-bin", "", (one,), (PLANE,)) for one in pairwise(LONGITUDE_EDGES.tolist())),
    *(Region("b-bin", "", (part,), (one,)) for part in (INNER, OUTER) for one in pairwise(LATITUDE_EDGES.tolist())),
)
SHOWN_LOG10_ENERGIES = (3.0, GEV_PIVOT_LOG10, 6.0)  # GeV, of the maps of a template that changes with energy
REACH = 6.0  # harmonics up to REACH / width: beyond, a Gaussian leaves less than exp(-18) of them


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """Shares of the flux over the whole sky by bins of Galactic longitude and latitude.

    longitude (bin,) : |b| < 8 deg, edges ``LONGITUDE_EDGES``.
    inner_latitude, outer_latitude (bin,) : |l| < 60 deg and the rest, edges ``LATITUDE_EDGES``.
    """

    log10_energy: float
    longitude: Floats
    inner_latitude: Floats
    outer_latitude: Floats

    @property
    def per_degree(self) -> Floats:
        """Longitude profile, share per degree of longitude, (bin,)."""
        return np.asarray(self.longitude / np.degrees(np.diff(LONGITUDE_EDGES)))

    def latitude_per_sr(self, part: str) -> Floats:
        """Mean share per sr in each latitude bin, (bin,); part: 'inner' or 'outer'."""
        share, (low, high) = (self.inner_latitude, INNER) if part == "inner" else (self.outer_latitude, OUTER)
        return np.asarray(share / ((high - low) * np.diff(np.sin(LATITUDE_EDGES))))


@dataclass(frozen=True, slots=True)
class Likeness:
    """Cosine similarity of two maps after a Gaussian of ``width`` rad per axis; 0: as they are."""

    width: float
    cosine: float


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What ``compare`` found of two templates at one log10(E/GeV).

    share (2, region) of the flux of each template.    share_ratio (region,): of the first over the second.
    flux_ratio (region,): of E^2 dN/dE of the models themselves, first over second; NaN where either is relative.
    profiles : of each template.
    """

    names: tuple[str, str]
    log10_energy: float
    likeness: tuple[Likeness, ...]
    regions: tuple[Region, ...]
    share: Floats
    share_ratio: Floats
    flux_ratio: Floats
    profiles: tuple[Profiles, Profiles]


def profiles(template: Template, log10_energy: float = GEV_PIVOT_LOG10) -> Profiles:
    """Longitude and latitude profiles of a template at log10(E/GeV)."""
    return _profiles(log10_energy, shares(template.density_at(log10_energy)[None], PROFILE_BINS)[0])


def shown_profiles(template: Template) -> tuple[Profiles, ...]:
    """Profiles at 1 TeV, 100 TeV and 1 PeV of a template that changes with energy; of others at 100 TeV alone."""
    energies = SHOWN_LOG10_ENERGIES if len(template.maps) > 1 else (GEV_PIVOT_LOG10,)
    return tuple(profiles(template, energy) for energy in energies)


def _profiles(log10_energy: float, of_bins: Floats) -> Profiles:
    first = len(LONGITUDE_EDGES) - 1
    return Profiles(log10_energy, of_bins[:first], *np.split(of_bins[first:], 2))


def cosine(a: Floats, b: Floats, width: float = 0.0) -> float:
    """Cosine similarity of two maps (pixel,), equatorial RING, nside may differ: integral of a b over the norms.

    width : of the Gaussian both are smeared with first, rad per axis; 0 compares pixel by pixel at the finer nside.
    The square of it is the share of the test statistic that the wrong template keeps on a flat background.
    """
    if width == 0.0:
        nside = max(hp.npix2nside(len(a)), hp.npix2nside(len(b)))
        first, second = regrade(a, nside), regrade(b, nside)
        return float(first @ second / np.sqrt((first @ first) * (second @ second)))
    lmax = min(_lmax(a, width), _lmax(b, width))
    first_alm, second_alm = (_smeared_alm(density, width, lmax) for density in (a, b))
    norms = _product(first_alm, first_alm) * _product(second_alm, second_alm)
    return _product(first_alm, second_alm) / float(np.sqrt(norms))


def _lmax(density: Floats, width: float) -> int:
    return min(int(np.ceil(REACH / width)), 3 * int(hp.npix2nside(len(density))) - 1)


def _smeared_alm(density: Floats, width: float, lmax: int) -> NDArray[np.complex128]:
    degree = np.arange(lmax + 1)
    return np.asarray(hp.almxfl(harmonics(density, lmax), np.exp(-0.5 * degree * (degree + 1) * width**2)))


def _product(a: NDArray[np.complex128], b: NDArray[np.complex128]) -> float:
    """Integral over the sphere of the product of two real maps, from their harmonics (Parseval)."""
    twice = np.where(hp.Alm.getlm(hp.Alm.getlmax(len(a)))[1] > 0, 2.0, 1.0)
    return float((twice * (a * b.conj()).real).sum())


def smeared(density: Floats, width: float) -> Floats:
    """A map (pixel,) smeared with a Gaussian of ``width`` rad per axis, never below zero."""
    nside = hp.npix2nside(len(density))
    alm = _smeared_alm(density, width, _lmax(density, width))
    return np.asarray(np.maximum(hp.alm2map(alm, nside), 0.0))


def compare(a: Template, b: Template, log10_energy: float = GEV_PIVOT_LOG10) -> Comparison:
    """Compare two templates at log10(E/GeV); their resolutions may differ."""
    densities = [template.density_at(log10_energy) for template in (a, b)]
    likeness = tuple(Likeness(width, cosine(densities[0], densities[1], width)) for width in (0.0, *WIDTHS))
    wanted = (*REGIONS, *PROFILE_BINS)
    if a.nside == b.nside:
        found = shares(np.stack(densities), wanted)
    else:
        found = np.concatenate([shares(density[None], wanted) for density in densities])
    share, of_bins = found[:, : len(REGIONS)], found[:, len(REGIONS) :]
    known = a.flux > 0 and b.flux > 0
    whole = [float(e2_flux(t.spectrum, t.flux, np.asarray(log10_energy))) for t in (a, b)] if known else [np.nan, 1.0]
    with np.errstate(divide="ignore", invalid="ignore"):  # a region or, beyond its table, a model without flux
        ratio = share[0] / share[1]
        flux_ratio = ratio * np.float64(whole[0]) / np.float64(whole[1])
    return Comparison(
        (a.name, b.name),
        log10_energy,
        likeness,
        REGIONS,
        share,
        ratio,
        np.asarray(flux_ratio),
        (_profiles(log10_energy, of_bins[0]), _profiles(log10_energy, of_bins[1])),
    )


def seen_by(response: Response, template: Template, *, spectrum: Spectrum | None = None, width: float = 0.0) -> Floats:
    """Where the detected events of a template come from: density times acceptance, (pixel,) sr^-1, integral one.

    spectrum : the template's own by default.    width : of a Gaussian the result is smeared with, rad per axis.
    """
    sin_dec = np.sin(pixel_directions(template.nside)[1])
    parts = template.parts(template.spectrum if spectrum is None else spectrum)
    density = np.sum([part * acceptance(response, own, sin_dec) for part, own in parts], axis=0)
    density = smeared(density, width) if width > 0 else density
    return np.asarray(density / (density.mean() * 4 * np.pi))
