"""Measurements of Galactic neutrinos by others, typed in from where they are printed.

For figures and tables beside ours; never an input of a fit.  Numbers that could not be traced to a printed source are
left out: among them the diffuse gamma-ray fluxes of LHAASO and Tibet AS-gamma and the ridge flux of ANTARES.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.interpret.regions import Region, region

SEGMENTS_SOURCE = (
    "IceCube Collaboration, 10-year cascades, conference abstract (Chiba, indico event 3, contribution 438)"
)
SEGMENTS_NOTE = (
    "printed per m^2 in the abstract; cm^2 is meant: the pi0 best fit of 2023 gives 11.8 and 4.1 in the same unit in "
    "the two segments. Per flavour is assumed, the abstract does not say it"
)


@dataclass(frozen=True, slots=True)
class Intensity:
    """E^2 dN/dE averaged over a region at log10(E/GeV), TeV cm^-2 s^-1 sr^-1, per flavour, nu + nubar.

    low, high : ends of the 68 % interval.    index, index_low, index_high : of the fitted power law; NaN where the
    spectrum was not fitted.
    """

    name: str
    label: str
    region: Region
    log10_energy: float
    value: float
    low: float
    high: float
    source: str
    note: str = ""
    index: float = np.nan
    index_low: float = np.nan
    index_high: float = np.nan


INTENSITIES: tuple[Intensity, ...] = (
    Intensity(
        "icecube-inner", "IceCube cascades, 10 yr", region("inner"), float(np.log10(5e3)), 21.4e-11, 16.2e-11, 27.7e-11,
        SEGMENTS_SOURCE, SEGMENTS_NOTE, 2.76, 2.61, 2.93,
    ),
    Intensity(
        "icecube-outer", "IceCube cascades, 10 yr", region("outer"), float(np.log10(5e3)), 4.3e-11, 1.9e-11, 6.9e-11,
        SEGMENTS_SOURCE, SEGMENTS_NOTE, 3.10, 2.71, 3.50,
    ),
    Intensity(
        "lhaaso-region", "public tracks, LHAASO template", region("lhaaso-inner"), float(np.log10(25e3)),
        4.73e-14 * 25.0**2, 2.22e-14 * 25.0**2, 7.26e-14 * 25.0**2,  # of dN/dE in TeV^-1 at 25 TeV
        "Li, Huang, Xu & He, arXiv:2408.12123", "muon neutrinos, 4.73 +2.53 -2.51 e-14 TeV^-1 cm^-2 s^-1 sr^-1 as "
        "printed, 1.9 sigma before trials; the template is the LHAASO-KM2A map",
    ),
)  # fmt: skip
