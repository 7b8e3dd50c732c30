"""The nouns of the sky: what shines where, and with which spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuanalysis.errors import InputError

Floats = NDArray[np.float64]
GEV_PIVOT_LOG10 = 5.0  # spectra are quoted at 100 TeV


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """dN/dE = norm (E / 100 TeV)^-index, per flavour, nu + nubar."""

    index: float

    def shape(self, log10_energy: Floats) -> Floats:
        """Return dN/dE relative to its value at 100 TeV at log10(E/GeV); any shape."""
        return np.asarray(10.0 ** (-self.index * (np.asarray(log10_energy) - GEV_PIVOT_LOG10)))


@dataclass(frozen=True, slots=True)
class PointSource:
    """A source at right ascension and declination in rad (ICRS), extension = Gaussian sigma in rad."""

    name: str
    right_ascension: float
    declination: float
    extension: float = 0.0

    def __post_init__(self) -> None:
        if not (0.0 <= self.right_ascension < 2 * np.pi and abs(self.declination) <= np.pi / 2):
            raise InputError(
                f"source '{self.name}' lies at RA {np.degrees(self.right_ascension):g}, dec "
                f"{np.degrees(self.declination):g} deg; expected 0 <= RA < 360 and -90 <= dec <= 90"
            )


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Sources that are fitted as one stack, with relative weights at Earth (they need not sum to 1)."""

    name: str
    label: str
    sources: tuple[PointSource, ...]
    weights: tuple[float, ...]
    reference: str

    def __post_init__(self) -> None:
        if not self.sources or len(self.sources) != len(self.weights):
            raise InputError(
                f"catalogue '{self.name}' has {len(self.sources)} sources and {len(self.weights)} weights; "
                "expected as many of each, at least one"
            )
        if min(self.weights) < 0 or sum(self.weights) <= 0:
            raise InputError(
                f"catalogue '{self.name}' has weights {self.weights}; expected none below 0 and a positive sum"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A map of the sky that integrates to one.

    density : (12 nside^2,) sr^-1, HEALPix RING, equatorial (ICRS: phi = right ascension).
    origin  : 'published', 'built-in' or 'user file'.
    sha256  : of the file, or of the recipe, it was made from.
    """

    name: str
    label: str
    density: Floats
    spectrum: PowerLaw
    origin: str
    reference: str
    sha256: str

    @property
    def nside(self) -> int:
        """HEALPix resolution parameter."""
        return int(np.sqrt(len(self.density) / 12))
