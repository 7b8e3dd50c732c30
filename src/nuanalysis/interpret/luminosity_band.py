"""How sure the ratio of luminosities is: every input drawn at once, then each held in turn.

The inputs are alternatives and ranges, not measured distributions: n0 alike in its logarithm, choices alike likely.
The band says how far the ratio moves with what may be chosen; it is no confidence interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nuanalysis.errors import InputError
from nuanalysis.interpret.luminosity import EVOLUTIONS, Geometry, of_milky_way, per_volume, xi_z
from nuanalysis.interpret.spectra import Galactic, Isotropic
from nuanalysis.schema import Floats, Ints

RHO_SFR = 0.015  # star formation today, solar masses / yr / Mpc^3: assumed
SFR_MILKY_WAY = (1.65, 1.9)  # solar masses / yr: assumed
RIGIDITY_PER_ENERGY = 20.0  # cosmic rays of this many times the energy make most neutrinos
LEAST = 0.1  # of a best fit: measured fluxes are not drawn below, where the logarithm of the ratio has no end
MIDDLE = {"evolution": 1, "isotropic": 0, "galactic": 0, "gas": 0, "cosmic_rays": 1}  # choices when held

#: What is drawn, in words.
PARTS = {
    "n0": "local density of galaxies n0",
    "evolution": "evolution of sources",
    "isotropic": "which isotropic flux",
    "isotropic_error": "errors of the isotropic flux",
    "galactic": "which Galactic template",
    "galactic_error": "error of the Galactic flux",
    "gas": "gas model",
    "cosmic_rays": "where the cosmic rays are",
}


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """One value of each input for every draw, (draw,); choices are numbers of their lists.

    isotropic_error : two standard normals, of norm and index, (2, draw).    galactic_error : strength of the flux in
    units of its best fit, for each Galactic flux, (flux, draw).    cosmic_rays : 0 or 1, see ``distances``.
    """

    n0: Floats
    evolution: Ints
    isotropic: Ints
    isotropic_error: Floats
    galactic: Ints
    galactic_error: Floats
    gas: Ints
    cosmic_rays: Ints
    sfr: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Everything that the draws choose from, at energies (energy,) TeV.

    xi (evolution, isotropic); intensity, low, high (isotropic, energy): E^2 Phi and relative errors; index_error
    (isotropic,); flux (galactic, energy): E^2 F; distance (galactic, gas, cosmic rays, energy) kpc.
    """

    energy: Floats
    xi: Floats
    intensity: Floats
    low: Floats
    high: Floats
    index_error: Floats
    flux: Floats
    distance: Floats


def draw(
    rng: np.random.Generator, n: int, *, isotropic: int, galactic: Sequence[Galactic], gas: int, n0: tuple[float, float]
) -> Draws:
    """n draws of all inputs.

    isotropic, gas : how many there are to choose from.    n0 : ends of its range, Mpc^-3.
    """
    return Draws(
        n0=np.exp(rng.uniform(np.log(n0[0]), np.log(n0[1]), size=n)),
        evolution=rng.integers(len(EVOLUTIONS), size=n),
        isotropic=rng.integers(isotropic, size=n),
        isotropic_error=rng.standard_normal((2, n)),
        galactic=rng.integers(len(galactic), size=n),
        galactic_error=np.stack([np.maximum(one.strengths.draws(rng, n), LEAST) for one in galactic]),
        gas=rng.integers(gas, size=n),
        cosmic_rays=rng.integers(2, size=n),
        sfr=rng.uniform(*SFR_MILKY_WAY, size=n),
    )


def held(draws: Draws, part: str) -> Draws:
    """The draws with one input at its middle: n0 at its median, fluxes at their best fits, the first choice of lists.

    Raises InputError for an input that is not drawn.
    """
    if part not in PARTS:
        raise InputError(f"'{part}' is no input of the ratio; expected one of {', '.join(PARTS)}")
    value = getattr(draws, part)
    if part in MIDDLE:
        middle = np.full_like(value, min(MIDDLE[part], int(value.max())))
    elif part == "n0":
        middle = np.full_like(value, np.exp(np.median(np.log(value))))
    else:
        middle = np.ones_like(value) if part == "galactic_error" else np.zeros_like(value)
    return replace(draws, **{part: middle})


def tabulated(
    energy: Floats, isotropic: Sequence[Isotropic], galactic: Sequence[Galactic], geometry: Sequence[Geometry]
) -> Tables:
    """The tables at energies (energy,) TeV.

    Raises InputError where a flux is not known or not positive: outside the energies that all of them reach.
    """
    found = [one.at(energy) for one in isotropic]
    best, low, high = (np.stack([one[k] for one in found]) for k in range(3))
    flux = np.stack([one.at(energy) for one in galactic])
    reached = ((best > 0) & np.isfinite(best)).all(axis=0) & np.isfinite(flux).all(axis=0)
    if not reached.all():
        raise InputError(
            f"not all fluxes are known at {', '.join(f'{one:g}' for one in energy[~reached])} TeV; ask between the "
            "energies that all of them reach"
        )
    return Tables(
        energy=energy,
        xi=np.array([[xi_z(one, each.index) for each in isotropic] for one in EVOLUTIONS]),
        intensity=best,
        low=low / best,
        high=high / best,
        index_error=np.array([one.index_error for one in isotropic]),
        flux=flux,
        distance=np.stack([distances(one, geometry, energy) for one in galactic]),
    )


def distances(galactic: Galactic, geometry: Sequence[Geometry], energy: Floats) -> Floats:
    """<r^-2>^(-1/2) in kpc for the cosmic rays of a template, (gas, cosmic rays, energy).

    A KRA-gamma-like template: its own cosmic rays, between 10 TV and 1 PV by the rigidity that makes these neutrinos,
    twice.  Others: cosmic rays that are flat, and those of supernova remnants with constant diffusion.
    """
    gases = dict.fromkeys(one.gas for one in geometry)
    rows = [[one.distance for one in geometry if one.gas == gas] for gas in gases]
    flat, constant, low, high = np.array(rows).T[:, :, None]
    part = np.clip((np.log10(RIGIDITY_PER_ENERGY * energy) + 3.0 - 4.0) / 2.0, 0.0, 1.0)
    rising = low + part * (high - low)
    both = (rising, rising) if "kra" in galactic.template else (flat + 0.0 * part, constant + 0.0 * part)
    return np.stack(both, axis=1)


def ratios(draws: Draws, tables: Tables) -> tuple[Floats, Floats]:
    """L_EG / L_MW per galaxy, and per star formation (without n0), (energy, draw) each."""
    normal, tilt = draws.isotropic_error
    side = np.where(normal < 0, tables.low[draws.isotropic].T, tables.high[draws.isotropic].T)
    steeper = (tables.energy[:, None] / 100.0) ** (-tilt * tables.index_error[draws.isotropic])
    intensity = tables.intensity[draws.isotropic].T * np.maximum(1.0 + normal * side, LEAST) * steeper
    emitted = per_volume(intensity, tables.xi[draws.evolution, draws.isotropic])
    strength = draws.galactic_error[draws.galactic, np.arange(len(draws.n0))]
    flux = tables.flux[draws.galactic].T * strength
    ours = of_milky_way(flux, tables.distance[draws.galactic, draws.gas, draws.cosmic_rays].T)
    return emitted / draws.n0 / ours, emitted / RHO_SFR / (ours / draws.sfr)


@dataclass(frozen=True, slots=True)
class Part:
    """What one input carries of the spread of a ratio.

    share : of the variance of ln(ratio) that goes when it is held; left : factor from 5 to 95 % that then remains.
    """

    name: str
    share: float
    left: float


def parts(draws: Draws, tables: Tables) -> tuple[Part, ...]:
    """What each input carries of the ratio per galaxy at the first energy of the tables, largest first."""
    whole = np.log(ratios(draws, tables)[0][0])
    found = []
    for name in PARTS:
        rest = np.log(ratios(held(draws, name), tables)[0][0])
        low, high = np.quantile(rest, (0.05, 0.95))
        found.append(Part(PARTS[name], float(1.0 - rest.var() / whole.var()), float(np.exp(high - low))))
    return tuple(sorted(found, key=lambda one: -one.share))
