"""The array, the ice and the sources as the compiled loops read them: made once for many events."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from nuanalysis.detector._ice import IceGrid, ice_grid
from nuanalysis.detector._lookup import HOLE_ICE, kernel_table
from nuanalysis.detector._records import Detector, Light, Singles
from nuanalysis.detector._table import LightTable
from nuanalysis.detector._table_kernels import KernelTable
from nuanalysis.errors import InputError
from nuanalysis.schema import Floats, Ints

#: Expected charge below which a source is not seen by a module.
FAINTEST = 1e-6
#: Even cells from the first to the last cosine of a table.
HINTS = 128

# Reach of a source, m: 220 for the pieces of a muon, and a length of attenuation in clear ice more for each factor e of
# light above a pure number of photons, up to 600.
_NEAR, _FAR, _PER_LOG, _NEAR_PHOTONS = 220.0, 600.0, 45.0, 1e5
# No place in ice has a larger product of expected charge per photon and e^x, x = d sqrt(3/(scattering absorption)),
# once x is large enough for the cut to matter: a test holds it to that.
_BRIGHTEST = 3e-4


class Modules(NamedTuple):
    """Live modules string by string.

    numbers (module,) : their indices in the detector.  start (string + 1,).  centre (string, 3) : x, y and how far
    modules of the string stand from it.  sums (module, 2) : integrals of the inverse lengths up to the module's height.
    """

    numbers: Ints
    position: Floats
    efficiency: Floats
    start: Ints
    centre: Floats
    sums: Floats


class SourceRows(NamedTuple):
    """Sources of light.  reach (source,) : distance beyond which it is not seen, m.

    attenuation2 (source,) : square of the largest d sqrt(3/(scattering absorption)) at which it is.
    sums (source, 2) : as in ``Modules``.
    """

    position: Floats
    direction: Floats
    time: Floats
    photons: Floats
    emission: Ints
    reach: Floats
    attenuation2: Floats
    sums: Floats


class Brightness(NamedTuple):
    """The table of light without its times, packed so that a look-up reads neighbours in memory.

    value (2, ratio, r, cos, 2) : ln(fluence r^2), and mean cosine to the line of sight.  log_radius, per_step : ln of
    the first distance, and even steps from it in a unit.  hint (cell,) : the interval of cosines that each of even
    cells begins in.  root (ratio,) : 1/sqrt(ratio).
    """

    value: Singles
    radius: Floats
    log_radius: float
    per_step: float
    cosine: Floats
    hint: Ints
    ratio: Floats
    root: Floats


class Optics(NamedTuple):
    """All that the light at a module depends on, but for its sources.  hole_ice (5,) : acceptance."""

    modules: Modules
    ice: IceGrid
    brightness: Brightness
    table: KernelTable
    hole_ice: Floats


def optics(detector: Detector, table: LightTable) -> Optics:
    """What the loops read of an array and a table.  Raises InputError where no module is alive."""
    ice = ice_grid(detector.ice)
    return Optics(_modules(detector, ice), ice, _brightness(table), kernel_table(table), HOLE_ICE)


def _brightness(table: LightTable) -> Brightness:
    log_radius, cosine = np.log(table.radius), np.asarray(table.cosine, dtype=np.float64)
    steps = np.diff(log_radius)
    if not np.allclose(steps, steps[0], rtol=1e-3):
        raise InputError("the distances of the table of light rise by unequal factors; give even steps in ln r")
    value = np.stack([table.log_fluence + 2.0 * log_radius[:, None], table.direction], axis=-1)
    cells = cosine[0] + (cosine[-1] - cosine[0]) * np.arange(HINTS) / HINTS
    hint = np.clip(np.searchsorted(cosine, cells, side="right") - 1, 0, len(cosine) - 2).astype(np.int64)
    ratio = np.asarray(table.ratio, dtype=np.float64)
    return Brightness(
        np.ascontiguousarray(value, dtype=np.float32), np.asarray(table.radius, dtype=np.float64),
        float(log_radius[0]), 1.0 / float(steps.mean()), cosine, hint, ratio, ratio**-0.5,
    )  # fmt: skip


def _sums(ice: IceGrid, height: Floats) -> Floats:
    """Integrals of the inverse lengths up to each height, (height, 2); beyond the grid its last step goes on."""
    x = (height - ice.bottom) / ice.step
    i = np.clip(np.floor(x).astype(np.int64), 0, len(ice.scattering) - 2)
    parts = [sums[i] + (x - i) * (sums[i + 1] - sums[i]) for sums in (ice.scattering, ice.absorption)]
    return np.ascontiguousarray(np.stack(parts, axis=1))


def _modules(detector: Detector, ice: IceGrid) -> Modules:
    if not detector.alive.any():
        raise InputError(f"no module of {detector.name!r} is alive; give a detector with efficiencies above 0")
    index = np.lexsort((detector.number, detector.string))
    index = index[detector.alive[index]]
    position, string = np.ascontiguousarray(detector.position[index]), detector.string[index]
    start = np.concatenate([[0], np.flatnonzero(np.diff(string)) + 1, [len(index)]]).astype(np.int64)
    centre = np.array([_circle(position[a:b]) for a, b in pairwise(start)])
    sums = _sums(ice, position[:, 2])
    return Modules(index.astype(np.int64), position, detector.efficiency[index], start, centre, sums)


def _circle(position: Floats) -> Floats:
    middle = position[:, :2].mean(axis=0)
    return np.array([*middle, np.linalg.norm(position[:, :2] - middle, axis=1).max()])


def source_rows(light: Light, ice: IceGrid) -> SourceRows:
    """What the loops read of sources of light."""
    photons = np.asarray(light.photons, dtype=np.float64)
    reach = np.minimum(_NEAR + _PER_LOG * np.log(np.maximum(photons / _NEAR_PHOTONS, 1.0)), _FAR)
    attenuation = np.log(np.maximum(photons * _BRIGHTEST / FAINTEST, 1.0))
    position = np.ascontiguousarray(light.position, dtype=np.float64)
    return SourceRows(
        position, np.ascontiguousarray(light.direction, dtype=np.float64), np.asarray(light.time, dtype=np.float64),
        photons, np.asarray(light.cone).astype(np.int64), np.where(photons > 0.0, reach, -np.inf), attenuation**2,
        _sums(ice, position[:, 2]),
    )  # fmt: skip
