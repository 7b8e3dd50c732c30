"""The nouns of the sky: what shines where, and with which spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.errors import InputError, refuse
from nuanalysis.records import Card
from nuanalysis.schema import Floats, Spectrum

GEV_PIVOT_LOG10 = 5.0  # spectra are quoted at 100 TeV
WIDEST = float(np.radians(30.0))  # of sources; a wider Gaussian is none on the sphere any more
FAINTEST, BRIGHTEST = 1e-100, 1e100  # of the sum of weights: times any acceptance it stays a number of full precision


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """dN/dE = norm (E / 100 TeV)^-index, per flavour, nu + nubar."""

    index: float

    def shape(self, log10_energy: Floats) -> Floats:
        return np.asarray(10.0 ** (-self.index * (np.asarray(log10_energy) - GEV_PIVOT_LOG10)))


@dataclass(frozen=True, slots=True)
class CutOffPowerLaw:
    """dN/dE = norm (E / 100 TeV)^-index exp(-(E - 100 TeV) / cut-off); cutoff in log10(E/GeV)."""

    index: float
    cutoff: float

    def shape(self, log10_energy: Floats) -> Floats:
        energy, pivot = (10.0 ** (np.asarray(x) - self.cutoff) for x in (log10_energy, GEV_PIVOT_LOG10))
        return np.asarray(PowerLaw(self.index).shape(log10_energy) * np.exp(pivot - energy))


@dataclass(frozen=True, slots=True, eq=False)
class TabulatedSpectrum:
    """A spectrum at nodes, monotone cubic in log-log between them, zero outside.

    log10_energy (node,) rising, GeV; log10_value (node,) of dN/dE relative to its value at 100 TeV.
    """

    log10_energy: Floats
    log10_value: Floats

    def shape(self, log10_energy: Floats) -> Floats:
        between = scipy.interpolate.PchipInterpolator(self.log10_energy, self.log10_value, extrapolate=False)(
            np.asarray(log10_energy)
        )
        return np.asarray(np.where(np.isfinite(between), 10.0 ** np.nan_to_num(between), 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Windowed:
    """The part of a spectrum that one node of a template stands for: the spectrum times a hat in log10 E.

    The hats of all nodes sum to one; beyond the first and the last node theirs stay at one.
    """

    spectrum: Spectrum
    nodes: Floats
    number: int

    def shape(self, log10_energy: Floats) -> Floats:
        hat = np.interp(log10_energy, self.nodes, np.eye(len(self.nodes))[self.number])
        return np.asarray(self.spectrum.shape(log10_energy) * hat)


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
        if not 0.0 <= self.extension <= WIDEST:
            raise InputError(
                f"source '{self.name}' has an extension of {np.degrees(self.extension):g} deg; expected 0 to "
                f"{np.degrees(WIDEST):g}"
            )


def weight_faults(weights: Sequence[float] | Floats) -> list[str]:
    """What stands against relative weights, (source,): before they are normalised, and after."""
    given = np.asarray(weights, dtype=np.float64)
    if not np.isfinite(given).all() or given.min() < 0.0:
        return ["a weight is no number, infinite or below 0; expected numbers of 0 or more"]
    with np.errstate(all="ignore"):
        total = given.sum()
        shares = given / total
    if total == 0.0:
        return ["every weight is 0; expected a positive sum of weights"]
    if not FAINTEST <= total <= BRIGHTEST:
        return [
            f"the weights sum to {total:g}, expected {FAINTEST:g} to {BRIGHTEST:g}: only their ratios matter, so write "
            "them in another unit"
        ]
    if ((given > 0.0) & (shares == 0.0)).any():
        return [f"a weight of {given[given > 0.0].min():g} is nothing beside their sum of {total:g}; leave it out"]
    return []


@dataclass(frozen=True, slots=True)
class Catalogue(Card):
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
        refuse(weight_faults(self.weights), f"catalogue '{self.name}' cannot be weighted")

    def rows(self) -> list[tuple[str, str]]:
        heaviest = sorted(zip(self.weights, self.sources, strict=True), key=lambda pair: -pair[0])[:3]
        shares = ", ".join(f"{source.name} {weight / sum(self.weights):.1%}" for weight, source in heaviest)
        said = "equal" if len(set(self.weights)) == 1 else f"largest {shares}"
        return [("sources", f"{len(self.sources):,}"), ("weights", said), ("reference", self.reference)]


@dataclass(frozen=True, slots=True, eq=False)
class Template(Card):
    """Diffuse emission: what share of the flux comes from where, at one or several energies, and a spectrum.

    maps         : (node, pixel) sr^-1, HEALPix RING, equatorial (ICRS: phi = right ascension); each integrates to one.
    log10_energy : (node,) GeV, rising, where the maps hold; between nodes the map is linear in log10 E, beyond the
        ends it stays.  One node: the morphology is the same at all energies.
    spectrum     : of the flux integrated over the sky, per flavour, nu + nubar.
    origin       : 'published', 'built-in' or 'user file'.
    sha256       : of the file, or of the recipe and its parameters, it was made from.
    flux         : E^2 dN/dE at 100 TeV of the model itself, TeV cm^-2 s^-1, per flavour, integrated over the sky;
        0 where the map is relative.
    remarks      : what must be read before any result, such as that it stands in for a map that is not here.
    model        : whose model ``flux`` is, in words; '' where that is the name alone, see ``whose``.
    """

    name: str
    label: str
    maps: Floats
    log10_energy: Floats
    spectrum: Spectrum
    origin: str
    reference: str
    sha256: str
    flux: float = 0.0
    remarks: tuple[str, ...] = ()
    model: str = ""

    def __post_init__(self) -> None:
        if self.maps.ndim != 2 or len(self.maps) != len(self.log10_energy):
            raise InputError(
                f"template '{self.name}' has maps of shape {self.maps.shape} for {len(self.log10_energy)} energies; "
                "expected (energy, pixel)"
            )

    @property
    def nside(self) -> int:
        """HEALPix resolution parameter."""
        return int(np.sqrt(self.maps.shape[1] / 12))

    @property
    def whose(self) -> str:
        """Whose model ``flux`` is."""
        return self.model or f"our {self.name}" * (self.origin == "built-in") or f"{self.name}, {self.origin}"

    def rows(self) -> list[tuple[str, str]]:
        energies = ", ".join(f"{10 ** (x - 3):.3g} TeV" for x in self.log10_energy) if len(self.maps) > 1 else ""
        flux = f"{self.flux:.3g} TeV cm-2 s-1 (E^2 dN/dE at 100 TeV, per flavour, whole sky)" if self.flux else ""
        return [
            ("origin", self.origin),
            ("map", f"HEALPix nside {self.nside}"),
            ("energies", energies),
            ("flux", flux),
            ("model", self.whose if self.flux else ""),
            ("reference", self.reference),
            *(("remark", remark) for remark in self.remarks),
        ]

    @property
    def density(self) -> Floats:
        """The map at 100 TeV, (pixel,) sr^-1."""
        return self.density_at(GEV_PIVOT_LOG10)

    def density_at(self, log10_energy: float) -> Floats:
        """The map at one log10(E/GeV), (pixel,) sr^-1."""
        weights = [float(np.interp(log10_energy, self.log10_energy, row)) for row in np.eye(len(self.log10_energy))]
        used = [k for k, weight in enumerate(weights) if weight > 0]
        return self.maps[used[0]] if len(used) == 1 else np.asarray(np.tensordot(weights, self.maps, axes=1))

    def parts(self, spectrum: Spectrum) -> tuple[tuple[Floats, Spectrum], ...]:
        """The template with a spectrum as a sum of parts that each have one map, (pixel,), and one spectrum."""
        if len(self.maps) == 1:
            return ((self.maps[0], spectrum),)
        return tuple((m, Windowed(spectrum, self.log10_energy, k)) for k, m in enumerate(self.maps))


def factorised(density: Floats) -> tuple[Floats, Floats]:
    """``maps`` and ``log10_energy`` of a template whose morphology (pixel,) sr^-1 is the same at all energies."""
    return density[None], np.array([GEV_PIVOT_LOG10])
