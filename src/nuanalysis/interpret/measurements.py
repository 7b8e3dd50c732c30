"""Measurements and limits of Galactic neutrinos by others, typed in from where they are printed.

For figures and tables beside ours; never an input of a fit.  Numbers that could not be traced to a printed source are
left out: among them the diffuse gamma-ray fluxes of LHAASO and Tibet AS-gamma and the ridge flux of ANTARES.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.interpret.regions import Region, region

SCIENCE_2023 = "IceCube Collaboration, Science 380, 1338 (2023), doi:10.1126/science.adc9818, table 1"
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


@dataclass(frozen=True, slots=True)
class BestFit:
    """A fitted template.  unit: 'TeV cm-2 s-1' (E^2 dN/dE at 100 TeV, all sky, per flavour) or 'model' (factor)."""

    name: str
    label: str
    template: str
    unit: str
    value: float
    low: float
    high: float
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class GalacticShare:
    """Galactic part of the astrophysical neutrinos above an energy in log10 GeV; best NaN where only a range is given.

    high : upper end of the range, or the upper limit at 90 % where ``limit`` is true.
    """

    name: str
    label: str
    log10_energy: float
    best: float
    low: float
    high: float
    limit: bool
    source: str
    note: str = ""


def per_tev(intensity: float, energy_tev: float) -> float:
    """E^2 dN/dE, TeV cm^-2 s^-1 sr^-1, of dN/dE in TeV^-1 cm^-2 s^-1 sr^-1 at an energy in TeV."""
    return intensity * energy_tev**2


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
        per_tev(4.73e-14, 25.0), per_tev(2.22e-14, 25.0), per_tev(7.26e-14, 25.0),
        "Li, Huang, Xu & He, arXiv:2408.12123", "muon neutrinos, 4.73 +2.53 -2.51 e-14 TeV^-1 cm^-2 s^-1 sr^-1 as "
        "printed, 1.9 sigma before trials; the template is the LHAASO-KM2A map",
    ),
)  # fmt: skip

BEST_FITS: tuple[BestFit, ...] = (
    BestFit("pi0-2023", "π⁰, IceCube 2023", "pi0", "TeV cm-2 s-1", 21.8e-12, 16.9e-12, 27.1e-12, SCIENCE_2023),
    BestFit("kra5-2023", "KRAγ 5 PeV, IceCube 2023", "kra-gamma 5 PeV", "model", 0.55, 0.40, 0.73, SCIENCE_2023),
    BestFit("kra50-2023", "KRAγ 50 PeV, IceCube 2023", "kra-gamma 50 PeV", "model", 0.37, 0.26, 0.50, SCIENCE_2023),
    BestFit(
        "cringe-tracks", "CRINGE, IceCube northern tracks, 12.3 yr", "CRINGE", "model", 2.9, 1.8, 4.0,
        "IceCube Collaboration, arXiv:2308.08233", "2.7 sigma, 400 GeV to 60 TeV",
    ),
)  # fmt: skip

SHARES: tuple[GalacticShare, ...] = (
    GalacticShare(
        "hese-denton", "high-energy starting events", float(np.log10(60e3)), 0.013, 0.0, 0.095, True,
        "Denton, Marfatia & Weiler, arXiv:1703.09721", "deposited energy above 60 TeV; limit at 90 %",
    ),
    GalacticShare(
        "diffuse-ahlers", "diffuse emission of the Galaxy", float(np.log10(60e3)), np.nan, 0.04, 0.08, False,
        "Ahlers, Bai, Barger & Lu, arXiv:1505.03156", "above 60 TeV; expected for homogeneous diffusion that "
        "agrees with gamma rays and cosmic rays, not measured",
    ),
)  # fmt: skip
