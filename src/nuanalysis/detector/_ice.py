"""Ice: refraction, checks of a model's layers, and path averages between two heights at the cost of one difference.

Refraction of South Pole ice: Price & Woschnagg, Astropart. Phys. 15, 97 (2001), in the polynomials of ppc.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from nuanalysis.detector._records import Ice
from nuanalysis.errors import DataError, refuse
from nuanalysis.schema import Floats

SPEED_OF_LIGHT = 0.299792458  # m/ns
WAVELENGTH = 400.0  # nm, of the layers and of the table of light
#: z = this - depth: the centre of the array below the surface, m (its geometry file).
CENTRE_DEPTH = 1948.07
_PHASE = (1.55749, -1.57988, 3.99993, -4.68271, 2.09354)  # of the wavelength in um, rising powers
_GROUP = (1.227106, -0.954648, 1.42568, -0.711832)  # over the phase index
_STEP, _REACH = 5.0, 1000.0  # m: of the cumulative sums, and to where from the centre


def phase_index(wavelength: ArrayLike = WAVELENGTH) -> Floats:
    """Refractive index n at wavelengths (...,) in nm, 300 to 600.

    >>> round(float(phase_index(400.0)), 4)
    1.3194
    """
    return np.asarray(np.polynomial.Polynomial(_PHASE)(np.asarray(wavelength, dtype=np.float64) * 1e-3))


def group_index(wavelength: ArrayLike = WAVELENGTH) -> Floats:
    """Index of the speed of light pulses, at wavelengths (...,) in nm, 300 to 600.

    >>> round(float(group_index(400.0)), 4)
    1.3561
    """
    ratio = np.polynomial.Polynomial(_GROUP)(np.asarray(wavelength, dtype=np.float64) * 1e-3)
    return np.asarray(phase_index(wavelength) * ratio)


def cherenkov_angle(wavelength: ArrayLike = WAVELENGTH) -> Floats:
    """Angle between a fast particle and its light, rad, at wavelengths (...,) in nm.

    >>> round(float(np.degrees(cherenkov_angle(400.0))), 1)
    40.7
    """
    return np.asarray(np.arccos(1.0 / phase_index(wavelength)))


#: Of pulses of light at 400 nm, m/ns: 0.22107.
LIGHT_SPEED = SPEED_OF_LIGHT / float(group_index(WAVELENGTH))


def ice_from_table(label: str, reference: str, *, depth: Floats, scattering: Floats, absorption: Floats) -> Ice:
    """Ice from layers, (layer,) each, m: depths of their middles, *effective* scattering and absorption at 400 nm.

    Raises DataError for lengths that are not of ice: geometric scattering lengths are a tenth of the effective ones.
    """
    depth, scattering, absorption = (np.asarray(one, dtype=np.float64) for one in (depth, scattering, absorption))
    faults = _faults(depth, scattering, absorption)
    refuse(faults, f"the ice '{label}' cannot be used", "give depths and lengths in m", error=DataError)
    order = np.argsort(-depth)
    return Ice(label, reference, CENTRE_DEPTH - depth[order], scattering[order], absorption[order])


def _faults(depth: Floats, scattering: Floats, absorption: Floats) -> list[str]:
    if (
        not depth.ndim == scattering.ndim == absorption.ndim == 1
        or len({len(depth), len(scattering), len(absorption)}) > 1
    ):
        return [f"shapes {depth.shape}, {scattering.shape}, {absorption.shape} differ or are no columns"]
    if len(depth) < 2 or not (np.diff(np.sort(depth)) > 0.0).all():
        return [f"{len(depth)} layers at {len(np.unique(depth))} depths; at least 2, each at its own, are needed"]
    faults = []
    if not (np.isfinite(depth).all() and depth.min() > 0.0 and depth.max() < 3000.0):
        faults.append(f"depths from {depth.min()} to {depth.max()}; the ice sheet is 0 to 3,000 m deep")
    for name, value, low, high in (("scattering", scattering, 1.0, 300.0), ("absorption", absorption, 3.0, 1000.0)):
        if not ((value > low) & (value < high)).all():  # NaN too
            faults.append(f"{name} lengths from {value.min()} to {value.max()}; expected {low:g} to {high:g}")
    if not faults and not 1.5 <= np.median(absorption / scattering) <= 6.0:
        ratio = np.median(absorption / scattering)
        faults.append(f"absorption over scattering length is {ratio:.1f}; effective lengths give 1.5 to 6")
    return faults


class IceGrid(NamedTuple):
    """Ice for compiled loops: sums from the bottom, so that an average between two heights is a difference.

    bottom : lowest height, m.  step : between heights, m.  scattering, absorption (height,) : integrals of 1/length
    from the bottom up, a pure number.
    """

    bottom: float
    step: float
    scattering: Floats
    absorption: Floats


def ice_grid(ice: Ice) -> IceGrid:
    """Sums on a grid of 5 m from -1,000 to 1,000 m; 1/length is linear between layers, constant beyond them."""
    edges = np.arange(-_REACH, _REACH + 0.5 * _STEP, _STEP)
    middles = 0.5 * (edges[1:] + edges[:-1])
    sums = [
        np.concatenate([[0.0], np.cumsum(_STEP * np.interp(middles, ice.height, 1.0 / length))])
        for length in (ice.scattering, ice.absorption)
    ]
    return IceGrid(-_REACH, _STEP, *sums)
