"""What templates with a gradient of delta send from the inner and the outer plane: the family behind ``transport``.

Diffusion grows with the rigidity as rigidity^delta(R), delta(R) = A R + B.  B = 0.5 - 8.5 A keeps delta = 0.5 at the
Sun: there cosmic rays are measured, and so only the shape of what they do elsewhere is left to A, the gradient of
delta.  Neither B nor the size of the diffusion is seen here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.interpret.hadronic import PIVOT, power_law
from nuanalysis.interpret.published import Intensity, at_5_tev
from nuanalysis.interpret.regions import Region, region, region_fluxes
from nuanalysis.interpret.spectra import GAMMA_RAYS
from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy.sources import R_SUN
from nuanalysis.sky.records import Template

DELTA_AT_SUN = 0.5
LOG10_AT = float(np.log10(5e3))  # GeV, of the intensities
LOG10_INDEX = float(np.log10(1e3)), float(np.log10(25e3))  # between which the index is read
LOG10_LHAASO = float(np.log10(25e3))
INNER, OUTER = region("inner"), region("outer")
LHAASO = region("lhaaso-inner"), region("lhaaso-outer")


def centre(slope: float) -> float:
    """B of delta(R) = A R + B for which delta = 0.5 at the Sun; slope : A per kpc."""
    return DELTA_AT_SUN - R_SUN * slope


def template_name(gas: str, slope: float, *, cutoff: int = 5) -> str:
    """The name of the member of the family: gas model, A per kpc, cut-off of cosmic rays in PeV per nucleon."""
    return f"kra-gamma-like-{cutoff}?gas={gas}&slope={slope:.6g}&centre={centre(slope):.6g}"


@dataclass(frozen=True, slots=True)
class Member:
    """What one template of the family sends, as its own model says.

    inner, outer : E^2 dN/dE at 5 TeV, mean over |l| < 30 and |l| > 60, |b| < 8 deg, TeV cm^-2 s^-1 sr^-1 per flavour.
    inner_index, outer_index : between 1 and 25 TeV.    lhaaso : inner over outer region of LHAASO at 25 TeV.
    """

    inner: float
    outer: float
    inner_index: float
    outer_index: float
    lhaaso: float

    @property
    def ratio(self) -> float:
        """Inner over outer plane at 5 TeV."""
        return self.inner / self.outer


def member(template: Template) -> Member:
    """The numbers of a template that has a flux of its own."""
    at = (LOG10_AT, *LOG10_INDEX)
    found = region_fluxes(template, flux=template.flux, log10_energy=at, regions=(INNER, OUTER, *LHAASO)).intensity
    inner, outer = (2.0 - _slope(row[1:]) for row in found[:2])
    return Member(float(found[0, 0]), float(found[1, 0]), inner, outer, float(found[2, 2] / found[3, 2]))


def _slope(e2_flux: Floats) -> float:
    """Of E^2 dN/dE between the two energies of an index."""
    return float(np.diff(np.log10(e2_flux))[0] / (LOG10_INDEX[1] - LOG10_INDEX[0]))


def measured(where: Region) -> Intensity:
    """What IceCube printed for the inner or the outer plane."""
    found = at_5_tev(where)
    assert found is not None, f"nothing was measured in {where.name}"
    return found


def measured_ratio(n: int = 100_000) -> tuple[float, float, float]:
    """Inner over outer plane as measured, and its 68 %: both drawn with two half-normals, cut at zero, independent."""
    rng = np.random.default_rng(0)
    inner, outer = (_drawn(measured(one), rng.standard_normal(n)) for one in (INNER, OUTER))
    low, high = np.quantile(inner / outer, (0.16, 0.84))
    return measured(INNER).value / measured(OUTER).value, float(low), float(high)


def _drawn(one: Intensity, normal: Floats) -> Floats:
    size = np.where(normal < 0.0, one.value - one.low, one.high - one.value)
    return np.asarray(np.maximum(one.value + normal * size, 1e-3 * one.value))


def measured_lhaaso() -> float:
    """Inner over outer region of LHAASO in gamma rays at 25 TeV, known sources masked: power laws through points."""
    fits = [
        power_law(one.points(), systematic=False) for one in GAMMA_RAYS if one.name in ("lhaaso-inner", "lhaaso-outer")
    ]
    inner, outer = (fit.norm * (10.0 ** (LOG10_LHAASO - 3.0) / PIVOT) ** -fit.index for fit in fits)
    return float(inner / outer)
