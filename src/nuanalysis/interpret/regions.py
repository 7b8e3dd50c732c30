"""Regions of the sky in Galactic coordinates, and what a template sends from each of them.

Fluxes follow the convention of templates: E^2 dN/dE per flavour, nu + nubar, TeV cm^-2 s^-1 integrated over the sky,
and TeV cm^-2 s^-1 sr^-1 as the mean over a region.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.schema import Bools, Floats, Spectrum
from nuanalysis.sky.records import GEV_PIVOT_LOG10, PowerLaw, Template
from nuanalysis.sky.templates import GEV_PER_TEV, SEGMENTS, Segment, to_galactic

Interval = tuple[float, float]
ALL_AROUND: Interval = (-np.pi, np.pi)
SUB_NSIDE = 512  # of the sub-pixels where an edge may cut a pixel: solid angles of REGIONS come out to 0.02 %
SHARE_LOG10_ENERGY = float(np.log10(30e3))  # GeV; where the share of all astrophysical neutrinos is quoted
SPLITS = (4, 16)  # sub-pixels along a side, at least and at most; the most makes it 0.1 % at nside 16


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the sky: every direction whose l and b, rad, lie in one of the intervals each.

    longitudes : (low, high) with low < high <= low + 2 pi; the interval is taken around the circle, so (1, 5) holds pi.
    latitudes  : (low, high) within [-pi/2, pi/2].  The intervals do not overlap.
    """

    name: str
    label: str
    longitudes: tuple[Interval, ...]
    latitudes: tuple[Interval, ...]

    def __post_init__(self) -> None:
        wrong = [i for i in self.longitudes if not 0 < i[1] - i[0] <= 2 * np.pi + 1e-12]
        wrong += [i for i in self.latitudes if not -np.pi / 2 <= i[0] < i[1] <= np.pi / 2]
        if wrong or not self.longitudes or not self.latitudes:
            raise InputError(
                f"region '{self.name}' has the intervals {self.longitudes} and {self.latitudes} rad; expected at least "
                "one rising interval each, at most once around in longitude and within the poles in latitude"
            )

    @property
    def solid_angle(self) -> float:
        """Exact solid angle, sr."""
        around = sum(high - low for low, high in self.longitudes)
        return float(around * sum(np.sin(high) - np.sin(low) for low, high in self.latitudes))

    def holds(self, longitude: Floats, latitude: Floats) -> Bools:
        """Whether each direction, Galactic, rad, lies inside; shapes broadcast."""
        around = [(longitude - low) % (2 * np.pi) < high - low for low, high in self.longitudes]
        along = [(latitude >= low) & (latitude < high) for low, high in self.latitudes]
        return np.asarray(np.any(around, axis=0) & np.any(along, axis=0))


def _deg(*intervals: Interval) -> tuple[Interval, ...]:
    return tuple((float(np.radians(low)), float(np.radians(high))) for low, high in intervals)


def band(name: str, label: str, longitudes: Iterable[Interval], reach_deg: float) -> Region:
    """The region |b| < reach with these longitudes, all in deg."""
    return Region(name, label, _deg(*longitudes), _deg((-reach_deg, reach_deg)))


def of_segment(segment: Segment, name: str = "") -> Region:
    """The bounds of a segment as a region."""
    return band(name or segment.name, segment.label, segment.longitudes, segment.reach)


REGIONS: tuple[Region, ...] = (
    band("b2", "|b| < 2°", [(-180, 180)], 2),
    band("b5", "|b| < 5°", [(-180, 180)], 5),
    band("b8", "|b| < 8°", [(-180, 180)], 8),
    band("b15", "|b| < 15°", [(-180, 180)], 15),
    of_segment(SEGMENTS["segment-inner"], "inner"),
    of_segment(SEGMENTS["segment-middle"], "middle"),
    of_segment(SEGMENTS["segment-outer"], "outer"),
    band("ridge", "|l| < 30°, |b| < 2°", [(-30, 30)], 2),
    of_segment(SEGMENTS["lhaaso-inner"]),
    of_segment(SEGMENTS["lhaaso-outer"]),
    band("tibet-inner", "25° < l < 100°, |b| < 5°", [(25, 100)], 5),
    band("tibet-outer", "50° < l < 200°, |b| < 5°", [(50, 200)], 5),
    Region("off-plane", "|b| > 15°", (ALL_AROUND,), _deg((-90, -15), (15, 90))),
)


def region(name: str) -> Region:
    """The region of that name.  Raises InputError with the nearest name."""
    known = {one.name: one for one in REGIONS}
    if name not in known:
        raise InputError(f"there is no region '{name}'.{did_you_mean(name, known)}")
    return known[name]


def covered(part: Region, nside: int) -> Floats:
    """Fraction of each equatorial RING pixel that lies in the region, (pixel,).

    Pixels that an edge may cut are sampled at sub-pixels of equal area, the others at their centre.
    """
    longitude, latitude = _centres(nside)
    inside = part.holds(longitude, latitude).astype(np.float64)
    cut = np.flatnonzero(_near_an_edge(part, longitude, latitude, float(hp.max_pixrad(nside))))
    split = min(max(SPLITS[0], SUB_NSIDE // nside), SPLITS[1])
    children = hp.ring2nest(nside, cut)[:, None] * split**2 + np.arange(split**2)
    directions = _galactic(*hp.pix2ang(nside * split, children.ravel(), nest=True))
    inside[cut] = part.holds(*directions).reshape(children.shape).mean(axis=1)
    return inside


def _galactic(theta: Floats, phi: Floats) -> tuple[Floats, Floats]:
    """Galactic longitude and latitude, rad, of equatorial colatitude and right ascension."""
    colatitude, longitude = to_galactic(theta, phi)
    return np.asarray(longitude), np.asarray(np.pi / 2 - colatitude)


@lru_cache(maxsize=2)  # the same for every region, and the dearest part of each
def _centres(nside: int) -> tuple[Floats, Floats]:
    """Galactic longitude and latitude, rad, of the centres of equatorial RING pixels."""
    return _galactic(*hp.pix2ang(nside, np.arange(12 * nside**2)))


def _near_an_edge(part: Region, longitude: Floats, latitude: Floats, reach: float) -> Bools:
    """Whether an edge comes within ``reach`` rad of each direction; a few more are no harm."""
    around = any(high - low > 2 * np.pi - 1e-9 for low, high in part.longitudes)
    meridians = set() if around else {edge for interval in part.longitudes for edge in interval}
    near = np.zeros(len(latitude), dtype=bool)
    for edge in {edge for interval in part.latitudes for edge in interval}:
        near |= np.abs(latitude - edge) < reach
    bands = [(latitude > low - reach) & (latitude < high + reach) for low, high in part.latitudes]
    within = np.flatnonzero(np.any(bands, axis=0))
    for edge in meridians:
        near[within] |= np.abs(np.sin(longitude[within] - edge)) * np.cos(latitude[within]) < np.sin(reach)
    return near


def shares(maps: Floats, regions: Sequence[Region]) -> Floats:
    """Share of each map that comes from each region; maps (node, pixel) sr^-1, returns (node, region)."""
    nside = hp.npix2nside(maps.shape[-1])
    found = [maps @ covered(part, nside) for part in regions]
    return np.asarray(np.stack(found, axis=-1) * hp.nside2pixarea(nside))


def e2_flux(spectrum: Spectrum, flux: float, log10_energy: Floats) -> Floats:
    """E^2 dN/dE at log10(E/GeV) of a flux given at 100 TeV, in the unit of ``flux``; any shape."""
    relative = 10.0 ** (2 * (np.asarray(log10_energy, dtype=np.float64) - GEV_PIVOT_LOG10))
    return np.asarray(flux * spectrum.shape(np.asarray(log10_energy)) * relative)


@dataclass(frozen=True, slots=True, eq=False)
class RegionFluxes:
    """What a template sends from each region.

    log10_energy (energy,) GeV; share (region, energy) of the flux at each energy;
    intensity (region, energy): E^2 dN/dE averaged over the region, TeV cm^-2 s^-1 sr^-1, per flavour.
    """

    regions: tuple[Region, ...]
    log10_energy: Floats
    share: Floats
    intensity: Floats


def region_fluxes(
    template: Template,
    *,
    flux: float,
    log10_energy: Floats | Sequence[float] = (GEV_PIVOT_LOG10,),
    regions: Sequence[Region] = REGIONS,
    spectrum: Spectrum | None = None,
) -> RegionFluxes:
    """Shares and mean intensities of regions at each energy.

    flux : E^2 dN/dE at 100 TeV, TeV cm^-2 s^-1, integrated over the sky.    spectrum : the template's own by default.
    """
    energies = np.asarray(log10_energy, dtype=np.float64)
    at_nodes = shares(template.maps, regions)  # maps are linear in log10 E between nodes, and so are their shares
    share_at = np.stack([np.interp(energies, template.log10_energy, row) for row in at_nodes.T])
    whole = e2_flux(template.spectrum if spectrum is None else spectrum, flux, energies)
    solid_angles = np.array([part.solid_angle for part in regions])
    return RegionFluxes(tuple(regions), energies, share_at, share_at * whole / solid_angles[:, None])


# All astrophysical neutrinos: norm (E / 100 TeV)^-index, isotropic; norm in GeV^-1 cm^-2 s^-1 sr^-1, per flavour, nu +
# nubar.  IceCube Collaboration, PRL 125, 121104 (2020), arXiv:2001.09520.
ISOTROPIC_NORM, ISOTROPIC_INDEX = 1.66e-18, 2.53


def galactic_fraction(template: Template, flux: float, log10_energy: float) -> float:
    """Flux of the template over the whole astrophysical flux, all sky, at log10(E/GeV).

    flux : E^2 dN/dE at 100 TeV, TeV cm^-2 s^-1; a model factor times ``template.flux`` for a model.
    The whole flux is measured as isotropic; it counts Galactic neutrinos too, so it is the denominator.
    """
    at, whole = np.array(log10_energy), 4 * np.pi * ISOTROPIC_NORM * 10.0 ** (2 * GEV_PIVOT_LOG10) / GEV_PER_TEV
    return float(e2_flux(template.spectrum, flux, at) / e2_flux(PowerLaw(ISOTROPIC_INDEX), whole, at))
