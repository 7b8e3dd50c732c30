"""How much of a gamma-ray flux the fitted neutrinos account for, were all of them from collisions of nuclei.

R = (E_nu^2 phi_nu at E_gamma / 2) / (E_gamma^2 phi_gamma / 2).  R = 1: all of the gamma rays are hadronic; R < 1: at
most that share is; R > 1: more neutrinos than these gamma rays allow (sources that were masked, or a spectrum that is
steeper than assumed), and never a fraction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.errors import DataError
from nuanalysis.interpret.regions import Region
from nuanalysis.interpret.spectra import Points
from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy import COSMIC_RAYS, YIELDS, absorption, emissivity, sight
from nuanalysis.sky.galaxy.gas import Gas

NEUTRINO_SHARE = 0.5  # of the energy of the gamma ray: E_nu = E_gamma / 2
CHARGED_TO_NEUTRAL = 2.0  # K of proton-proton collisions
LEAST = 0.1  # of a gamma-ray flux: not drawn below
PIVOT = 50.0  # TeV, of power laws through gamma-ray spectra
LEAST_OF_YIELDS = float(np.log10(300.0))  # log10(E / GeV) of gamma rays; their protons are then above 0.1 TeV
_LONGITUDES, _LATITUDES = 24, 80  # of the directions in a region


def neutrinos_beside(e2_gamma: Floats) -> Floats:
    """E_nu^2 phi_nu per flavour at E_gamma / 2 from E_gamma^2 phi_gamma: K / 4 times it, K = 2; any unit."""
    return np.asarray(CHARGED_TO_NEUTRAL / 4.0 * e2_gamma)


def gamma_rays_beside(e2_neutrino: Floats) -> Floats:
    """E_gamma^2 phi_gamma at 2 E_nu from E_nu^2 phi_nu per flavour: the inverse of ``neutrinos_beside``."""
    return np.asarray(e2_neutrino * 4.0 / CHARGED_TO_NEUTRAL)


def equal_energy_ratio(index: float) -> float:
    """phi_nu / phi_gamma at one energy for E^-index: 2^(1 - index), 0.308 for 2.7."""
    return float(neutrinos_beside(np.array(1.0)) * NEUTRINO_SHARE ** (index - 2.0))


def of_yields(log10_energy: Floats, yields: str = "kelner", cosmic_rays: str = "h3a") -> Floats:
    """Neutrinos at E/2 that cross sections give, over those of ``neutrinos_beside``, at gamma-ray energies (energy,).

    log10_energy : log10(E_gamma / GeV).    yields, cosmic_rays : names of ``sky.galaxy``.  The same collisions make
    both.  NaN below 0.3 TeV, where no yields are stated.  Raises InputError where they are an extra that is not
    installed.
    """
    known = log10_energy >= LEAST_OF_YIELDS
    if not known.all():
        found = np.full(len(log10_energy), np.nan)
        found[known] = of_yields(log10_energy[known], yields, cosmic_rays) if known.any() else np.nan
        return found
    half = np.log10(NEUTRINO_SHARE)
    made = YIELDS[yields], COSMIC_RAYS[cosmic_rays]
    neutrinos = emissivity.local(log10_energy + half, made[1], made[0])
    gamma_rays = emissivity.local_gamma_rays(log10_energy, made[1], made[0])
    return np.asarray(10.0 ** (2 * half) * neutrinos / neutrinos_beside(gamma_rays))


def distance_weights(part: Region, gas: Gas, relative: Floats, *, halo_height: float = 4.0) -> Floats:
    """How much of the emission of a region lies at each of ``sight.DISTANCES``, (distance,), summing to one.

    relative : (knot,) density of cosmic rays at ``sight.KNOTS``.  Gas x cosmic rays along lines of sight.
    """
    weights = np.zeros(len(sight.DISTANCES))
    middle_l, middle_b = ((np.arange(n) + 0.5) / n for n in (_LONGITUDES, _LATITUDES))
    for low, high in part.longitudes:
        for south, north in part.latitudes:
            longitude, latitude = np.meshgrid(low + (high - low) * middle_l, south + (north - south) * middle_b)
            area = (high - low) * (north - south) * np.cos(latitude.ravel())
            made = sight.by_distance(gas, relative, longitude.ravel(), latitude.ravel(), halo_height=halo_height)
            weights += area @ made
    return np.asarray(weights / weights.sum())


def survival(weights: Floats, energy: Floats) -> Floats:
    """Share of the gamma rays that reach the Sun at energies (energy,) TeV: mean of exp(-s / lambda) over ``weights``.

    weights : (..., distance) of ``distance_weights``.    Returns (..., energy).  The microwave background alone.
    """
    through = absorption.survival(sight.DISTANCES, np.log10(energy) + 3.0)
    return np.asarray(weights @ through.T)


@dataclass(frozen=True, slots=True, eq=False)
class Ratios:
    """R at every point of a spectrum, (point,) each.

    best : with best fits.    median, low, high : of the draws, 68 %.    above_one : share of draws with R > 1.
    mean : (4,) median, low, high and share above one of the geometric mean over all points: there independent errors
        average and common ones do not.
    """

    best: Floats
    median: Floats
    low: Floats
    high: Floats
    above_one: Floats
    mean: Floats


def ratios(points: Points, e2_neutrino: Floats, strengths: Floats, rng: np.random.Generator) -> Ratios:
    """R of gamma-ray points and the neutrinos beside them.

    e2_neutrino : (point,) best fit at half the energy, in the unit of the points.    strengths : (draw,) of the
    neutrino flux in units of it, common to all points.
    Statistical errors of the gamma rays are independent, systematic ones move all points together; each side has its
    own.  Where no systematic error was given none is drawn.
    """
    n, best = len(strengths), e2_neutrino / neutrinos_beside(points.value)
    low, high, sys_low, sys_high = (
        np.nan_to_num(one / points.value) for one in (points.err_low, points.err_high, points.sys_low, points.sys_high)
    )
    normal, common = rng.standard_normal((n, len(points))), rng.standard_normal((n, 1))
    moved = np.maximum(1.0 + normal * np.where(normal < 0, low, high), LEAST)
    scaled = np.maximum(1.0 + common * np.where(common < 0, sys_low, sys_high), LEAST)
    drawn = best * strengths[:, None] / (moved * scaled)
    known = drawn[:, np.isfinite(best)] if np.isfinite(best).any() else drawn
    with np.errstate(divide="ignore"):  # a strength of 0 is a ratio of 0
        mean = np.exp(np.log(known).mean(axis=1))
    median, lower, upper, above_one = _summary(drawn)
    return Ratios(best, median, lower, upper, above_one, _summary(mean))


def _summary(drawn: Floats) -> Floats:
    """Median, ends of 68 % and share above one of the draws along the first axis, (4, ...)."""
    return np.stack([*np.quantile(drawn, (0.5, 0.16, 0.84), axis=0), (drawn > 1.0).mean(axis=0)])


@dataclass(frozen=True, slots=True)
class PowerLawFit:
    """dN/dE = norm (E / 50 TeV)^-index through points: TeV^-1 cm^-2 s^-1 sr^-1, with errors, chi^2 and its degrees."""

    norm: float
    norm_error: float
    index: float
    index_error: float
    chi2: float
    degrees: int


def power_law(points: Points, *, systematic: bool) -> PowerLawFit:
    """A straight line through ln(dN/dE) against ln(E); the mean of both errors, with systematic ones if asked.

    Relative errors weigh, so that a point is worth the same above and below the line; with errors as they are the
    steep spectra of gamma rays are drawn to their low points.  Raises DataError where fewer than three points have an
    error.
    """
    error = 0.5 * (points.err_low + points.err_high)
    if systematic:
        error = np.hypot(error, 0.5 * (points.sys_low + points.sys_high))
    used = np.isfinite(error) & (error > 0)
    if used.sum() < 3:
        raise DataError(f"{int(used.sum())} points have an error; a power law needs three")
    x, width = np.log(points.energy[used] / PIVOT), (error / points.value)[used]
    y = np.log((points.value / points.energy**2)[used])
    design = np.stack([np.ones_like(x), -x], axis=1) / width[:, None]
    covariance = np.linalg.inv(design.T @ design)
    found = covariance @ design.T @ (y / width)
    chi2 = float(np.sum((y / width - design @ found) ** 2))
    (norm_error, index_error), norm = np.sqrt(np.diag(covariance)), float(np.exp(found[0]))
    return PowerLawFit(norm, norm * float(norm_error), float(found[1]), float(index_error), chi2, len(x) - 2)


def e2_at(points: Points, energy: float, index: float) -> float:
    """E^2 dN/dE at an energy in TeV: that of the nearest point, carried there with E^-index."""
    nearest = int(np.abs(np.log(points.energy / energy)).argmin())
    return float(points.value[nearest] * (energy / points.energy[nearest]) ** (2.0 - index))
