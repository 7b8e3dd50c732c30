"""From lines of sight through the Milky Way to maps: averages over the pixels, a spectrum, a template."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import scipy
from nuanalysis.schema import Floats, Ints
from nuanalysis.sky.galaxy import sight
from nuanalysis.sky.galaxy.sight import Lines
from nuanalysis.sky.records import GEV_PIVOT_LOG10, TabulatedSpectrum
from nuanalysis.sky.templates import _healpix
from nuanalysis.sky.templates._said import GEV_PER_TEV

# Resolution of the sub-pixels by distance from the plane: the gas disk at the Galactic Centre is 0.1 deg thick.
SUB_NSIDES = ((np.radians(2.0), 2048), (np.radians(10.0), 512), (np.pi, 256))
ENERGIES = 2.0 + np.arange(97) / 16  # log10(E/GeV) of the spectra: 100 GeV to 100 PeV
AT_PIVOT = int(np.flatnonzero(ENERGIES == GEV_PIVOT_LOG10)[0])


def sub_pixels(nside: int) -> Iterator[tuple[Ints, Floats, Floats]]:
    """All equatorial NESTED pixels in passes, with the Galactic directions, rad, of their sub-pixels.

    Yields pixels (pixel,), longitude and latitude (pixel x sub-pixel,), those of a pixel beside each other.
    """
    pixels = np.arange(12 * nside**2)
    distance = np.abs(_healpix.galactic(pixels, nside=nside)[1]) - hp.max_pixrad(nside)
    edge = -np.pi
    for next_edge, sub_nside in SUB_NSIDES:
        band = pixels[(distance >= edge) & (distance < next_edge)]
        split = max(1, sub_nside // nside)
        for some, fine in _healpix.sub_pixels(band, split):
            yield band[some], *_healpix.galactic(fine, nside=nside * split)
        edge = next_edge


def averages(intensity: Callable[[Floats, Floats], Floats], nside: int) -> Floats:
    """Mean of intensity(longitude, latitude) (n,) over each pixel, equatorial RING, (pixel,)."""
    means = np.empty(12 * nside**2)
    for some, longitude, latitude in sub_pixels(nside):
        means[some] = intensity(longitude, latitude).reshape(len(some), -1).mean(axis=1)
    return _healpix.to_ring(means)


def maps(lines: Lines, values: Floats, nside: int) -> Floats:
    """Densities that integrate to one of values (node, n) on the grid of lines, equatorial RING, (n, pixel).

    The sum over sub-pixels and the interpolation between nodes are one matrix, the same for all n.
    """

    means = np.empty((12 * nside**2, values.shape[1]))
    for some, longitude, latitude in sub_pixels(nside):
        nodes, weights = sight.between(lines, longitude, latitude)
        rows = np.linspace(0, nodes.size, len(some) + 1).astype(np.int64)
        matrix = scipy.sparse.csr_matrix((weights.ravel(), nodes.ravel(), rows), shape=(len(some), len(values)))
        means[some] = matrix @ values * (len(some) / len(longitude))
    densities = np.stack([_healpix.normalised(_healpix.to_ring(column)) for column in means.T])
    densities.flags.writeable = False
    return densities


def tabulated(flux: Floats) -> tuple[TabulatedSpectrum, float]:
    """Spectrum of a flux at ENERGIES, (energy,) GeV^-1 cm^-2 s^-1, and its E^2 dN/dE at 100 TeV in TeV cm^-2 s^-1."""
    spectrum = TabulatedSpectrum(ENERGIES, np.log10(flux / flux[AT_PIVOT]))
    return spectrum, float(flux[AT_PIVOT]) * 10.0 ** (2 * GEV_PIVOT_LOG10) / GEV_PER_TEV
